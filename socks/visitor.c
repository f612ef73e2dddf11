/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A permutation of the numbers of an even count of bits: four rounds of Feistel with a keyed hash. The first and the last address
 * of a range (RFC 4291 2.6.1 and 919 7 give them a meaning on a link) are not avoided: no link has this range.
 */
#include "socks/visitor.h"

#include "base/bytes.h"

#define ROUNDS 4u

static uint32_t permute(const struct siphash_key *key, unsigned bits, uint32_t number)
{
    const unsigned half = bits / 2;
    const uint32_t mask = (1u << half) - 1;
    uint32_t left = number >> half & mask, right = number & mask;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const uint32_t what[3] = {round, bits, right};
        uint32_t next = left ^ ((uint32_t)siphash_24(key, what, sizeof(what)) & mask);
        left = right;
        right = next;
    }
    return left << half | right;
}

struct ipaddr visitor_address(const struct siphash_key *key, const struct ipnet *range, uint32_t circuit)
{
    const unsigned free = 128u - range->len;
    const unsigned bits = free >= 32 ? 32 : free & ~1u;
    struct ipaddr addr = range->addr;
    /* What the prefix leaves is zero but for the lowest `bits`. */
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = range->len > 8 * i ? range->len - 8 * i : 0;
        addr.b[i] &= (uint8_t)(keep >= 8 ? 0xff : 0xff << (8 - keep));
    }
    be32_store(addr.b + 12, be32_load(addr.b + 12) | permute(key, bits, circuit));
    return addr;
}
