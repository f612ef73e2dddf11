/* SPDX-License-Identifier: BSD-3-Clause */
#include "world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "events.h"
#include "inspect.h"
#include "watch.h"

#define HOUR 3600000000u       /* us */
#define BATCH_BYTES (1u << 20) /* payload that one turn may bring */
#define EVENTS_MAX 20000000u   /* a run with more does not end */
#define BUSY_MAX 2000u         /* turns in a row that may leave work behind while nothing happens */
#define OPENS_MAX 512u         /* upstreams of one run: more than there are peers, as SYNs are repeated */

struct actor {
    struct scenario_peer script; /* of this life */
    uint32_t life;               /* connections from this port so far, this one not counted */
    uint32_t upstreams_before;   /* upstreams with a lower number belong to an earlier life */
    uint64_t sent_at, silence;   /* when the peer last sent, and its longest silence within the connection */
    struct peer peer;
    struct watch watch;
    uint64_t wake_at; /* of the event that is on its way, or NEVER */
    uint32_t opens;   /* open() calls so far */
    int64_t up_done;  /* most bytes that an upstream of this peer took */
    uint64_t up_done_at, down_done_at;
};

struct world {
    const struct scenario *s;
    struct world_result *result;
    jmp_buf fail;
    bool trace;
    uint64_t now;
    struct events events;
    struct tcp_engine *engine;
    void *memory;
    struct link up[SCENARIO_HOSTS_MAX], down[SCENARIO_HOSTS_MAX];
    struct actor *actors;
    struct upstream *upstreams; /* one for each open() that returned 0 */
    uint64_t *upstream_wake_at;
    uint32_t upstream_count;
    uint32_t *by_flow; /* upstream of a flow slot, 1 + number */
    uint8_t *batch;    /* payload of the segments of this turn */
    size_t batch_used;
    bool busy;           /* tcp_flush() has more to do */
    uint32_t busy_turns; /* so often in a row, and nothing happened */
    bool given;          /* the engine was given something since the last flush */
    bool in_call;        /* inside the engine */
    struct random random;
    bool left;     /* the workstation that leaves has left */
    uint32_t peer; /* the one that was last dealt with, for messages */
    uint32_t turns;
};

static void fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

static void fail(struct world *w, const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(w->result->wrong, sizeof(w->result->wrong), "at %.6f s, peer %u: %s",
             (double)(w->now - w->s->start) / 1e6, w->peer, text);
    longjmp(w->fail, 1);
}

static void digest(struct world *w, uint64_t v)
{
    uint64_t d = w->result->digest ^ v;
    d *= 0xff51afd7ed558ccdu;
    w->result->digest = d ^ d >> 33;
}

static void trace_segment(const struct world *w, const char *way, uint32_t peer, const struct wire_header *h,
                          uint32_t payload, uint32_t gso, const char *what)
{
    if (!w->trace)
        return;
    const struct watch *o = &w->actors[peer].watch;
    bool up = way[0] == '>';
    uint32_t seq = h->seq - (up ? w->actors[peer].peer.s.iss : o->iss);
    uint32_t ack = h->ack - (up ? o->iss : w->actors[peer].peer.s.iss);
    printf("%11.6f %3u %s %c%c%c%c seq %u ack %u win %u len %u", (double)(w->now - w->s->start) / 1e6, peer, way,
           h->flags & WIRE_SYN ? 'S' : '-', h->flags & WIRE_FIN ? 'F' : '-', h->flags & WIRE_RST ? 'R' : '-',
           h->flags & WIRE_ACK ? 'A' : '-', seq, ack, h->window, payload);
    if (gso != 0)
        printf(" gso %u", gso);
    for (uint32_t k = 0; k < h->sack_count; k++)
        printf(" sack %u-%u", h->sack[k][0] - (up ? o->iss : w->actors[peer].peer.s.iss),
               h->sack[k][1] - (up ? o->iss : w->actors[peer].peer.s.iss));
    printf(" %s\n", what);
}

static struct ipaddr address(const struct world *w, uint8_t net, uint32_t host)
{
    if (w->s->v4) {
        uint8_t b[4] = {10, net, 0, (uint8_t)(host + 1)};
        return ipaddr_v4(b);
    }
    uint8_t b[16] = {0xfd, net, [15] = (uint8_t)(host + 1)};
    return ipaddr_v6(b);
}

/* --- what the engine asks for --- */

