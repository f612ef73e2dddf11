/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbour discovery (RFC 4861, 4862): solicitations for the gateway's own addresses and of its own, and advertisements. */
#ifndef CLOISTER_TUN_NDP_H
#define CLOISTER_TUN_NDP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/drop.h"
#include "base/ipaddr.h"
#include "tun/frame.h"
#include "tun/icmp.h"
#include "tun/packet.h"

#define NDP_HOP_LIMIT 255u                               /* proves that a message is from this link */
#define NDP_SOLICITATION_LEN (ICMP_HEADER_LEN + 16 + 8)  /* bytes, with our link-layer address; and */
#define NDP_ADVERTISEMENT_LEN (ICMP_HEADER_LEN + 16 + 8) /* bytes, with our link-layer address */

enum ndp_type {
    NDP_ROUTER_SOLICITATION = 133,
    NDP_ROUTER_ADVERTISEMENT = 134,
    NDP_NEIGHBOUR_SOLICITATION = 135,
    NDP_NEIGHBOUR_ADVERTISEMENT = 136,
    NDP_REDIRECT = 137,
};

struct ndp_solicitation {
    struct ipaddr target;
    bool probe;                    /* the sender has no address yet: duplicate address detection */
    bool has_source;               /* it says its MAC address */
    uint8_t source[FRAME_MAC_LEN]; /* if so */
};

/* Somebody's answer. */
struct ndp_advertisement {
    struct ipaddr target;
    bool solicited;             /* it says that it was asked */
    bool has_target;            /* it says its MAC address */
    uint8_t mac[FRAME_MAC_LEN]; /* if so */
};

/* True if this is a message of neighbour discovery. */
bool ndp_is_message(const struct icmp *icmp);

/* Check and parse a neighbour solicitation (RFC 4861 7.1.1), whose checksum was right. DROP_NONE, or DROP_NDP_BAD. */
enum drop ndp_parse_solicitation(struct ndp_solicitation *solicitation, const struct packet *packet,
                                 const struct icmp *icmp);

/* Check and parse a neighbour advertisement (RFC 4861 7.1.2), the same way. */
enum drop ndp_parse_advertisement(struct ndp_advertisement *advertisement, const struct packet *packet,
                                  const struct icmp *icmp);

/* Check and parse a router solicitation (RFC 4861 6.1.1), whose checksum was right; it has no target. DROP_NONE, or
 * DROP_NDP_BAD. */
enum drop ndp_parse_router_solicitation(struct ndp_solicitation *solicitation, const struct packet *packet,
                                        const struct icmp *icmp);

/* The solicited-node multicast address of `addr` (RFC 4291 2.7.1). */
struct ipaddr ndp_solicited_node(const struct ipaddr *addr);

/* All nodes of the link, ff02::1, and all routers, ff02::2. */
struct ipaddr ndp_all_nodes(void);
struct ipaddr ndp_all_routers(void);

/* Write a solicitation of NDP_SOLICITATION_LEN bytes at `at`: who has `target`? `src` at `mac` wants to know. To go to
 * `dst`. */
void ndp_build_solicitation(uint8_t *at, const struct ipaddr *target, const struct ipaddr *src,
                            const uint8_t mac[FRAME_MAC_LEN], const struct ipaddr *dst);

/* Write an advertisement of NDP_ADVERTISEMENT_LEN bytes at `at`: `target` is at `mac`, and it is a router. To go from
 * `target` to `dst`. */
void ndp_build_advertisement(uint8_t *at, const struct ipaddr *target, const uint8_t mac[FRAME_MAC_LEN],
                             const struct ipaddr *dst, bool solicited);

#endif
