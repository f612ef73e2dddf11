/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Set up a network interface through rtnetlink. For the supervisor, in the network namespace of the caller; needs
 * CAP_NET_ADMIN. Every function opens and closes a socket of its own.
 */
#ifndef CLOISTER_TUN_LINK_H
#define CLOISTER_TUN_LINK_H

#include <stdbool.h>
#include <stdint.h>

struct link_config {
    const char *name;   /* of the interface */
    uint32_t mtu;       /* bytes of IP packet; 0 leaves it */
    uint32_t queue;     /* frames that may wait to be read; 0 leaves it */
    const char *bridge; /* an existing bridge to join, or NULL */
};

/* Prepare an interface that is down: its MTU and queue; no IPv6 address of the kernel's own making, so that our side of the link
 * never speaks by itself (RFC 4862); the bridge. It stays down. 0, or negative errno with *step set to a static text
 * that says what failed. -ENODEV: no such interface, or (step "join the bridge") no such bridge. */
int link_prepare(const struct link_config *config, const char **step);

/* Have the bridge that `port` is a port of send frames to `mac` there and nowhere else, also when somebody at another port
 * claims that address. The entry goes with the port. 0 or negative errno. */
int link_pin_station(const char *port, const uint8_t mac[6]);

/* Bring an interface up or down. 0 or negative errno. */
int link_set_up(const char *name, bool up);

#endif
