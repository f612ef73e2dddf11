/* SPDX-License-Identifier: BSD-3-Clause */
#include "dns/sha3.h"

#include <string.h>

#define ROUNDS 24u
#define RATE 136u /* bytes absorbed at a time: 200 less twice the digest */

/* FIPS 202 3.2.5 */
static const uint64_t iota[ROUNDS] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

static uint64_t rotl(uint64_t v, unsigned n)
{
    return n == 0 ? v : v << n | v >> (64 - n);
}

/* The permutation Keccak-f[1600], its steps named as in FIPS 202 3.2. Lane (x, y) is a[x + 5 * y]. */
static void permute(uint64_t a[25])
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t c[5]; /* theta */
        for (unsigned x = 0; x < 5; x++)
            c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        for (unsigned i = 0; i < 25; i++)
            a[i] ^= c[(i + 4) % 5] ^ rotl(c[(i + 1) % 5], 1);

        unsigned x = 1, y = 0; /* rho and pi: the lanes change places along one long cycle */
        uint64_t moving = a[1];
        for (unsigned t = 0; t < 24; t++) {
            unsigned next = (2 * x + 3 * y) % 5;
            x = y;
            y = next;
            uint64_t there = a[x + 5 * y];
            a[x + 5 * y] = rotl(moving, (t + 1) * (t + 2) / 2 % 64);
            moving = there;
        }

        for (unsigned row = 0; row < 25; row += 5) { /* chi */
            uint64_t old[5];
            memcpy(old, a + row, sizeof(old));
            for (unsigned i = 0; i < 5; i++)
                a[row + i] = old[i] ^ (~old[(i + 1) % 5] & old[(i + 2) % 5]);
        }
        a[0] ^= iota[round];
    }
}

static void mix(uint64_t a[25], size_t at, uint8_t v)
{
    a[at / 8] ^= (uint64_t)v << (at % 8 * 8);
}

void sha3_256(const void *data, size_t n, uint8_t digest[SHA3_256_SIZE])
{
    const uint8_t *p = data;
    uint64_t a[25] = {0};
    size_t at = 0;
    for (; n > 0; n--) {
        mix(a, at++, *p++);
        if (at == RATE) {
            permute(a);
            at = 0;
        }
    }
    mix(a, at, 0x06); /* the suffix of SHA-3 and the padding's first bit (FIPS 202 6.1, B.2) */
    mix(a, RATE - 1, 0x80);
    permute(a);
    for (size_t i = 0; i < SHA3_256_SIZE; i++)
        digest[i] = (uint8_t)(a[i / 8] >> (i % 8 * 8));
}
