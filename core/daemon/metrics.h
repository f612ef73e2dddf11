/* SPDX-License-Identifier: BSD-3-Clause */
/* The counters in Prometheus' text format (version 0.0.4). Nothing in it names a workstation or where it goes. */
#ifndef CLOISTER_DAEMON_METRICS_H
#define CLOISTER_DAEMON_METRICS_H

#include <stddef.h>

#include "daemon/console_answer.h"

#define METRICS_MAX 16384u /* bytes that hold them */

/* Write them. Returns the bytes, or 0 if they do not fit. */
size_t metrics_write(char *out, size_t size, const struct console_facts *facts, const struct view_status *status);

#endif
