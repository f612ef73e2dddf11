/* SPDX-License-Identifier: BSD-3-Clause */
/*
 *     begin --> ASKING --found--> KNOWN --end, evicted--> gone
 *                 |  ^
 *     queries ----+  |   wait in the order they came; the first one's time-out is the lookup's
 *                 |  |
 *                 +--+   all taken: it is still under way, and what is found later answers who asks again
 *                 |
 *                 end--> gone
 *
 * A lookup through Tor may take longer than a client waits. Its query is answered with SERVFAIL in time, but the lookup
 * goes on: resolvers ask again, and then the answer is there.
 *
 * What is KNOWN is in one list, the one used longest ago first; it makes room for what is new. Of a workstation that
 * holds its share already, its own oldest goes. What is ASKING with queries waiting is in another list; as all wait
 * equally long, it is in the order of time-outs.
 */
#include "dns/lookup.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/pool.h"
#include "base/share.h"
#include "base/siphash.h"
#include "dns/layout.h"

#define LOOKUPS_MIN 64u        /* so that three quarters of it are enough for anybody */
#define WAITERS_OF_LOOKUP 256u /* queries, each of which is compared with whatever comes */
#define MICROSECONDS 1000000u

enum state {
    ASKING,
    KNOWN,
};

struct lookup {
    uint32_t next;         /* following lookup of the same bucket */
    uint32_t older, newer; /* neighbours in the list it is in */
    uint32_t first, last;  /* queries that wait */
    uint32_t attempt;      /* the caller's */
    enum state state;
    bool listed; /* ASKING: in the list of those with a time-out */
    uint64_t at; /* us: the time-out, or when it is forgotten */
    struct dns_lookup_key key;
    struct dns_lookup_result result;
};

struct waiter {
    uint32_t next;
    struct dns_waiter is;
};

/* A doubly linked list through the lookups, oldest first. */
struct list {
    uint32_t oldest, newest;
};

/* What one workstation uses. */
struct use {
    uint32_t lookups, asking, waiting;
};

struct dns_lookups {
    struct dns_lookups_config config;
    struct siphash_key key;
    struct pool pool;
    struct pool waiters;
    uint32_t *buckets;
    uint32_t mask; /* buckets - 1 */
    uint32_t asking;
    struct use *hosts;
    struct list known, waited;
};

static uint32_t bucket_count(uint32_t lookups)
{
    uint32_t n = LOOKUPS_MIN;
    while (n < lookups)
        n *= 2;
    return n;
}

/* Where the parts of the memory begin; the last is its end. */
struct layout {
    size_t hosts, buckets, pool_overhead, waiter_overhead, pool, waiters, end;
};

static struct layout layout_of(const struct dns_lookups_config *config)
{
    struct layout l;
    l.hosts = dns_layout_round_up(sizeof(struct dns_lookups));
    l.buckets = l.hosts + dns_layout_round_up(config->max_hosts * sizeof(struct use));
    l.pool_overhead = l.buckets + dns_layout_round_up(bucket_count(config->lookups) * sizeof(uint32_t));
    l.waiter_overhead = l.pool_overhead + dns_layout_round_up(pool_overhead(config->lookups));
    l.pool = l.waiter_overhead + dns_layout_round_up(pool_overhead(config->waiters));
    l.waiters = l.pool + dns_layout_round_up((size_t)config->lookups * sizeof(struct lookup));
    l.end = l.waiters + (size_t)config->waiters * sizeof(struct waiter);
    return l;
}

size_t dns_lookups_size(const struct dns_lookups_config *config)
{
    if (config->lookups < LOOKUPS_MIN || config->lookups > POOL_MAX_SLOTS || config->waiters == 0 ||
        config->waiters > POOL_MAX_SLOTS || config->max_hosts == 0 || config->max_hosts > 65535 ||
        config->asking == 0 || config->asking > config->lookups)
        return 0;
    return layout_of(config).end;
}

struct dns_lookups *dns_lookups_init(void *memory, const struct dns_lookups_config *config)
{
    assert(dns_lookups_size(config) != 0);
    struct layout l = layout_of(config);
    uint8_t *base = memory;
    struct dns_lookups *lookups = memory;
    lookups->config = *config;
    lookups->key = siphash_key_load(config->secret);
    lookups->hosts = (struct use *)(void *)(base + l.hosts);
    lookups->buckets = (uint32_t *)(void *)(base + l.buckets);
    lookups->mask = bucket_count(config->lookups) - 1;
    pool_init(&lookups->pool, base + l.pool, sizeof(struct lookup), config->lookups, base + l.pool_overhead);
    pool_init(&lookups->waiters, base + l.waiters, sizeof(struct waiter), config->waiters,
              base + l.waiter_overhead);
    return lookups;
}

