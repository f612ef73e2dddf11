/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the DNS answerer wants to know from Tor, asked by SOCKS: each workstation's lookups with credentials of its own,
 * and by default each name's. The policy of a question is a set of enum isolation_field, of isolation_rules_lookup_fields().
 */
#ifndef CLOISTER_DAEMON_DNS_ASKER_H
#define CLOISTER_DAEMON_DNS_ASKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "dns/answer.h"
#include "socks/tors.h"

#define DNS_UPSTREAMS 2u

struct dns_asker_config {
    const char *path;                       /* of the SOCKS listener's pathname socket; copied */
    const struct socks_tors *others;        /* as in struct socks_resolver_config */
    uint32_t handles;                       /* the highest that the answerer uses */
    uint32_t calls;                         /* at once */
    uint32_t isolation_lifetime;            /* s after which an identity is a new one, 0: never */
    uint8_t secret[16];                     /* random, for the credentials */
    struct ipaddr upstreams[DNS_UPSTREAMS]; /* resolvers for other types */
    struct socks_budget *budget;            /* of new identities, borrowed; NULL: not metered */
};

struct socks_budget;
struct dns_asker;

/* Make one whose findings go to `dns`, which is borrowed. 0 and *out, or negative errno. */
int dns_asker_new(struct dns_asker **out, const struct dns_asker_config *config, struct dns *dns);

/* NULL is allowed. */
void dns_asker_free(struct dns_asker *asker);

/* A descriptor that is readable when dns_asker_dispatch() has something to do. */
int dns_asker_fd(const struct dns_asker *asker);

/* As in struct dns_ops. */
int dns_asker_ask(struct dns_asker *asker, const struct dns_ask *ask, uint64_t now);
void dns_asker_forget(struct dns_asker *asker, uint32_t handle);

/* Tell the answerer what came. 0 or negative errno. */
int dns_asker_dispatch(struct dns_asker *asker, uint64_t now);

/* End what takes too long, and begin what had to wait. */
void dns_asker_poll(struct dns_asker *asker, uint64_t now);

/* When to call dns_asker_poll() next, in *at; false if nothing is under way. */
bool dns_asker_next(const struct dns_asker *asker, uint64_t *at);

#endif
