/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks/endings.h"

#include <assert.h>
#include <stddef.h>

static_assert((SOCKS_ENDINGS_MAX & (SOCKS_ENDINGS_MAX - 1)) == 0, "places are found with a mask");

static struct socks_ending *place(struct socks_endings *endings, uint32_t i)
{
    return &endings->at[(endings->first + i) & (SOCKS_ENDINGS_MAX - 1)];
}

/* What was judged out of order left its place behind. */
static void skip_the_gone(struct socks_endings *endings)
{
    while (endings->count > 0 && place(endings, 0)->id.index == 0)
        socks_endings_pop(endings);
}

bool socks_endings_put(struct socks_endings *endings, struct tcp_flow_id id, uint64_t key, uint64_t now)
{
    skip_the_gone(endings);
    if (endings->count == SOCKS_ENDINGS_MAX)
        return false;
    *place(endings, endings->count++) = (struct socks_ending){.id = id, .key = key, .since = now};
    return true;
}

bool socks_endings_take(struct socks_endings *endings, uint64_t key, struct socks_ending *out)
{
    for (uint32_t i = 0; i < endings->count; i++) {
        struct socks_ending *ending = place(endings, i);
        if (ending->id.index == 0 || ending->key != key)
            continue;
        *out = *ending;
        ending->id.index = 0;
        skip_the_gone(endings);
        return true;
    }
    return false;
}

const struct socks_ending *socks_endings_first(struct socks_endings *endings)
{
    skip_the_gone(endings);
    return endings->count > 0 ? place(endings, 0) : NULL;
}

void socks_endings_pop(struct socks_endings *endings)
{
    endings->first = (endings->first + 1) & (SOCKS_ENDINGS_MAX - 1);
    endings->count--;
}
