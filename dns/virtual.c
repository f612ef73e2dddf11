/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How virtual addresses are given out, and why so.
 *
 * A workstation that asks for a name gets an address that means this name, to this workstation, and keeps meaning it for
 * as long as a flow uses it and long after.
 *
 * Nothing shared shows. Entries belong to a workstation: two that ask for the same name get two addresses, and neither
 * can reach, or look up by PTR, what was given to the other. Were there one table for all, a workstation could tell from
 * the age of an address that another had asked before, and read everyone's names by walking the range.
 * Addresses are taken from one counter, which would show how much others ask; so the counter goes through a keyed
 * permutation of the range first. To who has not the key the addresses look drawn at random.
 *
 * An address is not used for another name before the counter has gone around the whole range (four million for a /10),
 * so a client that caches an answer far beyond its TTL ends up nowhere rather than somewhere else.
 *
 * Memory is one pool of 64-byte slots. An entry is one slot with the first 28 characters of its name; a longer name goes
 * on in up to four more. When there is no room, the longest unused entry goes: that of the asking workstation if it
 * holds its fair share already, else that of the workstation that holds most. So who floods the table with names
 * throws out his own. An entry that a flow has pinned is never thrown out.
 *
 * A name that Tor reported as not existing keeps its entry and address, with the time until which it counts as
 * nonexistent.
 *
 * What this does not hide: when the table is full, a workstation that holds most of it can notice that entries of its
 * own go although it asks nothing.
 */
#include "dns/virtual.h"

#include <assert.h>
#include <string.h>

#include "base/pool.h"
#include "base/siphash.h"

#define SLOT_SIZE 64u
#define HEAD_CHARS 28u  /* of a name, in its entry */
#define SPILL_CHARS 60u /* of a name, in each further slot */
#define SLOTS_MIN 64u
#define HOSTS_MAX 65535u
#define BITS_MIN 8u  /* of an address within its range */
#define BITS_MAX 24u /* the same; more would help nobody */
#define FEISTEL_ROUNDS 8u

/* One mapping. The first slot of one or more. */
struct entry {
    uint32_t name_next;    /* following entry of the same bucket by name */
    uint32_t offset_next;  /* following entry of the same bucket by offset */
    uint32_t older, newer; /* neighbours in the list of the host's unpinned entries */
    uint32_t offset;       /* the address, as distance from the beginning of its range */
    uint32_t pins;         /* flows that use it */
    uint32_t spill;        /* slot in which the name goes on, 0 if it does not */
    uint32_t failed_until; /* s; 0: never reported as failed */
    uint16_t host;
    uint8_t len;           /* characters of the name */
    uint8_t retired;       /* forgotten: in no table, waits for its last pin to go */
    char text[HEAD_CHARS]; /* of the name, no NUL */
};

struct spill {
    uint32_t next;          /* slot in which the name goes on, 0 if it does not */
    char text[SPILL_CHARS]; /* of the name, no NUL */
};

_Static_assert(sizeof(struct entry) == SLOT_SIZE, "an entry is one slot");
_Static_assert(sizeof(struct spill) == SLOT_SIZE, "a piece of a name is one slot");
_Static_assert(HEAD_CHARS + 4 * SPILL_CHARS >= DNS_TEXT_MAX, "the longest name takes five slots");

struct host {
    uint32_t oldest, newest; /* ends of the list of its unpinned entries, by last use */
    uint32_t slots;          /* that its entries take, pinned or not */
};

struct dns_virtual {
    struct dns_virtual_config config;
    struct dns_virtual_counters counters;
    struct siphash_key key;
    struct pool pool;
    uint32_t *by_name;     /* buckets, heads of chains of entries */
    uint32_t *by_offset;   /* the same by address */
    struct host *hosts;    /* config.max_hosts */
    uint32_t mask;         /* buckets - 1 */
    uint32_t bits;         /* of an offset */
    uint32_t most_names;   /* at once: half of the range, so that a free address is soon found */
    uint32_t active_hosts; /* hosts that have an entry */
    uint32_t turn;         /* addresses given out so far, modulo the range */
};

static bool net_overlaps(const struct ipnet *a, const struct ipnet *b)
{
    return ipnet_contains(a, &b->addr) || ipnet_contains(b, &a->addr);
}

