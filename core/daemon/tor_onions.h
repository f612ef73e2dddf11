/* SPDX-License-Identifier: BSD-3-Clause */
/* Onion services, in the process that runs Tor: directories, authorised clients, options, and how they are called. */
#ifndef CLOISTER_DAEMON_TOR_ONIONS_H
#define CLOISTER_DAEMON_TOR_ONIONS_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/channel.h"
#include "socks/tor_process.h"

/* HiddenServiceDir and, perhaps, HiddenServiceExportCircuitID of each service, HiddenServicePort of each port. */
#define TOR_ONIONS_OPTIONS_MAX (2 * CONFIG_ONIONS_MAX + CONFIG_ONION_PORTS_MAX)

struct tor_onions_options {
    uint32_t count;
    struct tor_process_option option[TOR_ONIONS_OPTIONS_MAX]; /* values point into text[] */
    char text[TOR_ONIONS_OPTIONS_MAX][CONFIG_PATH_MAX + 80];
};

/* Make the directory of each service below Tor's data directory, and in it a file for each authorised client; those of clients
 * that are not in the configuration go. 0 or negative errno. */
int tor_onions_prepare(const struct channel_tor_config *config);

/* Tor's options for them. 0 or -ENAMETOOLONG. */
int tor_onions_write(const struct channel_tor_config *config, struct tor_onions_options *out);

/* Have a process log the name of each service as soon as Tor has made it, and end. */
void tor_onions_announce(const struct channel_tor_config *config);

#endif
