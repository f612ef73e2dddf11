/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/wheel.h"
#include "random.h"

#define TIMERS 200u

/* As in real use, a timer is a member of a larger slot. */
struct slot {
    struct wheel_timer timer;
    char rest[20];
};

static struct slot slots[TIMERS];
static struct wheel wheel;

static void start_at(uint32_t now)
{
    memset(slots, 0, sizeof(slots));
    wheel_init(&wheel, &slots[0].timer, sizeof(struct slot), now);
}

static void a_timer_fires_at_its_time_and_not_before(void **state)
{
    (void)state;
    static const uint32_t delays[] = {1,    2,     62,     63,     64,      65,       127,           128,
                                      4095, 4096,  4097,   262143, 262144,  262145,   1u << 24,      (1u << 24) + 1,
                                      500,  86400, 600000, 1000,   7200000, 33554432, WHEEL_MAX - 1, WHEEL_MAX};
    static const uint32_t starts[] = {0,          1,          63,         64,         4095,       0x00ffffff,
                                      0x3fffffff, 0x40000000, 0x7fffffff, 0x80000000, 0xbfffffff, 0xdfffffff,
                                      0xe0000000, 0xffffffc0, 0xffffffff, 0xfffffffe, 0x12345678};
    for (size_t s = 0; s < sizeof(starts) / sizeof(*starts); s++) {
        for (size_t d = 0; d < sizeof(delays) / sizeof(*delays); d++) {
            start_at(starts[s]);
            wheel_set(&wheel, 7, starts[s] + delays[d]);
            assert_true(wheel_is_set(&wheel, 7));
            assert_int_equal(wheel_expire(&wheel, starts[s] + delays[d] - 1), 0);
            assert_true(wheel_is_set(&wheel, 7));
            assert_int_equal(wheel_expire(&wheel, starts[s] + delays[d]), 7);
            assert_false(wheel_is_set(&wheel, 7));
            assert_int_equal(wheel_expire(&wheel, starts[s] + delays[d]), 0);
            assert_int_equal(wheel.set, 0);
        }
    }
}

static void following_wheel_next_reaches_the_timer_in_at_most_five_steps(void **state)
{
    (void)state;
    struct random r = random_start();
    for (int round = 0; round < 20000; round++) {
        uint32_t now = (uint32_t)random_u64(&r);
        uint32_t at = now + 1 + random_below(&r, 1u << random_below(&r, 30));
        start_at(now);
        wheel_set(&wheel, 1, at);
        uint32_t fired = 0;
        for (int steps = 0; fired == 0; steps++) {
            uint32_t next;
            assert_true(steps < 5);
            assert_true(wheel_next(&wheel, &next));
            assert_true((int32_t)(next - now) > 0);
            assert_true((int32_t)(next - at) <= 0);
            now = next;
            fired = wheel_expire(&wheel, now);
        }
        assert_int_equal(now, at);
        uint32_t next;
        assert_false(wheel_next(&wheel, &next));
    }
}

static void a_time_that_has_passed_fires_at_the_next_tick(void **state)
{
    (void)state;
    start_at(1000);
    wheel_set(&wheel, 1, 1000);
    wheel_set(&wheel, 2, 10);
    uint32_t at;
    assert_true(wheel_next(&wheel, &at));
    assert_int_equal(at, 1001);
    assert_int_equal(wheel_expire(&wheel, 1000), 0);
    uint32_t a = wheel_expire(&wheel, 1001), b = wheel_expire(&wheel, 1001);
    assert_int_equal(a + b, 3);
    assert_true(a != 0 && b != 0);
}

static void a_cleared_timer_never_fires_and_leaves_its_neighbours(void **state)
{
    (void)state;
    for (uint32_t gone = 1; gone <= 3; gone++) {
        start_at(5);
        for (uint32_t i = 1; i <= 3; i++)
            wheel_set(&wheel, i, 100);
        wheel_clear(&wheel, gone);
        wheel_clear(&wheel, gone);
        assert_false(wheel_is_set(&wheel, gone));
        uint32_t a = wheel_expire(&wheel, 100), b = wheel_expire(&wheel, 100);
        assert_int_equal(a + b, 6 - gone);
        assert_int_equal(wheel_expire(&wheel, 100000), 0);
    }
}

static void setting_again_moves_the_timer(void **state)
{
    (void)state;
    start_at(0);
    wheel_set(&wheel, 1, 50);
    wheel_set(&wheel, 1, 50000);
    assert_int_equal(wheel.set, 1);
    assert_int_equal(wheel_expire(&wheel, 49999), 0);
    assert_int_equal(wheel_expire(&wheel, 50000), 1);
    wheel_set(&wheel, 1, 90000);
    wheel_set(&wheel, 1, 50001);
    assert_int_equal(wheel_expire(&wheel, 50001), 1);
}

static void a_timer_set_again_while_it_is_handed_out_fires_again_in_the_same_jump(void **state)
{
    (void)state;
    start_at(0xfffffff0);
    wheel_set(&wheel, 1, 0xfffffff8);
    uint32_t at = 0xfffffff8;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(wheel_expire(&wheel, 80), 1);
        at += 8;
        wheel_set(&wheel, 1, at);
    }
    assert_int_equal(wheel_expire(&wheel, 71), 0);
    assert_int_equal(wheel_expire(&wheel, 72), 1);
}

static void a_timer_set_again_for_the_past_fires_once_a_tick_however_long_the_jump(void **state)
{
    (void)state;
    start_at(1000);
    wheel_set(&wheel, 1, 1010);
    assert_int_equal(wheel_expire(&wheel, 5000000), 1);
    wheel_set(&wheel, 1, 1010);
    assert_int_equal(wheel_expire(&wheel, 5000000), 0);
    uint32_t at;
    assert_true(wheel_next(&wheel, &at));
    assert_true((int32_t)(at - 5000001) <= 0 && (int32_t)(at - 5000000) > 0);
    assert_int_equal(wheel_expire(&wheel, 5000001), 1);
}

