/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP for IPv4 (RFC 792, 1122, 1191, 1812): three messages, and no others. */
#ifndef CLOISTER_TUN_ICMP_H
#define CLOISTER_TUN_ICMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "base/ipaddr.h"

#define ICMP_HEADER_LEN 8u
#define ICMP_UNREACHABLE_LEN (ICMP_HEADER_LEN + 20u + 8u) /* bytes of an error that quotes a header and ports */

enum icmp_type {
    ICMP_ECHO_REPLY = 0,
    ICMP_UNREACHABLE = 3,
    ICMP_ECHO_REQUEST = 8,
};

enum icmp_unreachable_code {
    ICMP_CODE_NET = 0,
    ICMP_CODE_HOST = 1,
    ICMP_CODE_PROTOCOL = 2,
    ICMP_CODE_PORT = 3,
    ICMP_CODE_FRAGMENTATION = 4, /* needed, but DF was set (RFC 1191) */
    ICMP_CODE_PROHIBITED = 13,   /* administratively (RFC 1812 5.2.7.1) */
};

/* A message whose checksum was right. */
struct icmp {
    uint8_t type; /* enum icmp_type, or anything else */
    uint8_t code;
    uint32_t rest;     /* the second half of its header: identifier and sequence, or MTU */
    struct bytes body; /* what follows the header */
};

/* What an ICMP error quotes of a TCP segment of ours. */
struct icmp_quote {
    struct ipaddr src, dst; /* as in the quoted packet: src is the far end, dst the workstation */
    uint16_t src_port;
    uint16_t dst_port;
    uint32_t seq;
};

/* Parse and check the checksum. DROP_NONE, or DROP_ICMP. */
enum drop icmp_parse(struct icmp *icmp, struct bytes raw);

/* Read the quotation in an error. False if it is not of an IPv4 TCP segment or too short. */
bool icmp_parse_quote(struct icmp_quote *quote, struct bytes body);

/* Write the header (ICMP_HEADER_LEN bytes, checksum included) of a message whose body is the `n` bytes at `body`. */
void icmp_build(uint8_t *at, enum icmp_type type, uint8_t code, uint32_t rest, const void *body, size_t n);

/* Write a whole destination unreachable message of ICMP_UNREACHABLE_LEN bytes, about a TCP segment from `src` to `dst`
 * that began with `tcp_header`. The header it quotes is made up from these: nothing else was kept of it. */
void icmp_build_unreachable(uint8_t *at, enum icmp_unreachable_code code, const struct ipaddr *src,
                            const struct ipaddr *dst, const uint8_t tcp_header[8]);

#endif
