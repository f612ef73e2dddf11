/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/drop.h"

static const struct {
    const char *name;
    const char *text;
} reasons[DROP_COUNT] = {
#define X(id, name, text) [DROP_##id] = {name, text},
    DROP_REASONS(X)
#undef X
};

const char *drop_name(enum drop why)
{
    return why < DROP_COUNT ? reasons[why].name : "unknown";
}

const char *drop_text(enum drop why)
{
    return why < DROP_COUNT ? reasons[why].text : "unknown";
}
