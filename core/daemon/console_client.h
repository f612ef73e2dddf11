/* SPDX-License-Identifier: BSD-3-Clause */
/* The other end of the control socket, for the command line. */
#ifndef CLOISTER_DAEMON_CONSOLE_CLIENT_H
#define CLOISTER_DAEMON_CONSOLE_CLIENT_H

#include <stddef.h>

#include "base/json_read.h"

#define CONSOLE_LINE_MAX 16384u   /* bytes of a line of an answer */
#define CONSOLE_CLIENT_ERROR 512u /* bytes that hold any message */

struct console_link {
    int fd;         /* -1: not connected */
    size_t len, at; /* bytes of `buffer`, and how many of them were looked at */
    char buffer[CONSOLE_LINE_MAX];
    char error[CONSOLE_CLIENT_ERROR]; /* what went wrong, a sentence */
};

/* Connect to the control socket at `path`. 0 or negative errno with a message in link->error. */
int console_link_open(struct console_link *link, const char *path);
void console_link_close(struct console_link *link);

/* Ask, and call `take` with every line of the answer but the last: the text without its newline, and what it is. 0, or
 * negative errno with a message: -EPROTO for what is no such answer, -EBADMSG if the answer is that it was refused. */
int console_link_ask(struct console_link *link, const char *request,
                     void (*take)(void *ctx, const char *text, size_t len, const struct json_value *line),
                     void *ctx);

#endif
