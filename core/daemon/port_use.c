/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/port_use.h"

#include <assert.h>

static uint32_t slot_count(uint32_t flows)
{
    uint32_t n = 16;
    while (n < flows * 2)
        n *= 2;
    return n;
}

size_t port_use_size(uint32_t flows)
{
    return slot_count(flows) * sizeof(struct port_use_slot);
}

void port_use_init(struct port_use *use, void *memory, uint32_t flows)
{
    use->slots = memory;
    use->mask = slot_count(flows) - 1;
}

static uint64_t key_of(uint32_t host, uint16_t port)
{
    return ((uint64_t)host + 1) << 16 | port;
}

/* Multiplication spreads ports that follow one another. Flooding one's own chain is of no use: the flows of one
 * workstation are bounded, and so is the chain. */
static uint32_t home_of(const struct port_use *use, uint64_t key)
{
    return (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32) & use->mask;
}

/* The slot of the key, or the free one where it would go. */
static uint32_t find(const struct port_use *use, uint64_t key)
{
    uint32_t i = home_of(use, key);
    while (use->slots[i].key != 0 && use->slots[i].key != key)
        i = (i + 1) & use->mask;
    return i;
}

uint64_t port_use_take(struct port_use *use, uint32_t host, uint16_t port)
{
    uint64_t key = key_of(host, port);
    struct port_use_slot *slot = &use->slots[find(use, key)];
    slot->key = key;
    return slot->count++;
}

/* Close the hole at `i`, so that whoever probed past it is still found. */
static void close_hole(struct port_use *use, uint32_t i)
{
    for (uint32_t k = (i + 1) & use->mask; use->slots[k].key != 0; k = (k + 1) & use->mask) {
        uint32_t from_home = (k - home_of(use, use->slots[k].key)) & use->mask;
        if (from_home >= ((k - i) & use->mask)) {
            use->slots[i] = use->slots[k];
            i = k;
        }
    }
    use->slots[i] = (struct port_use_slot){0};
}

void port_use_give(struct port_use *use, uint32_t host, uint16_t port)
{
    uint32_t i = find(use, key_of(host, port));
    assert(use->slots[i].key != 0);
    if (--use->slots[i].count == 0)
        close_hole(use, i);
}
