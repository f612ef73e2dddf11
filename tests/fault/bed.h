/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole gateway in one process and one thread, in virtual time: frames of workstations that the simulator's TCP peers
 * send, the real layers, and a SOCKS server on a pathname socket that sends and checks known bytes.
 *
 *     peers (tests/sim) -> frames -> gateway_turn() -> SOCKS streams -> server
 *     queries           ----'                      '-> lookups -------'
 */
#ifndef CLOISTER_TESTS_FAULT_BED_H
#define CLOISTER_TESTS_FAULT_BED_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/gateway.h"

#define BED_PEERS 6u

/* How a run went. */
struct bed_result {
    unsigned clean;     /* flows that moved everything and closed in good order */
    unsigned answered;  /* of two names, one found by an exit and one by a resolver */
    const char *broken; /* what must never be and was, static; NULL */
    uint64_t calls;     /* that could have failed by the plan */
    uint64_t seconds;   /* of virtual time until all flows had ended */
};

/* Make the directory for the server's socket, and what the streams carry. Once. */
void bed_open(void);
void bed_close(void);

/* The configuration of the gateway under test. */
const struct channel_gateway_config *bed_config(void);

/* Descriptors that are open now. */
unsigned bed_descriptors(void);

/* The life of a gateway: BED_PEERS flows of two workstations and two queries while calls fail by the plan that is on
 * (fault.h), then the same again while none does. `first` is how the first part went, `second` how the other; what must
 * hold in the end is looked at in `second`. */
void bed_run(struct bed_result *first, struct bed_result *second);

#endif
