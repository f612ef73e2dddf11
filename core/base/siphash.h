/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SipHash (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).
 *
 * 2-4 where an attacker could gain from predicting the value (sequence numbers, isolation credentials), 1-3
 * for the hash tables, where he only must not be able to choose collisions.
 */
#ifndef CLOISTER_BASE_SIPHASH_H
#define CLOISTER_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t k0, k1;
};

/* A key from sixteen secret bytes (little-endian, as in the paper's test vectors). */
struct siphash_key siphash_key_load(const uint8_t secret[16]);

/* SipHash-2-4 of `n` bytes. */
uint64_t siphash_24(const struct siphash_key *key, const void *data, size_t n);

/* SipHash-1-3 of `n` bytes. */
uint64_t siphash_13(const struct siphash_key *key, const void *data, size_t n);

#endif
