/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/counters.h"

/* The log's keys: the short names of base/drop.h with "drop_" before. */
static const char *const drop_keys[DROP_COUNT] = {
#define X(id, name, text) [DROP_##id] = "drop_" name,
    DROP_REASONS(X)
#undef X
};

void counters_add_drops(struct counters *counters, const struct drops *drops)
{
    for (unsigned i = 0; i < DROP_COUNT; i++)
        counters->drops.by[i] += drops->by[i];
}

size_t counters_fields(const struct counters *counters, struct log_field fields[COUNTERS_FIELDS_MAX])
{
    size_t n = 5;
    uint64_t sum = 0;
    for (unsigned i = 0; i < DROP_COUNT; i++) {
        sum += counters->drops.by[i];
        if (counters->drops.by[i] > 0)
            fields[n++] = LOG_U(drop_keys[i], counters->drops.by[i]);
    }
    fields[0] = LOG_U("flows", counters->flows);
    fields[1] = LOG_U("active", counters->active);
    fields[2] = LOG_U("up_bytes", counters->up_bytes);
    fields[3] = LOG_U("down_bytes", counters->down_bytes);
    fields[4] = LOG_U("drops", sum);
    return n;
}

void counters_log(const struct counters *counters)
{
    static struct log_site site;
    struct log_field fields[COUNTERS_FIELDS_MAX];
    size_t n = counters_fields(counters, fields);
    log_write(&site, LOG_LEVEL_INFO, "counters", fields, n);
}
