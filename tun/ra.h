/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Router advertisements (RFC 4861 6.2, 8106): what they say, and when the next one is due.
 *
 * All go to all nodes. A solicitation only brings the next one forward, so that many at once cost no more than one, and
 * no solicitor decides where an advertisement goes.
 */
#ifndef CLOISTER_TUN_RA_H
#define CLOISTER_TUN_RA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "base/siphash.h"
#include "tun/frame.h"
#include "tun/icmp.h"

#define RA_LEN (ICMP_HEADER_LEN + 8u + 8u + 8u + 32u + 24u) /* bytes of an advertisement */
#define RA_LIFETIME 1800u                                   /* seconds: three times RA_INTERVAL_MAX */

/* Microseconds (RFC 4861 6.2.1, 10). */
#define RA_INTERVAL_MAX (600u * UINT64_C(1000000))
#define RA_INTERVAL_MIN (200u * UINT64_C(1000000))
#define RA_INITIAL_INTERVAL (16u * UINT64_C(1000000)) /* at most, between the first few */
#define RA_INITIAL_COUNT 3u
#define RA_DELAY (3u * UINT64_C(1000000)) /* at least, between any two */
#define RA_ANSWER_DELAY UINT64_C(500000)  /* at most, from a solicitation on */

/* What an advertisement says. */
struct ra_content {
    struct ipaddr router;       /* who sends it: link-local */
    struct ipaddr resolver;     /* who answers DNS */
    struct ipnet network;       /* what is on the link; a /64 is for hosts to make addresses in (RFC 4862) */
    uint32_t mtu;               /* of the link, bytes */
    uint8_t mac[FRAME_MAC_LEN]; /* the router's */
    uint16_t lifetime;          /* seconds as a default router and resolver; 0: no longer */
};

/* When. All zero: never. */
struct ra_schedule {
    bool running;
    bool sent;              /* once at least */
    uint64_t next;          /* when the next is due, microseconds */
    uint64_t last;          /* when the last one was sent */
    uint32_t count;         /* sent so far */
    uint64_t drawn;         /* random numbers so far */
    struct siphash_key key; /* from which they come */
};

/* Write an advertisement of RA_LEN bytes at `at`, to go to the address `dst`. */
void ra_build(uint8_t *at, const struct ra_content *content, const struct ipaddr *dst);

/* The link came up: the first is due now. */
void ra_start(struct ra_schedule *schedule, const uint8_t secret[16], uint64_t now);

/* Somebody asked: the next is due soon, if it was not anyway. */
void ra_solicit(struct ra_schedule *schedule, uint64_t now);

/* True if one is to be sent now; then the next is scheduled. */
bool ra_is_due(struct ra_schedule *schedule, uint64_t now);

/* When the next is due, in *at; false if never. */
bool ra_next(const struct ra_schedule *schedule, uint64_t *at);

#endif
