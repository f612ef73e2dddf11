/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a frame looks like on its way out:
 *
 *     | offload 10 | Ethernet 14 | IPv4 20 | TCP 20-60 | payload ... |
 *      `------------- iov[0], one piece --------------' `- iov[1..] -'
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
#include "tun/ipv4.h"
#include "tun/packet.h"

#define TCP_CHECKSUM_FIELD 16u
#define UDP_HEADER_LEN 8u
#define UDP_CHECKSUM_FIELD 6u
#define IP_MAX 65535u /* bytes of the longest IP packet */

_Static_assert(FRAME_HEADER_LEN + 40 <= TCP_HEADROOM,
               "offload, Ethernet and IPv6 header fit before the TCP header");

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

/* Write offload and Ethernet header in the FRAME_HEADER_LEN bytes at `at`, for an unmerged packet that carries its
 * checksum. */
static void build_plain(const struct tun *tun, uint8_t *at, const uint8_t *mac, enum frame_type type)
{
    static const struct frame_offload none = {.gso = FRAME_GSO_NONE};
    frame_build_offload(at, &none, 0);
    frame_build_ethernet(at + FRAME_OFFLOAD_LEN, mac, tun->config.mac, type);
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
    checksum_add(&sum, tcp, out->header_len);
    for (uint32_t i = 1; i < out->iov_count; i++)
        checksum_add(&sum, out->iov[i].iov_base, out->iov[i].iov_len);
    be16_store(tcp + TCP_CHECKSUM_FIELD, checksum_finish(&sum));
}

int output_segment(struct tun *tun, struct tcp_out *out)
{
    const struct host *host = host_for(tun, out->host, &out->dst);
    if (host == NULL)
        return -EHOSTUNREACH;

    size_t ip_len = IPV4_HEADER_LEN;
    size_t headers = ip_len + out->header_len;
    bool merged = out->gso_size != 0 && out->payload_len > out->gso_size;
    if (merged && (tun->config.offload & DEVICE_OFFLOAD_TSO4) == 0)
        return -EINVAL;
    if (headers + (merged ? out->gso_size : out->payload_len) > tun->config.mtu ||
        headers + out->payload_len > IP_MAX)
        return -EINVAL;

    const struct frame_offload offload = {
        .partial = (tun->config.offload & DEVICE_OFFLOAD_CSUM) != 0,
        .csum_start = (uint16_t)ip_len,
        .csum_offset = TCP_CHECKSUM_FIELD,
        .gso = merged ? FRAME_GSO_TCP4 : FRAME_GSO_NONE,
        .gso_size = out->gso_size,
    };
    uint8_t *tcp = out->head + TCP_HEADROOM;
    uint8_t *ip = tcp - ip_len;
    uint8_t *start = ip - FRAME_HEADER_LEN;
    set_checksum(out, tcp, offload.partial);
    ipv4_build(ip, &out->src, &out->dst, PACKET_TCP, out->header_len + out->payload_len);
    frame_build_ethernet(start + FRAME_OFFLOAD_LEN, host->mac, tun->config.mac, FRAME_TYPE_IPV4);
    frame_build_offload(start, &offload, headers);

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

void output_unreachable(struct tun *tun, const struct tcp_tuple *tuple, uint32_t number, enum tcp_refusal why,
                        const uint8_t tcp_header[8])
{
    const struct host *host = host_for(tun, number, &tuple->src);
    if (host == NULL)
        return;
    uint8_t buffer[FRAME_HEADER_LEN + IPV4_HEADER_LEN + ICMP_UNREACHABLE_LEN];
    build_plain(tun, buffer, host->mac, FRAME_TYPE_IPV4);
    ipv4_build(buffer + FRAME_HEADER_LEN, &tun->config.address, &tuple->src, PACKET_ICMP, ICMP_UNREACHABLE_LEN);
    icmp_build_unreachable(buffer + FRAME_HEADER_LEN + IPV4_HEADER_LEN, unreachable_code(why), &tuple->src,
                           &tuple->dst, tcp_header);
    const struct iovec iov = {.iov_base = buffer, .iov_len = sizeof(buffer)};
    send_frame(tun, &iov, 1, sizeof(buffer));
}

int output_udp(struct tun *tun, const struct tun_udp *udp)
{
    const struct host *host = host_for(tun, udp->host, &udp->dst);
    if (host == NULL)
        return -EHOSTUNREACH;
    size_t len = UDP_HEADER_LEN + udp->payload.left;
    if (IPV4_HEADER_LEN + len > tun->config.mtu)
        return -EMSGSIZE;

    uint8_t buffer[FRAME_HEADER_LEN + IPV4_HEADER_LEN + UDP_HEADER_LEN];
    uint8_t *ip = buffer + FRAME_HEADER_LEN;
    uint8_t *header = ip + IPV4_HEADER_LEN;
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
    ipv4_build(ip, &udp->src, &udp->dst, PACKET_UDP, (uint32_t)len);
    build_plain(tun, buffer, host->mac, FRAME_TYPE_IPV4);

    const struct iovec iov[2] = {
        {.iov_base = buffer, .iov_len = sizeof(buffer)},
        {.iov_base = (void *)(uintptr_t)udp->payload.at, .iov_len = udp->payload.left},
    };
    return send_frame(tun, iov, 2, sizeof(buffer) + udp->payload.left);
}

int output_echo_reply(struct tun *tun, uint32_t number, const struct packet *request, const struct icmp *echo)
{
    const struct host *host = host_for(tun, number, &request->src);
    size_t len = ICMP_HEADER_LEN + echo->body.left;
    if (host == NULL)
        return -EHOSTUNREACH;
    if (IPV4_HEADER_LEN + len > tun->config.mtu)
        return -EMSGSIZE;

    uint8_t buffer[FRAME_HEADER_LEN + IPV4_HEADER_LEN + ICMP_HEADER_LEN];
    uint8_t *ip = buffer + FRAME_HEADER_LEN;
    icmp_build(ip + IPV4_HEADER_LEN, ICMP_ECHO_REPLY, 0, echo->rest, echo->body.at, echo->body.left);
    ipv4_build(ip, &request->dst, &request->src, PACKET_ICMP, (uint32_t)len);
    build_plain(tun, buffer, host->mac, FRAME_TYPE_IPV4);

    const struct iovec iov[2] = {
        {.iov_base = buffer, .iov_len = sizeof(buffer)},
        {.iov_base = (void *)(uintptr_t)echo->body.at, .iov_len = echo->body.left},
    };
    return send_frame(tun, iov, 2, sizeof(buffer) + echo->body.left);
}

static int send_arp(struct tun *tun, const uint8_t *mac, const struct arp *arp)
{
    uint8_t buffer[FRAME_HEADER_LEN + ARP_LEN];
    build_plain(tun, buffer, mac, FRAME_TYPE_ARP);
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

int output_announce(struct tun *tun)
{
    static const uint8_t everybody[FRAME_MAC_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct arp arp = {.operation = ARP_REQUEST, .sender = tun->config.address, .target = tun->config.address};
    memcpy(arp.sender_mac, tun->config.mac, FRAME_MAC_LEN);
    return send_arp(tun, everybody, &arp);
}