const char *dns_virtual_range_error(const struct ipnet *range, const struct ipnet *used)
{
    /* Ranges that no host on the Internet has: RFC 1918, 6598, 2544, 4193. */
    static const struct ipnet allowed[] = {
        {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10}}, 96 + 8},
        {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 172, 16}}, 96 + 12},
        {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168}}, 96 + 16},
        {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 100, 64}}, 96 + 10},
        {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 18}}, 96 + 15},
        {{{0xfc}}, 7},
    };
    bool within = false;
    for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
        within = within || (range->len >= allowed[i].len && ipnet_contains(&allowed[i], &range->addr));
    if (!within)
        return "is not inside a private range (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, "
               "198.18.0.0/15, fc00::/7), so it would hide hosts that exist";
    if (range->len > 128 - BITS_MIN)
        return ipaddr_is_v4(&range->addr) ? "is too small: /24 at least" : "is too small: /120 at least";
    for (unsigned bit = range->len; bit < 128; bit++) {
        if ((range->addr.b[bit / 8] & (0x80u >> bit % 8)) != 0)
            return "has bits set after its prefix";
    }
    if (used != NULL && net_overlaps(range, used))
        return "overlaps the workstation network";
    return NULL;
}

static bool range_is_good(const struct ipnet *net, bool v4)
{
    return net->len == 0 || (ipaddr_is_v4(&net->addr) == v4 && dns_virtual_range_error(net, NULL) == NULL);
}

static bool config_is_good(const struct dns_virtual_config *config)
{
    return range_is_good(&config->net4, true) && range_is_good(&config->net6, false) &&
           config->slots >= SLOTS_MIN && config->slots <= POOL_MAX_SLOTS && config->max_hosts >= 1 &&
           config->max_hosts <= HOSTS_MAX;
}

static uint32_t bucket_count(uint32_t slots)
{
    uint32_t n = SLOTS_MIN;
    while (n < slots)
        n *= 2;
    return n;
}

/* Where the parts of the memory begin. */
struct layout {
    size_t slots, overhead, by_name, by_offset, hosts, end;
};

static struct layout layout_of(const struct dns_virtual_config *config)
{
    struct layout at;
    size_t buckets = bucket_count(config->slots) * sizeof(uint32_t);
    at.slots = (sizeof(struct dns_virtual) + SLOT_SIZE - 1) / SLOT_SIZE * SLOT_SIZE;
    at.overhead = at.slots + (size_t)config->slots * SLOT_SIZE;
    at.by_name = at.overhead + pool_overhead(config->slots);
    at.by_offset = at.by_name + buckets;
    at.hosts = at.by_offset + buckets;
    at.end = at.hosts + config->max_hosts * sizeof(struct host);
    return at;
}

size_t dns_virtual_size(const struct dns_virtual_config *config)
{
    return config_is_good(config) ? layout_of(config).end : 0;
}

static uint32_t bits_of(const struct ipnet *net, uint32_t bits)
{
    return net->len != 0 && 128u - net->len < bits ? 128u - net->len : bits;
}

struct dns_virtual *dns_virtual_init(void *memory, const struct dns_virtual_config *config)
{
    assert(config_is_good(config));
    assert((uintptr_t)memory % SLOT_SIZE == 0);
    uint8_t *base = memory;
    struct layout at = layout_of(config);
    struct dns_virtual *table = memory;
    table->config = *config;
    table->key = siphash_key_load(config->secret);
    table->by_name = (uint32_t *)(void *)(base + at.by_name);
    table->by_offset = (uint32_t *)(void *)(base + at.by_offset);
    table->hosts = (struct host *)(void *)(base + at.hosts);
    table->mask = bucket_count(config->slots) - 1;
    table->bits = bits_of(&config->net6, bits_of(&config->net4, BITS_MAX));
    table->most_names = 1u << (table->bits - 1);
    pool_init(&table->pool, base + at.slots, SLOT_SIZE, config->slots, base + at.overhead);
    return table;
}

static struct entry *entry_at(const struct dns_virtual *table, uint32_t handle)
{
    return pool_at(&table->pool, handle);
}

static uint32_t *name_bucket(const struct dns_virtual *table, uint32_t host, const char *name, size_t len)
{
    uint8_t input[2 + DNS_TEXT_MAX];
    input[0] = (uint8_t)(host >> 8);
    input[1] = (uint8_t)host;
    memcpy(input + 2, name, len);
    return &table->by_name[siphash_13(&table->key, input, 2 + len) & table->mask];
}

