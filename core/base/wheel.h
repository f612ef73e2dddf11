/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hierarchical timer wheel (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987).
 *
 * Timers live inside the slots of a pool: timer i is the `struct wheel_timer` at base + (i - 1) * stride, and i
 * is never 0. The wheel knows no clock: it is told what time it is and says which timers are due. Time is in
 * milliseconds, 32 bits, and may wrap; a timer set further ahead than WHEEL_MAX strikes
 * after that.
 */
#ifndef CLOISTER_BASE_WHEEL_H
#define CLOISTER_BASE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WHEEL_LEVELS 5
#define WHEEL_MAX (1u << 29) /* ms, about six days */

/* Lives in the caller's slot; all zero means not set. */
struct wheel_timer {
    uint32_t next; /* following timer of the same bucket, 0 at the end */
    uint32_t prev; /* preceding timer, or bucket number | WHEEL_BUCKET for the first; 0 when not set */
    uint32_t at;   /* when it is due, ms */
};

struct wheel {
    uint8_t *base;                    /* timer 1 */
    size_t stride;                    /* bytes from one timer to the next */
    uint32_t now;                     /* ms up to which everything was handed out */
    uint32_t until;                   /* ms, the latest time given to wheel_expire(); `now` follows it */
    uint32_t set;                     /* timers set now */
    uint64_t full[WHEEL_LEVELS];      /* which buckets of a level hold a timer */
    uint32_t first[WHEEL_LEVELS][64]; /* head of each bucket, 0 = empty */
};

/* `base` and `stride` as above; `now` in ms. */
void wheel_init(struct wheel *wheel, void *base, size_t stride, uint32_t now);

/* Set timer `i` to fire at `at`, moving it if it was set. If `at` is more than WHEEL_MAX after the time last given
 * to wheel_expire() it fires early, at that distance: after a sleep, first expire, then set. While timers are handed out, time goes from the one to the
 * next, and a timer set for a moment still ahead on that way is handed out on it. One set for a moment that has passed
 * fires a tick after the time last given to wheel_expire(): whoever sets it again and again keeps nobody busy. */
void wheel_set(struct wheel *wheel, uint32_t i, uint32_t at);

/* Take timer `i` out; nothing happens if it is not set. */
void wheel_clear(struct wheel *wheel, uint32_t i);

/* True if timer `i` is set. */
bool wheel_is_set(const struct wheel *wheel, uint32_t i);

/* The next due timer at time `now`, taken out of the wheel, or 0 if none is due any more. Call until 0. */
uint32_t wheel_expire(struct wheel *wheel, uint32_t now);

/* When to call wheel_expire() next: true, and in *at a time not after the earliest timer; false if no timer is
 * set. (It may be earlier than the timer: the wheel then only moves timers down a level.) */
bool wheel_next(const struct wheel *wheel, uint32_t *at);

#endif
