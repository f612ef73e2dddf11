/* SPDX-License-Identifier: BSD-3-Clause */
/* Which system calls a role may make from here on. The essay is in filter.c. */
#ifndef CLOISTER_DAEMON_FILTER_H
#define CLOISTER_DAEMON_FILTER_H

#include <stdbool.h>

enum filter_role {
    FILTER_GATEWAY,
    FILTER_SUPERVISOR,
    FILTER_KEEPER,
    FILTER_TOR,
    FILTER_ROLES,
};

/* Allow this process, for ever, and all that it starts, what the role declares, and nothing else: any other call kills
 * it (SIGSYS); in the role tor, it fails with ENOSYS. 0 or negative errno: -EINVAL, -EOPNOTSUPP or -ENOSYS from a
 * kernel without seccomp filters, or with too old ones. New privileges must be off. */
int filter_load(enum filter_role role);

/* True if the role's list has this call, with conditions or without. */
bool filter_allows(enum filter_role role, const char *call);

#endif
