/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/fake_tor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"

#define CLIENTS 1000u
#define REQUEST_MAX 600u /* greeting, credentials and request, with a name of 255 bytes */
#define CELL 514u        /* bytes that Tor sends at the least */

struct client {
    int fd;    /* -1: free */
    bool open; /* past the handshake: what comes is discarded */
    size_t n;
    uint8_t request[REQUEST_MAX];
};

struct fake {
    int listener, relay;
    struct client client[CLIENTS];
    struct pollfd poll[CLIENTS + 2];
};

/* What remains of a handshake that is whole. The port asked for; -1: it is not whole yet; -2: it is not SOCKS5 as Tor
 * would be asked. */
static int parse(const struct client *c, bool *resolve)
{
    struct bytes b = bytes_of(c->request, c->n);
    uint8_t version = bytes_u8(&b);
    bytes_take(&b, bytes_u8(&b));
    uint8_t negotiation = bytes_u8(&b);
    bytes_take(&b, bytes_u8(&b));
    bytes_take(&b, bytes_u8(&b));
    uint8_t again = bytes_u8(&b), command = bytes_u8(&b);
    bytes_u8(&b);
    uint8_t kind = bytes_u8(&b);
    bytes_take(&b, kind == 1 ? 4 : kind == 4 ? 16 : bytes_u8(&b));
    uint16_t port = bytes_u16(&b);
    if (!bytes_ok(&b))
        return c->n == REQUEST_MAX ? -2 : -1;
    *resolve = command == 0xf0 || command == 0xf1;
    return version == 5 && negotiation == 1 && again == 5 ? port : -2;
}

static void drop(struct client *c)
{
    close(c->fd);
    c->fd = -1;
}

/* Whatever is asked for, a cell of noise goes to the relay. */
static void send_cell(const struct fake *f)
{
    uint8_t cell[CELL];
    if (getrandom(cell, sizeof(cell), 0) != (ssize_t)sizeof(cell))
        return;
    send(f->relay, cell, sizeof(cell), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void answer(struct fake *f, struct client *c)
{
    /* Method, credentials, and the outcome: some ports are open. */
    uint8_t reply[] = {5, 2, 1, 0, 5, 0, 0, 1, 192, 0, 2, 1, 0, 0};
    bool resolve = false;
    int port = parse(c, &resolve);
    if (port == -1)
        return;
    if (port == -2) {
        drop(c);
        return;
    }
    c->open = port == 80 || port == 443;
    reply[5] = resolve || c->open ? 0 : 5;
    send_cell(f);
    if (send(c->fd, reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 || !c->open)
        drop(c);
}

static void take(struct fake *f, struct client *c)
{
    uint8_t discarded[4096];
    ssize_t n = c->open ? recv(c->fd, discarded, sizeof(discarded), MSG_DONTWAIT)
                        : recv(c->fd, c->request + c->n, REQUEST_MAX - c->n, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    send_cell(f);
    if (c->open)
        return;
    c->n += (size_t)n;
    answer(f, c);
}

static void accept_one(struct fake *f)
{
    int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
    for (unsigned i = 0; fd >= 0 && i < CLIENTS; i++) {
        if (f->client[i].fd < 0) {
            f->client[i] = (struct client){.fd = fd};
            return;
        }
    }
    if (fd >= 0)
        close(fd);
}

static void serve(struct fake *f)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        f->client[i].fd = -1;
    for (;;) {
        uint8_t discarded[4096];
        for (unsigned i = 0; i < CLIENTS; i++)
            f->poll[i] = (struct pollfd){.fd = f->client[i].fd, .events = POLLIN};
        f->poll[CLIENTS] = (struct pollfd){.fd = f->listener, .events = POLLIN};
        f->poll[CLIENTS + 1] = (struct pollfd){.fd = f->relay, .events = POLLIN};
        if (poll(f->poll, CLIENTS + 2, -1) < 0)
            continue;
        for (unsigned i = 0; i < CLIENTS; i++) {
            if (f->client[i].fd >= 0 && f->poll[i].revents != 0)
                take(f, &f->client[i]);
        }
        if (f->poll[CLIENTS].revents != 0)
            accept_one(f);
        if (f->poll[CLIENTS + 1].revents != 0 && recv(f->relay, discarded, sizeof(discarded), MSG_DONTWAIT) == 0)
            _exit(0); /* the relay is gone, so is all */
    }
}

static int listen_at(const char *socks)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", socks);
    /* The listener is the one whom the kernel names as the peer: this process. */
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 && chmod(socks, 0666) == 0 &&
        listen(fd, 512) == 0)
        return fd;
    int status = -errno;
    close(fd);
    return status;
}

static void put_relay(struct sockaddr_in *out, const char *address)
{
    *out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(FAKE_TOR_PORT)};
    inet_pton(AF_INET, address, &out->sin_addr);
}

static int connect_relay(const char *relay)
{
    struct sockaddr_in address;
    put_relay(&address, relay);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    int status = -errno;
    close(fd);
    return status;
}

static int listen_relay(const char *address)
{
    struct sockaddr_in at;
    put_relay(&at, address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 8) == 0)
        return fd;
    int status = -errno;
    close(fd);
    return status;
}

/* One connection at a time, each answered cell by cell. */
static void serve_relay(int listener)
{
    uint8_t cell[CELL];
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        while (fd >= 0 && recv(fd, cell, sizeof(cell), 0) > 0)
            send(fd, cell, sizeof(cell), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (fd >= 0)
            close(fd);
    }
}

/* A child that ends with its parent. 0 in the child. */
static pid_t fork_child(void)
{
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid < 0 ? -errno : pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN); /* of the terminal: the parent sees to the end */
    if (getppid() != parent)
        _exit(0);
    return 0;
}

/* Wait for the byte that says that a child is ready. 0 or negative errno. */
static int await(int ready)
{
    int8_t status = -1;
    ssize_t n = read(ready, &status, 1);
    close(ready);
    return n == 1 ? -(int)(uint8_t)status : -EPIPE;
}

static void tell(int ready, int status)
{
    uint8_t byte = (uint8_t)-status;
    if (write(ready, &byte, 1) != 1 || status != 0)
        _exit(1);
    close(ready);
}

pid_t fake_tor_start(const char *socks, const char *relay)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    pid_t pid = fork_child();
    if (pid == 0) {
        struct fake *f = calloc(1, sizeof(*f));
        close(ends[0]);
        if (f == NULL) {
            tell(ends[1], -ENOMEM);
            _exit(1);
        }
        f->relay = connect_relay(relay);
        f->listener = f->relay < 0 ? f->relay : listen_at(socks);
        tell(ends[1], f->listener < 0 ? f->listener : 0);
        serve(f);
    }
    close(ends[1]);
    int status = await(ends[0]);
    return pid < 0 || status == 0 ? pid : status;
}

pid_t fake_tor_start_relay(const char *address)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    pid_t pid = fork_child();
    if (pid == 0) {
        close(ends[0]);
        int listener = listen_relay(address);
        tell(ends[1], listener < 0 ? listener : 0);
        serve_relay(listener);
    }
    close(ends[1]);
    int status = await(ends[0]);
    return pid < 0 || status == 0 ? pid : status;
}
