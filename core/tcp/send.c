/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Data and FIN on their way to the workstation.
 *
 * One routine decides what leaves: first what is lost, then what is new, then the FIN, as far as the workstation's
 * window and the congestion window allow. `pipe` is the estimate of what is on the wire (RFC 6675 4). Bytes are lost
 * if they stand below lost_edge and SACK did not report them; of these, those below rexmit_nxt are on the wire again.
 */
#include <errno.h>

#include "tcp/internal.h"

#define TURN_FRAMES 8u          /* (super-)segments a flow may send before others have their turn */
#define TURN_SINGLE 44u         /* the same on a link without super-segments: as much as is in one of them */
#define GSO_MSS_MIN 128u        /* below it, super-segments are not worth their header */
#define PERSIST_GIVE_UP 900000u /* ms of probing without any answer */
#define ORPHAN_RETRIES 8u       /* timeouts in a row once nobody waits for the answer */
#define BACKOFF_MAX 10u         /* doublings; the RTO's upper bound comes before */
#define PROBE_MIN 4u            /* ms, shortest tail loss probe timeout */
#define PROBE_DELAYED_ACK 200u  /* ms, for a receiver that waits before it acknowledges a lone segment */

static uint32_t flight(const struct flow *f)
{
    return f->snd_nxt - f->snd_una;
}

static uint32_t unsent(const struct flow *f)
{
    return (f->flags & FLOW_FIN_SENT) ? 0 : f->snd_queued - flight(f);
}

/* Bytes right of seq that the workstation's window allows. */
static uint32_t window_from(const struct flow *f, uint32_t seq)
{
    uint32_t edge = f->snd_una + f->snd_wnd;
    return seq_gt(edge, seq) ? edge - seq : 0;
}

static uint32_t pipe_in_trouble(const struct tcp_engine *e, const struct flow *f)
{
    uint32_t edge = seq_max(f->lost_edge, f->snd_una);
    uint32_t pipe = f->snd_nxt - edge - board_sacked(e, f, edge, f->snd_nxt);
    uint32_t again = seq_min(f->rexmit_nxt, edge);
    if (seq_gt(again, f->snd_una))
        pipe += again - f->snd_una - board_sacked(e, f, f->snd_una, again);
    /* Without SACK each duplicate ACK says that one segment left the wire; after a timeout it is one of those that were
     * given up already. */
    if ((f->board == 0 || !(f->flags & FLOW_SACK)) && !(f->flags & FLOW_LOSS))
        pipe -= u32_min(pipe, (uint32_t)f->dup_acks * f->snd_mss);
    else
        pipe -= u32_min(pipe, rack_lost_bytes(e, f));
    return pipe;
}

uint32_t send_pipe(const struct tcp_engine *e, const struct flow *f)
{
    return f->lost_edge == f->snd_una && f->board == 0 && f->dup_acks == 0 ? flight(f) : pipe_in_trouble(e, f);
}

/* Largest payload of one emission. */
static uint32_t burst_max(const struct tcp_engine *e, uint32_t mss)
{
    if (e->cfg.gso_max < 2 * mss || mss < GSO_MSS_MIN)
        return mss;
    return e->cfg.gso_max - e->cfg.gso_max % mss;
}

/* Send again [seq, seq + len) of sequence space, which may end in the FIN. */
static void resend_range(struct tcp_engine *e, struct flow *f, uint32_t seq, uint32_t len, bool push)
{
    bool fin = (f->flags & FLOW_FIN_SENT) && seq + len == f->snd_nxt;
    f->flags &= ~(uint32_t)FLOW_RTT_TIMED; /* Karn: an answer would be ambiguous */
    f->karn = 1;
    e->counters.retransmits++;
    uint32_t bytes = fin ? len - 1 : len;
    emit_data(e, f, seq, bytes, fin, push || e->cfg.push_turns);
    rack_resent(e, f, seq, len);
    recovery_sent(e, f, bytes);
}

/* The next range to send again: what was sent again in vain, then what was not sent again yet. */
static bool next_lost(struct tcp_engine *e, struct flow *f, uint32_t *start, uint32_t *end)
{
    if (f->board != 0 && rack_lost_again(e, f, start, end))
        return true;
    *start = seq_max(f->rexmit_nxt, f->snd_una);
    if (seq_ge(*start, f->lost_edge))
        return false;
    *end = board_hole(e, f, start, f->lost_edge);
    f->rexmit_nxt = *start;
    return *start != *end;
}

