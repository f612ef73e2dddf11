/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames as bytes, made with no help of any stack, so that every field can be wrong on purpose. */
#ifndef CLOISTER_LEAKTEST_FRAME_H
#define CLOISTER_LEAKTEST_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"

#define FRAME_MAX 1514u /* bytes of an Ethernet frame without its check sequence */
#define FRAME_HEAD 14u  /* of these, before the packet */

enum frame_type {
    FRAME_IPV4 = 0x0800,
    FRAME_ARP = 0x0806,
    FRAME_IPV6 = 0x86dd,
};

enum frame_protocol {
    FRAME_ICMP = 1,
    FRAME_TCP = 6,
    FRAME_UDP = 17,
    FRAME_ICMP6 = 58,
};

enum frame_flag {
    FRAME_FIN = 0x01,
    FRAME_SYN = 0x02,
    FRAME_RST = 0x04,
    FRAME_ACK = 0x10,
};

/* Bytes under construction. */
struct piece {
    size_t n;
    uint8_t b[FRAME_MAX];
};

void piece_add(struct piece *p, const void *data, size_t n);
void piece_zeros(struct piece *p, size_t n);
void piece_u8(struct piece *p, uint8_t v);
void piece_u16(struct piece *p, uint16_t v);
void piece_u32(struct piece *p, uint32_t v);

/* Which fields of a header are as given here, and not as they should be. */
enum frame_odd {
    FRAME_ODD_TTL = 1,
    FRAME_ODD_VERSION = 2,
    FRAME_ODD_WORDS = 4,
    FRAME_ODD_TOTAL = 8,     /* IPv4's total length, IPv6's payload length */
    FRAME_ODD_CHECKSUM = 16, /* IPv4's, wrong */
};

/* An IP packet to build. What is zero is as usual. */
struct packet {
    bool six;                    /* IPv6; both addresses are then 16 plain bytes, also ::ffff:0:0/96 */
    struct ipaddr from, to;      /* IPv4 in the mapped form */
    uint8_t protocol;            /* TCP, UDP, ICMP of either kind are built around the body */
    uint16_t source_port, port;  /* TCP, UDP */
    uint8_t flags;               /* TCP */
    const uint8_t *tcp_options;  /* NULL: an MSS of 1460 */
    size_t tcp_options_n;        /* a multiple of 4 */
    uint8_t kind, code;          /* ICMP */
    uint32_t rest;               /* ICMP: the word behind the checksum */
    uint16_t id;                 /* IPv4 identification */
    uint8_t ip_flags;            /* IPv4: 1 more fragments, 2 may not be split, 4 reserved */
    uint16_t offset;             /* IPv4: of a fragment, 8 bytes */
    const uint8_t *ip_options;   /* IPv4 */
    size_t ip_options_n;         /* padded to a multiple of 4 */
    uint8_t tos;                 /* IPv4 */
    uint32_t label;              /* IPv6 */
    unsigned odd;                /* set of enum frame_odd, for those that follow */
    uint8_t ttl, version, words; /* `words`: IPv4 header length */
    uint16_t total;              /* bytes */
    const struct piece *body;    /* what the innermost header carries; NULL: nothing */
};

/* Append the packet to `out`. */
void packet_build(struct piece *out, const struct packet *p);

/* Begin a frame. */
void frame_begin(struct piece *out, const uint8_t target[6], const uint8_t source[6], uint16_t type);

/* Append an ARP message (RFC 826). */
void frame_arp(struct piece *out, uint16_t operation, const uint8_t sender_mac[6], const struct ipaddr *sender,
               const uint8_t target_mac[6], const struct ipaddr *target);

/* Set the checksums of an Ethernet frame of `n` bytes to what its headers, as they are, ask for. */
void frame_repair(uint8_t *frame, size_t n);

/* Address from text that is one; six: of IPv6. */
struct ipaddr frame_ip(const char *text);

#endif
