/* SPDX-License-Identifier: BSD-3-Clause */
/*
 *     Tor --connects--> socks/onion --visit()--> tun_seek() --> tcp_open() --> socks_upstream_adopt()
 *
 * Whoever has no patience closes: Tor tells visitors that they are connected before we hear of them, so that a refusal is an end
 * without a byte. The engine tries for three minutes to reach a workstation; a visitor is not kept that long.
 */
#include "daemon/gateway_onion.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/gateway.h"
#include "socks/onion.h"
#include "socks/visitor.h"

#define OPENING_MAX 512u        /* flows to workstations that have not answered yet */
#define OPENING_AFTER 30000000u /* microseconds; SYNs at 0, 1, 3, 7 and 15 s have gone unanswered */

struct opening {
    struct tcp_flow_id id;
    uint64_t until; /* microseconds */
};

struct gateway_onion {
    struct onion *onion;
    uint32_t ports;
    bool told; /* some visitors have addresses of their own */
    struct channel_onion_port port[CONFIG_ONION_PORTS_MAX];
    uint32_t flows[CONFIG_ONIONS_MAX];    /* of each service, now */
    uint32_t openings[CONFIG_ONIONS_MAX]; /* of these, those that the workstation has not answered yet */
    struct siphash_key key;               /* for visitors' addresses */
    struct opening opening[OPENING_MAX];
    uint32_t opening_count;
    uint64_t malformed, crowded; /* of onion_counters(), those that are among the drops already */
};

_Static_assert(CONFIG_ONION_PORTS_MAX <= ONION_PORTS_MAX, "as many ports as there are listeners");
_Static_assert(OPENING_MAX < UINT16_MAX, "gateway_flow.opening numbers them from 1");

/* --- flows that open --- */

static void settle(struct gateway_onion *o, struct gateway *g, uint32_t index)
{
    struct gateway_flow *flow = &g->flows[index];
    if (flow->opening == 0)
        return;
    struct opening *place = &o->opening[flow->opening - 1];
    *place = o->opening[--o->opening_count];
    o->openings[flow->service - 1]--;
    g->flows[place->id.index].opening = flow->opening;
    flow->opening = 0;
}

static void note_opening(struct gateway_onion *o, struct gateway *g, struct tcp_flow_id id, uint64_t now)
{
    o->opening[o->opening_count] = (struct opening){.id = id, .until = now + OPENING_AFTER};
    o->openings[g->flows[id.index].service - 1]++;
    g->flows[id.index].opening = (uint16_t)++o->opening_count;
}

void gateway_onion_opened(struct gateway *g, struct tcp_flow_id id, int status)
{
    settle(g->onion, g, id.index);
    if (status != 0)
        drop_count(&g->upstream_drops, status == -ECONNREFUSED ? DROP_ONION_REFUSED : DROP_ONION_SILENT);
}

void gateway_onion_ended(struct gateway *g, uint32_t index)
{
    settle(g->onion, g, index);
    g->onion->flows[g->flows[index].service - 1]--;
}

/* Downwards: what takes the place of one that goes was looked at. */
static void end_late(struct gateway *g, uint64_t now)
{
    struct gateway_onion *o = g->onion;
    for (uint32_t i = o->opening_count; i-- > 0;) {
        const struct tcp_flow_id id = o->opening[i].id;
        if (now < o->opening[i].until)
            continue;
        settle(o, g, id.index);
        drop_count(&g->upstream_drops, DROP_ONION_SILENT);
        tcp_upstream_reset(g->engine, id, now);
    }
}

/* --- visitors --- */

bool gateway_onion_is_visitor(const struct gateway *g, const struct ipaddr *addr)
{
    const struct channel_gateway_config *c = g->config;
    return g->onion != NULL && g->onion->told &&
           ipnet_contains(ipaddr_is_v4(addr) ? &c->visitors : &c->visitors6, addr);
}

static struct tcp_tuple tuple_for(const struct gateway *g, const struct channel_onion_port *port, uint32_t circuit)
{
    const struct channel_gateway_config *c = g->config;
    bool v4 = ipaddr_is_v4(&port->to);
    struct tcp_tuple tuple = {.src = port->to, .src_port = port->to_port};
    if (port->circuit)
        tuple.dst = visitor_address(&g->onion->key, v4 ? &c->visitors : &c->visitors6, circuit);
    else
        tuple.dst = v4 ? c->network.addr : c->network6.addr;
    return tuple;
}

