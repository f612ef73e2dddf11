/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments out: one place that fills a header from a flow, so that every segment tells the same story. */
#include "tcp/internal.h"

#define CHALLENGE_REFILL 100u /* ms for one more challenge ACK */

/* What every segment of a synchronised flow carries. */
static struct segment segment_of(struct tcp_engine *e, struct flow *f, uint32_t seq, uint8_t flags)
{
    struct segment s = {
        .src_port = f->tuple.dst_port,
        .dst_port = f->tuple.src_port,
        .seq = seq,
        .ack = f->rcv_nxt,
        .flags = flags,
    };
    if (f->flags & FLOW_TS) {
        s.has_ts = true;
        s.tsval = e->now_ms + f->ts_offset;
        s.tsecr = f->ts_recent;
    }
    return s;
}

static void set_window(struct tcp_engine *e, struct flow *f, struct segment *s)
{
    s->window = (uint16_t)(receive_window(e, f) >> f->rcv_shift);
}

static void set_sack(const struct tcp_engine *e, const struct flow *f, struct segment *s, uint32_t first)
{
    if ((f->flags & FLOW_SACK) && f->rcv_head != 0)
        first += reassembly_blocks(e, f, f->rcv_nxt, s->sack + first, SEGMENT_SACK_MAX - first);
    s->sack_count = (uint8_t)first;
}

/* Send what stands in e->out; `s` is its header. */
static void send_segment(struct tcp_engine *e, const struct segment *s, const struct tcp_tuple *tuple,
                         uint32_t host)
{
    struct tcp_out *out = &e->out;
    out->src = tuple->dst;
    out->dst = tuple->src;
    out->host = host;
    out->header_len = (uint16_t)segment_build(out->head + TCP_HEADROOM, s);
    e->counters.segments_out++;
    if (e->ops.emit(e->ctx, out) < 0)
        drop_count(&e->drops, DROP_SEND);
}

static void no_payload(struct tcp_engine *e)
{
    e->out.payload_len = 0;
    e->out.iov_count = 1;
    e->out.gso_size = 0;
}

/* The flow has told the workstation all it owes. */
static void acknowledged(struct flow *f)
{
    f->rcv_acked = f->rcv_nxt;
    f->flags &= ~(uint32_t)(FLOW_ACK_NOW | FLOW_ACK_LATER);
}

void emit_ack(struct tcp_engine *e, struct flow *f)
{
    struct segment s = segment_of(e, f, f->snd_nxt, TCP_ACK);
    set_window(e, f, &s);
    set_sack(e, f, &s, 0);
    no_payload(e);
    send_segment(e, &s, &f->tuple, f->host);
    acknowledged(f);
}

void emit_ack_dsack(struct tcp_engine *e, struct flow *f, struct sack_block dup)
{
    struct segment s = segment_of(e, f, f->snd_nxt, TCP_ACK);
    set_window(e, f, &s);
    uint32_t first = 0;
    if (f->flags & FLOW_SACK)
        s.sack[first++] = dup;
    set_sack(e, f, &s, first);
    no_payload(e);
    send_segment(e, &s, &f->tuple, f->host);
    acknowledged(f);
}

/* RFC 5961 7: at most so many per flow and time. There is deliberately no limit over all flows: a shared one can be
 * read from outside, which told an off-path attacker whether his guesses were right (CVE-2016-5696). */
void emit_challenge(struct tcp_engine *e, struct flow *f)
{
    uint32_t more = (e->now_ms - f->challenge_at) / CHALLENGE_REFILL;
    if (more > 0) {
        f->challenges = u32_min(FLOW_CHALLENGES, u32_min(more, FLOW_CHALLENGES) + f->challenges) & 15u;
        f->challenge_at = e->now_ms;
    }
    if (f->challenges == 0) {
        drop_count(&e->drops, DROP_CHALLENGE_LIMIT);
        return;
    }
    f->challenges--;
    e->counters.challenge_acks++;
    emit_ack(e, f);
}

static uint16_t link_mss(const struct tcp_engine *e, const struct tcp_tuple *tuple)
{
    return (uint16_t)(e->cfg.mtu - (ipaddr_is_v4(&tuple->src) ? 20 : 40) - TCP_HEADER_MIN);
}

