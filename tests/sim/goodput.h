/* SPDX-License-Identifier: BSD-3-Clause */
/* How fast long transfers are over a link that loses packets. */
#ifndef CLOISTER_TESTS_SIM_GOODPUT_H
#define CLOISTER_TESTS_SIM_GOODPUT_H

/* Print a line for each way and loss rate. Returns an exit status. */
int goodput_report(void);

#endif
