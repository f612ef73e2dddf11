/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "socks/backlog.h"
#include "socks/budget.h"

#define SECOND UINT64_C(1000000)
#define STATIONS 40u

static struct socks_budget *budget;

static void start(uint32_t rate, uint32_t burst)
{
    const struct socks_budget_config config = {.rate = rate, .burst = burst, .stations = STATIONS};
    assert_int_equal(socks_budget_new(&budget, &config), 0);
}

static int teardown(void **state)
{
    (void)state;
    socks_budget_free(budget);
    budget = NULL;
    return 0;
}

static uint32_t next_identity = 1;

/* How many identities a station gets within `us` from *now on, if each is answered at once. */
static unsigned take(uint32_t station, uint64_t *now, uint64_t us)
{
    unsigned n = 0;
    for (uint64_t end = *now + us; *now <= end; *now += 1000) {
        while (socks_budget_allows(budget, station, *now)) {
            socks_budget_grant(budget, station, next_identity, *now);
            socks_budget_answered(budget, next_identity++, true);
            n++;
        }
    }
    return n;
}

static void without_a_rate_everything_goes(void **state)
{
    uint64_t at;
    (void)state;
    start(0, 0);
    assert_true(socks_budget_is_off(budget));
    for (uint32_t i = 1; i < 1000; i++) {
        assert_true(socks_budget_allows(budget, 3, SECOND));
        socks_budget_grant(budget, 3, i, SECOND);
    }
    assert_false(socks_budget_next(budget, SECOND, &at));
}

static void a_station_gets_three_quarters_of_the_burst_and_then_the_rate(void **state)
{
    uint64_t now = 5 * SECOND;
    (void)state;
    start(10, 100);
    assert_int_equal(take(7, &now, 0), 75);
    assert_in_range(take(7, &now, 10 * SECOND), 99, 101);
    assert_int_equal(take(8, &now, 0), 25); /* what the first one may not have */
}

static void all_together_keep_the_rate(void **state)
{
    uint64_t now = 5 * SECOND;
    unsigned n = 0;
    (void)state;
    start(10, 20);
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t at = now;
        n += take(i % STATIONS, &at, 0);
        now += 1000;
    }
    assert_in_range(n, 20 + 98, 20 + 102);
}

static void a_burst_of_one_is_a_burst(void **state)
{
    uint64_t now = SECOND;
    (void)state;
    start(1, 1);
    assert_int_equal(take(0, &now, 0), 1);
    assert_int_equal(take(1, &now, 0), 0);
    assert_int_equal(take(1, &now, SECOND), 1);
}

static void what_is_not_answered_holds_others_back_for_seconds_only(void **state)
{
    (void)state;
    start(100000, 100000);
    for (uint32_t i = 1; i <= SOCKS_BUDGET_PENDING_SHARE; i++) {
        assert_true(socks_budget_allows(budget, 1, SECOND));
        socks_budget_grant(budget, 1, i, SECOND);
    }
    assert_false(socks_budget_allows(budget, 1, SECOND));
    struct socks_budget_state look;
    socks_budget_look(budget, SECOND, &look);
    assert_int_equal(look.pending, SOCKS_BUDGET_PENDING_SHARE);
    socks_budget_answered(budget, 1, true);
    assert_true(socks_budget_allows(budget, 1, SECOND));
    socks_budget_grant(budget, 1, 1, SECOND);
    assert_false(socks_budget_allows(budget, 1, 4 * SECOND - 1));
    assert_true(socks_budget_allows(budget, 1, 4 * SECOND));
    socks_budget_look(budget, 4 * SECOND, &look);
    assert_int_equal(look.pending, 0);
}

/* How many a station may have pending at `now` beyond those it has. */
static uint32_t pend(uint32_t station, uint64_t now)
{
    uint32_t n = 0;
    for (; socks_budget_allows(budget, station, now); n++)
        socks_budget_grant(budget, station, next_identity++, now);
    return n;
}

