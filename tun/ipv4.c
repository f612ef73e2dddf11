/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/ipv4.h"

#include <string.h>

#include "base/checksum.h"

#define IPV4_DF 0x4000u
#define IPV4_FRAGMENT 0x3fffu /* MF and the offset */
#define IPV4_TTL 64u
#define ECN_MASK 3u
#define ECN_CE 3u

enum option_kind {
    OPTION_END = 0,
    OPTION_NOP = 1,
    OPTION_LSRR = 131,
    OPTION_SSRR = 137,
};

/* Walk the options (RFC 791 3.1). None of them means anything to who does not forward, but source routing asks for
 * just that, and what does not parse is not worth guessing at. */
static bool options_are_harmless(const uint8_t *at, size_t n)
{
    struct bytes b = bytes_of(at, n);
    while (b.left > 0) {
        uint8_t kind = bytes_u8(&b);
        if (kind == OPTION_END)
            return true;
        if (kind == OPTION_NOP)
            continue;
        uint8_t len = bytes_u8(&b);
        if (kind == OPTION_LSRR || kind == OPTION_SSRR || len < 2)
            return false;
        bytes_take(&b, len - 2u);
        if (!bytes_ok(&b))
            return false;
    }
    return true;
}

enum drop ipv4_parse(struct packet *packet, struct bytes raw)
{
    if (raw.left < IPV4_HEADER_LEN)
        return DROP_IP_HEADER;
    const uint8_t *p = raw.at;
    size_t header_len = (size_t)(p[0] & 0x0f) * 4;
    size_t total_len = be16_load(p + 2);
    if (p[0] >> 4 != 4 || header_len < IPV4_HEADER_LEN || header_len > total_len || total_len > raw.left)
        return DROP_IP_HEADER;

    struct checksum sum = {0};
    checksum_add(&sum, p, header_len);
    if (checksum_fold(&sum) != 0xffff)
        return DROP_IP_HEADER;
    if (header_len > IPV4_HEADER_LEN && !options_are_harmless(p + IPV4_HEADER_LEN, header_len - IPV4_HEADER_LEN))
        return DROP_IP_OPTIONS;
    if ((be16_load(p + 6) & IPV4_FRAGMENT) != 0)
        return DROP_IP_FRAGMENT;

    packet->src = ipaddr_v4(p + 12);
    packet->dst = ipaddr_v4(p + 16);
    packet->header_len = (uint16_t)header_len;
    packet->protocol = p[9];
    packet->congested = (p[1] & ECN_MASK) == ECN_CE;
    packet->payload = bytes_of(p + header_len, total_len - header_len);
    return DROP_NONE;
}

/* The bits of an IPv4 address past the prefix of `net`: 0 for the network's own address, all ones for broadcast. */
static uint32_t host_part(const struct ipaddr *addr, const struct ipnet *net, uint32_t *ones)
{
    *ones = net->len >= 128 ? 0 : UINT32_MAX >> (net->len - 96);
    return be32_load(addr->b + 12) & *ones;
}

bool ipv4_is_host(const struct ipaddr *addr, const struct ipnet *net, const struct ipaddr *gateway)
{
    uint32_t ones;
    uint32_t part = host_part(addr, net, &ones);
    uint8_t first = addr->b[12];
    return ipnet_contains(net, addr) && part != 0 && part != ones && first != 0 && first != 127 && first < 224 &&
           !ipaddr_equal(addr, gateway);
}

enum drop ipv4_check_addresses(const struct packet *packet, const struct ipnet *net, const struct ipaddr *gateway)
{
    if (!ipv4_is_host(&packet->src, net, gateway))
        return DROP_IP_SOURCE;
    const uint8_t *dst = packet->dst.b + 12;
    if (dst[0] == 0 || dst[0] == 127 || (dst[0] & 0xf0) == 0xe0 || be32_load(dst) == 0xffffffffu)
        return DROP_IP_DESTINATION;
    if (ipnet_contains(net, &packet->dst)) {
        uint32_t ones;
        uint32_t part = host_part(&packet->dst, net, &ones);
        if (part == 0 || part == ones)
            return DROP_IP_DESTINATION;
    }
    return DROP_NONE;
}

void ipv4_build(uint8_t *at, const struct ipaddr *src, const struct ipaddr *dst, enum packet_protocol protocol,
                uint32_t len)
{
    at[0] = 0x45;
    at[1] = 0;
    be16_store(at + 2, (uint16_t)(IPV4_HEADER_LEN + len));
    be16_store(at + 4, 0);
    be16_store(at + 6, IPV4_DF);
    at[8] = IPV4_TTL;
    at[9] = (uint8_t)protocol;
    be16_store(at + 10, 0);
    memcpy(at + 12, src->b + 12, 4);
    memcpy(at + 16, dst->b + 12, 4);
    struct checksum sum = {0};
    checksum_add(&sum, at, IPV4_HEADER_LEN);
    be16_store(at + 10, checksum_finish(&sum));
}
