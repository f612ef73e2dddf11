/* SPDX-License-Identifier: BSD-3-Clause */
/* How the parts of one piece of memory lie in it: each at the beginning of a cache line. */
#ifndef CLOISTER_DNS_LAYOUT_H
#define CLOISTER_DNS_LAYOUT_H

#include <stddef.h>

#define DNS_ALIGNMENT 64u /* bytes */

/* The bytes that a part of `n` bytes takes. */
static inline size_t dns_layout_round_up(size_t n)
{
    return (n + DNS_ALIGNMENT - 1) / DNS_ALIGNMENT * DNS_ALIGNMENT;
}

#endif
