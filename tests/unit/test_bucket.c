/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bucket.h"

#define SECOND 1000000u

static unsigned take_all(struct bucket *b, uint32_t rate, uint32_t burst, uint64_t now)
{
    unsigned n = 0;
    while (n < 100000 && bucket_take(b, rate, burst, now))
        n++;
    return n;
}

static void a_burst_passes_and_no_more(void **state)
{
    struct bucket b = {0};
    (void)state;
    assert_int_equal(take_all(&b, 10, 25, 0), 25);
    assert_int_equal(take_all(&b, 10, 25, 0), 0);
    struct bucket one = {0};
    assert_int_equal(take_all(&one, 1, 1, 77), 1);
}

static void then_as_many_as_the_rate_allows(void **state)
{
    struct bucket b = {0};
    (void)state;
    take_all(&b, 10, 25, 0);
    assert_int_equal(take_all(&b, 10, 25, SECOND), 10);
    assert_int_equal(take_all(&b, 10, 25, SECOND + SECOND / 10 - 1), 0);
    assert_int_equal(take_all(&b, 10, 25, SECOND + SECOND / 10), 1);
}

static void rest_fills_it_to_the_burst_only(void **state)
{
    struct bucket b = {0};
    (void)state;
    take_all(&b, 10, 25, 0);
    assert_int_equal(take_all(&b, 10, 25, 1000u * (uint64_t)SECOND), 25);
}

static void what_is_refused_does_not_count(void **state)
{
    struct bucket b = {0};
    (void)state;
    take_all(&b, 10, 1, 0);
    for (uint64_t now = 0; now < SECOND / 10; now += 100)
        assert_false(bucket_take(&b, 10, 1, now));
    assert_true(bucket_take(&b, 10, 1, SECOND / 10));
}

static void a_rate_that_does_not_divide_a_second_is_not_exceeded(void **state)
{
    struct bucket b = {0};
    unsigned n = 0;
    (void)state;
    for (uint64_t now = 0; now < 10 * SECOND; now += 10)
        n += bucket_take(&b, 300, 1, now);
    assert_in_range(n, 2900, 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_and_no_more),
        cmocka_unit_test(then_as_many_as_the_rate_allows),
        cmocka_unit_test(rest_fills_it_to_the_burst_only),
        cmocka_unit_test(what_is_refused_does_not_count),
        cmocka_unit_test(a_rate_that_does_not_divide_a_second_is_not_exceeded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
