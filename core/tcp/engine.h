/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The TCP engine: everything between a parsed IP packet of the workstation and a byte stream of the upstream.
 *
 * Sans-IO. The engine calls no system, reads no clock, draws no randomness and allocates nothing: segments, upstream
 * events, the time and a secret come in; segments, upstream operations and the next deadline come out. Output is a
 * pure function of that input.
 *
 * A turn goes like this, and the caller keeps to the order:
 *
 *     tcp_input() for every segment of a batch, tcp_upstream_*() for every event, tcp_advance() if a deadline
 *     has passed; then one tcp_flush(), which writes upstream, reads upstream, sends segments and ACKs,
 *     but no more than can be answered in a batch: the rest is for the next turn, at once;
 *     then sleep until tcp_next_deadline().
 *
 * The memory of a payload handed to tcp_input() must stay as it is until tcp_flush() returns: in-order payload
 * goes from there straight upstream.
 */
#ifndef CLOISTER_TCP_ENGINE_H
#define CLOISTER_TCP_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "base/ipaddr.h"

/* A flow's two ends as the workstation names them, whoever opened it. */
struct tcp_tuple {
    struct ipaddr src; /* the workstation's own address */
    struct ipaddr dst; /* the far end */
    uint16_t src_port; /* host order */
    uint16_t dst_port; /* host order */
};

/* Names a flow for as long as it lives; a number is not used again for another. `index` counts from 1 to
 * tcp_config.max_flows and is dense, so that an upstream can keep an array beside the engine's. */
struct tcp_flow_id {
    uint32_t index;
    uint32_t generation;
};

/* One segment of the workstation, its IP header checked and taken off. */
struct tcp_in {
    struct ipaddr src, dst;
    uint32_t host;     /* the workstation: a small number, below tcp_config.max_hosts, bound to MAC and address */
    struct bytes seg;  /* TCP header, options and payload; the payload may be up to 64 KiB */
    uint16_t gso_size; /* payload per segment if several were merged on the way, else 0 */
};

/* Room that the engine leaves before the TCP header, for what tun puts there: offload header (12), Ethernet (14),
 * IPv6 (40), and slack. */
#define TCP_HEADROOM 80u
#define TCP_HEADER_MAX 60u
#define TCP_OUT_IOV 20u

/* One segment, or one super-segment, for the workstation. The TCP header is at head + TCP_HEADROOM, complete but
 * for its checksum field, which is zero. All of it lives until the `emit` call returns. */
struct tcp_out {
    uint8_t head[TCP_HEADROOM + TCP_HEADER_MAX];
    struct ipaddr src, dst;        /* of the packet: src is the far end, dst the workstation */
    uint32_t host;                 /* to which workstation; TCP_HOST_NONE never occurs */
    uint16_t header_len;           /* of the TCP header, 20 to 60 */
    uint16_t gso_size;             /* payload per segment if this is to be cut on the way, else 0 */
    uint32_t payload_len;          /* bytes in iov[1 .. iov_count - 1] */
    uint32_t iov_count;            /* at least 1; iov[0] is left free for the headers */
    struct iovec iov[TCP_OUT_IOV]; /* iov[1..]: payload, in order */
};

/* Why an upstream did not come to be, as what TCP can tell the workstation. */
enum tcp_refusal {
    TCP_REFUSAL_RESET,      /* refused: RST */
    TCP_REFUSAL_HOST,       /* host unreachable: ICMP, then the flow is gone */
    TCP_REFUSAL_NET,        /* network unreachable: ICMP */
    TCP_REFUSAL_PROHIBITED, /* administratively prohibited: ICMP */
    TCP_REFUSAL_SILENT,     /* timed out: say nothing, the workstation's own SYN timer decides */
};

/* How the engine lets go of an upstream. */
enum tcp_release {
    TCP_RELEASE_CLOSE, /* done in good order, or half_close_timeout: everything written was taken */
    TCP_RELEASE_ABORT, /* reset by the workstation, timed out, or evicted */
};

/* What the engine asks of its surroundings. None of these may call back into the engine, but for what is said. */
struct tcp_ops {
    /* Open an upstream for a new flow. 0: it will be answered by tcp_upstream_connected() or _failed(), later, from
     * outside of any call of the engine. Negative errno: refused at once, with RST (-EACCES: by policy, which
     * has counted the reason itself); -ENOBUFS and -EAGAIN: no room now, the SYN is dropped in silence and may be
     * repeated. */
    int (*open)(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host);

    /* Write gathered bytes upstream, without waiting. Returns the bytes taken (0 to all) or negative errno (the
     * stream can take no more, ever; -EAGAIN is said by returning 0). *room is set to how many bytes more a write could
     * take now. After a short write, and after one that left little room, the upstream calls tcp_upstream_writable()
     * when there is room again: nothing else reopens a window. */
    ssize_t (*write)(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count, size_t *room);

