/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/pool.h"
#include "random.h"

#define STRIDE 24u

struct fixture {
    struct pool pool;
    uint8_t *slots;
    void *overhead;
};

static void fixture_start(struct fixture *f, uint32_t count)
{
    f->slots = malloc((size_t)count * STRIDE);
    f->overhead = malloc(pool_overhead(count));
    assert_non_null(f->slots);
    assert_non_null(f->overhead);
    memset(f->overhead, 0xa5, pool_overhead(count)); /* the pool must not rely on zeroed memory */
    pool_init(&f->pool, f->slots, STRIDE, count, f->overhead);
}

static void fixture_end(struct fixture *f)
{
    free(f->slots);
    free(f->overhead);
}

/* Sizes around every edge of the three levels. */
static const uint32_t sizes[] = {1,    2,    63,   64,   65,   127,  128,   129,   4095,
                                 4096, 4097, 8192, 8193, 9000, 5000, 65536, 65537, POOL_MAX_SLOTS};

static void all_slots_can_be_taken_lowest_first_and_then_none(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
        struct fixture f;
        fixture_start(&f, sizes[k]);
        for (uint32_t i = 1; i <= sizes[k]; i++) {
            assert_int_equal(pool_take(&f.pool), i);
            assert_ptr_equal(pool_at(&f.pool, i), f.slots + (size_t)(i - 1) * STRIDE);
        }
        assert_int_equal(pool_take(&f.pool), 0);
        assert_int_equal(f.pool.used, sizes[k]);
        assert_int_equal(pool_highest(&f.pool), sizes[k]);
        /* One hole anywhere is found again. */
        uint32_t hole = sizes[k] / 2 + 1;
        pool_give(&f.pool, hole);
        assert_int_equal(pool_take(&f.pool), hole);
        assert_int_equal(pool_take(&f.pool), 0);
        fixture_end(&f);
    }
}

static void overhead_is_a_multiple_of_eight_and_small(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
        size_t n = pool_overhead(sizes[k]);
        assert_int_equal(n % 8, 0);
        assert_true(n * 8 >= sizes[k]);
        assert_true(n <= sizes[k] / 7 + 24);
    }
}

static void free_slots_are_never_touched(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, 200);
    memset(f.slots, 0x5a, 200 * STRIDE);
    for (int i = 0; i < 200; i++)
        pool_take(&f.pool);
    for (uint32_t i = 1; i <= 200; i += 3)
        pool_give(&f.pool, i);
    void *start;
    pool_settle(&f.pool, &start);
    for (size_t i = 0; i < 200 * STRIDE; i++)
        assert_int_equal(f.slots[i], 0x5a);
    fixture_end(&f);
}

static void no_slot_outside_the_range_counts_as_taken(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, 70);
    for (int i = 0; i < 70; i++)
        pool_take(&f.pool);
    assert_false(pool_is_taken(&f.pool, 0));
    assert_true(pool_is_taken(&f.pool, 1));
    assert_true(pool_is_taken(&f.pool, 70));
    assert_false(pool_is_taken(&f.pool, 71));
    fixture_end(&f);
}

static void settling_returns_what_was_touched_above_the_highest_taken_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, 1000);
    void *start = NULL;
    assert_int_equal(pool_settle(&f.pool, &start), 0);
    for (int i = 0; i < 300; i++)
        pool_take(&f.pool);
    assert_int_equal(pool_settle(&f.pool, &start), 0);
    for (uint32_t i = 101; i <= 300; i++)
        pool_give(&f.pool, i);
    assert_int_equal(pool_settle(&f.pool, &start), 200 * STRIDE);
    assert_ptr_equal(start, f.slots + 100 * STRIDE);
    assert_int_equal(pool_settle(&f.pool, &start), 0);
    for (uint32_t i = 1; i <= 100; i++)
        pool_give(&f.pool, i);
    assert_int_equal(pool_settle(&f.pool, &start), 100 * STRIDE);
    assert_ptr_equal(start, f.slots);
    assert_int_equal(pool_highest(&f.pool), 0);
    fixture_end(&f);
}

