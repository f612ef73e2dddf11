/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Range-checked view of bytes that came from somewhere else.
 *
 * Every access to a packet, a DNS message or a SOCKS answer goes through a `struct bytes`. A read past the
 * end does not happen and cannot be forgotten: it makes the view *spoilt*, every later read yields zero, and
 * the parser asks `bytes_ok()` once, before it believes anything it read.
 */
#ifndef CLOISTER_BASE_BYTES_H
#define CLOISTER_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A cursor over borrowed memory. The memory belongs to whoever made the view. */
struct bytes {
    const uint8_t *at; /* next byte to read */
    size_t left;       /* bytes from `at` to the end */
    bool spoilt;       /* a read went past the end */
};

/* Big-endian loads and stores at any alignment. The caller has checked the range. */
static inline uint16_t be16_load(const uint8_t *p)
{
    return (uint16_t)((uint16_t)p[0] << 8 | p[1]);
}

static inline uint32_t be32_load(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void be16_store(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void be32_store(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline struct bytes bytes_of(const void *p, size_t n)
{
    return (struct bytes){.at = p, .left = n, .spoilt = false};
}

/* True if every read so far was inside the view. */
static inline bool bytes_ok(const struct bytes *b)
{
    return !b->spoilt;
}

/* Take `n` bytes and return where they are, or NULL (and spoil the view) if there are fewer. */
static inline const uint8_t *bytes_take(struct bytes *b, size_t n)
{
    if (b->spoilt || n > b->left) {
        b->spoilt = true;
        b->left = 0;
        return NULL;
    }
    const uint8_t *p = b->at;
    b->at += n;
    b->left -= n;
    return p;
}

/* Take `n` bytes as a view of their own; an empty spoilt view if there are fewer. */
static inline struct bytes bytes_sub(struct bytes *b, size_t n)
{
    const uint8_t *p = bytes_take(b, n);
    if (p == NULL)
        return (struct bytes){.at = NULL, .left = 0, .spoilt = true};
    return bytes_of(p, n);
}

static inline uint8_t bytes_u8(struct bytes *b)
{
    const uint8_t *p = bytes_take(b, 1);
    return p != NULL ? p[0] : 0;
}

static inline uint16_t bytes_u16(struct bytes *b)
{
    const uint8_t *p = bytes_take(b, 2);
    return p != NULL ? be16_load(p) : 0;
}

static inline uint32_t bytes_u32(struct bytes *b)
{
    const uint8_t *p = bytes_take(b, 4);
    return p != NULL ? be32_load(p) : 0;
}

#endif
