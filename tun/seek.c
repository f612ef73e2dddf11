/* SPDX-License-Identifier: BSD-3-Clause */
/*
 *     free --wanted--> asked 1 --1 s--> asked 2 --1 s--> asked 3 --1 s--> given up --1 s, wanted--> asked 1
 *
 * There is no timer: who wants to know asks again, and if nobody does, nothing is sent. An entry of something that nobody
 * asked about for that long is free for another.
 */
#include "tun/seek.h"

#include <errno.h>
#include <stddef.h>

#define GIVEN_UP (SEEK_TRIES + 1)
#define FORGOTTEN_AFTER (10 * SEEK_EVERY) /* microseconds */

/* The number of the entry, or SEEK_ADDRESSES. */
static uint32_t find(const struct seek *seek, const struct ipaddr *addr)
{
    uint32_t i = 0;
    while (i < SEEK_ADDRESSES && (seek->entry[i].asked == 0 || !ipaddr_equal(&seek->entry[i].addr, addr)))
        i++;
    return i;
}

static struct seek_entry *find_free(struct seek *seek, uint64_t now)
{
    for (uint32_t i = 0; i < SEEK_ADDRESSES; i++) {
        struct seek_entry *e = &seek->entry[i];
        if (e->asked == 0 || now - e->at >= FORGOTTEN_AFTER)
            return e;
    }
    return NULL;
}

int seek_step(struct seek *seek, const struct ipaddr *addr, uint64_t now)
{
    uint32_t found = find(seek, addr);
    struct seek_entry *e = found < SEEK_ADDRESSES ? &seek->entry[found] : find_free(seek, now);
    if (e == NULL)
        return -ENOBUFS;
    if (found == SEEK_ADDRESSES) {
        *e = (struct seek_entry){.addr = *addr, .at = now, .asked = 1};
        return 1;
    }
    if (now - e->at < SEEK_EVERY)
        return e->asked == GIVEN_UP ? -EHOSTUNREACH : -EAGAIN;
    /* Long ago, and nobody went on: it begins anew. */
    if (e->asked == GIVEN_UP || now - e->at >= FORGOTTEN_AFTER)
        e->asked = 0;
    e->asked++;
    e->at = now;
    return e->asked == GIVEN_UP ? -EHOSTUNREACH : 1;
}

bool seek_waits(const struct seek *seek, const struct ipaddr *addr)
{
    uint32_t found = find(seek, addr);
    return found < SEEK_ADDRESSES && seek->entry[found].asked <= SEEK_TRIES;
}

void seek_forget(struct seek *seek, const struct ipaddr *addr)
{
    uint32_t found = find(seek, addr);
    if (found < SEEK_ADDRESSES)
        seek->entry[found] = (struct seek_entry){0};
}
