/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/arp.h"

#include <string.h>

#define ARP_HARDWARE_ETHERNET 1u
#define IPV4_LEN 4u

enum drop arp_parse(struct arp *arp, struct bytes raw)
{
    uint16_t hardware = bytes_u16(&raw);
    uint16_t protocol = bytes_u16(&raw);
    uint8_t hardware_len = bytes_u8(&raw);
    uint8_t protocol_len = bytes_u8(&raw);
    arp->operation = bytes_u16(&raw);
    const uint8_t *sender_mac = bytes_take(&raw, FRAME_MAC_LEN);
    const uint8_t *sender = bytes_take(&raw, IPV4_LEN);
    const uint8_t *target_mac = bytes_take(&raw, FRAME_MAC_LEN);
    const uint8_t *target = bytes_take(&raw, IPV4_LEN);
    if (!bytes_ok(&raw) || hardware != ARP_HARDWARE_ETHERNET || protocol != FRAME_TYPE_IPV4 ||
        hardware_len != FRAME_MAC_LEN || protocol_len != IPV4_LEN)
        return DROP_ARP_BAD;
    memcpy(arp->sender_mac, sender_mac, FRAME_MAC_LEN);
    memcpy(arp->target_mac, target_mac, FRAME_MAC_LEN);
    arp->sender = ipaddr_v4(sender);
    arp->target = ipaddr_v4(target);
    return DROP_NONE;
}

bool arp_is_probe(const struct arp *arp)
{
    return arp->operation == ARP_REQUEST && be32_load(arp->sender.b + 12) == 0;
}

void arp_build(uint8_t *at, const struct arp *arp)
{
    be16_store(at, ARP_HARDWARE_ETHERNET);
    be16_store(at + 2, FRAME_TYPE_IPV4);
    at[4] = FRAME_MAC_LEN;
    at[5] = IPV4_LEN;
    be16_store(at + 6, arp->operation);
    memcpy(at + 8, arp->sender_mac, FRAME_MAC_LEN);
    memcpy(at + 14, arp->sender.b + 12, IPV4_LEN);
    memcpy(at + 18, arp->target_mac, FRAME_MAC_LEN);
    memcpy(at + 24, arp->target.b + 12, IPV4_LEN);
}
