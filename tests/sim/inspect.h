/* SPDX-License-Identifier: BSD-3-Clause */
/* What must hold inside the engine between two turns, whatever happened. */
#ifndef CLOISTER_TESTS_SIM_INSPECT_H
#define CLOISTER_TESTS_SIM_INSPECT_H

#include <stdbool.h>

struct tcp_engine;

/* NULL, or what is wrong: books that do not add up, lists out of order, a flow that waits for something and has no
 * timer. To be called after tcp_flush(); `busy` is what that returned. */
const char *inspect_engine(const struct tcp_engine *engine, bool busy);

/* NULL, or what is not given back though no flow is left. */
const char *inspect_empty(const struct tcp_engine *engine);

#endif
