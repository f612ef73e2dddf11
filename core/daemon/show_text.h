/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A line of an answer as a line for people. What comes from JSON is printable ASCII by then (json_string()), so that no
 * name of a workstation's or a relay's does anything to a terminal.
 */
#ifndef CLOISTER_DAEMON_SHOW_TEXT_H
#define CLOISTER_DAEMON_SHOW_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/json_read.h"

#define SHOW_LINE_MAX 1024u /* bytes of a line for people */

/* "1.2 MB", "3 min": at most 15 bytes. Each returns `out`. */
const char *show_bytes(uint64_t bytes, char out[16]);
const char *show_duration(uint64_t ms, char out[16]);

/* The heading of a table, or NULL if there is none for this kind. */
const char *show_heading(const char *kind);

/* A line of a table into `out`. */
void show_row(const char *kind, const struct json_value *line, char out[SHOW_LINE_MAX]);

/* The status, in ten lines or so. */
void show_status(FILE *to, const struct json_value *status);

#endif
