/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `cloister leaktest`: whether anything but Tor gets out, tried. See cloister(8).
 *
 * The order is one line: where is the gateway and the workstations' link (here), be a workstation there (station.h), send
 * what the matrix and the mutator make (attack.h), judge what is seen on the host's network (judge.h) and what comes back
 * (answer.h, secret.h), and say so (report.h). What is not known of a running gateway is in its configuration, which the
 * caller reads.
 */
#ifndef CLOISTER_LEAKTEST_LEAKTEST_H
#define CLOISTER_LEAKTEST_LEAKTEST_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ipaddr.h"

#define LEAKTEST_PATH_MAX 256u

/* What has to be known of a gateway. */
struct leaktest_gateway {
    char device[IFNAMSIZ];          /* its TAP */
    char bridge[IFNAMSIZ];          /* of the host's that this is in, or empty */
    bool attach;                    /* it is in a segment of its own */
    bool isolate_clients;           /* whose ports exchange no frames */
    struct ipnet network, network6; /* the latter of len 0: no IPv6 */
    struct ipnet virtual_net;
    uint32_t mtu;                  /* of the workstations' link */
    bool reject, dhcp, external;   /* external: Tor is no process of its own */
    char socks[LEAKTEST_PATH_MAX]; /* Tor's SOCKS socket */
};

/* Read a configuration file; says on standard error what is wrong. 0 or negative errno. */
typedef int (*leaktest_load)(struct leaktest_gateway *out, const char *file);

/* The command, with argv[0] its name. The exit status: 0 nothing leaked, 1 something did, 2 it could not be tested. */
int leaktest_main(int argc, char **argv, leaktest_load load);

#endif