static void who_is_not_alone_gets_a_few_at_a_time(void **state)
{
    const uint32_t half = SOCKS_BUDGET_PENDING_TOGETHER / 2;
    (void)state;
    start(100000, 100000);
    assert_int_equal(pend(1, SECOND), SOCKS_BUDGET_PENDING_SHARE);
    assert_int_equal(pend(2, SECOND), half);
    /* Seconds later all of those are past, and both still want more. */
    socks_budget_allows(budget, 1, 3 * SECOND);
    socks_budget_allows(budget, 2, 4 * SECOND);
    assert_int_equal(pend(1, 4 * SECOND), half);
    assert_int_equal(pend(2, 4 * SECOND), half);
    for (uint32_t station = 3; station < 13; station++)
        assert_int_equal(pend(station, 4 * SECOND), SOCKS_BUDGET_PENDING_LEAST);
    assert_int_equal(pend(13, 4 * SECOND), 0); /* all together, Tor builds no more */
    /* Alone again. */
    assert_int_equal(pend(1, 20 * SECOND), SOCKS_BUDGET_PENDING_SHARE);
}

static void who_had_much_gets_least_while_others_want_some(void **state)
{
    uint64_t now = SECOND;
    (void)state;
    start(10, 100);
    assert_int_equal(take(1, &now, 0), 75);
    now = SECOND + 100000; /* one more is paid for */
    assert_int_equal(pend(2, now), SOCKS_BUDGET_PENDING_TOGETHER / 2);
    assert_int_equal(pend(1, now + 250000), SOCKS_BUDGET_PENDING_LEAST);
    now += 100 * SECOND; /* long ago, and nobody else asks */
    assert_int_equal(pend(1, now), SOCKS_BUDGET_PENDING_SHARE);
}

static void who_wants_little_goes_first_for_a_moment(void **state)
{
    uint64_t now = SECOND;
    (void)state;
    start(100000, 100000);
    assert_int_equal(pend(1, now), SOCKS_BUDGET_PENDING_SHARE);
    for (uint32_t i = 0; i < 18; i++)
        socks_budget_answered(budget, next_identity - 1 - i, true);
    uint32_t left = SOCKS_BUDGET_PENDING_SHARE - 18;
    assert_true(left >= SOCKS_BUDGET_PENDING_LEAST && left < SOCKS_BUDGET_PENDING_TOGETHER / 2);
    assert_true(socks_budget_allows(budget, 2, now));
    socks_budget_grant(budget, 2, 777, now);
    assert_false(socks_budget_allows(budget, 1, now));
    assert_false(socks_budget_allows(budget, 1, now + 249999));
    assert_true(socks_budget_allows(budget, 2, now));
    assert_true(socks_budget_allows(budget, 1, now + 250000)); /* the moment is over */
    assert_false(socks_budget_allows(budget, 1, now));
    socks_budget_answered(budget, 777, true);
    assert_true(socks_budget_allows(budget, 1, now));
}

static void an_identity_is_known_while_it_is_used(void **state)
{
    (void)state;
    start(10, 10);
    assert_false(socks_budget_knows(budget, 5, SECOND));
    socks_budget_grant(budget, 1, 5, SECOND);
    assert_true(socks_budget_knows(budget, 5, 200 * SECOND));
    assert_true(socks_budget_knows(budget, 5, 400 * SECOND));
    assert_false(socks_budget_knows(budget, 5, 701 * SECOND));
    assert_false(socks_budget_knows(budget, 6, SECOND));
}

static void an_identity_that_failed_is_new_again(void **state)
{
    (void)state;
    start(10, 10);
    socks_budget_grant(budget, 1, 5, SECOND);
    socks_budget_answered(budget, 5, false);
    assert_false(socks_budget_knows(budget, 5, SECOND));
}

