/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sections that there may be many of, with a name in quotes: [socks-port "9101"]. A kind of them is a line in the table
 * of config_section.c.
 */
#ifndef CLOISTER_DAEMON_CONFIG_SECTION_H
#define CLOISTER_DAEMON_CONFIG_SECTION_H

#include <stdbool.h>
#include <stddef.h>

struct config;

/* True if what stands in brackets, of `n` bytes, is such a section. */
bool config_section_is_named(const char *section, size_t n);

/* The section begins. NULL, or a static sentence that says what is wrong with its name. */
const char *config_section_begin(struct config *config, const char *section, size_t n);

/* One of its keys. NULL, or a static sentence that says what is wrong. */
const char *config_section_take(struct config *config, const char *section, const char *key, const char *value);

#endif
