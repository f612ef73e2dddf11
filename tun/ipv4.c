/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/ipv4.h"

#include <string.h>

#define IPV4_DF 0x4000u
#define IPV4_FRAGMENT 0x3fffu /* MF and the offset */
#define IPV4_TTL 64u

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

static uint64_t native_word(const uint8_t *p)
{
    uint32_t w;
    memcpy(&w, p, 4);
    return w;
}

/* The folded sum over a header, in the order of its bytes in memory (RFC 1071 2 (B)), by whole words; five of them are
 * always there. */
static uint16_t sum_header(const uint8_t *p, size_t header_len)
{
    uint64_t sum =
        native_word(p) + native_word(p + 4) + native_word(p + 8) + native_word(p + 12) + native_word(p + 16);
    for (size_t i = IPV4_HEADER_LEN; i < header_len; i += 4)
        sum += native_word(p + i);
    sum = (sum >> 32) + (sum & 0xffffffffu);
    sum = (sum >> 16) + (sum & 0xffffu);
    sum = (sum >> 16) + (sum & 0xffffu);
    return (uint16_t)((sum >> 16) + (sum & 0xffffu));
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

    if (sum_header(p, header_len) != 0xffff)
        return DROP_IP_HEADER;
    if (header_len > IPV4_HEADER_LEN && !options_are_harmless(p + IPV4_HEADER_LEN, header_len - IPV4_HEADER_LEN))
        return DROP_IP_OPTIONS;
    if ((be16_load(p + 6) & IPV4_FRAGMENT) != 0)
        return DROP_IP_FRAGMENT;

    packet->src = ipaddr_v4(p + 12);
    packet->dst = ipaddr_v4(p + 16);
    packet->header_len = (uint16_t)header_len;
    packet->protocol_at = 9;
    packet->protocol = p[9];
    packet->hop_limit = p[8];
    packet->payload = bytes_of(p + header_len, total_len - header_len);
    return DROP_NONE;
}

/* The workstation network in numbers. */
struct range {
    uint32_t net;  /* its address, host bits zero */
    uint32_t ones; /* the host bits: the broadcast address has all of them set */
};

static struct range range_of(const struct ipnet *net)
{
    uint32_t ones = UINT32_MAX >> (net->len - 96);
    return (struct range){.net = be32_load(net->addr.b + 12) & ~ones, .ones = ones};
}

static bool is_inside(const struct range *range, uint32_t addr)
{
    return (addr & ~range->ones) == range->net;
}

/* The network's own address and its broadcast address name no host. */
static bool is_reserved(const struct range *range, uint32_t addr)
{
    uint32_t host = addr & range->ones;
    return host == 0 || host == range->ones;
}

/* 0/8, 127/8, 224/4, or the broadcast address: no host has that, anywhere. */
static bool is_never_a_host(uint32_t addr)
{
    uint32_t first = addr >> 24;
    return first == 0 || first == 127 || first >> 4 == 0xe || addr == UINT32_MAX;
}

static bool is_host(uint32_t addr, const struct range *range, const struct ipaddr *gateway)
{
    return is_inside(range, addr) && !is_reserved(range, addr) && !is_never_a_host(addr) &&
           addr != be32_load(gateway->b + 12);
}

bool ipv4_is_host(const struct ipaddr *addr, const struct ipnet *net, const struct ipaddr *gateway)
{
    struct range range = range_of(net);
    return is_host(be32_load(addr->b + 12), &range, gateway);
}

static bool is_destination(uint32_t addr, const struct range *range)
{
    return !is_never_a_host(addr) && !(is_inside(range, addr) && is_reserved(range, addr));
}

bool ipv4_is_destination(const uint8_t addr[4], const struct ipnet *net)
{
    struct range range = range_of(net);
    return is_destination(be32_load(addr), &range);
}

enum drop ipv4_check_addresses(const struct packet *packet, const struct ipnet *net, const struct ipaddr *gateway)
{
    struct range range = range_of(net);
    if (!is_host(be32_load(packet->src.b + 12), &range, gateway))
        return DROP_IP_SOURCE;
    return is_destination(be32_load(packet->dst.b + 12), &range) ? DROP_NONE : DROP_IP_DESTINATION;
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
    uint16_t sum = (uint16_t)~sum_header(at, IPV4_HEADER_LEN);
    memcpy(at + 10, &sum, sizeof(sum));
}