/* Send again what is lost. Returns true if the budget ended it. */
static bool resend(struct tcp_engine *e, struct flow *f, uint32_t *frames)
{
    uint32_t mss = emit_mss(e, f);
    uint32_t start;
    uint32_t end;
    while (next_lost(e, f, &start, &end)) {
        if (*frames == 0)
            return true;
        uint32_t pipe = send_pipe(e, f);
        uint32_t room = f->cwnd > pipe ? f->cwnd - pipe : 0;
        if (start == f->snd_una)
            room = u32_max(room, mss); /* the first is sent whatever the pipe says (RFC 6675 5 (4.3)) */
        /* The FIN takes no room, here as when it was sent first. */
        uint32_t fin = (f->flags & FLOW_FIN_SENT) && end == f->snd_nxt ? 1 : 0;
        uint32_t data = end - start - fin;
        uint32_t len = u32_min(data, burst_max(e, mss));
        if (room < u32_min(len, mss))
            return false;
        len = u32_min(u32_min(len, room), window_from(f, start));
        if (len > mss && len != data)
            len -= len % mss;
        if (len == data)
            len += fin;
        if (len == 0)
            return false;
        resend_range(e, f, start, len, false);
        f->rexmit_nxt = seq_max(f->rexmit_nxt, start + len);
        (*frames)--;
    }
    return false;
}

/* Read from upstream until `want` bytes stand unsent or there is no more: only a read that fails says what comes next,
 * nothing yet, or the end. False if the flow is gone. */
static bool fill(struct tcp_engine *e, struct flow *f, uint32_t want)
{
    if (f->flags & FLOW_STARVED) {
        if (memory_left(e, f) == 0)
            return true;
        memory_wait_over(e, f);
    }
    int32_t n = 1;
    uint32_t max = queue_max(e, f);
    while (n > 0 && unsent(f) < want && (f->flags & FLOW_READABLE) && f->snd_queued < max)
        n = queue_fill(e, f, u32_min(want - unsent(f), max - f->snd_queued));
    if (n > 0)
        return true;
    switch (n) {
    case -EAGAIN:
        f->flags &= ~(uint32_t)FLOW_READABLE;
        return true;
    case -EPIPE:
        f->flags &= ~(uint32_t)FLOW_READABLE;
        f->flags |= FLOW_UP_EOF;
        return true;
    case -ENOMEM:
        return true;
    default:
        /* What came before it is owed to the workstation all the same. */
        f->flags &= ~(uint32_t)FLOW_READABLE;
        f->flags |= FLOW_UP_RESET;
        if (f->snd_queued > 0)
            return true;
        close_reset(e, f);
        return false;
    }
}

static void sent_new(struct tcp_engine *e, struct flow *f, uint32_t len)
{
    if (!(f->flags & FLOW_RTT_TIMED)) {
        f->flags |= FLOW_RTT_TIMED;
        f->rtt_seq = f->snd_nxt + len;
        f->rtt_at = (uint32_t)e->now;
    }
    if (len > 0)
        f->quick = 0; /* from here on ACKs may ride on data */
    f->snd_nxt += len;
    if (f->flags & FLOW_RECOVERY)
        recovery_sent(e, f, len);
}

/* May the FIN ride on, or follow, the byte before snd_una + snd_queued? */
static bool fin_due(const struct flow *f)
{
    if (!(f->flags & FLOW_UP_EOF) || (f->flags & FLOW_FIN_SENT))
        return false;
    /* After the workstation's FIN ours lets go of the upstream: not before it took what it is owed. */
    return f->state == FLOW_ESTABLISHED || (f->state == FLOW_CLOSE_WAIT && f->rcv_held == 0);
}

static void fin_sent(struct tcp_engine *e, struct flow *f)
{
    f->flags |= FLOW_FIN_SENT;
    f->snd_nxt++;
    f->active_at = e->now_ms;
    if (f->state == FLOW_CLOSE_WAIT) {
        f->state = FLOW_LAST_ACK;
        flow_release_upstream(e, f, TCP_RELEASE_CLOSE);
    } else {
        f->state = FLOW_FIN_WAIT_1;
    }
    timer_arm(e, f);
}

