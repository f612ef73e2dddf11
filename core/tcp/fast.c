/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a segment enters the engine, and header prediction (Van Jacobson): a flow that sends or receives in peace knows
 * what its next segment looks like. It carries the timestamps where everybody lays them out, begins at rcv_nxt,
 * acknowledges something in flight or carries payload that fits the window and fills no gap, and finds no trouble
 * remembered. One straight line takes such a segment, of the steps (steps.h) that the long way takes as well; whatever is
 * not so goes the long way, input_segment().
 *
 * That both ways do the same with a segment that is predicted is compared by the simulator, the scripts and the
 * fuzzer, which run everything with tcp_config.unpredicted as well.
 */
#include "tcp/steps.h"

#define HEADER (TCP_HEADER_MIN + TCP_OPTION_TS_SIZE)
#define NOP_NOP_TS 0x0101080au

/* With any of these a segment means more than it says. */
#define TROUBLE                                                                                                    \
    (FLOW_UP_DEAD | FLOW_FIN_SENT | FLOW_RECOVERY | FLOW_LOSS | FLOW_PROBED | FLOW_PROBE_AGAIN | FLOW_RCV_FIN)

/* Out of line, for the tuple on the stack costs every segment a check of it. */
__attribute__((noinline)) static struct flow *look_up(struct tcp_engine *e, const struct tcp_in *in)
{
    const struct tcp_tuple tuple = {
        .src = in->src, .dst = in->dst, .src_port = be16_load(in->seg.at), .dst_port = be16_load(in->seg.at + 2)};
    return flow_find_anew(e, &tuple);
}

/* The flow of the segment. */
static inline struct flow *flow_of(struct tcp_engine *e, const struct tcp_in *in)
{
    struct flow *f = flow_recent(e, &in->src, &in->dst, be16_load(in->seg.at), be16_load(in->seg.at + 2));
    return f != NULL ? f : look_up(e, in);
}

/* Take the segment if it is the one that its flow expects. */
static inline bool predicted(struct tcp_engine *e, const struct tcp_in *in)
{
    const uint8_t *h = in->seg.at;
    if (in->seg.left < HEADER || (be16_load(h + 12) & ~(uint32_t)TCP_PSH) != (HEADER / 4 << 12 | TCP_ACK) ||
        be32_load(h + 20) != NOP_NOP_TS || e->cfg.unpredicted)
        return false;
    struct flow *f = flow_of(e, in);
    if (f == NULL || f->host != in->host || f->state != FLOW_ESTABLISHED ||
        (f->flags & (TROUBLE | FLOW_TS)) != FLOW_TS || f->board != 0 || f->dup_acks != 0 || f->snd_wnd == 0)
        return false;

    uint32_t seq = be32_load(h + 4), ack = be32_load(h + 8), tsval = be32_load(h + 24);
    if (seq != f->rcv_nxt || seq_lt(tsval, f->ts_recent) || ack - f->snd_una > f->snd_nxt - f->snd_una)
        return false;
    uint32_t len = (uint32_t)in->seg.left - HEADER;
    if (len == 0 ? ack == f->snd_una : (int32_t)(f->rcv_edge - seq - len) < 0 || f->rcv_head != 0)
        return false;

    step_window(f, seq, ack, be16_load(h + 14));
    if (ack != f->snd_una) {
        uint32_t data = step_advance(e, f, ack, be32_load(h + 28));
        if (f->flags & (FLOW_LIMITED | FLOW_WAS_LIMITED))
            congestion_acked(e, f, data, true);
    }
    flow_list(e, f);
    step_timestamp(e, f, seq, tsval);
    f->active_at = e->now_ms;
    if (len > 0) {
        step_segment_size(e, f, in->gso_size != 0 ? in->gso_size : len);
        receive_in_order(e, f, h + HEADER, len);
    }
    return true;
}

void tcp_input(struct tcp_engine *e, const struct tcp_in *in, uint64_t now)
{
    engine_clock(e, now);
    e->counters.segments_in++;
    if (!predicted(e, in))
        input_segment(e, in);
}
