/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A run: one engine, its workstations, links and upstreams, in virtual time, from the first SYN to the last timer.
 *
 * Everything is an event with a time; ties are broken by the order of creation, so a seed gives one run and no other.
 * All that the engine is given at one instant is a batch: then comes its tcp_advance() and tcp_flush(), as in the
 * gateway, and all checks.
 */
#ifndef CLOISTER_TESTS_SIM_WORLD_H
#define CLOISTER_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "scenario.h"

struct world_result {
    char wrong[256];  /* empty if nothing is */
    uint64_t digest;  /* of all that the engine did, and when */
    uint64_t packets; /* given to the engine and sent by it */
    uint64_t events;
    uint64_t virtual_us; /* from the start to the end */
    uint32_t completed;  /* connections whose streams both arrived in full */
    struct tcp_counters counters;
    /* Of the last peer: when its streams were complete, us after its SYN; 0 if they never were. */
    uint64_t up_done, down_done;
};

/* Run a scenario to its end or to the first thing that is wrong. `trace`: print every segment. */
void world_run(const struct scenario *s, bool trace, struct world_result *result);

#endif
