/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/ndp.h"

#include <string.h>

#include "tun/icmpv6.h"
#include "tun/ipv6.h"

#define OPTION_UNIT 8u /* bytes in which options count their length */

enum option_type {
    OPTION_SOURCE = 1, /* link-layer address of the sender */
    OPTION_TARGET = 2, /* link-layer address of the target */
};

#define FLAG_ROUTER 0x80000000u
#define FLAG_SOLICITED 0x40000000u
#define FLAG_OVERRIDE 0x20000000u

bool ndp_is_message(const struct icmp *icmp)
{
    return icmp->type >= NDP_ROUTER_SOLICITATION && icmp->type <= NDP_REDIRECT;
}

/* Walk the options; all must have a length, and the MAC address in that of type `wanted` is kept, if there is one. */
static bool parse_options(struct bytes b, enum option_type wanted, bool *found, uint8_t mac[FRAME_MAC_LEN])
{
    while (b.left > 0) {
        uint8_t type = bytes_u8(&b);
        uint8_t units = bytes_u8(&b);
        if (units == 0)
            return false;
        struct bytes value = bytes_sub(&b, (size_t)units * OPTION_UNIT - 2);
        if (!bytes_ok(&b))
            return false;
        if (type == wanted) {
            memcpy(mac, value.at, FRAME_MAC_LEN); /* one unit holds two bytes and just that */
            *found = true;
        }
    }
    return true;
}

enum drop ndp_parse_solicitation(struct ndp_solicitation *solicitation, const struct packet *packet,
                                 const struct icmp *icmp)
{
    struct bytes b = icmp->body;
    const uint8_t *target = bytes_take(&b, sizeof(solicitation->target.b));
    if (target == NULL || icmp->code != 0 || packet->hop_limit != NDP_HOP_LIMIT)
        return DROP_NDP_BAD;
    *solicitation =
        (struct ndp_solicitation){.target = ipaddr_v6(target), .probe = ipv6_is_unspecified(&packet->src)};
    if (ipv6_is_multicast(&solicitation->target) ||
        !parse_options(b, OPTION_SOURCE, &solicitation->has_source, solicitation->source))
        return DROP_NDP_BAD;
    if (solicitation->probe) {
        struct ipaddr group = ndp_solicited_node(&solicitation->target);
        if (solicitation->has_source || !ipaddr_equal(&packet->dst, &group))
            return DROP_NDP_BAD;
    }
    return DROP_NONE;
}

enum drop ndp_parse_advertisement(struct ndp_advertisement *advertisement, const struct packet *packet,
                                  const struct icmp *icmp)
{
    struct bytes b = icmp->body;
    const uint8_t *target = bytes_take(&b, sizeof(advertisement->target.b));
    if (target == NULL || icmp->code != 0 || packet->hop_limit != NDP_HOP_LIMIT)
        return DROP_NDP_BAD;
    *advertisement =
        (struct ndp_advertisement){.target = ipaddr_v6(target), .solicited = (icmp->rest & FLAG_SOLICITED) != 0};
    if (ipv6_is_multicast(&advertisement->target) ||
        (advertisement->solicited && ipv6_is_multicast(&packet->dst)) ||
        !parse_options(b, OPTION_TARGET, &advertisement->has_target, advertisement->mac))
        return DROP_NDP_BAD;
    return DROP_NONE;
}

enum drop ndp_parse_router_solicitation(struct ndp_solicitation *solicitation, const struct packet *packet,
                                        const struct icmp *icmp)
{
    if (icmp->code != 0 || packet->hop_limit != NDP_HOP_LIMIT)
        return DROP_NDP_BAD;
    *solicitation = (struct ndp_solicitation){.probe = ipv6_is_unspecified(&packet->src)};
    if (!parse_options(icmp->body, OPTION_SOURCE, &solicitation->has_source, solicitation->source) ||
        (solicitation->probe && solicitation->has_source))
        return DROP_NDP_BAD;
    return DROP_NONE;
}

struct ipaddr ndp_solicited_node(const struct ipaddr *addr)
{
    struct ipaddr group = {{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0}};
    memcpy(group.b + 13, addr->b + 13, 3);
    return group;
}

struct ipaddr ndp_all_nodes(void)
{
    return (struct ipaddr){{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
}

struct ipaddr ndp_all_routers(void)
{
    return (struct ipaddr){{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};
}

/* What follows the header: an address, and an option with a MAC address. */
static void put_body(uint8_t *body, const struct ipaddr *target, enum option_type type, const uint8_t *mac)
{
    memcpy(body, target->b, sizeof(target->b));
    body[16] = type;
    body[17] = 1;
    memcpy(body + 18, mac, FRAME_MAC_LEN);
}

void ndp_build_solicitation(uint8_t *at, const struct ipaddr *target, const struct ipaddr *src,
                            const uint8_t mac[FRAME_MAC_LEN], const struct ipaddr *dst)
{
    uint8_t *body = at + ICMP_HEADER_LEN;
    put_body(body, target, OPTION_SOURCE, mac);
    icmpv6_build(at, src, dst, NDP_NEIGHBOUR_SOLICITATION, 0, 0, body, NDP_SOLICITATION_LEN - ICMP_HEADER_LEN);
}

void ndp_build_advertisement(uint8_t *at, const struct ipaddr *target, const uint8_t mac[FRAME_MAC_LEN],
                             const struct ipaddr *dst, bool solicited)
{
    uint8_t *body = at + ICMP_HEADER_LEN;
    put_body(body, target, OPTION_TARGET, mac);
    icmpv6_build(at, target, dst, NDP_NEIGHBOUR_ADVERTISEMENT, 0,
                 FLAG_ROUTER | FLAG_OVERRIDE | (solicited ? FLAG_SOLICITED : 0), body,
                 NDP_ADVERTISEMENT_LEN - ICMP_HEADER_LEN);
}
