/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everything behind the gateway: a SOCKS5 server that splices each stream to a server that echoes, swallows or pours
 * out bytes, in a process of its own.
 *
 *     farend --stats FILE [--socks-unix PATH] [--socks-tcp PORT] [--congestion NAME] [--direct]
 *
 * --direct listens on the far ports themselves, for gateways that know no SOCKS; what is accepted there is spliced to
 * the same server. Both processes cost as little as the kernel allows: bytes are spliced, sent from a file and thrown
 * away unread, so that what is measured is the gateway. A pipe to splice through costs more than it saves until some
 * bytes were moved: the first are read and sent.
 *
 * Edge-triggered epoll. A stream that used up its budget is put on a list and goes on after the others. Listeners and
 * handshakes have an epoll of their own, which is looked at between any few streams, so that however many are busy a
 * new one does not wait for all of them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common.h"
#include "socks.h"

#define BLOCK (1u << 20)       /* bytes that are moved by one call at most */
#define ROUNDS 2               /* calls in a row for one stream */
#define PIPE_BYTES (256 << 10) /* of a relay, each way */
#define SMALL (16u << 10)      /* bytes of a relay, each way, that are not spliced; a new pipe takes as many */
#define BACKLOG 8192
#define STREAMS_PER_LOOK 8

enum kind {
    KIND_DOORS, /* the epoll of those that follow here */
    KIND_SOCKS_LISTENER,
    KIND_FAR_LISTENER,     /* streams that are to be relayed to `port` */
    KIND_SERVICE_LISTENER, /* streams that are served at once */
    KIND_HANDSHAKE,
    KIND_RELAY,
    KIND_SERVED,
};

/* A descriptor and what is done with it. */
struct stream {
    enum kind kind;
    int fd;
    uint16_t port;        /* listeners, KIND_RELAY: the far port they stand for */
    enum service service; /* KIND_SERVED */
    bool queued;          /* on the list of those that go on later */
    bool dead;            /* to be freed when the events at hand were looked at */
    struct stream *next;  /* of that list, or of the dead */
    struct stream *peer;  /* KIND_RELAY: the other half; bytes of `fd` go there */
    int pipe[2];          /* KIND_RELAY: from `fd` to the peer, once more than a few bytes came; or -1 */
    size_t moved;         /* KIND_RELAY: bytes that went without it */
    size_t piped;         /* bytes in it */
    bool ended;           /* KIND_RELAY: no more comes from `fd` */
    bool passed_on;       /* and the peer was told */
    unsigned step;        /* KIND_HANDSHAKE: messages that were answered */
};

static int epoll, doors;
static int zeros;
static struct far_stats *stats;
static const char *congestion; /* control to use, NULL: the system's default */
static struct stream *again, **again_tail = &again, *dead;
static uint8_t scratch[BLOCK];

static struct stream *stream_new(enum kind kind, int fd, uint32_t events)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (s == NULL)
        die("out of memory");
    s->kind = kind;
    s->fd = fd;
    s->pipe[0] = s->pipe[1] = -1;
    struct epoll_event event = {.events = events, .data.ptr = s};
    bool door = kind == KIND_SOCKS_LISTENER || kind == KIND_FAR_LISTENER || kind == KIND_SERVICE_LISTENER ||
                kind == KIND_HANDSHAKE;
    if (events != 0)
        check(epoll_ctl(door ? doors : epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    return s;
}

static void stream_end(struct stream *s)
{
    if (s->dead)
        return;
    if (s->fd >= 0)
        close(s->fd);
    if (s->pipe[0] >= 0) {
        close(s->pipe[0]);
        close(s->pipe[1]);
    }
    s->dead = true;
    if (!s->queued) {
        s->next = dead;
        dead = s;
    }
}

static void stream_go_on_later(struct stream *s)
{
    if (s->queued || s->dead)
        return;
    s->queued = true;
    s->next = NULL;
    *again_tail = s;
    again_tail = &s->next;
}

/* Services */

static void serve_sink(struct stream *s)
{
    for (int i = 0; i < ROUNDS; i++) {
        ssize_t n = recv(s->fd, scratch, BLOCK, MSG_TRUNC | MSG_DONTWAIT); /* TCP throws it away uncopied */
        if (n > 0)
            __atomic_fetch_add(&stats->sunk, (uint64_t)n, __ATOMIC_RELAXED);
        else if (n < 0 && errno == EAGAIN)
            return;
        else {
            stream_end(s);
            return;
        }
    }
    stream_go_on_later(s);
}

static void serve_source(struct stream *s)
{
    for (int i = 0; i < ROUNDS; i++) {
        off_t at = 0;
        ssize_t n = sendfile(s->fd, zeros, &at, BLOCK);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            stream_end(s);
            return;
        }
    }
    stream_go_on_later(s);
}

