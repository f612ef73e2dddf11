/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay/far.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "load/common.h"
#include "load/socks.h"

#define BACKLOG 8192
#define EVENTS 128
#define READ_AT_ONCE (256u << 10)

/* A listener, or a stream of the gateway's. */
struct stream {
    int fd;
    bool listens;
    bool shut;             /* the server's side was closed */
    unsigned step;         /* of the handshake */
    struct player *player; /* NULL until the handshake is over */
};

static uint8_t scratch[READ_AT_ONCE];
static struct stream *ended; /* by the event that is looked at; freed after it */

static void stream_new(struct far *far, int fd, bool listens)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (s == NULL)
        die("out of memory");
    *s = (struct stream){.fd = fd, .listens = listens};
    struct epoll_event event = {.events = listens ? EPOLLIN : EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = s};
    check(epoll_ctl(far->epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

/* The memory stays until far_run() is through with its events. */
static void stream_end(struct stream *s)
{
    if (s->player != NULL)
        s->player->handle = 0;
    close(s->fd);
    s->fd = -1;
    s->player = (void *)ended;
    ended = s;
}

static void listen_at(struct far *far, const struct sockaddr *at, socklen_t length)
{
    int yes = 1;
    int fd = check(socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    check(bind(fd, at, length), "the SOCKS server's address");
    check(listen(fd, BACKLOG), "listen");
    stream_new(far, fd, true);
}

void far_open(struct far *far, const struct replay_options *options)
{
    signal(SIGPIPE, SIG_IGN);
    limit_descriptors(far->player_count + 100ul);
    far->epoll = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    if (options->socks_unix != NULL) {
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        if (strlen(options->socks_unix) >= sizeof(at.sun_path))
            die("%s: too long for the path of a socket", options->socks_unix);
        strcpy(at.sun_path, options->socks_unix);
        unlink(options->socks_unix);
        listen_at(far, (struct sockaddr *)&at, sizeof(at));
        check(chmod(options->socks_unix, 0666), options->socks_unix);
    }
    if (options->socks_tcp != 0) {
        struct sockaddr_in at = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                 .sin_port = htons(options->socks_tcp)};
        listen_at(far, (struct sockaddr *)&at, sizeof(at));
    }
}

static void accept_all(struct far *far, int listener)
{
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)); /* fails, rightly, on a pathname socket */
        stream_new(far, fd, false);
    }
    if (errno == EMFILE || errno == ENFILE)
        die("more streams than the descriptors that are allowed: fewer --copies");
}

/* True once the handshake is over. */
static bool shake_hands(struct far *far, struct stream *s)
{
    uint8_t request[SOCKS_REQUEST_MAX];
    ssize_t n = recv(s->fd, request, sizeof(request), MSG_PEEK);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            stream_end(s);
        return false;
    }
    struct socks_turn turn = socks_listen(&s->step, request, (size_t)n);
    if (turn.taken > 0 && recv(s->fd, request, turn.taken, 0) != (ssize_t)turn.taken)
        die("the bytes of a request are gone");
    if (turn.answered > 0)
        send(s->fd, turn.answer, turn.answered, MSG_NOSIGNAL);
    if (!turn.over)
        return false;
    uint32_t number = ntohl(turn.to.sin_addr.s_addr) - far->first;
    if (number >= far->player_count)
        die("the gateway asked for an address that nobody was sent to");
    struct player *p = &far->players[number];
    if (p->handle != 0)
        die("flow %u has two streams", number);
    if (p->state == PLAYER_DONE) { /* its SYN was said twice, and the stream is the second's */
        stream_end(s);
        return false;
    }
    s->player = p;
    p->handle = (uint64_t)(uintptr_t)s;
    far->streams++;
    return true;
}

static void read_all(struct far *far, struct stream *s)
{
    struct player *p = s->player;
    ssize_t n;
    while ((n = recv(s->fd, scratch, sizeof(scratch), 0)) > 0) {
        if (!player_take(p, scratch, (size_t)n))
            die("flow %u: the server got other bytes than the client sent", p->number);
    }
    if (n == 0 || errno != EAGAIN)
        stream_end(s);
    far->moved(far->ctx, p);
}

void far_push(struct far *far, struct player *p)
{
    struct stream *s = (struct stream *)(uintptr_t)p->handle;
    (void)far;
    if (s == NULL)
        return;
    bool end;
    size_t left;
    while ((left = player_readable(p, &end)) > 0) {
        ssize_t n = send(s->fd, p->script->down + p->read, left, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* an event brings us back, or the end */
        p->read += (uint32_t)n;
    }
    if (end && !s->shut) {
        s->shut = true;
        shutdown(s->fd, SHUT_WR);
    }
}

void far_close(struct far *far, struct player *p)
{
    (void)far;
    if (p->handle != 0)
        stream_end((struct stream *)(uintptr_t)p->handle);
}

bool far_run(struct far *far)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(far->epoll, events, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        struct stream *s = events[i].data.ptr;
        if (s->fd < 0)
            continue;
        if (s->listens) {
            accept_all(far, s->fd);
        } else if (s->player != NULL || shake_hands(far, s)) {
            far_push(far, s->player);
            read_all(far, s);
        }
    }
    while (ended != NULL) {
        struct stream *s = ended;
        ended = (void *)s->player;
        free(s);
    }
    return n > 0;
}
