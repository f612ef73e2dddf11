/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a workstation may say at the filtered control port, and what it is answered: as much of Tor's control protocol as an
 * application needs that wants a new identity (Tor Browser, nyx-like tools, stem), sans-IO.
 *
 * No word of it reaches Tor. The answers are made here, of what every workstation may know anyhow:
 *
 *     PROTOCOLINFO                 no authentication is needed
 *     AUTHENTICATE ...             250 OK, whatever is said; nothing is looked at
 *     SIGNAL NEWNYM                new identities for this workstation, and no other
 *     GETINFO version | status/circuit-established | net/listeners/socks, up to four keys
 *     QUIT
 *
 * Everything else is answered with 510. A line too long ends the session. So does a first line that no client of the
 * protocol would say: a page can have a browser connect here, and chooses lines of what it sends, but never the first.
 */
#ifndef CLOISTER_DAEMON_CONTROL_FILTER_H
#define CLOISTER_DAEMON_CONTROL_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/bytes.h"

#define CONTROL_FILTER_LINE_MAX 512u   /* bytes of a line without its end */
#define CONTROL_FILTER_ANSWER_MAX 768u /* of an answer */
#define CONTROL_FILTER_OUT_MAX (2u * CONTROL_FILTER_ANSWER_MAX)
#define CONTROL_FILTER_LISTENERS_MAX 128u

/* What the answers say. */
struct control_filter_facts {
    const char *version;                          /* of Tor */
    char listeners[CONTROL_FILTER_LISTENERS_MAX]; /* of SOCKS, each address in quotes, blanks between */
    bool ready;                                   /* Tor can carry flows */
};

struct control_filter {
    uint16_t len; /* of the line so far */
    uint16_t out_len;
    bool begun;        /* its first line has come */
    bool ended;        /* no more is taken; close when `out` is read */
    uint32_t newnyms;  /* how often new identities were asked for: the owner acts on it, and sets it to 0 */
    uint32_t filtered; /* how many lines were answered with 510: the owner counts it, and sets it to 0 */
    uint32_t lines;    /* how many lines came: likewise */
    char line[CONTROL_FILTER_LINE_MAX + 1];
    char out[CONTROL_FILTER_OUT_MAX]; /* what was not read yet */
};

void control_filter_init(struct control_filter *filter);

/* Take bytes from `in` up to the end of a line, and answer it. True if a line was answered, or the session has ended: come
 * again for the rest, when there is room (control_filter_has_room()). */
bool control_filter_feed(struct control_filter *filter, const struct control_filter_facts *facts, struct bytes *in);

/* True if whatever comes can be answered. */
bool control_filter_has_room(const struct control_filter *filter);

/* Move answers into `iov`. Returns the bytes. */
size_t control_filter_take(struct control_filter *filter, const struct iovec *iov, int count);

#endif