static void the_free_slots_can_be_looked_up_in_the_order_in_which_they_will_be_taken(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
        struct fixture f;
        fixture_start(&f, sizes[k]);
        for (uint32_t i = 1; i <= sizes[k]; i++)
            pool_take(&f.pool);
        uint32_t run = 0;
        assert_int_equal(pool_look_ahead(&f.pool, 0, &run), 0);
        for (uint32_t i = 1; i <= sizes[k]; i += 1 + i * 2 / 3) /* far apart, so that whole words are passed over */
            pool_give(&f.pool, i);
        if (pool_is_taken(&f.pool, sizes[k]))
            pool_give(&f.pool, sizes[k]);
        uint32_t next = pool_look_ahead(&f.pool, 0, &run);
        while (f.pool.used < sizes[k]) {
            uint32_t after = pool_look_ahead(&f.pool, next, &run);
            assert_int_equal(pool_take(&f.pool), next);
            next = after;
        }
        assert_int_equal(next, 0);
        fixture_end(&f);
    }
}

static void random_use_agrees_with_a_model_and_settling_returns_every_touched_byte(void **state)
{
    (void)state;
    struct random r = random_start();
    static bool taken[10001], touched[10001];
    for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
        uint32_t count = sizes[k];
        if (count > 10000)
            continue;
        struct fixture f;
        fixture_start(&f, count);
        memset(taken, 0, sizeof(taken));
        memset(touched, 0, sizeof(touched));
        uint32_t used = 0, bias = 50;
        for (int step = 0; step < 30000; step++) {
            if (step % 500 == 0)
                bias = random_below(&r, 101); /* phases that mostly fill, and phases that mostly drain */
            if (random_below(&r, 100) < bias) {
                uint32_t want = 1;
                while (want <= count && taken[want])
                    want++;
                uint32_t got = pool_take(&f.pool);
                assert_int_equal(got, want > count ? 0 : want);
                if (got != 0) {
                    taken[got] = touched[got] = true;
                    used++;
                }
            } else {
                uint32_t i = 1 + random_below(&r, count);
                assert_int_equal(pool_is_taken(&f.pool, i), taken[i]);
                if (taken[i]) {
                    pool_give(&f.pool, i);
                    taken[i] = false;
                    used--;
                }
            }
            assert_int_equal(f.pool.used, used);
            if (step % 64 != 0)
                continue;
            uint32_t above = random_below(&r, count + 1), next = above + 1;
            while (next <= count && taken[next])
                next++;
            uint32_t run = 0, end = next;
            while (end <= count && !taken[end])
                end++;
            assert_int_equal(pool_look_ahead(&f.pool, above, &run), next > count ? 0 : next);
            if (next <= count) /* all of them, or those up to the end of a word */
                assert_int_equal(run, end - next < 64 - (next - 1) % 64 ? end - next : 64 - (next - 1) % 64);
            uint32_t highest = count;
            while (highest > 0 && !taken[highest])
                highest--;
            assert_int_equal(pool_highest(&f.pool), highest);
            uint32_t top = count;
            while (top > highest && !touched[top])
                top--;
            void *start = NULL;
            assert_int_equal(pool_settle(&f.pool, &start), (size_t)(top - highest) * STRIDE);
            if (top > highest)
                assert_ptr_equal(start, f.slots + (size_t)highest * STRIDE);
            memset(touched + highest + 1, 0, count - highest);
        }
        fixture_end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_slots_can_be_taken_lowest_first_and_then_none),
        cmocka_unit_test(overhead_is_a_multiple_of_eight_and_small),
        cmocka_unit_test(free_slots_are_never_touched),
        cmocka_unit_test(no_slot_outside_the_range_counts_as_taken),
        cmocka_unit_test(settling_returns_what_was_touched_above_the_highest_taken_once),
        cmocka_unit_test(the_free_slots_can_be_looked_up_in_the_order_in_which_they_will_be_taken),
        cmocka_unit_test(random_use_agrees_with_a_model_and_settling_returns_every_touched_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
