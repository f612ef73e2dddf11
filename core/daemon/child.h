/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A child of the supervisor: this same program, executed again in a role of its own, at the other end of a channel.
 */
#ifndef CLOISTER_DAEMON_CHILD_H
#define CLOISTER_DAEMON_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
    const char *role; /* "gateway", "tor" or "keeper", static */
    pid_t pid;        /* 0: not started, or reaped */
    int pidfd;        /* readable when it has ended; -1 when pid is 0 */
    int channel;      /* our end, non-blocking, ours to close; -1 when closed */
    int status;       /* what waitid() said of its end: si_status ... */
    int code;         /* ... and si_code: CLD_EXITED and the like; 0 while it runs */
};

#define CHILD_NONE ((struct child){.pidfd = -1, .channel = -1})

/* Start `role`, with a process namespace of its own if `alone`, in a session of its own (so that a Ctrl-C of the terminal
 * is ours alone), with no descriptor but its channel at CHANNEL_FD and the standard ones: input is /dev/null,
 * output and error are our standard error, of which nothing can be read if it is a terminal. Before any thread exists. 0 or negative errno. */
int child_start(struct child *child, const char *role, bool alone);

/* Send a signal, if it runs. */
void child_kill(const struct child *child, int sig);

/* Collect it if it has ended. True if it has; `status` and `code` are then set and `pidfd` is closed. */
bool child_reap(struct child *child);

/* Wait up to `ms` milliseconds for it to end. True if it has, and is reaped. */
bool child_wait(struct child *child, unsigned ms);

/* Write how it ended: "exited with status 1", "was killed by signal 9 (Killed)". */
void child_describe(const struct child *child, char *out, size_t size);

#endif
