/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the supervisor does with root's privileges, before it gives them up and begins its loop: users, directories, the
 * TAP, both children up to the point where the gateway is locked in, and, last, the TAP goes up.
 */
#ifndef CLOISTER_DAEMON_SETUP_H
#define CLOISTER_DAEMON_SETUP_H

#include "daemon/child.h"
#include "daemon/config.h"
#include "tun/bridge_guard.h"

#define SETUP_REASON_MAX 640u /* bytes that hold any reason */

/* The capabilities that the supervisor is left with: CAP_KILL. */
#define SETUP_CAPABILITIES (1ull << 5)

/* An embedded Tor. */
struct setup_tor {
    struct child child;
    int control; /* the owning end of its control connection */
};

/* What set-up leaves behind. */
struct setup {
    struct child gateway;
    struct setup_tor tor[CONFIG_TORS_MAX];
    uint32_t tors;       /* of these; 0 with an external Tor */
    struct child keeper; /* only with interfaces to keep (workstation.attach) */
    int control;         /* the control socket, listening; -1: none */
    int metrics;         /* the metrics listener, likewise */
    bool guarded;        /* is there a bridge of the host's to watch? */
    struct bridge_guard guard;
    struct netlink wall; /* between the TAP and the host, if it stands alone; the process keeps it */
};

/* Do all of it, unless SIGTERM or SIGINT, which the caller has blocked, comes first (-ECANCELED). 0; or negative errno with the reason as a sentence in `reason`: what was started is ended again. */
int setup_run(struct setup *setup, const struct config *config, char reason[SETUP_REASON_MAX]);

#endif