    /* Read from upstream into iov, without waiting. Returns bytes, 0 at the end of the stream, -EAGAIN if there is
     * nothing now (tcp_upstream_readable() will tell), -ENOMEM if it could not be read just now and is to be asked again in
     * a while, -ECONNRESET or another errno if the stream was reset. */
    ssize_t (*read)(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count);

    /* Let go of the upstream. No event for this id may follow. Called once for each open() that returned 0 and was
     * not answered by tcp_upstream_failed(), and for each tcp_open() that returned 0. */
    void (*release)(void *ctx, struct tcp_flow_id id, enum tcp_release how);

    /* The workstation has closed its side, and write() took all that it sent: no write() follows. Said once at most, and
     * not after the upstream's own end. Tor has no half-close, so not every upstream has a use for it: may be NULL. */
    void (*closed)(void *ctx, struct tcp_flow_id id);

    /* How a tcp_open() went: 0 when the workstation has answered, after which the upstream is read from and written to;
     * -ECONNREFUSED, -ETIMEDOUT or -EHOSTUNREACH if it did not, and then release() follows at once. Not said when the
     * caller, or tcp_engine_reset_...(), ended it before. May be NULL if there is no tcp_open(). */
    void (*opened)(void *ctx, struct tcp_flow_id id, int status);

    /* Send a segment to the workstation. 0, or negative errno if the link took it not (it counts as lost). */
    int (*emit)(void *ctx, struct tcp_out *out);

    /* Tell the workstation by ICMP that the SYN with this header (the first 8 bytes of its TCP header) could not be
     * delivered. */
    void (*unreachable)(void *ctx, const struct tcp_tuple *tuple, uint32_t host, enum tcp_refusal why,
                        const uint8_t tcp_header[8]);
};

struct tcp_config {
    uint32_t max_flows;      /* flow slots, 1 to POOL_MAX_SLOTS */
    uint32_t max_chunks;     /* 4 KiB buffers for data not yet acknowledged, or out of order */
    uint32_t max_hosts;      /* workstation numbers, 1 to 65535 */
    uint32_t max_connecting; /* flows whose upstream is not open yet, in all */
    uint32_t host_flows;     /* the same three per workstation, or per account (tcp_engine_charge()) */
    uint32_t host_connecting;
    uint32_t host_chunks;
    uint32_t mtu;                /* of the workstation link, bytes of IP packet, 576 (1280 with IPv6) to 65535 */
    uint32_t gso_max;            /* largest payload of a super-segment, bytes; 0 if the link cannot cut them */
    bool push_turns;             /* the link holds segments until one with PSH: the last of a turn has it */
    uint32_t connect_timeout;    /* ms an upstream may take to open */
    uint32_t half_close_timeout; /* ms without a byte from upstream, after the workstation sent FIN */
    uint32_t idle_timeout;       /* ms without a segment in either direction before a flow is reset */
    bool optimistic;             /* SYN-ACK before the upstream is open */
    bool unpredicted;            /* no header prediction: every segment goes the long way, for tests that compare */
    uint8_t secret[16];          /* for sequence numbers, timestamps, hash table */
};

struct tcp_counters {
    uint64_t flows_opened;  /* SYNs that became a flow, and calls of tcp_open() that did */
    uint64_t flows_refused; /* of these, those whose upstream was refused */
    uint64_t flows_reset;   /* ended by RST, either way, or by a timeout */
    uint64_t up_bytes;      /* payload taken by upstreams */
    uint64_t down_bytes;    /* payload acknowledged by workstations */
    uint64_t segments_in;
    uint64_t segments_out; /* a super-segment counts once */
    uint64_t retransmits;  /* segments sent again */
    uint64_t timeouts;     /* retransmission timer expiries */
    uint64_t out_of_order; /* segments kept for later */
    uint64_t challenge_acks;
    uint64_t resets_sent;
    uint32_t flows;      /* now */
    uint32_t connecting; /* now */
    uint32_t chunks;     /* now */
};

/* Read-only picture of a flow, for people and tests. */
struct tcp_flow_info {
    struct tcp_flow_id id;
    struct tcp_tuple tuple;
    uint32_t host;
    const char *state; /* RFC 9293's name, or "CONNECTING" */
    uint64_t up_bytes, down_bytes;
    uint32_t age_ms, idle_ms;
    uint32_t srtt_us, cwnd, snd_wnd, rcv_wnd, held, queued;
};

/* The same of a workstation number, since it names this one. */
struct tcp_host_info {
    uint32_t flows, connecting;
    uint64_t up_bytes, down_bytes;
};

struct tcp_engine;

/* Bytes of memory an engine needs; 0 if the configuration is out of range. */
size_t tcp_engine_size(const struct tcp_config *config);

/* Build an engine in `memory`: zeroed, page-aligned, tcp_engine_size() bytes, owned by the caller and in use until
 * the engine is no more. `ops` is copied; `ctx` goes to each of them. `now` is in microseconds of any monotonic
 * clock. Nothing needs to be undone when the memory is dropped; tcp_engine_reset_all() first if upstreams are to
 * be let go of. */