static void of_too_many_identities_the_oldest_are_forgotten(void **state)
{
    (void)state;
    start(100000, 100000);
    for (uint32_t i = 1; i <= 100000; i++)
        socks_budget_grant(budget, 1, i, i * 1000);
    assert_true(socks_budget_knows(budget, 100000, 100000 * 1000));
    assert_true(socks_budget_knows(budget, 97000, 100000 * 1000));
    assert_false(socks_budget_knows(budget, 90000, 100000 * 1000));
}

static void a_guard_that_refuses_halves_the_pace_and_it_comes_back(void **state)
{
    uint64_t now = 100 * SECOND;
    (void)state;
    start(16, 16);
    (void)take(1, &now, 10 * SECOND);
    socks_budget_learn(budget, 0, true, now);
    socks_budget_learn(budget, 0, true, now + 1000); /* one and the same trouble */
    (void)take(1, &now, 4 * SECOND);
    assert_in_range(take(1, &now, 10 * SECOND), 78, 82);
    struct socks_budget_state look;
    socks_budget_look(budget, now, &look);
    assert_int_equal(look.rate_now, 8000);
    assert_int_equal(look.slowed, 1);
    for (unsigned i = 0; i < 20; i++) {
        now += 3 * SECOND;
        socks_budget_learn(budget, 0, true, now);
    }
    socks_budget_look(budget, now, &look);
    assert_int_equal(look.rate_now, 1000); /* and not slower */
    for (unsigned i = 0; i < 20; i++) {
        now += 10 * SECOND;
        socks_budget_learn(budget, 0, false, now);
    }
    socks_budget_look(budget, now, &look);
    assert_int_equal(look.rate_now, 16000);
}

static void nothing_is_asked_for_while_tor_builds_all_it_can(void **state)
{
    (void)state;
    start(10, 10);
    socks_budget_learn(budget, SOCKS_BUDGET_PENDING, false, SECOND);
    assert_false(socks_budget_allows(budget, 1, SECOND));
    socks_budget_learn(budget, SOCKS_BUDGET_PENDING - 1, false, SECOND);
    assert_true(socks_budget_allows(budget, 1, SECOND));
    socks_budget_learn(budget, SOCKS_BUDGET_PENDING, false, SECOND);
    assert_true(socks_budget_allows(budget, 1, 10 * SECOND)); /* nobody tells any more */
}

static void a_budget_out_of_range_is_refused(void **state)
{
    struct socks_budget *none;
    (void)state;
    assert_int_equal(socks_budget_new(&none, &(struct socks_budget_config){.rate = 1, .stations = 1}), -EINVAL);
    assert_int_equal(socks_budget_new(&none, &(struct socks_budget_config){.rate = 1, .burst = 1}), -EINVAL);
    assert_int_equal(
        socks_budget_new(&none, &(struct socks_budget_config){.rate = 100001, .burst = 1, .stations = 1}), -EINVAL);
}

/* --- the backlog --- */

static struct socks_backlog backlog;

static int put(uint32_t station, uint32_t index)
{
    const struct socks_waiting w = {.id = {.index = index}, .station = station, .len = 4};
    return socks_backlog_put(&backlog, &w, (const uint8_t *)"abcd");
}

static uint32_t pop(void)
{
    uint32_t index = socks_backlog_first(&backlog)->id.index;
    assert_memory_equal(socks_backlog_first(&backlog)->request, "abcd", 4);
    socks_backlog_pop(&backlog);
    return index;
}

static void stations_take_turns(void **state)
{
    (void)state;
    backlog = (struct socks_backlog){0};
    for (uint32_t i = 1; i <= 5; i++)
        assert_true(put(1, i) > 0);
    assert_true(put(2, 6) > 0);
    assert_true(put(3, 7) > 0);
    assert_true(put(2, 8) > 0);
    static const uint32_t order[] = {1, 6, 7, 2, 8, 3, 4, 5};
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(pop(), order[i]);
    assert_null(socks_backlog_first(&backlog));
}

