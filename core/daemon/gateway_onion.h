/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Onion services of workstations, in the gateway process: a visitor whom Tor brings (socks/onion.h) becomes a flow that the
 * engine opens to the workstation. From then on it is a flow like any other, whose upstream is the visitor's stream.
 */
#ifndef CLOISTER_DAEMON_GATEWAY_ONION_H
#define CLOISTER_DAEMON_GATEWAY_ONION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/channel.h"
#include "tcp/engine.h"

struct gateway;
struct gateway_onion;

/* The ports of all services, each with its listener. */
struct gateway_onion_ports {
    uint32_t count;
    struct channel_onion_port port[CONFIG_ONION_PORTS_MAX];
    int listener[CONFIG_ONION_PORTS_MAX];
};

/* Make g->onion; the listeners are taken over, also on failure. 0, or negative errno. */
int gateway_onion_init(struct gateway *g, const struct gateway_onion_ports *ports);
void gateway_onion_fini(struct gateway *g);

/* A descriptor that is readable when there are visitors. */
int gateway_onion_fd(const struct gateway *g);

/* Take in visitors if there are some (`ready`), and go on with those that wait. 0 or negative errno. */
int gateway_onion_turn(struct gateway *g, bool ready, uint64_t now);

/* When the next turn is due, in *at (microseconds); false if nobody waits. */
bool gateway_onion_next(const struct gateway *g, uint64_t *at);

/* True if visitors of onion services have addresses of their own, and this is one that a visitor could have: it leads nowhere,
 * whatever else has it. */
bool gateway_onion_is_visitor(const struct gateway *g, const struct ipaddr *addr);

/* tcp_ops.opened, and the end of a visitor's flow. */
void gateway_onion_opened(struct gateway *g, struct tcp_flow_id id, int status);
void gateway_onion_ended(struct gateway *g, uint32_t index);

#endif
