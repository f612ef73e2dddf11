/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any sequence of things that can happen to the TCP engine.
 *
 * The input is a configuration and then operations: segments, built so that their numbers lie near those of the flow
 * they hit (read from what the engine sent), raw segments, what the upstream says and answers, ICMP, the passing of
 * time, the end of a turn. Whatever the order: only what the contract of engine.h rules out is not done.
 *
 *     5 bytes   flags, flows, chunks, gso_max / 256, half-close timeout / 256 ms
 *     then      one byte of operation, its arguments (see the op_ functions); what is missing at the end is zero
 *
 * Each input is run twice, with header prediction and without: the engine must end up with the same memory, byte by byte,
 * before all is reset.
 *
 * Held to: what inspect.h says, after each turn; well-formed headers; the contract towards the upstream; and after
 * tcp_engine_reset_all() nothing is left. engine_corpus.py writes inputs to begin with, capture_corpus.py those that
 * captures hold.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/inspect.h"
#include "../sim/wire.h"
#include "tcp/internal.h"

#define HOLDS(what)                                                                                                \
    do {                                                                                                           \
        if (!(what))                                                                                               \
            abort();                                                                                               \
    } while (0)

#define PORTS 4u
#define FLOWS_MAX 4u
#define CHUNKS_MAX 24u
#define BATCH (1u << 18) /* bytes of segments in one turn */
#define OPERATIONS_MAX 600u
#define FLUSHES_MAX 32768u /* turns in a row that may say that there is more to do: a byte in each segment */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void right(const char *wrong)
{
    if (wrong == NULL)
        return;
    fprintf(stderr, "wrong: %s\n", wrong);
    abort();
}

/* CLOISTER_FUZZ_TRACE in the environment: say what happens, to understand an input. */
#define TRACE(...)                                                                                                 \
    do {                                                                                                           \
        if (tracing)                                                                                               \
            fprintf(stderr, __VA_ARGS__);                                                                          \
    } while (0)

static bool tracing;

/* What was seen of a connection of the workstation, by its port. */
struct lane {
    uint32_t sent;     /* seq + space of the last segment sent to the engine */
    uint32_t snd, ack; /* end of what the engine sent, and its last acknowledgment */
    uint32_t edge;     /* right edge that it offered */
    uint32_t tsval, tsecr;
    bool active; /* the engine opens it */
};

struct side {
    struct tcp_flow_id id;
    bool held, open;
    bool opening;       /* opened() is awaited */
    bool broken, ended; /* write() and read() said so, for good */
    bool closed;        /* the workstation has closed: no more is written */
};

struct fuzz {
    struct bytes in;
    struct tcp_engine *engine;
    struct tcp_config config;
    uint64_t now;
    struct lane lane[PORTS];
    struct side side[FLOWS_MAX + 1]; /* by flow index */
    struct tcp_flow_id stale;        /* of a flow that is gone */
    uint8_t *batch;
    size_t batch_used;
    bool v4;
    /* Answers to come. */
    uint32_t read_bytes;  /* that can be read now */
    uint8_t read_answer;  /* when they are used up: 0 -EAGAIN, 1 end, 2 error, 3 -ENOMEM */
    uint32_t write_takes; /* bytes that write() takes in all */
    uint8_t write_breaks; /* write() fails */
    uint8_t open_answer;  /* 0 yes, 1 -ENOBUFS, 2 -ECONNREFUSED */
    uint8_t emit_fails;   /* so many times */
};

static uint8_t memory[1 << 20] __attribute__((aligned(4096)));
static uint8_t batch[BATCH];
static uint8_t upstream_bytes[CHUNKS_MAX * CHUNK_SIZE];

static struct side *side_of(struct fuzz *f, struct tcp_flow_id id)
{
    HOLDS(id.index >= 1 && id.index <= f->config.max_flows);
    struct side *s = &f->side[id.index];
    HOLDS(s->held && s->id.generation == id.generation);
    return s;
}

