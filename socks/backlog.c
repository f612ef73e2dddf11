/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks/backlog.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/share.h"

static_assert(SOCKS_BACKLOG_MAX < UINT16_MAX && SOCKS_REQUEST_MAX <= UINT16_MAX, "the numbers fit their fields");

/* The queue of a workstation, or 0. */
static uint16_t find_queue(const struct socks_backlog *b, uint32_t station)
{
    uint16_t at = b->turn;
    for (uint32_t n = b->queues; n > 0; n--) {
        if (b->queue[at].station == station)
            return at;
        at = b->queue[at].next;
    }
    return 0;
}

/* A new queue, whose turn is the last of all. There are as many queues as requests. */
static uint16_t add_queue(struct socks_backlog *b, uint32_t station)
{
    uint16_t at = b->free_queue;
    if (at != 0)
        b->free_queue = b->queue[at].next;
    else
        at = ++b->fresh_queue;
    struct socks_queue *q = &b->queue[at];
    *q = (struct socks_queue){.station = station, .next = at, .prior = at};
    if (b->queues++ == 0) {
        b->turn = at;
        return at;
    }
    q->next = b->turn;
    q->prior = b->queue[b->turn].prior;
    b->queue[q->prior].next = at;
    b->queue[q->next].prior = at;
    return at;
}

static void drop_queue(struct socks_backlog *b, uint16_t at)
{
    struct socks_queue *q = &b->queue[at];
    b->queue[q->prior].next = q->next;
    b->queue[q->next].prior = q->prior;
    if (b->turn == at)
        b->turn = q->next;
    b->queues--;
    if (b->queues == 0)
        b->turn = 0;
    q->next = b->free_queue;
    b->free_queue = at;
}

int socks_backlog_put(struct socks_backlog *b, const struct socks_waiting *what, const uint8_t *request)
{
    assert(what->len <= SOCKS_REQUEST_MAX);
    uint16_t queue = find_queue(b, what->station);
    if (!share_has_room(queue != 0 ? b->queue[queue].count : 0, b->count, SOCKS_BACKLOG_MAX))
        return -EAGAIN;
    if (queue == 0)
        queue = add_queue(b, what->station);
    struct socks_queue *q = &b->queue[queue];

    uint16_t at = b->free;
    if (at != 0)
        b->free = b->waiting[at].next;
    else
        at = ++b->fresh;
    struct socks_waiting *w = &b->waiting[at];
    w->id = what->id;
    w->identity = what->identity;
    w->station = what->station;
    w->len = what->len;
    w->fresh = what->fresh;
    memcpy(w->request, request, what->len);
    w->queue = queue;
    w->next = 0;
    w->prior = q->last;
    if (q->last != 0)
        b->waiting[q->last].next = at;
    else
        q->first = at;
    q->last = at;
    q->count++;
    b->count++;
    return at;
}

const struct socks_waiting *socks_backlog_first(const struct socks_backlog *b)
{
    return b->count > 0 ? &b->waiting[b->queue[b->turn].first] : NULL;
}

const struct socks_waiting *socks_backlog_after(const struct socks_backlog *b, const struct socks_waiting *w)
{
    return w->next != 0 ? &b->waiting[w->next] : NULL;
}

void socks_backlog_remove(struct socks_backlog *b, uint16_t number)
{
    struct socks_waiting *w = &b->waiting[number];
    struct socks_queue *q = &b->queue[w->queue];
    if (w->prior != 0)
        b->waiting[w->prior].next = w->next;
    else
        q->first = w->next;
    if (w->next != 0)
        b->waiting[w->next].prior = w->prior;
    else
        q->last = w->prior;
    q->count--;
    b->count--;
    if (q->count == 0)
        drop_queue(b, w->queue);
    w->next = b->free;
    b->free = number;
}

void socks_backlog_take(struct socks_backlog *b, uint16_t number)
{
    uint32_t queues = b->queues;
    uint16_t turn = b->turn;
    assert(b->count > 0 && b->waiting[number].queue == turn);
    socks_backlog_remove(b, number);
    if (b->queues == queues) /* else the turn has gone on with the queue */
        b->turn = b->queue[turn].next;
}

void socks_backlog_pop(struct socks_backlog *b)
{
    assert(b->count > 0);
    socks_backlog_take(b, b->queue[b->turn].first);
}

void socks_backlog_skip(struct socks_backlog *b)
{
    if (b->count > 0)
        b->turn = b->queue[b->turn].next;
}

bool socks_backlog_has(const struct socks_backlog *b, uint32_t station)
{
    return find_queue(b, station) != 0;
}
