/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tor's circuits as its events tell of them, and which identity each carries, so that a flow can be shown with the relays
 * it goes over. A flow and a circuit are joined by the key of the credential that the flow's stream was opened with.
 *
 * No I/O. Bounded: circuits beyond CIRCUITS_MAX are not shown.
 */
#ifndef CLOISTER_DAEMON_CIRCUITS_H
#define CLOISTER_DAEMON_CIRCUITS_H

#include <stdint.h>

#include "socks/control_events.h"

#define CIRCUITS_MAX 16384u
#define CIRCUITS_HOPS_MAX 8u
#define CIRCUITS_HEADS 4096u /* of each hash, a power of two */

struct circuit_relay {
    uint8_t fingerprint[20];
    char nickname[20]; /* 19 characters at most (dir-spec), NUL-terminated */
};

struct circuit {
    uint64_t id;       /* Tor's; 0: the slot is free */
    uint64_t key;      /* isolation_credential_key() of what it carries; 0: nothing of ours yet */
    uint64_t conflux;  /* equal for legs of one set; 0: none */
    uint32_t streams;  /* that were opened over it */
    uint32_t began;    /* seconds, when it was first heard of */
    uint32_t next_id;  /* next of the same hash, slot + 1; or the next free one */
    uint32_t next_key; /* the same by key */
    uint8_t hops;      /* of `path` */
    char status[12];   /* "BUILT" ... as Tor has it */
    char purpose[24];
    struct circuit_relay path[CIRCUITS_HOPS_MAX];
};

struct circuits {
    struct circuit *at; /* CIRCUITS_MAX of them; untouched memory costs nothing */
    uint32_t by_id[CIRCUITS_HEADS];
    uint32_t by_key[CIRCUITS_HEADS];
    uint32_t free;     /* slot + 1 of one that was given back, 0: none */
    uint32_t fresh;    /* slots from here on were never used */
    uint32_t count;    /* now */
    uint32_t building; /* of these, not built yet */
};

/* 0 or -ENOMEM. */
int circuits_init(struct circuits *circuits);
void circuits_fini(struct circuits *circuits);

/* Take in an event; `now` in seconds. */
void circuits_take_circuit(struct circuits *circuits, const struct control_circuit *event, uint32_t now);
void circuits_take_stream(struct circuits *circuits, const struct control_stream *event);

/* The circuit that carried this identity's latest stream, or NULL. */
const struct circuit *circuits_of_key(const struct circuits *circuits, uint64_t key);

/* The circuit in slot *cursor or the first one after it, with *cursor moved behind it; NULL if there is none any more. */
const struct circuit *circuits_next(const struct circuits *circuits, uint32_t *cursor);

#endif