static int do_open(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host)
{
    struct fuzz *f = ctx;
    HOLDS(id.index >= 1 && id.index <= f->config.max_flows && host < f->config.max_hosts);
    HOLDS(tuple->src_port != 0 && tuple->dst_port != 0);
    struct side *s = &f->side[id.index];
    HOLDS(!s->held);
    if (f->open_answer != 0)
        return f->open_answer == 1 ? -ENOBUFS : -ECONNREFUSED;
    *s = (struct side){.id = id, .held = true};
    return 0;
}

static ssize_t do_write(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count, size_t *room)
{
    struct fuzz *f = ctx;
    struct side *s = side_of(f, id);
    size_t offered = 0;
    volatile uint8_t sum = 0;
    HOLDS(count > 0 && !s->opening && (s->open || f->config.optimistic) && !s->closed);
    *room = 0;
    for (int k = 0; k < count; k++) {
        const uint8_t *p = iov[k].iov_base;
        HOLDS(iov[k].iov_len > 0);
        for (size_t n = 0; n < iov[k].iov_len; n++)
            sum = (uint8_t)(sum + p[n]);
        offered += iov[k].iov_len;
    }
    TRACE("  write %zu of room %u\n", offered, f->write_takes);
    if (f->write_breaks || s->broken) {
        s->broken = true;
        return -EPIPE;
    }
    size_t taken = offered < f->write_takes ? offered : f->write_takes;
    f->write_takes -= (uint32_t)taken;
    *room = f->write_takes;
    return (ssize_t)taken;
}

static ssize_t do_read(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count)
{
    struct fuzz *f = ctx;
    struct side *s = side_of(f, id);
    ssize_t n = 0;
    HOLDS(s->open && !s->opening && !s->ended && count > 0);
    for (int k = 0; k < count; k++) {
        size_t piece = iov[k].iov_len < f->read_bytes ? iov[k].iov_len : f->read_bytes;
        HOLDS(iov[k].iov_len > 0 && iov[k].iov_len <= sizeof(upstream_bytes));
        memcpy(iov[k].iov_base, upstream_bytes, piece);
        f->read_bytes -= (uint32_t)piece;
        n += (ssize_t)piece;
    }
    TRACE("  read %zd, then %d\n", n, f->read_answer);
    if (n > 0)
        return n;
    if (f->read_answer == 0)
        return -EAGAIN;
    if (f->read_answer == 3)
        return -ENOMEM;
    s->ended = true;
    return f->read_answer == 1 ? 0 : -ECONNRESET;
}

static void do_release(void *ctx, struct tcp_flow_id id, enum tcp_release how)
{
    struct fuzz *f = ctx;
    HOLDS(how == TCP_RELEASE_CLOSE || how == TCP_RELEASE_ABORT);
    side_of(f, id)->held = false;
    TRACE("  release %d\n", (int)how);
    f->stale = id;
}

static void do_opened(void *ctx, struct tcp_flow_id id, int status)
{
    struct side *s = side_of(ctx, id);
    HOLDS(s->opening && status <= 0);
    TRACE("  opened %d\n", status);
    s->opening = false;
}

static void do_closed(void *ctx, struct tcp_flow_id id)
{
    struct side *s = side_of(ctx, id);
    HOLDS(!s->closed);
    s->closed = true;
}

static int do_emit(void *ctx, struct tcp_out *out)
{
    struct fuzz *f = ctx;
    struct wire_header h;
    uint32_t bytes = 0;
    volatile uint8_t sum = 0;
    right(wire_parse(out->head + TCP_HEADROOM, out->header_len, &h));
    HOLDS(out->iov_count >= 1 && out->iov_count <= TCP_OUT_IOV && out->host < f->config.max_hosts);
    for (uint32_t k = 1; k < out->iov_count; k++) {
        const uint8_t *p = out->iov[k].iov_base;
        for (size_t n = 0; n < out->iov[k].iov_len; n++)
            sum = (uint8_t)(sum + p[n]);
        bytes += (uint32_t)out->iov[k].iov_len;
    }
    HOLDS(bytes == out->payload_len);
    TRACE("  < port %u flags %02x seq %08x ack %08x win %u len %u gso %u sack %u\n", h.dst_port, h.flags, h.seq,
          h.ack, h.window, bytes, out->gso_size, h.sack_count);
    uint32_t one = out->gso_size != 0 ? out->gso_size : bytes;
    HOLDS(out->gso_size == 0 || (bytes > out->gso_size && bytes <= f->config.gso_max));
    HOLDS(one + out->header_len + (f->v4 ? 20 : 40) <= f->config.mtu);
    HOLDS(!(h.flags & WIRE_SYN) || (bytes == 0 && !(h.flags & (WIRE_FIN | WIRE_RST))));
    struct lane *l = &f->lane[h.dst_port % PORTS];
    HOLDS((h.flags & (WIRE_ACK | WIRE_RST)) || (h.flags == WIRE_SYN && l->active));
    HOLDS(!(h.flags & WIRE_RST) || bytes == 0);
    if (!(h.flags & WIRE_RST)) {
        l->snd = h.seq + bytes + ((h.flags & (WIRE_SYN | WIRE_FIN)) != 0);
        l->ack = h.ack;
        l->edge = h.ack + h.window;
    }
    l->tsecr = h.tsval;
    if (f->emit_fails > 0) {
        f->emit_fails--;
        return -ENOBUFS;
    }
    return 0;
}

