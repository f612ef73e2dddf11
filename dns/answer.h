/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the gateway answers to DNS queries: the one call for a query, and what a flow needs to know about the virtual
 * address it goes to.
 *
 * Sans-IO: no system call, no clock, no randomness, no allocation. Every answer is a function of the query, the table,
 * the time and the secret. `now` is in microseconds of a monotonic clock, as in tcp/engine.h.
 *
 * A workstation is known by `host`, a number below max_hosts. It must be the same number for every address, IPv4 or
 * IPv6, that one workstation has: it may ask over the one and connect over the other.
 */
#ifndef CLOISTER_DNS_ANSWER_H
#define CLOISTER_DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "base/ipaddr.h"
#include "dns/lookup.h"
#include "dns/message.h"
#include "dns/name.h"
#include "dns/virtual.h"

#define DNS_RESOLVE_MAX 256u /* bytes */

struct dns_config {
    struct ipnet virtual4; /* addresses for A; len 0: none, A is answered with NODATA */
    struct ipnet virtual6; /* addresses for AAAA; len 0: none, AAAA is answered with NODATA */
    uint32_t slots;        /* memory for names, in units of 64 bytes (a name of up to 28 characters takes one) */
    uint32_t max_hosts;    /* workstation numbers, 1 to 65535 */
    uint32_t ttl;          /* seconds clients may cache a virtual address */
    uint32_t negative_ttl; /* seconds for which a name that Tor said does not exist is NXDOMAIN */
    uint32_t host_rate;    /* queries per second and workstation; 0: no limit */
    uint32_t host_burst;   /* queries at once and workstation */
    uint32_t udp_max;      /* bytes of an answer over UDP at most, as fits the link; 512 to DNS_UDP_MAX */
    uint32_t lookups; /* memory for lookups through Tor, those that are remembered included; 0: there are none */
    bool resolve_all; /* find real addresses; otherwise only for the names within: */
    char
        resolve[DNS_RESOLVE_MAX]; /* names in lower case without a last dot, each ended by NUL, an empty one last */
    unsigned upstreams;           /* resolvers that ask() knows for other types than addresses, at most 2 */
    uint8_t secret[16];           /* for the hash tables and the order of addresses */
};

/* What is to be found out through Tor. */
struct dns_ask {
    uint32_t handle;   /* for dns_found() */
    uint32_t host;     /* for whom: its number, below max_hosts, */
    uint64_t identity; /* its identity, */
    uint64_t nym;      /* which is to be a new one for each number */
    uint8_t policy;    /* as struct dns_client has it */
    enum dns_lookup_kind kind;
    const char *name;     /* as text; to be looked up only if it is a HOST */
    struct ipaddr addr;   /* REVERSE */
    struct bytes message; /* RECORDS: what to send to the resolver */
    unsigned upstream;    /* RECORDS: to which one, from 0 */
};

enum dns_found_kind {
    DNS_FOUND_ADDRESS, /* an answer to HOST */
    DNS_FOUND_NAME,    /* an answer to REVERSE */
    DNS_FOUND_MESSAGE, /* an answer to RECORDS */
    DNS_FOUND_NOTHING, /* Tor says that there is no such name */
    DNS_FOUND_FAILURE, /* it could not be found out */
};

struct dns_found {
    enum dns_found_kind kind;
    struct ipaddr addr;
    struct bytes name;    /* text, not terminated; any bytes, it comes from a stranger */
    struct bytes message; /* the same */
};

/* What the answerer asks of its surroundings. None of these may call back. */
struct dns_ops {
    /* Begin to find something out. 0: dns_found() will be called once, later. Negative errno: it cannot be. What the
     * structure points to is good until this returns. */
    int (*ask)(void *ctx, const struct dns_ask *ask);
    /* What was asked under this handle is not wanted any more: dns_found() must not be called. */
    void (*forget)(void *ctx, uint32_t handle);
    /* The answer for which dns_answer() returned -EINPROGRESS. */
    void (*reply)(void *ctx, const struct dns_client *client, const uint8_t *message, size_t len);
    /* True if no workstation is to be told this address. NULL: they may be told all. */
    bool (*is_refused)(void *ctx, const struct ipaddr *addr);
};

