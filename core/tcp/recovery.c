/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a flow gets over a loss.
 *
 *     (all well) ──lost by time or duplicate ACKs──> RECOVERY ──snd_una reaches recover──> (all well)
 *          │                                            │ timeout
 *          └──────────────timeout──────────────> LOSS <─┘ ──snd_una reaches recover──> (all well)
 *
 * What is lost says rack.c with SACK (RFC 8985), and RFC 6582 without. In RECOVERY the congestion window is what is on the
 * wire and as much more as proportional rate reduction allows for what arrived (RFC 6937, with Linux's rule for the slow
 * start part: no faster while more turns out to be lost). After a timeout slow start sends everything again that SACK
 * did not report.
 *
 * Either may have been a mistake: the path only became slower. If the first answer echoes a timestamp older than the first
 * retransmission, it is one to the original (Eifel, RFC 3522), and window and threshold are what they were (RFC 4015).
 * Without timestamps a timeout is judged by what is acknowledged next (F-RTO, RFC 5682): only one segment is sent again,
 * so what is acknowledged behind it arrived as it was sent first. If the first answer does not reach so far, something
 * new is sent in place of a second retransmission; if the next one still advances, originals are arriving, and if it is
 * a duplicate they are not.
 */
#include "tcp/internal.h"

static uint32_t flight(const struct flow *f)
{
    return f->snd_nxt - f->snd_una;
}

static void remember(const struct tcp_engine *e, const struct flow *f, struct board *b)
{
    b->undo_cwnd = f->cwnd;
    b->undo_ssthresh = f->ssthresh;
    b->undo_ts = e->now_ms + f->ts_offset;
}

/* Everything goes on as if nothing had been. */
static void undo(struct flow *f, struct board *b)
{
    b->frto = FRTO_NONE;
    f->cwnd = u32_max(f->cwnd, b->undo_cwnd);
    f->ssthresh = u32_max(f->ssthresh, b->undo_ssthresh);
    if (f->flags & FLOW_RECOVERY)
        f->flags |= FLOW_REORDERED;
    f->flags &= ~(uint32_t)(FLOW_RECOVERY | FLOW_LOSS);
    f->backoff = 0;
    f->dup_acks = 0;
    f->lost_edge = f->snd_una;
    f->rexmit_nxt = f->snd_una;
}

/* Is there something new, and may it be sent? */
static bool has_new(const struct flow *f)
{
    return !(f->flags & FLOW_FIN_SENT) && f->snd_queued > flight(f) && f->snd_wnd >= flight(f) + f->snd_mss;
}

/* An ACK advanced, to less than all that was outstanding at the timeout. True if it shows that this was a mistake. */
static bool frto_advanced(const struct tcp_engine *e, struct flow *f, struct board *b)
{
    if (b->frto == FRTO_SECOND)
        return true;
    /* The timeout sent one segment again. What lies behind it was acknowledged now; with SACK it is known not to have
     * arrived before. */
    uint32_t again = b->resent_count > 0 ? b->resent[b->resent_count - 1].right : f->snd_una;
    if ((f->flags & FLOW_SACK) && seq_gt(f->snd_una, again) &&
        board_sacked(e, f, again, f->snd_una) != f->snd_una - again)
        return true;
    b->frto = FRTO_NONE;
    if (has_new(f) && b->count == 0) {
        b->frto = FRTO_SECOND;
        f->lost_edge = f->snd_una;
        f->rexmit_nxt = f->snd_una;
    }
    return false;
}

/* A duplicate ACK. True if it shows that the timeout was a mistake. */
static bool frto_duplicate(const struct tcp_engine *e, struct flow *f, struct board *b)
{
    if (b->frto == FRTO_SECOND) {
        if (board_sacked(e, f, f->snd_una, f->recover) > 0)
            return true;
        /* What was new arrived and what was sent before it has not: it is lost (RFC 5682 2.1 (3a)). */
        f->lost_edge = f->recover;
        f->cwnd = 3u * f->snd_mss;
    }
    b->frto = FRTO_NONE;
    return false;
}

