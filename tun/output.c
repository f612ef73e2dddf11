/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a frame looks like on its way out:
 *
 *     | offload 10 | Ethernet 14 | IPv4 20 or IPv6 40 | TCP 20-60 | payload ... |
 *      `-------------------- iov[0], one piece -------------------' `- iov[1..] -'
 *
 * The engine leaves TCP_HEADROOM bytes before its header; the others are written right before it, so that a payload is
 * never copied here. With DEVICE_OFFLOAD_CSUM the kernel finishes the TCP checksum (or never does, where both ends
 * are on one machine): the field then holds the folded pseudo-header sum. Without, it is computed here.
 */
#include "tun/output.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/checksum.h"
#include "tun/device.h"
#include "tun/icmp.h"
#include "tun/icmpv6.h"
#include "tun/ipv4.h"
#include "tun/ipv6.h"
#include "tun/ndp.h"
#include "tun/packet.h"

#define TCP_CHECKSUM_FIELD 16u
#define UDP_HEADER_LEN 8u
#define UDP_CHECKSUM_FIELD 6u
#define IP_MAX 65535u /* bytes of the longest IP packet */

#define HOP_LIMIT 64u
#define HEADROOM (FRAME_HEADER_LEN + IPV6_HEADER_LEN) /* bytes before a transport header, for either family */

_Static_assert(HEADROOM <= TCP_HEADROOM, "offload, Ethernet and IPv6 header fit before the TCP header");

static int send_frame(struct tun *tun, const struct iovec *iov, int count, size_t len)
{
    int err = tun->ops.send(tun->ctx, iov, count);
    if (err < 0) {
        drop_count(&tun->drops, DROP_SEND);
        return err;
    }
    tun->counters.frames_out++;
    tun->counters.bytes_out += len - FRAME_OFFLOAD_LEN;
    return 0;
}

/* The workstation that a packet to `dst` is for, if its number still means that address. */
static const struct host *host_for(const struct tun *tun, uint32_t number, const struct ipaddr *dst)
{
    const struct host *host = hosts_at(&tun->hosts, number);
    return host != NULL && ipaddr_equal(&host->addr, dst) ? host : NULL;
}

static size_t ip_header_len(const struct ipaddr *addr)
{
    return ipaddr_is_v4(addr) ? IPV4_HEADER_LEN : IPV6_HEADER_LEN;
}

/* What goes before the header of a transport protocol. */
struct envelope {
    const uint8_t *mac; /* of the receiver */
    const struct ipaddr *src;
    const struct ipaddr *dst;
    enum packet_protocol protocol;
    uint8_t hop_limit; /* IPv6 only */
    uint32_t len;      /* bytes that follow the IP header */
};

/* Write offload, Ethernet and IP header right before `transport`; `header_len` is the length of the header there.
 * Returns where the frame begins. */
static uint8_t *put_envelope(const struct tun *tun, uint8_t *transport, const struct envelope *envelope,
                             const struct frame_offload *offload, size_t header_len)
{
    size_t ip_len = ip_header_len(envelope->dst);
    uint8_t *ip = transport - ip_len;
    uint8_t *start = ip - FRAME_HEADER_LEN;
    bool v4 = ip_len == IPV4_HEADER_LEN;
    if (v4)
        ipv4_build(ip, envelope->src, envelope->dst, envelope->protocol, envelope->len);
    else
        ipv6_build(ip, envelope->src, envelope->dst, envelope->protocol, envelope->hop_limit, envelope->len);
    frame_build_ethernet(start + FRAME_OFFLOAD_LEN, envelope->mac, tun->config.mac,
                         v4 ? FRAME_TYPE_IPV4 : FRAME_TYPE_IPV6);
    frame_build_offload(start, offload, ip_len + header_len);
    return start;
}

/* Send a packet that carries its checksum: `header` is the end of a buffer with room for FRAME_HEADER_LEN and an IP header
 * before it, `body` follows it on the wire. */
static int send_packet(struct tun *tun, const struct envelope *envelope, uint8_t *header, size_t header_len,
                       const struct bytes *body)
{
    static const struct frame_offload none = {.gso = FRAME_GSO_NONE};
    uint8_t *start = put_envelope(tun, header, envelope, &none, header_len);
    size_t before = (size_t)(header - start) + header_len;
    const struct iovec iov[2] = {
        {.iov_base = start, .iov_len = before},
        {.iov_base = (void *)(uintptr_t)body->at, .iov_len = body->left},
    };
    return send_frame(tun, iov, body->left > 0 ? 2 : 1, before + body->left);
}