/* Offsets need no hash: they come out of a keyed permutation. */
static uint32_t *offset_bucket(const struct dns_virtual *table, uint32_t offset)
{
    return &table->by_offset[offset & table->mask];
}

size_t dns_virtual_name(const struct dns_virtual *table, uint32_t handle, char text[DNS_TEXT_SIZE])
{
    const struct entry *e = entry_at(table, handle);
    size_t done = e->len < HEAD_CHARS ? e->len : HEAD_CHARS;
    memcpy(text, e->text, done);
    for (uint32_t i = e->spill; i != 0;) {
        const struct spill *more = pool_at(&table->pool, i);
        size_t n = e->len - done < SPILL_CHARS ? e->len - done : SPILL_CHARS;
        memcpy(text + done, more->text, n);
        done += n;
        i = more->next;
    }
    text[done] = '\0';
    return done;
}

static bool name_equals(const struct dns_virtual *table, uint32_t handle, const char *name, size_t len)
{
    const struct entry *e = entry_at(table, handle);
    if (e->len != len || memcmp(e->text, name, len < HEAD_CHARS ? len : HEAD_CHARS) != 0)
        return false;
    char text[DNS_TEXT_SIZE];
    return len <= HEAD_CHARS || (dns_virtual_name(table, handle, text) == len && memcmp(text, name, len) == 0);
}

/* The list of a host's unpinned entries, oldest use first. */
static void idle_append(struct dns_virtual *table, uint32_t handle)
{
    struct entry *e = entry_at(table, handle);
    struct host *h = &table->hosts[e->host];
    e->older = h->newest;
    e->newer = 0;
    if (h->newest != 0)
        entry_at(table, h->newest)->newer = handle;
    else
        h->oldest = handle;
    h->newest = handle;
}

static void idle_remove(struct dns_virtual *table, uint32_t handle)
{
    struct entry *e = entry_at(table, handle);
    struct host *h = &table->hosts[e->host];
    if (e->older != 0)
        entry_at(table, e->older)->newer = e->newer;
    else
        h->oldest = e->newer;
    if (e->newer != 0)
        entry_at(table, e->newer)->older = e->older;
    else
        h->newest = e->older;
}

static uint32_t used_now(struct dns_virtual *table, uint32_t handle)
{
    if (entry_at(table, handle)->pins == 0) {
        idle_remove(table, handle);
        idle_append(table, handle);
    }
    return handle;
}

/* Take an entry out of both hash tables. */
static void unlink_entry(struct dns_virtual *table, uint32_t handle)
{
    struct entry *e = entry_at(table, handle);
    char text[DNS_TEXT_SIZE];
    size_t len = dns_virtual_name(table, handle, text);
    uint32_t *link = name_bucket(table, e->host, text, len);
    while (*link != handle)
        link = &entry_at(table, *link)->name_next;
    *link = e->name_next;
    link = offset_bucket(table, e->offset);
    while (*link != handle)
        link = &entry_at(table, *link)->offset_next;
    *link = e->offset_next;
}

/* Give back the slots of an entry that is in no table and no list. */
static void free_entry(struct dns_virtual *table, uint32_t handle)
{
    struct entry *e = entry_at(table, handle);
    struct host *h = &table->hosts[e->host];
    for (uint32_t i = e->spill; i != 0;) {
        uint32_t next = ((const struct spill *)pool_at(&table->pool, i))->next;
        pool_give(&table->pool, i);
        h->slots--;
        i = next;
    }
    pool_give(&table->pool, handle);
    h->slots--;
    if (h->slots == 0)
        table->active_hosts--;
    table->counters.names--;
    table->counters.slots = table->pool.used;
}

/* The entry that has to go when `host` wants one more; 0 if none may. */
static uint32_t find_victim(const struct dns_virtual *table, uint32_t host)
{
    const struct host *own = &table->hosts[host];
    uint32_t share = table->pool.count / (table->active_hosts + (own->slots == 0));
    if (own->slots >= share)
        return own->oldest;
    const struct host *most = own;
    for (uint32_t i = 0; i < table->config.max_hosts; i++) {
        const struct host *h = &table->hosts[i];
        if (h->oldest != 0 && h->slots > most->slots)
            most = h;
    }
    return most->oldest;
}

