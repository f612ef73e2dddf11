/* SPDX-License-Identifier: BSD-3-Clause */
/* Which addresses are the Internet's, and which are somebody's own network, or nobody's. */
#ifndef CLOISTER_BASE_RANGE_H
#define CLOISTER_BASE_RANGE_H

#include <stdbool.h>

#include "base/ipaddr.h"

/* True if `a` is an address that means the same everywhere on the Internet (RFC 6890 and the registries it began). False
 * for private networks, loopback, link-local, shared address space of carriers (RFC 6598), multicast, unspecified and
 * reserved addresses, and for IPv6 addresses that carry an IPv4 address, which would be a way around the same for that.
 * The ranges for documentation and for benchmarks are nobody's, so they do no harm and count as the Internet's: tests
 * live there. */
bool range_is_internet(const struct ipaddr *a);

/* True if `name` is an IPv4 address written as a name, or would be taken for one: its last label, a dot at the end not
 * counted, is a number, decimal or hexadecimal. No name in the DNS ends so. */
bool range_name_is_address(const char *name);

#endif
