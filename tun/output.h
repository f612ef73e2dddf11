/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames for the workstation network: headers are put before what others made, and it goes out in one send. */
#ifndef CLOISTER_TUN_OUTPUT_H
#define CLOISTER_TUN_OUTPUT_H

#include <stdint.h>

#include "tcp/engine.h"
#include "tun/arp.h"
#include "tun/icmp.h"
#include "tun/packet.h"
#include "tun/tun.h"

/* The largest payload of a super-segment that fits with any headers: what tcp_config.gso_max may be, where the link has
 * DEVICE_OFFLOAD_TSO4 (and TSO6, if IPv6 is spoken). */
#define OUTPUT_GSO_MAX (65535u - 40u - TCP_HEADER_MAX)

/* Send a segment: tcp_ops.emit. The headers before TCP's go into out->head, nothing is copied. 0, or negative errno:
 * -EHOSTUNREACH if the workstation is not (or no longer) the one with that address, -EINVAL for a segment that the
 * link cannot take (longer than the MTU and not to be cut), else what `send` said. What `send` refused is counted
 * under DROP_SEND. */
int output_segment(struct tun *tun, struct tcp_out *out);

/* Tell a workstation that its SYN could not be delivered: tcp_ops.unreachable (RFC 792, 1812 5.2.7.1). */
void output_unreachable(struct tun *tun, const struct tcp_tuple *tuple, uint32_t host, enum tcp_refusal why,
                        const uint8_t tcp_header[8]);

/* Why a packet is refused. */
enum output_refusal {
    OUTPUT_REFUSAL_PORT,       /* nobody answers at that port */
    OUTPUT_REFUSAL_PROTOCOL,   /* nor with that protocol */
    OUTPUT_REFUSAL_PROHIBITED, /* it is not let through */
    OUTPUT_REFUSAL_SCOPE,      /* its source is of the link and its destination is not; IPv6 only */
};

/* Tell the workstation `host` that its packet was refused, quoting as much of it as fits (RFC 1812 4.3.2.3, 4443 2.4 c).
 * Whether a packet may be answered like that is for the caller to judge. 0 or negative errno. */
int output_refusal(struct tun *tun, uint32_t host, const struct packet *packet, enum output_refusal why);

/* Send a datagram to the workstation udp->host, whose address must be udp->dst; udp->src is whatever address was
 * asked. 0, -EHOSTUNREACH as above, -EMSGSIZE if it does not fit the MTU (we never fragment), else what `send` said. */
int output_udp(struct tun *tun, const struct tun_udp *udp);

/* Send a message of the DHCP server. 0 or negative errno. */
int output_dhcp(struct tun *tun, const struct dhcp_out *out);

/* Answer an echo request of a workstation, and an ARP request for the gateway's address. 0 or negative errno, as above;
 * what `send` refused is counted. */
int output_echo_reply(struct tun *tun, uint32_t host, const struct packet *request, const struct icmp *echo);
int output_arp_reply(struct tun *tun, const struct arp *request);

/* Ask the segment who has `addr`: RFC 826, RFC 4861 4.3. 0 or negative errno. */
int output_arp_request(struct tun *tun, const struct ipaddr *addr);
int output_solicitation(struct tun *tun, const struct ipaddr *addr);

/* Advertise (RFC 4861 4.4) that `target`, one of the gateway's IPv6 addresses, is at its MAC: to `to` at `mac`, who asked,
 * or to all nodes if `to` is NULL. 0 or negative errno. */
int output_advertisement(struct tun *tun, const uint8_t mac[FRAME_MAC_LEN], const struct ipaddr *target,
                         const struct ipaddr *to);

/* Tell all nodes what the gateway is to them: the default router and resolver for `lifetime` seconds, or no longer (0). 0
 * or negative errno. */
int output_router_advertisement(struct tun *tun, uint16_t lifetime);

/* Tell which groups the gateway listens to (RFC 3810 5.2), or in the manner of version 1 if it is to be `old`. 0 or
 * negative errno. */
int output_listener_report(struct tun *tun, bool old);

/* Announce the gateway's addresses to the segment (RFC 5227 2.3, 4861 7.2.6), so that what remembers another MAC for it learns. To
 * be called when the link came up, twice, two seconds apart. 0 or negative errno. */
int output_announce(struct tun *tun);

#endif
