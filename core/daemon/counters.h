/* SPDX-License-Identifier: BSD-3-Clause */
/* What the gateway counts, as one flat struct for the channel, and as one line for the log. */
#ifndef CLOISTER_DAEMON_COUNTERS_H
#define CLOISTER_DAEMON_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/drop.h"
#include "daemon/log.h"

struct counters {
    uint64_t flows;      /* opened since the start */
    uint64_t active;     /* that have a stream now */
    uint64_t up_bytes;   /* payload that Tor took */
    uint64_t down_bytes; /* payload that workstations acknowledged */
    struct drops drops;  /* of all layers together */
};

#define COUNTERS_FIELDS_MAX (5u + DROP_COUNT)

/* Add the drops of one layer. */
void counters_add_drops(struct counters *counters, const struct drops *drops);

/* The line's fields: the totals, and every reason for a drop that struck. Returns how many of `fields` were used. */
size_t counters_fields(const struct counters *counters, struct log_field fields[COUNTERS_FIELDS_MAX]);

/* Log them as event=counters, however often. */
void counters_log(const struct counters *counters);

#endif
