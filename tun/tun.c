/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of a frame, from the wire to whoever uses it. Every step returns DROP_NONE or the reason why the frame ends
 * there, and only tun_input() counts, so that each frame is counted exactly once.
 *
 * Nothing here depends on what a frame's sender claims to be before hosts_bind() has said so: a frame with an address
 * that belongs to another MAC gets no answer of any kind. (An ARP probe claims no address; it is answered, for it asks
 * whether ours is taken.)
 */
#include "tun/tun.h"

#include <errno.h>
#include <string.h>

#include "tun/arp.h"
#include "tun/icmp.h"
#include "tun/ipv4.h"
#include "tun/output.h"
#include "tun/packet.h"

#define MTU_MIN 576u /* RFC 791: what every host takes */
#define MTU_MAX 65535u

static bool host_busy(void *ctx, uint32_t host)
{
    const struct tun *tun = ctx;
    return tun->ops.host_busy(tun->ctx, host);
}

static void host_gone(void *ctx, uint32_t host)
{
    struct tun *tun = ctx;
    tcp_engine_reset_host(tun->engine, host, tun->now);
    if (tun->ops.host_gone != NULL)
        tun->ops.host_gone(tun->ctx, host);
}

static bool config_makes_sense(const struct tun_config *config)
{
    static const uint8_t zero[FRAME_MAC_LEN];
    const struct ipaddr none = {0};
    return (config->mac[0] & 1) == 0 && memcmp(config->mac, zero, FRAME_MAC_LEN) != 0 &&
           ipaddr_is_v4(&config->network.addr) && config->network.len > 96 && config->network.len <= 126 &&
           ipv4_is_host(&config->address, &config->network, &none) && config->mtu >= MTU_MIN &&
           config->mtu <= MTU_MAX;
}

int tun_init(struct tun *tun, const struct tun_config *config, const struct tun_ops *ops, void *ctx,
             struct tcp_engine *engine)
{
    if (!config_makes_sense(config))
        return -EINVAL;
    *tun = (struct tun){.config = *config, .ops = *ops, .ctx = ctx, .engine = engine};
    struct hosts_config hosts = {
        .max_hosts = config->max_hosts,
        .max_per_mac = config->max_per_mac,
        .idle = config->host_idle,
    };
    memcpy(hosts.secret, config->secret, sizeof(hosts.secret));
    return hosts_init(&tun->hosts, &hosts, &(struct hosts_ops){.busy = host_busy, .gone = host_gone}, tun);
}

void tun_fini(struct tun *tun)
{
    hosts_fini(&tun->hosts);
}

static enum drop input_tcp(struct tun *tun, const struct packet *packet, const struct frame *frame, uint32_t host,
                           uint64_t now)
{
    enum drop why = packet_check_tcp(packet, &frame->offload);
    if (why != DROP_NONE)
        return why;
    const struct tcp_in in = {
        .src = packet->src,
        .dst = packet->dst,
        .host = host,
        .seg = packet->payload,
        .gso_size = frame->offload.gso_size,
        .congested = packet->congested,
    };
    tcp_input(tun->engine, &in, now);
    return DROP_NONE;
}

static enum drop input_udp(struct tun *tun, const struct packet *packet, const struct frame *frame, uint32_t host)
{
    struct packet_udp datagram;
    enum drop why = packet_parse_udp(&datagram, packet, &frame->offload);
    if (why != DROP_NONE)
        return why;
    tun->counters.udp_in++;
    const struct tun_udp udp = {
        .src = packet->src,
        .dst = packet->dst,
        .src_port = datagram.src_port,
        .dst_port = datagram.dst_port,
        .host = host,
        .payload = datagram.data,
    };
    return tun->ops.udp(tun->ctx, &udp);
}

/* "Fragmentation needed" about a segment of ours (RFC 1191 4). It is believed only from whom the segment was for, or
 * from a router that owns that address on this link, and only about the path it came from; whether the quoted sequence
 * number is in flight is for the engine to judge (RFC 5927). */
static enum drop input_too_big(struct tun *tun, const struct packet *packet, const struct frame *frame,
                               const struct icmp *icmp, uint64_t now)
{
    struct icmp_quote quote;
    if (!icmp_parse_quote(&quote, icmp->body) || !ipaddr_equal(&quote.src, &packet->dst) ||
        !hosts_is_bound(&tun->hosts, &quote.dst, frame->src_mac))
        return DROP_ICMP;
    const struct tcp_tuple tuple = {
        .src = quote.dst,
        .dst = quote.src,
        .src_port = quote.dst_port,
        .dst_port = quote.src_port,
    };
    tcp_packet_too_big(tun->engine, &tuple, quote.seq, icmp->rest & 0xffff, now);
    return DROP_NONE;
}

static enum drop input_icmp(struct tun *tun, const struct packet *packet, const struct frame *frame, uint32_t host,
                            uint64_t now)
{
    struct icmp icmp;
    if (!frame_offload_fits(&frame->offload, packet->header_len, 0, FRAME_GSO_NONE))
        return DROP_FRAME_OFFLOAD;
    if (icmp_parse(&icmp, packet->payload) != DROP_NONE)
        return DROP_ICMP;
    if (icmp.type == ICMP_UNREACHABLE && icmp.code == ICMP_CODE_FRAGMENTATION)
        return input_too_big(tun, packet, frame, &icmp, now);
    if (icmp.type != ICMP_ECHO_REQUEST || icmp.code != 0 || !ipaddr_equal(&packet->dst, &tun->config.address))
        return DROP_ICMP;
    if (output_echo_reply(tun, host, packet, &icmp) == -EMSGSIZE)
        return DROP_ICMP;
    tun->counters.echo_replies++;
    return DROP_NONE;
}

static enum drop input_ipv4(struct tun *tun, const struct frame *frame, uint64_t now)
{
    struct packet packet;
    uint32_t host;
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
        return DROP_IP_PROTOCOL;
    }
}

/* Requests for the gateway's own address are answered. The sender's address is bound, as if it had sent a packet; no
 * other message binds anything, and none can move a binding (hosts_bind() sees to that). */
static enum drop input_arp(struct tun *tun, const struct frame *frame, uint64_t now)
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

static enum drop input_frame(struct tun *tun, struct bytes raw, uint64_t now)
{
    struct frame frame;
    enum drop why = frame_parse(&frame, raw, tun->config.mac);
    if (why != DROP_NONE)
        return why;
    switch (frame.type) {
    case FRAME_TYPE_IPV4:
        return input_ipv4(tun, &frame, now);
    case FRAME_TYPE_ARP:
        return input_arp(tun, &frame, now);
    case FRAME_TYPE_IPV6:
    default:
        return DROP_IPV6_OFF;
    }
}

void tun_input(struct tun *tun, struct bytes raw, uint64_t now)
{
    tun->now = now;
    tun->counters.frames_in++;
    if (raw.left > FRAME_OFFLOAD_LEN)
        tun->counters.bytes_in += raw.left - FRAME_OFFLOAD_LEN;
    enum drop why = input_frame(tun, raw, now);
    if (why == DROP_NONE)
        tun->counters.frames_used++;
    else
        drop_count(&tun->drops, why);
}
