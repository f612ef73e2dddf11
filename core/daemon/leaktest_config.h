/* SPDX-License-Identifier: BSD-3-Clause */
/* What the leak test has to know of a gateway, from its configuration file. */
#ifndef CLOISTER_DAEMON_LEAKTEST_CONFIG_H
#define CLOISTER_DAEMON_LEAKTEST_CONFIG_H

#include "leaktest/leaktest.h"

/* A leaktest_load. */
int leaktest_config_load(struct leaktest_gateway *out, const char *file);

#endif