static struct world *world_of(void *ctx)
{
    struct world *w = ctx;
    if (!w->in_call)
        fail(w, "the engine called out while it was not called");
    return w;
}

static struct upstream *upstream_of(struct world *w, struct tcp_flow_id id)
{
    uint32_t k = id.index >= 1 && id.index <= w->s->config.max_flows ? w->by_flow[id.index] : 0;
    if (k == 0 || w->upstreams[k - 1].id.generation != id.generation)
        fail(w, "an upstream operation for a flow that has none");
    struct upstream *u = &w->upstreams[k - 1];
    w->peer = u->peer;
    if (u->released || u->failed)
        fail(w, "an upstream operation after the upstream was let go of");
    return u;
}

static void upstream_schedule(struct world *w, uint32_t k)
{
    uint64_t next = upstream_next(&w->upstreams[k]);
    if (next == NEVER)
        return;
    if (next <= w->now)
        next = w->now + 1;
    if (next >= w->upstream_wake_at[k])
        return;
    w->upstream_wake_at[k] = next;
    events_add(&w->events, next, EVENT_UPSTREAM, k, NULL);
}

static void upstream_checked(struct world *w, const struct upstream *u)
{
    if (u->wrong != NULL)
        fail(w, "the engine %s", u->wrong);
    upstream_schedule(w, (uint32_t)(u - w->upstreams));
}

static int op_open(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host)
{
    struct world *w = world_of(ctx);
    uint32_t number = (tuple->src_port - 1024u) / 7;
    if (number >= w->s->peers || w->actors[number].peer.s.src_port != tuple->src_port ||
        (w->actors[number].peer.s.dst_port != tuple->dst_port && !w->s->damaged) ||
        host != w->actors[number].script.host)
        fail(w, "opened an upstream for a connection that nobody made");
    struct actor *a = &w->actors[number];
    const struct scenario_peer *p = &a->script;
    w->peer = number;
    digest(w, 0x4f50454e ^ (uint64_t)number << 32);
    a->opens++;
    if (p->upstream.outcome == OUTCOME_DENY)
        return -ECONNREFUSED;
    if (p->upstream.outcome == OUTCOME_BUSY && a->opens <= p->upstream.busy)
        return -EAGAIN;
    if (w->upstream_count == OPENS_MAX)
        fail(w, "opened too many upstreams");
    struct upstream *u = &w->upstreams[w->upstream_count];
    *u = (struct upstream){.s = p->upstream, .id = id, .peer = number, .optimistic = w->s->config.optimistic};
    u->random.state = w->s->seed * 77 + w->upstream_count;
    upstream_init(u, w->now);
    if (id.index == 0 || id.index > w->s->config.max_flows)
        fail(w, "a flow number out of range");
    w->by_flow[id.index] = ++w->upstream_count;
    upstream_schedule(w, w->upstream_count - 1);
    return 0;
}

static ssize_t op_write(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count, size_t *room)
{
    struct world *w = world_of(ctx);
    struct upstream *u = upstream_of(w, id);
    struct actor *a = &w->actors[u->peer];
    ssize_t n = upstream_write(u, iov, count, room, w->now);
    digest(w, 0x57 ^ (uint64_t)u->peer << 32 ^ (uint64_t)n << 8);
    if (u->taken > a->up_done)
        a->up_done = u->taken;
    if (u->taken == u->s.up_total)
        a->up_done_at = w->now;
    if (w->trace)
        printf("%11.6f %3u write %zd, taken %lld, room %zu\n", (double)(w->now - w->s->start) / 1e6, u->peer, n,
               (long long)u->taken, *room);
    if (w->s->damaged)
        u->wrong = NULL; /* a damaged sequence number puts bytes at a wrong place, and nobody can know */
    upstream_checked(w, u);
    return n;
}

static ssize_t op_read(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count)
{
    struct world *w = world_of(ctx);
    struct upstream *u = upstream_of(w, id);
    ssize_t n = upstream_read(u, iov, count);
    digest(w, 0x52 ^ (uint64_t)u->peer << 32 ^ (uint64_t)n << 8);
    if (w->trace)
        printf("%11.6f %3u read %zd, given %lld\n", (double)(w->now - w->s->start) / 1e6, u->peer, n,
               (long long)u->given);
    upstream_checked(w, u);
    return n;
}

