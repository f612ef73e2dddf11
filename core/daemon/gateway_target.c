/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/gateway_target.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/range.h"
#include "dns/special.h"

#define HELD_PER_STATION 64u            /* flows of one workstation that may wait for Tor to come up */
#define NYM_DOUBLED (UINT64_C(1) << 63) /* numbers that no request for a new identity counts up to */

void gateway_begin_flow(struct gateway *g, uint32_t index, struct gateway_flow flow, const struct host *workstation)
{
    flow.station = (uint16_t)workstation->station;
    g->flows[index] = flow;
    g->host_flows[flow.host]++;
    g->station_flows[flow.station]++;
    g->active++;
}

void gateway_end_flow(struct gateway *g, uint32_t index)
{
    struct gateway_flow *flow = &g->flows[index];
    if (flow->port != 0)
        port_use_give(&g->ports, flow->host, flow->port);
    if (flow->name != 0)
        dns_unpin(g->dns, flow->name);
    if (g->asked != NULL && g->asked[index].known)
        explicit_bzero(&g->asked[index], sizeof(g->asked[index]));
    g->host_flows[flow->host]--;
    g->station_flows[flow->station]--;
    g->active--;
    *flow = (struct gateway_flow){0};
}

bool gateway_is_own(const struct gateway *g, const struct ipaddr *addr)
{
    return ipaddr_equal(addr, &g->config->network.addr) ||
           (g->config->network6.len != 0 && ipaddr_equal(addr, &g->config->network6.addr));
}

bool gateway_pace(struct gateway *g, uint32_t station)
{
    return bucket_take(&g->host_syns[station], g->config->workstation_syns, g->config->workstation_syns, g->now);
}

uint64_t gateway_nym(void *ctx, uint32_t station)
{
    const struct gateway *g = ctx;
    return (uint64_t)g->nym + g->station_nyms[station];
}

uint8_t gateway_lookup_policy(void *ctx, const struct ipaddr *src)
{
    const struct gateway *g = ctx;
    return (uint8_t)isolation_rules_lookup_fields(&g->config->isolation_rules, src, g->config->isolation);
}

/* May the workstation with this address go to any other as if there were no Tor? */
static bool is_transparent(const struct gateway *g, const struct ipaddr *src)
{
    const struct config_networks *except = &g->config->transparent_except;
    for (uint32_t i = 0; i < except->count; i++)
        if (ipnet_contains(&except->net[i], src))
            return !g->config->transparent;
    return g->config->transparent;
}

/* May a flow of `station` go to target->name, or without one to target->addr? What stands behind a virtual address takes its
 * place, and is pinned in *pinned. 0, or -ECONNREFUSED with target->why. */
static int aim(struct gateway *g, uint32_t station, struct socks_target *target, uint32_t *pinned)
{
    const bool named = target->name[0] != '\0';
    *pinned = 0;
    target->why = DROP_DESTINATION_REFUSED;
    if (!named && (tun_is_local(&g->tun, &target->addr) || gateway_onion_is_visitor(g, &target->addr)))
        return -ECONNREFUSED;
    if (!named && dns_is_virtual(g->dns, &target->addr)) {
        _Static_assert(sizeof(target->name) >= DNS_TEXT_SIZE, "a name fits the target");
        *pinned = dns_pin(g->dns, station, &target->addr, target->name);
        target->why = DROP_DESTINATION_UNKNOWN;
        if (*pinned == 0)
            return -ECONNREFUSED;
    }
    /* Tor refuses these too. Another SOCKS server may not, and stands in the operator's own network. */
    target->why = DROP_DESTINATION_REFUSED;
    if (g->config->allow_private ||
        (target->name[0] != '\0' ? !range_name_is_address(target->name) : range_is_internet(&target->addr)))
        return 0;
    if (*pinned != 0)
        dns_unpin(g->dns, *pinned);
    *pinned = 0;
    return -ECONNREFUSED;
}

int gateway_choose_target(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host,
                          struct socks_target *target)
{
    struct gateway *g = ctx;
    const struct host *workstation = hosts_at(&g->tun.hosts, host);
    uint32_t name = 0;

    target->why = DROP_TRANSPARENT_OFF;
    if (!is_transparent(g, &tuple->src))
        return -ECONNREFUSED;
    target->why = DROP_DESTINATION_REFUSED;
    if (workstation == NULL)
        return -ECONNREFUSED;
    /* In silence: the SYN comes again, and nothing is kept for it. */
    if (!gateway_pace(g, workstation->station))
        return -EAGAIN;
    if (!g->ready) {
        target->why = DROP_NOT_READY;
        if (!g->config->hold_until_ready)
            return -ECONNREFUSED;
        if (g->station_flows[workstation->station] >= HELD_PER_STATION)
            return -EAGAIN;
    }
    int status = aim(g, workstation->station, target, &name);
    if (status != 0)
        return status;
    target->workstation = workstation->serial;
    target->station = workstation->station;
    target->isolation = isolation_rules_fields(&g->config->isolation_rules, &tuple->src, &tuple->dst,
                                               tuple->dst_port, target->isolation);
    target->nym = gateway_nym(g, workstation->station);
    /* The same source port to two places at once: under a policy by source port, still two identities. */
    const unsigned by_destination =
        ISOLATION_DESTINATION_ADDRESS | ISOLATION_DESTINATION_NAME | ISOLATION_DESTINATION_PORT;
    if (port_use_take(&g->ports, host, tuple->src_port) > 0 && (target->isolation & ISOLATION_SOURCE_PORT) &&
        !(target->isolation & by_destination))
        target->nym = NYM_DOUBLED | g->doubled++;
    target->tag = id.index;
    gateway_begin_flow(g, id.index, (struct gateway_flow){.host = host, .name = name, .port = tuple->src_port},
                       workstation);
    return 0;
}

