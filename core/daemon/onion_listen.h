/* SPDX-License-Identifier: BSD-3-Clause */
/* The sockets on which Tor brings visitors of onion services, made by the supervisor while it is root. */
#ifndef CLOISTER_DAEMON_ONION_LISTEN_H
#define CLOISTER_DAEMON_ONION_LISTEN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/config_onion.h"

/* Write the path of the socket of a port: DIRECTORY/NAME.PORT. 0 or -ENAMETOOLONG. */
int onion_listen_path(const char *directory, const struct config_onions *onions, uint32_t port, char *out,
                      size_t size);

/* Make `directory`, which is root's and nobody else's to write to, and in it a listening socket for each port, to which only
 * `tor` may connect. Sockets of an earlier run go. 0 with the descriptors in fds[], non-blocking and close-on-exec, the caller's
 * to close; or negative errno, and there are none. */
int onion_listen(const char *directory, const struct config_onions *onions, uid_t tor,
                 int fds[CONFIG_ONION_PORTS_MAX]);

#endif
