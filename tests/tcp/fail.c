/* SPDX-License-Identifier: BSD-3-Clause */
#include "fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void fail_at(const struct where *where, const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fprintf(stderr, "%s:%u: %s: ", where->file, where->line, where->family);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}