static bool make_room(struct dns_virtual *table, uint32_t host, uint32_t slots)
{
    while (table->pool.count - table->pool.used < slots || table->counters.names >= table->most_names) {
        uint32_t victim = find_victim(table, host);
        if (victim == 0)
            return false;
        idle_remove(table, victim);
        unlink_entry(table, victim);
        free_entry(table, victim);
        table->counters.evicted++;
    }
    return true;
}

/* A permutation of 0 .. 2^bits - 1 that depends on the secret: a Feistel network with unequal halves. */
static uint32_t permute(const struct dns_virtual *table, uint32_t v)
{
    uint32_t right_bits = table->bits / 2;
    uint32_t right_mask = (1u << right_bits) - 1;
    uint32_t left_mask = (1u << (table->bits - right_bits)) - 1;
    uint32_t left = v >> right_bits & left_mask;
    uint32_t right = v & right_mask;
    for (uint32_t round = 0; round < FEISTEL_ROUNDS; round++) {
        uint32_t input[2] = {round, round % 2 == 0 ? left : right};
        uint32_t mixed = (uint32_t)siphash_24(&table->key, input, sizeof(input));
        if (round % 2 == 0)
            right = (right ^ mixed) & right_mask;
        else
            left = (left ^ mixed) & left_mask;
    }
    return left << right_bits | right;
}

static uint32_t find_offset(const struct dns_virtual *table, uint32_t offset)
{
    uint32_t i = *offset_bucket(table, offset);
    while (i != 0 && entry_at(table, i)->offset != offset)
        i = entry_at(table, i)->offset_next;
    return i;
}

/* The next address that is free. Neither the first nor the last of a range, which look like a network's own and its
 * broadcast address. At most half of the range is in use, so this ends. */
static uint32_t next_offset(struct dns_virtual *table)
{
    uint32_t last = (uint32_t)((UINT64_C(1) << table->bits) - 1);
    for (;;) {
        uint32_t offset = permute(table, table->turn);
        table->turn = (table->turn + 1) & last;
        if (offset != 0 && offset != last && find_offset(table, offset) == 0)
            return offset;
    }
}

static void write_name(struct dns_virtual *table, struct entry *e, const char *name, size_t len)
{
    size_t done = len < HEAD_CHARS ? len : HEAD_CHARS;
    memcpy(e->text, name, done);
    e->len = (uint8_t)len;
    uint32_t *link = &e->spill;
    while (done < len) {
        uint32_t i = pool_take(&table->pool);
        struct spill *more = pool_at(&table->pool, i);
        size_t n = len - done < SPILL_CHARS ? len - done : SPILL_CHARS;
        memcpy(more->text, name + done, n);
        more->next = 0;
        done += n;
        *link = i;
        link = &more->next;
    }
}

uint32_t dns_virtual_lookup(struct dns_virtual *table, uint32_t host, const char *name, size_t len)
{
    assert(host < table->config.max_hosts && len >= 1 && len <= DNS_TEXT_MAX);
    uint32_t i = *name_bucket(table, host, name, len);
    while (i != 0 && (entry_at(table, i)->host != host || !name_equals(table, i, name, len)))
        i = entry_at(table, i)->name_next;
    return i != 0 ? used_now(table, i) : 0;
}

uint32_t dns_virtual_map(struct dns_virtual *table, uint32_t host, const char *name, size_t len)
{
    uint32_t handle = dns_virtual_lookup(table, host, name, len);
    if (handle != 0)
        return handle;
    uint32_t slots = 1 + (len > HEAD_CHARS ? (uint32_t)(len - HEAD_CHARS + SPILL_CHARS - 1) / SPILL_CHARS : 0);
    if (!make_room(table, host, slots))
        return 0;

    uint32_t offset = next_offset(table);
    handle = pool_take(&table->pool);
    struct entry *e = entry_at(table, handle);
    memset(e, 0, sizeof(*e));
    e->host = (uint16_t)host;
    e->offset = offset;
    write_name(table, e, name, len);
    uint32_t *link = name_bucket(table, host, name, len);
    e->name_next = *link;
    *link = handle;
    link = offset_bucket(table, offset);
    e->offset_next = *link;
    *link = handle;
    idle_append(table, handle);

    struct host *h = &table->hosts[host];
    if (h->slots == 0)
        table->active_hosts++;
    h->slots += slots;
    table->counters.names++;
    table->counters.slots = table->pool.used;
    table->counters.mapped++;
    return handle;
}

