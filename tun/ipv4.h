/* SPDX-License-Identifier: BSD-3-Clause */
/* The IPv4 header (RFC 791, 1122, 6864): parsed from a workstation, built for one. */
#ifndef CLOISTER_TUN_IPV4_H
#define CLOISTER_TUN_IPV4_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "base/ipaddr.h"
#include "tun/packet.h"

#define IPV4_HEADER_LEN 20u /* bytes, without options */

/* Check the header of the packet at the start of `raw`. DROP_NONE and *packet filled; DROP_IP_HEADER (version, header
 * length, total length, checksum), DROP_IP_OPTIONS (source routing, or options that do not parse), DROP_IP_FRAGMENT.
 * TTL and identification mean nothing to us: we never forward. */
enum drop ipv4_parse(struct packet *packet, struct bytes raw);

/* Check the addresses of a packet that came from the workstation network `net` (IPv4, len 97 to 126), where the gateway
 * is `gateway`.
 * DROP_NONE; DROP_IP_SOURCE unless the source is a host's address of that network and not ours;
 * DROP_IP_DESTINATION for 0/8, 127/8, multicast, broadcast, and that network's own two. */
enum drop ipv4_check_addresses(const struct packet *packet, const struct ipnet *net, const struct ipaddr *gateway);

/* True if a packet of `net` may have the four bytes at `addr` as its destination. */
bool ipv4_is_destination(const uint8_t addr[4], const struct ipnet *net);

/* True if the IPv4 address `addr` is one that a workstation of `net` may have, beside the gateway's own `gateway`. */
bool ipv4_is_host(const struct ipaddr *addr, const struct ipnet *net, const struct ipaddr *gateway);

/* Write a header of IPV4_HEADER_LEN bytes at `at`, for `len` bytes that follow: TTL 64, DF, identification 0 as
 * RFC 6864 4.1 allows for what is never fragmented, so that no counter can be read off. len <= 65515. */
void ipv4_build(uint8_t *at, const struct ipaddr *src, const struct ipaddr *dst, enum packet_protocol protocol,
                uint32_t len);

#endif
