/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/checksum.h"

#include <string.h>

#include "base/ipaddr.h"

/* The bytes that are left over, fewer than eight, as if zeros followed. Byte by byte in memory, by shifts here: a call
 * would cost more. */
static inline uint64_t load_rest(const uint8_t *p, size_t n)
{
    uint64_t sum = 0;
    if (n & 4) {
        uint32_t w;
        memcpy(&w, p, 4);
        sum += w;
        p += 4;
    }
    if (n & 2) {
        uint16_t w;
        memcpy(&w, p, 2);
        sum += w;
        p += 2;
    }
    if (n & 1) {
        uint8_t last[2] = {*p, 0};
        uint16_t w;
        memcpy(&w, last, 2);
        sum += w;
    }
    return sum;
}

/* One's complement addition does not care about byte order (RFC 1071 2 (B)): words are added as they lie in memory and
 * only the result is turned. Nor about word size: a carry out of 128 bits is worth one, as any other. Where a compiler has
 * numbers of that size it makes of the sum and its carries three instructions for sixteen bytes, which is as good as the
 * vectors that every machine has, and asks nothing of it. */
#ifdef __SIZEOF_INT128__
struct wide_sum {
    unsigned __int128 low;
    uint64_t carries; /* out of `low` */
};

static inline void add_wide(struct wide_sum *s, const uint8_t *p)
{
    unsigned __int128 w;
    memcpy(&w, p, 16);
    s->low += w;
    s->carries += s->low < w;
}

static inline uint64_t wide_halves(const struct wide_sum *s)
{
    const struct checksum_sum upper = {.low = (uint64_t)(s->low >> 64), .carries = s->carries};
    return checksum_halves(&upper) + ((uint64_t)s->low >> 32) + ((uint64_t)s->low & 0xffffffffu);
}
#else
struct wide_sum {
    struct checksum_sum sum;
};

static inline void add_wide(struct wide_sum *s, const uint8_t *p)
{
    checksum_add_word(&s->sum, p);
    checksum_add_word(&s->sum, p + 8);
}

static inline uint64_t wide_halves(const struct wide_sum *s)
{
    return checksum_halves(&s->sum);
}
#endif

uint64_t checksum_words(const void *data, size_t n)
{
    const uint8_t *p = data;
    struct wide_sum wide = {0};
    for (; n >= 64; n -= 64, p += 64) {
        add_wide(&wide, p);
        add_wide(&wide, p + 16);
        add_wide(&wide, p + 32);
        add_wide(&wide, p + 48);
    }
    struct checksum_sum s = {0};
    for (; n >= 8; n -= 8, p += 8)
        checksum_add_word(&s, p);
    return wide_halves(&wide) + checksum_halves(&s) + load_rest(p, n);
}

/* Each half is added to the other: the upper one then holds their sum, with the carry added at its end. */
static uint16_t fold(uint64_t sum)
{
    sum += sum << 32 | sum >> 32;
    uint32_t half = (uint32_t)(sum >> 32);
    half += half << 16 | half >> 16;
    return (uint16_t)(half >> 16);
}

static uint16_t swap(uint16_t v)
{
    return (uint16_t)(v << 8 | v >> 8);
}

static bool little_endian(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 1;
}

void checksum_add(struct checksum *c, const void *data, size_t n)
{
    uint64_t part = checksum_words(data, n);
    c->sum += c->odd ? swap(fold(part)) : part;
    if (n & 1)
        c->odd = !c->odd;
}

void checksum_add_u16(struct checksum *c, uint16_t v)
{
    c->sum += little_endian() ? swap(v) : v;
}

void checksum_add_pseudo(struct checksum *c, const struct ipaddr *src, const struct ipaddr *dst, uint8_t proto,
                         uint32_t len)
{
    /* The mapped form of an IPv4 address adds 0xffff to its four bytes, which is nothing in one's complement. */
    struct checksum_sum s = {0};
    checksum_add_word(&s, src->b);
    checksum_add_word(&s, src->b + 8);
    checksum_add_word(&s, dst->b);
    checksum_add_word(&s, dst->b + 8);
    c->sum += checksum_halves(&s);
    /* Both are below 2^17, and their sum below 2^18. */
    uint32_t rest = (len >> 16) + (len & 0xffffu) + proto;
    checksum_add_u16(c, (uint16_t)((rest >> 16) + (rest & 0xffffu)));
}

uint16_t checksum_fold(const struct checksum *c)
{
    uint16_t v = fold(c->sum);
    return little_endian() ? swap(v) : v;
}
