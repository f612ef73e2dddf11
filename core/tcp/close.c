/* SPDX-License-Identifier: BSD-3-Clause */
/* The ends of a flow (RFC 9293 3.6), see the diagram in flow.h. */
#include "tcp/internal.h"

void close_fin_received(struct tcp_engine *e, struct flow *f)
{
    if (f->rcv_held > 0 && f->state != FLOW_ESTABLISHED) {
        /* With this FIN the flow would be over, and what upstream has not taken yet, though it is acknowledged, would be
         * lost. So it counts as not yet here. */
        f->flags |= FLOW_RCV_FIN | FLOW_ACK_NOW;
        f->rcv_fin = f->rcv_nxt;
        flow_list(e, f);
        return;
    }
    f->flags &= ~(uint32_t)FLOW_RCV_FIN;
    f->rcv_nxt++;
    f->rcv_edge = seq_max(f->rcv_edge, f->rcv_nxt);
    f->active_at = e->now_ms;
    if (f->rcv_held == 0)
        receive_discard(e, f); /* what claims to stand behind the end */
    switch (f->state) {
    case FLOW_ESTABLISHED:
        /* The upstream is told, and stays: what it has to say still comes. */
        f->state = FLOW_CLOSE_WAIT;
        close_tell(e, f);
        break;
    case FLOW_FIN_WAIT_1:
        f->state = FLOW_CLOSING;
        flow_release_upstream(e, f, TCP_RELEASE_CLOSE);
        break;
    case FLOW_FIN_WAIT_2:
        emit_ack(e, f);
        flow_enter_time_wait(e, f);
        return;
    default:
        return;
    }
    f->flags |= FLOW_ACK_NOW;
    flow_list(e, f);
    timer_arm(e, f);
}

void close_tell(struct tcp_engine *e, struct flow *f)
{
    if (f->rcv_held == 0 && (f->flags & FLOW_UP_HELD) && e->ops.closed != NULL)
        e->ops.closed(e->ctx, flow_id(e, f));
}

void close_fin_waited(struct tcp_engine *e, struct flow *f)
{
    if (f->rcv_held > 0)
        return;
    if (f->state == FLOW_CLOSE_WAIT) {
        receive_discard(e, f);
        close_tell(e, f);
        flow_list(e, f); /* our own FIN waited */
    } else if ((f->flags & FLOW_RCV_FIN) && f->rcv_fin == f->rcv_nxt && f->state != FLOW_FREE)
        close_fin_received(e, f);
}

void close_fin_acked(struct tcp_engine *e, struct flow *f)
{
    switch (f->state) {
    case FLOW_FIN_WAIT_1:
        f->state = FLOW_FIN_WAIT_2;
        f->active_at = e->now_ms;
        timer_arm(e, f);
        break;
    case FLOW_CLOSING:
        if (f->flags & FLOW_ACK_NOW)
            emit_ack(e, f); /* of a FIN that came in the same turn */
        flow_enter_time_wait(e, f);
        break;
    case FLOW_LAST_ACK:
        flow_end(e, f, TCP_RELEASE_CLOSE);
        break;
    default:
        break;
    }
}

void close_reset(struct tcp_engine *e, struct flow *f)
{
    e->counters.flows_reset++;
    if (f->state != FLOW_CONNECTING && f->state != FLOW_SYN_SENT)
        emit_reset(e, f);
    flow_end(e, f, TCP_RELEASE_ABORT);
}