/* For how many RTOs nothing was sent, in full (RFC 5681 4.1). The clock of rtt_at goes round in 71 minutes. */
static uint32_t idle_rtos(const struct tcp_engine *e, const struct flow *f)
{
    uint32_t rto = rtt_rto(f);
    uint32_t silence = u32_max(((uint32_t)e->now - f->rtt_at) / 1000, e->now_ms - f->active_at);
    return f->srtt != 0 && silence > rto ? (silence - 1) / rto : 0;
}

/* A window that was not used says nothing about the path, and does not grow (RFC 9438 4.2.1, RFC 7661). */
static void note_limited(struct flow *f)
{
    uint32_t used = flight(f);
    if (f->cwnd < f->ssthresh ? 2 * used > f->cwnd : used + f->snd_mss > f->cwnd)
        f->flags |= FLOW_LIMITED;
}

/* Will one more segment leave in this turn after this one of `len` bytes? What send_new() decides when it comes to that. */
static bool one_follows(const struct flow *f, uint32_t len, uint32_t mss, uint32_t room, uint32_t frames)
{
    uint32_t left = unsent(f) - len;
    uint32_t next = u32_min(u32_min(left, room), mss);
    bool silly = next < mss && (left > next || (f->flags & FLOW_READABLE)) && next < f->snd_wnd_max / 2;
    return frames > 1 && next > 0 && !silly;
}

/* PSH says to a receiver, and to what gathers segments before it, that there is nothing to wait for. It goes on what ends a
 * write, which the queue knows; but also, as Linux has it, on the last of several segments that leave at once, and when
 * half the largest window went without. `room`: what the windows allow after this segment; `burst`: sent at once so far,
 * this segment included. */
static bool push_due(const struct flow *f, uint32_t len, uint32_t mss, uint32_t room, uint32_t burst)
{
    if (burst > mss && room < u32_min(mss, unsent(f) - len))
        return true;
    return f->unpushed + len > u32_min(f->snd_wnd_max / 2, UINT16_MAX);
}

/* How sending ended. */
enum sent {
    SENT_ALL,    /* all that may be sent */
    SENT_BUDGET, /* the turn's budget is used up */
    SENT_RESET,  /* the flow is gone */
};

/* Send what is new. */
static enum sent send_new(struct tcp_engine *e, struct flow *f, uint32_t *frames)
{
    uint32_t mss = emit_mss(e, f);
    uint32_t burst = burst_max(e, mss);
    uint32_t began = f->snd_nxt;

    uint32_t silent = flight(f) == 0 ? idle_rtos(e, f) : 0;
    if (silent > 0)
        congestion_idle(f, silent);
    for (;;) {
        uint32_t pipe = send_pipe(e, f);
        uint32_t allowed = u32_min(window_from(f, f->snd_nxt), f->cwnd > pipe ? f->cwnd - pipe : 0);
        uint32_t want = u32_min(allowed, burst);
        if (want > mss)
            want -= want % mss;
        if (*frames == 0)
            return want > 0 && ((f->flags & FLOW_READABLE) || unsent(f) > 0) ? SENT_BUDGET : SENT_ALL;
        /* All that may leave in this turn, and one byte more: whether it is there decides about PSH and FIN. */
        uint32_t reach = u32_min(allowed, burst * *frames);
        if (!fill(e, f, reach > 0 ? reach + 1 : 0))
            return SENT_RESET;
        uint32_t len = u32_min(unsent(f), want);
        if (len == 0)
            return SENT_ALL;
        bool more = unsent(f) > len || (f->flags & FLOW_READABLE);
        /* No silly segments (RFC 9293 3.8.6.2.1): a full one, the last there is, or half of what it can take. */
        if (len < mss && more && len < f->snd_wnd_max / 2)
            return SENT_ALL;
        bool fin = !more && fin_due(f);
        uint32_t room = allowed - len;
        bool push = !more || push_due(f, len, mss, room, f->snd_nxt + len - began) ||
                    (e->cfg.push_turns && !one_follows(f, len, mss, room, *frames));
        emit_data(e, f, f->snd_nxt, len, fin, push);
        sent_new(e, f, len);
        note_limited(f);
        if (fin)
            fin_sent(e, f);
        (*frames)--;
    }
}

/* Nothing is lost, new or ended: most of the flows that are looked at only owe an ACK, or not even that. */
static bool has_nothing(const struct flow *f)
{
    return unsent(f) == 0 && !(f->flags & (FLOW_READABLE | FLOW_UP_EOF | FLOW_UP_RESET)) &&
           !seq_lt(f->rexmit_nxt, f->lost_edge) && f->board == 0;
}