void emit_syn(struct tcp_engine *e, struct flow *f)
{
    /* In SYN_SENT rcv_nxt and ts_recent are zero, as the fields are to be. */
    struct segment s = segment_of(e, f, f->snd_una, f->state == FLOW_SYN_SENT ? TCP_SYN : TCP_SYN | TCP_ACK);
    s.mss = link_mss(e, &f->tuple);
    s.sack_permitted = (f->flags & FLOW_SACK) != 0;
    s.has_wscale = f->rcv_shift != 0;
    s.wscale = f->rcv_shift;
    /* The window of a SYN is never scaled (RFC 7323 2.2). */
    f->rcv_edge = seq_max(f->rcv_edge, f->rcv_nxt + u32_min(receive_edge(e, f) - f->rcv_nxt, 65535));
    s.window = (uint16_t)u32_min(f->rcv_edge - f->rcv_nxt, 65535);
    no_payload(e);
    send_segment(e, &s, &f->tuple, f->host);
    f->rcv_acked = f->rcv_nxt;
}

uint32_t emit_mss_beside_blocks(const struct tcp_engine *e, const struct flow *f)
{
    uint32_t mss = f->snd_mss;
    struct sack_block blocks[SEGMENT_SACK_MAX];
    uint32_t count = reassembly_blocks(e, f, f->rcv_nxt, blocks, SEGMENT_SACK_MAX);
    uint32_t fit = (f->flags & FLOW_TS) ? 3 : 4;
    count = u32_min(count, fit);
    uint32_t bytes = count > 0 ? 4 + 8 * count : 0;
    return mss > bytes + 1 ? mss - bytes : 1;
}

void emit_data(struct tcp_engine *e, struct flow *f, uint32_t seq, uint32_t len, bool fin, bool push)
{
    struct segment s = segment_of(e, f, seq, TCP_ACK);
    if (fin)
        s.flags |= TCP_FIN;
    set_window(e, f, &s);
    uint32_t mss = emit_mss(e, f);
    if (mss < f->snd_mss)
        set_sack(e, f, &s, 0);

    uint32_t got = 0;
    bool pushed = false;
    int pieces = len > 0 ? queue_look(e, f, seq, len, e->out.iov + 1, TCP_OUT_IOV - 1, &got, &pushed) : 0;
    if (got > 0 && (push || got > mss) && !pushed) {
        queue_push(e, f, seq + got);
        pushed = true;
    }
    if (pushed)
        s.flags |= TCP_PSH;
    f->unpushed = (uint16_t)(pushed ? 0 : u32_min(f->unpushed + got, UINT16_MAX));
    e->out.iov_count = 1 + (uint32_t)pieces;
    e->out.payload_len = got;
    e->out.gso_size = (uint16_t)(got > mss ? mss : 0);
    send_segment(e, &s, &f->tuple, f->host);
    acknowledged(f);
}

void emit_reset(struct tcp_engine *e, struct flow *f)
{
    struct segment s = segment_of(e, f, f->snd_nxt, TCP_RST | TCP_ACK);
    /* When all is over but what still comes from the workstation, it is answered as if there were nothing any more, and
     * nothing is acknowledged (RFC 9293 3.10.7.1). */
    if (f->state == FLOW_FIN_WAIT_2) {
        s.flags = TCP_RST;
        s.ack = 0;
    }
    no_payload(e);
    send_segment(e, &s, &f->tuple, f->host);
    e->counters.resets_sent++;
}

void emit_reset_for(struct tcp_engine *e, const struct tcp_in *in, const struct segment *in_seg)
{
    struct tcp_tuple tuple = {
        .src = in->src, .dst = in->dst, .src_port = in_seg->src_port, .dst_port = in_seg->dst_port};
    struct segment s = {
        .src_port = in_seg->dst_port,
        .dst_port = in_seg->src_port,
        .flags = TCP_RST,
    };
    if (in_seg->flags & TCP_ACK) {
        s.seq = in_seg->ack;
    } else {
        s.ack = in_seg->seq + segment_space(in_seg);
        s.flags |= TCP_ACK;
    }
    no_payload(e);
    send_segment(e, &s, &tuple, in->host);
    e->counters.resets_sent++;
}
