/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine between a fake workstation and a fake Tor, on a clock moved by hand.
 *
 * rig.c has the clock and the device: every segment that leaves is checked for what must hold always (see rig_emit())
 * and queued with the time it left at. upstream.c has the SOCKS side of each flow.
 */
#ifndef CLOISTER_TESTS_TCP_RIG_H
#define CLOISTER_TESTS_TCP_RIG_H

#include "fail.h"
#include "packet.h"
#include "tcp/engine.h"

#define RIG_PEERS 512u

/* The SOCKS side of one flow. */
struct upstream {
    struct tcp_flow_id id;
    bool open;            /* open() was answered with 0, and neither failed() nor release() happened since */
    bool connected;       /* tcp_upstream_connected() was said */
    unsigned opens;       /* open() calls not yet looked at by the script */
    unsigned releases;    /* release() calls not yet looked at */
    enum tcp_release how; /* of the last */
    unsigned refusals;    /* unreachable() calls not yet looked at */
    enum tcp_refusal why; /* of the last */
    unsigned answers;     /* opened() calls not yet looked at */
    int answer;           /* what the last said */
    unsigned closes;      /* closed() calls not yet looked at */

    bool closed;     /* closed() was called for this upstream */
    bool drains;     /* takes everything at once and always has `room` */
    size_t room;     /* bytes it can take */
    int write_error; /* what write() returns from now on, or 0 */
    uint8_t *taken;  /* all bytes written so far */
    size_t taken_len, taken_size;
    size_t claimed; /* of these, how many the script looked at */

    uint64_t offered; /* bytes of the stream to the workstation that exist */
    uint64_t read;    /* of these, bytes the engine has read */
    bool eof;
    int read_error; /* what read() returns once all was read, or 0 */
    bool again;     /* read() said -EAGAIN: the next edge is to be told */
    bool read_over; /* read() said that there will be no more */
};

/* One connection as the workstation sees it. */
struct peer {
    char name[16];
    struct tcp_tuple tuple;
    uint32_t host;
    uint32_t isn;     /* of the workstation */
    uint32_t far_isn; /* of the engine, once its SYN-ACK was seen */
    bool far_isn_known;
    bool scaled;      /* the last SYN-ACK agreed to scale windows */
    uint8_t ws;       /* by so much */
    bool active;      /* the engine opens, not the workstation */
    bool ts;          /* the last SYN-ACK agreed to timestamps */
    uint32_t ts_base; /* the engine's first TSval */
    uint32_t ts_seen; /* its last */
    uint32_t ts_own;  /* the workstation's TSval at time zero of the script */
    bool edge_known;  /* right edge of the window, as last advertised */
    uint32_t edge;
    uint32_t top; /* the highest sequence number ever sent to it, relative, and one */
    struct upstream up;
};

/* A segment that left the engine. */
struct sent {
    struct sent *next;
    uint64_t at; /* us */
    const struct peer *peer;
    uint16_t gso_size;
    struct packet packet;
    uint8_t bytes[]; /* header and payload */
};

/* Payload handed to the engine, which may look at it until the turn ends. */
struct lent {
    struct lent *next;
    uint8_t bytes[];
};

struct rig {
    struct where *where;
    struct tcp_config config;
    struct tcp_engine *engine; /* NULL until rig_start() */
    uint64_t start, now;       /* us */
    unsigned wakes;            /* deadlines at which the engine was run so far */
    bool v6;
    bool link_down; /* emit() fails */
    bool batch;     /* no flush until the batch ends */
    int open_error; /* what open() returns, or 0 */
    struct peer peer[RIG_PEERS];
    unsigned peers;
    struct sent *first, **last; /* segments that the script has not looked at */
    struct lent *lent;
};

/* A rig with the configuration that scripts start from. `where` is used for as long as the rig is. */
void rig_init(struct rig *rig, struct where *where, bool v6);

/* Build the engine, if that was not done yet. */
void rig_start(struct rig *rig);

/* The connection called `name`, made on first sight with default addresses and ports. */
struct peer *rig_peer(struct rig *rig, const char *name);

/* Give a peer its addresses: workstation number, number of the far end, ports. */
void rig_address(const struct rig *rig, struct peer *peer, uint32_t host, uint32_t far, uint16_t src_port,
                 uint16_t dst_port);

/* Hand the engine a segment of `peer`; header_len + payload bytes, copied. Ends the turn unless a batch is open. */
void rig_inject(struct rig *rig, const struct peer *peer, const uint8_t *bytes, size_t n, uint16_t gso);

/* End the turn: tcp_flush() until it is content. */
void rig_flush(struct rig *rig);

/* Run the clock to `until`, through every deadline; stops early when `stop_on_segment` and one is queued. */
void rig_advance(struct rig *rig, uint64_t until, bool stop_on_segment);

/* Forget the oldest queued segment. */
void rig_forget(struct rig *rig);

/* At the end: reset everything, and see that nothing is left: flows, chunks, upstreams. Frees all. */
void rig_fini(struct rig *rig);

/* upstream.c: the operations, and what the script does to the SOCKS side of a peer. */
int upstream_open(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host);
ssize_t upstream_write(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count, size_t *room);
ssize_t upstream_read(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count);
/* A fresh one for this flow: open() or tcp_open(). */
void upstream_begin(struct rig *rig, struct peer *peer, struct tcp_flow_id id);
void upstream_opened(void *ctx, struct tcp_flow_id id, int status);
void upstream_release(void *ctx, struct tcp_flow_id id, enum tcp_release how);
void upstream_closed(void *ctx, struct tcp_flow_id id);
void upstream_unreachable(void *ctx, const struct tcp_tuple *tuple, uint32_t host, enum tcp_refusal why,
                          const uint8_t tcp_header[8]);

/* Tell the engine that there is something to read, if it was told that there is nothing. */
void upstream_edge(struct rig *rig, struct peer *peer);

/* The peer with these addresses, or NULL. */
struct peer *rig_find(struct rig *rig, const struct tcp_tuple *tuple);

#endif
