/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flows that end in the gateway itself: what a service for them is to the engine's upstream, and how it speaks to the
 * engine.
 *
 * A service has numbered streams, from 1, one for each of its flows. It is asked by the engine, through the gateway, and
 * never calls the engine from there: what the engine is to be told is noted, and told by the service's next
 * local_events_tell(), outside of any call of the engine. The streams with something to tell wait in a ring, each at
 * most once, so that the ring of as many places as there are streams never overflows.
 */
#ifndef CLOISTER_DAEMON_LOCAL_H
#define CLOISTER_DAEMON_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "tcp/engine.h"

/* Whose a flow is. */
struct local_client {
    struct tcp_tuple tuple;
    uint32_t host;     /* the engine's number of the workstation's address */
    uint32_t station;  /* number of the workstation, that all its addresses have in common */
    uint64_t identity; /* number that never names two bindings of an address */
};

/* As in struct tcp_ops, with the stream's number for the flow. `now` in microseconds. */
struct local_ops {
    /* 0 and *stream; -ECONNREFUSED or -EACCES (counted by the service): RST; -EAGAIN: no room now. */
    int (*open)(void *service, struct tcp_flow_id id, const struct local_client *client, uint64_t now,
                uint32_t *stream);
    ssize_t (*write)(void *service, uint32_t stream, const struct iovec *iov, int count, size_t *room,
                     uint64_t now);
    ssize_t (*read)(void *service, uint32_t stream, const struct iovec *iov, int count, uint64_t now);
    void (*closed)(void *service, uint32_t stream);
    /* The number is free again. */
    void (*release)(void *service, uint32_t stream, enum tcp_release how);
};

enum local_event {
    LOCAL_CONNECTED = 1 << 0,
    LOCAL_READABLE = 1 << 1,
    LOCAL_WRITABLE = 1 << 2,
    LOCAL_RESET = 1 << 3,
};

struct local_stream {
    struct tcp_flow_id id; /* index 0: free */
    uint8_t events;        /* set of enum local_event, to be told */
    bool queued;           /* in the ring; stays true when the stream ends before its turn comes */
};

struct local_events {
    uint32_t streams;           /* numbers go up to this */
    struct local_stream *table; /* by number, from 1 */
    uint32_t *ring;
    uint32_t first, count; /* of the ring */
};

/* 0, or -ENOMEM; then nothing is left to undo. */
int local_events_init(struct local_events *events, uint32_t streams);
void local_events_fini(struct local_events *events);

/* The number `stream` names the flow `id` from now on; or nothing any more. */
void local_events_begin(struct local_events *events, uint32_t stream, struct tcp_flow_id id);
void local_events_end(struct local_events *events, uint32_t stream);

/* The flow of a number; index 0 if there is none. */
static inline struct tcp_flow_id local_events_id(const struct local_events *events, uint32_t stream)
{
    return events->table[stream].id;
}

/* To be told. */
void local_events_note(struct local_events *events, uint32_t stream, enum local_event event);

/* Tell the engine what was noted since the last call; a stream that is connected or writable takes `room` bytes. Returns the number of streams. */
unsigned local_events_tell(struct local_events *events, struct tcp_engine *engine, size_t room, uint64_t now);

#endif
