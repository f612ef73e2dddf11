/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "tun/arp.h"
#include "tun/icmp.h"
#include "tun/input.h"
#include "tun/ipv4.h"
#include "tun/output.h"

static enum drop input_icmp(struct tun *tun, const struct packet *packet, const struct frame *frame, uint32_t host,
                            uint64_t now)
{
    struct icmp icmp;
    struct icmp_quote quote;
    if (!frame_offload_fits(&frame->offload, packet->header_len, 0, FRAME_GSO_NONE))
        return DROP_FRAME_OFFLOAD;
    if (icmp_parse(&icmp, packet->payload) != DROP_NONE)
        return DROP_ICMP;
    if (icmp.type == ICMP_UNREACHABLE && icmp.code == ICMP_CODE_FRAGMENTATION)
        return icmp_parse_quote(&quote, icmp.body)
                   ? input_too_big(tun, packet, frame, &quote, icmp.rest & 0xffff, now)
                   : DROP_ICMP;
    if (icmp.type == ICMP_UNREACHABLE && icmp_parse_quote(&quote, icmp.body))
        return input_unreachable(tun, packet, frame, &quote,
                                 icmp.code == ICMP_CODE_PROTOCOL || icmp.code == ICMP_CODE_PORT, now);
    if (icmp.type != ICMP_ECHO_REQUEST || icmp.code != 0)
        return DROP_ICMP;
    if (!ipaddr_equal(&packet->dst, &tun->config.address))
        return input_refuse(tun, packet, host, OUTPUT_REFUSAL_PROHIBITED, DROP_ICMP);
    if (output_echo_reply(tun, host, packet, &icmp) == -EMSGSIZE)
        return DROP_ICMP;
    tun->counters.echo_replies++;
    return DROP_NONE;
}

/* What is broadcast is for the DHCP server or for nobody. A client that has no address yet speaks from 0.0.0.0; one that has
 * must be who it belongs to. */
static enum drop input_broadcast(struct tun *tun, const struct frame *frame, uint64_t now)
{
    static const uint8_t zeros[4], ones[4] = {0xff, 0xff, 0xff, 0xff};
    const struct ipaddr nobody = ipaddr_v4(zeros), everybody = ipaddr_v4(ones);
    struct packet packet;
    struct packet_udp datagram;
    uint32_t host;
    if (!tun->config.dhcp)
        return DROP_FRAME_FOREIGN;
    enum drop why = ipv4_parse(&packet, frame->payload);
    if (why != DROP_NONE)
        return why;
    if (packet.protocol != PACKET_UDP || !ipaddr_equal(&packet.dst, &everybody))
        return DROP_FRAME_FOREIGN;
    why = packet_parse_udp(&datagram, &packet, &frame->offload);
    if (why != DROP_NONE)
        return why;
    if (datagram.dst_port != DHCP_SERVER_PORT)
        return DROP_FRAME_FOREIGN;
    if (!ipaddr_equal(&packet.src, &nobody)) {
        if (!ipv4_is_host(&packet.src, &tun->config.network, &tun->config.address))
            return DROP_IP_SOURCE;
        why = hosts_bind(&tun->hosts, &packet.src, frame->src_mac, now, &host);
        if (why != DROP_NONE)
            return why;
    }
    return input_dhcp(tun, &datagram.data, frame);
}

enum drop input_ipv4(struct tun *tun, const struct frame *frame, uint64_t now)
{
    struct packet packet;
    uint32_t host;
    if (frame->group)
        return input_broadcast(tun, frame, now);
    enum drop why = ipv4_parse(&packet, frame->payload);
    if (why != DROP_NONE)
        return why;
    why = ipv4_check_addresses(&packet, &tun->config.network, &tun->config.address);
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
    case PACKET_ICMP:
        return input_icmp(tun, &packet, frame, host, now);
    default:
        return input_refuse(tun, &packet, host, OUTPUT_REFUSAL_PROTOCOL, DROP_IP_PROTOCOL);
    }
}

/* An answer to us from who we asked for. Any other may be a neighbour's try to be somebody else. */
static enum drop input_arp_reply(struct tun *tun, const struct frame *frame, const struct arp *reply, uint64_t now)
{
    uint32_t host;
    if (frame->group || !ipaddr_equal(&reply->target, &tun->config.address) ||
        !frame_mac_equal(reply->target_mac, tun->config.mac) || !seek_waits(&tun->seek, &reply->sender))
        return DROP_ARP_OTHER;
    return hosts_bind(&tun->hosts, &reply->sender, frame->src_mac, now, &host);
}

/* Requests for the gateway's own address are answered. The sender's address is bound, as if it had sent a packet; no
 * other message than an answer to us binds anything, and none can move a binding (hosts_bind() sees to that). */
enum drop input_arp(struct tun *tun, const struct frame *frame, uint64_t now)
{
    struct arp arp;
    uint32_t host;
    if (!frame_offload_fits(&frame->offload, 0, 0, FRAME_GSO_NONE))
        return DROP_FRAME_OFFLOAD;
    enum drop why = arp_parse(&arp, frame->payload);
    if (why != DROP_NONE)
        return why;
    if (!frame_mac_equal(arp.sender_mac, frame->src_mac))
        return DROP_IP_SOURCE;
    if (!arp_is_probe(&arp) && !ipv4_is_host(&arp.sender, &tun->config.network, &tun->config.address))
        return DROP_IP_SOURCE;
    if (arp.operation == ARP_REPLY && !arp_is_probe(&arp))
        return input_arp_reply(tun, frame, &arp, now);
    if (arp.operation != ARP_REQUEST || !ipaddr_equal(&arp.target, &tun->config.address))
        return DROP_ARP_OTHER;
    if (!arp_is_probe(&arp)) {
        why = hosts_bind(&tun->hosts, &arp.sender, frame->src_mac, now, &host);
        if (why != DROP_NONE)
            return why;
    }
    if (output_arp_reply(tun, &arp) == 0)
        tun->counters.arp_replies++;
    return DROP_NONE;
}