static void do_unreachable(void *ctx, const struct tcp_tuple *tuple, uint32_t host, enum tcp_refusal why,
                           const uint8_t tcp_header[8])
{
    struct fuzz *f = ctx;
    HOLDS(host < f->config.max_hosts && why != TCP_REFUSAL_RESET && why != TCP_REFUSAL_SILENT);
    HOLDS(tuple->src_port == tcp_header[0] * 256 + tcp_header[1]);
}

static struct ipaddr address(const struct fuzz *f, uint8_t last)
{
    const uint8_t v4[4] = {10, 1, 0, last};
    const uint8_t v6[16] = {0xfd, 1, [15] = last};
    return f->v4 ? ipaddr_v4(v4) : ipaddr_v6(v6);
}

static struct tcp_tuple tuple_of(const struct fuzz *f, uint32_t port)
{
    return (struct tcp_tuple){
        .src = address(f, 1), .dst = address(f, 2), .src_port = (uint16_t)(4096 + port), .dst_port = 80};
}

static void turn(struct fuzz *f)
{
    uint32_t flushes = 0;
    TRACE("turn at %llu\n", (unsigned long long)f->now);
    tcp_advance(f->engine, f->now);
    bool more = tcp_flush(f->engine, f->now);
    f->batch_used = 0;
    right(inspect_engine(f->engine, more));
    /* Segments of one byte may take many turns, but a turn that does nothing has nothing more to do. */
    for (uint32_t idle = 0; more && flushes < FLUSHES_MAX; flushes++) {
        struct tcp_counters before = *tcp_engine_counters(f->engine);
        more = tcp_flush(f->engine, f->now);
        const struct tcp_counters *after = tcp_engine_counters(f->engine);
        idle = before.segments_out == after->segments_out && before.flows == after->flows ? idle + 1 : 0;
        HOLDS(idle < 3);
    }
    HOLDS(!more);
    right(inspect_engine(f->engine, false));
    uint64_t at;
    if (tcp_next_deadline(f->engine, &at))
        HOLDS(tcp_engine_counters(f->engine)->flows > 0);
    else
        HOLDS(tcp_engine_counters(f->engine)->flows == 0);
}

static void feed(struct fuzz *f, const uint8_t *segment, size_t size, uint16_t gso, uint8_t circumstances)
{
    struct tcp_in in = {
        .src = address(f, 1),
        .dst = address(f, circumstances & 1 ? 3 : 2),
        .host = circumstances & 2   ? 1
                : circumstances & 4 ? 7
                                    : 0,
        .seg = bytes_of(segment, size),
        .gso_size = gso,
    };
    if (size >= 20)
        TRACE("> port %u flags %02x seq %08x ack %08x win %u len %zu gso %u\n", segment[0] * 256u + segment[1],
              segment[13], be32_load(segment + 4), be32_load(segment + 8), segment[14] * 256u + segment[15],
              size - (segment[12] >> 4) * 4u, gso);
    tcp_input(f->engine, &in, f->now);
}

static uint8_t *batch_take(struct fuzz *f, size_t n)
{
    if (f->batch_used + n > BATCH)
        turn(f);
    uint8_t *at = f->batch + f->batch_used;
    f->batch_used += n;
    return at;
}

