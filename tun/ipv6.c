/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/ipv6.h"

#include <string.h>

#define EXTENSIONS_MAX 6u /* headers of one packet that we walk */

enum extension {
    EXTENSION_HOP_BY_HOP = 0,
    EXTENSION_ROUTING = 43,
    EXTENSION_FRAGMENT = 44,
    EXTENSION_DESTINATION = 60,
};

/* Walk the options of a hop-by-hop or destination header. The two highest bits of an option's type say what to do with
 * one that is not known (RFC 8200 4.2); none means anything to us, so only those that may be skipped are fine. */
static bool options_may_be_skipped(struct bytes b)
{
    while (b.left > 0) {
        uint8_t type = bytes_u8(&b);
        if (type == 0) /* Pad1: a single byte */
            continue;
        if (type >> 6 != 0)
            return false;
        bytes_take(&b, bytes_u8(&b));
        if (!bytes_ok(&b))
            return false;
    }
    return true;
}

/* A routing header with nothing left to visit is skipped (RFC 8200 4.4), but for type 0, which must not be processed at
 * all (RFC 5095). */
static bool routing_is_over(struct bytes b)
{
    uint8_t type = bytes_u8(&b);
    uint8_t left = bytes_u8(&b);
    return bytes_ok(&b) && type != 0 && left == 0;
}

/* A fragment that is all of its packet: some translators make them. It is none (RFC 6946), and nothing is put together. */
static bool is_whole(struct bytes b)
{
    bytes_take(&b, 2);
    uint16_t place = bytes_u16(&b);
    return bytes_ok(&b) && (place & 0xfff9) == 0; /* offset 0, nothing follows */
}

/* Take one extension header off `b`. DROP_NONE, with *next the protocol that follows. */
static enum drop skip_extension(struct bytes *b, uint8_t which, uint8_t *next)
{
    if (which == EXTENSION_FRAGMENT) {
        if (!is_whole(*b))
            return DROP_IP_FRAGMENT;
        *next = bytes_u8(b);
        bytes_take(b, 7);
        return bytes_ok(b) ? DROP_NONE : DROP_IP_HEADER;
    }
    *next = bytes_u8(b);
    size_t rest = (size_t)bytes_u8(b) * 8 + 6;
    struct bytes body = bytes_sub(b, rest);
    if (!bytes_ok(b))
        return DROP_IP_HEADER;
    bool harmless = which == EXTENSION_ROUTING ? routing_is_over(body) : options_may_be_skipped(body);
    return harmless ? DROP_NONE : DROP_IP_OPTIONS;
}

enum drop ipv6_parse(struct packet *packet, struct bytes raw)
{
    if (raw.left < IPV6_HEADER_LEN)
        return DROP_IP_HEADER;
    const uint8_t *p = raw.at;
    size_t len = be16_load(p + 4);
    if (p[0] >> 4 != 6 || IPV6_HEADER_LEN + len > raw.left)
        return DROP_IP_HEADER;

    struct bytes b = bytes_of(p + IPV6_HEADER_LEN, len);
    uint8_t protocol = p[6];
    const uint8_t *protocol_at = p + 6;
    bool fragment = false;
    for (unsigned i = 0;; i++) {
        if (protocol == PACKET_ICMPV6 && fragment)
            return DROP_IP_FRAGMENT; /* no neighbour discovery in fragments of any kind (RFC 6980) */
        if (protocol != EXTENSION_HOP_BY_HOP && protocol != EXTENSION_ROUTING && protocol != EXTENSION_FRAGMENT &&
            protocol != EXTENSION_DESTINATION)
            break;
        fragment |= protocol == EXTENSION_FRAGMENT;
        if (i == EXTENSIONS_MAX || (protocol == EXTENSION_HOP_BY_HOP && i != 0))
            return DROP_IP_OPTIONS;
        protocol_at = b.at;
        enum drop why = skip_extension(&b, protocol, &protocol);
        if (why != DROP_NONE)
            return why;
    }

