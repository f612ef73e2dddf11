/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two rates in one pace, as base/bucket.h does it: a bucket holds the time at which all that was taken would have been
 * paid for; the whole may run ahead by `burst` identities, a station by three quarters of that.
 *
 * What is pending is kept one by one, because an answer may never come: a destination that does not answer keeps its
 * stream waiting for minutes, long after the circuit was built. So an identity counts as pending for a few seconds at
 * most.
 *
 * The known identities are in a small cache, four to a set, the one unused for longest making room. To forget one is
 * safe: it is metered once more.
 */
#include "socks/budget.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bucket.h"

#define SECOND UINT64_C(1000000)
#define KNOWN_FOR (300 * SECOND)     /* after its last use; Tor keeps a circuit for ten minutes */
#define PENDING_FOR (3 * SECOND)     /* at most */
#define TOLD_FOR (5 * SECOND)        /* the supervisor tells more often while circuits are built */
#define ASKERS 16u                   /* stations that are remembered; more share as so many */
#define ASKS_FOR (2 * SECOND)        /* after its last wish */
#define QUIET_FOR UINT64_C(250000)   /* microseconds */
#define EARLIEST 1000u               /* microseconds between two looks */
#define SETS 1024u                   /* of the cache, a power of two */
#define WAYS 4u                      /* identities of a set */
#define SLOWEST 16u                  /* times the configured pace */
#define RECOVERS_AFTER (10 * SECOND) /* without refusals, each time by a quarter */
#define SLOWS_AFTER (2 * SECOND)     /* refusals that come together are one */

struct known {
    uint64_t used;     /* microseconds */
    uint32_t identity; /* 0: free */
};

struct pending {
    uint64_t since;    /* microseconds */
    uint32_t identity; /* 0: free */
    uint32_t station;
};

struct asker {
    uint64_t at; /* when it last wanted a new identity, microseconds; 0: free */
    uint32_t station;
};

struct socks_budget {
    struct socks_budget_config config;
    uint64_t base_pace; /* microseconds for each identity, as configured */
    uint64_t pace;      /* the same as learnt */
    uint64_t learnt_at; /* when the pace last changed */
    struct bucket whole;
    struct bucket *stations; /* config.stations of them */
    struct pending pending[SOCKS_BUDGET_PENDING];
    struct asker askers[ASKERS]; /* who wanted one lately */
    uint64_t quiet_until; /* microseconds; till then those who have some pending get no more, for the sake of ... */
    uint32_t quiet_for;   /* ... this station, which has few */
    uint32_t building;    /* circuits that Tor said it is building */
    uint64_t told_at;     /* when it said so */
    uint64_t granted;
    uint64_t slowed;
    struct known known[SETS][WAYS];
};

int socks_budget_new(struct socks_budget **out, const struct socks_budget_config *config)
{
    *out = NULL;
    if (config->rate > 100000 || (config->rate > 0 && (config->burst == 0 || config->stations == 0)))
        return -EINVAL;
    struct socks_budget *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return -ENOMEM;
    b->config = *config;
    if (config->rate > 0) {
        b->base_pace = SECOND / config->rate;
        b->pace = b->base_pace;
        b->stations = calloc(config->stations, sizeof(*b->stations));
        if (b->stations == NULL) {
            free(b);
            return -ENOMEM;
        }
    }
    *out = b;
    return 0;
}

void socks_budget_free(struct socks_budget *b)
{
    if (b == NULL)
        return;
    free(b->stations);
    free(b);
}

bool socks_budget_is_off(const struct socks_budget *b)
{
    return b->config.rate == 0;
}

/* --- who is known --- */

/* An identity is a hash already: some of its bits choose the set. */
static struct known *set_of(struct socks_budget *b, uint32_t identity)
{
    return b->known[identity & (SETS - 1)];
}

static struct known *find(struct socks_budget *b, uint32_t identity)
{
    struct known *set = set_of(b, identity);
    for (unsigned i = 0; i < WAYS; i++)
        if (set[i].identity == identity)
            return identity != 0 ? &set[i] : NULL;
    return NULL;
}

bool socks_budget_knows(struct socks_budget *b, uint32_t identity, uint64_t now)
{
    struct known *k = find(b, identity);
    if (k == NULL || now - k->used > KNOWN_FOR)
        return false;
    k->used = now;
    return true;
}

static void remember(struct socks_budget *b, uint32_t identity, uint64_t now)
{
    struct known *set = set_of(b, identity);
    struct known *k = find(b, identity);
    for (unsigned i = 0; k == NULL && i < WAYS; i++)
        if (set[i].identity == 0)
            k = &set[i];
    if (k == NULL) {
        k = set;
        for (unsigned i = 1; i < WAYS; i++)
            if (set[i].used < k->used)
                k = &set[i];
    }
    *k = (struct known){.identity = identity, .used = now};
}

/* --- what may go --- */

static uint64_t ahead(const struct bucket *bucket, uint64_t now)
{
    return bucket->due > now ? bucket->due - now : 0;
}

/* How far ahead a bucket may be and still let one more go, microseconds. */
static uint64_t whole_room(const struct socks_budget *b)
{
    return b->pace * (b->config.burst - 1);
}

static uint64_t station_room(const struct socks_budget *b)
{
    uint32_t share = b->config.burst - b->config.burst / 4;
    return b->pace * (share - 1);
}

static bool is_pending(const struct pending *p, uint64_t now)
{
    return p->identity != 0 && now - p->since < PENDING_FOR;
}

static uint32_t count_pending(const struct socks_budget *b, uint64_t now)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < SOCKS_BUDGET_PENDING; i++)
        n += is_pending(&b->pending[i], now);
    return n;
}

