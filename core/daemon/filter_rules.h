/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables that cmake/syscalls.cmake writes: which system calls are allowed to which role. */
#ifndef CLOISTER_DAEMON_FILTER_RULES_H
#define CLOISTER_DAEMON_FILTER_RULES_H

#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <linux/sockios.h>

#define FILTER_CONDITIONS_MAX 4u

/* What one argument of a call must be. */
struct filter_condition {
    uint8_t index;  /* of the argument, 0 to 5 */
    uint32_t mask;  /* which of its bits count */
    uint32_t value; /* what they must be */
};

/* One call that is allowed, if all its conditions hold. */
struct filter_rule {
    const char *call; /* by name; NULL at the end of a table */
    uint8_t count;    /* of the next */
    struct filter_condition condition[FILTER_CONDITIONS_MAX];
};

extern const struct filter_rule filter_rules_gateway[];
extern const struct filter_rule filter_rules_supervisor[];
extern const struct filter_rule filter_rules_keeper[];
extern const struct filter_rule filter_rules_tor[];

#endif
