/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/checksum.h"

#include <string.h>

#include "base/ipaddr.h"

/* One's complement addition does not care about byte order (RFC 1071 2 (B)): words are added as they lie in
 * memory and only the result is turned. 32-bit words into a 64-bit sum leave room for 2^32 of them before a
 * carry is lost, and compilers turn the loop into vector instructions. */
static uint64_t sum_words(const uint8_t *p, size_t n)
{
    uint64_t sum = 0;
    uint32_t w;
    for (; n >= 4; n -= 4, p += 4) {
        memcpy(&w, p, 4);
        sum += w;
    }
    if (n > 0) {
        w = 0;
        memcpy(&w, p, n);
        sum += w;
    }
    return sum;
}

static uint16_t fold(uint64_t sum)
{
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = (sum & 0xffffu) + (sum >> 16);
    return (uint16_t)sum;
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
    uint16_t part = fold(sum_words(data, n));
    c->sum += c->odd ? swap(part) : part;
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
    for (size_t i = 0; i < sizeof(src->b); i += 4) {
        uint32_t s, d;
        memcpy(&s, src->b + i, 4);
        memcpy(&d, dst->b + i, 4);
        c->sum += (uint64_t)s + d;
    }
    checksum_add_u16(c, proto);
    checksum_add_u16(c, (uint16_t)(len >> 16));
    checksum_add_u16(c, (uint16_t)len);
}

uint16_t checksum_fold(const struct checksum *c)
{
    uint16_t v = fold(c->sum);
    return little_endian() ? swap(v) : v;
}
