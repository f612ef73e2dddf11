/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an acknowledgment of the workstation means for what we sent: validity (RFC 5961 5), window, round trip, loss
 * (RFC 6675; RFC 6582 without SACK), and what may be forgotten.
 */
#include "tcp/internal.h"

/* An acknowledgment that advances always brings the newest window: with an older sequence number than the last update
 * it comes when segments were reordered, and the window it was counted from has moved on (beyond RFC 9293 3.10.7.4). */
static void update_window(struct flow *f, const struct segment *s)
{
    if (seq_le(s->ack, f->snd_una) && !seq_lt(f->snd_wl1, s->seq) &&
        !(f->snd_wl1 == s->seq && seq_le(f->snd_wl2, s->ack)))
        return;
    f->snd_wnd = (uint32_t)s->window << f->snd_shift;
    f->snd_wnd_max = u32_max(f->snd_wnd_max, f->snd_wnd);
    f->snd_wl1 = s->seq;
    f->snd_wl2 = s->ack;
}

static void take_sample(const struct tcp_engine *e, struct flow *f, const struct segment *s)
{
    if (f->flags & FLOW_RTT_TIMED) {
        if (seq_lt(s->ack, f->rtt_seq))
            return;
        rtt_sample(f, (uint32_t)e->now - f->rtt_at);
        /* A round trip is over. */
        bool limited = (f->flags & FLOW_LIMITED) != 0;
        f->flags &= ~(uint32_t)(FLOW_RTT_TIMED | FLOW_LIMITED | FLOW_WAS_LIMITED);
        f->flags |= limited ? FLOW_WAS_LIMITED : 0;
        f->backoff = 0;
    } else if ((f->flags & FLOW_TS) && rtt_echo(e, f, s->tsecr)) {
        /* After a retransmission only the echoed timestamp tells which copy was answered (RFC 7323 4.1). */
        f->backoff = 0;
    }
}

/* Fast recovery begins: what lies below `edge` counts as lost, or if it is snd_una, the segment there. */
static void enter_recovery(struct tcp_engine *e, struct flow *f, uint32_t edge)
{
    uint32_t flight = f->snd_nxt - f->snd_una;
    f->flags |= FLOW_RECOVERY;
    /* The timer starts anew with what is sent again, and is no probe timer any more (RFC 8985 7.2). */
    f->flags &= ~(uint32_t)(FLOW_RTT_TIMED | FLOW_RTO_ARMED | FLOW_TLP_ARMED);
    f->recover = f->snd_nxt;
    congestion_loss(e, f, flight);
    if (edge == f->snd_una) {
        /* Duplicate ACKs say that something is lost, not how much: one segment, up to what was reported. */
        uint32_t start = f->snd_una;
        edge = board_hole(e, f, &start, f->snd_una + u32_min(f->snd_mss, flight));
    }
    f->lost_edge = edge;
    f->rexmit_nxt = f->snd_una;
}

static void detect_loss(struct tcp_engine *e, struct flow *f, bool news)
{
    if (f->flags & FLOW_RECOVERY) {
        if (news)
            f->lost_edge = seq_max(f->lost_edge, board_lost_edge(e, f));
        return;
    }
    if (f->flags & FLOW_LOSS)
        return; /* everything is being sent again already (RFC 6582 3.2 (1)) */
    uint32_t edge = board_lost_edge(e, f);
    if (seq_gt(edge, f->snd_una) || f->dup_acks >= 3)
        enter_recovery(e, f, edge);
}

static void leave_recovery(struct flow *f)
{
    if ((f->flags & FLOW_RECOVERY) && (f->flags & FLOW_SACK)) {
        f->cwnd = f->ssthresh;
    } else if (f->flags & FLOW_RECOVERY) {
        /* Without SACK the ACK may come after a long silence: no burst (RFC 6582 3.2 (3)). */
        uint32_t flight = f->snd_nxt - f->snd_una;
        f->cwnd = u32_min(f->ssthresh, u32_max(flight, f->snd_mss) + f->snd_mss);
    }
    f->flags &= ~(uint32_t)(FLOW_RECOVERY | FLOW_LOSS);
    f->lost_edge = f->snd_una;
    f->rexmit_nxt = f->snd_una;
}

