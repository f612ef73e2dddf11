/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The workstations: which MAC address an IP address belongs to, and the small number by which the rest of the
 * program calls the pair. One MAC may have several addresses, of both families: together they are a station, which has a
 * number too, for what a workstation asks over one address and uses over another.
 *
 * An address belongs to the MAC address that used it first, until it has been idle for a time; a frame with the
 * same address from another MAC gets no identity and no answer. One MAC may hold a few addresses, not all of them.
 */
#ifndef CLOISTER_TUN_HOSTS_H
#define CLOISTER_TUN_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/drop.h"
#include "base/ipaddr.h"
#include "base/siphash.h"
#include "tun/frame.h"

struct hosts_config {
    uint32_t max_hosts;   /* addresses in all, 1 to 65535 */
    uint32_t max_per_mac; /* addresses that one MAC may hold at once, at least 1 */
    uint64_t idle;        /* microseconds without a frame after which another MAC may take an address */
    bool listed;          /* only addresses that are held for good are anybody's */
    uint8_t secret[16];   /* for the hash tables */
};

/* What the table asks of its surroundings. */
struct hosts_ops {
    /* True if the host still has flows: then its number is not taken away to make room for another address. */
    bool (*busy)(void *ctx, uint32_t host);
    /* The number names a binding now, of this station; it has no flows. May be NULL. */
    void (*bound)(void *ctx, uint32_t host, uint32_t station);
    /* The number is about to name somebody else, or nobody: reset its flows, forget what is kept under it. The old
     * binding still stands while this runs, so that resets reach their owner. */
    void (*gone)(void *ctx, uint32_t host);
    /* The same for a station's number: its last address is gone. May be NULL. */
    void (*station_gone)(void *ctx, uint32_t station);
};

/* One binding. */
struct host {
    struct ipaddr addr;
    uint64_t seen;      /* when it last sent a frame, microseconds; 0 = never: it was held from the start */
    uint64_t held;      /* until then it is not idle, however long it is silent: it has a lease. Microseconds */
    uint64_t serial;    /* never used again for another binding; 0 = this number is free */
    uint32_t next_addr; /* next of the same hash of addr, + 1; 0 at the end */
    uint32_t next_mac;  /* next of the same station, + 1; 0 at the end */
    uint32_t station;   /* number of the station that has it, below max_hosts */
    uint8_t mac[FRAME_MAC_LEN];
};

/* All addresses of one MAC address, IPv4 and IPv6, are one station. */
struct station {
    uint32_t first; /* of its bindings, + 1; 0 = this number is free */
    uint32_t next;  /* next of the same hash of mac, or next that is free, + 1; 0 at the end */
    uint32_t held;  /* bindings */
    uint64_t told;  /* hosts_may_be_told(): when all it was told would have been, at an even rate, microseconds */
    uint8_t mac[FRAME_MAC_LEN];
};

struct hosts {
    struct host *host;       /* max_hosts of them */
    uint32_t *by_addr;       /* heads of chains by address, + 1 */
    struct station *station; /* max_hosts of them */
    uint32_t *by_mac;        /* heads of chains of stations by MAC, + 1 */
    uint32_t mask;           /* heads - 1, a power of two less one */
    uint32_t max_hosts;      /* as configured */
    uint32_t max_per_mac;    /* as configured */
    uint32_t used;           /* bindings now */
    uint32_t last;           /* the binding found last, tried first */
    uint32_t free_list;      /* a number that was given back, + 1, chained by next_addr; 0 = none */
    uint32_t fresh;          /* numbers from here on were never used */
    uint32_t free_station;   /* the same two for stations */
    uint32_t fresh_station;
    uint32_t hand;          /* where the next search for a binding to evict begins */
    uint64_t idle;          /* as configured */
    uint64_t next_serial;   /* for the next binding */
    bool listed;            /* as configured */
    struct siphash_key key; /* for both hashes */
    struct hosts_ops ops;
    void *ctx; /* for ops */
};

/* Set up an empty table. `ops` is copied. 0, -EINVAL for a configuration out of range, or -ENOMEM. */
int hosts_init(struct hosts *hosts, const struct hosts_config *config, const struct hosts_ops *ops, void *ctx);

/* Free what hosts_init() allocated. No callback is called. */
void hosts_fini(struct hosts *hosts);

/* A frame came from `mac` with source address `addr`, at `now` microseconds: find or make the binding. DROP_NONE
 * and its number (0 to max_hosts - 1) in *number; DROP_IP_SOURCE if the address belongs to another MAC; DROP_IP_UNLISTED if it is not listed;
 * DROP_HOST_TABLE if there is no room for one more. Whether the address is one that a workstation may have is for
 * the caller to check before. */
enum drop hosts_bind(struct hosts *hosts, const struct ipaddr *addr, const uint8_t mac[FRAME_MAC_LEN], uint64_t now,
                     uint32_t *number);

/* True if `mac` could be bound to `addr` as far as other owners and the list go: it is nobody's, idle, or its own. */
bool hosts_is_free(const struct hosts *hosts, const struct ipaddr *addr, const uint8_t mac[FRAME_MAC_LEN],
                   uint64_t now);

/* Bind as hosts_bind() does, and keep it so until the time `until`. UINT64_MAX is for good: it is listed then, and nothing
 * that is said later shortens that. DROP_NONE, or a reason as there. */
enum drop hosts_hold(struct hosts *hosts, const struct ipaddr *addr, const uint8_t mac[FRAME_MAC_LEN], uint64_t now,
                     uint64_t until);

/* If `addr` is bound to `mac` and not for good, it is no longer. */
void hosts_release(struct hosts *hosts, const struct ipaddr *addr, const uint8_t mac[FRAME_MAC_LEN]);

/* True if `addr` is bound to `mac`. Changes nothing. */
bool hosts_is_bound(const struct hosts *hosts, const struct ipaddr *addr, const uint8_t mac[FRAME_MAC_LEN]);

/* May the workstation with this number be told one more thing that it did not ask for? Its station's allowance: 50 a
 * second, 100 at once (RFC 1812 4.3.2.8, 4443 2.4 f). */
bool hosts_may_be_told(struct hosts *hosts, uint32_t number, uint64_t now);

/* The number of the binding of `addr`, or UINT32_MAX. */
uint32_t hosts_find(const struct hosts *hosts, const struct ipaddr *addr);

/* The binding with this number, or NULL if there is none. Good until the next hosts_bind(). */
const struct host *hosts_at(const struct hosts *hosts, uint32_t number);

/* The station with this number, or NULL if there is none; its bindings are hosts_at(first - 1) and on by next_mac. As good. */
const struct station *hosts_station_at(const struct hosts *hosts, uint32_t number);

#endif
