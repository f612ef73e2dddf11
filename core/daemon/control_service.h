/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions of workstations at the filtered control port (control_filter.h), which end in the gateway process: there is no
 * way from here to Tor's own control connection, which is the supervisor's.
 *
 * Bounded: sessions in all and of each workstation, and lines per second of each session; who is faster is ended. So that
 * many workstations cannot keep another one out, each with sessions that say nothing, a newcomer who finds no place gets that
 * of the session which was silent for longest, of those of whoever has most.
 */
#ifndef CLOISTER_DAEMON_CONTROL_SERVICE_H
#define CLOISTER_DAEMON_CONTROL_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/drop.h"
#include "daemon/control_filter.h"
#include "daemon/local.h"

#define CONTROL_SERVICE_PORT 9051u
#define CONTROL_SERVICE_SESSIONS 128u
#define CONTROL_SERVICE_SHARE 8u  /* of one workstation */
#define CONTROL_SERVICE_RATE 10u  /* lines per second of a session, */
#define CONTROL_SERVICE_BURST 50u /* and at once */

struct control_service_config {
    uint32_t stations; /* station numbers are below this */
    struct control_filter_facts facts;
    struct drops *drops; /* where what is refused is counted; outlives the service */
    /* This workstation wants new identities. */
    void (*newnym)(void *ctx, uint32_t station);
    void *ctx;
};

struct control_service;

/* 0 and *out, or -ENOMEM. */
int control_service_new(struct control_service **out, const struct control_service_config *config);

/* NULL is allowed. */
void control_service_free(struct control_service *service);

/* Tor is up, or is not. */
void control_service_set_ready(struct control_service *service, bool ready);

/* For struct control_service behind a void *. */
extern const struct local_ops control_service_ops;

/* Tell the engine what happened since the last call. Returns the number of streams told. */
unsigned control_service_dispatch(struct control_service *service, struct tcp_engine *engine, uint64_t now);

/* True if that has something to tell. */
bool control_service_waits(const struct control_service *service);

#endif