static void op_release(void *ctx, struct tcp_flow_id id, enum tcp_release how)
{
    struct world *w = world_of(ctx);
    struct upstream *u = upstream_of(w, id);
    upstream_release(u, how);
    digest(w, 0x4c ^ (uint64_t)u->peer << 32 ^ (uint64_t)how << 8);
    if (w->trace)
        printf("%11.6f %3u release %d\n", (double)(w->now - w->s->start) / 1e6, u->peer, (int)how);
    upstream_checked(w, u);
}

static void carry(struct world *w, struct link *link, enum event_kind kind, uint32_t peer, const uint8_t *header,
                  uint32_t length, int64_t offset, uint32_t payload, uint16_t gso)
{
    uint32_t bytes = length + payload + (w->s->v4 ? 20u : 40u);
    for (int copy = link_repeats(link) ? 2 : 1; copy > 0; copy--) {
        bool fits = kind != EVENT_DOWN || w->s->path_mtu == 0 || bytes <= w->s->path_mtu;
        uint64_t at = link_carry(link, bytes, w->now);
        if (at == NEVER)
            continue;
        struct packet *p = events_packet(&w->events);
        memcpy(p->header, header, length);
        p->length = length;
        p->offset = offset;
        p->payload = payload;
        p->gso = gso;
        p->phase = w->actors[peer].script.upstream.up_phase;
        if (link_damage(link, p->header, length))
            p->damaged = true;
        events_add(&w->events, at <= w->now ? w->now + 1 : at, fits ? kind : EVENT_TOO_BIG, peer, p);
    }
}

/* A segment for the workstation: judged, then cut as the link would, each piece with a fate of its own. */
static int op_emit(void *ctx, struct tcp_out *out)
{
    struct world *w = world_of(ctx);
    const uint8_t *header = out->head + TCP_HEADROOM;
    struct wire_header h;
    const char *wrong = wire_parse(header, out->header_len, &h);
    uint32_t number = (h.dst_port - 1024u) / 7;
    if (wrong == NULL && (number >= w->s->peers || w->actors[number].peer.s.src_port != h.dst_port))
        wrong = "a segment for nobody";
    if (wrong != NULL)
        fail(w, "the engine sent %s", wrong);
    struct actor *a = &w->actors[number];
    uint32_t host = a->script.host;
    struct ipaddr dst = address(w, 1, host), src = address(w, 2, 0);
    w->peer = number;
    if (out->host != host || !ipaddr_equal(&out->dst, &dst) || !ipaddr_equal(&out->src, &src))
        fail(w, "the engine sent a segment with wrong addresses");
    w->result->packets++;
    digest(w, w->now);
    for (uint32_t k = 0; k + 4 <= out->header_len; k += 4)
        digest(w, (uint64_t)header[k] << 24 | (uint64_t)header[k + 1] << 16 | (uint64_t)header[k + 2] << 8 |
                      header[k + 3]);
    digest(w, out->payload_len | (uint64_t)out->gso_size << 32);
    wrong = w->s->damaged ? NULL
                          : watch_out(&a->watch, &h, out->iov + 1, out->iov_count - 1, out->payload_len,
                                      out->gso_size, w->now);
    trace_segment(w, "<", number, &h, out->payload_len, out->gso_size, wrong != NULL ? wrong : "");
    if (wrong != NULL)
        fail(w, "the engine sent %s", wrong);

    if (w->s->full_queue != 0 && random_below(&w->random, w->s->full_queue) == 0)
        return -ENOBUFS;
    uint32_t each = out->gso_size != 0 ? out->gso_size : out->payload_len;
    uint32_t at = 0;
    /* A link that does not cut; a smaller path would have to. */
    bool whole = a->script.peer.gso != 0 && out->gso_size != 0 && w->s->path_mtu == 0;
    if (whole)
        each = out->payload_len;
    do {
        uint32_t len = out->payload_len - at < each ? out->payload_len - at : each;
        struct wire_header piece = h;
        uint8_t bytes[WIRE_HEADER_MAX];
        memcpy(bytes, header, out->header_len);
        piece.seq = h.seq + at;
        for (int k = 0; k < 4; k++)
            bytes[4 + k] = (uint8_t)(piece.seq >> (24 - 8 * k));
        if (at + len < out->payload_len)
            bytes[13] &= (uint8_t) ~(WIRE_FIN | WIRE_PSH);
        carry(w, &w->down[host], EVENT_DOWN, number, bytes, out->header_len, 0, len, 0);
        at += len;
    } while (at < out->payload_len);
    return 0;
}