static void enter(struct tcp_engine *e, struct flow *f)
{
    struct board *b = board_take(e, f);
    f->flags |= FLOW_RECOVERY;
    f->karn = 1;
    /* The timer starts anew with what is sent again, and is no probe timer any more (RFC 8985 7.2). */
    f->flags &= ~(uint32_t)(FLOW_RTT_TIMED | FLOW_RTO_ARMED | FLOW_TLP_ARMED | FLOW_PROBED | FLOW_PROBE_AGAIN);
    f->recover = f->snd_nxt;
    f->rexmit_nxt = f->snd_una;
    rack_recovery_begins(f);
    if (b != NULL) {
        remember(e, f, b);
        b->prr_flight = u32_max(f->cwnd, f->snd_mss);
        b->prr_delivered = 0;
        b->prr_out = 0;
    }
    congestion_loss(f, flight(f));
}

static void leave(struct tcp_engine *e, struct flow *f)
{
    if ((f->flags & FLOW_RECOVERY) && (f->flags & FLOW_SACK)) {
        f->cwnd = f->ssthresh;
    } else if (f->flags & FLOW_RECOVERY) {
        /* Without SACK the ACK may come after a long silence: no burst (RFC 6582 3.2 (3)). */
        f->cwnd = u32_min(f->ssthresh, u32_max(flight(f), f->snd_mss) + f->snd_mss);
    }
    struct board *b = board_of(e, f);
    if (b != NULL)
        b->resent_count = 0;
    f->flags &= ~(uint32_t)(FLOW_RECOVERY | FLOW_LOSS);
    f->lost_edge = f->snd_una;
    f->rexmit_nxt = f->snd_una;
    f->dup_acks = 0;
}

void recovery_advanced(struct tcp_engine *e, struct flow *f, const struct segment *s, uint32_t from)
{
    struct board *b = board_of(e, f);
    uint32_t acked = f->snd_una - from;
    bool early =
        b != NULL && b->undo_cwnd != 0 && (f->flags & FLOW_TS) && s->tsecr != 0 && seq_lt(s->tsecr, b->undo_ts);

    f->flags &= ~(uint32_t)FLOW_PROBED;
    if ((f->flags & FLOW_LOSS) && b != NULL && b->frto != FRTO_NONE && seq_lt(f->snd_una, f->recover))
        early = frto_advanced(e, f, b);
    if ((f->flags & (FLOW_RECOVERY | FLOW_LOSS)) && early) {
        undo(f, b);
    } else if (f->flags & (FLOW_RECOVERY | FLOW_LOSS)) {
        if (seq_ge(f->snd_una, f->recover)) {
            leave(e, f);
        } else if ((f->flags & FLOW_RECOVERY) && f->rexmit_nxt == f->snd_una &&
                   (b == NULL || !(f->flags & FLOW_SACK))) {
            /* A partial ACK: what follows it is missing too (RFC 6582 3.2 (3)). */
            f->lost_edge = seq_max(f->lost_edge, f->snd_una + u32_min(f->snd_mss, flight(f)));
            f->dup_acks = (uint8_t)(f->dup_acks - u32_min(f->dup_acks, acked / f->snd_mss));
        }
    } else {
        f->dup_acks = 0;
    }
    board_prune(e, f);
}

/* RFC 6937 3, in bytes; sent is by whole segments. */
static void pace(const struct tcp_engine *e, struct flow *f, uint32_t delivered, bool clean)
{
    struct board *b = board_of(e, f);
    if (b == NULL || (delivered == 0 && b->prr_out != 0))
        return;
    uint32_t mss = f->snd_mss;
    uint32_t pipe = send_pipe(e, f);
    b->prr_delivered += delivered;
    uint32_t send;
    if (pipe > f->ssthresh) {
        uint64_t share = ((uint64_t)f->ssthresh * b->prr_delivered + b->prr_flight - 1) / b->prr_flight;
        share = (share + mss - 1) / mss * mss;
        send = share > b->prr_out ? (uint32_t)share - b->prr_out : 0;
    } else {
        send = b->prr_delivered > b->prr_out ? b->prr_delivered - b->prr_out : 0;
        send = u32_max(send, delivered) + (clean ? mss : 0);
        send = u32_min(send, f->ssthresh - pipe);
    }
    if (b->prr_out == 0)
        send = u32_max(send, mss);
    f->cwnd = u32_max(pipe + send, mss);
}

/* Without SACK, or without a board to put it on. */
static void lost_by_duplicates(struct tcp_engine *e, struct flow *f)
{
    /* Duplicate ACKs say that something is lost, not how much: one segment, up to what was reported. */
    uint32_t start = f->snd_una;
    f->lost_edge = board_hole(e, f, &start, f->snd_una + u32_min(f->snd_mss, flight(f)));
}

