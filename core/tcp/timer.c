/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One timer per flow, set to the earliest of what it waits for: retransmission, delayed ACK, end of its patience.
 *
 * It is moved only forwards in time when it strikes: that a deadline went further away (as the retransmission timer
 * does with every ACK) costs nothing; the timer then strikes early, once, and is set anew.
 */
#include "tcp/internal.h"

/* accept = optimistic: the handshake is complete, the upstream not open yet. */
static bool is_opening(const struct flow *f)
{
    return (f->flags & (FLOW_UP_HELD | FLOW_UP_OPEN)) == FLOW_UP_HELD;
}

/* When a flow in this state is given up, ms; false if something else bounds the state. */
static bool life_ends(const struct tcp_engine *e, const struct flow *f, uint32_t *at)
{
    switch (f->state) {
    case FLOW_CONNECTING:
        *at = f->created_at + e->cfg.connect_timeout;
        return true;
    case FLOW_SYN_SENT:
    case FLOW_SYN_RECEIVED:
        return false; /* the SYNs and SYN-ACKs are counted */
    case FLOW_CLOSE_WAIT:
        if (is_opening(f))
            *at = f->created_at + e->cfg.connect_timeout;
        else if (f->snd_queued > 0 || (f->flags & FLOW_READABLE))
            *at = f->active_at + e->cfg.idle_timeout; /* it is the workstation that is slow */
        else
            *at = f->active_at + e->cfg.half_close_timeout;
        return true;
    case FLOW_FIN_WAIT_2:
        *at = f->active_at + FIN_WAIT_2_MS;
        return true;
    case FLOW_TIME_WAIT:
        *at = f->active_at + TIME_WAIT_MS;
        return true;
    case FLOW_ESTABLISHED:
        *at = is_opening(f) ? f->created_at + e->cfg.connect_timeout : f->active_at + e->cfg.idle_timeout;
        return true;
    default:
        *at = f->active_at + e->cfg.idle_timeout;
        return true;
    }
}

void timer_arm(struct tcp_engine *e, struct flow *f)
{
    uint32_t at = 0;
    uint32_t other = 0;
    bool any = life_ends(e, f, &at);
    if ((f->flags & FLOW_RTO_ARMED) && (!any || seq_lt(f->rto_at, at))) {
        at = f->rto_at;
        any = true;
    }
    other = f->ack_at;
    if ((f->flags & FLOW_ACK_LATER) && (!any || seq_lt(other, at))) {
        at = other;
        any = true;
    }
    /* What is due is not due twice in one tcp_advance(): after a long sleep the wheel is still behind, and would come
     * by here for every millisecond of it. */
    if (seq_le(at, e->now_ms))
        at = e->now_ms + 1;
    uint32_t i = flow_index(e, f);
    if (any && (!wheel_is_set(&e->wheel, i) || seq_lt(at, f->timer.at)))
        wheel_set(&e->wheel, i, at);
}

static void life_over(struct tcp_engine *e, struct flow *f)
{
    switch (f->state) {
    case FLOW_CONNECTING:
        /* The workstation's own SYN timer has the last word; to it the far end is silent. */
        e->counters.flows_refused++;
        flow_end(e, f, TCP_RELEASE_ABORT);
        break;
    case FLOW_CLOSE_WAIT:
        /* What the workstation sent arrives nowhere, or it takes nothing: no FIN may say that all went well. */
        if (f->rcv_held > 0 || f->snd_queued > 0 || (f->flags & FLOW_READABLE) || is_opening(f)) {
            close_reset(e, f);
            break;
        }
        /* Nothing came for long: now the far end may see the end of file, at the price of the way back. */
        flow_release_upstream(e, f, TCP_RELEASE_CLOSE);
        f->flags |= FLOW_UP_EOF;
        flow_list(e, f);
        break;
    case FLOW_FIN_WAIT_2:
    case FLOW_TIME_WAIT:
        if (f->rcv_held > 0)
            close_reset(e, f); /* acknowledged, but nobody took it */
        else
            flow_end(e, f, TCP_RELEASE_CLOSE);
        break;
    default:
        close_reset(e, f);
        break;
    }
}

void timer_run(struct tcp_engine *e, struct flow *f)
{
    uint32_t at;
    receive_flush(e, f); /* what a timer sends acknowledges, and only what was written may be acknowledged */
    if ((f->flags & FLOW_RTO_ARMED) && seq_ge(e->now_ms, f->rto_at))
        send_timeout(e, f);
    if (f->state != FLOW_FREE && (f->flags & FLOW_ACK_LATER) && seq_ge(e->now_ms, f->ack_at)) {
        f->flags &= ~(uint32_t)FLOW_ACK_LATER; /* or it would be due again at once */
        f->flags |= FLOW_ACK_NOW;
        flow_list(e, f);
    }
    if (f->state != FLOW_FREE && life_ends(e, f, &at) && seq_ge(e->now_ms, at))
        life_over(e, f);
    if (f->state != FLOW_FREE)
        timer_arm(e, f);
}
