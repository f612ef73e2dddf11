/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "tun/icmpv6.h"
#include "tun/input.h"
#include "tun/ipv6.h"
#include "tun/ndp.h"
#include "tun/output.h"

/* Who asks for a router gets an advertisement soon, with all others. It says nothing about who asked: nothing is bound. */
static enum drop input_router_solicitation(struct tun *tun, const struct packet *packet, const struct frame *frame,
                                           const struct icmp *icmp, uint64_t now)
{
    struct ndp_solicitation solicitation;
    const struct ipaddr all_routers = ndp_all_routers();
    if (!tun->ra.running)
        return DROP_NDP_OTHER;
    enum drop why = ndp_parse_router_solicitation(&solicitation, packet, icmp);
    if (why != DROP_NONE)
        return why;
    if (!ipaddr_equal(&packet->dst, &all_routers) && !ipv6_is_gateway(&packet->dst, &tun->scope6))
        return DROP_NDP_OTHER;
    if (solicitation.has_source && !frame_mac_equal(solicitation.source, frame->src_mac))
        return DROP_IP_SOURCE;
    if (ipv6_is_gateway(&packet->src, &tun->scope6))
        return DROP_IP_SOURCE;
    ra_solicit(&tun->ra, now);
    return DROP_NONE;
}

/* An answer to us from who we asked for. Any other may be a neighbour's try to be somebody else. */
static enum drop input_advertisement(struct tun *tun, const struct packet *packet, const struct frame *frame,
                                     const struct icmp *icmp, uint64_t now)
{
    struct ndp_advertisement advertisement;
    uint32_t host;
    enum drop why = ndp_parse_advertisement(&advertisement, packet, icmp);
    if (why != DROP_NONE)
        return why;
    if (frame->group || !advertisement.solicited || !ipv6_is_gateway(&packet->dst, &tun->scope6) ||
        !seek_waits(&tun->seek, &advertisement.target))
        return DROP_NDP_OTHER;
    if (ipv6_is_gateway(&packet->src, &tun->scope6) ||
        (advertisement.has_target && !frame_mac_equal(advertisement.mac, frame->src_mac)))
        return DROP_IP_SOURCE;
    return hosts_bind(&tun->hosts, &advertisement.target, frame->src_mac, now, &host);
}

/* Solicitations for the gateway's own addresses are answered; the sender's address is bound, as if it had sent a packet.
 * (One who asks whether our address is taken has none yet.) So is one that answers us. All else that neighbours tell one
 * another is not for us. */
static enum drop input_ndp(struct tun *tun, const struct packet *packet, const struct frame *frame,
                           const struct icmp *icmp, uint64_t now)
{
    struct ndp_solicitation solicitation;
    uint32_t host;
    if (icmp->type == NDP_ROUTER_SOLICITATION)
        return input_router_solicitation(tun, packet, frame, icmp, now);
    if (icmp->type == NDP_NEIGHBOUR_ADVERTISEMENT)
        return input_advertisement(tun, packet, frame, icmp, now);
    if (icmp->type != NDP_NEIGHBOUR_SOLICITATION)
        return DROP_NDP_OTHER;
    enum drop why = ndp_parse_solicitation(&solicitation, packet, icmp);
    if (why != DROP_NONE)
        return why;
    struct ipaddr group = ndp_solicited_node(&solicitation.target);
    if (!ipv6_is_gateway(&solicitation.target, &tun->scope6) ||
        (!ipaddr_equal(&packet->dst, &solicitation.target) && !ipaddr_equal(&packet->dst, &group)))
        return DROP_NDP_OTHER;
    if (solicitation.has_source && !frame_mac_equal(solicitation.source, frame->src_mac))
        return DROP_IP_SOURCE;
    if (!solicitation.probe) {
        bool link_local = ipv6_is_link_local(&packet->src) && !ipv6_is_gateway(&packet->src, &tun->scope6);
        if (!link_local && !ipv6_is_host(&packet->src, &tun->scope6))
            return DROP_IP_SOURCE;
        why = hosts_bind(&tun->hosts, &packet->src, frame->src_mac, now, &host);
        if (why != DROP_NONE)
            return why;
    }
    if (output_advertisement(tun, frame->src_mac, &solicitation.target, solicitation.probe ? NULL : &packet->src) ==
        0)
        tun->counters.arp_replies++;
    return DROP_NONE;
}

