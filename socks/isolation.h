/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Isolation: which flows may share a circuit.
 *
 * A policy is a set of fields. Two flows may share a circuit only if all of the policy's fields are equal in both,
 * and their epoch. What Tor gets to see of that is a credential: a keyed hash of the fields, so that neither an
 * address nor a port of the workstation reaches Tor's memory or logs. Tor never puts streams with different
 * credentials on one circuit (IsolateSOCKSAuth), and on a pathname socket it has nothing else to go by.
 *
 * All functions here are pure.
 */
#ifndef CLOISTER_SOCKS_ISOLATION_H
#define CLOISTER_SOCKS_ISOLATION_H

#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "base/siphash.h"

/* Fields of a policy, to be or-ed. The workstation is part of every policy that isolation_parse() returns: an
 * identity never spans two workstations. */
enum isolation_field {
    ISOLATION_WORKSTATION = 1 << 0,
    ISOLATION_SOURCE_ADDRESS = 1 << 1,
    ISOLATION_SOURCE_PORT = 1 << 2,
    ISOLATION_DESTINATION_ADDRESS = 1 << 3, /* as the workstation wrote it: the virtual address of a name */
    ISOLATION_DESTINATION_NAME = 1 << 4,    /* the name; of a flow without one, its address */
    ISOLATION_DESTINATION_PORT = 1 << 5,
    ISOLATION_ALL = (1 << 6) - 1, /* that a policy may be made of */
    /* Of flows through the ports on the gateway's own address (ports.h) only: */
    ISOLATION_PORT = 1 << 6,        /* which of them */
    ISOLATION_CREDENTIALS = 1 << 7, /* what the client calls himself there */
};

#define ISOLATION_AUTH_MAX 520u

/* A flow, as far as isolation goes. */
struct isolation_flow {
    uint64_t workstation; /* a number that never names two workstations */
    struct ipaddr src;    /* the workstation's address */
    struct ipaddr dst;    /* where it goes */
    const char *name;     /* the name behind dst, if it is a virtual address; else NULL */
    uint16_t src_port;    /* host order */
    uint16_t dst_port;    /* host order */
    uint64_t nym;         /* how often the workstation asked for new identities */
    uint16_t port;        /* of the gateway's address, through which it comes; else 0 */
    uint16_t auth_len;    /* bytes of the next, up to ISOLATION_AUTH_MAX; 0: none */
    const uint8_t *auth;  /* what the client calls himself there, borrowed */
};

/* Keys for the two halves of a credential and for the staggering of epochs. */
struct isolation_secret {
    struct siphash_key low, high, stagger;
};

#define ISOLATION_USERNAME "<torS0X>0" /* Tor proposal 351: isolation only, format 0 */
#define ISOLATION_PASSWORD_LEN 32u

struct isolation_credential {
    char password[ISOLATION_PASSWORD_LEN + 1]; /* lower case hex, NUL-terminated; the username is always the same */
};

/* Derive the three keys from sixteen random bytes drawn at start. */
void isolation_secret_init(struct isolation_secret *secret, const uint8_t seed[16]);

/* Parse "source-port", "workstation", "destination", or a set such as "workstation, destination-name". Case does
 * not matter. `source-port` brings source-address with it, `destination` stands for destination-name and
 * destination-port, and every policy contains the workstation.
 * Returns the set, or -EINVAL; then *bad and *bad_len, if not NULL, tell the word at fault (empty: a word is
 * missing). */
int isolation_parse(const char *text, const char **bad, size_t *bad_len);

/* Write a policy as isolation_parse() reads it. Returns what snprintf() does. */
int isolation_format(unsigned fields, char *out, size_t size);

/* The epoch of an identity at `now` (seconds of any monotonic clock). It changes every `lifetime` seconds (0:
 * never), for each identity at a moment of its own, so that not all of them ask for a new circuit at once. A source
 * port that is used again after that is a new identity. */
uint64_t isolation_epoch(const struct isolation_secret *secret, unsigned fields, const struct isolation_flow *flow,
                         uint64_t now, uint32_t lifetime);

/* The credential of `flow` under the policy `fields` in `epoch`. */
void isolation_credential(const struct isolation_secret *secret, unsigned fields, const struct isolation_flow *flow,
                          uint64_t epoch, struct isolation_credential *out);

/* The first half of a credential as a number, by which streams and circuits are joined to flows. 0 for what is no
 * credential of ours. */
uint64_t isolation_credential_key(const char *password);

#endif
