/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMPv6 (RFC 4443), but for neighbour discovery, which is in tun/ndp.h. */
#ifndef CLOISTER_TUN_ICMPV6_H
#define CLOISTER_TUN_ICMPV6_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/drop.h"
#include "base/ipaddr.h"
#include "tun/icmp.h"
#include "tun/packet.h"

#define ICMPV6_UNREACHABLE_LEN (ICMP_HEADER_LEN + 40u + 8u) /* bytes of an error that quotes a header and ports */

enum icmpv6_type {
    ICMPV6_UNREACHABLE = 1,
    ICMPV6_TOO_BIG = 2,
    ICMPV6_PARAMETER = 4,
    ICMPV6_ECHO_REQUEST = 128,
    ICMPV6_ECHO_REPLY = 129,
};

enum icmpv6_unreachable_code {
    ICMPV6_CODE_NO_ROUTE = 0,
    ICMPV6_CODE_PROHIBITED = 1,
    ICMPV6_CODE_SCOPE = 2,
    ICMPV6_CODE_ADDRESS = 3,
    ICMPV6_CODE_PORT = 4,
};

/* Parse the payload of `packet` and check the checksum. DROP_NONE, or DROP_ICMP. */
enum drop icmpv6_parse(struct icmp *icmp, const struct packet *packet);

/* Read the quotation in an error. False if it is not of a TCP segment as we send them, or too short. */
bool icmpv6_parse_quote(struct icmp_quote *quote, struct bytes body);

/* Write the header (ICMP_HEADER_LEN bytes, checksum included) of a message from `src` to `dst` whose body is the `n` bytes
 * at `body`. `type` is an enum icmpv6_type or one of tun/ndp.h. */
void icmpv6_build(uint8_t *at, const struct ipaddr *src, const struct ipaddr *dst, uint8_t type, uint8_t code,
                  uint32_t rest, const void *body, size_t n);

/* Write a whole destination unreachable message of ICMPV6_UNREACHABLE_LEN bytes from `from`, about a TCP segment from
 * `src` to `dst` that began with `tcp_header`. The header it quotes is made up from these. */
void icmpv6_build_unreachable(uint8_t *at, const struct ipaddr *from, enum icmpv6_unreachable_code code,
                              const struct ipaddr *src, const struct ipaddr *dst, const uint8_t tcp_header[8]);

#endif
