/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Identities that stay the same while they are used, as Tor Browser expects of a port whose circuits are kept alive for a
 * client that says credentials: a site does not see another exit in mid-session because of its age. Others are new ones
 * when their time is over, used or not (isolation_epoch()), and nothing is remembered of them.
 *
 * An identity is used when a stream of it begins, and when one ends. The epoch it had at first is kept until it was not
 * used for a whole lifetime. When all places are taken, whoever has most loses his oldest for another: many who make
 * many cannot push out those of one who has few. Without a place an identity is like the others. A wrong entry could only
 * make an identity older or newer: the credential is a hash of all that makes the identity, in any case.
 */
#ifndef CLOISTER_SOCKS_LASTING_H
#define CLOISTER_SOCKS_LASTING_H

#include <stdint.h>

#define SOCKS_LASTING_MAX 1024u

struct socks_lasting_identity {
    uint64_t identity; /* a hash of what makes it, but for the epoch */
    uint64_t epoch;    /* when it began */
    uint64_t key;  /* isolation_credential_key() of its credential, for the caller to set; 0: the place is free */
    uint64_t used; /* seconds; the last time */
    uint32_t station; /* whose it is */
};

/* Zeroed: nothing is known. */
struct socks_lasting {
    struct socks_lasting_identity place[SOCKS_LASTING_MAX];
};

/* `identity` of `station` is used at `now` (seconds). Returns its place, with the epoch it has: the one it had before if it
 * was used within `lifetime` seconds, else `epoch`. */
struct socks_lasting_identity *socks_lasting_use(struct socks_lasting *lasting, uint64_t identity, uint32_t station,
                                                 uint64_t epoch, uint64_t now, uint32_t lifetime);

/* A stream with this key ends at `now` (seconds). */
void socks_lasting_end(struct socks_lasting *lasting, uint64_t key, uint64_t now);

#endif
