/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/console_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/console_answer.h"
#include "daemon/console_request.h"
#include "daemon/console_socket.h"

#define ANSWER_MS 15000 /* the supervisor gives up before */

static int fail(struct console_link *link, int error, const char *what)
{
    snprintf(link->error, sizeof(link->error), "%s: %s", what, strerror(-error));
    return error;
}

int console_link_open(struct console_link *link, const char *path)
{
    link->len = link->at = 0;
    link->fd = console_socket_connect(path);
    if (link->fd >= 0)
        return 0;
    int error = link->fd;
    link->fd = -1;
    snprintf(link->error, sizeof(link->error), "%s: %s; %s", path, strerror(-error),
             error == -EACCES  ? "this takes root, or a member of process.control_group"
             : error == -EPERM ? "somebody other than root listens there"
                               : "is cloister running, and is this its process.control?");
    return error;
}

void console_link_close(struct console_link *link)
{
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
}

/* The next line, without its newline. Its length, or negative errno. */
static ssize_t next_line(struct console_link *link, char **line)
{
    memmove(link->buffer, link->buffer + link->at, link->len - link->at);
    link->len -= link->at;
    link->at = 0;
    for (;;) {
        char *newline = memchr(link->buffer, '\n', link->len);
        if (newline != NULL) {
            *line = link->buffer;
            link->at = (size_t)(newline - link->buffer) + 1;
            return newline - link->buffer;
        }
        if (link->len == sizeof(link->buffer))
            return -EPROTO;
        struct pollfd pfd = {.fd = link->fd, .events = POLLIN};
        int ready = poll(&pfd, 1, ANSWER_MS);
        if (ready == 0)
            return -ETIMEDOUT;
        if (ready < 0)
            return -errno;
        ssize_t n = recv(link->fd, link->buffer + link->len, sizeof(link->buffer) - link->len, 0);
        if (n <= 0)
            return n < 0 ? -errno : -ECONNRESET;
        link->len += (size_t)n;
    }
}

int console_link_ask(struct console_link *link, const char *request,
                     void (*take)(void *ctx, const char *text, size_t len, const struct json_value *line),
                     void *ctx)
{
    char text[CONSOLE_REQUEST_MAX];
    char kind[32];
    int n = snprintf(text, sizeof(text), "%s\n", request);
    /* Who was turned away is told why, and cannot be asked any more. */
    if (send(link->fd, text, (size_t)n, MSG_NOSIGNAL) != n && errno != EPIPE)
        return fail(link, errno != 0 ? -errno : -EIO, "cannot ask");
    for (;;) {
        char *line = NULL;
        struct json_value value;
        ssize_t len = next_line(link, &line);
        if (len < 0)
            return fail(link, (int)len, "no answer");
        if (!json_parse(line, (size_t)len, &value))
            return fail(link, -EPROTO, "the answer makes no sense");
        struct json_value schema = json_member(&value, "schema");
        struct json_value member = json_member(&value, "kind");
        if (json_unsigned(&schema) != CONSOLE_SCHEMA) {
            snprintf(link->error, sizeof(link->error), "the gateway that runs is of another version; restart it");
            return -EPROTO;
        }
        json_string(&member, kind, sizeof(kind));
        if (strcmp(kind, "end") == 0)
            return 0;
        if (strcmp(kind, "error") == 0) {
            struct json_value error = json_member(&value, "error");
            json_string(&error, link->error, sizeof(link->error));
            return -EBADMSG;
        }
        take(ctx, line, (size_t)len, &value);
    }
}
