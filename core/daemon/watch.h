/* SPDX-License-Identifier: BSD-3-Clause */
/* The live view: the status, the throughput of each workstation, and its flows, on the whole terminal. */
#ifndef CLOISTER_DAEMON_WATCH_H
#define CLOISTER_DAEMON_WATCH_H

/* Show it until `q` or Ctrl-C. Without a terminal it is written once. The exit status. */
int watch_run(const char *control);

#endif
