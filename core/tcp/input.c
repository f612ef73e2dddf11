/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A segment comes in: RFC 9293 3.10.7 in its order (sequence number, RST, SYN, ACK, payload, FIN), with RFC 7323's
 * PAWS before and RFC 5961's challenge ACKs where the RFC of 1981 would have torn the connection down.
 */
#include <errno.h>

#include "tcp/internal.h"
#include "tcp/steps.h"

#define PAWS_FORGET (24u * 24u * 3600u * 1000u) /* ms, RFC 7323 5.5 */

/* RFC 7323 5.2: older than the newest timestamp seen in order. */
static bool paws_rejects(const struct tcp_engine *e, const struct flow *f, const struct segment *s)
{
    return seq_lt(s->tsval, f->ts_recent) && e->now_ms - f->ts_recent_at < PAWS_FORGET;
}

/* RFC 9293 3.10.7.4, first: does any of it lie in the window? A FIN right at the edge of a shut window is let in. */
static bool acceptable(const struct flow *f, const struct segment *s)
{
    uint32_t space = segment_space(s);
    uint32_t window = seq_gt(f->rcv_edge, f->rcv_nxt) ? f->rcv_edge - f->rcv_nxt : 0;
    uint32_t from = s->seq - f->rcv_nxt; /* may be "negative" */

    /* An ACK right at the edge counts, too: a workstation that filled the window sends all its ACKs from there, and
     * while what it sent is lost they would all be ignored (RFC 9293's table has it outside; nobody else does). */
    if (space == 0)
        return from <= window;
    if (window == 0)
        return from == 0 && s->len == 0;
    return from < window || from + space - 1 < window ||
           (seq_le(s->seq, f->rcv_nxt) && seq_gt(s->seq + space, f->rcv_nxt));
}

static bool in_window(const struct flow *f, uint32_t seq)
{
    uint32_t window = seq_gt(f->rcv_edge, f->rcv_nxt) ? f->rcv_edge - f->rcv_nxt : 0;
    return seq - f->rcv_nxt < u32_max(window, 1);
}

/* Outside the window: say where we are. The probes of zero windows and of keepalives come here, and a stray old
 * segment; two confused ends must not answer each other for ever. */
static void outside_window(struct tcp_engine *e, struct flow *f, const struct segment *s)
{
    drop_count(&e->drops, DROP_TCP_WINDOW);
    receive_flush(e, f);
    if (seq_lt(s->seq, f->rcv_nxt) && s->len > 0 && (f->flags & FLOW_SACK) && seq_le(s->seq + s->len, f->rcv_nxt)) {
        emit_ack_dsack(e, f, (struct sack_block){s->seq, s->seq + s->len});
        return;
    }
    if (s->len > 0)
        emit_ack(e, f); /* only timers send payload again */
    else
        emit_challenge(e, f);
}

static void note_timestamp(const struct tcp_engine *e, struct flow *f, const struct segment *s)
{
    if (s->has_ts)
        step_timestamp(e, f, s->seq, s->tsval);
}

