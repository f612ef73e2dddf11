/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration file, read line by line: what stands in it goes to the keys (config_key.h) and to the sections that
 * there may be several of. The first thing that will not do ends the reading.
 */
#ifndef CLOISTER_DAEMON_CONFIG_READER_H
#define CLOISTER_DAEMON_CONFIG_READER_H

#include <stdio.h>

#include "daemon/config_key.h"

/* A file being read. */
struct config_reader {
    struct config *config;
    FILE *stream;
    char *error;                   /* CONFIG_ERROR_MAX bytes */
    int status;                    /* 0, or the first error as negative errno: reading has ended */
    int line;                      /* number of the line last read */
    int key_line[CONFIG_KEYS_MAX]; /* where each key was set, 0 = nowhere */
};

/* Read r->stream to its end or to the first error, which r->status and r->error then tell. */
void config_reader_run(struct config_reader *r);

/* Make what is wrong at `line` (0: with the file) the error, if it is the first one. */
__attribute__((format(printf, 3, 4))) void config_reader_refuse(struct config_reader *r, int line,
                                                                const char *format, ...);

/* The line where a key was set, or 0. */
int config_reader_line_of(const struct config_reader *r, const char *section, const char *name);

#endif
