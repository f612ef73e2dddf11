/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SOCKS listeners of one Tor, or of several: who asks which. All that is of one identity goes to the same one, or it would
 * not share a circuit where it may, and what differs is spread evenly.
 */
#ifndef CLOISTER_SOCKS_TORS_H
#define CLOISTER_SOCKS_TORS_H

#include <stdint.h>
#include <sys/un.h>

#define SOCKS_TORS_MAX 8u

struct socks_tors {
    uint32_t count;
    struct sockaddr_un address[SOCKS_TORS_MAX];
};

/* Add the listener at this path. 0; or -EINVAL, -ENAMETOOLONG as socks_path_address(), or -ENOSPC. */
int socks_tors_add(struct socks_tors *tors, const char *path);

/* The number of the one, out of `count`, that an identity asks: `hash` is the upper half of isolation_credential_key(), a
 * keyed hash already. */
uint32_t socks_tors_number(uint32_t count, uint32_t hash);

/* Its address. */
const struct sockaddr_un *socks_tors_of(const struct socks_tors *tors, uint32_t hash);

#endif
