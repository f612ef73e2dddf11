/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands that look at a running gateway: show, metrics, watch. */
#ifndef CLOISTER_DAEMON_SHOW_H
#define CLOISTER_DAEMON_SHOW_H

#include <stdbool.h>

/* What can be shown: "status", "flows", "circuits", "workstations", "drops". */
bool show_knows(const char *what);

/* Ask at the control socket and print, for people or as JSON lines. The exit status. */
int show_run(const char *control, const char *what, bool json);

/* Give the workstation with this address new identities, or with NULL all of them. The exit status. */
int show_newnym(const char *control, const char *workstation);

/* Print the metrics. The exit status. */
int show_metrics(const char *control);

#endif
