/* SPDX-License-Identifier: BSD-3-Clause */
/* The IPv6 header and its extensions (RFC 8200): parsed from a workstation, built for one. */
#ifndef CLOISTER_TUN_IPV6_H
#define CLOISTER_TUN_IPV6_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "base/ipaddr.h"
#include "tun/packet.h"

#define IPV6_HEADER_LEN 40u /* bytes, without extension headers */
#define IPV6_MTU_MIN 1280u  /* bytes: what every link carries (RFC 8200 5) */

/* The gateway and its network, as far as addresses of packets are concerned. */
struct ipv6_scope {
    struct ipnet network;     /* the workstation network */
    struct ipaddr gateway;    /* the gateway's own address in it */
    struct ipaddr link_local; /* its address of fe80::/10, or all zero */
};

/* Check the header of the packet at the start of `raw` and walk its extension headers. DROP_NONE and *packet filled;
 * DROP_IP_HEADER (version, lengths), DROP_IP_OPTIONS (a routing header that asks for anything, an option that is not to
 * be skipped when unknown, headers out of order or too many of them), DROP_IP_FRAGMENT. The protocol may be anything: what
 * is not an extension header that we know ends the walk. */
enum drop ipv6_parse(struct packet *packet, struct bytes raw);

/* Check the addresses of a packet from the workstation network. DROP_NONE; DROP_IP_SOURCE unless the source is a host's
 * address of that network, or a link-local one that speaks to the gateway itself; DROP_IP_DESTINATION for multicast,
 * unspecified, loopback, other link-local addresses, and addresses that stand for IPv4 ones (::/96, ::ffff:0:0/96). */
enum drop ipv6_check_addresses(const struct packet *packet, const struct ipv6_scope *scope);

/* True if a packet of a host of the network of `scope` may have `addr` as its destination. */
bool ipv6_is_destination(const struct ipaddr *addr, const struct ipv6_scope *scope);

/* True if `addr` is one that a workstation may have in the network of `scope`. */
bool ipv6_is_host(const struct ipaddr *addr, const struct ipv6_scope *scope);

/* True if `addr` is one of the gateway's own two. */
bool ipv6_is_gateway(const struct ipaddr *addr, const struct ipv6_scope *scope);

/* The link-local address with the interface identifier of `addr`; fe80::1 if that is zero. Nothing of any hardware is in
 * it (RFC 7136, 8064). */
struct ipaddr ipv6_link_local_of(const struct ipaddr *addr);

bool ipv6_is_link_local(const struct ipaddr *addr);
bool ipv6_is_multicast(const struct ipaddr *addr);
bool ipv6_is_unspecified(const struct ipaddr *addr);

/* Write a header of IPV6_HEADER_LEN bytes at `at`, for `len` bytes that follow: no flow label, and `hop_limit` (64, or 255
 * as neighbour discovery has it). */
void ipv6_build(uint8_t *at, const struct ipaddr *src, const struct ipaddr *dst, enum packet_protocol protocol,
                uint8_t hop_limit, uint32_t len);

#endif