void recovery_acked(struct tcp_engine *e, struct flow *f, uint32_t delivered, bool advanced)
{
    bool counting = !(f->flags & FLOW_SACK) || f->board == 0;
    bool lost = false;
    struct board *b = board_of(e, f);
    if ((f->flags & FLOW_LOSS) && b != NULL && b->frto != FRTO_NONE) {
        if (!advanced && delivered > 0 && frto_duplicate(e, f, b))
            undo(f, b);
        else if (advanced && b->frto == FRTO_SECOND)
            f->cwnd = send_pipe(e, f) + 2u * f->snd_mss; /* (2b) */
    }
    if (!counting) {
        rack_news(e, f);
        lost = rack_detect(e, f);
    }
    if (!(f->flags & (FLOW_RECOVERY | FLOW_LOSS))) {
        if (counting ? f->dup_acks >= 3 && flight(f) > 0 : seq_gt(f->lost_edge, f->snd_una)) {
            enter(e, f);
            if (counting)
                lost_by_duplicates(e, f);
            lost = true;
            rack_detect(e, f); /* with what recovery knows better */
        }
    }
    if (f->flags & FLOW_RECOVERY)
        pace(e, f, delivered, advanced && !lost);
}

void recovery_probe_answered(struct flow *f, bool duplicate)
{
    if (!duplicate && seq_le(f->snd_una, f->recover))
        return;
    /* What came later was acknowledged and no second copy was reported: the probe has repaired a loss (RFC 8985 7.4). */
    if (!duplicate)
        congestion_loss(f, flight(f));
    f->flags &= ~(uint32_t)FLOW_PROBE_AGAIN;
}

void recovery_timeout(struct tcp_engine *e, struct flow *f)
{
    recovery_acked(e, f, 0, false);
    flow_list(e, f);
}

void recovery_all_lost(struct tcp_engine *e, struct flow *f)
{
    struct board *b = board_take(e, f);
    if (b != NULL) {
        bool first = f->retries == 0 && !(f->flags & FLOW_RECOVERY);
        if (first)
            remember(e, f, b);
        b->frto = first && !(f->flags & (FLOW_LOSS | FLOW_TS)) ? FRTO_FIRST : FRTO_NONE;
        /* A receiver that reports the very byte it asks for has dropped what it reported (RFC 2018 8). */
        if (b->count > 0 && b->block[0].left == f->snd_una)
            board_clear(e, f);
        b->resent_count = 0;
    }
    congestion_timeout(f, flight(f));
    f->dup_acks = 0;
    f->flags &= ~(uint32_t)(FLOW_RECOVERY | FLOW_PROBED | FLOW_PROBE_AGAIN);
    f->flags |= FLOW_LOSS;
    f->recover = f->snd_nxt;
    f->lost_edge = f->snd_nxt;
    f->rexmit_nxt = f->snd_una;
}

void recovery_too_large(struct tcp_engine *e, struct flow *f)
{
    /* RFC 1191 6.4: the router dropped them for their size, and said so. The congestion window stays as it is, what was
     * thought of losses before is void, and there is nothing to undo. */
    struct board *b = board_take(e, f);
    if (b != NULL) {
        b->frto = FRTO_NONE;
        b->undo_cwnd = 0;
        b->resent_count = 0;
    }
    if (f->flags & FLOW_RECOVERY)
        f->cwnd = f->ssthresh;
    f->cwnd = u32_max(f->cwnd, f->snd_mss);
    f->dup_acks = 0;
    f->flags &= ~(uint32_t)(FLOW_RECOVERY | FLOW_PROBED | FLOW_PROBE_AGAIN);
    f->flags &= ~(uint32_t)(FLOW_RTO_ARMED | FLOW_PERSIST | FLOW_TLP_ARMED | FLOW_REO_ARMED);
    f->flags |= FLOW_LOSS;
    f->recover = f->snd_nxt;
    f->lost_edge = f->snd_nxt;
    f->rexmit_nxt = f->snd_una;
    flow_list(e, f);
}

void recovery_sent(struct tcp_engine *e, struct flow *f, uint32_t bytes)
{
    struct board *b = board_of(e, f);
    if (b != NULL)
        b->prr_out += bytes;
}
