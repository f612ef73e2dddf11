/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keys of the configuration file: a table with what each takes, where it goes in struct config, and its default. A
 * new key is a line in it. Keys are named by their numbers, their places in the table.
 */
#ifndef CLOISTER_DAEMON_CONFIG_KEY_H
#define CLOISTER_DAEMON_CONFIG_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/config.h"

#define CONFIG_KEYS_MAX 64u /* there are not more of them */

/* The number of a key, or -1 if there is none of that name in that section. */
int config_key_find(const char *section, const char *name);

/* True if it may be set several times, to add a value with each. */
bool config_key_may_repeat(int key);

/* Store `text` as the value of the key with this number, or say into `want` (`size` bytes) what it should be. */
bool config_key_store(struct config *config, int index, const char *text, char *want, size_t size);

/* Store every default. False if one of them will not do, with a sentence about it in `says` (`size` bytes). */
bool config_key_store_defaults(struct config *config, char *says, size_t size);

/* True if there is a section of this name, of `n` bytes. */
bool config_key_is_section(const char *section, size_t n);

/* The sections there are, as in "[workstation], [tor]", cut to `size` bytes. */
void config_key_list_sections(char *out, size_t size);

/* The keys of a section, as in "device, bridge", cut to `size` bytes. */
void config_key_list(const char *section, char *out, size_t size);

#endif
