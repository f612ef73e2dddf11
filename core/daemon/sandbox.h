/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cell of the gateway process (I8): no network, no file system but one directory, no privilege. The essay is in
 * sandbox.c.
 */
#ifndef CLOISTER_DAEMON_SANDBOX_H
#define CLOISTER_DAEMON_SANDBOX_H

#include <stdint.h>

#include "daemon/channel.h"

#define SANDBOX_DIRECTORY "/socks" /* where the directory is found inside */

/* Descriptors beside those that are asked for: standard streams, channel, TAP, those of the event loop and of the
 * upstream. */
#define SANDBOX_DESCRIPTORS 32u

struct sandbox_config {
    struct channel_identity identity; /* who to become */
    const char *directory;            /* what is found as SANDBOX_DIRECTORY, absolute */
    uint32_t descriptors;             /* that may be open at once */
    int channel;                      /* to the parent */
};

/* Step into the cell. Needs the privileges of root. 0, or negative errno with *step set to a static text that says what
 * failed: the caller ends, for it stands in between. */
int sandbox_enter(const struct sandbox_config *config, const char **step);

/* See that there is nothing left to lose: no interface that is up, nothing in the root but SANDBOX_DIRECTORY, no
 * privilege, nobody who may look in. 0, or negative errno as above. */
int sandbox_check(const char **step);

/* Turn the key, after everything is opened and before the first packet is read: sandbox_check(), Landlock, and at last
 * the system call filter of the role. From here on nothing can be opened but sockets to SANDBOX_DIRECTORY. What the
 * kernel lacks is up to hardening.h, and logged. 0, or negative errno as above. */
int sandbox_lock(const char **step);

#endif
