/* SPDX-License-Identifier: BSD-3-Clause */
/* A packet whose IP header was checked, of either family, and what the transport protocols make of it. */
#ifndef CLOISTER_TUN_PACKET_H
#define CLOISTER_TUN_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "base/ipaddr.h"
#include "tun/frame.h"

/* Protocol numbers of IPv4 and IPv6 alike. */
enum packet_protocol {
    PACKET_HOP_BY_HOP = 0, /* IPv6: options, and the protocol behind them (RFC 8200 4.3) */
    PACKET_ICMP = 1,
    PACKET_TCP = 6,
    PACKET_UDP = 17,
    PACKET_ICMPV6 = 58,
    PACKET_NOTHING = 59, /* IPv6: no payload (RFC 8200 4.7) */
};

struct packet {
    struct ipaddr src, dst;
    uint16_t header_len;  /* of the IP header with its options or extensions: where the payload begins */
    uint16_t protocol_at; /* where the IP header says which protocol the payload is: bytes from its beginning */
    uint8_t protocol;     /* enum packet_protocol, or anything else */
    uint8_t hop_limit;    /* TTL, in IPv4's words */
    struct bytes payload; /* as long as the IP header says, link padding cut off */
};

/* All of the packet from its IP header on. */
static inline struct bytes packet_whole(const struct packet *packet)
{
    return bytes_of(packet->payload.at - packet->header_len, packet->header_len + packet->payload.left);
}

/* Check that the payload is a TCP segment as far as lengths, offload header and checksum go. DROP_NONE, or
 * DROP_FRAME_OFFLOAD, DROP_TCP_BAD, DROP_TCP_CHECKSUM. A checksum that the offload header calls partial or valid is
 * not computed. */
enum drop packet_check_tcp(const struct packet *packet, const struct frame_offload *offload);

/* What there is to know of a UDP datagram beside its packet. */
struct packet_udp {
    uint16_t src_port, dst_port; /* host order */
    struct bytes data;
};

/* Parse and check the payload as a UDP datagram. DROP_NONE and *udp filled, or DROP_FRAME_OFFLOAD, DROP_UDP_BAD
 * (length, checksum, source port 0; no checksum over IPv6, RFC 8200 8.1). */
enum drop packet_parse_udp(struct packet_udp *udp, const struct packet *packet,
                           const struct frame_offload *offload);

#endif
