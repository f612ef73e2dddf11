/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Landlock: what a process denies itself and all that it starts, by object, beside what the filter denies it by call.
 * The kernel's interface is written down in landlock.c, for the system's headers may be older than the kernel.
 */
#ifndef CLOISTER_DAEMON_LANDLOCK_H
#define CLOISTER_DAEMON_LANDLOCK_H

/* What may be denied, as a set of bits. */
enum landlock_deny {
    LANDLOCK_DENY_READING = 1 << 0, /* to open files for reading, or to list directories */
    LANDLOCK_DENY_WRITING = 1 << 1, /* to change anything in any file system; and to execute */
    LANDLOCK_DENY_TCP = 1 << 2,     /* to bind and connect TCP sockets */
    LANDLOCK_DENY_OUTSIDE = 1 << 3, /* to reach abstract sockets of processes that are not under the same rules */
    LANDLOCK_DENY_SIGNALS = 1 << 4, /* to send them signals */
};

/* Deny these, for ever, as far as the kernel knows how: files since 5.13, TCP since 6.7, the rest since 6.12. New
 * privileges must be off. What is open stays open. 0; -ENOSYS or -EOPNOTSUPP from a kernel without Landlock, or with it
 * off; or another negative errno. */
int landlock_lock(unsigned deny);

#endif
