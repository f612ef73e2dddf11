/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/range.h"

#include <stddef.h>
#include <string.h>

#define V4(a, b, c, d, length)                                                                                     \
    {                                                                                                              \
        {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}}, 96 + (length)                                    \
    }

/* IPv4: everything is the Internet's but these. */
static const struct ipnet not_internet4[] = {
    V4(0, 0, 0, 0, 8),      /* this network (RFC 791) */
    V4(10, 0, 0, 0, 8),     /* private (RFC 1918) */
    V4(100, 64, 0, 0, 10),  /* shared by carriers and their customers (RFC 6598) */
    V4(127, 0, 0, 0, 8),    /* loopback (RFC 1122) */
    V4(169, 254, 0, 0, 16), /* link-local (RFC 3927), and where clouds answer their machines */
    V4(172, 16, 0, 0, 12),  /* private (RFC 1918) */
    V4(192, 0, 0, 0, 24),   /* protocol assignments (RFC 6890) */
    V4(192, 88, 99, 0, 24), /* once the nearest 6to4 relay (RFC 7526) */
    V4(192, 168, 0, 0, 16), /* private (RFC 1918) */
    V4(224, 0, 0, 0, 3),    /* multicast (RFC 5771), reserved and broadcast */
};

/* IPv6: nothing is the Internet's but this ... */
static const struct ipnet internet6 = {{{0x20}}, 3};

/* ... without these, which carry an IPv4 address. (Those of RFC 6052, 64:ff9b::/96, are outside of it anyhow.) */
static const struct ipnet not_internet6[] = {
    {{{0x20, 0x01}}, 32}, /* Teredo (RFC 4380) */
    {{{0x20, 0x02}}, 16}, /* 6to4 (RFC 3056) */
};

static bool is_in(const struct ipnet *nets, size_t count, const struct ipaddr *a)
{
    for (size_t i = 0; i < count; i++) {
        if (ipnet_contains(&nets[i], a))
            return true;
    }
    return false;
}

bool range_is_internet(const struct ipaddr *a)
{
    if (ipaddr_is_v4(a))
        return !is_in(not_internet4, sizeof(not_internet4) / sizeof(not_internet4[0]), a);
    return ipnet_contains(&internet6, a) &&
           !is_in(not_internet6, sizeof(not_internet6) / sizeof(not_internet6[0]), a);
}

bool range_name_is_address(const char *name)
{
    size_t end = strlen(name);
    if (end > 0 && name[end - 1] == '.')
        end--;
    size_t start = end;
    while (start > 0 && name[start - 1] != '.')
        start--;
    const char *label = name + start;
    size_t n = end - start;
    if (n >= 2 && label[0] == '0' && (label[1] | 0x20) == 'x') {
        for (size_t i = 2; i < n; i++) {
            char c = (char)(label[i] | 0x20);
            if (!((c >= '0' && c <= '9' && c == label[i]) || (c >= 'a' && c <= 'f')))
                return false;
        }
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        if (label[i] < '0' || label[i] > '9')
            return false;
    }
    return n > 0;
}
