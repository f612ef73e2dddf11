/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of `cloister leaktest`. */
#ifndef CLOISTER_LEAKTEST_OPTIONS_H
#define CLOISTER_LEAKTEST_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "leaktest/judge.h"

#define OPTIONS_UPLINKS 8u
#define OPTIONS_ALLOWED 16u
#define OPTIONS_ERROR_MAX 256u
#define OPTIONS_RATE 4000u     /* frames a second */
#define OPTIONS_MUTANTS 10000u /* frames */

/* How the workstation of a private network is attached. */
enum options_link {
    OPTIONS_LINK_ATTACH,
    OPTIONS_LINK_BRIDGE,
    OPTIONS_LINK_DEVICE,
};

struct options {
    const char *config;                      /* of the running gateway; NULL: find it */
    const char *uplink[OPTIONS_UPLINKS + 1]; /* interfaces, ended by NULL; none: that of the default route */
    const char *netns, *bridge, *via; /* where the workstation's link is, if not where the configuration says */
    bool private_network, blind;
    enum options_link link; /* private network only */
    bool list, json, verbose, help;
    bool strict; /* all on the uplink that is not Tor's is a leak */
    bool seeded; /* `seed` was given */
    uint64_t seed;
    uint32_t mutants, rate;
    struct judge_peer allowed[OPTIONS_ALLOWED];
    unsigned allowed_count;
};

extern const char options_usage[];

/* Read the arguments; argv[0] is "leaktest". 0, or -EINVAL and a sentence in `error`. What is stored points into argv. */
int options_read(struct options *o, int argc, char **argv, char error[OPTIONS_ERROR_MAX]);

#endif