static enum drop input_icmpv6(struct tun *tun, const struct packet *packet, const struct frame *frame,
                              const struct icmp *icmp, uint32_t host, uint64_t now)
{
    struct icmp_quote quote;
    if (icmp->type == ICMPV6_TOO_BIG && icmpv6_parse_quote(&quote, icmp->body))
        return input_too_big(tun, packet, frame, &quote, icmp->rest, now);
    if (icmp->type == ICMPV6_UNREACHABLE && icmpv6_parse_quote(&quote, icmp->body))
        return input_unreachable(tun, packet, frame, &quote, icmp->code == ICMPV6_CODE_PORT, now);
    if (icmp->type != ICMPV6_ECHO_REQUEST || icmp->code != 0)
        return DROP_ICMP;
    if (!ipv6_is_gateway(&packet->dst, &tun->scope6))
        return input_refuse(tun, packet, host, OUTPUT_REFUSAL_PROHIBITED, DROP_ICMP);
    if (output_echo_reply(tun, host, packet, icmp) == -EMSGSIZE)
        return DROP_ICMP;
    tun->counters.echo_replies++;
    return DROP_NONE;
}

/* A workstation that has no other address yet, since it still asks whether anybody has the one of its choice (RFC 4862
 * 5.4), begins connections with that of the link. Left without an answer they would hang long after it has one, so it is
 * told, as of all connections that come to nothing, whatever `reject` says. */
static void input_out_of_scope(struct tun *tun, const struct packet *packet, const struct frame *frame,
                               uint64_t now)
{
    uint32_t host;
    if (packet->protocol != PACKET_TCP || !ipv6_is_link_local(&packet->src) ||
        ipv6_is_gateway(&packet->src, &tun->scope6) || !ipv6_is_destination(&packet->dst, &tun->scope6))
        return;
    if (hosts_bind(&tun->hosts, &packet->src, frame->src_mac, now, &host) == DROP_NONE &&
        hosts_may_be_told(&tun->hosts, host, now) && output_refusal(tun, host, packet, OUTPUT_REFUSAL_SCOPE) == 0)
        tun->counters.rejects++;
}

enum drop input_ipv6(struct tun *tun, const struct frame *frame, uint64_t now)
{
    struct packet packet;
    struct icmp icmp;
    uint32_t host;
    if (!tun->config.ipv6)
        return DROP_IPV6_OFF;
    enum drop why = ipv6_parse(&packet, frame->payload);
    if (why != DROP_NONE)
        return why;
    if (frame->group && !ipv6_is_multicast(&packet.dst))
        return DROP_FRAME_FOREIGN;

    if (packet.protocol == PACKET_ICMPV6) {
        if (!frame_offload_fits(&frame->offload, packet.header_len, 0, FRAME_GSO_NONE))
            return DROP_FRAME_OFFLOAD;
        why = icmpv6_parse(&icmp, &packet);
        if (why != DROP_NONE)
            return ndp_is_message(&icmp) ? DROP_NDP_BAD : why;
        if (icmp.type == MLD_QUERY)
            return mld_query(&tun->mld, &packet, &icmp, now); /* says nothing about who asked: nothing is bound */
        if (ndp_is_message(&icmp))                            /* it has rules of its own for addresses */
            return input_ndp(tun, &packet, frame, &icmp, now);
    }
    why = ipv6_check_addresses(&packet, &tun->scope6);
    if (why == DROP_IP_SOURCE)
        input_out_of_scope(tun, &packet, frame, now);
    if (why != DROP_NONE)
        return why;
    why = hosts_bind(&tun->hosts, &packet.src, frame->src_mac, now, &host);
    if (why != DROP_NONE)
        return why;

    switch (packet.protocol) {
    case PACKET_TCP:
        return input_tcp(tun, &packet, frame, host, now);
    case PACKET_UDP:
        return input_udp(tun, &packet, frame, host);
    case PACKET_ICMPV6:
        return input_icmpv6(tun, &packet, frame, &icmp, host, now);
    case PACKET_NOTHING:
        return DROP_IP_PROTOCOL;
    default:
        return input_refuse(tun, &packet, host, OUTPUT_REFUSAL_PROTOCOL, DROP_IP_PROTOCOL);
    }
}
