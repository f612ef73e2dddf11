/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chunks, on the account of the workstation whose flow needs them, and what becomes of a flow that finds none.
 *
 * A flow with something in its queue, or on the wire, goes on when the workstation acknowledges that. One without, whose
 * upstream has something to say, waits in the list of its account, first come first served, and the accounts with such
 * flows take turns in a ring. When a chunk was given back, the end of the turn goes round: whoever is within
 * its quota and finds memory sends. While nobody waits, all this is one look at an empty ring.
 */
#include "tcp/internal.h"

#define WAKES 32u /* flows that may have their turn in one flush */

uint32_t memory_left(const struct tcp_engine *e, const struct flow *f)
{
    return u32_min(e->cfg.host_chunks - e->hosts[e->accounts[f->host]].chunks,
                   e->cfg.max_chunks - e->counters.chunks);
}

uint32_t memory_take(struct tcp_engine *e, struct flow *f)
{
    if (memory_left(e, f) == 0)
        return 0;
    engine_host(e, f->host)->chunks++;
    e->counters.chunks++;
    return chunk_take(&e->chunks);
}

void memory_give(struct tcp_engine *e, struct flow *f, uint32_t chunk)
{
    chunk_give(&e->chunks, chunk);
    engine_host(e, f->host)->chunks--;
    e->counters.chunks--;
    e->chunk_back = true;
}

static void ring_append(struct tcp_engine *e, uint32_t account)
{
    struct host_use *use = &e->hosts[account];
    use->starving = true;
    use->starved_next = 0;
    if (e->starving_last != 0)
        e->hosts[e->starving_last - 1].starved_next = account + 1;
    else
        e->starving_first = account + 1;
    e->starving_last = account + 1;
}

static uint32_t ring_take(struct tcp_engine *e)
{
    uint32_t account = e->starving_first - 1;
    struct host_use *use = &e->hosts[account];
    e->starving_first = use->starved_next;
    if (e->starving_first == 0)
        e->starving_last = 0;
    use->starving = false;
    return account;
}

bool memory_wait(struct tcp_engine *e, struct flow *f)
{
    if (memory_left(e, f) > 0)
        return false;
    if (f->flags & FLOW_STARVED)
        return true;
    struct host_use *use = engine_host(e, f->host);
    f->flags |= FLOW_STARVED;
    flow_link(e, f, &use->starved_first, &use->starved_last);
    if (!use->starving)
        ring_append(e, e->accounts[f->host]);
    return true;
}

void memory_wait_over(struct tcp_engine *e, struct flow *f)
{
    if (!(f->flags & FLOW_STARVED))
        return;
    struct host_use *use = engine_host(e, f->host);
    f->flags &= ~(uint32_t)FLOW_STARVED;
    flow_unlink(e, f, &use->starved_first, &use->starved_last);
}

bool memory_share(struct tcp_engine *e)
{
    if (!e->chunk_back)
        return false;
    if (e->budget == 0)
        return true;
    e->chunk_back = false;
    uint32_t wakes = 0;
    uint32_t stop = 0; /* the first account of a round in which nobody was found so far */
    while (e->starving_first != 0 && e->starving_first != stop) {
        uint32_t account = ring_take(e);
        const struct host_use *use = &e->hosts[account];
        if (use->starved_first == 0)
            continue; /* those that waited are gone */
        ring_append(e, account);
        struct flow *f = flow_at(e, use->starved_first);
        if (memory_left(e, f) == 0) {
            stop = stop == 0 ? account + 1 : stop;
            continue;
        }
        stop = 0;
        memory_wait_over(e, f);
        if (send_output(e, f))
            flow_list(e, f);
        if (++wakes == WAKES || e->budget == 0) {
            e->chunk_back = true;
            return true; /* each leaves the list, or leaves no memory */
        }
    }
    return false;
}