static void op_unreachable(void *ctx, const struct tcp_tuple *tuple, uint32_t host, enum tcp_refusal why,
                           const uint8_t tcp_header[8])
{
    struct world *w = world_of(ctx);
    uint32_t number = (tuple->src_port - 1024u) / 7;
    if (number >= w->s->peers || host != w->actors[number].script.host || why == TCP_REFUSAL_RESET ||
        why == TCP_REFUSAL_SILENT || (uint16_t)(tcp_header[0] << 8 | tcp_header[1]) != tuple->src_port)
        fail(w, "a wrong ICMP message");
    events_add(&w->events, w->now + w->down[host].s.delay, EVENT_UNREACHABLE, number, NULL);
}

/* --- what the world does --- */

static void live_again(struct world *w, uint32_t k);

static void peer_schedule(struct world *w, uint32_t k)
{
    uint64_t next = peer_next(&w->actors[k].peer);
    if (next == NEVER)
        return;
    if (next <= w->now)
        next = w->now + 1;
    if (next >= w->actors[k].wake_at)
        return;
    w->actors[k].wake_at = next;
    events_add(&w->events, next, EVENT_PEER, k, NULL);
}

static void peer_sends(void *ctx, struct peer *p, const struct wire_header *h, int64_t offset, uint32_t payload,
                       uint16_t gso)
{
    struct world *w = ctx;
    uint8_t header[WIRE_HEADER_MAX];
    uint32_t length = wire_build(header, h);
    struct actor *a = &w->actors[p->number];
    if (a->sent_at != 0 && w->now - a->sent_at > a->silence)
        a->silence = w->now - a->sent_at;
    a->sent_at = w->now;
    carry(w, &w->up[a->script.host], EVENT_UP, p->number, header, length, offset, payload, gso);
}

static void arrive_up(struct world *w, uint32_t number, struct packet *p)
{
    struct actor *a = &w->actors[number];
    uint32_t bytes = p->length + p->payload;
    if (w->batch_used + bytes > BATCH_BYTES) {
        /* No room in this turn: a moment later. */
        struct packet *again = events_packet(&w->events);
        *again = *p;
        events_add(&w->events, w->now + 1, EVENT_UP, number, again);
        return;
    }
    uint8_t *at = w->batch + w->batch_used;
    w->batch_used += bytes;
    memcpy(at, p->header, p->length);
    content_fill(at + p->length, p->phase, p->offset, p->payload);
    struct wire_header h;
    bool readable = wire_parse(p->header, p->length, &h) == NULL;
    if (readable)
        trace_segment(w, ">", number, &h, p->payload, p->gso, p->damaged ? "damaged" : "");
    if (!p->damaged && readable)
        watch_in(&a->watch, &h, p->payload, w->now);
    struct tcp_in in = {
        .src = address(w, 1, a->script.host),
        .dst = address(w, 2, 0),
        .host = a->script.host,
        .seg = bytes_of(at, bytes),
        .gso_size = p->gso,
    };
    w->result->packets++;
    w->given = true;
    w->in_call = true;
    tcp_input(w->engine, &in, w->now);
    w->in_call = false;
}

static void arrive_down(struct world *w, uint32_t number, const struct packet *p)
{
    struct actor *a = &w->actors[number];
    struct wire_header h;
    if (wire_parse(p->header, p->length, &h) != NULL)
        return;
    peer_input(&a->peer, &h, p->payload, w->now);
    if (a->down_done_at == 0 && peer_received(&a->peer) == a->script.upstream.down_total)
        a->down_done_at = w->now;
    peer_schedule(w, number);
}

