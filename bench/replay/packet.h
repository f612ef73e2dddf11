/* SPDX-License-Identifier: BSD-3-Clause */
/* One TCP segment of a capture, whatever link it was captured on. */
#ifndef CLOISTER_BENCH_PACKET_H
#define CLOISTER_BENCH_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ipaddr.h"

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16 };

struct packet {
    struct ipaddr src, dst;
    uint16_t src_port, dst_port;
    uint32_t seq, ack;
    uint8_t flags;
    struct bytes options;
    struct bytes payload; /* as much of it as was captured */
    uint32_t len;         /* bytes of payload on the wire */
};

/* Whether captures of this link type (DLT_..., pcap-linktype(7)) can be read. */
bool packet_knows_link(int link);

/* Find the TCP segment in a captured frame, of which `wire_len` bytes were on the wire: over IPv4 or IPv6, with VLAN
 * tags, in PPPoE. False if there is none, or only a fragment of one. */
bool packet_parse(struct packet *p, struct bytes frame, uint32_t wire_len, int link);

#endif
