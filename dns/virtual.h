/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtual addresses: a bounded table of (workstation, name) <-> address.
 *
 * Every workstation has a table of its own, as far as it can see: an address means something only to the workstation it
 * was given to, and which one it is says nothing about what others asked or how much. The essay is in virtual.c.
 */
#ifndef CLOISTER_DNS_VIRTUAL_H
#define CLOISTER_DNS_VIRTUAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "dns/name.h"

struct dns_virtual_config {
    struct ipnet net4; /* range for A, host bits zero; len 0 if there is none */
    struct ipnet net6; /* range for AAAA; len 0 if there is none */
    uint32_t
        slots; /* memory of the table in units of 64 bytes, 64 to POOL_MAX_SLOTS (base/pool.h); a name takes 1 to 5 */
    uint32_t max_hosts; /* workstation numbers, 1 to 65535 */
    uint8_t secret[16]; /* for the hash tables and the order of addresses */
};

struct dns_virtual_counters {
    uint64_t mapped;  /* names that got an address */
    uint64_t evicted; /* of these, those that were forgotten to make room */
    uint32_t names;   /* now */
    uint32_t pinned;  /* of these, those in use by a flow */
    uint32_t slots;   /* in use now */
};

struct dns_virtual;

/* NULL if `range` can serve as virtual range beside the network `used` (the workstation's; NULL for none), else why not,
 * as the end of a sentence ("overlaps the workstation network"). Static text. */
const char *dns_virtual_range_error(const struct ipnet *range, const struct ipnet *used);

/* Bytes of memory a table needs; 0 if the configuration is out of range. */
size_t dns_virtual_size(const struct dns_virtual_config *config);

/* Build a table in `memory`: zeroed, 64-byte aligned, dns_virtual_size() bytes, owned by the caller. */
struct dns_virtual *dns_virtual_init(void *memory, const struct dns_virtual_config *config);

/* True if `addr` lies in a virtual range, mapped or not. */
bool dns_virtual_covers(const struct dns_virtual *table, const struct ipaddr *addr);

/* The entry of `name` (lower-case text, 1 to DNS_TEXT_MAX characters) for workstation `host`, made if there is none, and
 * marked as just used. Returns its handle, or 0 if there is no room: every entry that could make room is pinned. */
uint32_t dns_virtual_map(struct dns_virtual *table, uint32_t host, const char *name, size_t len);

/* The same, but none is made: 0 if there is none. */
uint32_t dns_virtual_lookup(struct dns_virtual *table, uint32_t host, const char *name, size_t len);

/* The entry behind an address that was given to `host`, marked as just used; 0 if there is none. */
uint32_t dns_virtual_find(struct dns_virtual *table, uint32_t host, const struct ipaddr *addr);

/* The addresses of an entry. False if there is no range of that family. */
bool dns_virtual_address4(const struct dns_virtual *table, uint32_t handle, struct ipaddr *addr);
bool dns_virtual_address6(const struct dns_virtual *table, uint32_t handle, struct ipaddr *addr);

/* Copy an entry's name, NUL-terminated. Returns its length. */
size_t dns_virtual_name(const struct dns_virtual *table, uint32_t handle, char text[DNS_TEXT_SIZE]);

/* Keep an entry and its address as they are until it is unpinned as many times. A handle is good until the next
 * dns_virtual_map() or dns_virtual_forget_host(), or as long as it is pinned. */
void dns_virtual_pin(struct dns_virtual *table, uint32_t handle);
void dns_virtual_unpin(struct dns_virtual *table, uint32_t handle);

/* Remember that the name does not exist, until the time `until`, in seconds of any clock that never steps back. */
void dns_virtual_set_failed(struct dns_virtual *table, uint32_t handle, uint32_t until);

/* Seconds for which the name is still known not to exist; 0 if it may. */
uint32_t dns_virtual_failed_for(const struct dns_virtual *table, uint32_t handle, uint32_t now);

/* Forget all names of a workstation, before its number names another. What is pinned is forgotten as soon as it is
 * unpinned, and is not found any more until then. */
void dns_virtual_forget_host(struct dns_virtual *table, uint32_t host);

const struct dns_virtual_counters *dns_virtual_counters(const struct dns_virtual *table);

#endif