static struct ipaddr address_in(const struct ipnet *net, uint32_t offset)
{
    struct ipaddr a = net->addr;
    for (int i = 15; i >= 12; i--, offset >>= 8)
        a.b[i] |= (uint8_t)offset;
    return a;
}

bool dns_virtual_address4(const struct dns_virtual *table, uint32_t handle, struct ipaddr *addr)
{
    *addr = address_in(&table->config.net4, entry_at(table, handle)->offset);
    return table->config.net4.len != 0;
}

bool dns_virtual_address6(const struct dns_virtual *table, uint32_t handle, struct ipaddr *addr)
{
    *addr = address_in(&table->config.net6, entry_at(table, handle)->offset);
    return table->config.net6.len != 0;
}

/* The range that `addr` is in, or NULL. */
static const struct ipnet *range_of(const struct dns_virtual *table, const struct ipaddr *addr)
{
    const struct dns_virtual_config *config = &table->config;
    if (config->net4.len != 0 && ipnet_contains(&config->net4, addr))
        return &config->net4;
    if (config->net6.len != 0 && ipnet_contains(&config->net6, addr))
        return &config->net6;
    return NULL;
}

bool dns_virtual_covers(const struct dns_virtual *table, const struct ipaddr *addr)
{
    return range_of(table, addr) != NULL;
}

uint32_t dns_virtual_find(struct dns_virtual *table, uint32_t host, const struct ipaddr *addr)
{
    const struct ipnet *net = range_of(table, addr);
    if (net == NULL)
        return 0;
    const uint8_t *b = addr->b;
    uint32_t low = (uint32_t)b[12] << 24 | (uint32_t)b[13] << 16 | (uint32_t)b[14] << 8 | b[15];
    uint32_t offset = low & (uint32_t)((UINT64_C(1) << table->bits) - 1);
    struct ipaddr whole = address_in(net, offset);
    if (!ipaddr_equal(&whole, addr))
        return 0; /* of a range larger than what is used of it */
    uint32_t i = find_offset(table, offset);
    return i != 0 && entry_at(table, i)->host == host ? used_now(table, i) : 0;
}

void dns_virtual_pin(struct dns_virtual *table, uint32_t handle)
{
    struct entry *e = entry_at(table, handle);
    if (e->pins++ > 0)
        return;
    idle_remove(table, handle);
    table->counters.pinned++;
}

void dns_virtual_unpin(struct dns_virtual *table, uint32_t handle)
{
    struct entry *e = entry_at(table, handle);
    assert(pool_is_taken(&table->pool, handle) && e->pins > 0);
    if (--e->pins > 0)
        return;
    table->counters.pinned--;
    if (e->retired)
        free_entry(table, handle);
    else
        idle_append(table, handle);
}

void dns_virtual_set_failed(struct dns_virtual *table, uint32_t handle, uint32_t until)
{
    entry_at(table, handle)->failed_until = until;
}

uint32_t dns_virtual_failed_for(const struct dns_virtual *table, uint32_t handle, uint32_t now)
{
    uint32_t until = entry_at(table, handle)->failed_until;
    return until > now ? until - now : 0;
}

void dns_virtual_forget_host(struct dns_virtual *table, uint32_t host)
{
    struct host *h = &table->hosts[host];
    while (h->oldest != 0) {
        uint32_t handle = h->oldest;
        idle_remove(table, handle);
        unlink_entry(table, handle);
        free_entry(table, handle);
    }
    /* What is left of it is pinned. A workstation's number changes hands seldom: walking all entries will do. */
    for (uint32_t bucket = 0; h->slots > 0 && bucket <= table->mask; bucket++) {
        for (uint32_t i = table->by_offset[bucket]; i != 0;) {
            struct entry *e = entry_at(table, i);
            uint32_t next = e->offset_next;
            if (e->host == host) {
                unlink_entry(table, i);
                e->retired = 1;
            }
            i = next;
        }
    }
}

const struct dns_virtual_counters *dns_virtual_counters(const struct dns_virtual *table)
{
    return &table->counters;
}
