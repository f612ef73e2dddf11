/* SPDX-License-Identifier: BSD-3-Clause */
/* What nobody in the workstation may learn of the host: names, addresses, the uplink's MTU, clocks. */
#ifndef CLOISTER_LEAKTEST_SECRET_H
#define CLOISTER_LEAKTEST_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "leaktest/matrix.h"

#define SECRET_MAX 512u
#define SECRET_FLOWS 256u
#define SECRET_FRAME_MAX 160u /* bytes that are kept of a frame */

struct secret {
    char what[88]; /* what it is, for people */
    uint8_t b[72];
    uint8_t n;           /* bytes; 0: found by other means than by its bytes */
    bool said;           /* the workstation sent it itself among the mutants */
    uint32_t told;       /* frames that told it in the matrix */
    uint32_t told_later; /* and among the mutants */
    uint8_t frame_n;     /* of the first that did */
    uint8_t frame[SECRET_FRAME_MAX];
};

struct secrets {
    struct secret item[SECRET_MAX];
    unsigned count;
    uint32_t uplink_mtu, link_mtu;            /* the former is looked for if they differ */
    uint32_t told_mtu, told_time, told_clock; /* frames, frames, flows */
    struct secret_flow {
        uint64_t flow;
        uint32_t offset; /* ms by which its clock is ahead of ours */
    } flows[SECRET_FLOWS];
    unsigned flow_count;
};

/* Add bytes to look for. */
void secrets_add(struct secrets *s, const char *what, const void *b, size_t n);

/* Add an address, as bytes and as text. */
void secrets_add_address(struct secrets *s, const char *what, const struct ipaddr *a);

/* Gather what the network namespace of the caller has: the host's name, all addresses of its interfaces but for `lo` and
 * those named in `spared`, ended by NULL, and but for addresses in the workstations' network. 0 or negative errno. */
int secrets_gather(struct secrets *s, const struct ground *g, const char *const *spared);

/* Look at a frame that came back, and at the one that it answers (NULL, 0: none). `later`: among the mutants. `wall_s` is
 * the time of day, s; `now_ms` the monotonic clock, ms. */
void secrets_look(struct secrets *s, const uint8_t *frame, size_t n, const uint8_t *asked, size_t asked_n,
                  bool later, int64_t wall_s, int64_t now_ms);

/* A mutant is sent: what it holds may come back. */
void secrets_said(struct secrets *s, const uint8_t *frame, size_t n);

/* Decide what takes all frames to decide. How many different things were told. */
unsigned secrets_settle(struct secrets *s);

/* True if this one was told. */
bool secret_is_told(const struct secret *secret);

#endif
