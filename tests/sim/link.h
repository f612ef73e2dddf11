/* SPDX-License-Identifier: BSD-3-Clause */
/* The link between workstation and engine, one direction: it loses, delays, reorders, repeats and damages packets. */
#ifndef CLOISTER_TESTS_SIM_LINK_H
#define CLOISTER_TESTS_SIM_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "../unit/random.h"
#include "wire.h"

#define LINK_MILLION 1000000u

/* Chances are per million, times in microseconds. */
struct link_script {
    uint32_t loss;
    uint32_t burst_loss; /* chance that a lost packet takes the next one with it */
    uint32_t duplicate;
    uint32_t reorder; /* chance to be held back by up to `reorder_by` */
    uint32_t reorder_by;
    uint32_t damage; /* chance that header fields are garbage though the checksum is right */
    uint32_t delay;
    uint32_t jitter;  /* keeps the order */
    uint64_t rate;    /* bytes per second; 0: infinite */
    uint32_t queue;   /* bytes that wait for their turn; what does not fit is lost */
    uint32_t quantum; /* arrivals are rounded up to this, so that batches form; at least 1 */
};

struct link {
    struct link_script s;
    struct random random;
    uint64_t free_at; /* when the last packet is on the wire */
    uint64_t last_at; /* latest arrival of those that keep the order */
    uint64_t used_at; /* when the last packet was sent */
    bool losing;
    uint64_t lost;
};

/* When a packet of `bytes` that is sent now arrives, or UINT64_MAX if it is lost. */
uint64_t link_carry(struct link *link, uint32_t bytes, uint64_t now);

/* Is this one to be sent twice? */
bool link_repeats(struct link *link);

/* Maybe spoil a header of `length` bytes. True if it did. */
bool link_damage(struct link *link, uint8_t *header, uint32_t length);

#endif
