/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The workstations' segment: a bridge without an address in a network namespace of its own, and the interfaces of the host
 * that are moved there and back. The essay is in core/daemon/keeper_role.c.
 */
#ifndef CLOISTER_TUN_SEGMENT_H
#define CLOISTER_TUN_SEGMENT_H

#include <net/if.h>
#include <stdbool.h>

#include "tun/netlink.h"

#define SEGMENT_BRIDGE "segment" /* name of the bridge, in there */

/* In the namespace of the caller, which is new and empty: let the kernel have no part in what passes through here (no
 * IPv6, no forwarding, no answer to ARP), and make the bridge and bring it up. 0, or negative errno and *step. */
int segment_make(struct netlink *nl, const char **step);

/* The index of the interface `name` in the namespace of `nl`; negative errno, -ENODEV if there is none. */
int segment_find(struct netlink *nl, const char *name);

/* True in *has if the interface has an address, IPv6 link-local ones not counted. 0 or negative errno. */
int segment_has_address(struct netlink *nl, int index, bool *has);

/* Is the interface with this index in a bridge, or has another master? 0 or negative errno. */
int segment_is_port(struct netlink *nl, int index, bool *is);

/* Move an interface to another namespace, where it arrives down. 0 or negative errno. */
int segment_move(struct netlink *nl, int index, int namespace_fd);

/* Make an interface a port of the bridge with index `bridge` and bring it up. If `isolated`, it exchanges no frames with
 * other isolated ports. 0, or negative errno and *step. */
int segment_join(struct netlink *nl, int index, int bridge, bool isolated, const char **step);

#endif