struct tcp_engine *tcp_engine_init(void *memory, const struct tcp_config *config, const struct tcp_ops *ops,
                                   void *ctx, uint64_t now);

/* A segment of the workstation (RFC 9293 3.10.7). */
void tcp_input(struct tcp_engine *engine, const struct tcp_in *in, uint64_t now);

/* ICMP "packet too big" or "fragmentation needed" about a segment of ours: `seq` is what it quotes, `mtu` what it
 * says (RFC 1191, 8201). Believed if it quotes what is in flight (RFC 5927 4.1) and asks for less than is sent: then what is
 * in flight is sent again at once, in smaller segments. `tuple` as the flow has it. */
void tcp_packet_too_big(struct tcp_engine *engine, const struct tcp_tuple *tuple, uint32_t seq, uint32_t mtu,
                        uint64_t now);

/* ICMP about a SYN of ours, whose sequence number it quotes: the workstation cannot be reached (soft), or has nobody
 * there (`hard`: protocol or port unreachable). Only the latter ends an attempt, and nothing ends an established flow (RFC
 * 1122 4.2.3.9, RFC 5927 6). */
void tcp_unreachable(struct tcp_engine *engine, const struct tcp_tuple *tuple, uint32_t seq, bool hard,
                     uint64_t now);

/* Open a connection to tuple->src of workstation `host`, from tuple->dst; if tuple->dst_port is 0, from a free port that
 * nobody can guess (RFC 6056). The upstream is the caller's, open, and can take `room` bytes: from now on it is what open()
 * makes one, and release() ends it. 0 and the flow in *id: tcp_ops.opened() will say how it went, within about three
 * minutes; whoever has less patience calls tcp_upstream_reset(). -EADDRINUSE: there is such a flow, or no port;
 * -ENOBUFS: a quota or the table is full; -EINVAL. Then nothing has happened. */
int tcp_open(struct tcp_engine *engine, const struct tcp_tuple *tuple, uint32_t host, size_t room, uint64_t now,
             struct tcp_flow_id *id);

/* The upstream is open and can take `room` bytes. */
void tcp_upstream_connected(struct tcp_engine *engine, struct tcp_flow_id id, size_t room, uint64_t now);

/* The upstream could not be opened; no release() follows. */
void tcp_upstream_failed(struct tcp_engine *engine, struct tcp_flow_id id, enum tcp_refusal why, uint64_t now);

/* There is something to read, or the end. Edge-triggered: said again only after read() returned -EAGAIN. */
void tcp_upstream_readable(struct tcp_engine *engine, struct tcp_flow_id id, uint64_t now);

/* There is room for `room` bytes again. */
void tcp_upstream_writable(struct tcp_engine *engine, struct tcp_flow_id id, size_t room, uint64_t now);

/* The upstream ended by an error: reset the flow (release() follows). */
void tcp_upstream_reset(struct tcp_engine *engine, struct tcp_flow_id id, uint64_t now);

/* Run what is due. */
void tcp_advance(struct tcp_engine *engine, uint64_t now);

/* End of a turn, as above. Returns true if there is more to do at once (a budget was used up): come back without
 * sleeping, after looking for input. */
bool tcp_flush(struct tcp_engine *engine, uint64_t now);

/* When tcp_advance() is to be called next, in *at (microseconds); false if nothing is waited for. */
bool tcp_next_deadline(const struct tcp_engine *engine, uint64_t *at);

/* Count what the workstation with this number uses against the quotas of `account` from now on, a number below max_hosts
 * that several may have in common. At first each is its own. Only while it has no flows. */
void tcp_engine_charge(struct tcp_engine *engine, uint32_t host, uint32_t account);

/* Reset all flows (RST to the workstation, abort upstream). */
void tcp_engine_reset_all(struct tcp_engine *engine, uint64_t now);

/* Reset all flows of one workstation number, before the number names another. */
void tcp_engine_reset_host(struct tcp_engine *engine, uint32_t host, uint64_t now);

/* Give memory back: returns the length of a run of bytes that is free and was touched, with its start in *start, or
 * 0. The caller returns the whole pages inside to the system (they must read as zeros later) and calls again. */
size_t tcp_engine_settle(struct tcp_engine *engine, void **start);

/* The highest index of a flow that is there, 0 if none is: of what the caller keeps by index, all above is free, too. */
uint32_t tcp_engine_highest(const struct tcp_engine *engine);

const struct tcp_counters *tcp_engine_counters(const struct tcp_engine *engine);
const struct drops *tcp_engine_drops(const struct tcp_engine *engine);

/* True and *info filled if flow slot `index` (1 to max_flows) holds a flow. */
bool tcp_flow_look(const struct tcp_engine *engine, uint32_t index, uint64_t now, struct tcp_flow_info *info);

/* No flow slot above this one holds a flow. */
uint32_t tcp_flow_highest(const struct tcp_engine *engine);

/* True and *info filled if `host` is below tcp_config.max_hosts. */
bool tcp_host_look(const struct tcp_engine *engine, uint32_t host, struct tcp_host_info *info);

#endif
