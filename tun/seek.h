/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asking who has an address: ARP requests and neighbour solicitations, for workstations that have not said anything yet.
 *
 * What others need of this is tun_seek(). Here is what is remembered: whom we asked for, and when. Only an answer of somebody
 * who was asked for binds an address, and as everywhere (tun/hosts.h) it takes none away from its owner.
 */
#ifndef CLOISTER_TUN_SEEK_H
#define CLOISTER_TUN_SEEK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ipaddr.h"

#define SEEK_ADDRESSES 32u  /* addresses at once */
#define SEEK_TRIES 3u       /* RFC 4861 10, MAX_MULTICAST_SOLICIT */
#define SEEK_EVERY 1000000u /* microseconds between two; RFC 1122 2.3.2.1, RFC 4861 10 */

struct seek_entry {
    struct ipaddr addr;
    uint64_t at;    /* when it was asked for, or given up; microseconds */
    uint32_t asked; /* how often; 0: the entry is free, more than SEEK_TRIES: given up */
};

struct seek {
    struct seek_entry entry[SEEK_ADDRESSES];
};

/* Somebody wants to know where `addr` is, which is not bound. 1: ask for it now; -EAGAIN: it was asked for and may answer yet;
 * -EHOSTUNREACH: it does not answer, which holds for SEEK_EVERY; -ENOBUFS: too many are asked for. */
int seek_step(struct seek *seek, const struct ipaddr *addr, uint64_t now);

/* True if an answer of `addr` is waited for. */
bool seek_waits(const struct seek *seek, const struct ipaddr *addr);

/* It is known now, or no longer of interest. */
void seek_forget(struct seek *seek, const struct ipaddr *addr);

#endif
