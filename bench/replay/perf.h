/* SPDX-License-Identifier: BSD-3-Clause */
/* The processor's counter of instructions, where there is one that may be asked; nothing happens elsewhere. */
#ifndef CLOISTER_BENCH_PERF_H
#define CLOISTER_BENCH_PERF_H

#include <stdint.h>

/* Begin, paused. */
void perf_open(void);
void perf_go_on(void);
void perf_pause(void);

/* Of this process, without the kernel's, while it was not paused. 0: not known. */
uint64_t perf_instructions(void);

#endif
