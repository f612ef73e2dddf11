/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The supervisor's side of the embedded Tor's control connection, on a libuv loop: how far Tor is, what it warns of,
 * and the few commands that the supervisor gives.
 */
#ifndef CLOISTER_DAEMON_TOR_MONITOR_H
#define CLOISTER_DAEMON_TOR_MONITOR_H

#include <stdbool.h>
#include <uv.h>

#include "socks/control.h"

/* What the supervisor is told. */
struct tor_monitor_ops {
    /* Tor can carry streams. Once. */
    void (*bootstrapped)(void *ctx);
    /* The connection has ended or makes no sense: `why` says which, a static text, and `error` is a negative errno or
     * 0. Nothing more comes. */
    void (*broken)(void *ctx, const char *why, int error);
};

struct tor_monitor {
    struct control control;
    struct tor_monitor_ops ops;
    void *ctx;
    uv_poll_t poll;
    int fd;            /* owned; -1 when closed */
    int events;        /* what the poll is started for */
    bool bootstrapped; /* was told */
    bool broken;       /* was told */
    unsigned progress; /* percent that was logged last, + 1; 0: none */
};

/* Take over `fd`, the owning end of Tor's control connection, and begin: events, and leave to use the network. 0 or
 * negative errno, and `fd` is closed. */
int tor_monitor_start(struct tor_monitor *monitor, uv_loop_t *loop, int fd, const struct tor_monitor_ops *ops,
                      void *ctx);

/* Ask Tor to end at once. */
void tor_monitor_halt(struct tor_monitor *monitor);

#endif