/* Tor has one word for a name that does not exist and for a host without a route, and the first is by far more likely. */
void gateway_target_answered(void *ctx, uint32_t tag, uint8_t code)
{
    struct gateway *g = ctx;
    uint32_t name = g->flows[tag].name;
    if (name != 0 && (code == SOCKS_HOST_UNREACHABLE || code == SOCKS_SUCCEEDED))
        dns_name_tried(g->dns, name, code == SOCKS_SUCCEEDED, g->now);
}

void gateway_target_done(void *ctx, uint32_t tag)
{
    struct gateway *g = ctx;
    if (g->flows[tag].service != 0)
        gateway_onion_ended(g, tag);
    /* What is a service's outlives the stream. */
    if (g->flows[tag].stream == 0)
        gateway_end_flow(g, tag);
}

/* --- clients of the ports on our own address --- */

/* A name that leads to no host of the Internet, as dns/special.h has it. */
static bool name_is_nowhere(const char *name)
{
    char text[SOCKS_NAME_MAX + 1] = "";
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)tolower((unsigned char)name[i]);
    n -= n > 0 && text[n - 1] == '.';
    text[n] = '\0';
    switch (dns_special_find(text, n).kind) {
    case DNS_SPECIAL_LOCALHOST:
    case DNS_SPECIAL_NONEXISTENT:
    case DNS_SPECIAL_EMPTY:
    case DNS_SPECIAL_SINGLE:
    case DNS_SPECIAL_PRIVATE:
        return true;
    default:
        return false;
    }
}

static void note_asked(struct gateway *g, uint32_t index, const struct socks_target *target)
{
    if (g->asked == NULL)
        return;
    struct gateway_asked *asked = &g->asked[index];
    *asked = (struct gateway_asked){.known = true, .addr = target->addr};
    asked->port = target->command == SOCKS_CONNECT ? target->port : 0;
    _Static_assert(sizeof(asked->name) == sizeof(target->name), "a name fits");
    memcpy(asked->name, target->name, sizeof(asked->name));
}

static uint8_t refuse(struct gateway *g, enum drop why, uint8_t code)
{
    drop_count(&g->upstream_drops, why);
    return code;
}

uint8_t gateway_ask(void *ctx, struct tcp_flow_id id, const struct local_client *client,
                    const struct socks_port *port, const struct front_request *request)
{
    struct gateway *g = ctx;
    struct socks_target target = {
        .addr = request->addr,
        .port = request->port,
        .isolation = port->fields,
        .workstation = client->identity,
        .station = client->station,
        .nym = gateway_nym(g, client->station),
        .tag = id.index,
        .command = request->command,
        .gate = port->port,
        .lasts = port->tor_browser && request->auth_len > 0,
        .auth_len = request->auth_len,
        .auth = request->auth,
    };
    if (!g->ready && !g->config->hold_until_ready)
        return refuse(g, DROP_NOT_READY, SOCKS_GENERAL_FAILURE);
    _Static_assert(sizeof(target.name) >= sizeof(request->name), "a name fits the target");
    memcpy(target.name, request->name, sizeof(request->name));
    if (target.name[0] != '\0' && !g->config->allow_private && name_is_nowhere(target.name))
        return refuse(g, DROP_DESTINATION_REFUSED, SOCKS_HOST_UNREACHABLE);
    if (aim(g, client->station, &target, &g->flows[id.index].name) != 0)
        return refuse(g, target.why, SOCKS_NOT_ALLOWED);
    if (target.command == SOCKS_RESOLVE_PTR && target.name[0] != '\0') /* of a virtual address */
        return SOCKS_HOST_UNREACHABLE;
    if (socks_upstream_ask(g->upstream, id, &client->tuple, &target, g->now) != 0)
        return refuse(g, DROP_SOCKS_FULL, SOCKS_GENERAL_FAILURE);
    note_asked(g, id.index, &target);
    return SOCKS_SUCCEEDED;
}

bool gateway_target_asked(void *ctx, uint32_t tag, uint8_t code)
{
    struct gateway *g = ctx;
    return port_service_asked(g->port_service, g->flows[tag].stream, code, g->now);
}

struct socks_bound *gateway_target_bound(void *ctx, uint32_t tag)
{
    struct gateway *g = ctx;
    return port_service_bound(g->port_service, g->flows[tag].stream);
}

/* What is so refused as an answer to a DNS query; and a virtual address has a name already, which is another's. */
bool gateway_tells(void *ctx, const struct ipaddr *addr)
{
    const struct gateway *g = ctx;
    return !tun_is_local(&g->tun, addr) && !dns_is_virtual(g->dns, addr) &&
           (g->config->allow_private || range_is_internet(addr));
}

void gateway_joined(void *ctx, struct tcp_flow_id id)
{
    struct gateway *g = ctx;
    g->flows[id.index].stream = 0;
}
