/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the engine works.
 *
 * A packet's way is one line. tcp_input() (fast.c) finds the flow (table.c) and takes the segment that the flow expects
 * next; any other walks RFC 9293's event processing in input.c: an acknowledgment goes to ack.c, payload to receive.c,
 * which gathers pointers to it. At the end of the batch tcp_flush() writes each flow's gather upstream in one call, then
 * gives every flow that was touched one turn in
 * send.c: what is lost, what is new, the FIN, or else an ACK. So a batch costs a flow one write, one read and one
 * ACK, however many segments came.
 *
 *                    input.c ── ack.c ─────────> send.c ── queue.c <──read── upstream
 *     workstation ──>   │                          │
 *                       └──── receive.c ─write─> upstream            emit.c ──> workstation
 *                             reassembly.c
 *
 * Memory is one block, cut up at start: flow slots (256 bytes), chunks of 4 KiB for payload, SACK scoreboards for
 * the few flows that recover from loss. A flow that is idle holds its slot and nothing else. Whoever takes a chunk
 * is charged for it (struct host_use), so a workstation that makes us remember things runs into its own quota.
 *
 * The states of a flow, and what may be done in each, stand in flow.h. A flow is ended at once but its slot is given back
 * only when tcp_flush() comes by, so that no other flow takes the number while somebody in this turn still knows it; the
 * generation then goes up and old handles are void. Only a TIME_WAIT that nobody knows any more makes room at once, for
 * the SYN that needs its slot.
 *
 * Who speaks first makes no difference once a flow is established. Nearly always it is the workstation (handshake.c);
 * tcp_open() (active.c) opens a connection into its network, for what listens there behind Tor.
 *
 * What is followed: RFC 9293; 7323 (scale, timestamps with a keyed offset, PAWS); 2018, 2883, 6675 (SACK both ways,
 * D-SACK); 5681, 3465, 6928, 7661, 9438 (CUBIC); 6582 (without SACK); 3042; 6298; 8985 (RACK-TLP); 6937; 3522, 4015, 5682;
 * 5961 (challenge ACKs, and a limit per flow, not a global one); 1191, 8201, 5927; 6056; 6528; 6191.
 *
 * What deliberately is not:
 *
 * - ECN: a proxy that ends the connection has no queue to mark. TCP Fast Open: a cookie is an identity. Nagle: Tor's cells
 *   are the grain already. Keepalives of our own: idle_timeout bounds a flow. MD5 and AO: there is no key to agree on.
 * - Urgent data is delivered in band; the pointer means nothing to SOCKS.
 * - The RTO is at least SRTT + 200 ms, not 1 s (RFC 6298 2.4), as with Linux: what a delayed ACK may take, and a bit.
 * - A segment without the timestamp that was agreed is dropped (RFC 7323 3.2), though Linux takes it.
 * - A path's MTU is found by ICMP alone, and for each flow anew: no probes (RFC 4821, 8899), no memory beside the flow, and
 *   no second look for a larger one. The link to a workstation is one hop nearly always.
 * - An RST that is exactly right ends TIME_WAIT (against RFC 1337, as with Linux): the workstation has no other way to say
 *   that it forgot the connection.
 * - A FIN is not passed on to Tor, which has no half-close (close.c; half_close for servers that have).
 */
#include "tcp/engine.h"

#include <errno.h>

#include "tcp/internal.h"

#define PAGE 4096u

/* (Super-)segments that leave in a turn at most. Each may bring an ACK of its own, and a turn reads no more than so many
 * frames (tun/receive.h): if more left than is read, the ACKs would fill the queue of the link, and those that are lost
 * there are the only ones of the flows that have little under way, which then wait for their RTO, again and again. */
#define FLUSH_FRAMES 128u