/* New data is acknowledged. False if the flow is gone. */
static bool advance(struct tcp_engine *e, struct flow *f, const struct segment *s)
{
    bool recovering = (f->flags & FLOW_RECOVERY) != 0; /* until and with the ACK that ends it, nothing grows */
    uint32_t acked = s->ack - f->snd_una;
    uint32_t data = u32_min(acked, f->snd_queued);

    take_sample(e, f, s);
    queue_drop(e, f, data);
    f->snd_una = s->ack;
    f->down_bytes += data;
    e->counters.down_bytes += data;
    f->rexmit_nxt = seq_max(f->rexmit_nxt, f->snd_una);
    f->lost_edge = seq_max(f->lost_edge, f->snd_una);
    board_prune(e, f);
    f->retries = 0;
    f->flags &= ~(uint32_t)(FLOW_RTO_ARMED | FLOW_PERSIST | FLOW_TLP_ARMED | FLOW_PROBED | FLOW_ICMP_MTU);

    if (f->flags & (FLOW_RECOVERY | FLOW_LOSS)) {
        if (seq_ge(f->snd_una, f->recover)) {
            leave_recovery(f);
            f->dup_acks = 0;
        } else if ((f->flags & FLOW_RECOVERY) && f->rexmit_nxt == f->snd_una) {
            /* A partial ACK: what follows it is missing too (RFC 6582 3.2 (3)). */
            f->lost_edge = seq_max(f->lost_edge, f->snd_una + u32_min(f->snd_mss, f->snd_nxt - f->snd_una));
            f->dup_acks = (uint8_t)(f->dup_acks - u32_min(f->dup_acks, acked / f->snd_mss));
        }
    } else {
        f->dup_acks = 0;
    }
    if (!recovering)
        congestion_acked(e, f, data, (f->flags & (FLOW_LIMITED | FLOW_WAS_LIMITED | FLOW_LOSS)) != 0);
    if ((f->flags & FLOW_FIN_SENT) && f->snd_una == f->snd_nxt)
        close_fin_acked(e, f);
    return f->state != FLOW_FREE && f->state != FLOW_TIME_WAIT;
}

bool ack_input(struct tcp_engine *e, struct flow *f, const struct segment *s)
{
    if (seq_gt(s->ack, f->snd_nxt) || seq_lt(s->ack, f->snd_una - f->snd_wnd_max)) {
        drop_count(&e->drops, DROP_TCP_WINDOW);
        receive_flush(e, f);
        emit_challenge(e, f);
        return false;
    }
    if (seq_lt(s->ack, f->snd_una))
        return true; /* old, but its payload may be good */

    uint32_t old_window = f->snd_wnd;
    update_window(f, s);
    bool news = s->sack_count > 0 && (f->flags & FLOW_SACK) && board_note(e, f, s);

    if (s->ack != f->snd_una) {
        if (!advance(e, f, s))
            return f->state != FLOW_FREE;
    } else if (f->snd_nxt != f->snd_una && s->len == 0 && !(s->flags & (TCP_SYN | TCP_FIN)) &&
               f->snd_wnd == old_window && old_window != 0) {
        /* A duplicate ACK: nothing new but that a segment arrived (RFC 5681 2). With SACK it must say which (RFC 6675
         * 2); one that only reports a duplicate does not. */
        if (f->dup_acks < UINT8_MAX && (news || !(f->flags & FLOW_SACK)))
            f->dup_acks++;
    }
    if (news || f->dup_acks >= 3)
        detect_loss(e, f, news);

    if (old_window == 0 && f->snd_wnd > 0) {
        /* The window is open again. What was sent against the shut one counts as lost, not as congestion. */
        f->flags &= ~(uint32_t)(FLOW_RTO_ARMED | FLOW_PERSIST);
        f->backoff = 0;
        if (f->snd_nxt != f->snd_una) {
            f->lost_edge = f->snd_nxt;
            f->rexmit_nxt = f->snd_una;
        }
    }
    flow_list(e, f);
    return true;
}
