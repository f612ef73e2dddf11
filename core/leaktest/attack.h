/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The test itself: send, watch the host's network, and take down what comes back.
 *
 * One thread, one loop. Both packet sockets have room for 64 MiB, and what the kernel dropped for us nevertheless is
 * counted: an incomplete capture proves nothing.
 */
#ifndef CLOISTER_LEAKTEST_ATTACK_H
#define CLOISTER_LEAKTEST_ATTACK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "leaktest/judge.h"
#include "leaktest/matrix.h"
#include "leaktest/mutant.h"
#include "leaktest/secret.h"
#include "leaktest/tor.h"
#include "leaktest/wire.h"

#define ATTACK_INTERFACES 1088u
#define ATTACK_SPOKEN 8u
#define ATTACK_DOORS 4u

/* What each probe came to. */
struct attack_result {
    uint16_t words; /* set of enum answer_word */
    bool withheld;  /* not sent: the gateway would have asked Tor for an address of the Internet */
};

struct attack {
    struct ground ground;
    struct matrix matrix;
    struct judge judge;
    struct secrets secrets;
    struct attack_result result[MATRIX_MAX];

    /* Set by the caller before attack_run(). */
    struct wire *host;               /* all interfaces of the host's namespace */
    struct wire *station;            /* the workstation's */
    unsigned uplink[8];              /* indices of the uplinks, ended by 0 */
    unsigned own[ATTACK_INTERFACES]; /* of the workstations' link in the host's namespace: not looked at */
    unsigned own_count;
    pid_t tor;         /* whose connections are Tor's; 0: nobody's */
    const char *socks; /* its SOCKS socket, or NULL: it is not asked to speak */
    bool considerate;  /* beside a real Tor: see attack_withholds() */
    uint32_t rate, mutants;
    uint64_t seed;
    int doors[ATTACK_DOORS];           /* sockets of the host on which nobody should be heard; -1: none */
    const volatile sig_atomic_t *stop; /* set by a signal */

    /* Results. */
    uint32_t sent, withheld, mutants_sent, mutants_withheld;
    uint32_t heard;   /* datagrams and connections at the doors */
    uint64_t back;    /* frames that came back */
    bool alive_after; /* the gateway answers after all of it */

    /* Private to it. */
    uint8_t *buffer;           /* WIRE_MAX bytes */
    bool later;                /* among the mutants */
    int asker;                 /* probe of ARP or ND that was sent last */
    bool met;                  /* the gateway answered our ARP request */
    int spoken[ATTACK_SPOKEN]; /* descriptors of what Tor was asked for */
    unsigned spoken_count;
    int64_t looked_ms; /* when Tor's connections were looked at */
};

/* Learn the gateway's MAC address, from the workstation's. 0; -EHOSTUNREACH: nobody answers for it; -EINTR; or negative
 * errno. ground.network and ground.me are set. */
int attack_meet(struct attack *a);

/* Learn which connections Tor has now. 0 or negative errno. */
int attack_look_at_tor(struct attack *a);

/* Make the matrix, and send all. 0, -EINTR, or negative errno and *step. */
int attack_run(struct attack *a, const char **step);

void attack_free(struct attack *a);

/* True if this frame is not for sending beside a gateway of the real Tor: the gateway would take it for a connection to
 * the Internet and pass it on. An exit would then be asked for the address of this host, or of its guard, and learn what
 * it must not; or, for the many mutants, Tor would be loaded for nothing. */
bool attack_withholds(const struct ground *g, const uint8_t *frame, size_t n, bool mutant);

#endif