static void time_that_goes_back_fires_nothing(void **state)
{
    (void)state;
    start_at(1000);
    wheel_set(&wheel, 1, 1001);
    assert_int_equal(wheel_expire(&wheel, 999), 0);
    assert_int_equal(wheel_expire(&wheel, 1000), 0);
    assert_int_equal(wheel_expire(&wheel, 1001), 1);
}

static void an_idle_wheel_follows_a_jump_of_any_length(void **state)
{
    (void)state;
    /* A gateway that nobody used for a month: nothing was set, so nothing woke it in between. */
    static const uint32_t jumps[] = {1u << 29, 1u << 30, (1u << 31) - 1, 1u << 31, (1u << 31) + 12345, 0xfffffff0};
    for (size_t i = 0; i < sizeof(jumps) / sizeof(*jumps); i++) {
        uint32_t now = 77;
        start_at(now);
        now += jumps[i];
        assert_int_equal(wheel_expire(&wheel, now), 0);
        wheel_set(&wheel, 1, now + 200);
        assert_int_equal(wheel_expire(&wheel, now + 199), 0);
        assert_int_equal(wheel_expire(&wheel, now + 200), 1);
    }
}

/* Timers of the model: set or not, and when due in 64 bits, so that nothing wraps there. */
static struct {
    bool set;
    uint64_t at;
} model[TIMERS + 1];

static uint32_t some_delay(struct random *r)
{
    return random_below(r, 1u << random_below(r, 30)) + random_below(r, 2);
}

/* Everything that is due by the model, and nothing else, comes out by `to`, in the order of time. */
static void expire_both(uint64_t to)
{
    uint64_t last = 0;
    for (;;) {
        uint32_t i = wheel_expire(&wheel, (uint32_t)to);
        if (i == 0)
            break;
        assert_true(i <= TIMERS && model[i].set);
        assert_true(model[i].at <= to);
        assert_true(model[i].at >= last);
        last = model[i].at;
        model[i].set = false;
    }
    for (uint32_t i = 1; i <= TIMERS; i++)
        assert_true(!model[i].set || model[i].at > to);
}

static void random_use_agrees_with_a_model(void **state)
{
    (void)state;
    struct random r = random_start();
    static const uint32_t starts[] = {0, 0xffffff00, 0xffffffff, 0x7fffff00, 0x3fffffff};
    for (size_t s = 0; s < sizeof(starts) / sizeof(*starts); s++) {
        uint64_t now = (UINT64_C(1) << 32) + starts[s];
        start_at((uint32_t)now);
        memset(model, 0, sizeof(model));
        for (int step = 0; step < 100000; step++) {
            uint32_t i = 1 + random_below(&r, TIMERS);
            uint32_t what = random_below(&r, 10);
            if (what < 5) {
                uint64_t at = now + some_delay(&r);
                if (random_below(&r, 20) == 0)
                    at = now - random_below(&r, 1000);
                wheel_set(&wheel, i, (uint32_t)at);
                model[i].set = true;
                model[i].at = at <= now ? now + 1 : at;
            } else if (what < 6) {
                wheel_clear(&wheel, i);
                model[i].set = false;
            } else if (what < 9) {
                now += random_below(&r, 1u << random_below(&r, 10));
                expire_both(now);
            } else {
                now += some_delay(&r); /* up to six days: several laps of the lower levels, wraps of the clock */
                expire_both(now);
            }
            uint64_t first = UINT64_MAX;
            uint32_t set = 0;
            for (uint32_t k = 1; k <= TIMERS; k++) {
                assert_int_equal(wheel_is_set(&wheel, k), model[k].set);
                set += model[k].set;
                if (model[k].set && model[k].at < first)
                    first = model[k].at;
            }
            assert_int_equal(wheel.set, set);
            uint32_t next;
            assert_int_equal(wheel_next(&wheel, &next), set > 0);
            if (set > 0) {
                assert_true((int32_t)(next - (uint32_t)first) <= 0);
                assert_true((int32_t)(next - (uint32_t)now) > 0);
            }
        }
    }
}

static void a_timer_beyond_the_reach_strikes_early_and_not_late(void **state)
{
    (void)state;
    struct wheel_timer timer = {0};
    wheel_init(&wheel, &timer, sizeof(timer), 1000);
    wheel_set(&wheel, 1, 1000 + WHEEL_MAX + 5000);
    assert_int_equal(wheel_expire(&wheel, 1000 + WHEEL_MAX - 1), 0);
    assert_int_equal(wheel_expire(&wheel, 1000 + WHEEL_MAX), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_beyond_the_reach_strikes_early_and_not_late),
        cmocka_unit_test(a_timer_fires_at_its_time_and_not_before),
        cmocka_unit_test(following_wheel_next_reaches_the_timer_in_at_most_five_steps),
        cmocka_unit_test(a_time_that_has_passed_fires_at_the_next_tick),
        cmocka_unit_test(a_cleared_timer_never_fires_and_leaves_its_neighbours),
        cmocka_unit_test(setting_again_moves_the_timer),
        cmocka_unit_test(a_timer_set_again_while_it_is_handed_out_fires_again_in_the_same_jump),
        cmocka_unit_test(a_timer_set_again_for_the_past_fires_once_a_tick_however_long_the_jump),
        cmocka_unit_test(time_that_goes_back_fires_nothing),
        cmocka_unit_test(an_idle_wheel_follows_a_jump_of_any_length),
        cmocka_unit_test(random_use_agrees_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
