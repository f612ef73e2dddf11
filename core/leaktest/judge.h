/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frame by frame: whose is what was seen in the host's network?
 *
 * A frame that bears a mark comes of a probe, whatever it looks like, also one to a relay. So does one that has an
 * address which only this test or the workstations use. What remains is Tor's, if Tor has or had such a connection; the
 * link's own (ARP, neighbour discovery); or the host's, which is nothing to find fault with on a host that does other
 * things, and a leak on one that does nothing else (`strict`).
 */
#ifndef CLOISTER_LEAKTEST_JUDGE_H
#define CLOISTER_LEAKTEST_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaktest/matrix.h"

#define JUDGE_KEPT 8u       /* frames that are kept to be shown */
#define JUDGE_KEPT_MAX 256u /* bytes of each */
#define JUDGE_PEERS 1024u
#define JUDGE_OPEN 512u

/* One end of a connection. */
struct judge_peer {
    struct ipaddr addr;
    uint16_t port; /* 0: any */
};

enum judge_verdict {
    JUDGE_TOR,
    JUDGE_LINK,
    JUDGE_OTHER,
    JUDGE_LEAK,
    JUDGE_UNDECIDED, /* nobody's so far: judge_settle() */
    JUDGE_VERDICTS,
};

/* Something on the uplink that came of the workstation, or of nobody known. */
struct judge_leak {
    int number;      /* of the probe; -1: not known */
    const char *why; /* static */
    unsigned interface;
    uint16_t n;
    uint8_t frame[JUDGE_KEPT_MAX];
};

struct judge {
    const struct ground *ground;          /* borrowed */
    bool strict;                          /* nothing but Tor's connections may be on the uplink */
    struct judge_peer peers[JUDGE_PEERS]; /* of Tor's, and allowed ones behind `tor_peers` */
    unsigned peer_count;
    uint64_t frames[JUDGE_VERDICTS];
    uint32_t marked[MATRIX_MAX]; /* frames, by probe */
    uint64_t unmarked;           /* leaks that bear no mark */
    struct judge_leak kept[JUDGE_KEPT];
    unsigned kept_count;
    /* TCP of nobody known yet: Tor may have made the connection since it was last looked at. */
    struct judge_open {
        struct judge_peer ends[2];
        uint64_t frames;
        struct judge_leak first;
    } open[JUDGE_OPEN];
    unsigned open_count;
};

void judge_init(struct judge *j, const struct ground *ground, bool strict);

/* Whoever is at `peer` is one that Tor speaks with, or is allowed. */
void judge_add_peer(struct judge *j, const struct judge_peer *peer);

/* Look at a packet: `type` is its EtherType, `source` its sender's MAC address or NULL, `packet` what is behind the
 * Ethernet header. If it was not on an uplink but on another interface of the host, only marks are looked for. */
enum judge_verdict judge_look(struct judge *j, unsigned interface, bool uplink, const uint8_t *source,
                              uint16_t type, const uint8_t *packet, size_t n);

/* Decide what is undecided, when all of Tor's connections are known. */
void judge_settle(struct judge *j);

/* Leaks so far. */
uint64_t judge_leaks(const struct judge *j);

#endif
