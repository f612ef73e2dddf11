/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lookups through Tor: those under way, with the queries that wait for them, and what was found, for a while.
 *
 * Queries of one identity for the same thing share one lookup. Queries of two identities share nothing: neither the
 * stream, nor the answer, nor the time it takes. The essay is in lookup.c.
 */
#ifndef CLOISTER_DNS_LOOKUP_H
#define CLOISTER_DNS_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "dns/message.h"
#include "dns/name.h"

enum dns_transport {
    DNS_UDP,
    DNS_TCP, /* a message without its length prefix (RFC 7766 8); the framing is the caller's */
};

/* Who asks, and how. */
struct dns_client {
    uint64_t identity; /* lookups and their answers are shared among clients of one identity only, */
    uint64_t nym;      /* and of one number of times that it was to be a new one */
    uint32_t host;     /* the workstation's number */
    uint8_t policy;    /* how its lookups are kept apart, for dns_ops.ask; and shared only if it is equal */
    enum dns_transport transport; /* what limits the size of the answer */
    struct ipaddr addr, asked;    /* UDP: the client's address, and that of the server it asked */
    uint16_t port;                /* UDP: the client's port */
    uint32_t number;              /* whatever the caller knows it by; not used here, */
    uint32_t generation;          /* as little as this */
};

enum dns_lookup_kind {
    DNS_LOOKUP_NONE,
    DNS_LOOKUP_HOST,    /* the address of a name */
    DNS_LOOKUP_REVERSE, /* the name of an address */
    DNS_LOOKUP_RECORDS, /* records of any other type, as a server sends them */
};

enum dns_lookup_flag {
    DNS_LOOKUP_EDNS = 1 << 0, /* the client speaks EDNS */
    DNS_LOOKUP_DO = 1 << 1,   /* and wants DNSSEC's records */
    DNS_LOOKUP_CD = 1 << 2,   /* checking disabled */
    DNS_LOOKUP_RD = 1 << 3,   /* recursion desired */
};

/* What is looked up, for whom. */
struct dns_lookup_key {
    uint64_t identity;
    uint64_t nym;
    uint32_t host;
    enum dns_lookup_kind kind;
    uint16_t type;        /* of the records; 0 for the other kinds */
    uint8_t flags;        /* set of enum dns_lookup_flag; 0 for the other kinds */
    uint8_t policy;       /* the client's */
    struct dns_name name; /* in lower case */
};

/* What was found. */
struct dns_lookup_result {
    enum dns_rcode rcode;   /* NOERROR, NXDOMAIN, SERVFAIL */
    struct ipaddr addr;     /* of a HOST that was found */
    struct dns_name target; /* of a REVERSE that was found */
};

/* A query that waits. */
struct dns_waiter {
    struct dns_query query;
    struct dns_client client;
};

struct dns_lookups_config {
    uint32_t lookups;   /* under way and remembered, 64 to POOL_MAX_SLOTS (base/pool.h) */
    uint32_t asking;    /* of these, under way */
    uint32_t waiters;   /* queries that wait */
    uint32_t max_hosts; /* workstation numbers, 1 to 65535 */
    uint64_t patience;  /* microseconds a query waits at most */
    uint8_t secret[16]; /* for the hash table */
};

struct dns_lookups;

/* Bytes of memory that `config` needs; 0 if it is out of range. */
size_t dns_lookups_size(const struct dns_lookups_config *config);

/* Build in `memory`: zeroed, 64-byte aligned, dns_lookups_size() bytes, owned by the caller. */
struct dns_lookups *dns_lookups_init(void *memory, const struct dns_lookups_config *config);

/* The lookup of `key` that is under way or still remembered; 0 if there is none. A handle is good until
 * dns_lookup_end(), and while nothing is begun also if the lookup is not under way. */
uint32_t dns_lookup_find(struct dns_lookups *lookups, const struct dns_lookup_key *key, uint64_t now);

/* Begin the lookup of `key`, of which there is none. 0 if there is no room, in all or for this workstation. */
uint32_t dns_lookup_begin(struct dns_lookups *lookups, const struct dns_lookup_key *key);

/* What is looked up. */
const struct dns_lookup_key *dns_lookup_key(const struct dns_lookups *lookups, uint32_t handle);

/* How often it was begun anew, counted by the caller. */
uint32_t *dns_lookup_attempt(struct dns_lookups *lookups, uint32_t handle);

/* What was found; NULL while it is under way. *ttl: how long it is remembered yet, seconds, at least 1. */
const struct dns_lookup_result *dns_lookup_result(const struct dns_lookups *lookups, uint32_t handle, uint64_t now,
                                                  uint32_t *ttl);

/* Let a query wait for a lookup that is under way. 0; -EALREADY if it is a repetition, over UDP, of one that waits;
 * -ENOBUFS if too many wait: for this lookup, in all, or of this workstation. */
int dns_lookup_wait(struct dns_lookups *lookups, uint32_t handle, const struct dns_query *query,
                    const struct dns_client *client, uint64_t now);

/* Take the query that has waited longest. False if none waits. */
bool dns_lookup_take(struct dns_lookups *lookups, uint32_t handle, struct dns_waiter *waiter);

/* It was found: remember `result` for `ttl` seconds, at least 1. Nobody waits any more. */
void dns_lookup_found(struct dns_lookups *lookups, uint32_t handle, const struct dns_lookup_result *result,
                      uint32_t ttl, uint64_t now);

/* Forget a lookup for which nobody waits. */
void dns_lookup_end(struct dns_lookups *lookups, uint32_t handle);

/* A lookup whose first query has waited too long by `now`; 0 if there is none. Take all its queries, then ask again. */
uint32_t dns_lookups_overdue(const struct dns_lookups *lookups, uint64_t now);

/* When that is worth asking next, in *at; false if nothing waits. */
bool dns_lookups_next(const struct dns_lookups *lookups, uint64_t *at);

/* Some lookup of a workstation, under way or not; 0 if there is none. */
uint32_t dns_lookups_of_host(const struct dns_lookups *lookups, uint32_t host);

/* Now: lookups in memory, of these under way, and queries that wait. */
struct dns_lookups_count {
    uint32_t lookups, asking, waiting;
};
struct dns_lookups_count dns_lookups_count(const struct dns_lookups *lookups);

#endif
