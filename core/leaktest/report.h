/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said in the end, and with it the verdict. */
#ifndef CLOISTER_LEAKTEST_REPORT_H
#define CLOISTER_LEAKTEST_REPORT_H

#include <stdbool.h>

#include "leaktest/attack.h"

#define REPORT_NONE 0  /* nothing leaked */
#define REPORT_LEAK 1  /* something did */
#define REPORT_BLIND 2 /* it could not be tested */

struct report {
    const struct attack *attack;
    const char *const *uplinks; /* names, ended by NULL */
    bool verbose, json;
    bool private_network; /* where what the kernel forwards is counted */
    uint64_t forwarded;   /* packets */
    bool ended;           /* the gateway's process is gone */
};

/* Print it to standard output. The exit status, one of the above. */
int report_print(const struct report *r);

/* Print what would be sent; with the bytes if `verbose`. */
void report_list(const struct matrix *m, bool verbose, bool json);

#endif
