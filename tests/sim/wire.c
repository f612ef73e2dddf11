/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire.h"

#include <string.h>

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

uint32_t wire_build(uint8_t to[WIRE_HEADER_MAX], const struct wire_header *h)
{
    uint32_t n = 20;
    memset(to, 0, WIRE_HEADER_MAX);
    put16(to, h->src_port);
    put16(to + 2, h->dst_port);
    put32(to + 4, h->seq);
    put32(to + 8, h->ack);
    to[13] = h->flags;
    put16(to + 14, h->window);
    if (h->mss != 0) {
        to[n] = 2;
        to[n + 1] = 4;
        put16(to + n + 2, h->mss);
        n += 4;
    }
    if (h->wscale >= 0) {
        to[n] = 3;
        to[n + 1] = 3;
        to[n + 2] = (uint8_t)h->wscale;
        to[n + 3] = 1;
        n += 4;
    }
    if (h->sack_permitted) {
        memcpy(to + n, "\1\1\4\2", 4);
        n += 4;
    }
    if (h->has_ts) {
        memcpy(to + n, "\1\1\10\12", 4);
        put32(to + n + 4, h->tsval);
        put32(to + n + 8, h->tsecr);
        n += 12;
    }
    uint32_t fit = (WIRE_HEADER_MAX - n) / 8;
    uint32_t blocks = h->sack_count < fit ? h->sack_count : fit;
    if (blocks > 0 && n + 4 + 8 * blocks > WIRE_HEADER_MAX)
        blocks--;
    if (blocks > 0) {
        to[n] = to[n + 1] = 1;
        to[n + 2] = 5;
        to[n + 3] = (uint8_t)(2 + 8 * blocks);
        n += 4;
        for (uint32_t k = 0; k < blocks; k++, n += 8) {
            put32(to + n, h->sack[k][0]);
            put32(to + n + 4, h->sack[k][1]);
        }
    }
    to[12] = (uint8_t)(n / 4 << 4);
    return n;
}

static const char *parse_option(const uint8_t *o, uint32_t size, struct wire_header *h)
{
    switch (o[0]) {
    case 2:
        if (size != 4 || h->mss != 0)
            return "a bad MSS option";
        h->mss = get16(o + 2);
        return h->mss == 0 ? "an MSS of 0" : NULL;
    case 3:
        if (size != 3 || h->wscale >= 0 || o[2] > 14)
            return "a bad window scale option";
        h->wscale = (int8_t)o[2];
        return NULL;
    case 4:
        if (size != 2 || h->sack_permitted)
            return "a bad SACK-permitted option";
        h->sack_permitted = true;
        return NULL;
    case 5:
        if (size < 10 || (size - 2) % 8 != 0 || h->sack_count != 0)
            return "a bad SACK option";
        for (uint32_t at = 2; at < size; at += 8, h->sack_count++) {
            h->sack[h->sack_count][0] = get32(o + at);
            h->sack[h->sack_count][1] = get32(o + at + 4);
        }
        return NULL;
    case 8:
        if (size != 10 || h->has_ts)
            return "a bad timestamps option";
        h->has_ts = true;
        h->tsval = get32(o + 2);
        h->tsecr = get32(o + 6);
        return NULL;
    default:
        return "an option it has no business to send";
    }
}

const char *wire_parse(const uint8_t *from, uint32_t length, struct wire_header *h)
{
    *h = (struct wire_header){.wscale = -1, .length = length};
    if (length < 20 || length > WIRE_HEADER_MAX || length % 4 != 0 || (from[12] >> 4) * 4u != length)
        return "a wrong header length";
    if ((from[12] & 15) != 0 || get16(from + 18) != 0)
        return "reserved bits or an urgent pointer";
    h->src_port = get16(from);
    h->dst_port = get16(from + 2);
    h->seq = get32(from + 4);
    h->ack = get32(from + 8);
    h->flags = from[13];
    h->window = get16(from + 14);
    for (uint32_t at = 20; at < length;) {
        if (from[at] == 1) {
            at++;
            continue;
        }
        if (from[at] == 0)
            break;
        if (at + 2 > length || from[at + 1] < 2 || at + from[at + 1] > length)
            return "an option beyond the header";
        const char *wrong = parse_option(from + at, from[at + 1], h);
        if (wrong != NULL)
            return wrong;
        at += from[at + 1];
    }
    return NULL;
}