/* What is lost, what is new, the FIN, as far as the budget goes. */
static enum sent send_turn(struct tcp_engine *e, struct flow *f, uint32_t *frames)
{
    if (f->state != FLOW_FIN_WAIT_2 && resend(e, f, frames))
        return SENT_BUDGET;
    if (f->state != FLOW_ESTABLISHED && f->state != FLOW_CLOSE_WAIT)
        return SENT_ALL;
    enum sent sent = send_new(e, f, frames);
    if (sent == SENT_RESET)
        return SENT_RESET;
    if ((f->flags & FLOW_UP_RESET) && f->snd_queued == 0) {
        close_reset(e, f);
        return SENT_RESET;
    }
    /* The end of file shows only when there is nothing before it, so look for it even if no window is open. */
    if (unsent(f) == 0 && (f->flags & FLOW_READABLE) && window_from(f, f->snd_nxt) == 0 && flight(f) == 0 &&
        !fill(e, f, 1))
        return SENT_RESET;
    if (unsent(f) == 0 && fin_due(f)) {
        emit_data(e, f, f->snd_nxt, 0, true, false);
        sent_new(e, f, 0);
        fin_sent(e, f);
    }
    return sent;
}

/* One turn of the flow. Out of line, or every flow that is looked at would pay for the variables. */
__attribute__((noinline)) static enum sent send_queue(struct tcp_engine *e, struct flow *f)
{
    uint32_t turn = u32_min(e->cfg.gso_max == 0 ? TURN_SINGLE : TURN_FRAMES, e->budget);
    uint32_t frames = turn;
    enum sent sent = send_turn(e, f, &frames);
    e->budget -= turn - frames;
    return sent;
}

bool send_output(struct tcp_engine *e, struct flow *f)
{
    if (f->state < FLOW_ESTABLISHED || f->state == FLOW_TIME_WAIT)
        return false;
    /* The far end has closed, and what the workstation sent since went nowhere: it shall know, as soon as it has all that
     * was on its way to it (RFC 9293 3.10.4, RFC 1122 4.2.2.13). */
    if (f->state == FLOW_FIN_WAIT_2 && (f->flags & FLOW_UP_DEAD)) {
        close_reset(e, f);
        return false;
    }
    enum sent sent = has_nothing(f) ? SENT_ALL : send_queue(e, f);
    if (sent == SENT_RESET)
        return false;
    if (f->flags & FLOW_ACK_NOW)
        emit_ack(e, f);
    send_arm(e, f);
    return sent == SENT_BUDGET;
}

/* Something is outstanding, or blocked: by when the workstation shall have answered. */
static void arm(struct tcp_engine *e, struct flow *f, bool shut)
{
    uint32_t rto = u32_min(rtt_rto(f) << f->backoff, RTO_MAX);
    if (flight(f) == 0 || shut) {
        if (unsent(f) == 0 && flight(f) == 0 && memory_wait(e, f))
            return; /* it had nothing to read into */
        /* Nothing on the wire will bring the ACK that gets this flow moving: a shut or silly window, or an upstream that
         * could not be read just now. */
        f->flags |= FLOW_PERSIST | FLOW_RTO_ARMED;
        f->rto_at = e->now_ms + rto;
        timer_arm_by(e, f, f->rto_at);
        return;
    }
    f->flags |= FLOW_RTO_ARMED;
    f->rto_at = e->now_ms + rto;
    /* Tail loss probe (RFC 8985 7): ask before the timeout does, once per flight. */
    if ((f->flags & FLOW_SACK) && !(f->flags & (FLOW_LOSS | FLOW_RECOVERY | FLOW_PROBED)) && f->backoff == 0 &&
        f->srtt != 0) {
        uint32_t pto = 2 * (f->srtt / 8000) + 2;
        pto = u32_max(flight(f) <= f->snd_mss ? pto + PROBE_DELAYED_ACK : pto, PROBE_MIN);
        f->flags |= FLOW_TLP_ARMED;
        f->rto_at = e->now_ms + u32_min(pto, rto);
    }
    timer_arm_by(e, f, f->rto_at);
}

