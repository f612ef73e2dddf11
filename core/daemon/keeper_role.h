/* SPDX-License-Identifier: BSD-3-Clause */
/* The process that keeps the workstations' segment: interfaces of the host in a network namespace of their own. */
#ifndef CLOISTER_DAEMON_KEEPER_ROLE_H
#define CLOISTER_DAEMON_KEEPER_ROLE_H

/* Run the role, told what to do over `channel`. Returns the process's exit status. */
int keeper_role_run(int channel);

#endif