struct dns_counters {
    uint64_t queries;     /* messages that came */
    uint64_t answered;    /* messages that were answered, whatever the answer */
    uint64_t addresses;   /* answers with a virtual address */
    uint64_t nonexistent; /* NXDOMAIN */
    uint64_t failed;      /* SERVFAIL */
    uint64_t refused;     /* FORMERR, NOTIMP, REFUSED, BADVERS */
    uint64_t lookups;     /* begun through Tor */
    uint64_t rebinding;   /* addresses found that no workstation is to be told */
    uint64_t late;        /* queries that were answered with SERVFAIL because they had waited too long */
};

struct dns;

/* Fill in the defaults: 10.192.0.0/10, no IPv6, 65536 slots, one workstation, TTL 60 s; the secret stays untouched. */
void dns_config_defaults(struct dns_config *config);

/* Bytes of memory the answerer needs; 0 if the configuration is out of range (dns_virtual_range_error() says what is
 * wrong with a range). */
size_t dns_size(const struct dns_config *config);

/* Build an answerer in `memory`: zeroed, 64-byte aligned, dns_size() bytes, owned by the caller and in use until the
 * answerer is no more. It begins not ready. */
struct dns *dns_init(void *memory, const struct dns_config *config);

/* Say who can look names up. Until then nothing can be. `ops` is copied. */
void dns_attach(struct dns *dns, const struct dns_ops *ops, void *ctx);

/* Say whether Tor is up. Until it is, whatever would need it is answered with SERVFAIL. */
void dns_set_ready(struct dns *dns, bool ready);

/* Answer one message. `out` has `size` bytes, at least DNS_UDP_MIN; over UDP at most DNS_UDP_MAX are used. Returns the
 * length of the answer; 0 if there is none, which is counted in dns_drops(); -EINPROGRESS if it comes later, through
 * dns_ops.reply. */
ssize_t dns_answer(struct dns *dns, struct bytes message, const struct dns_client *client, uint8_t *out,
                   size_t size, uint64_t now);

/* What dns_ops.ask was asked for is there. Waiting queries are answered. */
void dns_found(struct dns *dns, uint32_t handle, const struct dns_found *found, uint64_t now);

/* Answer what has waited too long. */
void dns_poll(struct dns *dns, uint64_t now);

/* When dns_poll() is to be called next, in *at; false if nothing waits. */
bool dns_next(const struct dns *dns, uint64_t *at);

/* True if `addr` lies in a virtual range: a flow there is to go to a name, or nowhere. */
bool dns_is_virtual(const struct dns *dns, const struct ipaddr *addr);

/* For a new flow of `host` to the virtual address `addr`: copy the name to `name` (NUL-terminated) and keep name and
 * address together until dns_unpin(). Returns a handle that is never 0; or 0 if the address was never given to this
 * workstation, or so long ago that it is forgotten: refuse the flow (DROP_DESTINATION_UNKNOWN). */
uint32_t dns_pin(struct dns *dns, uint32_t host, const struct ipaddr *addr, char name[DNS_TEXT_SIZE]);

/* The name behind a handle that is pinned. */
void dns_pinned_name(const struct dns *dns, uint32_t handle, char name[DNS_TEXT_SIZE]);

/* The flow is over. Once for each dns_pin() that returned a handle. */
void dns_unpin(struct dns *dns, uint32_t handle);

/* Tor said that the name behind a pinned handle does not exist: NXDOMAIN is answered for it for a while; or that it does:
 * that is over. An onion address, which was found well-formed, exists in any case, though the service be down. */
void dns_name_tried(struct dns *dns, uint32_t handle, bool exists, uint64_t now);

/* The number `host` is about to name another workstation: forget all that was answered to it. Its flows are to be reset
 * before, or their handles stay until they are unpinned. */
void dns_forget_host(struct dns *dns, uint32_t host);

const struct dns_counters *dns_counters(const struct dns *dns);
const struct drops *dns_drops(const struct dns *dns);
const struct dns_virtual_counters *dns_names(const struct dns *dns);

#endif
