/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an acknowledgment of the workstation means for what we sent: validity (RFC 5961 5), window, round trip, and what
 * may be forgotten. What it says about losses is for recovery.c.
 */
#include "tcp/internal.h"
#include "tcp/steps.h"

/* Of the bytes up to `ack`, those that SACK or duplicate ACKs told of before: they were no reason for the window to grow
 * then, and are none now. */
static uint32_t told_before(const struct tcp_engine *e, const struct flow *f, uint32_t ack)
{
    if (f->flags & FLOW_SACK)
        return f->board != 0 ? board_sacked(e, f, f->snd_una, ack) : 0;
    return u32_min((uint32_t)f->dup_acks * f->snd_mss, (ack - f->snd_una) - u32_min(ack - f->snd_una, f->snd_mss));
}

/* New data is acknowledged. False if the flow is gone. */
static bool advance(struct tcp_engine *e, struct flow *f, const struct segment *s)
{
    bool recovering = (f->flags & FLOW_RECOVERY) != 0; /* until and with the ACK that ends it, nothing grows */
    bool lossy = (f->flags & FLOW_LOSS) != 0;
    uint32_t from = f->snd_una;
    uint32_t told = told_before(e, f, s->ack);
    uint32_t data = step_advance(e, f, s->ack, s->tsecr);
    if (f->board != 0 || (f->flags & (FLOW_RECOVERY | FLOW_LOSS | FLOW_PROBED)))
        recovery_advanced(e, f, s, from);
    else
        f->dup_acks = 0;
    if (!recovering)
        congestion_acked(e, f, data - u32_min(data, told),
                         (f->flags & (FLOW_LIMITED | FLOW_WAS_LIMITED)) != 0 || lossy);
    if ((f->flags & FLOW_FIN_SENT) && f->snd_una == f->snd_nxt)
        close_fin_acked(e, f);
    return f->state != FLOW_FREE && f->state != FLOW_TIME_WAIT;
}

/* Bytes beyond snd_una of which we were told that they arrived. */
static uint32_t reported(const struct tcp_engine *e, const struct flow *f)
{
    if (f->board != 0 && (f->flags & FLOW_SACK))
        return board_sacked(e, f, f->snd_una, f->snd_nxt);
    return u32_min((uint32_t)f->dup_acks * f->snd_mss, f->snd_nxt - f->snd_una);
}

/* The first block reports a duplicate (RFC 2883 4): it lies below the ACK, or in the second block. */
static bool is_dsack(const struct segment *s)
{
    const struct sack_block *b = s->sack;
    return seq_le(b[0].right, s->ack) ||
           (s->sack_count > 1 && seq_ge(b[0].left, b[1].left) && seq_le(b[0].right, b[1].right));
}

/* Note what SACK blocks report. What was sent once and is reported, or acknowledged, after what was sent later was
 * overtaken. True if a block told something new. */
static bool note_blocks(struct tcp_engine *e, struct flow *f, const struct segment *s)
{
    uint32_t top = board_top(e, f);
    uint32_t once = seq_max(f->rexmit_nxt, f->snd_una);
    uint32_t acked = seq_max(once, seq_min(s->ack, top));
    bool below = seq_lt(once, top);
    uint32_t had = below ? board_sacked(e, f, once, top) : 0;
    if (below && board_sacked(e, f, once, acked) != acked - once)
        f->flags |= FLOW_REORDERED;
    bool news = s->sack_count > 0 && (f->flags & FLOW_SACK) && board_note(e, f, s);
    if (below && board_sacked(e, f, once, top) != had)
        f->flags |= FLOW_REORDERED;
    return news;
}

/* An ACK that a later one has overtaken may still report what that one did not. */
static void overtaken(struct tcp_engine *e, struct flow *f, const struct segment *s)
{
    if (s->sack_count == 0 || !(f->flags & FLOW_SACK))
        return;
    uint32_t had = reported(e, f);
    if (!note_blocks(e, f, s))
        return;
    uint32_t has = reported(e, f);
    recovery_acked(e, f, has > had ? has - had : 0, false);
    flow_list(e, f);
}

bool ack_input(struct tcp_engine *e, struct flow *f, const struct segment *s)
{
    if (seq_gt(s->ack, f->snd_nxt) || seq_lt(s->ack, f->snd_una - f->snd_wnd_max)) {
        drop_count(&e->drops, DROP_TCP_WINDOW);
        receive_flush(e, f);
        emit_challenge(e, f);
        return false;
    }
    if (seq_lt(s->ack, f->snd_una)) {
        overtaken(e, f, s); /* its payload may be good, too */
        return true;
    }

    uint32_t old_window = f->snd_wnd;
    uint32_t from = f->snd_una;
    bool troubled = f->board != 0 || f->dup_acks > 0 || (f->flags & (FLOW_RECOVERY | FLOW_LOSS));
    uint32_t had = troubled ? reported(e, f) : 0;
    step_window(f, s->seq, s->ack, s->window);
    bool news = (troubled || s->sack_count > 0) && note_blocks(e, f, s);
    bool dsack = s->sack_count > 0 && (f->flags & FLOW_SACK) && is_dsack(s);
    if (dsack)
        rack_dsack(f);
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
    if (f->flags & FLOW_PROBE_AGAIN)
        recovery_probe_answered(f,
                                dsack || (f->snd_una == from && !news && f->snd_wnd == old_window && s->len == 0));
    if (troubled || news || f->dup_acks >= 3) {
        uint32_t has = reported(e, f) + (f->snd_una - from);
        recovery_acked(e, f, has > had ? has - had : 0, f->snd_una != from);
    }

    if (old_window == 0 && f->snd_wnd > 0) {
        /* The window is open again. What was sent against the shut one counts as lost, not as congestion. */
        f->flags &= ~(uint32_t)(FLOW_RTO_ARMED | FLOW_PERSIST | FLOW_REO_ARMED);
        f->backoff = 0;
        if (f->snd_nxt != f->snd_una) {
            f->lost_edge = f->snd_nxt;
            f->rexmit_nxt = f->snd_una;
        }
    }
    flow_list(e, f);
    return true;
}
