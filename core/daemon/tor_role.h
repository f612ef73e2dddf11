/* SPDX-License-Identifier: BSD-3-Clause */
/* The process that runs the embedded Tor: it gives up its privileges and becomes Tor. */
#ifndef CLOISTER_DAEMON_TOR_ROLE_H
#define CLOISTER_DAEMON_TOR_ROLE_H

/* Run the role, told what to do over `channel`. Returns the process's exit status when Tor has ended. */
int tor_role_run(int channel);

#endif