static size_t page_up(size_t n)
{
    return (n + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static uint32_t bucket_count(uint32_t flows)
{
    uint32_t n = 64;
    while (n < flows)
        n *= 2;
    return n;
}

/* Most flows never lose anything, so there are fewer scoreboards than flows. */
static uint32_t board_count(const struct tcp_config *c)
{
    static_assert(1024 + POOL_MAX_SLOTS / 16 <= FLOW_BOARD_MAX, "a board's number fits the flow");
    return u32_min(c->max_flows, 1024 + c->max_flows / 16);
}

/* Where each part of the block lies. */
struct layout {
    size_t flows, flows_overhead, generation, buckets;
    size_t chunks, chunks_overhead, chunk_info;
    size_t boards, boards_overhead;
    size_t hosts;
    size_t accounts;
    size_t size;
};

static size_t place(struct layout *l, size_t bytes)
{
    size_t at = l->size;
    l->size += page_up(bytes);
    return at;
}

static struct layout lay_out(const struct tcp_config *c)
{
    struct layout l = {.size = page_up(sizeof(struct tcp_engine))};
    uint32_t boards = board_count(c);
    l.flows = place(&l, (size_t)c->max_flows * sizeof(struct flow));
    l.flows_overhead = place(&l, pool_overhead(c->max_flows));
    l.generation = place(&l, (size_t)c->max_flows * sizeof(uint32_t));
    l.buckets = place(&l, (size_t)bucket_count(c->max_flows) * sizeof(uint32_t));
    l.chunks = place(&l, (size_t)c->max_chunks * CHUNK_SIZE);
    l.chunks_overhead = place(&l, pool_overhead(c->max_chunks));
    l.chunk_info = place(&l, (size_t)c->max_chunks * sizeof(struct chunk));
    l.boards = place(&l, (size_t)boards * sizeof(struct board));
    l.boards_overhead = place(&l, pool_overhead(boards));
    l.hosts = place(&l, (size_t)c->max_hosts * sizeof(struct host_use));
    l.accounts = place(&l, (size_t)c->max_hosts * sizeof(uint16_t));
    return l;
}

static bool config_valid(const struct tcp_config *c)
{
    const uint32_t longest = WHEEL_MAX / 2;
    return c->max_flows >= 1 && c->max_flows <= POOL_MAX_SLOTS && c->max_chunks >= 1 &&
           c->max_chunks <= POOL_MAX_SLOTS && c->max_hosts >= 1 && c->max_hosts <= 65535 && c->mtu >= 576 &&
           c->mtu <= 65535 && c->gso_max <= 65535 - TCP_HEADER_MAX && c->connect_timeout <= longest &&
           c->half_close_timeout <= longest && c->idle_timeout <= longest;
}

size_t tcp_engine_size(const struct tcp_config *config)
{
    return config_valid(config) ? lay_out(config).size : 0;
}

/* Keys of their own for each use of the secret. */
static struct siphash_key derive(const struct siphash_key *root, const char *use)
{
    char label[16] = {0};
    strncpy(label, use, sizeof(label) - 2);
    uint64_t k0 = siphash_24(root, label, sizeof(label));
    label[sizeof(label) - 1] = 1;
    return (struct siphash_key){k0, siphash_24(root, label, sizeof(label))};
}

struct tcp_engine *tcp_engine_init(void *memory, const struct tcp_config *config, const struct tcp_ops *ops,
                                   void *ctx, uint64_t now)
{
    assert(config_valid(config));
    uint8_t *base = memory;
    struct layout l = lay_out(config);
    struct tcp_engine *e = memory;

    e->cfg = *config;
    e->ops = *ops;
    e->ctx = ctx;
    struct siphash_key root = siphash_key_load(config->secret);
    e->table_key = derive(&root, "flow table");
    e->isn_key = derive(&root, "sequence");
    e->ts_key = derive(&root, "timestamp");
    e->port_key = derive(&root, "port");
    pool_init(&e->flows, base + l.flows, sizeof(struct flow), config->max_flows, base + l.flows_overhead);
    pool_init(&e->chunks.pool, base + l.chunks, CHUNK_SIZE, config->max_chunks, base + l.chunks_overhead);
    pool_init(&e->boards, base + l.boards, sizeof(struct board), board_count(config), base + l.boards_overhead);
    e->generation = (uint32_t *)(void *)(base + l.generation);
    e->buckets = (uint32_t *)(void *)(base + l.buckets);
    e->bucket_mask = bucket_count(config->max_flows) - 1;
    e->chunks.info = (struct chunk *)(void *)(base + l.chunk_info);
    e->hosts = (struct host_use *)(void *)(base + l.hosts);
    e->accounts = (uint16_t *)(void *)(base + l.accounts);
    for (uint32_t host = 0; host < config->max_hosts; host++)
        e->accounts[host] = (uint16_t)host;
    e->now = now;
    e->now_ms = (uint32_t)(now / 1000);
    wheel_init(&e->wheel, base + l.flows + offsetof(struct flow, timer), sizeof(struct flow), e->now_ms);
    return e;
}

void engine_set_clock(struct tcp_engine *e, uint64_t now)
{
    e->now = now;
    e->now_ms = (uint32_t)(now / 1000);
    /* While no timer is set nobody calls tcp_advance(), perhaps for weeks, and the next timer is set before it is. */
    if (e->wheel.set == 0)
        wheel_expire(&e->wheel, e->now_ms);
}

void tcp_advance(struct tcp_engine *e, uint64_t now)
{
    engine_clock(e, now);
    for (uint32_t i = wheel_expire(&e->wheel, e->now_ms); i != 0; i = wheel_expire(&e->wheel, e->now_ms))
        timer_run(e, flow_at(e, i));
}

bool tcp_flush(struct tcp_engine *e, uint64_t now)
{
    engine_clock(e, now);
    for (uint32_t k = 0; e->gathers > 0 && k < GATHER_SLOTS; k++)
        if (e->gather[k].flow != 0)
            receive_flush(e, flow_at(e, e->gather[k].flow));

    e->budget = FLUSH_FRAMES;
    uint32_t i = e->list_first;
    uint32_t last = e->list_last;
    e->list_first = 0;
    e->list_last = 0;
    while (i != 0 && e->budget > 0) {
        struct flow *f = flow_at(e, i);
        i = f->list_next;
        f->flags &= ~(uint32_t)FLOW_LISTED;
        if (f->state == FLOW_FREE)
            flow_free_slot(e, f);
        else if (send_output(e, f))
            flow_list(e, f);
    }
    /* Whoever had no turn comes first in the next one, before those that used up theirs. */
    if (i != 0) {
        flow_at(e, last)->list_next = e->list_first;
        e->list_last = e->list_last != 0 ? e->list_last : last;
        e->list_first = i;
    }
    bool more = e->starving_first != 0 && memory_share(e);
    return e->list_first != 0 || more;
}

bool tcp_next_deadline(const struct tcp_engine *e, uint64_t *at)
{
    uint32_t ms;
    if (!wheel_next(&e->wheel, &ms))
        return false;
    int32_t ahead = (int32_t)(ms - e->now_ms);
    uint64_t base = e->now / 1000;
    *at = (ahead > 0 ? base + (uint32_t)ahead : base) * 1000;
    return true;
}

void tcp_upstream_readable(struct tcp_engine *e, struct tcp_flow_id id, uint64_t now)
{
    engine_clock(e, now);
    struct flow *f = flow_of_id(e, id);
    if (f == NULL || !(f->flags & FLOW_UP_OPEN) || (f->flags & (FLOW_UP_EOF | FLOW_UP_RESET)))
        return;
    f->flags |= FLOW_READABLE;
    flow_list(e, f);
}

void tcp_upstream_writable(struct tcp_engine *e, struct tcp_flow_id id, size_t room, uint64_t now)
{
    engine_clock(e, now);
    struct flow *f = flow_of_id(e, id);
    if (f == NULL || !(f->flags & FLOW_UP_HELD))
        return;
    bool held = f->rcv_held > 0;
    f->flags &= ~(uint32_t)FLOW_WAIT_ROOM;
    receive_room(f, room);
    receive_deliver(e, f);
    if (f->state < FLOW_ESTABLISHED)
        return;
    receive_reopen(e, f);
    if (held)
        close_fin_waited(e, f);
}

void tcp_upstream_reset(struct tcp_engine *e, struct tcp_flow_id id, uint64_t now)
{
    engine_clock(e, now);
    struct flow *f = flow_of_id(e, id);
    if (f != NULL && (f->flags & FLOW_UP_HELD))
        close_reset(e, f);
}

static void reset_if(struct tcp_engine *e, uint32_t i, bool all, uint32_t host)
{
    if (!pool_is_taken(&e->flows, i))
        return;
    struct flow *f = flow_at(e, i);
    if (f->state == FLOW_FREE || (!all && f->host != host))
        return;
    if (f->state == FLOW_TIME_WAIT)
        flow_end(e, f, TCP_RELEASE_CLOSE);
    else
        close_reset(e, f);
}

void tcp_engine_reset_all(struct tcp_engine *e, uint64_t now)
{
    engine_clock(e, now);
    for (uint32_t i = pool_highest(&e->flows); i > 0; i--)
        reset_if(e, i, true, 0);
}

void tcp_engine_charge(struct tcp_engine *e, uint32_t host, uint32_t account)
{
    assert(host < e->cfg.max_hosts && account < e->cfg.max_hosts);
    e->accounts[host] = (uint16_t)account;
}

void tcp_engine_reset_host(struct tcp_engine *e, uint32_t host, uint64_t now)
{
    engine_clock(e, now);
    if (host >= e->cfg.max_hosts)
        return;
    for (uint32_t i = engine_host(e, host)->flows > 0 ? pool_highest(&e->flows) : 0; i > 0; i--)
        reset_if(e, i, false, host);
    engine_host(e, host)->up_bytes = engine_host(e, host)->down_bytes = 0;
}

void tcp_packet_too_big(struct tcp_engine *e, const struct tcp_tuple *tuple, uint32_t seq, uint32_t mtu,
                        uint64_t now)
{
    engine_clock(e, now);
    struct flow *f = flow_find(e, tuple);
    bool v4 = ipaddr_is_v4(&tuple->src);
    if (f == NULL || f->state < FLOW_ESTABLISHED || f->state == FLOW_TIME_WAIT)
        return;
    /* Only about a segment that is on its way, and only down to what every link must carry (RFC 5927 4.1, 7.2). */
    if (seq_lt(seq, f->snd_una) || seq_ge(seq, f->snd_nxt))
        return;
    mtu = u32_max(mtu, v4 ? 552 : 1280);
    uint32_t mss = mtu - (v4 ? 40u : 60u) - ((f->flags & FLOW_TS) ? TCP_OPTION_TS_SIZE : 0);
    if (mss >= f->snd_mss)
        return;
    f->snd_mss = (uint16_t)mss;
    if (f->snd_nxt - f->snd_una > mss)
        recovery_too_large(e, f);
}

size_t tcp_engine_settle(struct tcp_engine *e, void **start)
{
    size_t n = pool_settle(&e->chunks.pool, start);
    if (n == 0)
        n = pool_settle(&e->boards, start);
    if (n == 0)
        n = pool_settle(&e->flows, start);
    /* An empty hash table is zeros. */
    if (n == 0 && e->hashed && e->counters.flows == 0) {
        e->hashed = false;
        *start = e->buckets;
        n = page_up(((size_t)e->bucket_mask + 1) * sizeof(*e->buckets)); /* as it was placed */
    }
    return n;
}

uint32_t tcp_engine_highest(const struct tcp_engine *e)
{
    return pool_highest(&e->flows);
}

const struct tcp_counters *tcp_engine_counters(const struct tcp_engine *e)
{
    return &e->counters;
}

const struct drops *tcp_engine_drops(const struct tcp_engine *e)
{
    return &e->drops;
}

bool tcp_flow_look(const struct tcp_engine *e, uint32_t index, uint64_t now, struct tcp_flow_info *info)
{
    static const char *const names[] = {
        [FLOW_CONNECTING] = "CONNECTING",   [FLOW_SYN_SENT] = "SYN-SENT",     [FLOW_SYN_RECEIVED] = "SYN-RECEIVED",
        [FLOW_ESTABLISHED] = "ESTABLISHED", [FLOW_CLOSE_WAIT] = "CLOSE-WAIT", [FLOW_FIN_WAIT_1] = "FIN-WAIT-1",
        [FLOW_FIN_WAIT_2] = "FIN-WAIT-2",   [FLOW_CLOSING] = "CLOSING",       [FLOW_LAST_ACK] = "LAST-ACK",
        [FLOW_TIME_WAIT] = "TIME-WAIT",
    };
    if (!pool_is_taken(&e->flows, index))
        return false;
    const struct flow *f = flow_at(e, index);
    if (f->state == FLOW_FREE)
        return false;
    uint32_t now_ms = (uint32_t)(now / 1000);
    *info = (struct tcp_flow_info){
        .id = flow_id(e, f),
        .tuple = f->tuple,
        .host = f->host,
        .state = names[f->state],
        .up_bytes = f->up_bytes,
        .down_bytes = f->down_bytes,
        .age_ms = now_ms - f->created_at,
        .idle_ms = now_ms - f->active_at,
        .srtt_us = f->srtt / 8,
        .cwnd = f->cwnd,
        .snd_wnd = f->snd_wnd,
        .rcv_wnd = f->rcv_edge - f->rcv_nxt,
        .held = f->rcv_held,
        .queued = f->snd_queued,
    };
    return true;
}

uint32_t tcp_flow_highest(const struct tcp_engine *e)
{
    return pool_highest(&e->flows);
}

bool tcp_host_look(const struct tcp_engine *e, uint32_t host, struct tcp_host_info *info)
{
    if (host >= e->cfg.max_hosts)
        return false;
    const struct host_use *use = &e->hosts[host];
    *info = (struct tcp_host_info){
        .flows = use->flows,
        .connecting = use->connecting,
        .up_bytes = use->up_bytes,
        .down_bytes = use->down_bytes,
    };
    return true;
}