static void no_station_takes_all_the_room(void **state)
{
    (void)state;
    backlog = (struct socks_backlog){0};
    for (uint32_t i = 1; i <= SOCKS_BACKLOG_SHARE; i++)
        assert_true(put(1, i) > 0);
    assert_int_equal(put(1, 9999), -EAGAIN);
    for (uint32_t i = 0; i < SOCKS_BACKLOG_MAX - SOCKS_BACKLOG_SHARE; i++)
        assert_true(put(2 + i, 5000 + i) > 0);
    assert_int_equal(put(9999, 9999), -EAGAIN);
    assert_int_equal(pop(), 1);
    assert_true(put(9999, 9999) > 0);
}

static void nor_do_two_or_three_together(void **state)
{
    (void)state;
    backlog = (struct socks_backlog){0};
    uint32_t n = 0;
    for (uint32_t station = 1; station <= 3; station++)
        while (put(station, n + 1) > 0)
            n++;
    assert_in_range(n, SOCKS_BACKLOG_MAX / 64 * 62, SOCKS_BACKLOG_MAX / 64 * 63);
    assert_true(put(4, 5000) > 0);
}

/* Against a list that is searched from the start. */
static void any_order_of_taking_out_keeps_the_order_of_the_rest(void **state)
{
    struct {
        uint32_t station, index;
        int number;
    } model[64];
    unsigned n = 0;
    uint32_t random = 12345, index = 1;
    (void)state;
    backlog = (struct socks_backlog){0};
    for (unsigned step = 0; step < 20000; step++) {
        random = random * 1664525u + 1013904223u;
        unsigned what = random >> 30;
        if (what < 2 && n < 64) {
            uint32_t station = random >> 8 & 7;
            int number = put(station, index);
            assert_true(number > 0);
            model[n].station = station;
            model[n].index = index++;
            model[n++].number = number;
            continue;
        }
        if (n == 0)
            continue;
        unsigned at = (random >> 8) % n;
        if (what == 2) {
            socks_backlog_remove(&backlog, (uint16_t)model[at].number);
        } else {
            const struct socks_waiting *first = socks_backlog_first(&backlog);
            for (at = 0; model[at].station != first->station; at++)
                ;
            assert_int_equal(first->id.index, model[at].index); /* the oldest of its station */
            socks_backlog_pop(&backlog);
        }
        for (n--; at < n; at++)
            model[at] = model[at + 1];
        assert_int_equal(backlog.count, n);
        for (uint32_t station = 0; station < 8; station++) {
            bool waits = false;
            for (unsigned i = 0; i < n; i++)
                waits = waits || model[i].station == station;
            assert_int_equal(socks_backlog_has(&backlog, station), waits);
        }
    }
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_rate_everything_goes),
        TEST(a_station_gets_three_quarters_of_the_burst_and_then_the_rate),
        TEST(all_together_keep_the_rate),
        TEST(a_burst_of_one_is_a_burst),
        TEST(what_is_not_answered_holds_others_back_for_seconds_only),
        TEST(who_is_not_alone_gets_a_few_at_a_time),
        TEST(who_had_much_gets_least_while_others_want_some),
        TEST(who_wants_little_goes_first_for_a_moment),
        TEST(an_identity_is_known_while_it_is_used),
        TEST(an_identity_that_failed_is_new_again),
        TEST(of_too_many_identities_the_oldest_are_forgotten),
        TEST(a_guard_that_refuses_halves_the_pace_and_it_comes_back),
        TEST(nothing_is_asked_for_while_tor_builds_all_it_can),
        TEST(a_budget_out_of_range_is_refused),
        TEST(stations_take_turns),
        TEST(no_station_takes_all_the_room),
        TEST(nor_do_two_or_three_together),
        TEST(any_order_of_taking_out_keeps_the_order_of_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
