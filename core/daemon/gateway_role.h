/* SPDX-License-Identifier: BSD-3-Clause */
/* The process that parses packets: it locks itself in and runs the gateway. */
#ifndef CLOISTER_DAEMON_GATEWAY_ROLE_H
#define CLOISTER_DAEMON_GATEWAY_ROLE_H

/* Run the role, told what to do over `channel`. Returns the process's exit status. */
int gateway_role_run(int channel);

#endif
