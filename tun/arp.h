/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP for IPv4 over Ethernet (RFC 826, 5227). */
#ifndef CLOISTER_TUN_ARP_H
#define CLOISTER_TUN_ARP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "base/ipaddr.h"
#include "tun/frame.h"

#define ARP_LEN 28u /* bytes of a message */

enum arp_operation {
    ARP_REQUEST = 1,
    ARP_REPLY = 2,
};

struct arp {
    uint16_t operation; /* enum arp_operation, or anything else */
    uint8_t sender_mac[FRAME_MAC_LEN];
    uint8_t target_mac[FRAME_MAC_LEN]; /* of no meaning in a request */
    struct ipaddr sender;              /* 0.0.0.0 in a probe (RFC 5227 2.1.1) */
    struct ipaddr target;
};

/* Parse the message at the start of `raw` (padding may follow). DROP_NONE and *arp filled, or DROP_ARP_BAD. */
enum drop arp_parse(struct arp *arp, struct bytes raw);

/* True if this is a probe: somebody asks whether an address is taken, and has none yet. */
bool arp_is_probe(const struct arp *arp);

/* Write a message of ARP_LEN bytes at `at`. */
void arp_build(uint8_t *at, const struct arp *arp);

#endif
