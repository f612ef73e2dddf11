/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A private network for the test, of namespaces that nobody else is in and that have no way out:
 *
 *     workstation           host                                      far
 *     eth0 ---------- port0 (or the TAP)   uplink ---------------- far0, a relay
 *                      cloister run, "Tor" (fake_tor.h)
 *
 * The host is at its worst on purpose: it forwards, translates, believes every source and has its doors open, so that what
 * keeps a workstation in cannot be the host's good configuration. If `blind`, there is no gateway but that host itself at
 * its address: then there must be leaks, or this test could see none.
 *
 * The caller becomes part of the host, and stays there. All of it ends with the process.
 */
#ifndef CLOISTER_LEAKTEST_PRIVATE_H
#define CLOISTER_LEAKTEST_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "leaktest/attack.h"
#include "leaktest/options.h"

#define PRIVATE_UPLINK "uplink"
#define PRIVATE_DEVICE "cloister0"
#define PRIVATE_BRIDGE "br-leaktest"
#define PRIVATE_PORT "port0"
#define PRIVATE_WHY_MAX 4096u

struct private_net {
    enum options_link link;
    bool blind;
    int far, ws;                        /* network namespaces */
    int doors[ATTACK_DOORS];            /* the host's open ports */
    pid_t relay, tor, gateway, watcher; /* 0: not started */
    char directory[72];                 /* of what follows; empty: not made */
    char config[96], socks[96], log[96];
    const char *via; /* the workstation's interface, in `ws` */
};

/* Make it, and start the gateway, if any. 0, or negative errno and a text in `why`; in either case private_close(). */
int private_open(struct private_net *p, enum options_link link, bool blind, char why[PRIVATE_WHY_MAX]);

/* Packets that the host has forwarded. */
uint64_t private_forwarded(void);

/* True if the gateway has ended. */
bool private_ended(struct private_net *p);

void private_close(struct private_net *p);

#endif