static uint32_t offset_of(int32_t signed_offset)
{
    return (uint32_t)signed_offset;
}

/* Near one of the numbers of the flow. `how`: which, and how an offset is read. */
static uint32_t number(struct fuzz *f, const uint32_t base[4], uint8_t how)
{
    uint32_t v = base[how & 3];
    switch (how >> 2 & 3) {
    case 0:
        return v;
    case 1:
        return v + offset_of((int8_t)bytes_u8(&f->in));
    case 2:
        return v + offset_of((int16_t)bytes_u16(&f->in));
    default:
        return bytes_u32(&f->in);
    }
}

/* flags, numbers, shape, window; then what they ask for. */
static void op_segment(struct fuzz *f, uint8_t op)
{
    struct lane *l = &f->lane[op >> 4 & 3];
    uint8_t flags = bytes_u8(&f->in);
    uint8_t seq_how = bytes_u8(&f->in);
    uint8_t ack_how = bytes_u8(&f->in);
    uint8_t shape = bytes_u8(&f->in);
    uint16_t window = bytes_u16(&f->in);
    const uint32_t seqs[4] = {l->ack, l->sent, l->edge, l->ack - 1};
    const uint32_t acks[4] = {l->snd, l->snd - 1, l->snd - window, l->snd + 1};
    struct wire_header h = {.src_port = (uint16_t)(4096 + (op >> 4 & 3)), .dst_port = 80, .wscale = -1};
    uint16_t gso = 0;

    h.flags = flags;
    h.seq = number(f, seqs, seq_how);
    h.ack = number(f, acks, ack_how);
    h.window = window;
    if (shape & 1) {
        h.has_ts = true;
        h.tsval = l->tsval += bytes_u8(&f->in);
        h.tsecr = l->tsecr;
        if (seq_how & 0x40)
            h.tsval -= 100000;
    }
    if (flags & WIRE_SYN) {
        h.sack_permitted = (shape & 2) != 0;
        h.wscale = (int8_t)(shape & 4 ? bytes_u8(&f->in) & 15 : -1);
        h.mss = shape & 8 ? bytes_u16(&f->in) : 0;
    } else if (shape & 2) {
        h.sack_count = (uint8_t)((shape >> 2 & 3) + 1);
        for (uint32_t k = 0; k < h.sack_count; k++) {
            h.sack[k][0] = h.ack + offset_of((int16_t)bytes_u16(&f->in));
            h.sack[k][1] = h.sack[k][0] + bytes_u16(&f->in);
            if (ack_how & 0x80) {
                /* Anywhere in the number space. */
                h.sack[k][0] += (uint32_t)bytes_u16(&f->in) << 16;
                h.sack[k][1] += (uint32_t)bytes_u16(&f->in) << 16;
            }
        }
    }
    uint32_t payload = shape & 16 ? bytes_u8(&f->in) : shape & 32 ? bytes_u16(&f->in) : 0;
    if (shape & 64)
        gso = (uint16_t)(bytes_u8(&f->in) * 8u);
    uint8_t *at = batch_take(f, WIRE_HEADER_MAX + payload);
    uint32_t length = wire_build(at, &h);
    memset(at + length, (int)(h.seq & 0xff), payload);
    l->sent = h.seq + payload + ((flags & WIRE_SYN) != 0) + ((flags & WIRE_FIN) != 0);
    feed(f, at, length + payload, gso, shape & 128 ? bytes_u8(&f->in) : 0);
}

static void op_raw(struct fuzz *f)
{
    uint8_t circumstances = bytes_u8(&f->in);
    size_t n = bytes_u8(&f->in);
    struct bytes raw = bytes_sub(&f->in, n < f->in.left ? n : f->in.left);
    uint8_t *at = batch_take(f, raw.left);
    if (raw.left > 0)
        memcpy(at, raw.at, raw.left);
    feed(f, at, raw.left, 0, circumstances);
}

