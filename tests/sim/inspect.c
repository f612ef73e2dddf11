/* SPDX-License-Identifier: BSD-3-Clause */
/* The only part of the simulator that looks into the engine. */
#include "inspect.h"

#include "tcp/internal.h"

/* Sums over all flows, to be compared with the engine's books. */
struct sums {
    uint32_t flows, connecting, chunks, boards, time_wait, starved;
};

static const char *send_queue(const struct tcp_engine *e, const struct flow *f, struct sums *sums)
{
    uint32_t bytes = 0;
    uint32_t last = 0;
    for (uint32_t i = f->snd_head; i != 0; i = chunk_info(&e->chunks, i)->next) {
        const struct chunk *c = chunk_info(&e->chunks, i);
        if (c->len == 0 || c->off + c->len > CHUNK_SIZE)
            return "an empty or overfull chunk in a send queue";
        bytes += c->len;
        last = i;
        if (++sums->chunks > e->cfg.max_chunks)
            return "a send queue that is a ring";
    }
    if (bytes != f->snd_queued || last != f->snd_tail)
        return "a send queue whose length or tail is wrong";
    return NULL;
}

static const char *reassembly(const struct tcp_engine *e, const struct flow *f, struct sums *sums)
{
    bool fin = f->state == FLOW_CLOSE_WAIT || f->state == FLOW_CLOSING || f->state == FLOW_LAST_ACK;
    uint32_t end = f->rcv_nxt - (fin ? 1 : 0); /* of the data: the FIN is counted, but not stored */
    uint32_t at = end - f->rcv_held;
    uint32_t in_order = at;
    for (uint32_t i = f->rcv_head; i != 0; i = chunk_info(&e->chunks, i)->next) {
        const struct chunk *c = chunk_info(&e->chunks, i);
        if (c->len == 0 || c->off + c->len > CHUNK_SIZE)
            return "an empty or overfull chunk in a reassembly list";
        if (seq_lt(c->seq, at))
            return "a reassembly list that overlaps or is out of order";
        at = c->seq + c->len;
        if (c->seq == in_order)
            in_order = at;
        if (++sums->chunks > e->cfg.max_chunks)
            return "a reassembly list that is a ring";
    }
    if (seq_lt(in_order, end))
        return "bytes that were acknowledged and are not there";
    if (f->rcv_head != 0 && seq_gt(in_order, end))
        return "bytes in order that are not acknowledged";
    if (f->rcv_head != 0 && seq_gt(at, f->rcv_edge))
        return "bytes beyond the window";
    return NULL;
}

static const char *numbers(const struct flow *f)
{
    uint32_t fin = (f->flags & FLOW_FIN_SENT) ? 1 : 0;
    uint32_t flight = f->snd_nxt - f->snd_una;
    if (f->state == FLOW_CONNECTING)
        return NULL;
    if (seq_gt(f->snd_una, f->snd_nxt) || seq_gt(f->rcv_nxt, f->rcv_edge) || seq_gt(f->rcv_acked, f->rcv_nxt))
        return "sequence numbers out of order";
    if (f->state >= FLOW_ESTABLISHED && f->state != FLOW_TIME_WAIT && flight > f->snd_queued + fin)
        return "more in flight than in the queue";
    if (f->state >= FLOW_ESTABLISHED && f->state != FLOW_TIME_WAIT && (f->snd_mss == 0 || f->cwnd == 0))
        return "an MSS or congestion window of nothing";
    return NULL;
}

/* What is remembered about losses lies in what is outstanding. As distances from snd_una: a pair of numbers may be in order
 * though it goes round the number space. */
static const char *losses(const struct tcp_engine *e, const struct flow *f)
{
    uint32_t flight = f->snd_nxt - f->snd_una;
    const struct board *b = board_of(e, f);
    if (f->state < FLOW_ESTABLISHED || f->state == FLOW_TIME_WAIT)
        return NULL;
    if (f->lost_edge - f->snd_una > flight || f->rexmit_nxt - f->snd_una > flight)
        return "more lost, or sent again, than is outstanding";
    if (b == NULL)
        return NULL;
    if (b->count > BOARD_BLOCKS || b->resent_count > BOARD_RESENT)
        return "an overfull scoreboard";
    uint32_t at = 0;
    for (uint32_t k = 0; k < b->count; k++) {
        uint32_t left = b->block[k].left - f->snd_una, right = b->block[k].right - f->snd_una;
        if (left >= right || right > flight || (k > 0 && left <= at))
            return "a SACK block that is not of what is outstanding, or not beyond the one before";
        at = right;
    }
    for (uint32_t k = 0; k < b->resent_count; k++) {
        const struct resent *r = &b->resent[k];
        if (r->right - r->left - 1 >= POOL_MAX_SLOTS * CHUNK_SIZE - 1 || seq_gt(r->right, f->snd_nxt))
            return "a retransmission of what was never sent";
    }
    if (send_pipe(e, f) > flight)
        return "more on the wire than was sent";
    return NULL;
}

