/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is asked on the control socket: one line of words for each request. A new request is a line in the table of
 * console_request.c and what answers it in console.c.
 */
#ifndef CLOISTER_DAEMON_CONSOLE_REQUEST_H
#define CLOISTER_DAEMON_CONSOLE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"

#define CONSOLE_REQUEST_MAX 256u /* bytes of a request, its newline included */

enum console_verb {
    CONSOLE_NOTHING,
    CONSOLE_SHOW_STATUS,
    CONSOLE_SHOW_FLOWS,
    CONSOLE_SHOW_CIRCUITS,
    CONSOLE_SHOW_WORKSTATIONS,
    CONSOLE_SHOW_DROPS,
    CONSOLE_METRICS,
    CONSOLE_NEWNYM,
};

struct console_request {
    enum console_verb verb;
    struct ipaddr workstation; /* CONSOLE_NEWNYM: whose; zeros: everybody's */
    uint32_t limit;            /* CONSOLE_SHOW_FLOWS: so many at most; 0: all */
};

/* Parse `n` bytes without their newline. NULL and *out, or what is wrong with them, a sentence. */
const char *console_request_parse(const char *line, size_t n, struct console_request *out);

/* What came of the head of an HTTP request so far. */
enum console_http {
    CONSOLE_HTTP_MORE,    /* it is not whole yet */
    CONSOLE_HTTP_METRICS, /* GET /metrics */
    CONSOLE_HTTP_OTHER,   /* another path */
    CONSOLE_HTTP_BAD,     /* another method, or nonsense */
};

enum console_http console_http_parse(const char *head, size_t n);

#endif