/* An event of the upstream, as far as the contract allows it now. */
static void op_upstream(struct fuzz *f, uint8_t op)
{
    struct side *s = &f->side[1 + (op >> 4) % f->config.max_flows];
    uint8_t what = bytes_u8(&f->in);
    TRACE("upstream %u event %u\n", 1 + (op >> 4) % f->config.max_flows, what);
    if (what & 0x80) {
        tcp_upstream_readable(f->engine, f->stale, f->now);
        tcp_upstream_writable(f->engine, f->stale, 1000, f->now);
        tcp_upstream_reset(f->engine, f->stale, f->now);
        tcp_upstream_connected(f->engine, f->stale, 1000, f->now);
        tcp_upstream_failed(f->engine, f->stale, TCP_REFUSAL_HOST, f->now);
        return;
    }
    if (!s->held)
        return;
    switch (what & 7) {
    case 0:
    case 1:
        if (s->open)
            break;
        s->open = true;
        f->write_takes += bytes_u16(&f->in);
        tcp_upstream_connected(f->engine, s->id, f->write_takes, f->now);
        break;
    case 2:
        if (s->open)
            break;
        s->held = false;
        tcp_upstream_failed(f->engine, s->id, (enum tcp_refusal)(bytes_u8(&f->in) % 5), f->now);
        break;
    case 3:
    case 4:
        f->read_bytes += bytes_u16(&f->in);
        tcp_upstream_readable(f->engine, s->id, f->now);
        break;
    case 5:
    case 6:
        f->write_takes += bytes_u16(&f->in);
        tcp_upstream_writable(f->engine, s->id, f->write_takes, f->now);
        break;
    default:
        tcp_upstream_reset(f->engine, s->id, f->now);
        break;
    }
}

static void op_answers(struct fuzz *f)
{
    uint8_t how = bytes_u8(&f->in);
    f->read_answer = how & 3;
    f->open_answer = (uint8_t)((how >> 2 & 3) % 3);
    f->write_breaks = how >> 4 & 1;
    f->emit_fails = how >> 5 & 3;
    if (how & 128) {
        f->read_bytes = bytes_u16(&f->in);
        f->write_takes = bytes_u16(&f->in);
    }
}

static void op_time(struct fuzz *f, uint8_t op)
{
    uint64_t step = bytes_u8(&f->in);
    uint64_t at;
    f->now += step * (UINT64_C(64) << 2 * ((op >> 4) % 13)); /* 64 us to three days */
    /* A turn may come late, but not weeks after what it is for. */
    bool late = tcp_next_deadline(f->engine, &at) && f->now > at + UINT64_C(86400000000);
    if ((op & 15) == 11 || late)
        turn(f);
}

/* A connection into the workstation network, from the port that its own connections go to or from any. */
static void op_open(struct fuzz *f, uint32_t port, bool any)
{
    struct tcp_tuple tuple = tuple_of(f, port);
    struct tcp_flow_id id;
    if (any)
        tuple.dst_port = 0;
    f->lane[port].active = true;
    int status = tcp_open(f->engine, &tuple, 0, f->write_takes, f->now, &id);
    TRACE("open from port %u: %d\n", tuple.dst_port, status);
    if (status != 0)
        return;
    HOLDS(id.index >= 1 && id.index <= f->config.max_flows && !f->side[id.index].held);
    f->side[id.index] = (struct side){.id = id, .held = true, .open = true, .opening = true};
}

static void op_other(struct fuzz *f, uint8_t op)
{
    struct tcp_tuple tuple = tuple_of(f, op >> 4 & 3);
    void *start;
    uint8_t what = bytes_u8(&f->in);
    switch (what & 3) {
    case 0:
        tcp_packet_too_big(f->engine, &tuple, f->lane[op >> 4 & 3].snd - bytes_u16(&f->in), bytes_u16(&f->in),
                           f->now);
        break;
    case 1:
        turn(f);
        for (size_t n = tcp_engine_settle(f->engine, &start); n > 0; n = tcp_engine_settle(f->engine, &start))
            memset(start, 0, n); /* as the system would */
        break;
    case 2:
        tcp_engine_reset_host(f->engine, what >> 2 & 3, f->now);
        break;
    default:
        if (what & 4)
            op_open(f, op >> 4 & 3, (what & 16) != 0);
        if (what & 8)
            tcp_unreachable(f->engine, &tuple, f->lane[op >> 4 & 3].snd - 1, (what & 32) != 0, f->now);
        for (uint32_t i = 0; i <= f->config.max_flows + 1; i++) {
            struct tcp_flow_info info;
            if (tcp_flow_look(f->engine, i, f->now, &info))
                HOLDS(info.state != NULL && info.host < f->config.max_hosts);
        }
        break;
    }
}

