/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp/segment.h"

#include <errno.h>

enum {
    OPTION_END = 0,
    OPTION_NOP = 1,
    OPTION_MSS = 2,
    OPTION_WSCALE = 3,
    OPTION_SACK_PERMITTED = 4,
    OPTION_SACK = 5,
    OPTION_TS = 8,
};

#define WSCALE_MAX 14
#define NOP_NOP_TS 0x0101080au
#define NOP_NOP_SACK 0x01010500u

static void parse_sack(struct segment *s, struct bytes body)
{
    if (body.left == 0 || body.left % 8 != 0)
        return;
    s->sack_count = 0;
    while (body.left >= 8 && s->sack_count < SEGMENT_SACK_MAX) {
        struct sack_block *block = &s->sack[s->sack_count++];
        block->left = bytes_u32(&body);
        block->right = bytes_u32(&body);
    }
}

static void parse_option(struct segment *s, uint8_t kind, struct bytes body)
{
    switch (kind) {
    case OPTION_MSS:
        if (body.left == 2)
            s->mss = bytes_u16(&body);
        break;
    case OPTION_WSCALE:
        if (body.left == 1) {
            uint8_t shift = bytes_u8(&body);
            s->has_wscale = true;
            s->wscale = shift > WSCALE_MAX ? WSCALE_MAX : shift;
        }
        break;
    case OPTION_SACK_PERMITTED:
        if (body.left == 0)
            s->sack_permitted = true;
        break;
    case OPTION_SACK:
        parse_sack(s, body);
        break;
    case OPTION_TS:
        if (body.left == 8) {
            s->has_ts = true;
            s->tsval = bytes_u32(&body);
            s->tsecr = bytes_u32(&body);
        }
        break;
    default:
        break;
    }
}

static void parse_options(struct segment *s, struct bytes options)
{
    while (options.left > 0) {
        uint8_t kind = bytes_u8(&options);
        if (kind == OPTION_END)
            return;
        if (kind == OPTION_NOP)
            continue;
        uint8_t len = bytes_u8(&options);
        if (!bytes_ok(&options) || len < 2)
            return;
        struct bytes body = bytes_sub(&options, len - 2u);
        if (!bytes_ok(&body))
            return;
        parse_option(s, kind, body);
    }
}

int segment_parse(struct bytes bytes, struct segment *s)
{
    const uint8_t *h = bytes_take(&bytes, TCP_HEADER_MIN);
    if (h == NULL)
        return -EINVAL;
    uint32_t header_len = (h[12] >> 4) * 4u;
    if (header_len < TCP_HEADER_MIN)
        return -EINVAL;
    struct bytes options = bytes_sub(&bytes, header_len - TCP_HEADER_MIN);
    if (!bytes_ok(&options))
        return -EINVAL;

    s->src_port = be16_load(h);
    s->dst_port = be16_load(h + 2);
    s->seq = be32_load(h + 4);
    s->ack = be32_load(h + 8);
    s->flags = h[13];
    s->window = be16_load(h + 14);
    s->payload = bytes.at;
    s->len = (uint32_t)bytes.left;
    s->mss = 0;
    s->has_ts = false;
    s->has_wscale = false;
    s->sack_permitted = false;
    s->wscale = 0;
    s->sack_count = 0;

    /* Nearly every segment carries either nothing or the timestamps alone. */
    if (options.left == 0)
        return 0;
    if (options.left == TCP_OPTION_TS_SIZE && be32_load(options.at) == NOP_NOP_TS) {
        s->has_ts = true;
        s->tsval = be32_load(options.at + 4);
        s->tsecr = be32_load(options.at + 8);
        return 0;
    }
    parse_options(s, options);
    return 0;
}

static uint8_t *put_option(uint8_t *p, uint8_t kind, uint8_t len)
{
    p[0] = kind;
    p[1] = len;
    return p + 2;
}

uint32_t segment_build(uint8_t *to, const struct segment *s)
{
    uint8_t *p = to + TCP_HEADER_MIN;

    if (s->mss != 0) {
        p = put_option(p, OPTION_MSS, 4);
        be16_store(p, s->mss);
        p += 2;
    }
    if (s->has_ts) {
        if (s->sack_permitted) {
            p = put_option(p, OPTION_SACK_PERMITTED, 2);
            p = put_option(p, OPTION_TS, 10);
        } else {
            be32_store(p, NOP_NOP_TS);
            p += 4;
        }
        be32_store(p, s->tsval);
        be32_store(p + 4, s->tsecr);
        p += 8;
    } else if (s->sack_permitted) {
        *p++ = OPTION_NOP;
        *p++ = OPTION_NOP;
        p = put_option(p, OPTION_SACK_PERMITTED, 2);
    }
    if (s->has_wscale) {
        *p++ = OPTION_NOP;
        p = put_option(p, OPTION_WSCALE, 3);
        *p++ = s->wscale;
    }
    if (s->sack_count > 0) {
        uint32_t fit = (TCP_HEADER_MIN + 40u - (uint32_t)(p - to) - 4u) / 8u;
        uint32_t count = s->sack_count < fit ? s->sack_count : fit;
        be32_store(p, NOP_NOP_SACK | (2 + 8 * count));
        p += 4;
        for (uint32_t i = 0; i < count; i++, p += 8) {
            be32_store(p, s->sack[i].left);
            be32_store(p + 4, s->sack[i].right);
        }
    }

    uint32_t len = (uint32_t)(p - to);
    be16_store(to, s->src_port);
    be16_store(to + 2, s->dst_port);
    be32_store(to + 4, s->seq);
    be32_store(to + 8, s->ack);
    to[12] = (uint8_t)(len / 4 << 4);
    to[13] = s->flags;
    be16_store(to + 14, s->window);
    be32_store(to + 16, 0); /* checksum: whoever knows the addresses; urgent pointer: never ours */
    return len;
}
