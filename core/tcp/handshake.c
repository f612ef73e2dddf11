/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a workstation's SYN to ESTABLISHED. (active.c has the connections that we open, and shares what is alike.)
 *
 * accept = deferred: the upstream is opened first and the SYN-ACK waits for it, so that a refused port is an RST and
 * an unreachable host an ICMP message, as without a gateway. The workstation repeats its SYN meanwhile; that is
 * ignored. accept = optimistic: the SYN-ACK goes at once, and the upstream is opened when the workstation has shown
 * by its ACK that it can receive; a later failure is an RST.
 */
#include <errno.h>

#include "tcp/internal.h"

#define MSS_DEFAULT_V4 536u /* RFC 9293 3.7.1, when the option is absent */
#define MSS_DEFAULT_V6 1220u
#define REUSE_GAP                                                                                                  \
    65537u /* from the last number of a connection to the first of the next (Linux's: beyond a window) */
#define TIME_WAIT_STEPS 16u /* flows looked at to find one of the same workstation */

/* End the oldest TIME_WAIT of a workstation's account. False if none is among the oldest of all. */
static bool end_time_wait(struct tcp_engine *e, uint32_t host)
{
    uint32_t i = e->time_wait_first;
    for (uint32_t step = 0; i != 0 && step < TIME_WAIT_STEPS; step++) {
        struct flow *f = flow_at(e, i);
        if (e->accounts[f->host] == e->accounts[host]) {
            flow_end_time_wait(e, f);
            return true;
        }
        i = f->snd_head;
    }
    return false;
}

/* A TIME_WAIT counts, for it holds a slot, but it makes room for a new flow: else a workstation whose servers close first
 * would have no more than its quota of connections in a minute. */
bool handshake_within_quota(struct tcp_engine *e, uint32_t host_number)
{
    const struct host_use *host = engine_host(e, host_number);
    return host->connecting < e->cfg.host_connecting && e->counters.connecting < e->cfg.max_connecting &&
           (host->flows < e->cfg.host_flows || end_time_wait(e, host_number));
}

/* What the workstation's SYN says about it. Its MSS is obeyed however small it is: a floor, as some have against small
 * segments that cost us much, would send what a receiver cannot take (RFC 9293 3.7.1), and here each costs the
 * workstation as much: it must acknowledge them, and TURN_FRAMES and its own window bound what one turn may bring. */
void handshake_note_syn(struct tcp_engine *e, struct flow *f, const struct segment *s)
{
    bool v4 = ipaddr_is_v4(&f->tuple.src);
    uint32_t link = e->cfg.mtu - (v4 ? 40u : 60u);
    uint32_t mss = s->mss != 0 ? s->mss : v4 ? MSS_DEFAULT_V4 : MSS_DEFAULT_V6;

    f->flags &= ~(uint32_t)(FLOW_TS | FLOW_SACK);
    mss = u32_min(mss, link);
    if (s->has_ts) {
        f->flags |= FLOW_TS;
        f->ts_recent = s->tsval;
        f->ts_recent_at = e->now_ms;
        f->ts_offset = flow_ts_offset(e, &f->tuple);
        mss = mss > TCP_OPTION_TS_SIZE ? mss - TCP_OPTION_TS_SIZE : 1;
    }
    if (s->sack_permitted)
        f->flags |= FLOW_SACK;
    f->snd_shift = s->has_wscale ? s->wscale & 15u : 0;
    f->rcv_shift = s->has_wscale ? RCV_SHIFT : 0;
    f->snd_mss = (uint16_t)mss;
    f->rcv_mss = MSS_DEFAULT_V4;
    f->rcv_nxt = s->seq + 1;
    f->rcv_edge = f->rcv_nxt;
    f->rcv_acked = f->rcv_nxt;
    f->snd_wnd = s->window; /* never scaled in a SYN */
    f->snd_wnd_max = s->window;
    f->snd_wl1 = s->seq;
}