static void begin(struct fuzz *f, bool unpredicted)
{
    static const struct tcp_ops ops = {.open = do_open,
                                       .write = do_write,
                                       .read = do_read,
                                       .release = do_release,
                                       .opened = do_opened,
                                       .closed = do_closed,
                                       .emit = do_emit,
                                       .unreachable = do_unreachable};
    uint8_t flags = bytes_u8(&f->in);
    f->v4 = (flags & 1) == 0;
    f->config = (struct tcp_config){
        .max_flows = 1 + bytes_u8(&f->in) % FLOWS_MAX,
        .max_chunks = 1 + bytes_u8(&f->in) % CHUNKS_MAX,
        .max_hosts = 4,
        .max_connecting = flags & 16 ? 1 : FLOWS_MAX,
        .host_flows = flags & 8 ? 1 : FLOWS_MAX,
        .host_connecting = FLOWS_MAX,
        .host_chunks = flags & 4 ? 2 : CHUNKS_MAX,
        .mtu = flags & 32 ? 9000 : 1500,
        .connect_timeout = 10000,
        .idle_timeout = flags & 64 ? 3000 : 600000,
        .optimistic = (flags & 2) != 0,
        .unpredicted = unpredicted,
    };
    f->config.gso_max = bytes_u8(&f->in) * 256u;
    f->config.half_close_timeout = bytes_u8(&f->in) * 256u;
    f->now = flags & 128 ? (UINT64_C(1) << 32) * 1000 - 1000000 : 1000000;
    f->batch = batch;
    size_t size = tcp_engine_size(&f->config);
    HOLDS(size > 0 && size <= sizeof(memory));
    memset(memory, 0, size);
    f->engine = tcp_engine_init(memory, &f->config, &ops, f, f->now);
}

/* What the engine is now, but for which way its segments went, and whose it is. */
static size_t note_memory(struct fuzz *f, uint8_t *copy)
{
    size_t size = tcp_engine_size(&f->config);
    memcpy(copy, memory, size);
    struct tcp_engine *e = (struct tcp_engine *)(void *)copy;
    e->cfg.unpredicted = false;
    memset(e->recent, 0, sizeof(e->recent));
    e->ctx = NULL;
    return size;
}

/* Returns the bytes of the engine that are in `copy`. */
static size_t run(const uint8_t *data, size_t size, bool unpredicted, uint8_t *copy)
{
    struct fuzz f = {.in = bytes_of(data, size)};
    begin(&f, unpredicted);
    for (uint32_t n = 0; n < OPERATIONS_MAX && f.in.left > 0; n++) {
        uint8_t op = bytes_u8(&f.in);
        switch (op & 15) {
        default:
            op_segment(&f, op);
            break;
        case 7:
            op_raw(&f);
            break;
        case 8:
        case 9:
            op_upstream(&f, op);
            break;
        case 10:
            op_answers(&f);
            break;
        case 11:
        case 12:
            op_time(&f, op);
            break;
        case 13:
            turn(&f);
            break;
        case 14:
            op_other(&f, op);
            break;
        }
    }
    turn(&f);
    size_t noted = note_memory(&f, copy);
    tcp_engine_reset_all(f.engine, f.now);
    for (int k = 0; k < 4; k++)
        tcp_flush(f.engine, f.now);
    right(inspect_empty(f.engine));
    for (uint32_t i = 1; i <= FLOWS_MAX; i++)
        HOLDS(!f.side[i].held);
    return noted;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t short_way[sizeof(memory)] __attribute__((aligned(4096)));
    static uint8_t long_way[sizeof(memory)] __attribute__((aligned(4096)));
    tracing = getenv("CLOISTER_FUZZ_TRACE") != NULL;
    size_t noted = run(data, size, false, short_way);
    HOLDS(run(data, size, true, long_way) == noted);
    HOLDS(memcmp(short_way, long_way, noted) == 0);
    return 0;
}
