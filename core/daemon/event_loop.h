/* SPDX-License-Identifier: BSD-3-Clause */
/* The gateway's loop: libuv waits, the gateway turns. */
#ifndef CLOISTER_DAEMON_EVENT_LOOP_H
#define CLOISTER_DAEMON_EVENT_LOOP_H

#include "daemon/gateway.h"

struct event_loop;

/* Microseconds of the clock that all of a gateway's times are of. */
uint64_t event_loop_now(void);

/* Open what the loop needs. 0 and *out, or negative errno. `gateway` and `channel` are borrowed. */
int event_loop_new(struct event_loop **out, struct gateway *gateway, int channel);

/* Run until the supervisor says stop (0) or is gone, or something broke (1). Returns the process's exit status. */
int event_loop_run(struct event_loop *loop);

void event_loop_free(struct event_loop *loop);

#endif
