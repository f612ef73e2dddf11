/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stands for Tor in a private network: a SOCKS5 server on a pathname socket that keeps one connection to a "relay",
 * over which it sends a cell for everything that it is asked, and of which nobody learns more. And that relay.
 */
#ifndef CLOISTER_LEAKTEST_FAKE_TOR_H
#define CLOISTER_LEAKTEST_FAKE_TOR_H

#include <sys/types.h>

#define FAKE_TOR_PORT 9001u /* of the relay, TCP */

/* Start either as a process that ends with this one, in the network namespace of the caller. `ready` has been passed when
 * it returns: somebody listens. Its id, or negative errno. */
pid_t fake_tor_start(const char *socks, const char *relay);
pid_t fake_tor_start_relay(const char *address);

#endif
