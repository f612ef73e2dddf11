/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/fast.h"

#include <linux/virtio_net.h>
#include <string.h>

#include "base/checksum.h"
#include "tun/ipv4.h"
#include "tun/tun.h"

#define TCP_HEADER_MIN 20u
#define TCP_CHECKSUM_FIELD 16u
#define IPV4_FRAGMENT 0x3fffu /* MF and the offset */
#define IP_AT FRAME_HEADER_LEN
#define TCP_AT (IP_AT + IPV4_HEADER_LEN)

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

static inline bool sums_up(uint64_t sum)
{
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = (sum & 0xffffu) + (sum >> 16);
    return sum == 0xffff;
}

/* RFC 9293 3.1, over words as they lie in memory (RFC 1071 2 (B)). */
static inline bool tcp_sums_up(const uint8_t *ip, uint32_t len)
{
    uint8_t rest[2]; /* protocol and length: their sum is below 2^16, for the packet's length is */
    be16_store(rest, (uint16_t)(PACKET_TCP + len));
    uint64_t sum = (uint64_t)load32(ip + 12) + load32(ip + 16) + load16(rest);
    return sums_up(sum + checksum_words(ip + IPV4_HEADER_LEN, len));
}

/* What the offload header says of the segment: one alone, whose checksum is right, was vouched for or was never made; or
 * many in one. */
static inline bool offload_fits(const uint8_t *raw, uint32_t len, uint16_t *gso_size)
{
    struct virtio_net_hdr hdr;
    _Static_assert(sizeof(hdr) == FRAME_OFFLOAD_LEN, "the legacy header is ten bytes");
    memcpy(&hdr, raw, sizeof(hdr));
    *gso_size = 0;
    if (hdr.flags == VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        if (hdr.csum_start != TCP_AT - FRAME_OFFLOAD_LEN || hdr.csum_offset != TCP_CHECKSUM_FIELD)
            return false;
        if (hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE)
            return true;
        *gso_size = hdr.gso_size;
        return hdr.gso_type == VIRTIO_NET_HDR_GSO_TCPV4 && hdr.gso_size != 0;
    }
    if (hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE)
        return false;
    return hdr.flags == VIRTIO_NET_HDR_F_DATA_VALID || (hdr.flags == 0 && tcp_sums_up(raw + IP_AT, len));
}

bool fast_input(struct tun *tun, struct bytes raw, uint64_t now)
{
    const uint8_t *ip = raw.at + IP_AT, *tcp = raw.at + TCP_AT;
    if (raw.left < TCP_AT + TCP_HEADER_MIN)
        return false;
    struct fast_known *known = known_at(tun, ip);
    uint64_t begin[2];
    load_begin(raw.at + FRAME_OFFLOAD_LEN, begin);
    if (((begin[0] ^ known->begin[0]) | (begin[1] ^ known->begin[1]) | (load32(ip + 12) ^ known->src)) != 0 ||
        known->serial == 0)
        return false;
    struct host *host = &tun->hosts.host[known->host];
    if (host->serial != known->serial)
        return false;

    uint32_t len = be16_load(ip + 2) - IPV4_HEADER_LEN; /* if shorter, it wraps to more than there is */
    uint32_t header_len = (tcp[12] >> 4) * 4u;
    if (len > raw.left - TCP_AT || header_len < TCP_HEADER_MIN || header_len > len || ip[9] != PACKET_TCP ||
        (be16_load(ip + 6) & IPV4_FRAGMENT) != 0)
        return false;
    if (!sums_up((uint64_t)load32(ip) + load32(ip + 4) + load32(ip + 8) + load32(ip + 12) + load32(ip + 16)))
        return false;
    if (load32(ip + 16) != known->dst) {
        if (!ipv4_is_destination(ip + 16, &tun->config.network))
            return false;
        known->dst = load32(ip + 16);
    }
    struct tcp_in in;
    if (!offload_fits(raw.at, len, &in.gso_size))
        return false;

    host->seen = now;
    in.src = ipaddr_v4(ip + 12);
    in.dst = ipaddr_v4(ip + 16);
    in.host = known->host;
    in.seg = bytes_of(tcp, len);
    tun->counters.frames_used++;
    tcp_input(tun->engine, &in, now);
    return true;
}

void fast_learn(struct tun *tun, const struct frame *frame, const struct packet *packet, uint32_t host)
{
    if (packet->header_len != IPV4_HEADER_LEN || tun->config.unpredicted)
        return;
    const uint8_t *ip = packet_whole(packet).at;
    struct fast_known *known = known_at(tun, ip);
    load_begin(frame->dst_mac, known->begin);
    known->serial = hosts_at(&tun->hosts, host)->serial;
    known->src = load32(ip + 12);
    known->dst = load32(ip + 16);
    known->host = host;
}
