/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Multicast listener discovery (RFC 3810, 2710), as far as a listener needs it: neighbours find the gateway by groups, and
 * a switch that was asked to spare its ports (RFC 4541) brings a group's packets only to who said that he listens.
 *
 * It is said when the link comes up, and whenever a querier asks. A query only brings the next report forward, and no two
 * are closer than MLD_GAP, so that many queries cost no more than few.
 */
#ifndef CLOISTER_TUN_MLD_H
#define CLOISTER_TUN_MLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/drop.h"
#include "base/ipaddr.h"
#include "base/siphash.h"
#include "tun/icmp.h"
#include "tun/ipv6.h"
#include "tun/packet.h"

#define MLD_QUERY 130u                  /* ICMPv6 type */
#define MLD_HOP_LIMIT 1u                /* of all messages */
#define MLD_GROUPS_MAX 3u               /* that a gateway listens to */
#define MLD_GAP UINT64_C(1000000)       /* microseconds */
#define MLD_DELAY_MAX UINT64_C(5000000) /* microseconds that an answer waits at most, whatever a query permits */

/* Bytes of a report behind the IPv6 header: the hop-by-hop header that marks it for routers, ICMPv6, and a record of 20
 * for each group. */
#define MLD_REPORT_MAX (8u + ICMP_HEADER_LEN + MLD_GROUPS_MAX * 20u)

/* When to report. All zero: never. */
struct mld_schedule {
    bool running;
    bool pending;           /* somebody asked: */
    bool old;               /* by version 1, which is answered in kind */
    uint64_t next;          /* when the answer is due, microseconds */
    uint64_t last;          /* when the last report was made */
    uint64_t drawn;         /* random numbers so far */
    struct siphash_key key; /* from which they come */
};

/* The groups of a gateway, `router` if it advertises itself as one. Returns how many. */
unsigned mld_groups(const struct ipv6_scope *scope, bool router, struct ipaddr groups[MLD_GROUPS_MAX]);

/* Write a report (version 2) about `count` groups at `at`, to go from `src` to *dst. Returns its length. */
size_t mld_build_report(uint8_t *at, const struct ipaddr *src, const struct ipaddr *groups, unsigned count,
                        struct ipaddr *dst);

/* The same of version 1, which is about one group. */
size_t mld_build_old_report(uint8_t *at, const struct ipaddr *src, const struct ipaddr *group, struct ipaddr *dst);

/* The link came up, and a report was made. */
void mld_start(struct mld_schedule *schedule, const uint8_t secret[16], uint64_t now);

/* A query came, its checksum was right; schedule the answer. DROP_NONE; DROP_NDP_BAD if it is malformed or comes from
 * another link, DROP_NDP_OTHER if there is nothing to say. */
enum drop mld_query(struct mld_schedule *schedule, const struct packet *packet, const struct icmp *icmp,
                    uint64_t now);

/* True if a report is due: then none is pending any more. */
bool mld_is_due(struct mld_schedule *schedule, uint64_t now);

/* When one will be, in *at; false if nobody waits for it. */
bool mld_next(const struct mld_schedule *schedule, uint64_t *at);

#endif
