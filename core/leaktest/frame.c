/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/frame.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checksum.h"

#define IPV4_HEADER 20u
#define IPV6_HEADER 40u

void piece_add(struct piece *p, const void *data, size_t n)
{
    assert(n <= sizeof(p->b) - p->n);
    if (n > 0)
        memcpy(p->b + p->n, data, n);
    p->n += n;
}

void piece_zeros(struct piece *p, size_t n)
{
    assert(n <= sizeof(p->b) - p->n);
    memset(p->b + p->n, 0, n);
    p->n += n;
}

void piece_u8(struct piece *p, uint8_t v)
{
    piece_add(p, &v, 1);
}

void piece_u16(struct piece *p, uint16_t v)
{
    uint8_t b[2];
    be16_store(b, v);
    piece_add(p, b, sizeof(b));
}

void piece_u32(struct piece *p, uint32_t v)
{
    uint8_t b[4];
    be32_store(b, v);
    piece_add(p, b, sizeof(b));
}

static void add_address(struct piece *p, bool six, const struct ipaddr *a)
{
    piece_add(p, six ? a->b : a->b + 12, six ? 16 : 4);
}

/* The checksum of the upper layer, with the pseudo header of the family that the packet has and not that of its
 * addresses: those may be mapped ones on purpose. `addresses` are source and destination as they stand in the header. */
static uint16_t upper_checksum(const uint8_t *addresses, size_t addresses_n, uint8_t protocol, const uint8_t *data,
                               size_t n)
{
    struct checksum sum = {0};
    if (protocol != FRAME_ICMP) {
        checksum_add(&sum, addresses, addresses_n);
        checksum_add_u16(&sum, (uint16_t)n);
        checksum_add_u16(&sum, protocol);
    }
    checksum_add(&sum, data, n);
    return checksum_finish(&sum);
}

/* Where in its header a protocol has its checksum; -1: nowhere. */
static int checksum_at(uint8_t protocol)
{
    switch (protocol) {
    case FRAME_TCP:
        return 16;
    case FRAME_UDP:
        return 6;
    case FRAME_ICMP:
    case FRAME_ICMP6:
        return 2;
    default:
        return -1;
    }
}

static void add_tcp(struct piece *out, const struct packet *p)
{
    static const uint8_t mss[] = {2, 4, 0x05, 0xb4};
    const uint8_t *options = p->tcp_options != NULL ? p->tcp_options : mss;
    size_t n = p->tcp_options != NULL ? p->tcp_options_n : sizeof(mss);
    piece_u16(out, p->source_port);
    piece_u16(out, p->port);
    piece_u32(out, 0x10203040);
    piece_u32(out, 0);
    piece_u8(out, (uint8_t)((20 + n) / 4 << 4));
    piece_u8(out, p->flags);
    piece_u16(out, 64240);
    piece_u32(out, 0); /* checksum, urgent pointer */
    piece_add(out, options, n);
}

static void add_upper(struct piece *out, const struct packet *p)
{
    size_t start = out->n, body = p->body != NULL ? p->body->n : 0;
    if (p->protocol == FRAME_TCP) {
        add_tcp(out, p);
    } else if (p->protocol == FRAME_UDP) {
        piece_u16(out, p->source_port);
        piece_u16(out, p->port);
        piece_u16(out, (uint16_t)(8 + body));
        piece_u16(out, 0);
    } else if (p->protocol == FRAME_ICMP || p->protocol == FRAME_ICMP6) {
        piece_u8(out, p->kind);
        piece_u8(out, p->code);
        piece_u16(out, 0);
        piece_u32(out, p->rest);
    }
    if (body > 0)
        piece_add(out, p->body->b, body);
    int at = checksum_at(p->protocol);
    if (at < 0)
        return;
    struct piece addresses = {0};
    add_address(&addresses, p->six, &p->from);
    add_address(&addresses, p->six, &p->to);
    be16_store(out->b + start + at,
               upper_checksum(addresses.b, addresses.n, p->protocol, out->b + start, out->n - start));
}