/* Fill in the TCP checksum, or as much of it as the link wants. */
static void set_checksum(const struct tcp_out *out, uint8_t *tcp, bool partial)
{
    struct checksum sum = {0};
    checksum_add_pseudo(&sum, &out->src, &out->dst, PACKET_TCP, out->header_len + out->payload_len);
    if (partial) {
        be16_store(tcp + TCP_CHECKSUM_FIELD, checksum_fold(&sum));
        return;
    }
    sum.sum += checksum_words(tcp, out->header_len); /* whole words */
    for (uint32_t i = 1; i < out->iov_count; i++)
        checksum_add(&sum, out->iov[i].iov_base, out->iov[i].iov_len);
    be16_store(tcp + TCP_CHECKSUM_FIELD, checksum_finish(&sum));
}

int output_segment(struct tun *tun, struct tcp_out *out)
{
    const struct host *host = host_for(tun, out->host, &out->dst);
    if (host == NULL)
        return -EHOSTUNREACH;

    size_t ip_len = ip_header_len(&out->dst);
    size_t headers = ip_len + out->header_len;
    bool v4 = ip_len == IPV4_HEADER_LEN;
    bool merged = out->gso_size != 0 && out->payload_len > out->gso_size;
    if (merged && (tun->config.offload & (v4 ? DEVICE_OFFLOAD_TSO4 : DEVICE_OFFLOAD_TSO6)) == 0)
        return -EINVAL;
    if (headers + (merged ? out->gso_size : out->payload_len) > tun->config.mtu ||
        headers + out->payload_len > IP_MAX)
        return -EINVAL;

    const struct frame_offload offload = {
        .partial = (tun->config.offload & DEVICE_OFFLOAD_CSUM) != 0,
        .csum_start = (uint16_t)ip_len,
        .csum_offset = TCP_CHECKSUM_FIELD,
        .gso = !merged ? FRAME_GSO_NONE
               : v4    ? FRAME_GSO_TCP4
                       : FRAME_GSO_TCP6,
        .gso_size = out->gso_size,
    };
    const struct envelope envelope = {
        .mac = host->mac,
        .src = &out->src,
        .dst = &out->dst,
        .protocol = PACKET_TCP,
        .hop_limit = HOP_LIMIT,
        .len = out->header_len + out->payload_len,
    };
    uint8_t *tcp = out->head + TCP_HEADROOM;
    set_checksum(out, tcp, offload.partial);
    uint8_t *start = put_envelope(tun, tcp, &envelope, &offload, out->header_len);
    out->iov[0] = (struct iovec){.iov_base = start, .iov_len = FRAME_HEADER_LEN + headers};
    return send_frame(tun, out->iov, (int)out->iov_count, FRAME_HEADER_LEN + headers + out->payload_len);
}

static enum icmp_unreachable_code unreachable_code(enum tcp_refusal why)
{
    switch (why) {
    case TCP_REFUSAL_NET:
        return ICMP_CODE_NET;
    case TCP_REFUSAL_PROHIBITED:
        return ICMP_CODE_PROHIBITED;
    default:
        return ICMP_CODE_HOST;
    }
}

static enum icmpv6_unreachable_code unreachable_code6(enum tcp_refusal why)
{
    switch (why) {
    case TCP_REFUSAL_NET:
        return ICMPV6_CODE_NO_ROUTE;
    case TCP_REFUSAL_PROHIBITED:
        return ICMPV6_CODE_PROHIBITED;
    default:
        return ICMPV6_CODE_ADDRESS;
    }
}

void output_unreachable(struct tun *tun, const struct tcp_tuple *tuple, uint32_t number, enum tcp_refusal why,
                        const uint8_t tcp_header[8])
{
    const struct host *host = host_for(tun, number, &tuple->src);
    if (host == NULL)
        return;
    bool v4 = ipaddr_is_v4(&tuple->src);
    struct envelope envelope = {.mac = host->mac, .dst = &tuple->src, .hop_limit = HOP_LIMIT};
    uint8_t buffer[HEADROOM + ICMPV6_UNREACHABLE_LEN];
    uint8_t *message = buffer + HEADROOM;
    if (v4) {
        envelope.src = &tun->config.address;
        envelope.protocol = PACKET_ICMP;
        envelope.len = ICMP_UNREACHABLE_LEN;
        icmp_build_unreachable(message, unreachable_code(why), &tuple->src, &tuple->dst, tcp_header);
    } else {
        envelope.src = &tun->config.address6;
        envelope.protocol = PACKET_ICMPV6;
        envelope.len = ICMPV6_UNREACHABLE_LEN;
        icmpv6_build_unreachable(message, envelope.src, unreachable_code6(why), &tuple->src, &tuple->dst,
                                 tcp_header);
    }
    send_packet(tun, &envelope, message, envelope.len, &(struct bytes){0});
}