/* TIME_WAIT: a new SYN that cannot be old begins a new connection at once (RFC 9293 3.10.7.4, RFC 6191). */
static bool time_wait_reuse(const struct flow *f, const struct segment *s)
{
    if ((s->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN)
        return false;
    if ((f->flags & FLOW_TS) && s->has_ts)
        return seq_gt(s->tsval, f->ts_recent) || (s->tsval == f->ts_recent && seq_gt(s->seq, f->rcv_nxt));
    return seq_gt(s->seq, f->rcv_nxt);
}

static void fin_input(struct tcp_engine *e, struct flow *f, const struct segment *s)
{
    uint32_t fin = s->seq + s->len;
    if (seq_gt(fin, f->rcv_nxt)) {
        /* Ahead of what is missing, or of what did not fit the window. */
        if (in_window(f, fin)) {
            f->flags |= FLOW_RCV_FIN;
            f->rcv_fin = fin;
            if (s->len == 0) {
                f->flags |= FLOW_ACK_NOW; /* out of order, as data would be (RFC 5681 4.2) */
                flow_list(e, f);
            }
        }
        return;
    }
    if (fin == f->rcv_nxt)
        close_fin_received(e, f);
}

/* RFC 5961 3.2: only a number that we told is right. Of these there are, with Linux, two more than rcv_nxt: the end of
 * what SACK reported, where a workstation with a gap before it stands; and the byte before its FIN. */
static bool reset_is_exact(const struct tcp_engine *e, const struct flow *f, uint32_t seq)
{
    if (seq == f->rcv_nxt)
        return true;
    if (seq + 1 == f->rcv_nxt)
        return f->state == FLOW_CLOSE_WAIT || f->state == FLOW_LAST_ACK || f->state == FLOW_CLOSING;
    return (f->flags & FLOW_SACK) && f->rcv_head != 0 && seq_gt(seq, f->rcv_nxt) && seq == reassembly_end(e, f);
}

static void synchronised(struct tcp_engine *e, struct flow *f, const struct tcp_in *in, const struct segment *s)
{
    if ((f->flags & FLOW_TS) && !(s->flags & TCP_RST)) {
        if (!s->has_ts) {
            drop_count(&e->drops, DROP_TCP_PAWS); /* RFC 7323 3.2 */
            return;
        }
        if (paws_rejects(e, f, s)) {
            drop_count(&e->drops, DROP_TCP_PAWS);
            receive_flush(e, f);
            emit_challenge(e, f);
            return;
        }
    }
    if (s->flags & TCP_RST) {
        receive_flush(e, f);
        if (reset_is_exact(e, f, s->seq)) {
            if (f->flags & FLOW_ACTIVE) {
                active_failed(e, f, -ECONNREFUSED);
                return;
            }
            e->counters.flows_reset++;
            flow_end(e, f, TCP_RELEASE_ABORT);
        } else {
            drop_count(&e->drops, DROP_TCP_WINDOW);
            if (in_window(f, s->seq))
                emit_challenge(e, f); /* RFC 5961 3.2 */
        }
        return;
    }
    if (s->flags & TCP_SYN) {
        receive_flush(e, f);
        if (f->state == FLOW_SYN_RECEIVED && s->seq + 1 == f->rcv_nxt && !(s->flags & TCP_ACK)) {
            drop_count(&e->drops, DROP_TCP_SYN_REPEAT);
            note_timestamp(e, f, s);
            emit_syn(e, f);
            return;
        }
        if (f->state == FLOW_SYN_RECEIVED && s->seq + 1 == f->rcv_nxt && active_crossed(f, s)) {
            handshake_complete(e, f, s);
            return;
        }
        drop_count(&e->drops, DROP_TCP_FLAGS);
        emit_challenge(e, f); /* RFC 5961 4.2 */
        return;
    }
    /* In FIN_WAIT_2 it is not silent as long as it sends, be it that our ACKs are lost. */
    if (f->state == FLOW_FIN_WAIT_2 && s->len > 0)
        f->active_at = e->now_ms;
    if (!acceptable(f, s)) {
        /* A shut window does not keep the acknowledgment of a probe from being taken note of. */
        if (s->seq == f->rcv_nxt && (s->flags & TCP_ACK) && f->state != FLOW_SYN_RECEIVED && !ack_input(e, f, s))
            return;
        if (f->state != FLOW_FREE && f->state != FLOW_TIME_WAIT)
            outside_window(e, f, s);
        return;
    }
    if (!(s->flags & TCP_ACK)) {
        drop_count(&e->drops, DROP_TCP_FLAGS);
        return;
    }
    if (f->state == FLOW_SYN_RECEIVED) {
        if (s->ack != f->snd_nxt) {
            drop_count(&e->drops, DROP_TCP_WINDOW);
            emit_reset_for(e, in, s);
            return;
        }
        note_timestamp(e, f, s);
        if (!handshake_complete(e, f, s))
            return;
    } else {
        if (!ack_input(e, f, s))
            return;
        note_timestamp(e, f, s); /* not before the ACK is found good, or anybody could set it */
        if (f->state == FLOW_TIME_WAIT)
            return;
    }
    if (f->state == FLOW_ESTABLISHED || f->snd_queued > 0)
        f->active_at = e->now_ms;
    bool receiving = f->state == FLOW_ESTABLISHED || f->state == FLOW_FIN_WAIT_1 || f->state == FLOW_FIN_WAIT_2;
    if (receiving && s->len > 0) {
        receive_data(e, f, s, in->gso_size);
        if (f->state == FLOW_FREE)
            return;
    }
    if (!receiving)
        return;
    if (s->flags & TCP_FIN) {
        receive_flush(e, f);
        fin_input(e, f, s);
    } else if ((f->flags & FLOW_RCV_FIN) && f->rcv_fin == f->rcv_nxt) {
        receive_flush(e, f);
        if (f->rcv_fin == f->rcv_nxt)
            close_fin_received(e, f);
    }
}

static void time_wait(struct tcp_engine *e, struct flow *f, const struct tcp_in *in, const struct segment *s)
{
    if (time_wait_reuse(f, s)) {
        handshake_again(e, f, in, s);
        return;
    }
    if (s->flags & TCP_RST) {
        if (s->seq == f->rcv_nxt)
            flow_end(e, f, TCP_RELEASE_CLOSE);
        return;
    }
    /* The workstation did not see our last ACK, or asks. */
    if (s->flags & TCP_FIN)
        f->active_at = e->now_ms;
    if (segment_space(s) > 0 || s->seq != f->rcv_nxt)
        emit_challenge(e, f);
}

static void no_flow(struct tcp_engine *e, const struct tcp_in *in, const struct segment *s)
{
    if (s->flags & TCP_RST) {
        drop_count(&e->drops, DROP_TCP_STRAY_RST);
        return;
    }
    /* Nothing listens at port 0, and nobody calls from there: refused like any closed port, as kernels do. */
    if ((s->flags & (TCP_SYN | TCP_ACK | TCP_FIN)) == TCP_SYN && s->src_port != 0 && s->dst_port != 0) {
        handshake_listen(e, in, s);
        return;
    }
    drop_count(&e->drops, DROP_TCP_NO_FLOW);
    emit_reset_for(e, in, s);
}

void input_segment(struct tcp_engine *e, const struct tcp_in *in)
{
    struct segment s;

    if (segment_parse(in->seg, &s) < 0 || in->host >= e->cfg.max_hosts) {
        drop_count(&e->drops, DROP_TCP_BAD);
        return;
    }
    struct tcp_tuple tuple = {.src = in->src, .dst = in->dst, .src_port = s.src_port, .dst_port = s.dst_port};
    struct flow *f = flow_recall(e, &tuple);
    if (f == NULL) {
        no_flow(e, in, &s);
        return;
    }
    if (f->host != in->host) {
        drop_count(&e->drops, DROP_IP_SOURCE);
        return;
    }
    switch (f->state) {
    case FLOW_CONNECTING:
        handshake_input(e, f, &s);
        break;
    case FLOW_SYN_SENT:
        active_input(e, f, in, &s);
        break;
    case FLOW_TIME_WAIT:
        time_wait(e, f, in, &s);
        break;
    default:
        synchronised(e, f, in, &s);
        break;
    }
}
