/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings of the caller's network namespace, below /proc/sys/net/. */
#ifndef CLOISTER_TUN_SYSCTL_H
#define CLOISTER_TUN_SYSCTL_H

#define SYSCTL_PATH_MAX 96u /* bytes of a path below /proc/sys/net/, its NUL byte included */

/* Write a value; nothing is written that is there already. 0 or negative errno. */
int sysctl_write(const char *path, const char *value);

/* Open a setting for sysctl_read(), close-on-exec. The descriptor, the caller's to close, or negative errno. */
int sysctl_open(const char *path);

/* The number that it has now, however often asked. 0, or negative errno: -ENOENT if its interface is gone, -EINVAL if
 * it is no number. */
int sysctl_read(int fd, long *value);

#endif
