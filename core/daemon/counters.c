/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/counters.h"

#include <stdio.h>

#define KEY_MAX 40u

/* The log's keys: the short names of base/drop.h with "drop_" before, and with underscores, so that they are words. */
static const char *drop_key(enum drop why)
{
    static char keys[DROP_COUNT][KEY_MAX];
    char *key = keys[why];
    if (key[0] == '\0') {
        snprintf(key, KEY_MAX, "drop_%s", drop_name(why));
        for (char *at = key; *at != '\0'; at++)
            *at = *at == '-' ? '_' : *at;
    }
    return key;
}

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
            fields[n++] = LOG_U(drop_key((enum drop)i), counters->drops.by[i]);
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
    struct log_site site = {0}; /* without a limit: somebody asked for it */
    struct log_field fields[COUNTERS_FIELDS_MAX];
    size_t n = counters_fields(counters, fields);
    log_write(&site, LOG_LEVEL_INFO, "counters", fields, n);
}
