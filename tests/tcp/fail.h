/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a script is, and the one way in which it ends badly. */
#ifndef CLOISTER_TESTS_TCP_FAIL_H
#define CLOISTER_TESTS_TCP_FAIL_H

/* The line being carried out. */
struct where {
    const char *file;   /* as given on the command line */
    const char *family; /* "IPv4" or "IPv6" */
    unsigned line;      /* counted from 1; 0 before the first */
};

/* Print "file:line: IPv4: ..." and end the program with status 1. */
_Noreturn void fail_at(const struct where *where, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
