/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/fast.h"

#include <linux/virtio_net.h>
#include <stddef.h>
#include <string.h>

#include "base/checksum.h"
#include "tun/input.h"
#include "tun/ipv4.h"
#include "tun/ipv6.h"
#include "tun/tun.h"

#define TCP_HEADER_MIN 20u
#define TCP_CHECKSUM_FIELD 16u
#define IPV4_FRAGMENT 0x3fffu /* MF and the offset */
#define IP_AT FRAME_HEADER_LEN
#define TCP4_AT (IP_AT + IPV4_HEADER_LEN)
#define TCP6_AT (IP_AT + IPV6_HEADER_LEN)
#define IPV4_BEGIN 0x45u /* version 4, five words of header */
#define IPV6_BEGIN 0x60u /* version 6, and the upper half of a traffic class as most have it */
#define ACK_LEN 32u      /* bytes */

static inline uint16_t load16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* Fourteen bytes of Ethernet header and two of IP header. The second of these does not count: it is the type of service, or
 * of IPv6 the lower half of the traffic class and the beginning of the flow label. */
static inline void load_begin(const uint8_t *ethernet, uint64_t begin[2])
{
    static const uint8_t counts[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
    begin[0] = load64(ethernet);
    begin[1] = load64(ethernet + 8) & load64(counts);
}

/* By the last byte of the source address. */
static inline struct fast_known *known4_at(struct tun *tun, const uint8_t *ip)
{
    return &tun->known4[ip[15] % FAST_KNOWN];
}

static inline struct fast_known *known6_at(struct tun *tun, const uint8_t *ip)
{
    return &tun->known6[ip[23] % FAST_KNOWN];
}

/* Does a sum of words as they lie in memory (RFC 1071 2 (B)) come to what a right checksum makes of it? Folded, that is
 * 0xffff: a multiple of it, for a sum with a version or a protocol in it is not 0. */
static inline bool sums_up(uint64_t sum)
{
    return sum % 0xffff == 0;
}

/* `addresses` is the sum of both. RFC 9293 3.1, RFC 8200 8.1. */
static inline bool tcp_sums_up(uint64_t addresses, const uint8_t *tcp, uint32_t len)
{
    uint8_t rest[4]; /* protocol and length, as one number: two words, of which the upper is rarely not 0 */
    be32_store(rest, PACKET_TCP + len);
    uint64_t sum = addresses + load32(rest);
    /* A header with timestamps and no payload is what most workstations send most. */
    return sums_up(sum + (len == ACK_LEN ? checksum_words_of_32(tcp) : checksum_words(tcp, len)));
}

/* What the offload header says of a segment whose TCP header is at `tcp_at`: that it is one alone, whose checksum was made,
 * vouched for or never made; or that it is many in one, of the family's `gso`. Its fields are in the machine's byte
 * order. */
enum offload_says { OFFLOAD_MISFITS, OFFLOAD_GOOD, OFFLOAD_TO_CHECK };

static inline enum offload_says offload_says(const uint8_t *raw, uint32_t tcp_at, uint8_t gso, uint16_t *gso_size)
{
    uint8_t flags = raw[offsetof(struct virtio_net_hdr, flags)];
    uint8_t gso_type = raw[offsetof(struct virtio_net_hdr, gso_type)];
    *gso_size = 0;
    if (flags == VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        if (load16(raw + offsetof(struct virtio_net_hdr, csum_start)) != tcp_at - FRAME_OFFLOAD_LEN ||
            load16(raw + offsetof(struct virtio_net_hdr, csum_offset)) != TCP_CHECKSUM_FIELD)
            return OFFLOAD_MISFITS;
        if (gso_type == VIRTIO_NET_HDR_GSO_NONE)
            return OFFLOAD_GOOD;
        *gso_size = load16(raw + offsetof(struct virtio_net_hdr, gso_size));
        return gso_type == gso && *gso_size != 0 ? OFFLOAD_GOOD : OFFLOAD_MISFITS;
    }
    if (gso_type != VIRTIO_NET_HDR_GSO_NONE)
        return OFFLOAD_MISFITS;
    return flags == 0 ? OFFLOAD_TO_CHECK : flags == VIRTIO_NET_HDR_F_DATA_VALID ? OFFLOAD_GOOD : OFFLOAD_MISFITS;
}

/* Does the frame begin as known, of a binding that still is? (What is not known begins with zeros, and so does no packet
 * that comes here.) */
static inline bool begins_as(const struct tun *tun, const struct fast_known *known, const uint8_t *raw)
{
    uint64_t begin[2];
    load_begin(raw + FRAME_OFFLOAD_LEN, begin);
    return ((begin[0] ^ known->begin[0]) | (begin[1] ^ known->begin[1])) == 0 &&
           tun->hosts.host[known->in.host].serial == known->serial;
}

/* `len` bytes of segment are in the packet, `left` in the frame. */
static inline bool length_fits(const uint8_t *tcp, uint32_t len, size_t left)
{
    uint32_t header_len = (tcp[12] >> 4) * 4u;
    return len <= left && header_len >= TCP_HEADER_MIN && header_len <= len;
}

static inline void hand_over(struct tun *tun, struct fast_known *known, const uint8_t *tcp, uint32_t len,
                             uint64_t now)
{
    tun->hosts.host[known->in.host].seen = now;
    known->in.seg.at = tcp;
    known->in.seg.left = len;
    tun->counters.frames_used++;
    tcp_input(tun->engine, &known->in, now);
}

/* Take the frame, all the way to the engine, if it is what is expected. False: nothing was done. */
static inline bool expected4(struct tun *tun, struct bytes raw, uint64_t now)
{
    const uint8_t *ip = raw.at + IP_AT, *tcp = raw.at + TCP4_AT;
    if (raw.left < TCP4_AT + TCP_HEADER_MIN)
        return false;
    struct fast_known *known = known4_at(tun, ip);
    if (!begins_as(tun, known, raw.at) || load32(ip + 12) != load32(known->in.src.b + 12))
        return false;
    uint32_t len = be16_load(ip + 2) - IPV4_HEADER_LEN; /* if shorter, it wraps to more than there is */
    if (!length_fits(tcp, len, raw.left - TCP4_AT) || ip[9] != PACKET_TCP ||
        (be16_load(ip + 6) & IPV4_FRAGMENT) != 0)
        return false;
    const uint64_t addresses = (uint64_t)load32(ip + 12) + load32(ip + 16);
    if (!sums_up(addresses + load32(ip) + load32(ip + 4) + load32(ip + 8)))
        return false;
    if (load32(ip + 16) != load32(known->in.dst.b + 12)) {
        if (!ipv4_is_destination(ip + 16, &tun->config.network))
            return false;
        memcpy(known->in.dst.b + 12, ip + 16, 4);
    }
    enum offload_says says = offload_says(raw.at, TCP4_AT, VIRTIO_NET_HDR_GSO_TCPV4, &known->in.gso_size);
    if (says != OFFLOAD_GOOD && (says == OFFLOAD_MISFITS || !tcp_sums_up(addresses, tcp, len)))
        return false;
    hand_over(tun, known, tcp, len, now);
    return true;
}

static inline bool expected6(struct tun *tun, struct bytes raw, uint64_t now)
{
    const uint8_t *ip = raw.at + IP_AT, *tcp = raw.at + TCP6_AT;
    if (raw.left < TCP6_AT + TCP_HEADER_MIN)
        return false;
    struct fast_known *known = known6_at(tun, ip);
    if (!begins_as(tun, known, raw.at) || load64(ip + 8) != load64(known->in.src.b) ||
        load64(ip + 16) != load64(known->in.src.b + 8))
        return false;
    uint32_t len = be16_load(ip + 4);
    if (!length_fits(tcp, len, raw.left - TCP6_AT) || ip[6] != PACKET_TCP)
        return false;
    if (load64(ip + 24) != load64(known->in.dst.b) || load64(ip + 32) != load64(known->in.dst.b + 8)) {
        const struct ipaddr dst = ipaddr_v6(ip + 24);
        if (!ipv6_is_destination(&dst, &tun->scope6))
            return false;
        known->in.dst = dst;
    }
    enum offload_says says = offload_says(raw.at, TCP6_AT, VIRTIO_NET_HDR_GSO_TCPV6, &known->in.gso_size);
    if (says != OFFLOAD_GOOD && (says == OFFLOAD_MISFITS || !tcp_sums_up(checksum_words_of_32(ip + 8), tcp, len)))
        return false;
    hand_over(tun, known, tcp, len, now);
    return true;
}

static inline bool expected(struct tun *tun, struct bytes raw, uint64_t now)
{
    if (raw.left < TCP4_AT + TCP_HEADER_MIN) /* which is what the compiler needs, once, for IPv4 */
        return false;
    if (raw.at[IP_AT] == IPV4_BEGIN)
        return expected4(tun, raw, now);
    return raw.at[IP_AT] == IPV6_BEGIN && expected6(tun, raw, now);
}

void tun_input(struct tun *tun, struct bytes raw, uint64_t now)
{
    tun->now = now;
    tun->counters.frames_in++;
    if (raw.left > FRAME_OFFLOAD_LEN)
        tun->counters.bytes_in += raw.left - FRAME_OFFLOAD_LEN;
    if (!expected(tun, raw, now))
        input_frame(tun, &raw, now);
}

void fast_learn(struct tun *tun, const struct frame *frame, const struct packet *packet, uint32_t host)
{
    bool v4 = ipaddr_is_v4(&packet->src);
    const uint8_t *ip = packet_whole(packet).at;
    /* Without options or extensions. Whom a link-local address may speak to is not known by looking at the other end. */
    if (tun->config.unpredicted || packet->header_len != (v4 ? IPV4_HEADER_LEN : IPV6_HEADER_LEN) ||
        ipv6_is_link_local(&packet->src))
        return;
    struct fast_known *known = v4 ? known4_at(tun, ip) : known6_at(tun, ip);
    load_begin(frame->dst_mac, known->begin);
    known->serial = hosts_at(&tun->hosts, host)->serial;
    known->in = (struct tcp_in){.src = packet->src, .dst = packet->dst, .host = host};
}