/* Bytes of an error that no path has trouble with: RFC 1812 4.3.2.3, RFC 4443 2.4 c. */
#define ERROR4_MAX 576u
#define ERROR6_MAX IPV6_MTU_MIN

int output_refusal(struct tun *tun, uint32_t number, const struct packet *packet, enum output_refusal why)
{
    static const uint8_t codes4[] = {
        [OUTPUT_REFUSAL_PORT] = ICMP_CODE_PORT,
        [OUTPUT_REFUSAL_PROTOCOL] = ICMP_CODE_PROTOCOL,
        [OUTPUT_REFUSAL_PROHIBITED] = ICMP_CODE_PROHIBITED,
    };
    static const uint8_t codes6[] = {
        [OUTPUT_REFUSAL_PORT] = ICMPV6_CODE_PORT,
        [OUTPUT_REFUSAL_PROTOCOL] = 1, /* of a parameter problem: unrecognized next header */
        [OUTPUT_REFUSAL_PROHIBITED] = ICMPV6_CODE_PROHIBITED,
        [OUTPUT_REFUSAL_SCOPE] = ICMPV6_CODE_SCOPE,
    };
    const struct host *host = host_for(tun, number, &packet->src);
    if (host == NULL)
        return -EHOSTUNREACH;
    bool v4 = ipaddr_is_v4(&packet->src);
    struct bytes quote = packet_whole(packet);
    size_t room = (v4 ? ERROR4_MAX - IPV4_HEADER_LEN : ERROR6_MAX - IPV6_HEADER_LEN) - ICMP_HEADER_LEN;
    quote.left = quote.left < room ? quote.left : room;

    const struct envelope envelope = {
        .mac = host->mac,
        .src = v4 ? &tun->config.address : &tun->config.address6,
        .dst = &packet->src,
        .protocol = v4 ? PACKET_ICMP : PACKET_ICMPV6,
        .hop_limit = HOP_LIMIT,
        .len = (uint32_t)(ICMP_HEADER_LEN + quote.left),
    };
    uint8_t buffer[HEADROOM + ICMP_HEADER_LEN];
    uint8_t *header = buffer + HEADROOM;
    if (v4) {
        icmp_build(header, ICMP_UNREACHABLE, codes4[why], 0, quote.at, quote.left);
    } else {
        bool parameter = why == OUTPUT_REFUSAL_PROTOCOL;
        icmpv6_build(header, envelope.src, envelope.dst, parameter ? ICMPV6_PARAMETER : ICMPV6_UNREACHABLE,
                     codes6[why], parameter ? packet->protocol_at : 0, quote.at, quote.left);
    }
    return send_packet(tun, &envelope, header, ICMP_HEADER_LEN, &quote);
}

/* Send a datagram to `mac`. */
static int send_udp(struct tun *tun, const uint8_t *mac, const struct tun_udp *udp)
{
    size_t len = UDP_HEADER_LEN + udp->payload.left;
    if (ip_header_len(&udp->dst) + len > tun->config.mtu)
        return -EMSGSIZE;

    uint8_t buffer[HEADROOM + UDP_HEADER_LEN];
    uint8_t *header = buffer + HEADROOM;
    be16_store(header, udp->src_port);
    be16_store(header + 2, udp->dst_port);
    be16_store(header + 4, (uint16_t)len);
    be16_store(header + UDP_CHECKSUM_FIELD, 0);
    struct checksum sum = {0};
    checksum_add_pseudo(&sum, &udp->src, &udp->dst, PACKET_UDP, (uint32_t)len);
    checksum_add(&sum, header, UDP_HEADER_LEN);
    checksum_add(&sum, udp->payload.at, udp->payload.left);
    uint16_t field = checksum_finish(&sum);
    be16_store(header + UDP_CHECKSUM_FIELD, field != 0 ? field : 0xffff); /* 0 would say "none" (RFC 768) */

    const struct envelope envelope = {
        .mac = mac,
        .src = &udp->src,
        .dst = &udp->dst,
        .protocol = PACKET_UDP,
        .hop_limit = HOP_LIMIT,
        .len = (uint32_t)len,
    };
    return send_packet(tun, &envelope, header, UDP_HEADER_LEN, &udp->payload);
}

