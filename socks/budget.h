/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The circuit budget: how many new identities Tor is asked for, and how fast.
 *
 * Every new identity costs Tor a circuit: three handshakes, a share of its guard's patience, and one of the 32 circuits
 * that it builds at once. So identities that Tor has no circuit for yet are metered by a rate with a burst, and by how
 * many of them are not answered yet. Who is beyond it waits (backlog.h); identities are never merged instead. One
 * workstation gets at most three quarters of each, so that there is something left for another's first flow; while
 * others want new identities too, it gets fewer circuits at a time; and while one who wants little waits for his, nobody
 * who has two under way gets another, for a quarter of a second at most: circuits under way slow one another down.
 *
 * Tor's own word counts more than any guess: when its guard refuses circuits or they time out, the pace is halved, and
 * returns slowly; while Tor builds as many circuits as it can, nothing new is asked for.
 */
#ifndef CLOISTER_SOCKS_BUDGET_H
#define CLOISTER_SOCKS_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define SOCKS_BUDGET_PENDING 28u                                  /* unanswered at once; Tor builds at most 32 */
#define SOCKS_BUDGET_PENDING_SHARE (SOCKS_BUDGET_PENDING / 4 * 3) /* of one workstation that is alone */
#define SOCKS_BUDGET_PENDING_TOGETHER 8u /* of all together, if they are several and want little */
#define SOCKS_BUDGET_PENDING_LEAST 2u    /* of one of many, or of one who had much lately */

struct socks_budget_config {
    uint32_t rate;     /* new identities per second, 1 to 100000; 0: as many as come, and nothing is metered */
    uint32_t burst;    /* at once, at least 1 */
    uint32_t stations; /* station numbers are below this */
};

/* What it is doing, for people. */
struct socks_budget_state {
    uint32_t rate;     /* per second, as configured; 0: not metered */
    uint32_t rate_now; /* thousandths of an identity per second, as learnt */
    uint32_t burst;    /* as configured */
    uint32_t left;     /* identities that may go at once */
    uint32_t pending;  /* asked for and not answered */
    uint64_t granted;  /* so far */
    uint64_t slowed;   /* how often Tor made it slow down */
};

struct socks_budget;

/* Make a budget. 0 and *out; -EINVAL or -ENOMEM. */
int socks_budget_new(struct socks_budget **out, const struct socks_budget_config *config);

/* NULL is allowed. */
void socks_budget_free(struct socks_budget *budget);

/* Is nothing metered? */
bool socks_budget_is_off(const struct socks_budget *budget);

/* Does Tor have a circuit for `identity` (32 bits of its credential: two that are taken for one are metered as one, no more), as far as is known? It is in use then, and stays
 * known. `now` in microseconds, here and below. What was forgotten for want of room counts as new. */
bool socks_budget_knows(struct socks_budget *budget, uint32_t identity, uint64_t now);

/* May `station` have a new identity now? */
bool socks_budget_allows(struct socks_budget *budget, uint32_t station, uint64_t now);

/* It has one. Only after socks_budget_allows(). */
void socks_budget_grant(struct socks_budget *budget, uint32_t station, uint32_t identity, uint64_t now);

/* Tor has answered the first request of an identity, or it was given up: what is not `good` is forgotten, because the
 * next request will cost a circuit again. */
void socks_budget_answered(struct socks_budget *budget, uint32_t identity, bool good);

/* When waiting stations may be worth another look, in *at: microseconds, not before `now`. False: only an answer helps. */
bool socks_budget_next(const struct socks_budget *budget, uint64_t now, uint64_t *at);

/* What Tor says: circuits that it is building, and whether since the last time circuits were refused or timed out. */
void socks_budget_learn(struct socks_budget *budget, uint32_t building, bool refused, uint64_t now);

void socks_budget_look(const struct socks_budget *budget, uint64_t now, struct socks_budget_state *state);

#endif
