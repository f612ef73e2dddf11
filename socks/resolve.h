/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions to Tor that one answer settles: what address has this name, what name has this address (SOCKS RESOLVE and
 * RESOLVE_PTR), and what does this server say to this message (CONNECT, a message with its length before it each way, as
 * DNS over TCP has it, RFC 1035 4.2.2).
 *
 * Each is a connection of its own to the SOCKS listener, with the credentials of whoever asks. Answers come from
 * socks_resolver_dispatch() and socks_resolver_poll() only.
 */
#ifndef CLOISTER_SOCKS_RESOLVE_H
#define CLOISTER_SOCKS_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "socks/handshake.h"
#include "socks/tors.h"

#define SOCKS_MESSAGE_MAX 512u /* bytes of a message that is sent; one that is received may have 65535 */

/* What came of a call. */
struct socks_result {
    int status;               /* 0; -ETIMEDOUT; -ECONNREFUSED: no listener; -EPROTO, -ECONNRESET: no answer */
    uint8_t code;             /* enum socks_code, if status is 0 */
    struct socks_bound bound; /* if the code is SOCKS_SUCCEEDED */
    struct bytes message;     /* CONNECT that succeeded: the server's message, until the callback returns */
};

struct socks_resolver_config {
    const char *path;                /* of the SOCKS listener's pathname socket; copied */
    const struct socks_tors *others; /* and of other Tors' listeners, or NULL; copied */
    uint32_t calls;                  /* at once, 1 to 65535 */
    uint64_t patience;               /* microseconds a call may take */
    /* May the call with this tag ask Tor for a circuit now? If not it waits, and this is asked again. NULL: all may. */
    bool (*may)(void *ctx, uint32_t tag, uint64_t now);
    /* A call is over. It may start others, and must not cancel any. */
    void (*done)(void *ctx, uint32_t tag, const struct socks_result *result, uint64_t now);
    void *ctx;
};

struct socks_resolver;

/* 0 and *out, or negative errno: -ENAMETOOLONG, -EINVAL, -ENOMEM, or what epoll_create1() says. */
int socks_resolver_new(struct socks_resolver **out, const struct socks_resolver_config *config);

/* Close everything, without telling anybody. NULL is allowed. */
void socks_resolver_free(struct socks_resolver *resolver);

/* A descriptor that is readable when socks_resolver_dispatch() has something to do. Owned by the resolver. */
int socks_resolver_fd(const struct socks_resolver *resolver);

/* Begin a call. `message` is for CONNECT, and is sent along with the request; at most SOCKS_MESSAGE_MAX bytes. `tag` comes
 * back in done(). Returns the call's number, from 1, until it is done or cancelled; or -EINVAL, -EAGAIN (too many at
 * once), -ENOBUFS (no descriptor). */
int32_t socks_resolver_start(struct socks_resolver *resolver, uint32_t tag, const struct socks_request *request,
                             struct bytes message, uint64_t now);

/* Nobody wants to know any more: done() is not called. */
void socks_resolver_cancel(struct socks_resolver *resolver, uint32_t call);

/* Read what there is. Returns the number of events, or what epoll_wait() said. */
int socks_resolver_dispatch(struct socks_resolver *resolver, uint64_t now);

/* End what takes too long; connect what had to wait. */
void socks_resolver_poll(struct socks_resolver *resolver, uint64_t now);

/* When to call socks_resolver_poll() next, in *at (microseconds); false if nothing is under way. */
bool socks_resolver_next(const struct socks_resolver *resolver, uint64_t *at);

#endif
