/* SPDX-License-Identifier: BSD-3-Clause */
/* The Tor of a running gateway, as its host sees it: whose sockets are the only ones that may be on the uplink. */
#ifndef CLOISTER_LEAKTEST_TOR_H
#define CLOISTER_LEAKTEST_TOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ipaddr.h"

#define TOR_CONNECTIONS 512u

struct tor_connection {
    struct ipaddr here, there;
    uint16_t here_port, there_port;
};

struct tor_connections {
    struct tor_connection each[TOR_CONNECTIONS];
    unsigned count;
};

/* The process that listens on a SOCKS socket (pathname). Its id, or negative errno. */
pid_t tor_listener(const char *socks);

/* The TCP connections to elsewhere that a process and its descendants (pluggable transports) have now, or are making. 0
 * or negative errno. */
int tor_look(pid_t pid, struct tor_connections *out);

/* Have Tor look up a name, so that it says something on the uplink. Does not wait. A descriptor to close at the end, or
 * negative errno. */
int tor_speak(const char *socks);

#endif
