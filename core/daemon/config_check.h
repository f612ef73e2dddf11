/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The checks across the keys of the configuration file: what no key can say by itself.
 */
#ifndef CLOISTER_DAEMON_CONFIG_CHECK_H
#define CLOISTER_DAEMON_CONFIG_CHECK_H

#include "daemon/config_reader.h"

/* Check what `r` has read, all of it. What is wrong is told as by config_reader_refuse(); what would be of no use goes. */
void config_check(struct config_reader *r);

#endif
