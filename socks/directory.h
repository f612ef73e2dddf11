/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The directory that holds Tor's SOCKS socket, and addresses of pathname sockets.
 *
 * Tor refuses to listen in a directory that others than its own user (and, with GroupWritable, its group) can
 * enter: whoever can reach the socket can use it.
 */
#ifndef CLOISTER_SOCKS_DIRECTORY_H
#define CLOISTER_SOCKS_DIRECTORY_H

#include <sys/types.h>
#include <sys/un.h>

/* May the open directory be given to `uid`? 0 if it belongs to it already, or is empty; -ENOTEMPTY if it holds what is
 * somebody else's: a directory with a name of ours under a path that was mistyped. Other negative errno: it cannot be
 * looked at. */
int socks_directory_claim(int fd, uid_t uid);

/* Make `path` a directory of mode 0750 that belongs to `tor_uid` and `gateway_gid`, creating it if need be (its
 * parent must exist). Whatever is not a directory, or is a symbolic link, is refused. A caller that may not change
 * owners must be `tor_uid` and a member of the group already. 0 or negative errno; -ENOTDIR, -ELOOP and -EPERM
 * speak for themselves; -ENOTEMPTY as socks_directory_claim() has it; -ENAMETOOLONG if no socket of a short name would fit into it. */
int socks_directory_prepare(const char *path, uid_t tor_uid, gid_t gateway_gid);

/* Remove a socket that an earlier run left behind. 0 if there is none afterwards; -EEXIST if there is something
 * that is not a socket. */
int socks_path_clear(const char *path);

/* Fill in the address of a pathname socket. -ENAMETOOLONG if `path` has more than 107 bytes (the kernel's limit),
 * or -EINVAL if it is not absolute. */
int socks_path_address(const char *path, struct sockaddr_un *out);

#endif
