/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sockets that a host is asked and looked at by: made by root during set-up, with file permissions, in places that
 * the other processes cannot reach.
 */
#ifndef CLOISTER_DAEMON_CONSOLE_SOCKET_H
#define CLOISTER_DAEMON_CONSOLE_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#define CONSOLE_DEFAULT "/run/cloister/control"

/* Listen on a pathname socket, for root, or if `group` is not 0 for its members too. Its directory is made if it is
 * missing, root's and readable. A socket that nobody listens on any more is removed first. The descriptor, non-blocking, or negative
 * errno: -EADDRINUSE if somebody listens there, -EEXIST if there is something that is no socket, -EWOULDBLOCK if its
 * directory stays locked, as tor.data is. */
int console_socket_listen(const char *path, gid_t group);

/* Listen on a loopback address: "127.0.0.1:9100" or "[::1]:9100". The descriptor, or negative errno; -EINVAL if it is no
 * such address. */
int console_socket_listen_tcp(const char *address);

/* True if the text is such an address. */
bool console_socket_is_loopback(const char *address);

/* Connect, and make sure that it was root, or whoever we are, that listens. The descriptor or negative errno; -EPERM if it
 * is somebody else. */
int console_socket_connect(const char *path);

#endif
