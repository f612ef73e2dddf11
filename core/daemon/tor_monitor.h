/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The supervisor's side of the embedded Tor's control connection, on a libuv loop: how far Tor is, what it warns of,
 * and the few commands that the supervisor gives.
 */
#ifndef CLOISTER_DAEMON_TOR_MONITOR_H
#define CLOISTER_DAEMON_TOR_MONITOR_H

#include <stdbool.h>
#include <uv.h>

#include "daemon/circuits.h"
#include "daemon/countries.h"
#include "socks/control.h"

/* What the supervisor is told. Many streams end at once when a circuit does, so they are told of together. */
struct tor_monitor_ops {
    /* Tor has ended streams, not because we closed them: `keys` are those of their credentials
     * (isolation_credential_key()), `clean` says of which the far end had closed in good order. At most
     * TOR_MONITOR_ENDED_MAX at a time. May be NULL. */
    void (*streams_ended)(void *ctx, const uint64_t *keys, const bool *clean, unsigned count);
    /* How Tor bears the circuits that it is asked for: `building` are on their way, and `refused` says whether lately it was
     * denied some, or more timed out than were built. Once a second while there is something to say, and at once when
     * Tor has as many on their way as it can, or no longer. May be NULL. */
    void (*load)(void *ctx, uint32_t building, bool refused);
    /* What tor_monitor_look_up() began is over. May be NULL. */
    void (*looked_up)(void *ctx);
    /* Tor can carry streams. Once. */
    void (*bootstrapped)(void *ctx);
    /* The connection has ended or makes no sense, Tor hangs, or it cannot work here: `why` says which, a text that lives
     * until this returns, and `error` is a negative errno or 0. Nothing more comes. */
    void (*broken)(void *ctx, const char *why, int error);
};

#define TOR_MONITOR_ENDED_MAX 64u

struct tor_monitor {
    struct control control;
    struct tor_monitor_ops ops;
    void *ctx;
    uv_poll_t poll;
    int fd;     /* owned; -1 when closed */
    int events; /* what the poll is started for */
    uv_timer_t heartbeat;
    uint64_t heard;    /* ms, uv_now(): the last answer to a heartbeat, or the start */
    bool beating;      /* a heartbeat is under way */
    bool bootstrapped; /* was told */
    bool broken;       /* was told */
    unsigned expired;  /* relays whose certificates were over by our clock, before Tor had bootstrapped */
    struct circuits circuits;
    struct countries countries; /* of the relays in circuits */
    uv_timer_t tick;
    struct tor_load {
        uint32_t told;     /* circuits on their way, as last told */
        uint32_t built;    /* since the last tick */
        uint32_t timeouts; /* the same */
        bool denied;       /* the same */
        bool full;         /* as many were on their way as Tor can have */
    } load;
    unsigned guards;   /* connections to relays that stand */
    char summary[80];  /* of the bootstrap, as Tor said it last */
    unsigned progress; /* percent that was logged last, + 1; 0: none */
    unsigned ended;    /* streams that are to be told of: how many of the next two hold */
    uint64_t ended_key[TOR_MONITOR_ENDED_MAX];
    bool ended_clean[TOR_MONITOR_ENDED_MAX];
};

/* Percent of the bootstrap, as Tor said it last. */
static inline unsigned tor_monitor_progress(const struct tor_monitor *monitor)
{
    return monitor->progress > 0 ? monitor->progress - 1 : 0;
}

/* Take over `fd`, the owning end of Tor's control connection, and begin: events, and leave to use the network. 0 or
 * negative errno, and `fd` is closed. */
int tor_monitor_start(struct tor_monitor *monitor, uv_loop_t *loop, int fd, const struct tor_monitor_ops *ops,
                      void *ctx);

/* Seconds by which this machine's clock is off, from the arguments of a CLOCK_SKEW event ("SKEW=-86400 ..."), if it is so
 * much that Tor cannot work: an hour and more. 0 else. */
long tor_monitor_skew(const char *arguments);

/* Begin to ask for the countries of the relays in all circuits, or only in those that carry something of ours: somebody is
 * to see them. True if something is to be told: ops.looked_up() says when there is nothing more, or begin again. */
bool tor_monitor_look_up(struct tor_monitor *monitor, bool all);

/* Ask Tor to end at once. */
void tor_monitor_halt(struct tor_monitor *monitor);

#endif
