/* SPDX-License-Identifier: BSD-3-Clause */
/* The words of a statement, w[0] being its name, as numbers and choices. All fail with file and line. */
#ifndef CLOISTER_TESTS_TCP_ARGUMENTS_H
#define CLOISTER_TESTS_TCP_ARGUMENTS_H

#include "statement.h"

/* The number in w[k]. */
int64_t arg_number(const struct script *s, char **w, unsigned count, unsigned k);

/* The word behind `name`, or NULL. */
const char *arg_option(char **w, unsigned count, const char *name);

/* Whether `name` is among the words. */
bool arg_has(char **w, unsigned count, const char *name);

/* The place of w[k] in a list of names that ends in NULL. */
unsigned arg_choose(const struct script *s, char **w, unsigned count, unsigned k, const char *const *names);

/* A negative errno, or 0 for "none". */
int arg_error(const struct script *s, char **w, unsigned count, unsigned k);

/* Fail unless `seen` is what w[k] says: "N", "=N", "<N", ">N" or "!N". */
void arg_compare(const struct script *s, const char *what, char **w, unsigned count, unsigned k, int64_t seen);

#endif
