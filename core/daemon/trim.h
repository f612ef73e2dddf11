/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLOISTER_DAEMON_TRIM_H
#define CLOISTER_DAEMON_TRIM_H

/* Give back what a process needed to begin with and does not need to go on: free memory of the heap, and its hold on the
 * pages of program and libraries. Those are files' and clean: what is still used is mapped again when it is touched,
 * from the system's cache. To be called once, when the process is set up. */
void trim_process(void);

#endif