/* Nobody sends more than the buffers take without reading, so an echo that does not fit is an error. */
static void serve_echo(struct stream *s)
{
    for (;;) {
        ssize_t n = recv(s->fd, scratch, BLOCK, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0 || send(s->fd, scratch, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n) {
            stream_end(s);
            return;
        }
    }
}

static void serve_answer(struct stream *s)
{
    ssize_t n = recv(s->fd, scratch, BLOCK, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0)
        send(s->fd, scratch, s->service == SERVICE_PAGE ? PAGE_BYTES : 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    stream_end(s);
}

static void serve(struct stream *s)
{
    if (s->service == SERVICE_SINK)
        serve_sink(s);
    else if (s->service == SERVICE_SOURCE)
        serve_source(s);
    else if (s->service == SERVICE_ANSWER || s->service == SERVICE_PAGE)
        serve_answer(s);
    else
        serve_echo(s);
}

static void start_service(int fd, uint16_t port)
{
    int size = 1 << 20;
    if (port % 100 == SERVICE_ECHO)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    struct stream *s = stream_new(KIND_SERVED, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    s->service = port % 100;
    __atomic_fetch_add(&stats->flows, 1, __ATOMIC_RELAXED);
}

/* Relays */

static void relay_end(struct stream *s)
{
    stream_end(s->peer);
    stream_end(s);
}

static void relay_make_pipe(struct stream *s)
{
    check(pipe2(s->pipe, O_NONBLOCK | O_CLOEXEC), "pipe2");
    if (s->port % 100 == SERVICE_SINK || s->port % 100 == SERVICE_SOURCE)
        fcntl(s->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
}

/* A few bytes, without a pipe; what the peer does not take is put into one. Returns false when there is no more for now. */
static bool relay_move_small(struct stream *s)
{
    ssize_t n = recv(s->fd, scratch, SMALL - s->moved, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return false;
    ssize_t sent = n > 0 ? send(s->peer->fd, scratch, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    if (n < 0 || (sent < 0 && errno != EAGAIN)) {
        relay_end(s);
        return false;
    }
    s->ended = n == 0;
    sent = sent < 0 ? 0 : sent;
    s->moved += (size_t)n;
    if (sent < n || s->moved == SMALL)
        relay_make_pipe(s);
    if (sent < n && write(s->pipe[1], scratch + sent, (size_t)(n - sent)) != n - sent)
        die("a new pipe takes no %zu bytes", (size_t)(n - sent));
    s->piped = (size_t)(n - sent);
    return s->piped == 0 && !s->ended; /* else the peer's event brings us back */
}

/* Move what can be moved from `s` to its peer. */
static void relay_move(struct stream *s)
{
    for (int i = 0; i < ROUNDS; i++) {
        if (s->pipe[0] < 0) {
            if (s->ended || !relay_move_small(s))
                break;
            if (i == ROUNDS - 1)
                stream_go_on_later(s);
            continue;
        }
        if (!s->ended) {
            ssize_t n = splice(s->fd, NULL, s->pipe[1], NULL, BLOCK, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
            if (n > 0)
                s->piped += (size_t)n;
            else if (n == 0)
                s->ended = true;
            else if (errno != EAGAIN) {
                relay_end(s);
                return;
            }
        }
        if (s->piped == 0)
            break;
        ssize_t n = splice(s->pipe[0], NULL, s->peer->fd, NULL, s->piped, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n < 0 && errno == EAGAIN)
            return; /* the peer's event brings us back */
        if (n <= 0) {
            relay_end(s);
            return;
        }
        s->piped -= (size_t)n;
        if (i == ROUNDS - 1)
            stream_go_on_later(s);
    }
    if (!s->dead && s->ended && s->piped == 0 && !s->passed_on) {
        s->passed_on = true;
        shutdown(s->peer->fd, SHUT_WR);
        if (s->peer->passed_on)
            relay_end(s);
    }
}

static void start_relay(int fd, uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)(PORT_SERVER + port % 100))};
    int far = check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    int yes = 1;
    setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    choose_congestion(far, congestion);
    if (connect(far, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(far);
        close(fd);
        return;
    }
    fcntl(far, F_SETFL, O_NONBLOCK);
    struct stream *s[2];
    const int fds[2] = {fd, far};
    for (int i = 0; i < 2; i++) {
        s[i] = stream_new(KIND_RELAY, fds[i], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
        s[i]->port = port;
    }
    s[0]->peer = s[1];
    s[1]->peer = s[0];
}

static void socks_start(struct stream *s, uint16_t port)
{
    int fd = s->fd;
    epoll_ctl(doors, EPOLL_CTL_DEL, fd, NULL);
    s->fd = -1;
    stream_end(s);
    if (port >= PORT_INSIDE)
        start_service(fd, port);
    else
        start_relay(fd, port);
}

/* Only looked at, and then taken exactly: what follows the request belongs to the stream. */
static void socks_answer(struct stream *s)
{
    uint8_t request[SOCKS_REQUEST_MAX];
    ssize_t n = recv(s->fd, request, sizeof(request), MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        stream_end(s);
        return;
    }
    struct socks_turn turn = socks_listen(&s->step, request, (size_t)n);
    if (turn.taken > 0 && recv(s->fd, request, turn.taken, 0) != (ssize_t)turn.taken)
        die("the bytes of a request are gone");
    if (turn.answered > 0)
        send(s->fd, turn.answer, turn.answered, MSG_NOSIGNAL);
    if (turn.over)
        socks_start(s, ntohs(turn.to.sin_port));
}

static void accept_all(struct stream *listener)
{
    int yes = 1;
    /* All that wait: while many streams are busy it is long until the next time. */
    for (int i = 0; i < BACKLOG; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)); /* fails, rightly, on a pathname socket */
        if (listener->kind == KIND_SOCKS_LISTENER)
            stream_new(KIND_HANDSHAKE, fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
        else if (listener->kind == KIND_SERVICE_LISTENER || listener->port >= PORT_INSIDE)
            start_service(fd, listener->port);
        else
            start_relay(fd, listener->port);
    }
}

static void stream_run(struct stream *s);

static void look_at_doors(void)
{
    struct epoll_event events[64];
    int n = epoll_wait(doors, events, 64, 0);
    for (int i = 0; i < n; i++)
        stream_run(events[i].data.ptr);
}

static void stream_run(struct stream *s)
{
    if (s->dead)
        return;
    switch (s->kind) {
    case KIND_DOORS:
        look_at_doors();
        break;
    case KIND_SOCKS_LISTENER:
    case KIND_FAR_LISTENER:
    case KIND_SERVICE_LISTENER:
        accept_all(s);
        break;
    case KIND_HANDSHAKE:
        socks_answer(s);
        break;
    case KIND_SERVED:
        serve(s);
        break;
    case KIND_RELAY:
        relay_move(s);
        if (!s->dead)
            relay_move(s->peer);
        break;
    }
}

static void listen_on(enum kind kind, const struct sockaddr *address, socklen_t length, uint16_t port)
{
    int yes = 1;
    int fd = check(socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    if (address->sa_family == AF_INET) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        choose_congestion(fd, congestion); /* which accepted sockets inherit */
    }
    check(bind(fd, address, length), "bind");
    check(listen(fd, BACKLOG), "listen");
    stream_new(kind, fd, EPOLLIN)->port = port;
}

static void listen_on_port(enum kind kind, uint32_t address, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address), .sin_port = htons(port)};
    listen_on(kind, (struct sockaddr *)&at, sizeof(at), port);
}

__attribute__((noreturn)) static void run(void)
{
    struct epoll_event events[256];
    unsigned looked = 0;
    stream_new(KIND_DOORS, doors, EPOLLIN);
    for (;;) {
        int n = epoll_wait(epoll, events, 256, again != NULL ? 0 : -1);
        if (n < 0 && errno != EINTR)
            check(n, "epoll_wait");
        for (int i = 0; i < n; i++) {
            stream_run(events[i].data.ptr);
            if (i % STREAMS_PER_LOOK == 0)
                look_at_doors();
        }
        struct stream *list = again;
        again = NULL;
        again_tail = &again;
        while (list != NULL) {
            struct stream *s = list;
            list = s->next;
            s->queued = false;
            if (++looked % STREAMS_PER_LOOK == 0)
                look_at_doors();
            if (s->dead) {
                s->next = dead;
                dead = s;
            } else {
                stream_run(s);
            }
        }
        while (dead != NULL) {
            struct stream *s = dead;
            dead = s->next;
            free(s);
        }
    }
}

static const uint16_t services[] = {SERVICE_ECHO, SERVICE_SINK, SERVICE_ANSWER, SERVICE_SOURCE, SERVICE_PAGE};
#define SERVICES (sizeof(services) / sizeof(services[0]))

int main(int argc, char **argv)
{
    const char *socks_unix = NULL, *stats_path = NULL;
    uint16_t socks_tcp = 0;
    bool direct = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--direct") == 0)
            direct = true;
        else if (strcmp(argv[i], "--stats") == 0 && i + 1 < argc)
            stats_path = argv[++i];
        else if (strcmp(argv[i], "--socks-unix") == 0 && i + 1 < argc)
            socks_unix = argv[++i];
        else if (strcmp(argv[i], "--socks-tcp") == 0 && i + 1 < argc)
            socks_tcp = (uint16_t)atoi(argv[++i]);
        else if (strcmp(argv[i], "--congestion") == 0 && i + 1 < argc)
            congestion = argv[++i];
        else
            die("usage: farend --stats FILE [--socks-unix PATH] [--socks-tcp PORT] [--congestion NAME] [--direct]");
    }
    if (stats_path == NULL)
        die("--stats is needed");
    stats = far_stats_map(stats_path);
    zeros = zero_file(BLOCK);
    limit_descriptors(400000);
    signal(SIGPIPE, SIG_IGN);

    int ready[2];
    char byte = 0;
    check(pipe2(ready, O_CLOEXEC), "pipe2");
    pid_t parent = getpid();
    int child = check(fork(), "fork");
    epoll = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    doors = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            return 1;
        for (size_t i = 0; i < SERVICES; i++)
            listen_on_port(KIND_SERVICE_LISTENER, INADDR_LOOPBACK, PORT_SERVER + services[i]);
        check((int)write(ready[1], &byte, 1), "write");
        run();
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        die("the server of the far end did not start");
    if (socks_unix != NULL) {
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        if (strlen(socks_unix) >= sizeof(at.sun_path))
            die("%s: too long for the path of a socket", socks_unix);
        strcpy(at.sun_path, socks_unix);
        unlink(socks_unix);
        listen_on(KIND_SOCKS_LISTENER, (struct sockaddr *)&at, sizeof(at), 0);
        chmod(socks_unix, 0666);
    }
    if (socks_tcp != 0)
        listen_on_port(KIND_SOCKS_LISTENER, INADDR_LOOPBACK, socks_tcp);
    for (size_t i = 0; direct && i < SERVICES; i++) {
        listen_on_port(KIND_FAR_LISTENER, INADDR_ANY, PORT_SPLICED + services[i]);
        listen_on_port(KIND_FAR_LISTENER, INADDR_ANY, PORT_INSIDE + services[i]);
    }
    printf("ready %d %d\n", (int)getpid(), child);
    fflush(stdout);
    run();
}
