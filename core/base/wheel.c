/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Level 0 has a bucket per millisecond for the 64 ms from `now` on, level 1 a bucket per 64 ms, and so on. A timer
 * sits on the lowest level whose 64 buckets reach its time. When `now` enters a bucket of a higher level, the
 * timers in it are dealt out again, which puts each at least a level lower; so a timer moves at most four
 * times. A bitmap per level finds the next occupied bucket without walking empty ones.
 */
#include "base/wheel.h"

#include <string.h>

#define WHEEL_BUCKET 0x80000000u

static struct wheel_timer *timer_at(const struct wheel *wheel, uint32_t i)
{
    return (struct wheel_timer *)(void *)(wheel->base + (size_t)(i - 1) * wheel->stride);
}

static unsigned level_shift(unsigned level)
{
    return 6 * level;
}

/* The level on which a timer due at `at` belongs: the highest six-bit digit in which it differs from now. */
static unsigned level_for(uint32_t now, uint32_t at)
{
    uint32_t differ = now ^ at;
    if (differ < 64)
        return 0;
    unsigned level = (31 - (unsigned)__builtin_clz(differ)) / 6;
    return level < WHEEL_LEVELS ? level : WHEEL_LEVELS - 1;
}

static void bucket_add(struct wheel *wheel, unsigned level, unsigned bucket, uint32_t i)
{
    struct wheel_timer *t = timer_at(wheel, i);
    uint32_t head = wheel->first[level][bucket];
    t->next = head;
    t->prev = WHEEL_BUCKET | level << 6 | bucket;
    if (head != 0)
        timer_at(wheel, head)->prev = i;
    wheel->first[level][bucket] = i;
    wheel->full[level] |= UINT64_C(1) << bucket;
}

static void deal(struct wheel *wheel, uint32_t i)
{
    uint32_t at = timer_at(wheel, i)->at;
    unsigned level = level_for(wheel->now, at);
    bucket_add(wheel, level, at >> level_shift(level) & 63, i);
}

void wheel_init(struct wheel *wheel, void *base, size_t stride, uint32_t now)
{
    memset(wheel, 0, sizeof(*wheel));
    wheel->base = base;
    wheel->stride = stride;
    wheel->now = now;
    wheel->until = now;
}

bool wheel_is_set(const struct wheel *wheel, uint32_t i)
{
    return timer_at(wheel, i)->prev != 0;
}

void wheel_set(struct wheel *wheel, uint32_t i, uint32_t at)
{
    /* Further ahead can only be asked for when the wheel was not turned for days (a stopped process): striking early
     * does no harm, whoever set it looks at its clock and sets it again. */
    if ((int32_t)(at - wheel->now) > (int32_t)WHEEL_MAX)
        at = wheel->now + WHEEL_MAX;
    wheel_clear(wheel, i);
    if ((int32_t)(at - wheel->now) <= 0)
        at = wheel->until + 1;
    timer_at(wheel, i)->at = at;
    wheel->set++;
    deal(wheel, i);
}

void wheel_clear(struct wheel *wheel, uint32_t i)
{
    struct wheel_timer *t = timer_at(wheel, i);
    if (t->prev == 0)
        return;
    if (t->prev & WHEEL_BUCKET) {
        unsigned level = t->prev >> 6 & 7;
        unsigned bucket = t->prev & 63;
        wheel->first[level][bucket] = t->next;
        if (t->next == 0)
            wheel->full[level] &= ~(UINT64_C(1) << bucket);
    } else {
        timer_at(wheel, t->prev)->next = t->next;
    }
    if (t->next != 0)
        timer_at(wheel, t->next)->prev = t->prev;
    t->next = 0;
    t->prev = 0;
    wheel->set--;
}

/* The start, as a time, of the next occupied bucket of `level` after now (or at now, on no level but by a timer
 * that waits there); false if the level is empty. */
static bool level_next(const struct wheel *wheel, unsigned level, uint32_t *at)
{
    uint64_t full = wheel->full[level];
    if (full == 0)
        return false;
    unsigned shift = level_shift(level);
    uint32_t digit = wheel->now >> shift;
    unsigned from = digit & 63;
    /* Rotate so that the bucket after the current one is bit 0. */
    unsigned turn = (from + 1) & 63;
    uint64_t turned = turn == 0 ? full : full >> turn | full << (64 - turn);
    uint32_t ahead = (uint32_t)__builtin_ctzll(turned) + 1;
    *at = (digit + ahead) << shift;
    return true;
}

bool wheel_next(const struct wheel *wheel, uint32_t *at)
{
    bool any = false;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        uint32_t t;
        if (level_next(wheel, level, &t) && (!any || (int32_t)(t - *at) < 0)) {
            *at = t;
            any = true;
        }
    }
    return any;
}

/* Deal out again what now stands in the current bucket of each level above the lowest. */
static void cascade(struct wheel *wheel)
{
    for (unsigned level = WHEEL_LEVELS - 1; level > 0; level--) {
        unsigned bucket = wheel->now >> level_shift(level) & 63;
        uint32_t i = wheel->first[level][bucket];
        if (i == 0 || (wheel->now & ((1u << level_shift(level)) - 1)) != 0)
            continue;
        wheel->first[level][bucket] = 0;
        wheel->full[level] &= ~(UINT64_C(1) << bucket);
        while (i != 0) {
            uint32_t next = timer_at(wheel, i)->next;
            deal(wheel, i);
            i = next;
        }
    }
}

uint32_t wheel_expire(struct wheel *wheel, uint32_t now)
{
    if (wheel->set == 0) {
        /* Nothing woke anybody while nothing was set: that may be longer ago than half of the clock's range, from
         * where `now` would look like the past. */
        wheel->now = now;
        wheel->until = now;
        return 0;
    }
    if ((int32_t)(now - wheel->until) > 0)
        wheel->until = now;
    for (;;) {
        uint32_t i = wheel->first[0][wheel->now & 63];
        if (i != 0 && (int32_t)(timer_at(wheel, i)->at - wheel->now) <= 0) {
            wheel_clear(wheel, i);
            return i;
        }
        uint32_t at;
        if ((int32_t)(now - wheel->now) <= 0)
            return 0;
        if (!wheel_next(wheel, &at) || (int32_t)(at - now) > 0) {
            wheel->now = now;
            return 0;
        }
        wheel->now = at;
        cascade(wheel);
    }
}
