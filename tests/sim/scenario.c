/* SPDX-License-Identifier: BSD-3-Clause */
#include "scenario.h"

#include <string.h>

#define SECOND 1000000u
#define KB 1024u

static struct random *dice;

static bool one_in(uint32_t n)
{
    return random_below(dice, n) == 0;
}

/* `low` to `high`, both included, equally likely. */
static uint32_t between(uint32_t low, uint32_t high)
{
    return low + random_below(dice, high - low + 1);
}

/* The same, each order of magnitude equally likely. */
static uint32_t magnitude(uint32_t low, uint32_t high)
{
    uint32_t bits_low = 0, bits_high = 0;
    while (bits_low < 31 && 2u << bits_low <= low)
        bits_low++;
    while (bits_high < 31 && 2u << bits_high <= high)
        bits_high++;
    uint32_t bits = between(bits_low, bits_high);
    uint32_t v = (1u << bits) + random_below(dice, 1u << bits);
    return v < low ? low : v > high ? high : v;
}

static void make_link(struct scenario *s, struct link_script *l, bool spoilt)
{
    *l = (struct link_script){.delay = magnitude(50, 150000), .quantum = 1};
    if (one_in(3))
        l->quantum = between(1, 20) * 100;
    if (s->perfect) {
        l->delay = magnitude(50, 60000);
        return;
    }
    if (one_in(2))
        l->loss = s->harsh ? between(100000, 400000) : magnitude(500, 80000);
    if (l->loss != 0 && one_in(3))
        l->burst_loss = between(100000, s->harsh ? 800000 : 600000);
    if (one_in(3))
        l->duplicate = magnitude(500, 100000);
    if (one_in(3)) {
        l->reorder = magnitude(500, 200000);
        l->reorder_by = magnitude(10, 100000);
    }
    if (one_in(3))
        l->jitter = magnitude(10, l->delay + 10);
    if (one_in(4)) {
        l->rate = magnitude(100 * KB, 12 * KB * KB);
        l->queue = between(32 * KB, 128 * KB);
    }
    if (spoilt)
        l->damage = magnitude(1000, 50000);
}

static void make_config(struct scenario *s)
{
    struct tcp_config *c = &s->config;
    *c = (struct tcp_config){
        .max_flows = s->peers + 8,
        .max_chunks = 64 + s->peers * 40,
        .max_hosts = SCENARIO_HOSTS_MAX,
        .max_connecting = s->peers + 8,
        .host_flows = s->peers + 8,
        .host_connecting = s->peers + 8,
        .mtu = one_in(4) ? between(s->v4 ? 576 : 1280, 9000) : 1500,
        .gso_max = one_in(3)   ? 0
                   : one_in(4) ? between(4000, 65000)
                               : 65000,
        .connect_timeout = 120000,
        .half_close_timeout = one_in(4) ? between(5000, 60000) : 60000,
        .idle_timeout = 7200000,
        .optimistic = one_in(3),
    };
    random_fill(dice, c->secret, sizeof(c->secret));
    c->push_turns = c->gso_max == 0 && (c->secret[0] & 1) != 0;
    c->host_chunks = c->max_chunks;
    if (!s->scarce)
        return;
    switch (between(0, 4)) {
    case 0:
        c->max_flows = 1 + s->peers / between(1, 8);
        break;
    case 1:
        c->max_chunks = between(1, 2 + s->peers * 2);
        break;
    case 2:
        c->host_chunks = between(1, 2 + s->peers);
        break;
    case 3:
        c->max_connecting = 1 + s->peers / 4;
        break;
    default:
        c->host_flows = 1 + s->peers / 4;
        c->host_connecting = 1 + s->peers / 8;
        break;
    }
}