/* `station` wants an identity. How many may it have pending? */
static uint32_t pending_share(struct socks_budget *b, uint32_t station, uint64_t now)
{
    struct asker *own = NULL, *oldest = &b->askers[0];
    uint32_t several = 1;
    for (unsigned i = 0; i < ASKERS; i++) {
        struct asker *a = &b->askers[i];
        if (a->at != 0 && a->station == station)
            own = a;
        else if (a->at != 0 && now - a->at < ASKS_FOR)
            several++;
        if (a->at < oldest->at)
            oldest = a;
    }
    if (own == NULL)
        own = oldest;
    *own = (struct asker){.at = now, .station = station};
    if (several == 1)
        return SOCKS_BUDGET_PENDING_SHARE;
    /* Who has had a quarter of the burst lately has no page to load: the others come first. */
    bool much = ahead(&b->stations[station], now) > b->pace * (b->config.burst / 4);
    uint32_t share = much ? 0 : SOCKS_BUDGET_PENDING_TOGETHER / several;
    return share > SOCKS_BUDGET_PENDING_LEAST ? share : SOCKS_BUDGET_PENDING_LEAST;
}

/* Does Tor build as many circuits as it can? What it said long ago does not count. */
static bool is_busy(const struct socks_budget *b, uint64_t now)
{
    return b->building >= SOCKS_BUDGET_PENDING && now - b->told_at < TOLD_FOR;
}

bool socks_budget_allows(struct socks_budget *b, uint32_t station, uint64_t now)
{
    if (b->config.rate == 0)
        return true;
    assert(station < b->config.stations);
    const uint32_t share = pending_share(b, station, now);
    if (ahead(&b->whole, now) > whole_room(b) || ahead(&b->stations[station], now) > station_room(b))
        return false;
    uint32_t all = 0, own = 0;
    for (unsigned i = 0; i < SOCKS_BUDGET_PENDING; i++) {
        bool pending = is_pending(&b->pending[i], now);
        all += pending;
        own += pending && b->pending[i].station == station;
    }
    if (own >= SOCKS_BUDGET_PENDING_LEAST && now < b->quiet_until && b->quiet_for != station)
        return false;
    return all < SOCKS_BUDGET_PENDING && own < share && !is_busy(b, now);
}

static void pay(struct bucket *bucket, uint64_t pace, uint64_t now)
{
    bucket->due = now + ahead(bucket, now) + pace;
}

/* How many `station` has pending. */
static uint32_t own_pending(const struct socks_budget *b, uint32_t station, uint64_t now)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < SOCKS_BUDGET_PENDING; i++)
        n += is_pending(&b->pending[i], now) && b->pending[i].station == station;
    return n;
}

void socks_budget_grant(struct socks_budget *b, uint32_t station, uint32_t identity, uint64_t now)
{
    b->granted++;
    if (b->config.rate == 0)
        return;
    pay(&b->whole, b->pace, now);
    pay(&b->stations[station], b->pace, now);
    remember(b, identity, now);
    if (own_pending(b, station, now) < SOCKS_BUDGET_PENDING_LEAST) {
        b->quiet_for = station;
        b->quiet_until = now + QUIET_FOR;
    }
    for (unsigned i = 0; i < SOCKS_BUDGET_PENDING; i++) {
        if (is_pending(&b->pending[i], now))
            continue;
        b->pending[i] = (struct pending){.identity = identity, .since = now, .station = station};
        return;
    }
}

void socks_budget_answered(struct socks_budget *b, uint32_t identity, bool good)
{
    for (unsigned i = 0; i < SOCKS_BUDGET_PENDING; i++) {
        struct pending *p = &b->pending[i];
        if (p->identity != identity || identity == 0)
            continue;
        p->identity = 0;
        if (p->station == b->quiet_for && own_pending(b, p->station, p->since) == 0)
            b->quiet_until = 0;
        break;
    }
    struct known *k = good ? NULL : find(b, identity);
    if (k != NULL)
        *k = (struct known){0};
}

bool socks_budget_next(const struct socks_budget *b, uint64_t now, uint64_t *at)
{
    if (b->config.rate == 0)
        return false;
    /* One identity is paid for in this time; if the bound is another one, no harm is done. */
    *at = now + (b->pace > EARLIEST ? b->pace : EARLIEST);
    return true;
}

/* --- what Tor says --- */

void socks_budget_learn(struct socks_budget *b, uint32_t building, bool refused, uint64_t now)
{
    if (b->config.rate == 0)
        return;
    b->building = building;
    b->told_at = now;
    if (refused && (b->pace == b->base_pace || now - b->learnt_at >= SLOWS_AFTER)) {
        uint64_t slowest = b->base_pace * SLOWEST;
        b->pace = b->pace * 2 < slowest ? b->pace * 2 : slowest;
        b->learnt_at = now;
        b->slowed++;
    } else if (!refused && b->pace > b->base_pace && now - b->learnt_at >= RECOVERS_AFTER) {
        b->pace -= b->pace / 4;
        if (b->pace < b->base_pace)
            b->pace = b->base_pace;
        b->learnt_at = now;
    }
}

void socks_budget_look(const struct socks_budget *b, uint64_t now, struct socks_budget_state *state)
{
    *state = (struct socks_budget_state){
        .rate = b->config.rate,
        .burst = b->config.burst,
        .pending = count_pending(b, now),
        .granted = b->granted,
        .slowed = b->slowed,
    };
    if (b->config.rate == 0)
        return;
    state->rate_now = (uint32_t)(1000 * SECOND / b->pace);
    uint64_t used = (ahead(&b->whole, now) + b->pace - 1) / b->pace;
    state->left = used < b->config.burst ? b->config.burst - (uint32_t)used : 0;
}
