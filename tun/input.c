/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/input.h"

enum drop input_dhcp(struct tun *tun, const struct bytes *message, const struct frame *frame)
{
    struct dhcp_out out;
    enum drop why = dhcp_input(&tun->dhcp, *message, frame->src_mac, tun->now, &out);
    if (why == DROP_NONE && out.n > 0 && output_dhcp(tun, &out) == 0)
        tun->counters.dhcp_replies++;
    return why;
}

enum drop input_refuse(struct tun *tun, const struct packet *packet, uint32_t host, enum output_refusal how,
                       enum drop why)
{
    if (tun->config.reject && hosts_may_be_told(&tun->hosts, host, tun->now) &&
        output_refusal(tun, host, packet, how) == 0)
        tun->counters.rejects++;
    return why;
}

enum drop input_tcp(struct tun *tun, const struct packet *packet, const struct frame *frame, uint32_t host,
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
    };
    tcp_input(tun->engine, &in, now);
    fast_learn(tun, frame, packet, host);
    return DROP_NONE;
}

enum drop input_udp(struct tun *tun, const struct packet *packet, const struct frame *frame, uint32_t host)
{
    struct packet_udp datagram;
    enum drop why = packet_parse_udp(&datagram, packet, &frame->offload);
    if (why != DROP_NONE)
        return why;
    if (tun->config.dhcp && datagram.dst_port == DHCP_SERVER_PORT &&
        ipaddr_equal(&packet->dst, &tun->config.address))
        return input_dhcp(tun, &datagram.data, frame);
    tun->counters.udp_in++;
    const struct tun_udp udp = {
        .src = packet->src,
        .dst = packet->dst,
        .src_port = datagram.src_port,
        .dst_port = datagram.dst_port,
        .host = host,
        .station = hosts_at(&tun->hosts, host)->station,
        .payload = datagram.data,
    };
    why = tun->ops.udp(tun->ctx, &udp);
    return why == DROP_UDP ? input_refuse(tun, packet, host, OUTPUT_REFUSAL_PORT, why) : why;
}

/* An error is believed only from whom the segment was for, or from a router that owns that address on this link, and only about
 * the path it came from; whether the quoted sequence number is in flight is for the engine to judge (RFC 5927). */
static bool is_believed(const struct tun *tun, const struct packet *packet, const struct frame *frame,
                        const struct icmp_quote *quote, struct tcp_tuple *tuple)
{
    *tuple = (struct tcp_tuple){
        .src = quote->dst,
        .dst = quote->src,
        .src_port = quote->dst_port,
        .dst_port = quote->src_port,
    };
    return ipaddr_equal(&quote->src, &packet->dst) && hosts_is_bound(&tun->hosts, &quote->dst, frame->src_mac);
}

enum drop input_unreachable(struct tun *tun, const struct packet *packet, const struct frame *frame,
                            const struct icmp_quote *quote, bool hard, uint64_t now)
{
    struct tcp_tuple tuple;
    if (!is_believed(tun, packet, frame, quote, &tuple))
        return DROP_ICMP;
    tcp_unreachable(tun->engine, &tuple, quote->seq, hard, now);
    return DROP_NONE;
}

enum drop input_too_big(struct tun *tun, const struct packet *packet, const struct frame *frame,
                        const struct icmp_quote *quote, uint32_t mtu, uint64_t now)
{
    struct tcp_tuple tuple;
    if (!is_believed(tun, packet, frame, quote, &tuple))
        return DROP_ICMP;
    tcp_packet_too_big(tun->engine, &tuple, quote->seq, mtu, now);
    return DROP_NONE;
}