static void build_ipv4(struct piece *out, const struct packet *p)
{
    size_t start = out->n, padded = (p->ip_options_n + 3) & ~(size_t)3;
    unsigned version = p->odd & FRAME_ODD_VERSION ? p->version : 4;
    unsigned words = p->odd & FRAME_ODD_WORDS ? p->words : (unsigned)(5 + padded / 4);
    piece_u8(out, (uint8_t)(version << 4 | words));
    piece_u8(out, p->tos);
    piece_u16(out, p->total);
    piece_u16(out, p->id);
    piece_u16(out, (uint16_t)(p->ip_flags << 13 | p->offset));
    piece_u8(out, p->odd & FRAME_ODD_TTL ? p->ttl : 64);
    piece_u8(out, p->protocol);
    piece_u16(out, 0);
    add_address(out, false, &p->from);
    add_address(out, false, &p->to);
    piece_add(out, p->ip_options, p->ip_options_n);
    piece_zeros(out, padded - p->ip_options_n);
    size_t header = out->n - start;
    add_upper(out, p);
    if (!(p->odd & FRAME_ODD_TOTAL))
        be16_store(out->b + start + 2, (uint16_t)(out->n - start));
    struct checksum sum = {0};
    checksum_add(&sum, out->b + start, header);
    uint16_t right = checksum_finish(&sum);
    be16_store(out->b + start + 10, p->odd & FRAME_ODD_CHECKSUM ? right ^ 0x5500 : right);
}

static void build_ipv6(struct piece *out, const struct packet *p)
{
    size_t start = out->n;
    unsigned version = p->odd & FRAME_ODD_VERSION ? p->version : 6;
    piece_u32(out, (uint32_t)version << 28 | p->label);
    piece_u16(out, p->total);
    piece_u8(out, p->protocol);
    piece_u8(out, p->odd & FRAME_ODD_TTL ? p->ttl : 64);
    add_address(out, true, &p->from);
    add_address(out, true, &p->to);
    add_upper(out, p);
    if (!(p->odd & FRAME_ODD_TOTAL))
        be16_store(out->b + start + 4, (uint16_t)(out->n - start - IPV6_HEADER));
}

void packet_build(struct piece *out, const struct packet *p)
{
    if (p->six)
        build_ipv6(out, p);
    else
        build_ipv4(out, p);
}

void frame_begin(struct piece *out, const uint8_t target[6], const uint8_t source[6], uint16_t type)
{
    out->n = 0;
    piece_add(out, target, 6);
    piece_add(out, source, 6);
    piece_u16(out, type);
}

void frame_arp(struct piece *out, uint16_t operation, const uint8_t sender_mac[6], const struct ipaddr *sender,
               const uint8_t target_mac[6], const struct ipaddr *target)
{
    piece_u16(out, 1);
    piece_u16(out, FRAME_IPV4);
    piece_u8(out, 6);
    piece_u8(out, 4);
    piece_u16(out, operation);
    piece_add(out, sender_mac, 6);
    add_address(out, false, sender);
    piece_add(out, target_mac, 6);
    add_address(out, false, target);
}

/* `n` bytes are there, of which the header says `length`. */
static void repair_upper(uint8_t *data, size_t n, size_t length, uint8_t protocol, const uint8_t *addresses,
                         size_t addresses_n)
{
    int at = checksum_at(protocol);
    if (length > n)
        length = n;
    if (at < 0 || length < (size_t)at + 2)
        return;
    be16_store(data + at, 0);
    be16_store(data + at, upper_checksum(addresses, addresses_n, protocol, data, length));
}

void frame_repair(uint8_t *frame, size_t n)
{
    if (n < FRAME_HEAD + IPV4_HEADER)
        return;
    uint16_t type = be16_load(frame + 12);
    uint8_t *packet = frame + FRAME_HEAD;
    size_t left = n - FRAME_HEAD;
    if (type == FRAME_IPV4 && packet[0] >> 4 == 4) {
        size_t header = (packet[0] & 15u) * 4u, total = be16_load(packet + 2);
        if (header < IPV4_HEADER || header > left)
            return;
        struct checksum sum = {0};
        be16_store(packet + 10, 0);
        checksum_add(&sum, packet, header);
        be16_store(packet + 10, checksum_finish(&sum));
        repair_upper(packet + header, left - header, total > header ? total - header : 0, packet[9], packet + 12,
                     8);
    } else if (type == FRAME_IPV6 && left >= IPV6_HEADER) {
        repair_upper(packet + IPV6_HEADER, left - IPV6_HEADER, be16_load(packet + 4), packet[6], packet + 8, 32);
    }
}

struct ipaddr frame_ip(const char *text)
{
    struct ipaddr a = {{0}};
    uint8_t four[4];
    if (inet_pton(AF_INET, text, four) == 1)
        return ipaddr_v4(four);
    int is_address = inet_pton(AF_INET6, text, a.b);
    assert(is_address == 1);
    (void)is_address;
    return a;
}
