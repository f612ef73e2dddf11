/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flows to the SOCKS and HTTP tunnel ports on the gateway's address.
 *
 * Each is answered here until its client has said where it is to go (socks/front.h). Then a stream is opened for it as
 * for any other flow, with data that the client has sent early; when that is answered the client is told, and from then
 * on the flow is the stream's, without another hand in between: this service forgets it. A refused client is told the
 * reason and gets the end of the stream. What RESOLVE and RESOLVE_PTR found is the word of an exit: an address that leads
 * into a network of ours, and a name that is none, is not told.
 *
 *     HANDSHAKE --request--> ASKED --success--> JOINING --answer read--> the stream's
 *         |                    |  refused, too late; RESOLVE answered
 *         +--bad, closed----> ENDING --answer read, end of file--> released by the engine
 *
 * Each state has an end: who does not go on in time is reset. No workstation takes more places than base/share.h
 * leaves it.
 */
#ifndef CLOISTER_DAEMON_PORT_SERVICE_H
#define CLOISTER_DAEMON_PORT_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/drop.h"
#include "daemon/local.h"
#include "socks/front.h"
#include "socks/ports.h"
#include "socks/upstream.h"
#include "tcp/engine.h"

#define PORT_SERVICE_SPEAK 30000000u /* microseconds for a client's handshake, and to read an answer */

struct port_service_config {
    struct socks_ports ports;
    uint32_t streams;    /* clients at once that are not the stream's yet, at most POOL_MAX_SLOTS */
    uint32_t stations;   /* station numbers are below this */
    uint64_t answer;     /* microseconds that the answer may take */
    bool half_close;     /* is the server told that a client closed his side? */
    struct drops *drops; /* where what is refused is counted; outlives the service */
    /* Open a stream for what a client asks at `port`, as the flow `id`. 0, or the enum socks_code to tell him. */
    uint8_t (*ask)(void *ctx, struct tcp_flow_id id, const struct local_client *client,
                   const struct socks_port *port, const struct front_request *request);
    /* The flow is the stream's from now on: this service has forgotten it. */
    void (*joined)(void *ctx, struct tcp_flow_id id);
    /* May a client be told of this address, that an exit found for a name? */
    bool (*tells)(void *ctx, const struct ipaddr *addr);
    void *ctx;
};

struct port_service;

/* 0 and *out, or -EINVAL or -ENOMEM. */
int port_service_new(struct port_service **out, const struct port_service_config *config);

/* Tell which engine the events go to, and which upstream the streams are of; both are borrowed. */
void port_service_attach(struct port_service *service, struct tcp_engine *engine, struct socks_upstream *upstream);

/* NULL is allowed. */
void port_service_free(struct port_service *service);

/* True if the service answers at this port of the gateway's address. */
bool port_service_has(const struct port_service *service, uint16_t port);

/* For struct port_service behind a void *. */
extern const struct local_ops port_service_ops;

/* As config.asked() and config.bound() of struct socks_upstream_config, with the stream's number for the tag. */
bool port_service_asked(struct port_service *service, uint32_t stream, uint8_t code, uint64_t now);
struct socks_bound *port_service_bound(struct port_service *service, uint32_t stream);

/* End what took too long, and tell the engine what happened since the last call. Returns the number of streams told. */
unsigned port_service_dispatch(struct port_service *service, uint64_t now);

/* When to call that next though the engine asked for nothing, in *at (microseconds); false if there is no such time. */
bool port_service_next(const struct port_service *service, uint64_t *at);

/* Clients that are not the stream's yet. */
uint32_t port_service_count(const struct port_service *service);

#endif