/* Something must make a flow go on that waits. */
static const char *timers(const struct tcp_engine *e, const struct flow *f, bool busy)
{
    uint32_t i = flow_index(e, f);
    if (!wheel_is_set(&e->wheel, i))
        return "a flow without any timer";
    if ((f->flags & FLOW_RTO_ARMED) && seq_gt(f->timer.at, f->rto_at))
        return "a timer that strikes after the retransmission is due";
    if ((f->flags & FLOW_ACK_LATER) && seq_gt(f->timer.at, f->ack_at))
        return "a timer that strikes after the delayed ACK is due";
    if ((f->flags & FLOW_RTO_ARMED) && (int32_t)(f->rto_at - e->now_ms) > (int32_t)RTO_MAX + 1)
        return "a retransmission timer further away than the RTO may be";
    if (busy && (f->flags & FLOW_LISTED))
        return NULL;
    bool owes = f->snd_nxt != f->snd_una || f->snd_queued > 0;
    if (f->state >= FLOW_SYN_RECEIVED && f->state != FLOW_TIME_WAIT && owes && !(f->flags & FLOW_RTO_ARMED))
        return "data, SYN or FIN outstanding and no retransmission timer";
    if ((f->flags & FLOW_READABLE) && (f->state == FLOW_ESTABLISHED || f->state == FLOW_CLOSE_WAIT) &&
        !(f->flags & (FLOW_RTO_ARMED | FLOW_STARVED)))
        return "something to read and no timer";
    if ((f->flags & (FLOW_ACK_NOW | FLOW_LISTED)) == FLOW_ACK_NOW && f->state >= FLOW_ESTABLISHED &&
        f->state != FLOW_TIME_WAIT)
        return "an ACK that is owed at once and was not sent";
    return NULL;
}

static const char *inspect_flow(const struct tcp_engine *e, struct flow *f, bool busy, struct sums *sums)
{
    const char *wrong = NULL;
    if (flow_find(e, &f->tuple) != f)
        return "a flow that is not found by its tuple";
    sums->flows++;
    sums->connecting += (f->flags & FLOW_PENDING) != 0;
    sums->boards += f->board != 0;
    sums->time_wait += f->state == FLOW_TIME_WAIT;
    if (f->gather != 0)
        return "payload that was gathered and not written";
    if (f->flags & FLOW_STARVED) {
        sums->starved++;
        if (f->snd_queued != 0 || !(f->flags & FLOW_READABLE) || f->snd_nxt != f->snd_una)
            return "a flow that waits for memory and need not";
        if (!busy && memory_left(e, f) > 0)
            return "a flow that waits for memory that is there";
    } else if (f->state != FLOW_TIME_WAIT)
        wrong = send_queue(e, f, sums);
    if (wrong == NULL)
        wrong = reassembly(e, f, sums);
    if (wrong == NULL)
        wrong = numbers(f);
    if (wrong == NULL)
        wrong = losses(e, f);
    if (wrong == NULL)
        wrong = timers(e, f, busy);
    if (wrong == NULL && f->board != 0 && !(f->flags & (FLOW_RECOVERY | FLOW_LOSS | FLOW_PROBED)) &&
        ((struct board *)pool_at(&e->boards, f->board))->count == 0)
        wrong = "an empty scoreboard";
    return wrong;
}

const char *inspect_engine(const struct tcp_engine *engine, bool busy)
{
    struct sums sums = {0};
    for (uint32_t i = pool_highest(&engine->flows); i > 0; i--) {
        if (!pool_is_taken(&engine->flows, i))
            continue;
        struct flow *f = flow_at(engine, i);
        if (f->state == FLOW_FREE) {
            if (!busy)
                return "a dead flow whose slot was not given back";
            continue;
        }
        const char *wrong = inspect_flow(engine, f, busy, &sums);
        if (wrong != NULL)
            return wrong;
    }
    for (uint32_t k = 0; k < RECENT; k++) {
        uint32_t i = engine->recent[k].flow;
        if (i != 0 && (!pool_is_taken(&engine->flows, i) || flow_at(engine, i)->state == FLOW_FREE))
            return "a flow that is remembered and no more";
    }
    uint32_t waiting = 0;
    for (uint32_t i = engine->time_wait_first; i != 0 && waiting <= sums.time_wait;
         i = flow_at(engine, i)->snd_head)
        waiting++;
    if (waiting != sums.time_wait)
        return "a TIME_WAIT list that does not hold the flows in TIME_WAIT";
    const struct tcp_counters *c = &engine->counters;
    if (c->flows != sums.flows || c->connecting != sums.connecting)
        return "counters of flows that do not add up";
    if (c->chunks != sums.chunks || engine->chunks.pool.used != sums.chunks)
        return "chunks that belong to nobody";
    if (engine->boards.used != sums.boards)
        return "scoreboards that belong to nobody";
    uint32_t flows = 0, connecting = 0, chunks = 0, starved = 0;
    for (uint32_t h = 0; h < engine->cfg.max_hosts; h++) {
        flows += engine->hosts[h].flows;
        connecting += engine->hosts[h].connecting;
        chunks += engine->hosts[h].chunks;
        for (uint32_t i = engine->hosts[h].starved_first; i != 0 && starved <= sums.starved;
             i = flow_at(engine, i)->snd_head)
            starved++;
    }
    if (flows != sums.flows || connecting != sums.connecting || chunks != sums.chunks)
        return "the workstations' shares do not add up";
    if (starved != sums.starved)
        return "lists that do not hold the flows that wait for memory";
    return NULL;
}

const char *inspect_empty(const struct tcp_engine *e)
{
    const struct tcp_counters *c = &e->counters;
    if (c->flows != 0 || e->flows.used != 0)
        return "flows are left";
    if (c->chunks != 0 || e->chunks.pool.used != 0)
        return "chunks are left";
    if (c->connecting != 0)
        return "flows are counted as connecting";
    if (e->boards.used != 0)
        return "scoreboards are left";
    if (e->wheel.set != 0)
        return "timers are left";
    return inspect_engine(e, false);
}
