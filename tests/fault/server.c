/* SPDX-License-Identifier: BSD-3-Clause */
#include "server.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../sim/content.h"
#include "base/bytes.h"

#define PIECE 16384u /* bytes that a stream says in one step */

enum { CONNECT = 1, RESOLVE = 0xf0 };

static const uint8_t greeting_and_login[] = {5, 2, 1, 0};
static const uint8_t connected[] = {5, 0, 0, 1, 0, 0, 0, 0, 0, 0};
static const uint8_t resolved[] = {5, 0, 0, 1, 198, 51, 100, 7, 0, 0};

void server_open(struct server *server, const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    assert(strlen(path) < sizeof(to.sun_path));
    memcpy(to.sun_path, path, strlen(path) + 1);
    *server = (struct server){.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    for (unsigned i = 0; i < SERVER_STREAMS; i++)
        server->stream[i].fd = -1;
    int status = server->listener < 0 ? -1 : bind(server->listener, (const struct sockaddr *)&to, sizeof(to));
    if (status != 0 || listen(server->listener, 4) != 0)
        server->broken = "no listener";
}

static void end(struct server_stream *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

void server_close(struct server *server)
{
    for (unsigned i = 0; i < SERVER_STREAMS; i++)
        end(&server->stream[i]);
    close(server->listener);
}

/* Bytes of the whole request: greeting, login, request proper. 0: not all of it is there. */
static size_t request_length(const struct server_stream *s, uint16_t *port)
{
    struct bytes b = bytes_of(s->request, s->have);
    if (bytes_take(&b, 3 + 1) == NULL || b.left < 1)
        return 0;
    size_t n = bytes_u8(&b);
    if (bytes_take(&b, n) == NULL || b.left < 1)
        return 0;
    n = bytes_u8(&b);
    if (bytes_take(&b, n) == NULL || b.left < 5)
        return 0;
    bytes_take(&b, 3);
    unsigned type = bytes_u8(&b);
    n = type == 1 ? 4 : type == 4 ? 16 : bytes_u8(&b);
    if (bytes_take(&b, n) == NULL || b.left < 2)
        return 0;
    *port = bytes_u16(&b);
    return s->have - b.left;
}

static uint8_t command_of(const struct server_stream *s)
{
    size_t at = 3 + 1;
    at += 1u + s->request[at];
    at += 1u + s->request[at];
    return s->request[at + 1];
}

static void say(struct server_stream *s, const void *data, size_t n)
{
    if (send(s->fd, data, n, MSG_NOSIGNAL) != (ssize_t)n)
        end(s);
}

/* Read the request, answer it. */
static bool hear_request(struct server *server, struct server_stream *s)
{
    ssize_t n = recv(s->fd, s->request + s->have, sizeof(s->request) - s->have, 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            end(s);
        return n == 0;
    }
    s->have += (size_t)n;
    size_t length = request_length(s, &s->port);
    if (length == 0)
        return true;
    s->asked = true;
    s->command = command_of(s);
    memmove(s->request, s->request + length, s->have - length);
    s->have -= length;
    say(s, greeting_and_login, sizeof(greeting_and_login));
    if (s->fd >= 0 && s->command == RESOLVE) {
        say(s, resolved, sizeof(resolved));
        end(s);
    } else if (s->fd >= 0) {
        say(s, connected, sizeof(connected));
        if (s->port >= SERVER_PORT && s->port < SERVER_PORT + SERVER_FLOWS) {
            server->flow[s->port - SERVER_PORT].up = server->flow[s->port - SERVER_PORT].down = 0;
            if (s->have > 0)
                server->broken = "bytes of a flow before it was open";
        }
    }
    return true;
}

/* A resolver without records says that of every question. */
static bool answer_query(struct server_stream *s)
{
    uint8_t more;
    if (s->told && recv(s->fd, &more, 1, 0) == 0) {
        end(s);
        return true;
    }
    if (s->have < 2 || s->have < 2u + be16_load(s->request) || s->told)
        return false;
    s->told = true;
    s->request[4] |= 0x80;
    s->request[5] |= 0x80;
    say(s, s->request, s->have);
    return true;
}

static bool carry(struct server *server, struct server_stream *s, struct server_flow *f)
{
    static uint8_t data[PIECE];
    bool moved = false;
    ssize_t n;
    while ((n = recv(s->fd, data, sizeof(data), 0)) > 0) {
        moved = true;
        if (f->up + n > f->up_total || !content_matches(data, f->up_phase, f->up, (size_t)n))
            server->broken = "a wrong byte on its way up";
        f->up += n;
    }
    bool over = n == 0 || errno != EAGAIN;
    while (!over && f->down < f->down_total) {
        int64_t left = f->down_total - f->down;
        size_t piece = left < (int64_t)PIECE ? (size_t)left : PIECE;
        content_fill(data, f->down_phase, f->down, piece);
        n = send(s->fd, data, piece, MSG_NOSIGNAL);
        over = n < 0 && errno != EAGAIN;
        if (n <= 0)
            break;
        moved = true;
        f->down += n;
    }
    if (over || (f->down == f->down_total && f->up == f->up_total)) {
        moved = true;
        end(s);
    }
    return moved;
}

bool server_step(struct server *server)
{
    bool moved = false;
    for (unsigned i = 0; i < SERVER_STREAMS; i++) {
        struct server_stream *s = &server->stream[i];
        if (s->fd < 0) {
            int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0)
                continue;
            *s = (struct server_stream){.fd = fd};
            moved = true;
        }
        if (!s->asked)
            moved = hear_request(server, s) || moved;
        if (s->fd < 0 || !s->asked)
            continue;
        if (s->port == 53)
            moved = answer_query(s) || moved;
        else if (s->port >= SERVER_PORT && s->port < SERVER_PORT + SERVER_FLOWS)
            moved = carry(server, s, &server->flow[s->port - SERVER_PORT]) || moved;
        else
            end(s);
    }
    return moved;
}