/* Start the timer that what is outstanding, or blocked, needs, unless one runs. */
void send_arm(struct tcp_engine *e, struct flow *f)
{
    bool shut = f->snd_wnd == 0 && f->snd_queued > 0;
    if ((f->flags & FLOW_RTO_ARMED) && !((f->flags & FLOW_PERSIST) && flight(f) > 0 && !shut))
        return;
    f->flags &= ~(uint32_t)(FLOW_RTO_ARMED | FLOW_PERSIST | FLOW_TLP_ARMED | FLOW_REO_ARMED);
    bool sending = f->state == FLOW_ESTABLISHED || f->state == FLOW_CLOSE_WAIT;
    if (flight(f) != 0 || (sending && (unsent(f) > 0 || (f->flags & FLOW_READABLE))))
        arm(e, f, shut);
}

static void back_off(struct flow *f)
{
    f->backoff = u32_min(f->backoff + 1u, BACKOFF_MAX) & 15u;
}

/* A zero window is probed with one byte of real data, the oldest there is; a window too small to bother with is used
 * after all (RFC 9293 3.8.6.1). */
static void persist_timeout(struct tcp_engine *e, struct flow *f)
{
    if (unsent(f) > 0 || flight(f) > 0) {
        /* Not of a flow that only waits for memory: how long it was idle before says nothing. */
        if (e->now_ms - f->active_at > PERSIST_GIVE_UP) {
            close_reset(e, f);
            return;
        }
        back_off(f);
        if (f->snd_wnd == 0 || flight(f) > 0) {
            if (flight(f) == 0) {
                struct chunk *c = chunk_info(&e->chunks, f->snd_head);
                c->seq = c->stamp = (uint32_t)e->now;
                f->snd_nxt++;
            }
            resend_range(e, f, f->snd_una, 1, true);
            f->rexmit_nxt = seq_max(f->rexmit_nxt, f->snd_una);
        } else {
            uint32_t len = u32_min(u32_min(unsent(f), emit_mss(e, f)), f->snd_wnd);
            emit_data(e, f, f->snd_nxt, len, false, true);
            sent_new(e, f, len);
        }
    }
    flow_list(e, f);
    send_arm(e, f);
}

static void tail_probe(struct tcp_engine *e, struct flow *f)
{
    f->flags |= FLOW_PROBED;
    uint32_t frames = 1;
    uint32_t before = f->snd_nxt;
    /* One new segment, even beyond the congestion window (RFC 8985 7.3). */
    uint32_t cwnd = f->cwnd;
    f->cwnd = u32_max(cwnd, send_pipe(e, f) + emit_mss(e, f));
    if ((f->state == FLOW_ESTABLISHED || f->state == FLOW_CLOSE_WAIT) && send_new(e, f, &frames) == SENT_RESET)
        return;
    f->cwnd = cwnd;
    if (f->snd_nxt == before) {
        /* The last segment again: what is left of the flight when it is cut into full ones, and the FIN. */
        uint32_t fin = (f->flags & FLOW_FIN_SENT) != 0;
        uint32_t data = flight(f) - fin;
        uint32_t len = fin + (data > 0 ? (data - 1) % emit_mss(e, f) + 1 : 0);
        board_take(e, f); /* to know the answer to it from that to the first copy */
        f->flags |= FLOW_PROBE_AGAIN;
        f->recover = f->snd_nxt;
        resend_range(e, f, f->snd_nxt - len, len, false);
    }
    send_arm(e, f);
}

void send_timeout(struct tcp_engine *e, struct flow *f)
{
    uint32_t why = f->flags;
    f->flags &= ~(uint32_t)(FLOW_RTO_ARMED | FLOW_PERSIST | FLOW_TLP_ARMED | FLOW_REO_ARMED);
    if (f->state < FLOW_ESTABLISHED) {
        handshake_timeout(e, f);
        return;
    }
    if ((why & FLOW_PERSIST) || (f->snd_wnd == 0 && f->snd_queued > 0)) {
        persist_timeout(e, f);
        return;
    }
    if (flight(f) == 0)
        return;
    if (why & FLOW_REO_ARMED) {
        recovery_timeout(e, f);
        return;
    }
    if (why & FLOW_TLP_ARMED) {
        tail_probe(e, f);
        return;
    }
    bool orphan = f->state == FLOW_LAST_ACK || f->state == FLOW_CLOSING;
    if (f->retries >= (orphan ? ORPHAN_RETRIES : DATA_RETRIES)) {
        close_reset(e, f);
        return;
    }
    e->counters.timeouts++;
    recovery_all_lost(e, f);
    f->retries = (f->retries + 1u) & 15u;
    back_off(f);
    flow_list(e, f);
}
