/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS as a service of the gateway itself: datagrams to port 53, and flows to port 53, which end here and never reach Tor.
 *
 * To the engine it is an upstream like socks/upstream.h, of another kind. A flow's stream is known by a number from
 * dns_service_open(). Events go back through tcp_upstream_*() only from dns_service_dispatch(), never from inside a call
 * of the engine.
 */
#ifndef CLOISTER_DAEMON_DNS_SERVICE_H
#define CLOISTER_DAEMON_DNS_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "daemon/dns_asker.h"
#include "daemon/local.h"
#include "dns/answer.h"
#include "dns/stream.h"
#include "tcp/engine.h"
#include "tun/tun.h"

#define DNS_PORT 53u

struct dns_service_config {
    uint32_t streams;              /* flows to port 53 at once */
    uint32_t max_hosts;            /* as in struct tcp_config */
    bool allow_private;            /* tell workstations of addresses that are not the Internet's, too */
    struct dns_asker_config asker; /* how to ask Tor */
    /* How often a workstation got a new identity, that with it all lookups begin anew. NULL: never. */
    uint64_t (*nym)(void *ctx, uint32_t station);
    /* What lookups of the workstation at `src` are kept apart by, as dns_asker.h has it. NULL: by workstation alone. */
    uint8_t (*policy)(void *ctx, const struct ipaddr *src);
    void *ctx;
};

struct dns_service;

/* Make a service that answers with `dns`, which is borrowed. 0 and *out, or negative errno. */
int dns_service_new(struct dns_service **out, const struct dns_service_config *config, struct dns *dns);

/* Tell which engine the events go to, and which link the datagrams. Once, before anything else; both are borrowed. */
void dns_service_attach(struct dns_service *service, struct tcp_engine *engine, struct tun *tun);

/* NULL is allowed. */
void dns_service_free(struct dns_service *service);

/* A descriptor that is readable when dns_service_hear() has something to do. */
int dns_service_fd(const struct dns_service *service);

/* Take what Tor said to lookups. Their answers go out. 0, or negative errno if Tor cannot be heard any more. */
int dns_service_hear(struct dns_service *service, uint64_t now);

/* A datagram of a workstation to port 53, checked. What gets no answer is counted in dns_drops(). */
void dns_service_datagram(struct dns_service *service, const struct tun_udp *udp, uint64_t now);

/* As in struct local_ops: open() returns 0 and the stream's number, never 0, in *stream; or -ECONNREFUSED if there are too
 * many. release() lets go of that number. */
int dns_service_open(struct dns_service *service, struct tcp_flow_id id, const struct local_client *client,
                     uint64_t now, uint32_t *stream);
ssize_t dns_service_write(struct dns_service *service, uint32_t stream, const struct iovec *iov, int count,
                          size_t *room, uint64_t now);
ssize_t dns_service_read(struct dns_service *service, uint32_t stream, const struct iovec *iov, int count,
                         uint64_t now);
void dns_service_closed(struct dns_service *service, uint32_t stream);
void dns_service_release(struct dns_service *service, uint32_t stream);

/* The same for struct dns_service behind a void *. */
extern const struct local_ops dns_service_ops;

/* End the streams that were silent too long, answer what waited too long, and tell the engine what happened since the last call. Returns the number
 * of events told. */
unsigned dns_service_dispatch(struct dns_service *service, uint64_t now);

/* When to call dns_service_dispatch() next though the engine asked for nothing, in *at (microseconds); false if there is
 * no such time. */
bool dns_service_next(const struct dns_service *service, uint64_t *at);

#endif