static void make_peer(struct scenario *s, struct peer_script *p, uint32_t number)
{
    uint32_t headers = s->v4 ? 40 : 60;
    bool gentle = s->perfect;
    *p = (struct peer_script){
        .start_at = s->start + (one_in(3) ? 0 : magnitude(1, 3 * SECOND)),
        .write_size = one_in(3) ? magnitude(1, 65536) : UINT32_MAX / 2,
        .write_every = magnitude(1, SECOND / 4),
        .read_size = magnitude(512, 256 * KB),
        .read_every = gentle || one_in(2) ? 0 : magnitude(100, SECOND / 10),
        .close = one_in(2) ? CLOSE_WHEN_SENT : CLOSE_LAST,
        .abort_at = NEVER,
        .vanish_at = NEVER,
        .iss = one_in(3) ? 0u - between(0, 100000) : (uint32_t)random_u64(dice),
        .ts_base = one_in(3) ? 0u - between(0, 10000) : (uint32_t)random_u64(dice),
        .delayed_ack = one_in(4) ? 0 : between(1, 100) * 1000,
        .gso = one_in(2) ? 0 : between(2000, 65000),
        .rto_min = one_in(2) ? 200000 : SECOND,
        .link = (uint16_t)(s->config.mtu - headers),
        .wscale = (int8_t)(one_in(4) ? -1 : (int)between(0, one_in(4) ? 14 : 8)),
        .ts = !one_in(3),
        .sack = !one_in(3),
        .old_probes = one_in(2),
        .src_port = (uint16_t)(1024 + number * 7),
        .dst_port = (uint16_t)between(1, 65535),
    };
    p->mss = p->link;
    if (one_in(8))
        p->mss = 0;
    else if (one_in(8))
        p->mss = (uint16_t)magnitude(1, p->link);
    uint32_t unit = p->wscale > 0 ? 1u << p->wscale : 1;
    p->buffer = magnitude(gentle ? 32 * KB : 2 * KB, 1u << 20);
    if (p->buffer < 4 * unit)
        p->buffer = 4 * unit;
    if (gentle)
        return;
    if (one_in(8))
        p->buffer = magnitude(4 * unit, 8 * KB + 4 * unit); /* windows of little */
    p->window = one_in(6) ? WINDOW_SILLY : one_in(8) ? WINDOW_SHRINK : WINDOW_HONEST;
    if (p->window == WINDOW_SHRINK && p->read_every == 0)
        p->read_every = 2000;
    p->reneges = p->sack && one_in(8);
    if (one_in(5))
        p->stall_for = magnitude(1000, 100 * SECOND);
}

static void make_upstream(struct scenario *s, struct upstream_script *u)
{
    bool gentle = s->perfect;
    *u = (struct upstream_script){
        .outcome = OUTCOME_CONNECT,
        .connect_after = one_in(3) ? 0 : magnitude(100, 2 * SECOND),
        .capacity = magnitude(gentle ? 65536 : 512, 1u << 20),
        .drain = magnitude(256, 256 * KB),
        .drain_every = gentle || one_in(2) ? 0 : magnitude(10, SECOND / 10),
        .short_writes = !gentle && one_in(4),
        .burst = one_in(2) ? UINT32_MAX / 2 : magnitude(1, 65536),
        .burst_every = magnitude(10, SECOND / 4),
        .eof = one_in(2) ? EOF_WHEN_SENT : EOF_WHEN_BOTH,
        .reset_after = UINT64_MAX,
        .broken_at = -1,
    };
    if (!gentle && one_in(5))
        u->stall_for = magnitude(1000, one_in(4) ? 90 * SECOND : 20 * SECOND);
}

/* How much each way, so that the whole stays affordable: what matters is segments, not bytes. */
static void make_streams(struct scenario *s, struct scenario_peer *p)
{
    struct peer_script *c = &p->peer;
    struct upstream_script *u = &p->upstream;
    uint32_t most = 4096 * KB / (s->peers + 2);
    uint32_t mss = c->mss != 0 ? c->mss : 536;
    uint32_t down_most = mss * 400 < most ? mss * 400 : most;
    c->up_total = one_in(6) ? 0 : magnitude(1, most);
    u->down_total = one_in(6) ? 0 : magnitude(1, down_most);
    /* No more than so many steps of application and upstream. */
    uint32_t step = (uint32_t)c->up_total / 200 + 1;
    if (c->write_size < step)
        c->write_size = step;
    if (u->drain < step)
        u->drain = step;
    step = (uint32_t)u->down_total / 200 + 1;
    if (u->burst < step)
        u->burst = step;
    if (c->read_size < step)
        c->read_size = step;
    if (c->window != WINDOW_HONEST && u->down_total > 40000)
        u->down_total = 40000;
    if (c->buffer < 4096 && u->down_total > (int64_t)c->buffer * 100)
        u->down_total = (int64_t)c->buffer * 100;
    if (u->capacity < 4096 && c->up_total > (int64_t)u->capacity * 100)
        c->up_total = (int64_t)u->capacity * 100;
    c->stall_at = random_below(dice, (uint32_t)u->down_total + 1);
    u->stall_at = random_below(dice, (uint32_t)c->up_total + 1);
    u->up_total = c->up_total;
    u->up_phase = random_below(dice, 65521);
    u->down_phase = random_below(dice, 65521);
}

