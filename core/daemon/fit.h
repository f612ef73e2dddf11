/* SPDX-License-Identifier: BSD-3-Clause */
/* Limits that fit the machine: what nobody has set is lowered to what memory and descriptors allow. */
#ifndef CLOISTER_DAEMON_FIT_H
#define CLOISTER_DAEMON_FIT_H

#include <stdint.h>

#include "daemon/config.h"

struct fit_machine {
    uint64_t memory;      /* bytes, in all; 0: not known */
    uint64_t descriptors; /* that one process may have */
};

enum fit_reason { FIT_AS_SET, FIT_MEMORY, FIT_DESCRIPTORS };

/* Descriptors of a gateway process with so many flows, beside its few own. */
uint32_t fit_descriptors(uint32_t flows, uint32_t onions);

/* What this machine has. To be called by who starts the gateway, with its rights: where these raise a limit, it counts as
 * raised. */
void fit_look(struct fit_machine *out);

/* Lower limits.flows and limits.buffers, where they are defaults, and with them what is a share of flows. *reason says
 * what made flows less. Returns 0, or -EMFILE if limits.flows was set to more than there are descriptors for, or there are
 * too few for any, with a message of at most CONFIG_ERROR_MAX bytes that says how many would do. */
int fit_limits(struct config *config, const struct fit_machine *machine, enum fit_reason *reason, char *error);

#endif
