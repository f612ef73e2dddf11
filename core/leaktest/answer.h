/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes back to the workstation: which probe it answers, and in what words. */
#ifndef CLOISTER_LEAKTEST_ANSWER_H
#define CLOISTER_LEAKTEST_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaktest/matrix.h"

/* A set of these has been seen for a probe. */
enum answer_word {
    ANSWER_SYN_ACK = 1,
    ANSWER_RST = 2,
    ANSWER_TCP = 4,
    ANSWER_UDP = 8,
    ANSWER_DNS = 16,
    ANSWER_ECHO = 32,
    ANSWER_ARP = 64,
    ANSWER_NA = 128,
    ANSWER_ICMP = 256,
    ANSWER_OTHER = 512,
};

struct answer {
    int number;            /* of the probe; -1: it answers none */
    enum answer_word word; /* what it is */
};

/* What a frame is. `asker` is the number of the ARP or neighbour discovery probe that was sent last, for answers to
 * those bear no number; -1: none. */
struct answer answer_read(const struct ground *g, const uint8_t *frame, size_t n, int asker);

/* True if this set of words is what is expected of the probe. */
bool answer_fits(unsigned expected, unsigned words);

/* The words of a set, with commas between; "silence" for none. */
void answer_describe(char *out, size_t size, unsigned words);

#define ANSWER_SIZES 4u

/* Every number in a frame that tells of an MTU: of an MSS, an ICMP error, a router advertisement. How many. */
size_t answer_sizes(const uint8_t *frame, size_t n, uint32_t sizes[ANSWER_SIZES]);

/* The time stamp (RFC 7323) of a TCP segment and a number that tells its flow from others, or false. */
bool answer_timestamp(const uint8_t *frame, size_t n, uint32_t *value, uint64_t *flow);

#endif