/* Something goes wrong for this one. */
static void make_trouble(struct scenario *s, struct scenario_peer *p)
{
    uint64_t when = magnitude(1000, 20 * SECOND);
    (void)s;
    p->completes = false;
    switch (between(0, 10)) {
    case 0:
        p->peer.abort_at = p->peer.start_at + when;
        break;
    case 1:
        p->peer.vanish_at = p->peer.start_at + when;
        break;
    case 2:
        p->upstream.outcome = OUTCOME_FAIL;
        p->upstream.refusal = (enum tcp_refusal)between(TCP_REFUSAL_RESET, TCP_REFUSAL_SILENT);
        break;
    case 3:
        p->upstream.outcome = OUTCOME_IGNORE;
        break;
    case 4:
        p->upstream.outcome = OUTCOME_DENY;
        break;
    case 5:
        p->upstream.outcome = OUTCOME_BUSY;
        p->upstream.busy = between(1, 3);
        p->completes = !s->config.optimistic;
        break;
    case 6:
        p->upstream.reset_after = when;
        break;
    case 7:
        p->upstream.broken_at = random_below(dice, (uint32_t)p->peer.up_total + 1);
        break;
    case 8:
        p->upstream.broken_after_eof = true;
        p->upstream.eof = EOF_WHEN_SENT;
        break;
    case 9:
        /* The server never closes; the workstation does, and half_close_timeout ends it. */
        p->upstream.eof = EOF_NEVER;
        p->peer.close = CLOSE_WHEN_SENT;
        break;
    default:
        /* Nobody ever closes: the idle timeout does. */
        p->upstream.eof = EOF_NEVER;
        p->peer.close = CLOSE_LAST;
        break;
    }
}

static uint64_t round_trip(const struct scenario *s)
{
    uint64_t worst = 0;
    for (uint32_t h = 0; h < SCENARIO_HOSTS_MAX; h++) {
        uint64_t rtt = 0;
        const struct link_script *both[] = {&s->up[h], &s->down[h]};
        for (int k = 0; k < 2; k++) {
            const struct link_script *l = both[k];
            rtt += (uint64_t)l->delay + l->jitter + l->reorder_by + l->quantum;
            if (l->rate != 0)
                rtt += (uint64_t)(l->queue + 70000) * SECOND / l->rate;
        }
        worst = rtt > worst ? rtt : worst;
    }
    worst += SECOND / 10;
    /* Where ACKs are lost, a timestamp comes back with a later segment only, perhaps one the peer had to repeat. */
    if (!s->perfect)
        worst += 2 * SECOND;
    return s->harsh || s->damaged ? 60 * SECOND : worst;
}

void scenario_make(struct scenario *s, uint64_t seed)
{
    struct random random = {seed};
    random.state = random_u64(&random) ^ 0x5eed; /* neighbouring seeds must not walk the same states */
    dice = &random;
    memset(s, 0, sizeof(*s));
    s->seed = seed;
    /* Clocks about to wrap: milliseconds after 49 days, microseconds after 71 minutes. */
    s->start = one_in(4)   ? (1ull << 32) * 1000 - between(1, 20) * SECOND
               : one_in(4) ? (1ull << 32) - between(1, 20) * SECOND
                           : between(1, 1000) * SECOND;
    s->peers = one_in(2) ? 1 : one_in(4) ? between(6, SCENARIO_PEERS_MAX) : between(2, 5);
    s->v4 = !one_in(3);
    s->damaged = one_in(16);
    s->harsh = one_in(16);
    s->scarce = one_in(6);
    s->perfect = !s->damaged && !s->harsh && !s->scarce && one_in(8);
    for (uint32_t h = 0; h < SCENARIO_HOSTS_MAX; h++) {
        make_link(s, &s->up[h], s->damaged);
        make_link(s, &s->down[h], s->damaged);
    }
    make_config(s);
    if (!s->perfect) {
        s->lives = one_in(4) ? between(1, 2) : 0;
        s->path_mtu = one_in(10) ? between(s->v4 ? 576 : 1280, s->config.mtu) : 0;
        s->full_queue = one_in(10) ? magnitude(5, 200) : 0;
        s->meddle_every = one_in(6) ? magnitude(1000, 5 * SECOND) : 0;
        s->leave_at = s->meddle_every != 0 && one_in(4) ? magnitude(1000, 10 * SECOND) : 0;
    }
    bool troubled = !s->perfect && one_in(3);
    bool lies = !s->perfect && (s->config.secret[1] & 7) == 0;
    bool starves = !s->perfect && (s->config.secret[2] & 15) == 0;
    for (uint32_t k = 0; k < s->peers; k++) {
        struct scenario_peer *p = &s->peer[k];
        p->host = random_below(dice, SCENARIO_HOSTS_MAX);
        p->completes = true;
        make_peer(s, &p->peer, k);
        make_upstream(s, &p->upstream);
        make_streams(s, p);
        /* What stands still for that long is given up, by half_close_timeout or in FIN_WAIT_2. */
        if (p->upstream.stall_for + 5 * SECOND > (uint64_t)s->config.half_close_timeout * 1000)
            p->completes = false;
        if (s->damaged)
            p->peer.vanish_at = s->start + 1800ull * SECOND; /* two confused ends may talk for ever */
        if (troubled && one_in(2))
            make_trouble(s, p);
        if (s->leave_at != 0 && p->host == 0)
            p->completes = false;
        p->upstream.starves = starves;
        p->peer.lies = lies && p->peer.sack;
        p->completes = p->completes && !p->peer.lies;
    }
    s->rtt_max = round_trip(s);
}