int output_udp(struct tun *tun, const struct tun_udp *udp)
{
    const struct host *host = host_for(tun, udp->host, &udp->dst);
    return host != NULL ? send_udp(tun, host->mac, udp) : -EHOSTUNREACH;
}

int output_dhcp(struct tun *tun, const struct dhcp_out *out)
{
    const struct tun_udp udp = {
        .src = tun->config.address,
        .dst = out->dst,
        .src_port = DHCP_SERVER_PORT,
        .dst_port = DHCP_CLIENT_PORT,
        .payload = bytes_of(out->message, out->n),
    };
    return send_udp(tun, out->mac, &udp);
}

int output_echo_reply(struct tun *tun, uint32_t number, const struct packet *request, const struct icmp *echo)
{
    const struct host *host = host_for(tun, number, &request->src);
    size_t len = ICMP_HEADER_LEN + echo->body.left;
    if (host == NULL)
        return -EHOSTUNREACH;
    if (ip_header_len(&request->dst) + len > tun->config.mtu)
        return -EMSGSIZE;

    bool v4 = ipaddr_is_v4(&request->dst);
    const struct envelope envelope = {
        .mac = host->mac,
        .src = &request->dst,
        .dst = &request->src,
        .protocol = v4 ? PACKET_ICMP : PACKET_ICMPV6,
        .hop_limit = HOP_LIMIT,
        .len = (uint32_t)len,
    };
    uint8_t buffer[HEADROOM + ICMP_HEADER_LEN];
    uint8_t *header = buffer + HEADROOM;
    if (v4)
        icmp_build(header, ICMP_ECHO_REPLY, 0, echo->rest, echo->body.at, echo->body.left);
    else
        icmpv6_build(header, envelope.src, envelope.dst, ICMPV6_ECHO_REPLY, 0, echo->rest, echo->body.at,
                     echo->body.left);
    return send_packet(tun, &envelope, header, ICMP_HEADER_LEN, &echo->body);
}

static int send_arp(struct tun *tun, const uint8_t *mac, const struct arp *arp)
{
    uint8_t buffer[FRAME_HEADER_LEN + ARP_LEN];
    static const struct frame_offload none = {.gso = FRAME_GSO_NONE};
    frame_build_offload(buffer, &none, 0);
    frame_build_ethernet(buffer + FRAME_OFFLOAD_LEN, mac, tun->config.mac, FRAME_TYPE_ARP);
    arp_build(buffer + FRAME_HEADER_LEN, arp);
    const struct iovec iov = {.iov_base = buffer, .iov_len = sizeof(buffer)};
    return send_frame(tun, &iov, 1, sizeof(buffer));
}

int output_arp_reply(struct tun *tun, const struct arp *request)
{
    struct arp reply = {.operation = ARP_REPLY, .sender = tun->config.address, .target = request->sender};
    memcpy(reply.sender_mac, tun->config.mac, FRAME_MAC_LEN);
    memcpy(reply.target_mac, request->sender_mac, FRAME_MAC_LEN);
    return send_arp(tun, request->sender_mac, &reply);
}

