/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/siphash.h"

#include <endian.h>
#include <string.h>

struct sip {
    uint64_t a, b, c, d;
};

static inline uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

/* Up to eight bytes as a little-endian number. With a constant `n` this is one load. */
static inline uint64_t le64(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return le64toh(v);
}

static inline void sip_round(struct sip *s)
{
    s->a += s->b;
    s->b = rotl(s->b, 13) ^ s->a;
    s->a = rotl(s->a, 32);
    s->c += s->d;
    s->d = rotl(s->d, 16) ^ s->c;
    s->a += s->d;
    s->d = rotl(s->d, 21) ^ s->a;
    s->c += s->b;
    s->b = rotl(s->b, 17) ^ s->c;
    s->c = rotl(s->c, 32);
}

static inline uint64_t siphash(const struct siphash_key *key, const uint8_t *p, size_t n, int compress, int finish)
{
    struct sip s = {
        key->k0 ^ 0x736f6d6570736575u,
        key->k1 ^ 0x646f72616e646f6du,
        key->k0 ^ 0x6c7967656e657261u,
        key->k1 ^ 0x7465646279746573u,
    };
    uint64_t last = (uint64_t)n << 56;

    for (; n >= 8; n -= 8, p += 8) {
        uint64_t m = le64(p, 8);
        s.d ^= m;
        for (int i = 0; i < compress; i++)
            sip_round(&s);
        s.a ^= m;
    }
    last |= n == 4 ? le64(p, 4) : le64(p, n);
    s.d ^= last;
    for (int i = 0; i < compress; i++)
        sip_round(&s);
    s.a ^= last;
    s.c ^= 0xff;
    for (int i = 0; i < finish; i++)
        sip_round(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}

struct siphash_key siphash_key_load(const uint8_t secret[16])
{
    return (struct siphash_key){le64(secret, 8), le64(secret + 8, 8)};
}

uint64_t siphash_24(const struct siphash_key *key, const void *data, size_t n)
{
    return siphash(key, data, n, 2, 4);
}

uint64_t siphash_13(const struct siphash_key *key, const void *data, size_t n)
{
    return siphash(key, data, n, 1, 3);
}