/* What else may happen to an engine at any time: lies about the path, memory given back, a workstation that leaves. */
static void meddle(struct world *w)
{
    struct random *r = &w->random;
    uint32_t number = random_below(r, w->s->peers);
    const struct actor *a = &w->actors[number];
    struct tcp_tuple tuple = {.src = address(w, 1, a->script.host),
                              .dst = address(w, 2, 0),
                              .src_port = a->script.peer.src_port,
                              .dst_port = a->script.peer.dst_port};
    void *start;
    w->peer = number;
    switch (random_below(r, 3)) {
    case 0:
        watch_heard(&w->actors[number].watch);
        tcp_packet_too_big(w->engine, &tuple, a->watch.iss + (uint32_t)a->watch.top - 1 - random_below(r, 3000),
                           random_below(r, 1600), w->now);
        break;
    case 1:
        for (size_t n = tcp_engine_settle(w->engine, &start); n > 0; n = tcp_engine_settle(w->engine, &start))
            memset(start, 0, n); /* as the system would */
        break;
    default: {
        struct tcp_flow_info info;
        for (uint32_t i = 0; i <= w->s->config.max_flows + 1; i++)
            if (tcp_flow_look(w->engine, i, w->now, &info) &&
                (info.state == NULL || info.host >= SCENARIO_HOSTS_MAX))
                fail(w, "a flow that looks strange");
        break;
    }
    }
    if (w->s->leave_at != 0 && w->now >= w->s->start + w->s->leave_at && !w->left) {
        w->left = true;
        tcp_engine_reset_host(w->engine, 0, w->now);
    }
    if (events_next_at(&w->events) != NEVER)
        events_add(&w->events, w->now + w->s->meddle_every, EVENT_MEDDLE, 0, NULL);
}

static void too_big(struct world *w, uint32_t number, const struct packet *p)
{
    struct actor *a = &w->actors[number];
    struct tcp_tuple tuple = {.src = address(w, 1, a->script.host),
                              .dst = address(w, 2, 0),
                              .src_port = a->script.peer.src_port,
                              .dst_port = a->script.peer.dst_port};
    struct wire_header h;
    watch_heard(&a->watch);
    if (wire_parse(p->header, p->length, &h) == NULL)
        tcp_packet_too_big(w->engine, &tuple, h.seq, w->s->path_mtu, w->now);
}

static void handle(struct world *w, const struct event *e)
{
    w->peer = e->kind == EVENT_UPSTREAM ? w->upstreams[e->who].peer : e->who;
    switch (e->kind) {
    case EVENT_UP:
        arrive_up(w, e->who, e->packet);
        break;
    case EVENT_DOWN:
        arrive_down(w, e->who, e->packet);
        break;
    case EVENT_PEER:
        if (w->actors[e->who].wake_at != e->at)
            break; /* it was called earlier meanwhile */
        w->actors[e->who].wake_at = NEVER;
        peer_wake(&w->actors[e->who].peer, w->now);
        peer_schedule(w, e->who);
        break;
    case EVENT_TOO_BIG:
    case EVENT_MEDDLE:
        w->given = true;
        w->in_call = true;
        if (e->kind == EVENT_TOO_BIG)
            too_big(w, e->who, e->packet);
        else
            meddle(w);
        w->in_call = false;
        break;
    case EVENT_UNREACHABLE:
        peer_unreachable(&w->actors[e->who].peer, w->now);
        break;
    case EVENT_UPSTREAM:
        if (w->upstream_wake_at[e->who] != e->at)
            break;
        w->upstream_wake_at[e->who] = NEVER;
        w->given = true;
        w->in_call = true;
        upstream_wake(&w->upstreams[e->who], w->engine, w->now);
        w->in_call = false;
        upstream_schedule(w, e->who);
        break;
    }
    if (e->kind == EVENT_DOWN || e->kind == EVENT_PEER)
        live_again(w, e->who);
    events_release(&w->events, e->packet);
}

static void judge(struct world *w)
{
    const char *wrong = NULL;
    /* The look into the engine costs time with many flows, so not every turn is looked at then. */
    if (w->turns++ % (1 + w->s->peers / 8) == 0)
        wrong = inspect_engine(w->engine, w->busy);
    if (wrong != NULL)
        fail(w, "inside the engine: %s", wrong);
}

/* One batch: everything of this instant, then the engine's turn. */
static void turn(struct world *w)
{
    w->given = w->busy;
    while (events_next_at(&w->events) <= w->now) {
        struct event e = events_take(&w->events);
        if (++w->result->events > EVENTS_MAX)
            fail(w, "the run does not end");
        w->busy_turns = 0;
        handle(w, &e);
    }
    uint64_t deadline;
    bool due = tcp_next_deadline(w->engine, &deadline) && deadline <= w->now;
    if (!w->given && !due)
        return;
    w->in_call = true;
    tcp_advance(w->engine, w->now);
    w->busy = tcp_flush(w->engine, w->now);
    w->in_call = false;
    w->batch_used = 0;
    w->busy_turns = w->busy ? w->busy_turns + 1 : 0;
    if (w->busy_turns > BUSY_MAX)
        fail(w, "turn follows turn, and there is always more to do");
    judge(w);
}