static const uint8_t everybody[FRAME_MAC_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

int output_arp_request(struct tun *tun, const struct ipaddr *addr)
{
    struct arp request = {.operation = ARP_REQUEST, .sender = tun->config.address, .target = *addr};
    memcpy(request.sender_mac, tun->config.mac, FRAME_MAC_LEN);
    return send_arp(tun, everybody, &request);
}

static const uint8_t all_nodes_mac[FRAME_MAC_LEN] = {0x33, 0x33, 0, 0, 0, 1}; /* RFC 2464 7 */

int output_advertisement(struct tun *tun, const uint8_t mac[FRAME_MAC_LEN], const struct ipaddr *target,
                         const struct ipaddr *to)
{
    const struct ipaddr all_nodes = ndp_all_nodes();
    const struct envelope envelope = {
        .mac = to != NULL ? mac : all_nodes_mac,
        .src = target,
        .dst = to != NULL ? to : &all_nodes,
        .protocol = PACKET_ICMPV6,
        .hop_limit = NDP_HOP_LIMIT,
        .len = NDP_ADVERTISEMENT_LEN,
    };
    uint8_t buffer[HEADROOM + NDP_ADVERTISEMENT_LEN];
    ndp_build_advertisement(buffer + HEADROOM, target, tun->config.mac, envelope.dst, to != NULL);
    return send_packet(tun, &envelope, buffer + HEADROOM, NDP_ADVERTISEMENT_LEN, &(struct bytes){0});
}

int output_router_advertisement(struct tun *tun, uint16_t lifetime)
{
    const struct ipaddr all_nodes = ndp_all_nodes();
    struct ra_content content = {
        .router = tun->config.link_local6,
        .resolver = tun->config.address6,
        .network = tun->config.network6,
        .mtu = tun->config.mtu,
        .lifetime = lifetime,
    };
    memcpy(content.mac, tun->config.mac, FRAME_MAC_LEN);
    const struct envelope envelope = {
        .mac = all_nodes_mac,
        .src = &content.router,
        .dst = &all_nodes,
        .protocol = PACKET_ICMPV6,
        .hop_limit = NDP_HOP_LIMIT,
        .len = RA_LEN,
    };
    uint8_t buffer[HEADROOM + RA_LEN];
    ra_build(buffer + HEADROOM, &content, &all_nodes);
    return send_packet(tun, &envelope, buffer + HEADROOM, RA_LEN, &(struct bytes){0});
}

/* The MAC address of a group (RFC 2464 7). */
static void group_mac(const struct ipaddr *group, uint8_t mac[FRAME_MAC_LEN])
{
    mac[0] = mac[1] = 0x33;
    memcpy(mac + 2, group->b + 12, 4);
}

int output_solicitation(struct tun *tun, const struct ipaddr *addr)
{
    const struct ipaddr group = ndp_solicited_node(addr);
    uint8_t mac[FRAME_MAC_LEN];
    group_mac(&group, mac);
    const struct envelope envelope = {
        .mac = mac,
        .src = &tun->config.address6,
        .dst = &group,
        .protocol = PACKET_ICMPV6,
        .hop_limit = NDP_HOP_LIMIT,
        .len = NDP_SOLICITATION_LEN,
    };
    uint8_t buffer[HEADROOM + NDP_SOLICITATION_LEN];
    ndp_build_solicitation(buffer + HEADROOM, addr, &tun->config.address6, tun->config.mac, &group);
    return send_packet(tun, &envelope, buffer + HEADROOM, NDP_SOLICITATION_LEN, &(struct bytes){0});
}

/* One report of `len` bytes behind the headroom of `buffer`. */
static int send_report(struct tun *tun, uint8_t *buffer, size_t len, const struct ipaddr *dst)
{
    uint8_t mac[FRAME_MAC_LEN];
    group_mac(dst, mac);
    const struct envelope envelope = {
        .mac = mac,
        .src = &tun->config.link_local6,
        .dst = dst,
        .protocol = PACKET_HOP_BY_HOP,
        .hop_limit = MLD_HOP_LIMIT,
        .len = (uint32_t)len,
    };
    return send_packet(tun, &envelope, buffer + HEADROOM, len, &(struct bytes){0});
}

int output_listener_report(struct tun *tun, bool old)
{
    uint8_t buffer[HEADROOM + MLD_REPORT_MAX];
    struct ipaddr groups[MLD_GROUPS_MAX], dst;
    unsigned count = mld_groups(&tun->scope6, tun->config.ra, groups);
    if (!old) {
        size_t len = mld_build_report(buffer + HEADROOM, &tun->config.link_local6, groups, count, &dst);
        return send_report(tun, buffer, len, &dst);
    }
    int err = 0;
    for (unsigned i = 0; err == 0 && i < count; i++) {
        size_t len = mld_build_old_report(buffer + HEADROOM, &tun->config.link_local6, &groups[i], &dst);
        err = send_report(tun, buffer, len, &dst);
    }
    return err;
}

int output_announce(struct tun *tun)
{
    int err = output_arp_request(tun, &tun->config.address);
    if (err != 0 || !tun->config.ipv6)
        return err;
    err = output_listener_report(tun, false);
    if (err == 0)
        err = output_advertisement(tun, everybody, &tun->config.address6, NULL);
    if (err == 0 && !ipv6_is_unspecified(&tun->config.link_local6))
        err = output_advertisement(tun, everybody, &tun->config.link_local6, NULL);
    return err;
}
