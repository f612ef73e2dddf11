/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration file of the tests, loaded after each change. */
#ifndef CLOISTER_TESTS_CONFIG_RIG_H
#define CLOISTER_TESTS_CONFIG_RIG_H

#include <stddef.h>

#include "daemon/config.h"

extern char config_path[];                  /* of the file, once there is one */
extern char config_error[CONFIG_ERROR_MAX]; /* what the last load said */
extern struct config config;                /* and what it found */

/* For the group: make the file, and remove it. */
int make_file(void **state);
int remove_file(void **state);

/* Write `n` bytes, or a text, to the file and load it. Returns what config_load() does. */
int load_bytes(const void *text, size_t n);
int load(const char *text);

/* The file must be refused, with a message that begins with `file:line: what` (`line` 0: no line). */
void expect_refused(const char *text, int line, const char *what);

#endif