static struct lookup *lookup_at(const struct dns_lookups *lookups, uint32_t i)
{
    assert(pool_is_taken(&lookups->pool, i));
    return pool_at(&lookups->pool, i);
}

static struct waiter *waiter_at(const struct dns_lookups *lookups, uint32_t i)
{
    return pool_at(&lookups->waiters, i);
}

static uint32_t *bucket_of(struct dns_lookups *lookups, const struct dns_lookup_key *key)
{
    uint8_t data[25 + DNS_NAME_MAX];
    memcpy(data, &key->identity, 8);
    memcpy(data + 8, &key->nym, 8);
    be32_store(data + 16, key->host);
    be16_store(data + 20, key->type);
    data[22] = (uint8_t)key->kind;
    data[23] = key->flags;
    data[24] = key->policy;
    memcpy(data + 25, key->name.wire, key->name.len);
    return &lookups->buckets[siphash_13(&lookups->key, data, 25u + key->name.len) & lookups->mask];
}

static bool key_equal(const struct dns_lookup_key *a, const struct dns_lookup_key *b)
{
    return a->identity == b->identity && a->nym == b->nym && a->host == b->host && a->kind == b->kind &&
           a->type == b->type && a->flags == b->flags && a->policy == b->policy && a->name.len == b->name.len &&
           memcmp(a->name.wire, b->name.wire, a->name.len) == 0;
}

static void list_remove(struct dns_lookups *lookups, struct list *list, const struct lookup *l)
{
    if (l->older != 0)
        lookup_at(lookups, l->older)->newer = l->newer;
    else
        list->oldest = l->newer;
    if (l->newer != 0)
        lookup_at(lookups, l->newer)->older = l->older;
    else
        list->newest = l->older;
}

static void list_append(struct dns_lookups *lookups, struct list *list, struct lookup *l, uint32_t i)
{
    l->older = list->newest;
    l->newer = 0;
    if (list->newest != 0)
        lookup_at(lookups, list->newest)->newer = i;
    else
        list->oldest = i;
    list->newest = i;
}

uint32_t dns_lookup_find(struct dns_lookups *lookups, const struct dns_lookup_key *key, uint64_t now)
{
    for (uint32_t i = *bucket_of(lookups, key); i != 0;) {
        struct lookup *l = lookup_at(lookups, i);
        if (!key_equal(&l->key, key)) {
            i = l->next;
            continue;
        }
        if (l->state == KNOWN && now >= l->at) {
            dns_lookup_end(lookups, i);
            return 0;
        }
        if (l->state == KNOWN) {
            list_remove(lookups, &lookups->known, l);
            list_append(lookups, &lookups->known, l, i);
        }
        return i;
    }
    return 0;
}

/* Forget the oldest that is known: of `host` if it holds three quarters of all, else of anybody. False if there is
 * none. */
static bool make_room(struct dns_lookups *lookups, uint32_t host)
{
    bool own = lookups->hosts[host].lookups >= lookups->config.lookups - lookups->config.lookups / 4;
    if (!own && lookups->pool.used < lookups->config.lookups)
        return true;
    uint32_t i = lookups->known.oldest;
    while (own && i != 0 && lookup_at(lookups, i)->key.host != host)
        i = lookup_at(lookups, i)->newer;
    if (i != 0)
        dns_lookup_end(lookups, i);
    return i != 0;
}

uint32_t dns_lookup_begin(struct dns_lookups *lookups, const struct dns_lookup_key *key)
{
    struct use *use = &lookups->hosts[key->host];
    if (!share_has_room(use->asking, lookups->asking, lookups->config.asking) || !make_room(lookups, key->host))
        return 0;
    uint32_t i = pool_take(&lookups->pool);
    if (i == 0)
        return 0;
    struct lookup *l = lookup_at(lookups, i);
    uint32_t *bucket = bucket_of(lookups, key);
    *l = (struct lookup){.next = *bucket, .state = ASKING, .key = *key};
    *bucket = i;
    lookups->asking++;
    use->asking++;
    use->lookups++;
    return i;
}

const struct dns_lookup_key *dns_lookup_key(const struct dns_lookups *lookups, uint32_t handle)
{
    return &lookup_at(lookups, handle)->key;
}

uint32_t *dns_lookup_attempt(struct dns_lookups *lookups, uint32_t handle)
{
    return &lookup_at(lookups, handle)->attempt;
}

const struct dns_lookup_result *dns_lookup_result(const struct dns_lookups *lookups, uint32_t handle, uint64_t now,
                                                  uint32_t *ttl)
{
    const struct lookup *l = lookup_at(lookups, handle);
    if (l->state != KNOWN)
        return NULL;
    *ttl = now < l->at ? (uint32_t)((l->at - now + MICROSECONDS - 1) / MICROSECONDS) : 1;
    return &l->result;
}

