/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where flows go, and who they are: what the upstream, and the service of the gateway's ports, ask of the gateway.
 *
 * Every way to Tor is through the same checks, whoever names the destination: the address of a packet, the name behind
 * a virtual one, or the client of a SOCKS port.
 */
#ifndef CLOISTER_DAEMON_GATEWAY_TARGET_H
#define CLOISTER_DAEMON_GATEWAY_TARGET_H

#include "daemon/gateway.h"

/* Keep the books of a flow that gateway_begin_flow() began. */
void gateway_end_flow(struct gateway *g, uint32_t index);

/* True if `addr` is an address of the gateway's own. */
bool gateway_is_own(const struct gateway *g, const struct ipaddr *addr);

/* May this workstation have another flow now? It counts then. */
bool gateway_pace(struct gateway *g, uint32_t station);

/* How often a workstation got new identities; lookups and flows get them together. `ctx` is the gateway, here and below. */
uint64_t gateway_nym(void *ctx, uint32_t station);

/* What lookups of the workstation at `src` are kept apart by. */
uint8_t gateway_lookup_policy(void *ctx, const struct ipaddr *src);

/* As struct socks_upstream_config has them. */
int gateway_choose_target(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host,
                          struct socks_target *target);
void gateway_target_answered(void *ctx, uint32_t tag, uint8_t code);
bool gateway_target_asked(void *ctx, uint32_t tag, uint8_t code);
struct socks_bound *gateway_target_bound(void *ctx, uint32_t tag);
void gateway_target_done(void *ctx, uint32_t tag);

/* As struct port_service_config has them. */
uint8_t gateway_ask(void *ctx, struct tcp_flow_id id, const struct local_client *client,
                    const struct socks_port *port, const struct front_request *request);
void gateway_joined(void *ctx, struct tcp_flow_id id);
bool gateway_tells(void *ctx, const struct ipaddr *addr);

#endif
