/* SPDX-License-Identifier: BSD-3-Clause */
#include "link.h"

static bool chance(struct link *link, uint32_t per_million)
{
    return per_million != 0 && random_below(&link->random, LINK_MILLION) < per_million;
}

uint64_t link_carry(struct link *link, uint32_t bytes, uint64_t now)
{
    const struct link_script *s = &link->s;
    uint64_t at = now;
    if (s->rate != 0) {
        uint64_t start = link->free_at > now ? link->free_at : now;
        if ((start - now) * s->rate / 1000000 > s->queue) {
            link->lost++;
            return UINT64_MAX;
        }
        at = link->free_at = start + (uint64_t)bytes * 1000000 / s->rate;
    }
    if (now - link->used_at > 300000)
        link->losing = false; /* a burst is over by then */
    link->used_at = now;
    link->losing = chance(link, link->losing ? s->burst_loss : s->loss);
    if (link->losing) {
        link->lost++;
        return UINT64_MAX;
    }
    at += s->delay;
    if (chance(link, s->reorder))
        return (at + random_below(&link->random, s->reorder_by + 1) + s->quantum) / s->quantum * s->quantum;
    if (s->jitter != 0)
        at += random_below(&link->random, s->jitter);
    if (at < link->last_at)
        at = link->last_at;
    link->last_at = at;
    return (at + s->quantum - 1) / s->quantum * s->quantum;
}

bool link_repeats(struct link *link)
{
    return chance(link, link->s.duplicate);
}

bool link_damage(struct link *link, uint8_t *header, uint32_t length)
{
    if (!chance(link, link->s.damage))
        return false;
    for (uint32_t n = 1 + random_below(&link->random, 3); n > 0; n--) {
        /* Behind the ports, so that the damage hits a flow. */
        uint32_t at = 4 + random_below(&link->random, length - 4);
        header[at] ^= (uint8_t)(1u << random_below(&link->random, 8));
    }
    return true;
}