static bool upstream_satisfied(const struct world *w, uint32_t number)
{
    for (uint32_t k = w->actors[number].upstreams_before; k < w->upstream_count; k++) {
        const struct upstream *u = &w->upstreams[k];
        if (u->peer == number && u->taken == u->s.up_total && u->how == TCP_RELEASE_CLOSE)
            return true;
    }
    return false;
}

/* The end of one connection, against its script. */
static void judge_peer(struct world *w, uint32_t number)
{
    const struct actor *a = &w->actors[number];
    const struct scenario_peer *p = &a->script;
    static const char *const ends[] = {"nothing",   "a clean end",   "a reset", "a refusal",
                                       "a timeout", "its own reset", "silence"};
    /* A far end that closed without having read everything is no fault of ours; as with any TCP it may look clean. */
    bool all_up = upstream_satisfied(w, number) || p->upstream.broken_at >= 0 || p->upstream.broken_after_eof;
    bool all_down = peer_received(&a->peer) == p->upstream.down_total;
    w->peer = number;
    if (w->s->damaged)
        return;
    if (a->peer.end == END_CLEAN && (!all_up || !(all_down || p->upstream.eof == EOF_NEVER)))
        fail(w, "a clean end, but %lld of %lld bytes up and %lld of %lld down", (long long)a->up_done,
             (long long)p->peer.up_total, (long long)peer_received(&a->peer), (long long)p->upstream.down_total);
    if (a->peer.end == END_CLEAN && all_down)
        w->result->completed++;
    /* FIN_WAIT_2 ends after two minutes of silence, and to the engine a peer whose segments are lost is silent. */
    bool silent = p->upstream.eof == EOF_WHEN_SENT && a->silence > 30000000 && a->peer.end == END_RESET;
    bool may_fail = !p->completes || w->s->harsh || w->s->scarce || silent;
    if (!may_fail && a->peer.end != END_CLEAN)
        fail(w, "nothing was wrong, yet it ended with %s, %lld of %lld bytes up and %lld of %lld down",
             ends[a->peer.end], (long long)a->up_done, (long long)p->peer.up_total,
             (long long)peer_received(&a->peer), (long long)p->upstream.down_total);
    if (w->s->perfect && a->peer.timeouts != 0)
        fail(w, "the peer had to send again over a perfect link");
}

/* A connection from a peer's port begins. */
static void live(struct world *w, uint32_t k)
{
    struct actor *a = &w->actors[k];
    const struct scenario *s = w->s;
    peer_free(&a->peer);
    a->peer = (struct peer){.s = a->script.peer, .number = k, .send = peer_sends, .ctx = w};
    a->peer.random.state = s->seed * 139 + k + a->life * 1000;
    peer_init(&a->peer);
    a->opens = 0;
    a->upstreams_before = w->upstream_count;
    a->up_done = 0;
    a->sent_at = a->silence = 0;
    a->watch.next = (struct watch_limits){
        .mtu = s->config.mtu,
        .gso_max = s->config.gso_max,
        .down_phase = a->script.upstream.down_phase,
        .down_total = a->script.upstream.down_total,
        .cut_short = a->script.upstream.eof == EOF_NEVER,
        .rto_bound = 1200000 + 5 * s->rtt_max,
        .v4 = s->v4,
    };
    peer_schedule(w, k);
}

/* The port is used again at once, by a connection with other streams; the engine may still be in TIME_WAIT (RFC 6191).
 * Its sequence numbers stand above those of the last one, as RFC 6528's clock would have it. */
static void live_again(struct world *w, uint32_t k)
{
    struct actor *a = &w->actors[k];
    if (a->peer.state != PEER_CLOSED || a->peer.end != END_CLEAN || a->life >= w->s->lives)
        return;
    judge_peer(w, k);
    a->life++;
    a->script.peer.start_at = w->now + (a->life % 2 != 0 ? 1 : 5000000);
    a->script.peer.iss += (uint32_t)a->peer.max + 300000;
    a->script.peer.stall_for = 0;
    a->script.upstream.stall_for = 0;
    a->script.upstream.up_phase = (a->script.upstream.up_phase + 7919) % CONTENT_PERIOD;
    a->script.upstream.down_phase = (a->script.upstream.down_phase + 6857) % CONTENT_PERIOD;
    live(w, k);
}

