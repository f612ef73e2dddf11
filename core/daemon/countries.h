/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which country each relay is in, as far as Tor knows: a cache by fingerprint, and the questions that fill it.
 *
 * Tor is asked only about relays that somebody wants to see (`show flows`, `show circuits`, `watch`): whoever has thousands
 * of circuits and nobody looking pays nothing, and a path is as good without its countries. It takes two questions,
 * control-spec 3.9: GETINFO ns/id/FINGERPRINT for the address, then GETINFO ip-to-country/ADDRESS. A relay that no
 * consensus lists (a bridge) has no country here.
 *
 * No I/O. Bounded: the cache, what waits to be asked, what is under way at once, and relays a second.
 */
#ifndef CLOISTER_DAEMON_COUNTRIES_H
#define CLOISTER_DAEMON_COUNTRIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bucket.h"

#define COUNTRIES_MAX 8192u        /* relays that are remembered, a power of two; a few pages while they are few */
#define COUNTRIES_WANTED_MAX 1024u /* that wait to be asked about, a power of two */
#define COUNTRIES_ASKED_MAX 8u     /* relays that are asked about at once, a power of two */
#define COUNTRIES_PER_SECOND 200u  /* relays that are asked about */
#define COUNTRIES_COMMAND_MAX 64u  /* bytes of a question */

struct country {
    uint8_t fingerprint[20];
    char code[3];   /* two lower-case letters, as Tor has them; empty: not known */
    uint8_t state;  /* enum of countries.c */
    uint32_t since; /* seconds, when it became known, or known not to be */
};

struct country_question {
    uint32_t slot;    /* the relay it is about */
    uint8_t kind;     /* enum of countries.c */
    char address[16]; /* of the relay, IPv4; empty: not told yet */
    char code[3];     /* of the country; empty: not told yet */
};

struct countries {
    struct country *at;                    /* COUNTRIES_MAX of them, in sets that a fingerprint may be in */
    uint32_t wanted[COUNTRIES_WANTED_MAX]; /* slots, a ring */
    uint32_t wanted_first, wanted_count;
    struct country_question asked[COUNTRIES_ASKED_MAX]; /* under way, a ring */
    uint32_t asked_first, asked_count;
    struct country_question ready[COUNTRIES_ASKED_MAX]; /* half answered: the address is told. A ring */
    uint32_t ready_first, ready_count;
    struct country_question next; /* chosen to be asked ... */
    bool chosen;                  /* ... if so */
    uint8_t list;                 /* has Tor a list of countries? enum of countries.c */
    uint8_t turn;                 /* whom the next newcomer of a full set replaces */
    struct bucket pace;
};

/* 0 or -ENOMEM. */
int countries_init(struct countries *countries);
void countries_fini(struct countries *countries);

/* The relay's country, two letters, or NULL. */
const char *countries_of(const struct countries *countries, const uint8_t fingerprint[20]);

/* Have it asked unless it is known, or was not lately; `now` in seconds. False if there is no room for it now. */
bool countries_want(struct countries *countries, const uint8_t fingerprint[20], uint32_t now);

/* True if something is to be asked, or under way. */
bool countries_busy(const struct countries *countries);

/* The next question for Tor, if one may be asked at `now` (microseconds). It is the next one until it is said to be asked:
 * then it has to be answered, in order. */
bool countries_question(struct countries *countries, uint64_t now, char out[COUNTRIES_COMMAND_MAX]);
void countries_asked(struct countries *countries);

/* A line of the answer to the oldest question, as control_ops.info() has it, and its end; `now` in seconds. Lines of other
 * commands' answers are passed over. */
void countries_line(struct countries *countries, const char *key, const char *value);
void countries_answered(struct countries *countries, uint32_t now);

#endif
