/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/gateway_view.h"

#include <stdio.h>
#include <string.h>

static void look_at_all(const struct gateway *g, uint64_t now, struct view *out)
{
    struct socks_budget_state budget;
    const struct tcp_counters *tcp = tcp_engine_counters(g->engine);
    const struct socks_counters *socks = socks_upstream_counters(g->upstream);
    struct view_status *status = &out->status;
    gateway_count(g, &status->counters);
    status->connecting = tcp->connecting;
    status->flows = tcp->flows;
    status->workstations = g->tun.hosts.used;
    status->streams_connected = socks->connected;
    status->streams_refused = socks->refused;
    status->streams_broken = socks->broken + socks->local;
    status->ends_judged = socks->judged;
    status->ends_broken = socks->judged_broken;
    status->ends_waited_us = socks->judged_after;
    status->ends_unjudged = socks->unjudged;
    socks_budget_look(socks_upstream_budget(g->upstream), now, &budget);
    status->budget_rate = budget.rate;
    status->budget_rate_now = budget.rate_now;
    status->budget_burst = budget.burst;
    status->budget_left = budget.left;
    status->budget_pending = budget.pending;
    status->budget_granted = budget.granted;
    status->budget_slowed = budget.slowed;
    out->count = 1;
}

_Static_assert(VIEW_ADDRESSES_MAX >= CONFIG_ADDRESSES_OF_MAC, "all addresses of a workstation fit a view");
_Static_assert(VIEW_NAME_MAX >= DNS_TEXT_SIZE && VIEW_NAME_MAX >= sizeof((struct gateway_asked){0}.name),
               "a name fits a view");
_Static_assert(VIEW_ONIONS_MAX >= CONFIG_ONIONS_MAX, "onion services are numbered in a view");

/* Where to: what was asked for at a port of ours, the name behind a virtual address, or the address. */
static void look_at_destination(const struct gateway *g, uint32_t index, const struct tcp_tuple *tuple,
                                struct view_flow *out)
{
    const struct gateway_flow *flow = &g->flows[index];
    if (!g->config->log_identities)
        return;
    out->identities = 1;
    if (flow->local == GATEWAY_SERVICE_PORTS || flow->local == GATEWAY_SERVICE_CONTROL)
        out->gate = tuple->dst_port;
    if (g->asked[index].known) {
        const struct gateway_asked *asked = &g->asked[index];
        out->dst = asked->addr;
        out->dst_port = asked->port;
        memcpy(out->name, asked->name, sizeof(asked->name));
        return;
    }
    out->dst = tuple->dst;
    out->dst_port = tuple->dst_port;
    if (flow->name != 0)
        dns_pinned_name(g->dns, flow->name, out->name);
}

static void look_at_flow(const struct gateway *g, uint32_t index, const struct tcp_flow_info *info,
                         struct view_flow *out)
{
    const struct gateway_flow *flow = &g->flows[index];
    struct socks_stream_info stream;
    out->src = info->tuple.src;
    out->src_port = info->tuple.src_port;
    out->up_bytes = info->up_bytes;
    out->down_bytes = info->down_bytes;
    out->age_ms = info->age_ms;
    out->idle_ms = info->idle_ms;
    out->tcp_state = view_tcp_state_index(info->state);
    out->way = VIEW_WAY_NONE;
    out->stream_state = view_stream_state_index("none");
    if (flow->stream != 0 && flow->local == GATEWAY_SERVICE_DNS) {
        out->way = VIEW_WAY_DNS;
    } else if (socks_upstream_look(g->upstream, info->id, &stream)) {
        out->way = flow->service != 0 ? VIEW_WAY_ONION : VIEW_WAY_TOR;
        out->key = stream.key;
        out->stream_state = view_stream_state_index(stream.state);
    } else if (flow->stream != 0) {
        out->way = VIEW_WAY_PORT;
    }
    out->onion = (uint8_t)flow->service;
    look_at_destination(g, index, &info->tuple, out);
}

static void look_at_flows(const struct gateway *g, uint32_t cursor, uint64_t now, struct view *out)
{
    uint32_t highest = tcp_flow_highest(g->engine);
    uint32_t i = cursor;
    for (uint32_t looks = 0; i < highest && looks < VIEW_LOOKS && out->count < VIEW_FLOWS_MAX; looks++) {
        struct tcp_flow_info info;
        if (tcp_flow_look(g->engine, ++i, now, &info))
            look_at_flow(g, i, &info, &out->flows[out->count++]);
    }
    out->next = i < highest ? i : 0;
}

/* The last that came is the first of a station's list; IPv4 goes before IPv6. */
static void look_at_addresses(const struct gateway *g, const struct station *station, uint64_t now,
                              struct view_workstation *out)
{
    uint64_t seen = 0;
    for (unsigned v4 = 2; v4-- > 0;) {
        const struct host *host;
        for (uint32_t i = station->first; i != 0; i = host->next_mac) {
            host = hosts_at(&g->tun.hosts, i - 1);
            if (ipaddr_is_v4(&host->addr) != (v4 == 1) || out->addresses == VIEW_ADDRESSES_MAX)
                continue;
            out->addr[out->addresses++] = host->addr;
            seen = host->seen > seen ? host->seen : seen;
        }
    }
    out->idle_ms = seen == 0 ? VIEW_NEVER : now > seen ? (now - seen) / 1000 : 0;
}

/* What a workstation uses is counted under its station's number (tcp_engine_charge()). */
static void look_at_workstations(const struct gateway *g, uint32_t cursor, uint64_t now, struct view *out)
{
    uint32_t most = g->config->workstations;
    uint32_t i = cursor;
    for (uint32_t looks = 0; i < most && looks < VIEW_LOOKS && out->count < VIEW_WORKSTATIONS_MAX; looks++, i++) {
        const struct station *station = hosts_station_at(&g->tun.hosts, i);
        struct tcp_host_info info;
        if (station == NULL || !tcp_host_look(g->engine, i, &info))
            continue;
        struct view_workstation *w = &out->workstations[out->count++];
        memcpy(w->mac, station->mac, sizeof(w->mac));
        w->flows = info.flows;
        w->connecting = info.connecting;
        w->up_bytes = info.up_bytes;
        w->down_bytes = info.down_bytes;
        look_at_addresses(g, station, now, w);
    }
    out->next = i < most ? i : 0;
}

bool gateway_view(struct gateway *g, const struct view_ask *ask, uint64_t now, struct view *out)
{
    static const struct ipaddr nobody;
    memset(out, 0, sizeof(*out));
    out->kind = ask->kind;
    out->ticket = ask->ticket;
    switch (ask->kind) {
    case VIEW_STATUS:
        look_at_all(g, now, out);
        return true;
    case VIEW_FLOWS:
        look_at_flows(g, ask->cursor, now, out);
        return true;
    case VIEW_WORKSTATIONS:
        look_at_workstations(g, ask->cursor, now, out);
        return true;
    case VIEW_NEWNYM:
        out->count = gateway_newnym(g, ipaddr_equal(&ask->workstation, &nobody) ? NULL : &ask->workstation) == 0;
        return true;
    default:
        return false;
    }
}
