/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers in scripts: sums and products of numbers and names, written without spaces, and times with a unit. */
#ifndef CLOISTER_TESTS_TCP_EXPR_H
#define CLOISTER_TESTS_TCP_EXPR_H

#include <stdint.h>

#include "fail.h"

#define EXPR_NAMES_MAX 64u

/* Values that a script has given names to. */
struct names {
    unsigned count;
    struct {
        char name[16];
        int64_t value;
    } of[EXPR_NAMES_MAX];
};

void names_set(struct names *names, const struct where *where, const char *name, int64_t value);

/* The value of the longest expression at *text; *text moves behind it. */
int64_t expr_read(const struct names *names, const struct where *where, const char **text);

/* The value of all of `text`. */
int64_t expr_value(const struct names *names, const struct where *where, const char *text);

/* A time, as in "200ms", "1s", "50us": microseconds; *text moves behind it. */
uint64_t expr_time(const struct names *names, const struct where *where, const char **text);

#endif