void handshake_send_syn(struct tcp_engine *e, struct flow *f)
{
    f->snd_nxt = f->snd_una + 1;
    f->snd_wl2 = f->snd_una;
    f->rexmit_nxt = f->snd_una;
    f->lost_edge = f->snd_una;
    emit_syn(e, f);
    f->rtt_at = (uint32_t)e->now;
    f->rto_at = e->now_ms + RTO_INITIAL;
    f->flags |= FLOW_RTO_ARMED;
    timer_arm(e, f);
}

static void send_syn_ack(struct tcp_engine *e, struct flow *f)
{
    f->state = FLOW_SYN_RECEIVED;
    handshake_send_syn(e, f);
}

/* Open the upstream. False if the flow is gone. */
static bool open_upstream(struct tcp_engine *e, struct flow *f)
{
    int err = e->ops.open(e->ctx, flow_id(e, f), &f->tuple, f->host);
    if (err == 0) {
        f->flags |= FLOW_UP_HELD;
        return true;
    }
    e->counters.flows_refused++;
    if (f->state != FLOW_CONNECTING || (err != -ENOBUFS && err != -EAGAIN)) {
        if (err != -EACCES)
            drop_count(&e->drops, DROP_TCP_REFUSED);
        emit_reset(e, f);
    } else {
        drop_count(&e->drops, DROP_TCP_QUOTA); /* it will try again, and so may we */
    }
    flow_end(e, f, TCP_RELEASE_ABORT);
    return false;
}

/* `used`: the last sequence number of ours in the connection before, or NULL. */
static void listen_after(struct tcp_engine *e, const struct tcp_in *in, const struct segment *s,
                         const uint32_t *used)
{
    struct tcp_tuple tuple = {.src = in->src, .dst = in->dst, .src_port = s->src_port, .dst_port = s->dst_port};

    if (!handshake_within_quota(e, in->host)) {
        drop_count(&e->drops, DROP_TCP_QUOTA);
        return;
    }
    struct flow *f = flow_create(e, &tuple, in->host);
    if (f == NULL && e->time_wait_first != 0) {
        /* The oldest TIME_WAIT has done most of its duty. */
        flow_end_time_wait(e, flow_at(e, e->time_wait_first));
        f = flow_create(e, &tuple, in->host);
    }
    if (f == NULL) {
        drop_count(&e->drops, DROP_TCP_FULL);
        return;
    }
    f->snd_una = flow_isn(e, &tuple);
    if (used != NULL && seq_le(f->snd_una, *used + REUSE_GAP))
        f->snd_una = *used + REUSE_GAP;
    handshake_note_syn(e, f, s);
    f->rcv_room = 65535;
    if (e->cfg.optimistic) {
        send_syn_ack(e, f);
        return;
    }
    f->state = FLOW_CONNECTING;
    if (open_upstream(e, f))
        timer_arm(e, f);
}

void handshake_listen(struct tcp_engine *e, const struct tcp_in *in, const struct segment *s)
{
    listen_after(e, in, s, NULL);
}

void handshake_again(struct tcp_engine *e, struct flow *f, const struct tcp_in *in, const struct segment *s)
{
    uint32_t used = f->snd_nxt;
    flow_end_time_wait(e, f);
    listen_after(e, in, s, &used);
}

void handshake_input(struct tcp_engine *e, struct flow *f, const struct segment *s)
{
    if (s->flags & TCP_RST) {
        /* The workstation gave up. It has seen nothing of ours, so only its own next sequence number can be right. */
        if (s->seq == f->rcv_nxt) {
            e->counters.flows_reset++;
            flow_end(e, f, TCP_RELEASE_ABORT);
        } else {
            drop_count(&e->drops, DROP_TCP_WINDOW);
        }
        return;
    }
    if ((s->flags & (TCP_SYN | TCP_ACK | TCP_FIN)) != TCP_SYN) {
        drop_count(&e->drops, DROP_TCP_FLAGS);
        return;
    }
    /* The same SYN again, or that of a new attempt from the same port: the latest is the one to be answered. */
    if (s->seq + 1 != f->rcv_nxt)
        handshake_note_syn(e, f, s);
    else if ((f->flags & FLOW_TS) && s->has_ts && seq_ge(s->tsval, f->ts_recent))
        f->ts_recent = s->tsval;
    drop_count(&e->drops, DROP_TCP_SYN_REPEAT);
}