    packet->src = ipaddr_v6(p + 8);
    packet->dst = ipaddr_v6(p + 24);
    packet->header_len = (uint16_t)(b.at - p);
    packet->protocol_at = (uint16_t)(protocol_at - p);
    packet->protocol = protocol;
    packet->hop_limit = p[7];
    packet->payload = b;
    return DROP_NONE;
}

struct ipaddr ipv6_link_local_of(const struct ipaddr *addr)
{
    static const uint8_t none[8];
    struct ipaddr link_local = {{0xfe, 0x80}};
    if (memcmp(addr->b + 8, none, sizeof(none)) == 0)
        link_local.b[15] = 1;
    else
        memcpy(link_local.b + 8, addr->b + 8, 8);
    return link_local;
}

bool ipv6_is_link_local(const struct ipaddr *addr)
{
    return addr->b[0] == 0xfe && (addr->b[1] & 0xc0) == 0x80;
}

bool ipv6_is_multicast(const struct ipaddr *addr)
{
    return addr->b[0] == 0xff;
}

bool ipv6_is_unspecified(const struct ipaddr *addr)
{
    static const struct ipaddr unspecified;
    return ipaddr_equal(addr, &unspecified);
}

/* ::/96 holds the unspecified address, loopback, and IPv4 addresses in disguise; ::ffff:0:0/96 more of the latter. What
 * is denied in one notation shall not be had in another. */
static bool is_special(const struct ipaddr *addr)
{
    static const uint8_t zeros[12];
    return memcmp(addr->b, zeros, sizeof(zeros)) == 0 || ipaddr_is_v4(addr);
}

bool ipv6_is_gateway(const struct ipaddr *addr, const struct ipv6_scope *scope)
{
    return ipaddr_equal(addr, &scope->gateway) ||
           (ipv6_is_link_local(addr) && ipaddr_equal(addr, &scope->link_local));
}

/* The subnet-router anycast address (RFC 4291 2.6.1): no host bit set. */
static bool is_anycast(const struct ipaddr *addr, const struct ipnet *net)
{
    uint8_t whole = net->len / 8;
    if (whole < 16 && (addr->b[whole] & (0xff >> net->len % 8)) != 0)
        return false;
    for (unsigned i = whole + 1u; i < 16; i++) {
        if (addr->b[i] != 0)
            return false;
    }
    return true;
}

bool ipv6_is_host(const struct ipaddr *addr, const struct ipv6_scope *scope)
{
    return ipnet_contains(&scope->network, addr) && !is_anycast(addr, &scope->network) &&
           !ipv6_is_multicast(addr) && !ipv6_is_link_local(addr) && !is_special(addr) &&
           !ipv6_is_gateway(addr, scope);
}

bool ipv6_is_destination(const struct ipaddr *addr, const struct ipv6_scope *scope)
{
    if (ipv6_is_gateway(addr, scope))
        return true;
    return !ipv6_is_multicast(addr) && !ipv6_is_link_local(addr) && !is_special(addr) &&
           !(ipnet_contains(&scope->network, addr) && is_anycast(addr, &scope->network));
}

enum drop ipv6_check_addresses(const struct packet *packet, const struct ipv6_scope *scope)
{
    bool to_gateway = ipv6_is_gateway(&packet->dst, scope);
    bool neighbour = ipv6_is_link_local(&packet->src) && !ipv6_is_gateway(&packet->src, scope);
    if (!ipv6_is_host(&packet->src, scope) && !(neighbour && to_gateway))
        return DROP_IP_SOURCE;
    return to_gateway || ipv6_is_destination(&packet->dst, scope) ? DROP_NONE : DROP_IP_DESTINATION;
}

void ipv6_build(uint8_t *at, const struct ipaddr *src, const struct ipaddr *dst, enum packet_protocol protocol,
                uint8_t hop_limit, uint32_t len)
{
    be32_store(at, 0x60000000u);
    be16_store(at + 4, (uint16_t)len);
    at[6] = (uint8_t)protocol;
    at[7] = hop_limit;
    memcpy(at + 8, src->b, sizeof(src->b));
    memcpy(at + 24, dst->b, sizeof(dst->b));
}
