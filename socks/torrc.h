/* SPDX-License-Identifier: BSD-3-Clause */
/* What we have to know of the user's torrc before Tor reads it. */
#ifndef CLOISTER_SOCKS_TORRC_H
#define CLOISTER_SOCKS_TORRC_H

#include <stdbool.h>

/* True if the file has a line with which Tor starts a pluggable transport of its own (ClientTransportPlugin ... exec).
 * What the file includes is not looked at. False also if it cannot be read. */
bool torrc_starts_transports(const char *path);

/* True if the file has an onion service of its own (HiddenServiceDir). With the same limits. */
bool torrc_has_services(const char *path);

/* True if the file says ClientRejectInternalAddresses 0: Tor is to connect to private addresses, too. With the same
 * limits. */
bool torrc_allows_internal(const char *path);

/* True if the file has a line with this keyword, whatever it says. With the same limits. */
bool torrc_says(const char *path, const char *keyword);

#endif
