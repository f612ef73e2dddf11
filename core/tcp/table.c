/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp/internal.h"

static_assert(sizeof(struct tcp_tuple) == 36, "tuples are compared and hashed as bytes");

struct tcp_flow_id flow_id(const struct tcp_engine *e, const struct flow *f)
{
    uint32_t i = flow_index(e, f);
    return (struct tcp_flow_id){.index = i, .generation = e->generation[i - 1]};
}

struct flow *flow_of_id(const struct tcp_engine *e, struct tcp_flow_id id)
{
    if (!pool_is_taken(&e->flows, id.index) || e->generation[id.index - 1] != id.generation)
        return NULL;
    struct flow *f = flow_at(e, id.index);
    return f->state == FLOW_FREE ? NULL : f;
}

/* IPv4 tuples are hashed by the twelve bytes that differ, so that the common case is two SipHash blocks, not five. */
static uint64_t tuple_hash(const struct siphash_key *key, const struct tcp_tuple *t, bool strong)
{
    const void *bytes = t;
    size_t n = sizeof(*t);
    uint8_t v4[12];
    if (ipaddr_is_v4(&t->src)) {
        memcpy(v4, t->src.b + 12, 4);
        memcpy(v4 + 4, t->dst.b + 12, 4);
        memcpy(v4 + 8, &t->src_port, 2);
        memcpy(v4 + 10, &t->dst_port, 2);
        bytes = v4;
        n = sizeof(v4);
    }
    return strong ? siphash_24(key, bytes, n) : siphash_13(key, bytes, n);
}

static uint32_t *bucket_of(const struct tcp_engine *e, const struct tcp_tuple *tuple)
{
    return &e->buckets[tuple_hash(&e->table_key, tuple, false) & e->bucket_mask];
}

static bool has_tuple(const struct flow *f, const struct tcp_tuple *t)
{
    return ipaddr_equal(&f->tuple.src, &t->src) && ipaddr_equal(&f->tuple.dst, &t->dst) &&
           f->tuple.src_port == t->src_port && f->tuple.dst_port == t->dst_port;
}

struct flow *flow_find(const struct tcp_engine *e, const struct tcp_tuple *tuple)
{
    uint32_t i = *bucket_of(e, tuple);
    while (i != 0 && !has_tuple(flow_at(e, i), tuple))
        i = flow_at(e, i)->hash_next;
    return i != 0 ? flow_at(e, i) : NULL;
}

struct flow *flow_find_anew(struct tcp_engine *e, const struct tcp_tuple *tuple)
{
    struct flow *f = flow_find(e, tuple);
    if (f != NULL)
        *recent_at(e, tuple->src_port) =
            (struct recent){.ports = (uint32_t)tuple->src_port << 16 | tuple->dst_port, .flow = flow_index(e, f)};
    return f;
}

/* The initial sequence number: a clock of 4 us plus a keyed hash of the tuple (RFC 6528 3). */
uint32_t flow_isn(const struct tcp_engine *e, const struct tcp_tuple *tuple)
{
    return (uint32_t)(e->now / 4) + (uint32_t)tuple_hash(&e->isn_key, tuple, true);
}

uint32_t flow_ts_offset(const struct tcp_engine *e, const struct tcp_tuple *tuple)
{
    return (uint32_t)tuple_hash(&e->ts_key, tuple, true);
}

struct flow *flow_create(struct tcp_engine *e, const struct tcp_tuple *tuple, uint32_t host)
{
    uint32_t i = pool_take(&e->flows);
    if (i == 0)
        return NULL;
    struct flow *f = flow_at(e, i);
    memset(f, 0, sizeof(*f));
    f->tuple = *tuple;
    f->host = (uint16_t)host;
    f->created_at = e->now_ms;
    f->active_at = e->now_ms;
    f->challenges = FLOW_CHALLENGES;
    f->challenge_at = e->now_ms;

    uint32_t *bucket = bucket_of(e, tuple);
    f->hash_next = *bucket;
    *bucket = i;
    e->hashed = true;

    f->flags = FLOW_PENDING;
    engine_host(e, host)->flows++;
    engine_host(e, host)->connecting++;
    e->counters.connecting++;
    e->counters.flows++;
    e->counters.flows_opened++;
    return f;
}

