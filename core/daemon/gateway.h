/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gateway: the layers joined to one another. How they are built is in gateway_parts.c, what they ask of it in
 * gateway_ops.c, what the loop around it does in event_loop.c, how its process locks itself in, in gateway_role.c.
 *
 *     frames -> tun -> tcp engine -> socks upstream -> Tor
 *                 |         |            ^
 *                 |         \-> ports ---/
 *                 \-> DNS service -names-/
 */
#ifndef CLOISTER_DAEMON_GATEWAY_H
#define CLOISTER_DAEMON_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bucket.h"
#include "base/drop.h"
#include "daemon/channel.h"
#include "daemon/control_service.h"
#include "daemon/counters.h"
#include "daemon/dns_service.h"
#include "daemon/gateway_onion.h"
#include "daemon/local.h"
#include "daemon/port_service.h"
#include "daemon/port_use.h"
#include "dns/answer.h"
#include "socks/upstream.h"
#include "tcp/engine.h"
#include "tun/receive.h"
#include "tun/tun.h"

#define GATEWAY_DNS_CALLS 256u /* lookups through Tor at once, each with a descriptor */

/* What may be ready, as a set of bits. */
enum gateway_ready {
    GATEWAY_READY_LINK = 1 << 0,  /* the TAP has frames */
    GATEWAY_READY_DNS = 1 << 1,   /* Tor said something to a lookup */
    GATEWAY_READY_ONION = 1 << 2, /* onion services have visitors */
};

/* What is kept beside a flow of the engine, by its index. */
struct gateway_flow {
    uint32_t host;    /* the workstation */
    uint32_t name;    /* handle of dns_pin(), or 0 */
    uint16_t port;    /* source port, as port_use has it, or 0 */
    uint16_t station; /* the workstation's number that its addresses have in common */
    uint32_t stream;  /* its number in a service of the gateway's own; 0: it is Tor's */
    uint16_t service; /* index of the onion service whose visitor's it is, from 1; else 0 */
    uint16_t opening; /* and its place among those that open, from 1, or 0 (gateway_onion.c) */
    uint8_t local;    /* which service of the gateway's own, enum gateway_service */
};

/* Where the client of a port of the gateway's own asked to go. Kept only if destinations are shown, and as long as the
 * flow. */
struct gateway_asked {
    bool known;
    uint16_t port; /* 0: a name or address was to be looked up */
    struct ipaddr addr;
    char name[SOCKS_NAME_MAX + 1]; /* empty: `addr` */
};

/* What answers flows to the gateway itself. */
enum gateway_service {
    GATEWAY_SERVICE_DNS,
    GATEWAY_SERVICE_PORTS,
    GATEWAY_SERVICE_CONTROL,
    GATEWAY_SERVICES,
};

struct gateway_local {
    const struct local_ops *ops;
    void *service;
};

/* A mapping of zeroed memory. */
struct gateway_memory {
    void *at;
    size_t size;
};

struct gateway {
    const struct channel_gateway_config *config; /* borrowed */
    int tap;                                     /* owned */
    uint64_t now;                                /* microseconds, of the running turn */
    struct gateway_memory engine_memory;
    struct gateway_memory dns_memory;
    struct gateway_memory flow_memory;
    struct gateway_memory asked_memory;
    struct gateway_memory host_memory;
    struct gateway_memory station_memory;
    struct gateway_memory syn_memory;
    struct tcp_engine *engine;
    struct dns *dns;
    struct dns_service *dns_service;
    struct port_service *port_service;
    struct control_service *control_service; /* NULL: there is none */
    struct gateway_local local[GATEWAY_SERVICES];
    struct gateway_flow *flows;  /* by index, from 1 */
    struct gateway_asked *asked; /* the same; NULL: destinations are not shown */
    struct bucket *host_syns;    /* the pace of new flows, of each station */
    bool ready;                  /* Tor is up */
    uint32_t *host_flows;        /* flows of each workstation's address */
    uint32_t *station_flows;     /* the same of each station */
    uint32_t nym;                /* how often all workstations got new identities */
    uint32_t *station_nyms;      /* and how often each one, by the number of its station */
    struct gateway_memory nym_memory;
    struct gateway_memory port_memory;
    struct port_use ports;    /* source ports of live flows */
    uint64_t doubled;         /* flows so far whose source port was in use already */
    uint32_t active;          /* flows that have an upstream; one in TIME-WAIT has none any more */
    struct socks_tors others; /* listeners of the other Tors, if there are several */
    struct socks_upstream *upstream;
    const struct gateway_onion_ports *onion_ports; /* until g->onion is made: borrowed */
    struct gateway_onion *onion;                   /* NULL: there are no onion services */
    struct drops
        upstream_drops; /* flows that gateway_target.c and the services refused, and visitors of onion services */
    struct tun tun;
    struct receive receive;
};

/* Build everything. `config` is borrowed, `tap` and the listeners in `onions` taken over, also on failure. 0, or negative errno with *step set to a
 * static text; then nothing is left to undo. */
int gateway_init(struct gateway *g, const struct channel_gateway_config *config, int tap,
                 const struct gateway_onion_ports *onions, uint64_t now, const char **step);

void gateway_fini(struct gateway *g);

/* One turn at `now`: take in what is `ready`, run what is due, let go of what came of it. True in *again if there is
 * more to do without waiting. 0, or negative errno if the link or the upstream is broken for good. */
int gateway_turn(struct gateway *g, unsigned ready, uint64_t now, bool *again);

/* Keep `flow` beside the engine's flow `index`, which is of this workstation. It ends when its upstream is let go of. */
void gateway_begin_flow(struct gateway *g, uint32_t index, struct gateway_flow flow,
                        const struct host *workstation);

/* When the next turn is due though nothing is ready, in *at (microseconds); false if there is no such time. */
bool gateway_next_deadline(const struct gateway *g, uint64_t *at);

/* Tor is up, or is not: until it is, new flows wait or are refused, and names are answered with SERVFAIL. */
void gateway_set_ready(struct gateway *g, bool ready);

/* How Tor bears the circuits that it is asked for: see socks_budget_learn(). */
void gateway_tor_load(struct gateway *g, uint32_t building, bool refused, uint64_t now);

/* How Tor ended some streams. Between turns; the next one is to come without waiting. */
void gateway_streams_ended(struct gateway *g, const struct channel_streams_ended *ended, uint64_t now);

/* From now on, new flows and new lookups are of new identities: those of the workstation that has this address and of all addresses that
 * are its, or with NULL of every workstation. What is open stays. 0, or -ENOENT if there is no such workstation. */
int gateway_newnym(struct gateway *g, const struct ipaddr *workstation);

/* Reset every flow: workstations get their RSTs, streams are closed. */
void gateway_stop(struct gateway *g, uint64_t now);

/* Give memory that is free back to the system. Between turns. */
void gateway_settle(struct gateway *g);

/* A figure that falls when there may be something for gateway_settle() to give back. */
uint64_t gateway_load(const struct gateway *g);

void gateway_count(const struct gateway *g, struct counters *counters);

#endif
