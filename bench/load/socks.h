/* SPDX-License-Identifier: BSD-3-Clause */
/* The server's side of a SOCKS5 handshake (RFC 1928, RFC 1929) that agrees to everything, as it comes: in one piece or
 * in many, with credentials or without. */
#ifndef CLOISTER_BENCH_SOCKS_H
#define CLOISTER_BENCH_SOCKS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOCKS_REQUEST_MAX 600u /* bytes: greeting, credentials and request together */
#define SOCKS_ANSWER_MAX 16u   /* bytes: all answers together */

struct socks_turn {
    size_t taken;                     /* bytes of the client's that are done with */
    size_t answered;                  /* bytes of the answer */
    uint8_t answer[SOCKS_ANSWER_MAX]; /* to be sent */
    bool over;                        /* what follows is the stream's */
    struct sockaddr_in to;            /* then: where to; address 0.0.0.0 if it was a name or IPv6 */
};

/* What to do about `n` bytes of a client. `step` is of the connection, and 0 at first. */
struct socks_turn socks_listen(unsigned *step, const uint8_t *data, size_t n);

#endif