void flow_put_on_list(struct tcp_engine *e, struct flow *f)
{
    uint32_t i = flow_index(e, f);
    f->flags |= FLOW_LISTED;
    f->list_next = 0;
    if (e->list_last != 0)
        flow_at(e, e->list_last)->list_next = i;
    else
        e->list_first = i;
    e->list_last = i;
}

void flow_settled(struct tcp_engine *e, struct flow *f)
{
    if (!(f->flags & FLOW_PENDING))
        return;
    f->flags &= ~(uint32_t)FLOW_PENDING;
    engine_host(e, f->host)->connecting--;
    e->counters.connecting--;
}

void flow_release_upstream(struct tcp_engine *e, struct flow *f, enum tcp_release how)
{
    if (!(f->flags & FLOW_UP_HELD))
        return;
    memory_wait_over(e, f);
    f->flags &= ~(uint32_t)(FLOW_UP_HELD | FLOW_UP_OPEN | FLOW_READABLE | FLOW_WAIT_ROOM);
    f->flags |= FLOW_UP_DEAD;
    e->ops.release(e->ctx, flow_id(e, f), how);
}

static void unhash(struct tcp_engine *e, struct flow *f)
{
    uint32_t i = flow_index(e, f);
    uint32_t *link = bucket_of(e, &f->tuple);
    if (recent_at(e, f->tuple.src_port)->flow == i)
        recent_at(e, f->tuple.src_port)->flow = 0;
    while (*link != i)
        link = &flow_at(e, *link)->hash_next;
    *link = f->hash_next;
}

void flow_end(struct tcp_engine *e, struct flow *f, enum tcp_release how)
{
    if (f->state == FLOW_TIME_WAIT)
        flow_unlink(e, f, &e->time_wait_first, &e->time_wait_last);
    if (f->gather != 0) {
        e->gather[f->gather - 1].flow = 0;
        e->gathers--;
        f->gather = 0;
    }
    flow_release_upstream(e, f, how);
    queue_drop(e, f, f->snd_queued);
    receive_discard(e, f);
    board_drop(e, f);
    wheel_clear(&e->wheel, flow_index(e, f));
    flow_settled(e, f);
    unhash(e, f);
    engine_host(e, f->host)->flows--;
    e->counters.flows--;
    f->state = FLOW_FREE;
    flow_list(e, f);
}

void flow_end_time_wait(struct tcp_engine *e, struct flow *f)
{
    bool listed = (f->flags & FLOW_LISTED) != 0;
    f->flags |= FLOW_LISTED;
    flow_end(e, f, TCP_RELEASE_CLOSE);
    if (!listed)
        flow_free_slot(e, f);
}

void flow_free_slot(struct tcp_engine *e, struct flow *f)
{
    uint32_t i = flow_index(e, f);
    e->generation[i - 1]++;
    pool_give(&e->flows, i);
}

/* TIME_WAIT flows hold nothing but their slot; the two queue fields link them, oldest first. */
void flow_enter_time_wait(struct tcp_engine *e, struct flow *f)
{
    flow_release_upstream(e, f, TCP_RELEASE_CLOSE);
    queue_drop(e, f, f->snd_queued);
    receive_discard(e, f);
    board_drop(e, f);
    f->flags &= ~(uint32_t)FLOW_RTO_ARMED;
    f->state = FLOW_TIME_WAIT;
    f->active_at = e->now_ms;
    flow_link(e, f, &e->time_wait_first, &e->time_wait_last);
    /* An old deadline would strike first, for nothing, and a second later the slot is in no cache any more. */
    wheel_clear(&e->wheel, flow_index(e, f));
    timer_arm(e, f);
}

void flow_link(struct tcp_engine *e, struct flow *f, uint32_t *first, uint32_t *last)
{
    uint32_t i = flow_index(e, f);
    f->snd_head = 0;
    f->snd_tail = *last;
    if (*last != 0)
        flow_at(e, *last)->snd_head = i;
    else
        *first = i;
    *last = i;
}

void flow_unlink(struct tcp_engine *e, struct flow *f, uint32_t *first, uint32_t *last)
{
    if (f->snd_tail != 0)
        flow_at(e, f->snd_tail)->snd_head = f->snd_head;
    else
        *first = f->snd_head;
    if (f->snd_head != 0)
        flow_at(e, f->snd_head)->snd_tail = f->snd_tail;
    else
        *last = f->snd_tail;
    f->snd_head = 0;
    f->snd_tail = 0;
}