static int turn_away(struct gateway *g, enum drop why, int status)
{
    drop_count(&g->upstream_drops, why);
    return status == -EAGAIN ? -ENOBUFS : status;
}

/* Among those that open, a service takes no more than it leaves to all others: that one workstation answers nobody does not
 * keep another's visitors out. */
static bool may_open(const struct gateway_onion *o, const struct channel_onion_port *port)
{
    return o->flows[port->onion] < port->flows && o->openings[port->onion] < OPENING_MAX - o->opening_count;
}

static int visit(void *ctx, const struct onion_visitor *visitor, uint64_t now)
{
    struct gateway *g = ctx;
    struct gateway_onion *o = g->onion;
    const struct channel_onion_port *port = &o->port[visitor->port];
    struct tcp_flow_id id;
    uint32_t host;
    if (!may_open(o, port))
        return turn_away(g, DROP_ONION_LIMIT, -ENOBUFS);
    int status = tun_seek(&g->tun, &port->to, now, &host);
    if (status == -EAGAIN)
        return status;
    if (status != 0)
        return turn_away(g, DROP_ONION_ABSENT, status);

    const struct tcp_tuple tuple = tuple_for(g, port, visitor->circuit);
    status = tcp_open(g->engine, &tuple, host, socks_upstream_room(g->upstream), now, &id);
    if (status != 0)
        return turn_away(g, DROP_ONION_LIMIT, status);
    status = socks_upstream_adopt(g->upstream, id, visitor->fd, id.index);
    if (status != 0) {
        tcp_upstream_reset(g->engine, id, now);
        return turn_away(g, DROP_ONION_LIMIT, status);
    }
    gateway_begin_flow(g, id.index, (struct gateway_flow){.host = host, .service = (uint16_t)(port->onion + 1)},
                       hosts_at(&g->tun.hosts, host));
    o->flows[port->onion]++;
    note_opening(o, g, id, now);
    return 0;
}

/* What was turned away before it came to us. */
static void count_others(struct gateway *g)
{
    struct gateway_onion *o = g->onion;
    const struct onion_counters *c = onion_counters(o->onion);
    g->upstream_drops.by[DROP_ONION_LINE] += c->malformed - o->malformed;
    g->upstream_drops.by[DROP_ONION_LIMIT] += c->crowded - o->crowded;
    o->malformed = c->malformed;
    o->crowded = c->crowded;
}

int gateway_onion_turn(struct gateway *g, bool ready, uint64_t now)
{
    struct gateway_onion *o = g->onion;
    if (o == NULL)
        return 0;
    int status = ready ? onion_hear(o->onion, now) : 0;
    onion_poll(o->onion, now);
    end_late(g, now);
    count_others(g);
    return status;
}

bool gateway_onion_next(const struct gateway *g, uint64_t *at)
{
    const struct gateway_onion *o = g->onion;
    bool any = o != NULL && onion_next(o->onion, at);
    for (uint32_t i = 0; o != NULL && i < o->opening_count; i++) {
        if (!any || o->opening[i].until < *at)
            *at = o->opening[i].until;
        any = true;
    }
    return any;
}

int gateway_onion_fd(const struct gateway *g)
{
    return onion_fd(g->onion->onion);
}

int gateway_onion_init(struct gateway *g, const struct gateway_onion_ports *ports)
{
    uint8_t secret[16];
    struct onion_config config = {.ports = ports->count, .visit = visit, .ctx = g};
    for (uint32_t i = 0; i < ports->count; i++) {
        config.port[i].listener = ports->listener[i];
        config.port[i].circuits = ports->port[i].circuit;
    }
    struct gateway_onion *o = calloc(1, sizeof(*o));
    g->onion = o;
    struct onion *onion;
    int status = onion_new(&onion, &config);
    if (o == NULL) {
        onion_free(onion);
        return -ENOMEM;
    }
    o->onion = onion;
    if (status == 0 && getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
        status = -EIO;
    o->key = siphash_key_load(secret);
    o->ports = ports->count;
    memcpy(o->port, ports->port, sizeof(o->port));
    for (uint32_t i = 0; i < o->ports; i++)
        o->told = o->told || o->port[i].circuit;
    return status;
}

void gateway_onion_fini(struct gateway *g)
{
    if (g->onion == NULL)
        return;
    onion_free(g->onion->onion);
    free(g->onion);
    g->onion = NULL;
}
