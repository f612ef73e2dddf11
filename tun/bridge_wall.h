/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A wall between a bridge and the IP stack of its host: what the bridge would hand up is dropped before any protocol looks
 * at it, whatever the settings are. The essay is in bridge_guard.c.
 */
#ifndef CLOISTER_TUN_BRIDGE_WALL_H
#define CLOISTER_TUN_BRIDGE_WALL_H

#include <stdbool.h>

#include "tun/netlink.h"

/* Build it for the bridge of this name. It is owned by the socket that is left in `wall`: nobody else can take it down,
 * no reload of a firewall either. It stands until bridge_wall_close(), on kernels from 6.9 on until somebody deletes it
 * then. *stays says which. Needs CAP_NET_ADMIN. 0, or negative errno: the kernel lacks nf_tables or its netdev family, or there
 * is no such device. */
int bridge_wall_build(struct netlink *wall, const char *bridge, bool *stays);

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
