/* SPDX-License-Identifier: BSD-3-Clause */
/* The supervisor: sets everything up, starts the other two processes, and sees that all end when one does. */
#ifndef CLOISTER_DAEMON_SUPERVISOR_H
#define CLOISTER_DAEMON_SUPERVISOR_H

#include "daemon/config.h"

/* `cloister run`, with a checked configuration. Returns the process's exit status when all has ended: 0 if it was asked
 * to end and everything did in good order, else 1. */
int supervisor_run(struct config *config);

#endif