bool handshake_complete(struct tcp_engine *e, struct flow *f, const struct segment *s)
{
    f->state = FLOW_ESTABLISHED;
    f->quick = QUICK_ACKS;
    f->snd_una = s->ack;
    f->rexmit_nxt = f->snd_una;
    f->lost_edge = f->snd_una;
    f->snd_wnd = (uint32_t)s->window << (s->flags & TCP_SYN ? 0 : f->snd_shift);
    f->snd_wnd_max = u32_max(f->snd_wnd, f->snd_wnd_max);
    f->snd_wl1 = s->seq;
    f->snd_wl2 = s->ack;
    f->flags &= ~(uint32_t)FLOW_RTO_ARMED;
    if (!(f->flags & FLOW_SYN_AGAIN))
        rtt_sample(f, (uint32_t)e->now - f->rtt_at);
    else if (s->has_ts)
        rtt_echo(e, f, s->tsecr);
    congestion_init(f);
    f->backoff = 0;
    f->retries = 0;
    f->flags |= FLOW_READABLE; /* a server that speaks first may have spoken already */
    if (!(f->flags & FLOW_UP_HELD)) {
        f->flags &= ~(uint32_t)FLOW_READABLE;
        if (!open_upstream(e, f))
            return false;
    }
    if (f->flags & FLOW_ACTIVE)
        active_opened(e, f);
    flow_list(e, f);
    timer_arm(e, f);
    return true;
}

void handshake_timeout(struct tcp_engine *e, struct flow *f)
{
    if (f->backoff >= (f->flags & FLOW_ACTIVE ? OPEN_RETRIES : SYN_RETRIES)) {
        if (f->flags & FLOW_ACTIVE) {
            active_timeout(e, f);
            return;
        }
        e->counters.flows_reset++;
        flow_end(e, f, TCP_RELEASE_ABORT);
        return;
    }
    f->backoff = (f->backoff + 1u) & 15u;
    f->flags |= FLOW_RTO_ARMED | FLOW_SYN_AGAIN;
    f->rto_at = e->now_ms + u32_min(RTO_INITIAL << f->backoff, RTO_MAX);
    e->counters.retransmits++;
    emit_syn(e, f);
    timer_arm(e, f);
}

void tcp_upstream_connected(struct tcp_engine *e, struct tcp_flow_id id, size_t room, uint64_t now)
{
    engine_clock(e, now);
    struct flow *f = flow_of_id(e, id);
    if (f == NULL || (f->flags & FLOW_UP_OPEN))
        return;
    flow_settled(e, f);
    f->flags |= FLOW_UP_OPEN;
    f->rcv_room_max = 0;
    receive_room(f, room);
    f->active_at = e->now_ms;
    if (f->state == FLOW_CONNECTING) {
        send_syn_ack(e, f);
        return;
    }
    f->flags |= FLOW_READABLE;
    flow_list(e, f);
}

void tcp_upstream_failed(struct tcp_engine *e, struct tcp_flow_id id, enum tcp_refusal why, uint64_t now)
{
    engine_clock(e, now);
    struct flow *f = flow_of_id(e, id);
    if (f == NULL || (f->flags & FLOW_UP_OPEN))
        return;
    f->flags &= ~(uint32_t)FLOW_UP_HELD; /* nothing to release */
    e->counters.flows_refused++;
    if (f->state != FLOW_CONNECTING) {
        close_reset(e, f);
        return;
    }
    if (why == TCP_REFUSAL_RESET) {
        f->snd_nxt = 0; /* RST,ACK from sequence number 0: the workstation is in SYN-SENT */
        emit_reset(e, f);
    } else if (why != TCP_REFUSAL_SILENT) {
        uint8_t quote[8];
        be16_store(quote, f->tuple.src_port);
        be16_store(quote + 2, f->tuple.dst_port);
        be32_store(quote + 4, f->rcv_nxt - 1);
        e->ops.unreachable(e->ctx, &f->tuple, f->host, why, quote);
    }
    flow_end(e, f, TCP_RELEASE_ABORT);
}
