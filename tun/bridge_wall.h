/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A wall between a bridge and the IP stack of its host: what the bridge would hand up is dropped before any protocol looks
 * at it, whatever the settings are. The essay is in bridge_guard.c.
 */
#ifndef CLOISTER_TUN_BRIDGE_WALL_H
#define CLOISTER_TUN_BRIDGE_WALL_H

#include <stdbool.h>
#include <stdint.h>

#include "tun/netlink.h"

/* What a bridge is told of frames to the reserved groups. */
struct bridge_groups {
    uint16_t forwarded; /* mask of the groups 01:80:c2:00:00:0X that it passes on */
    uint32_t stp;       /* spanning tree: 0 off, 1 the kernel's, 2 a program's */
};

/* Build it for the bridge of this name. It is owned by the socket that is left in `wall`: nobody else can take it down,
 * no reload of a firewall either. It stands until bridge_wall_close(), on kernels from 6.9 on until somebody deletes it
 * then. *stays says which, and *found whether one stood there before. Needs CAP_NET_ADMIN. 0, or negative errno: the kernel lacks nf_tables or its netdev family, or there
 * is no such device. */
int bridge_wall_build(struct netlink *wall, const char *bridge, bool *stays, bool *found);

/* Take it down. What goes wrong is not told: it stands then. */
void bridge_wall_take_down(struct netlink *wall, const char *bridge);

/* What the bridge with this index does with the reserved groups. 0; -EOPNOTSUPP if it is not a bridge; or another negative
 * errno. */
int bridge_wall_look_at_groups(struct netlink *route, int bridge, struct bridge_groups *out);

/* Tell it so. 0 or negative errno. */
int bridge_wall_set_groups(struct netlink *route, int bridge, const struct bridge_groups *groups);

/* Build one between a device that is no bridge and the IP stack of its namespace: what comes in by it is dropped before
 * IPv4 or IPv6 looks at more than its header. It stands until bridge_wall_close(), and means nothing once the device is
 * in another namespace, or in a bridge. Needs CAP_NET_ADMIN. 0, or negative errno: -EOPNOTSUPP and -EINVAL if the kernel lacks
 * nf_tables or its inet family. */
int bridge_wall_build_behind(struct netlink *wall, const char *device);

/* Let frames to the reserved groups 01:80:c2:00:00:0X go from port to port as all others, for the kernel would hand them
 * up at the port that they came in by, where there is no wall: at this bridge, for those of them for which a bridge can
 * say so, and with it STP is turned off; or at one port, for the rest. 0 or negative errno. */
int bridge_wall_pass_groups(struct netlink *route, int bridge);
int bridge_wall_pass_groups_of_port(struct netlink *route, int port);

void bridge_wall_close(struct netlink *wall);

#endif
