/* SPDX-License-Identifier: BSD-3-Clause */
#include "content.h"

#include <string.h>

#include "../unit/random.h"

#define PIECE CONTENT_PERIOD /* bytes that can be taken at once from anywhere in the period */

static uint8_t table[2 * CONTENT_PERIOD + 64]; /* room to run over the end by a piece */

void content_init(void)
{
    struct random r = {0x636f6e74656e74};
    random_fill(&r, table, CONTENT_PERIOD);
    memcpy(table + CONTENT_PERIOD, table, CONTENT_PERIOD);
    memcpy(table + (size_t)2 * CONTENT_PERIOD, table, sizeof(table) - (size_t)2 * CONTENT_PERIOD);
}

static const uint8_t *piece(uint32_t phase, int64_t offset)
{
    return table + ((uint64_t)offset + phase) % CONTENT_PERIOD;
}

void content_fill(void *to, uint32_t phase, int64_t offset, size_t n)
{
    uint8_t *p = to;
    while (n > 0) {
        size_t take = n < PIECE ? n : PIECE;
        memcpy(p, piece(phase, offset), take);
        p += take;
        offset += (int64_t)take;
        n -= take;
    }
}

bool content_matches(const void *data, uint32_t phase, int64_t offset, size_t n)
{
    const uint8_t *p = data;
    while (n > 0) {
        size_t take = n < PIECE ? n : PIECE;
        if (memcmp(p, piece(phase, offset), take) != 0)
            return false;
        p += take;
        offset += (int64_t)take;
        n -= take;
    }
    return true;
}
