/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bridge of the host's that workstations are attached to: whether the host's kernel keeps out of it, and whether it goes
 * on to. The essay is in bridge_guard.c.
 */
#ifndef CLOISTER_TUN_BRIDGE_GUARD_H
#define CLOISTER_TUN_BRIDGE_GUARD_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "tun/bridge_wall.h"
#include "tun/netlink.h"

#define BRIDGE_GUARD_SETTINGS 10u
#define BRIDGE_GUARD_OWN 6u       /* of them the bridge's own */
#define BRIDGE_GUARD_WHY_MAX 256u /* bytes that hold any reason */

struct bridge_guard {
    char name[IFNAMSIZ];
    int index;
    struct netlink questions;
    struct netlink news;
    struct netlink wall;                /* owns it (bridge_wall.h) */
    bool wall_stays;                    /* also when that socket is closed: Linux 6.9 */
    bool was_walled;                    /* there was one before: it stays in any case */
    struct bridge_groups was_told;      /* as found */
    long was[BRIDGE_GUARD_OWN];         /* the bridge's settings as found */
    int setting[BRIDGE_GUARD_SETTINGS]; /* descriptors; -1: there is no such file, and none is needed */
};

/* See that it is a bridge that can be taken, then set what can be set of the bridge alone: no IPv6, no forwarding, strict
 * reverse path, no answer to ARP; build a wall (bridge_wall.h). Open what the checks will need, for they run without
 * privileges. 0, or negative errno with a sentence in `why`; then all is as it was, and there is nothing to close. */
int bridge_guard_open(struct bridge_guard *guard, const char *name, char why[BRIDGE_GUARD_WHY_MAX]);

/* Have the ports that the bridge has by now keep the host out as well; once, when the TAP is one of them. Needs
 * CAP_NET_ADMIN. 0, or negative errno with a sentence in `why`. */
int bridge_guard_take_ports(struct bridge_guard *guard, char why[BRIDGE_GUARD_WHY_MAX]);

/* See that the bridge is as it has to be. 0, or negative errno with a sentence in `why` that says what is wrong and what
 * to do. */
int bridge_guard_check(struct bridge_guard *guard, char why[BRIDGE_GUARD_WHY_MAX]);

/* A descriptor that is readable when something has changed that the kernel tells of; not everything is. Then, and from
 * time to time, call bridge_guard_look(). */
int bridge_guard_fd(const struct bridge_guard *guard);

/* Take the news, and check again, as above. */
int bridge_guard_look(struct bridge_guard *guard, char why[BRIDGE_GUARD_WHY_MAX]);

/* Put everything of the bridge back as bridge_guard_open() found it, and close: this gateway does not start. The ports' own
 * settings remain (bridge_guard_take_ports()). Needs CAP_NET_ADMIN. */
void bridge_guard_undo(struct bridge_guard *guard);

void bridge_guard_close(struct bridge_guard *guard);

#endif
