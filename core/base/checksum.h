/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Internet checksum (RFC 1071), as a running sum over several pieces.
 *
 * A piece of odd length shifts the bytes of the next one; `struct checksum` keeps track of that, so pieces
 * of any length and alignment may follow one another.
 */
#ifndef CLOISTER_BASE_CHECKSUM_H
#define CLOISTER_BASE_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ipaddr;

struct checksum {
    uint64_t sum; /* of native-order 16-bit words, not folded */
    bool odd;     /* an odd number of bytes was added so far */
};

/* Add `n` bytes at any alignment. */
void checksum_add(struct checksum *c, const void *data, size_t n);

/* Add one 16-bit value in host order, as if its two big-endian bytes followed. Only when an even number of
 * bytes was added so far. */
void checksum_add_u16(struct checksum *c, uint16_t v);

/* Add the pseudo header of RFC 9293 3.1 or RFC 8200 8.1: both addresses, protocol and upper-layer length.
 * The family is that of `src`. */
void checksum_add_pseudo(struct checksum *c, const struct ipaddr *src, const struct ipaddr *dst, uint8_t proto,
                         uint32_t len);

/* A sum of 64-bit words. */
struct checksum_sum {
    uint64_t low;
    uint64_t carries; /* out of `low` */
};

static inline void checksum_add_word(struct checksum_sum *s, const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
    s->low += w;
    s->carries += s->low < w;
}

/* The same as one of 32-bit words, which leaves room for 2^30 of its kind. */
static inline uint64_t checksum_halves(const struct checksum_sum *s)
{
    return (s->low >> 32) + (s->low & 0xffffffffu) + s->carries;
}

/* The sum of the words of `n` bytes as they lie in memory, followed by a zero byte if `n` is odd: for who folds it
 * without asking for the order of bytes (RFC 1071 2 (B)). Below 2^56, so that some may be added. */
uint64_t checksum_words(const void *data, size_t n);

/* The same of 32 bytes: a TCP header with timestamps, or two addresses. */
static inline uint64_t checksum_words_of_32(const uint8_t *p)
{
    struct checksum_sum s = {0};
    checksum_add_word(&s, p);
    checksum_add_word(&s, p + 8);
    checksum_add_word(&s, p + 16);
    checksum_add_word(&s, p + 24);
    return checksum_halves(&s);
}

/* The folded sum, NOT complemented, in the order in which it is stored by be16_store(). */
uint16_t checksum_fold(const struct checksum *c);

/* The checksum to store: complement of the folded sum. A message that carries a right checksum sums up to a
 * folded value of 0xffff. */
static inline uint16_t checksum_finish(const struct checksum *c)
{
    return (uint16_t)~checksum_fold(c);
}

#endif
