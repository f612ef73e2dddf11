/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/mutant.h"

#include <string.h>

#include "base/bytes.h"
#include "leaktest/matrix_add.h"

void mutator_init(struct mutator *m, const struct matrix *matrix, uint64_t seed)
{
    *m = (struct mutator){.matrix = matrix, .state = seed};
}

/* SplitMix64: small, and any seed is a good one. */
static uint64_t draw(struct mutator *m)
{
    uint64_t z = m->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* 0 to n - 1. */
static size_t below(struct mutator *m, size_t n)
{
    return (size_t)(draw(m) % n);
}

/* An offset at which `width` bytes are left. Most of what matters is in front. */
static size_t offset(struct mutator *m, const struct piece *f, size_t width)
{
    static const uint16_t fronts[] = {14, 34, 54, FRAME_MAX};
    size_t end = f->n >= width ? f->n - width + 1 : 1, front = fronts[below(m, COUNT(fronts))];
    return below(m, end < front ? end : front);
}

static void flip(struct mutator *m, struct piece *f)
{
    f->b[offset(m, f, 1)] ^= (uint8_t)(1u << below(m, 8));
}

static void set(struct mutator *m, struct piece *f)
{
    static const uint8_t values[] = {0, 1, 4, 5, 6, 17, 58, 64, 127, 128, 254, 255};
    f->b[offset(m, f, 1)] = values[below(m, COUNT(values))];
}

static void noise(struct mutator *m, struct piece *f)
{
    be32_store(f->b + offset(m, f, 4), (uint32_t)draw(m));
}

static void address(struct mutator *m, struct piece *f)
{
    static const uint8_t places[] = {26, 30, 28, 38, 42};
    const struct ground *g = m->matrix->ground;
    const struct ipaddr *known[] = {&g->host, &g->network.addr, &g->internet, &g->resolver, &g->router, &g->me};
    static const uint8_t fixed[][4] = {{127, 0, 0, 1}, {255, 255, 255, 255}, {0, 0, 0, 0}, {224, 0, 0, 1}};
    size_t which = below(m, COUNT(places) + 1);
    size_t at = which < COUNT(places) ? places[which] : offset(m, f, 4);
    size_t who = below(m, COUNT(known) + COUNT(fixed));
    if (at + 4 <= f->n)
        memcpy(f->b + at, who < COUNT(known) ? known[who]->b + 12 : fixed[who - COUNT(known)], 4);
}

static void type(struct mutator *m, struct piece *f)
{
    static const uint16_t types[] = {FRAME_IPV4, FRAME_IPV6, FRAME_ARP, 0x8100, 0x88a8, 0x8864, 0x8847};
    be16_store(f->b + 12, types[below(m, COUNT(types))]);
}

static void cut(struct mutator *m, struct piece *f)
{
    size_t at = offset(m, f, 1);
    f->n = at < FRAME_HEAD ? FRAME_HEAD : at;
}

static void grow(struct mutator *m, struct piece *f)
{
    for (size_t n = 1 + below(m, 63); n > 0 && f->n < FRAME_MAX; n--)
        piece_u8(f, (uint8_t)draw(m));
}

/* A few bytes twice. */
static void repeat(struct mutator *m, struct piece *f)
{
    static const uint8_t sizes[] = {4, 8, 20};
    size_t at = offset(m, f, 8), n = sizes[below(m, COUNT(sizes))];
    if (at + n > f->n || f->n + n > FRAME_MAX)
        return;
    memmove(f->b + at + n, f->b + at, f->n - at);
    f->n += n;
}

/* The head of one, the tail of another. */
static void splice(struct mutator *m, struct piece *f)
{
    static const uint8_t heads[] = {14, 34, 54};
    const struct probe *other = &m->matrix->probe[below(m, m->matrix->count)];
    size_t which = below(m, COUNT(heads) + 1);
    size_t at = which < COUNT(heads) ? heads[which] : offset(m, f, 1);
    if (at > f->n || at > other->n)
        return;
    f->n = at;
    piece_add(f, other->frame + at, other->n - at);
}

static void keep_mark(struct piece *f, unsigned number)
{
    uint8_t mark[MATRIX_MARK];
    matrix_mark(mark, number);
    if (memmem(f->b, f->n, mark, sizeof(mark)) != NULL)
        return;
    if (f->n > FRAME_MAX - MATRIX_MARK)
        f->n = FRAME_MAX - MATRIX_MARK;
    piece_add(f, mark, sizeof(mark));
}

void mutator_next(struct mutator *m, struct piece *frame)
{
    static void (*const ways[])(struct mutator *, struct piece *) = {flip, flip, set,  set,    noise, address,
                                                                     type, cut,  grow, repeat, splice};
    static const uint8_t times[] = {1, 1, 2, 3, 6};
    unsigned number = (unsigned)below(m, m->matrix->count);
    const struct probe *probe = &m->matrix->probe[number];
    frame->n = 0;
    piece_add(frame, probe->frame, probe->n);
    for (unsigned n = times[below(m, COUNT(times))]; n > 0; n--)
        ways[below(m, COUNT(ways))](m, frame);
    if (below(m, 2) == 0)
        frame_repair(frame->b, frame->n);
    keep_mark(frame, number);
}
