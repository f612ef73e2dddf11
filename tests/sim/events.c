/* SPDX-License-Identifier: BSD-3-Clause */
/* A binary heap. */
#include "events.h"

#include <stdlib.h>

static bool before(const struct event *a, const struct event *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

void events_add(struct events *e, uint64_t at, enum event_kind kind, uint32_t who, struct packet *packet)
{
    if (e->count == e->room) {
        e->room = e->room == 0 ? 256 : e->room * 2;
        e->heap = realloc(e->heap, e->room * sizeof(*e->heap));
        if (e->heap == NULL)
            abort();
    }
    struct event add = {.at = at, .order = e->order++, .packet = packet, .who = who, .kind = kind};
    uint32_t k = e->count++;
    while (k > 0 && before(&add, &e->heap[(k - 1) / 2])) {
        e->heap[k] = e->heap[(k - 1) / 2];
        k = (k - 1) / 2;
    }
    e->heap[k] = add;
}

uint64_t events_next_at(const struct events *e)
{
    return e->count > 0 ? e->heap[0].at : UINT64_MAX;
}

struct event events_take(struct events *e)
{
    struct event first = e->heap[0];
    struct event last = e->heap[--e->count];
    uint32_t k = 0;
    for (;;) {
        uint32_t child = 2 * k + 1;
        if (child >= e->count)
            break;
        if (child + 1 < e->count && before(&e->heap[child + 1], &e->heap[child]))
            child++;
        if (!before(&e->heap[child], &last))
            break;
        e->heap[k] = e->heap[child];
        k = child;
    }
    e->heap[k] = last;
    return first;
}

struct packet *events_packet(struct events *e)
{
    struct packet *p = e->spare;
    if (p == NULL)
        p = malloc(sizeof(*p));
    else
        e->spare = p->next;
    if (p == NULL)
        abort();
    *p = (struct packet){0};
    return p;
}

void events_release(struct events *e, struct packet *packet)
{
    if (packet == NULL)
        return;
    packet->next = e->spare;
    e->spare = packet;
}

void events_free(struct events *e)
{
    for (uint32_t k = 0; k < e->count; k++)
        free(e->heap[k].packet);
    while (e->spare != NULL) {
        struct packet *p = e->spare;
        e->spare = p->next;
        free(p);
    }
    free(e->heap);
}