/* Over UDP, a client that hears nothing asks again with the same number. */
static bool is_repetition(const struct dns_waiter *w, const struct dns_query *query,
                          const struct dns_client *client)
{
    return client->transport == DNS_UDP && w->client.transport == DNS_UDP && w->query.id == query->id &&
           w->query.type == query->type && w->client.port == client->port &&
           ipaddr_equal(&w->client.addr, &client->addr) && ipaddr_equal(&w->client.asked, &client->asked);
}

int dns_lookup_wait(struct dns_lookups *lookups, uint32_t handle, const struct dns_query *query,
                    const struct dns_client *client, uint64_t now)
{
    struct lookup *l = lookup_at(lookups, handle);
    assert(l->state == ASKING);
    uint32_t waiting = 0;
    for (uint32_t i = l->first; i != 0; i = waiter_at(lookups, i)->next, waiting++) {
        if (is_repetition(&waiter_at(lookups, i)->is, query, client))
            return -EALREADY;
    }
    if (waiting >= WAITERS_OF_LOOKUP)
        return -ENOBUFS;
    struct use *use = &lookups->hosts[l->key.host];
    bool room = share_has_room(use->waiting, lookups->waiters.used, lookups->config.waiters);
    uint32_t i = room ? pool_take(&lookups->waiters) : 0;
    if (i == 0)
        return -ENOBUFS;
    use->waiting++;
    *waiter_at(lookups, i) = (struct waiter){.is = {.query = *query, .client = *client}};
    if (l->last != 0)
        waiter_at(lookups, l->last)->next = i;
    else
        l->first = i;
    l->last = i;
    if (!l->listed) {
        l->listed = true;
        l->at = now + lookups->config.patience;
        list_append(lookups, &lookups->waited, l, handle);
    }
    return 0;
}

bool dns_lookup_take(struct dns_lookups *lookups, uint32_t handle, struct dns_waiter *waiter)
{
    struct lookup *l = lookup_at(lookups, handle);
    uint32_t i = l->first;
    if (i == 0)
        return false;
    *waiter = waiter_at(lookups, i)->is;
    l->first = waiter_at(lookups, i)->next;
    pool_give(&lookups->waiters, i);
    lookups->hosts[l->key.host].waiting--;
    if (l->first == 0) {
        l->last = 0;
        l->listed = false;
        list_remove(lookups, &lookups->waited, l);
    }
    return true;
}

/* It is not under way any more. */
static void stop_asking(struct dns_lookups *lookups, struct lookup *l)
{
    assert(l->first == 0 && l->state == ASKING);
    lookups->asking--;
    lookups->hosts[l->key.host].asking--;
    l->state = KNOWN;
}

void dns_lookup_found(struct dns_lookups *lookups, uint32_t handle, const struct dns_lookup_result *result,
                      uint32_t ttl, uint64_t now)
{
    struct lookup *l = lookup_at(lookups, handle);
    stop_asking(lookups, l);
    l->result = *result;
    l->at = now + (uint64_t)ttl * MICROSECONDS;
    list_append(lookups, &lookups->known, l, handle);
}

void dns_lookup_end(struct dns_lookups *lookups, uint32_t handle)
{
    struct lookup *l = lookup_at(lookups, handle);
    if (l->state == ASKING)
        stop_asking(lookups, l);
    else
        list_remove(lookups, &lookups->known, l);
    lookups->hosts[l->key.host].lookups--;
    uint32_t *link = bucket_of(lookups, &l->key);
    while (*link != handle)
        link = &lookup_at(lookups, *link)->next;
    *link = l->next;
    pool_give(&lookups->pool, handle);
}

uint32_t dns_lookups_overdue(const struct dns_lookups *lookups, uint64_t now)
{
    uint32_t i = lookups->waited.oldest;
    return i != 0 && now >= lookup_at(lookups, i)->at ? i : 0;
}

bool dns_lookups_next(const struct dns_lookups *lookups, uint64_t *at)
{
    if (lookups->waited.oldest == 0)
        return false;
    *at = lookup_at(lookups, lookups->waited.oldest)->at;
    return true;
}

uint32_t dns_lookups_of_host(const struct dns_lookups *lookups, uint32_t host)
{
    if (lookups->hosts[host].lookups == 0)
        return 0;
    uint32_t i = pool_highest(&lookups->pool);
    while (!pool_is_taken(&lookups->pool, i) || lookup_at(lookups, i)->key.host != host)
        i--;
    return i;
}

struct dns_lookups_count dns_lookups_count(const struct dns_lookups *lookups)
{
    return (struct dns_lookups_count){lookups->pool.used, lookups->asking, lookups->waiters.used};
}
