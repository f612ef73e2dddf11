/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/gateway.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/gateway_parts.h"

#define UPSTREAM_EVENTS 512u /* of one turn at most */

int gateway_init(struct gateway *g, const struct channel_gateway_config *config, int tap,
                 const struct gateway_onion_ports *onions, uint64_t now, const char **step)
{
    *g = (struct gateway){.config = config, .tap = tap, .onion_ports = onions, .now = now};
    return gateway_parts_init(g, step);
}

void gateway_fini(struct gateway *g)
{
    gateway_parts_fini(g);
}

static unsigned dispatch_services(struct gateway *g, uint64_t now)
{
    unsigned told = dns_service_dispatch(g->dns_service, now);
    told += port_service_dispatch(g->port_service, now);
    return told + (g->control_service != NULL ? control_service_dispatch(g->control_service, g->engine, now) : 0);
}

int gateway_turn(struct gateway *g, unsigned ready, uint64_t now, bool *again)
{
    g->now = now;
    if ((ready & GATEWAY_READY_LINK) != 0) {
        int frames = receive_batch(&g->receive, g->tap);
        if (frames < 0)
            return frames;
        for (int i = 0; i < frames; i++)
            tun_input(&g->tun, g->receive.frame[i], now);
    }
    tun_advance(&g->tun, now);
    int status = gateway_onion_turn(g, (ready & GATEWAY_READY_ONION) != 0, now);
    if (status != 0)
        return status;
    int n = socks_upstream_dispatch(g->upstream, UPSTREAM_EVENTS, now);
    if (n < 0)
        return n;
    socks_upstream_poll(g->upstream, now);
    if ((ready & GATEWAY_READY_DNS) != 0 && (n = dns_service_hear(g->dns_service, now)) != 0)
        return n;
    dispatch_services(g, now);
    tcp_advance(g->engine, now);
    *again = tcp_flush(g->engine, now);
    /* What was written to the services just now is answered already, most of it. */
    if (dispatch_services(g, now) > 0)
        *again = tcp_flush(g->engine, now) || *again;
    return 0;
}

bool gateway_next_deadline(const struct gateway *g, uint64_t *at)
{
    uint64_t each[6];
    if (g->control_service != NULL && control_service_waits(g->control_service)) {
        *at = 0;
        return true;
    }
    const bool waits[6] = {
        tcp_next_deadline(g->engine, &each[0]),
        socks_upstream_next(g->upstream, &each[1]),
        dns_service_next(g->dns_service, &each[2]),
        tun_next_deadline(&g->tun, &each[3]),
        gateway_onion_next(g, &each[4]),
        port_service_next(g->port_service, &each[5]),
    };
    bool any = false;
    for (unsigned i = 0; i < 6; i++) {
        if (waits[i] && (!any || each[i] < *at))
            *at = each[i];
        any = any || waits[i];
    }
    return any;
}

void gateway_set_ready(struct gateway *g, bool ready)
{
    g->ready = ready;
    dns_set_ready(g->dns, ready);
    socks_upstream_hold(g->upstream, !ready);
    if (g->control_service != NULL)
        control_service_set_ready(g->control_service, ready);
}

void gateway_tor_load(struct gateway *g, uint32_t building, bool refused, uint64_t now)
{
    socks_budget_learn(socks_upstream_budget(g->upstream), building, refused, now);
}

void gateway_streams_ended(struct gateway *g, const struct channel_streams_ended *ended, uint64_t now)
{
    g->now = now;
    for (uint32_t i = 0; i < ended->count; i++)
        socks_upstream_judge(g->upstream, ended->key[i], ended->clean[i], now);
}

int gateway_newnym(struct gateway *g, const struct ipaddr *workstation)
{
    if (workstation == NULL) {
        g->nym++;
        return 0;
    }
    uint32_t number = hosts_find(&g->tun.hosts, workstation);
    const struct host *host = hosts_at(&g->tun.hosts, number);
    if (host == NULL)
        return -ENOENT;
    g->station_nyms[host->station]++;
    return 0;
}

void gateway_stop(struct gateway *g, uint64_t now)
{
    g->now = now;
    tun_link_down(&g->tun);
    tcp_engine_reset_all(g->engine, now);
    for (int i = 0; i < 64 && tcp_flush(g->engine, now); i++)
        ;
}

/* The whole pages of a run of bytes, to the system. They read as zeros from now on. */
static void give_back(void *start, size_t n)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)start + page - 1) & ~(page - 1);
    uintptr_t to = ((uintptr_t)start + n) & ~(page - 1);
    if (from < to)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

void gateway_settle(struct gateway *g)
{
    void *start;
    size_t n;
    while ((n = tcp_engine_settle(g->engine, &start)) > 0)
        give_back(start, n);
    /* What is kept beside each flow. Zeros are what is free, in all of these. */
    const uint32_t highest = tcp_engine_highest(g->engine);
    n = socks_upstream_settle(g->upstream, highest, &start);
    give_back(start, n);
    give_back(&g->flows[highest + 1], (size_t)(g->config->flows - highest) * sizeof(*g->flows));
    if (g->asked != NULL)
        give_back(&g->asked[highest + 1], (size_t)(g->config->flows - highest) * sizeof(*g->asked));
    if (g->active == 0)
        give_back(g->port_memory.at, g->port_memory.size);
    receive_settle(&g->receive);
}

uint64_t gateway_load(const struct gateway *g)
{
    const struct tcp_counters *tcp = tcp_engine_counters(g->engine);
    return (uint64_t)tcp->flows + tcp->chunks;
}

void gateway_count(const struct gateway *g, struct counters *counters)
{
    const struct tcp_counters *tcp = tcp_engine_counters(g->engine);
    *counters = (struct counters){
        .flows = tcp->flows_opened,
        .active = g->active,
        .up_bytes = tcp->up_bytes,
        .down_bytes = tcp->down_bytes,
    };
    counters_add_drops(counters, &g->tun.drops);
    counters_add_drops(counters, tcp_engine_drops(g->engine));
    counters_add_drops(counters, dns_drops(g->dns));
    counters_add_drops(counters, &g->upstream_drops);
}
