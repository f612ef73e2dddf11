/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks/lasting.h"

#include <assert.h>
#include <stddef.h>

static_assert(SOCKS_LASTING_MAX < UINT16_MAX, "counts of them fit");

/* The number of a station, cut down: with more of them than places, some are counted as one. */
static uint32_t bucket_of(uint32_t station)
{
    return station % SOCKS_LASTING_MAX;
}

/* A place for one more of `station`: a free one, or of whoever would have most then, the one that was used longest ago. */
static struct socks_lasting_identity *make_room(struct socks_lasting *lasting, uint32_t station)
{
    uint16_t count[SOCKS_LASTING_MAX] = {0};
    struct socks_lasting_identity *found = NULL;
    count[bucket_of(station)]++;
    for (uint32_t i = 0; i < SOCKS_LASTING_MAX; i++) {
        if (lasting->place[i].key == 0)
            return &lasting->place[i];
        count[bucket_of(lasting->place[i].station)]++;
    }
    for (uint32_t i = 0; i < SOCKS_LASTING_MAX; i++) {
        struct socks_lasting_identity *p = &lasting->place[i];
        const uint16_t has = count[bucket_of(p->station)];
        const uint16_t most = found != NULL ? count[bucket_of(found->station)] : 0;
        if (has > most || (has == most && p->used < found->used))
            found = p;
    }
    return found;
}

struct socks_lasting_identity *socks_lasting_use(struct socks_lasting *lasting, uint64_t identity, uint32_t station,
                                                 uint64_t epoch, uint64_t now, uint32_t lifetime)
{
    struct socks_lasting_identity *place = NULL;
    for (uint32_t i = 0; i < SOCKS_LASTING_MAX && place == NULL; i++) {
        struct socks_lasting_identity *p = &lasting->place[i];
        if (p->key != 0 && p->identity == identity && p->station == station)
            place = p;
    }
    if (place == NULL || now - place->used >= lifetime) {
        if (place == NULL)
            place = make_room(lasting, station);
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
