/* SPDX-License-Identifier: BSD-3-Clause */
/* Interfaces, addresses and routes of the network namespace of the caller, as far as the leak test sets and asks them. */
#ifndef CLOISTER_LEAKTEST_LINKS_H
#define CLOISTER_LEAKTEST_LINKS_H

#include <net/if.h>
#include <stdint.h>

#include "base/ipaddr.h"

/* The indices of the interface `name` and of all ports of a bridge of that name, at most `max`, appended to `out`. The new
 * count. */
unsigned links_with_ports(const char *name, unsigned *out, unsigned count, unsigned max);

/* The bridge that an interface is a port of: its index, 0: none. */
unsigned links_master(const char *name);

/* The interface of the default route, and the next hop (zeros: none) if it is an IPv4 one. 0, or -ENOENT. */
int links_default_route(char name[IF_NAMESIZE], struct ipaddr *router);

/* The IPv4 address of an interface. 0 or negative errno. */
int links_address(const char *name, struct ipaddr *out);

/* Give an interface an address with this prefix length, of either family, to be used at once. 0 or negative errno. */
int links_set_address(const char *name, const char *address, unsigned prefix);

/* Add a default route by this router, of either family, which is on `name`. 0 or negative errno. */
int links_set_default(const char *name, const char *router);

#endif
