/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/fast.h"

#include <linux/virtio_net.h>
#include <stddef.h>
#include <string.h>

#include "base/checksum.h"
#include "tun/input.h"
#include "tun/ipv4.h"
#include "tun/tun.h"

#define TCP_HEADER_MIN 20u
#define TCP_CHECKSUM_FIELD 16u
#define IPV4_FRAGMENT 0x3fffu /* MF and the offset */
#define IP_AT FRAME_HEADER_LEN
#define TCP_AT (IP_AT + IPV4_HEADER_LEN)
#define ACK_LEN 32u /* bytes */

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

/* Fourteen bytes of Ethernet header and two of IP header; the second of these, the type of service, does not count. */
static inline void load_begin(const uint8_t *ethernet, uint64_t begin[2])
{
    static const uint8_t counts[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
    begin[0] = load64(ethernet);
    begin[1] = load64(ethernet + 8) & load64(counts);
}

static inline struct fast_known *known_at(struct tun *tun, const uint8_t *ip)
{
    return &tun->known[ip[15] % FAST_KNOWN];
}

/* Does a sum of words as they lie in memory (RFC 1071 2 (B)) come to what a right checksum makes of it? Each half is
 * added to the other: the upper one then holds their sum, with the carry added at its end. */
static inline bool sums_up(uint64_t sum)
{
    sum += sum << 32 | sum >> 32;
    uint32_t half = (uint32_t)(sum >> 32);
    half += half << 16 | half >> 16;
    return half >> 16 == 0xffff;
}

/* RFC 9293 3.1. */
static inline bool tcp_sums_up(const uint8_t *ip, uint32_t len)
{
    uint8_t rest[2]; /* protocol and length: their sum is below 2^16, for the packet's length is */
    be16_store(rest, (uint16_t)(PACKET_TCP + len));
    uint64_t sum = (uint64_t)load32(ip + 12) + load32(ip + 16) + load16(rest);
    const uint8_t *tcp = ip + IPV4_HEADER_LEN;
    /* A header with timestamps and no payload is what most workstations send most. */
    return sums_up(sum + (len == ACK_LEN ? checksum_words_of(tcp, ACK_LEN) : checksum_words(tcp, len)));
}

/* What the offload header says of the segment: one alone, whose checksum is right, was vouched for or was never made; or
 * many in one. Its fields are in the machine's byte order. */
static inline bool offload_fits(const uint8_t *raw, uint32_t len, uint16_t *gso_size)
{
    uint8_t flags = raw[offsetof(struct virtio_net_hdr, flags)];
    uint8_t gso_type = raw[offsetof(struct virtio_net_hdr, gso_type)];
    *gso_size = 0;
    if (flags == VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        if (load16(raw + offsetof(struct virtio_net_hdr, csum_start)) != TCP_AT - FRAME_OFFLOAD_LEN ||
            load16(raw + offsetof(struct virtio_net_hdr, csum_offset)) != TCP_CHECKSUM_FIELD)
            return false;
        if (gso_type == VIRTIO_NET_HDR_GSO_NONE)
            return true;
        *gso_size = load16(raw + offsetof(struct virtio_net_hdr, gso_size));
        return gso_type == VIRTIO_NET_HDR_GSO_TCPV4 && *gso_size != 0;
    }
    if (gso_type != VIRTIO_NET_HDR_GSO_NONE)
        return false;
    return flags == VIRTIO_NET_HDR_F_DATA_VALID || (flags == 0 && tcp_sums_up(raw + IP_AT, len));
}

/* Take the frame, all the way to the engine, if it is what is expected. False: nothing was done. */
static inline bool expected(struct tun *tun, struct bytes raw, uint64_t now)
{
    const uint8_t *ip = raw.at + IP_AT, *tcp = raw.at + TCP_AT;
    if (raw.left < TCP_AT + TCP_HEADER_MIN)
        return false;
    struct fast_known *known = known_at(tun, ip);
    uint64_t begin[2];
    load_begin(raw.at + FRAME_OFFLOAD_LEN, begin);
    if (((begin[0] ^ known->begin[0]) | (begin[1] ^ known->begin[1]) |
         (load32(ip + 12) ^ load32(known->in.src.b + 12))) != 0 ||
        known->serial == 0)
        return false;
    struct host *host = &tun->hosts.host[known->in.host];
    if (host->serial != known->serial)
        return false;

    uint32_t len = be16_load(ip + 2) - IPV4_HEADER_LEN; /* if shorter, it wraps to more than there is */
    uint32_t header_len = (tcp[12] >> 4) * 4u;
    if (len > raw.left - TCP_AT || header_len < TCP_HEADER_MIN || header_len > len || ip[9] != PACKET_TCP ||
        (be16_load(ip + 6) & IPV4_FRAGMENT) != 0)
        return false;
    if (!sums_up((uint64_t)load32(ip) + load32(ip + 4) + load32(ip + 8) + load32(ip + 12) + load32(ip + 16)))
        return false;
    if (load32(ip + 16) != load32(known->in.dst.b + 12)) {
        if (!ipv4_is_destination(ip + 16, &tun->config.network))
            return false;
        memcpy(known->in.dst.b + 12, ip + 16, 4);
    }
    if (!offload_fits(raw.at, len, &known->in.gso_size))
        return false;

    host->seen = now;
    known->in.seg.at = tcp;
    known->in.seg.left = len;
    tun->counters.frames_used++;
    tcp_input(tun->engine, &known->in, now);
    return true;
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
    if (packet->header_len != IPV4_HEADER_LEN || tun->config.unpredicted)
        return;
    struct fast_known *known = known_at(tun, packet_whole(packet).at);
    load_begin(frame->dst_mac, known->begin);
    known->serial = hosts_at(&tun->hosts, host)->serial;
    known->in = (struct tcp_in){.src = packet->src, .dst = packet->dst, .host = host};
}
