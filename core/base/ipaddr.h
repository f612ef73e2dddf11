/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One type for IPv4 and IPv6 addresses: sixteen bytes, IPv4 in its mapped form (RFC 4291 2.5.5.2).
 *
 * The mapped form is internal only. An IPv6 *packet* that carries a mapped address is refused where packets
 * are parsed, so no workstation can use one notation to reach what the other is denied.
 */
#ifndef CLOISTER_BASE_IPADDR_H
#define CLOISTER_BASE_IPADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct ipaddr {
    uint8_t b[16]; /* network order; ::ffff:a.b.c.d for IPv4 */
};

/* An address range. `len` counts bits of the 16-byte form: an IPv4 /18 has len 96 + 18. */
struct ipnet {
    struct ipaddr addr;
    uint8_t len; /* 0 to 128 */
};

static inline struct ipaddr ipaddr_v4(const uint8_t b[4])
{
    struct ipaddr a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}};
    memcpy(a.b + 12, b, 4);
    return a;
}

static inline struct ipaddr ipaddr_v6(const uint8_t b[16])
{
    struct ipaddr a;
    memcpy(a.b, b, 16);
    return a;
}

static inline bool ipaddr_is_v4(const struct ipaddr *a)
{
    static const uint8_t prefix[4] = {0, 0, 0xff, 0xff};
    uint64_t zeros;
    uint32_t rest, mapped;
    memcpy(&zeros, a->b, 8);
    memcpy(&rest, a->b + 8, 4);
    memcpy(&mapped, prefix, 4);
    return zeros == 0 && rest == mapped;
}

/* Word by word: this is asked for every packet, and a call would cost more. */
static inline bool ipaddr_equal(const struct ipaddr *a, const struct ipaddr *b)
{
    uint64_t x[2], y[2];
    memcpy(x, a->b, 16);
    memcpy(y, b->b, 16);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

/* True if `a` lies in `net`. Bits of net->addr past net->len do not matter. */
static inline bool ipnet_contains(const struct ipnet *net, const struct ipaddr *a)
{
    unsigned whole = net->len / 8u;
    unsigned rest = net->len % 8u;
    if (memcmp(net->addr.b, a->b, whole) != 0)
        return false;
    if (rest == 0)
        return true;
    return ((net->addr.b[whole] ^ a->b[whole]) >> (8 - rest)) == 0;
}

#endif
