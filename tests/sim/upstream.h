/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A scripted upstream: what a flow is joined to, instead of a SOCKS stream. It has a buffer of limited size that is
 * drained in steps and with stalls, gives its own data in bursts, and ends as its script says. It keeps strictly to
 * the contract of struct tcp_ops (events are edges), and watches that the engine does.
 */
#ifndef CLOISTER_TESTS_SIM_UPSTREAM_H
#define CLOISTER_TESTS_SIM_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "../unit/random.h"
#include "tcp/engine.h"

enum upstream_outcome {
    OUTCOME_CONNECT,
    OUTCOME_FAIL,   /* answered by a refusal */
    OUTCOME_IGNORE, /* never answered */
    OUTCOME_DENY,   /* open() itself says no */
    OUTCOME_BUSY,   /* open() has no room, `busy` times */
};

enum upstream_eof {
    EOF_WHEN_SENT,
    EOF_WHEN_BOTH, /* when everything was received, too */
    EOF_NEVER,
};

/* Times in microseconds. */
struct upstream_script {
    enum upstream_outcome outcome;
    enum tcp_refusal refusal;
    uint32_t busy;
    uint64_t connect_after;
    uint32_t capacity;    /* of the buffer, bytes */
    uint32_t drain;       /* bytes taken out of it at once */
    uint32_t drain_every; /* 0: all of it at once, as soon as it is written */
    int64_t stall_at;     /* it stops draining at this offset, once */
    uint64_t stall_for;
    bool short_writes; /* takes less than it could, now and then */
    bool starves;      /* has no memory to be read with, now and then */
    int64_t up_total;  /* bytes that will come */
    int64_t down_total;
    uint32_t burst; /* bytes that become readable at once */
    uint32_t burst_every;
    enum upstream_eof eof;
    uint64_t reset_after;  /* after open(); UINT64_MAX: never */
    int64_t broken_at;     /* writing fails from this offset on; -1: never */
    bool broken_after_eof; /* and once the end was read, as with Tor */
    uint32_t up_phase, down_phase;
};

struct upstream {
    struct upstream_script s;
    struct random random;
    struct tcp_flow_id id;
    uint32_t peer;
    uint64_t opened_at;
    bool open, released, failed;
    enum tcp_release how;
    bool optimistic;

    int64_t taken; /* bytes written by the engine */
    int64_t used;  /* of these, still in the buffer */
    bool told_low; /* a writable event is owed */
    bool stalled;
    uint64_t stall_until;

    int64_t ready; /* bytes that are or were readable */
    int64_t given; /* bytes read by the engine */
    bool dry;      /* read() said -EAGAIN: the next data makes an edge */
    bool eof_read;
    bool reset_told;

    uint64_t drain_at, burst_at;
    const char *wrong; /* what the engine did that it must not do, or NULL */
};

struct tcp_engine;

void upstream_init(struct upstream *u, uint64_t now);

/* As in struct tcp_ops. */
ssize_t upstream_write(struct upstream *u, const struct iovec *iov, int count, size_t *room, uint64_t now);
ssize_t upstream_read(struct upstream *u, const struct iovec *iov, int count);
void upstream_release(struct upstream *u, enum tcp_release how);

/* Do what is due and tell the engine; and when that is next, or UINT64_MAX. */
void upstream_wake(struct upstream *u, struct tcp_engine *engine, uint64_t now);
uint64_t upstream_next(const struct upstream *u);

/* True if the engine may expect an answer to a read: data, end or reset. */
bool upstream_readable(const struct upstream *u);

#endif
