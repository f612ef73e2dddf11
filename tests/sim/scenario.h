/* SPDX-License-Identifier: BSD-3-Clause */
/* A seed made into a scenario: what the engine is given, what the links do, who connects and what happens upstream. */
#ifndef CLOISTER_TESTS_SIM_SCENARIO_H
#define CLOISTER_TESTS_SIM_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include "link.h"
#include "peer.h"
#include "tcp/engine.h"
#include "upstream.h"

#define SCENARIO_PEERS_MAX 50u
#define SCENARIO_HOSTS_MAX 3u

struct scenario_peer {
    struct peer_script peer;
    struct upstream_script upstream;
    uint32_t host;
    bool completes; /* nothing in its script keeps both streams from arriving in full */
};

struct scenario {
    uint64_t seed;
    uint64_t start; /* us, what the clock says at first */
    struct tcp_config config;
    struct link_script up[SCENARIO_HOSTS_MAX], down[SCENARIO_HOSTS_MAX];
    uint32_t peers;
    struct scenario_peer peer[SCENARIO_PEERS_MAX];
    uint32_t lives;        /* connections that follow the first from each port */
    uint32_t path_mtu;     /* behind the link; what is larger is answered by ICMP; 0: that of the link */
    uint32_t full_queue;   /* one in so many segments finds no room on the link; 0: none */
    uint64_t meddle_every; /* us between other things that happen to an engine; 0: nothing does */
    uint64_t leave_at;     /* us after the start when workstation 0 is gone; 0: never */
    bool v4;
    bool damaged;     /* headers are spoilt: only what is inside the engine can be judged */
    bool harsh;       /* the link is so bad that flows may be given up */
    bool scarce;      /* flows, chunks or quotas do not suffice: flows may be refused */
    bool perfect;     /* nothing that would make anybody send anything twice */
    uint64_t rtt_max; /* us, the largest round trip that may be measured */
};

void scenario_make(struct scenario *s, uint64_t seed);

#endif
