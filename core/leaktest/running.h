/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway that runs in the network namespace of the caller, found by what /proc tells of its processes. */
#ifndef CLOISTER_LEAKTEST_RUNNING_H
#define CLOISTER_LEAKTEST_RUNNING_H

#include <sys/types.h>

#define RUNNING_PATH_MAX 256u

struct running {
    pid_t supervisor, gateway;
    pid_t tor, keeper;             /* 0: there is none */
    char config[RUNNING_PATH_MAX]; /* its configuration file, as this process can open it */
};

/* Find the one that was started with this configuration file (NULL: any). 0; -ESRCH: there is none; -ENOTUNIQ: there are
 * several; or negative errno. */
int running_find(struct running *r, const char *config);

#endif
