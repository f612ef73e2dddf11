/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static uint32_t load(const uint8_t *p, unsigned bytes)
{
    uint32_t v = 0;
    for (unsigned k = 0; k < bytes; k++)
        v = v << 8 | p[k];
    return v;
}

static void store(uint8_t *p, unsigned bytes, uint32_t v)
{
    for (unsigned k = 0; k < bytes; k++)
        p[k] = (uint8_t)(v >> 8 * (bytes - 1 - k));
}

bool packet_has(const struct packet *p, enum packet_option kind)
{
    return memchr(p->kind, (int)kind, p->kind_count) != NULL;
}

static const char *read_option(struct packet *p, uint8_t kind, const uint8_t *body, uint32_t len, uint32_t offset)
{
    if (packet_has(p, kind))
        return "an option stands twice";
    p->kind[p->kind_count++] = kind;
    switch (kind) {
    case PACKET_MSS:
        p->mss = len == 2 ? (uint16_t)load(body, 2) : 0;
        return len == 2 ? NULL : "the MSS option has a wrong length";
    case PACKET_WS:
        p->ws = len == 1 ? body[0] : 0;
        return len != 1 ? "the window scale option has a wrong length" : p->ws > 14 ? "window scale past 14" : NULL;
    case PACKET_SACKOK:
        return len == 0 ? NULL : "the SACK-permitted option has a wrong length";
    case PACKET_TS:
        if (len != 8)
            return "the timestamps option has a wrong length";
        p->tsval = load(body, 4);
        p->tsecr = load(body + 4, 4);
        return offset % 4 == 0 ? NULL : "the timestamps are not aligned to four bytes";
    case PACKET_SACK:
        if (len == 0 || len % 8 != 0 || len / 8 > PACKET_SACK_MAX)
            return "the SACK option has a wrong length";
        for (p->sack_count = 0; p->sack_count < len / 8; p->sack_count++) {
            p->sack[p->sack_count][0] = load(body + 8 * p->sack_count, 4);
            p->sack[p->sack_count][1] = load(body + 8 * p->sack_count + 4, 4);
        }
        return offset % 4 == 0 ? NULL : "the SACK blocks are not aligned to four bytes";
    default:
        return "an option of an unknown kind";
    }
}

const char *packet_read(const uint8_t *bytes, size_t n, struct packet *p)
{
    memset(p, 0, sizeof(*p));
    if (n < 20)
        return "shorter than a TCP header";
    p->src_port = (uint16_t)load(bytes, 2);
    p->dst_port = (uint16_t)load(bytes + 2, 2);
    p->seq = load(bytes + 4, 4);
    p->ack = load(bytes + 8, 4);
    p->header_len = (uint32_t)(bytes[12] >> 4) * 4;
    p->flags = bytes[13];
    p->window = (uint16_t)load(bytes + 14, 2);
    p->urgent = (uint16_t)load(bytes + 18, 2);
    if (p->header_len < 20 || p->header_len > n)
        return "the data offset points nowhere";
    if ((bytes[12] & 0x0f) != 0)
        return "reserved bits are set";
    if (load(bytes + 16, 2) != 0)
        return "the checksum field is not left zero";
    p->payload = bytes + p->header_len;
    p->len = (uint32_t)(n - p->header_len);

    for (uint32_t at = 20; at < p->header_len;) {
        uint8_t kind = bytes[at];
        if (kind == 0) {
            for (; at < p->header_len; at++)
                if (bytes[at] != 0)
                    return "something stands behind the end of the options";
            break;
        }
        if (kind == 1) {
            at++;
            continue;
        }
        if (at + 2 > p->header_len || bytes[at + 1] < 2 || at + bytes[at + 1] > p->header_len)
            return "an option does not fit in the header";
        const char *wrong = read_option(p, kind, bytes + at + 2, bytes[at + 1] - 2u, at + 2);
        if (wrong != NULL)
            return wrong;
        at += bytes[at + 1];
    }
    return NULL;
}

uint32_t packet_write(uint8_t *to, const struct packet *p, const uint8_t *options, uint32_t option_len)
{
    uint32_t padded = (option_len + 3) & ~3u;
    memset(to, 0, 60);
    store(to, 2, p->src_port);
    store(to + 2, 2, p->dst_port);
    store(to + 4, 4, p->seq);
    store(to + 8, 4, p->ack);
    to[12] = (uint8_t)((20 + padded) / 4 << 4);
    to[13] = p->flags;
    store(to + 14, 2, p->window);
    store(to + 18, 2, p->urgent);
    memcpy(to + 20, options, option_len);
    return 20 + padded;
}

uint8_t packet_stream_byte(bool up, uint32_t at)
{
    uint32_t x = (at ^ (up ? 0x5bd1e995u : 0x1b873593u)) * 2654435761u;
    return (uint8_t)(x >> 24 ^ x >> 11);
}

/* Append to a text that may be cut off. */
struct out {
    char *at;
    size_t left;
};

static void add(struct out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct out *o, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(o->at, o->left, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= o->left) {
        o->left = 0;
        return;
    }
    o->at += n;
    o->left -= (size_t)n;
}

void packet_say(const struct packet *p, uint32_t seq_base, uint32_t ack_base, uint32_t ts_base, char *text,
                size_t room)
{
    struct out o = {text, room};
    for (unsigned k = 0; k < 8; k++)
        if (p->flags & 1u << k)
            add(&o, "%c", PACKET_FLAG_LETTERS[k]);
    if (p->flags == 0)
        add(&o, "0");
    add(&o, " %d", (int)(p->seq - seq_base));
    if (p->len > 0)
        add(&o, ":%d", (int)(p->seq - seq_base + p->len));
    if (p->flags & 0x10)
        add(&o, " ack %d", (int)(p->ack - ack_base));
    add(&o, " win %u", p->window);
    for (uint32_t k = 0; k < p->kind_count; k++) {
        switch (p->kind[k]) {
        case PACKET_MSS:
            add(&o, " mss %u", p->mss);
            break;
        case PACKET_WS:
            add(&o, " ws %u", p->ws);
            break;
        case PACKET_SACKOK:
            add(&o, " sackok");
            break;
        case PACKET_TS:
            add(&o, " ts %d:%u", (int)(p->tsval - ts_base), p->tsecr);
            break;
        default:
            add(&o, " sack ");
            for (uint32_t i = 0; i < p->sack_count; i++)
                add(&o, "%s%d-%d", i > 0 ? "," : "", (int)(p->sack[i][0] - ack_base),
                    (int)(p->sack[i][1] - ack_base));
            break;
        }
    }
    if (o.left == 0 && room > 0)
        text[room - 1] = 0;
}
