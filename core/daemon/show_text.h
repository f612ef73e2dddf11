/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A line of an answer as a line for people. What comes from JSON is printable ASCII by then (json_string()), so that no
 * name of a workstation's or a relay's does anything to a terminal.
 */
#ifndef CLOISTER_DAEMON_SHOW_TEXT_H
#define CLOISTER_DAEMON_SHOW_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/json_read.h"

#define SHOW_LINE_MAX 1024u /* bytes of a line for people */

/* "1.2 MB", "3 min": at most 15 bytes. Each returns `out`. */
const char *show_bytes(uint64_t bytes, char out[16]);
const char *show_duration(uint64_t ms, char out[16]);

/* True if there is a table for this kind. */
bool show_is_table(const char *kind);

/* How wide the columns of flows are whose text has no fixed length. IPv6 addresses take more than IPv4 ones. And whether
 * there is one that tells Tors apart. */
struct show_widths {
    unsigned workstation, destination;
    bool tors;
};

#define SHOW_WIDTHS                                                                                                \
    {                                                                                                              \
        21, 28, false                                                                                              \
    } /* for IPv4, and names of usual length */

/* Make the columns wide enough for this line, unless it has a name longer than any address. */
void show_measure(const char *kind, const struct json_value *line, struct show_widths *widths);

/* The heading and a line of a table into `out`. */
void show_head(const char *kind, const struct show_widths *widths, char out[SHOW_LINE_MAX]);
void show_row(const char *kind, const struct json_value *line, const struct show_widths *widths,
              char out[SHOW_LINE_MAX]);

/* A flow where there is little room: what was moved, and where it goes; or without that, whose it is. */
#define SHOW_NARROW_HEAD "UP       DOWN     DESTINATION"
void show_narrow_flow(const struct json_value *line, char out[SHOW_LINE_MAX]);

/* The status, in ten lines or so. */
void show_status(FILE *to, const struct json_value *status);

#endif
