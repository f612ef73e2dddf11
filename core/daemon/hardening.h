/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What to do where the kernel lacks a piece of what locks a process in: end, or, if the operator said that best effort is
 * enough (process.hardening), go on and say what is missing.
 */
#ifndef CLOISTER_DAEMON_HARDENING_H
#define CLOISTER_DAEMON_HARDENING_H

#include <stdbool.h>

enum hardening_piece {
    HARDENING_FILTER,   /* system call filters */
    HARDENING_LANDLOCK, /* Landlock */
    HARDENING_IPC,      /* a namespace for System V IPC and message queues */
    HARDENING_CGROUP,   /* a namespace for control groups */
    HARDENING_WALL,     /* nf_tables, between a TAP that stands alone and the host */
    HARDENING_PIECES,
};

/* Say for the whole process whether best effort is enough. Before the first call: no. */
void hardening_setup(bool best_effort);

/* A step that puts up `piece` returned `status`: 0 and what is not the kernel's lack (-ENOSYS, -EOPNOTSUPP, -EINVAL) come
 * back as they are, and so does that unless best effort is enough; then it is noted, and 0. */
int hardening_result(enum hardening_piece piece, int status);

/* The pieces noted, with commas between, or NULL if there is none. Static, overwritten by the next call. */
const char *hardening_missing(void);

/* Log, as a warning, what is missing, if anything is. */
void hardening_report(void);

#endif
