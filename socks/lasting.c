/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks/lasting.h"

#include <stddef.h>

/* The place that was used longest ago, a free one before all others. */
static struct socks_lasting_identity *older(struct socks_lasting_identity *a, struct socks_lasting_identity *b)
{
    return a == NULL || (a->key != 0 && (b->key == 0 || b->used < a->used)) ? b : a;
}

struct socks_lasting_identity *socks_lasting_use(struct socks_lasting *lasting, uint64_t identity, uint32_t station,
                                                 uint64_t epoch, uint64_t now, uint32_t lifetime)
{
    struct socks_lasting_identity *place = NULL, *oldest = NULL, *own_oldest = NULL;
    uint32_t own = 0;
    for (uint32_t i = 0; i < SOCKS_LASTING_MAX && place == NULL; i++) {
        struct socks_lasting_identity *p = &lasting->place[i];
        if (p->key != 0 && p->identity == identity && p->station == station)
            place = p;
        oldest = older(oldest, p);
        if (p->key != 0 && p->station == station) {
            own_oldest = older(own_oldest, p);
            own++;
        }
    }
    if (place == NULL || now - place->used >= lifetime) {
        if (place == NULL)
            place = own > SOCKS_LASTING_MAX / 2 ? own_oldest : oldest;
        *place = (struct socks_lasting_identity){.identity = identity, .epoch = epoch, .station = station};
    }
    place->used = now;
    return place;
}

void socks_lasting_end(struct socks_lasting *lasting, uint64_t key, uint64_t now)
{
    for (uint32_t i = 0; i < SOCKS_LASTING_MAX; i++) {
        struct socks_lasting_identity *p = &lasting->place[i];
        if (p->key == key && key != 0 && now > p->used)
            p->used = now;
    }
}
