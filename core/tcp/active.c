/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From tcp_open() to ESTABLISHED: connections into the workstation network.
 *
 * The upstream is there before the flow is; it is read from, and written to, as soon as the workstation has answered.
 * In the tuple, and in everything that follows from it, the workstation stays the source: only who spoke first
 * is different. An answer counts only if it acknowledges our SYN exactly (RFC 9293 3.10.7.3), so a blind attacker
 * must guess 32 bits to refuse or to take over a connection, and the port besides.
 *
 *     tcp_open() ──SYN──> SYN_SENT ──SYN-ACK──> ESTABLISHED
 *                            │ SYN                   ^
 *                            └──SYN-ACK──> SYN_RECEIVED ──ACK or SYN-ACK
 */
#include <errno.h>

#include "tcp/internal.h"

#define PORT_MIN 1024u
#define PORT_TRIES 64u /* before so many guesses fail, a workstation has most of its ports in use */

/* Random for everybody but us, anew each time (RFC 6056 3.3.2). */
static bool pick_port(struct tcp_engine *e, struct tcp_tuple *tuple)
{
    for (uint32_t k = 0; k < PORT_TRIES; k++) {
        const uint64_t what[3] = {e->now, ++e->ports_picked, flow_isn(e, tuple)};
        uint64_t hash = siphash_24(&e->port_key, what, sizeof(what));
        tuple->dst_port = (uint16_t)(PORT_MIN + hash % (65536u - PORT_MIN));
        if (flow_find(e, tuple) == NULL)
            return true;
    }
    return false;
}

/* No more than half of the connects that may be pending are ours: a workstation that answers no SYN does not keep
 * itself, or others, from connecting out. */
static bool within_quota(struct tcp_engine *e, uint32_t host)
{
    return engine_host(e, host)->connecting < (e->cfg.host_connecting + 1) / 2 &&
           e->counters.connecting < (e->cfg.max_connecting + 1) / 2 && handshake_within_quota(e, host);
}

int tcp_open(struct tcp_engine *e, const struct tcp_tuple *to, uint32_t host, size_t room, uint64_t now,
             struct tcp_flow_id *id)
{
    engine_clock(e, now);
    struct tcp_tuple tuple = *to;
    if (tuple.src_port == 0 || host >= e->cfg.max_hosts || e->ops.opened == NULL ||
        ipaddr_is_v4(&tuple.src) != ipaddr_is_v4(&tuple.dst))
        return -EINVAL;
    if (!within_quota(e, host))
        return -ENOBUFS;
    if (tuple.dst_port != 0 ? flow_find(e, &tuple) != NULL : !pick_port(e, &tuple))
        return -EADDRINUSE;
    struct flow *f = flow_create(e, &tuple, host);
    if (f == NULL)
        return -ENOBUFS;

    f->state = FLOW_SYN_SENT;
    f->flags |= FLOW_ACTIVE | FLOW_UP_HELD | FLOW_UP_OPEN;
    receive_room(f, room);
    /* All that we can do is offered; the answer says what becomes of it. */
    f->flags |= FLOW_TS | FLOW_SACK;
    f->rcv_shift = RCV_SHIFT;
    f->ts_offset = flow_ts_offset(e, &tuple);
    f->snd_una = flow_isn(e, &tuple);
    handshake_send_syn(e, f);
    *id = flow_id(e, f);
    return 0;
}

void active_failed(struct tcp_engine *e, struct flow *f, int status)
{
    e->counters.flows_reset++;
    e->ops.opened(e->ctx, flow_id(e, f), status);
    flow_end(e, f, TCP_RELEASE_ABORT);
}

void active_opened(struct tcp_engine *e, struct flow *f)
{
    f->flags &= ~(uint32_t)(FLOW_ACTIVE | FLOW_UNREACHED);
    f->flags |= FLOW_ACK_NOW;
    flow_settled(e, f);
    e->ops.opened(e->ctx, flow_id(e, f), 0);
}

/* Of our SYN, and if it echoes a timestamp then one that we sent since (RFC 7323 3.2). */
static bool acknowledges(const struct tcp_engine *e, const struct flow *f, const struct segment *s)
{
    if (s->ack != f->snd_nxt)
        return false;
    uint32_t first = f->created_at + f->ts_offset;
    return !s->has_ts || (s->flags & TCP_RST) || s->tsecr - first <= e->now_ms - f->created_at;
}

/* The workstation's SYN is here. The window that ours promised stays promised. */
static void note_syn(struct tcp_engine *e, struct flow *f, const struct segment *s)
{
    uint32_t promised = f->rcv_edge - f->rcv_nxt;
    handshake_note_syn(e, f, s);
    f->rcv_edge = f->rcv_nxt + promised;
}

void active_input(struct tcp_engine *e, struct flow *f, const struct tcp_in *in, const struct segment *s)
{
    bool ack = (s->flags & TCP_ACK) != 0;
    bool rst = (s->flags & TCP_RST) != 0;

    if (ack && !acknowledges(e, f, s)) {
        /* Of an older connection, that the workstation still has: the RST ends it, and our next SYN finds room. */
        drop_count(&e->drops, DROP_TCP_WINDOW);
        if (!rst)
            emit_reset_for(e, in, s);
        return;
    }
    if (rst) {
        if (ack)
            active_failed(e, f, -ECONNREFUSED);
        else
            drop_count(&e->drops, DROP_TCP_WINDOW);
        return;
    }
    if (!(s->flags & TCP_SYN)) {
        drop_count(&e->drops, DROP_TCP_FLAGS);
        return;
    }
    /* Payload and FIN beside the SYN are not taken, and so come again. */
    note_syn(e, f, s);
    if (ack) {
        handshake_complete(e, f, s);
        return;
    }
    /* Both sides opened at once (RFC 9293 3.5, figure 8). */
    f->state = FLOW_SYN_RECEIVED;
    emit_syn(e, f);
}

bool active_crossed(const struct flow *f, const struct segment *s)
{
    return (f->flags & FLOW_ACTIVE) && (s->flags & TCP_ACK) && s->ack == f->snd_nxt;
}

void active_timeout(struct tcp_engine *e, struct flow *f)
{
    active_failed(e, f, f->flags & FLOW_UNREACHED ? -EHOSTUNREACH : -ETIMEDOUT);
}

void tcp_unreachable(struct tcp_engine *e, const struct tcp_tuple *tuple, uint32_t seq, bool hard, uint64_t now)
{
    engine_clock(e, now);
    struct flow *f = flow_find(e, tuple);
    if (f == NULL || !(f->flags & FLOW_ACTIVE) || seq != f->snd_una)
        return;
    if (hard)
        active_failed(e, f, -ECONNREFUSED);
    else
        f->flags |= FLOW_UNREACHED;
}