static void begin(struct world *w)
{
    const struct scenario *s = w->s;
    static const struct tcp_ops ops = {
        .open = op_open,
        .write = op_write,
        .read = op_read,
        .release = op_release,
        .emit = op_emit,
        .unreachable = op_unreachable,
    };
    size_t size = tcp_engine_size(&s->config);
    if (size == 0)
        fail(w, "a configuration that the engine refuses");
    w->memory = aligned_alloc(4096, size);
    w->actors = calloc(s->peers, sizeof(*w->actors));
    w->upstreams = calloc(OPENS_MAX, sizeof(*w->upstreams));
    w->upstream_wake_at = malloc(OPENS_MAX * sizeof(*w->upstream_wake_at));
    w->by_flow = calloc(s->config.max_flows + 1, sizeof(*w->by_flow));
    w->batch = malloc(BATCH_BYTES);
    if (w->memory == NULL || w->actors == NULL || w->upstreams == NULL || w->upstream_wake_at == NULL ||
        w->by_flow == NULL || w->batch == NULL)
        fail(w, "out of memory");
    memset(w->memory, 0, size);
    memset(w->upstream_wake_at, 0xff, OPENS_MAX * sizeof(*w->upstream_wake_at));
    w->random.state = s->seed * 149;
    w->engine = tcp_engine_init(w->memory, &s->config, &ops, w, w->now);
    for (uint32_t h = 0; h < SCENARIO_HOSTS_MAX; h++) {
        w->up[h] = (struct link){.s = s->up[h], .random = {s->seed * 131 + h}};
        w->down[h] = (struct link){.s = s->down[h], .random = {s->seed * 137 + h}};
    }
    for (uint32_t k = 0; k < s->peers; k++) {
        w->actors[k].script = s->peer[k];
        w->actors[k].wake_at = NEVER;
        live(w, k);
    }
    if (s->meddle_every != 0)
        events_add(&w->events, w->now + s->meddle_every, EVENT_MEDDLE, 0, NULL);
}

/* Run until nobody waits for anything. */
static void go(struct world *w)
{
    uint64_t last = w->s->start + 24ull * HOUR;
    for (;;) {
        uint64_t deadline;
        uint64_t next = events_next_at(&w->events);
        if (tcp_next_deadline(w->engine, &deadline) && deadline < next)
            next = deadline;
        if (w->busy)
            next = w->now + 1;
        if (next == NEVER)
            return;
        if (next > last)
            fail(w, "somebody is still busy after a day");
        if (next > w->now)
            w->now = next;
        turn(w);
    }
}

static void judge_end(struct world *w)
{
    const char *wrong = inspect_empty(w->engine);
    w->result->counters = *tcp_engine_counters(w->engine);
    if (wrong != NULL)
        fail(w, "at the end %s", wrong);
    for (uint32_t k = 0; k < w->upstream_count; k++) {
        w->peer = w->upstreams[k].peer;
        if (!w->upstreams[k].released && !w->upstreams[k].failed)
            fail(w, "an upstream was never let go of");
    }
    for (uint32_t k = 0; k < w->s->peers; k++)
        judge_peer(w, k);
    if (w->s->perfect && w->result->counters.retransmits != 0)
        fail(w, "%llu segments were sent again over a perfect link",
             (unsigned long long)w->result->counters.retransmits);
    const struct actor *last = &w->actors[w->s->peers - 1];
    uint64_t syn = last->script.peer.start_at;
    w->result->up_done = last->up_done_at > syn ? last->up_done_at - syn : 0;
    w->result->down_done = last->down_done_at > syn ? last->down_done_at - syn : 0;
}

static void end(struct world *w)
{
    for (uint32_t k = 0; w->actors != NULL && k < w->s->peers; k++) {
        peer_free(&w->actors[k].peer);
        watch_free(&w->actors[k].watch);
    }
    events_free(&w->events);
    free(w->batch);
    free(w->by_flow);
    free(w->upstream_wake_at);
    free(w->upstreams);
    free(w->actors);
    free(w->memory);
}

void world_run(const struct scenario *s, bool trace, struct world_result *result)
{
    struct world *w = calloc(1, sizeof(*w));
    if (w == NULL)
        abort();
    *result = (struct world_result){.digest = s->seed};
    w->s = s;
    w->result = result;
    w->trace = trace;
    w->now = s->start;
    if (setjmp(w->fail) == 0) {
        begin(w);
        go(w);
        judge_end(w);
    }
    result->virtual_us = w->now - s->start;
    end(w);
    free(w);
}
