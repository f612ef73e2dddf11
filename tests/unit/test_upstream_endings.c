/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a stream waits until somebody says what kind of end it was, but not for long. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "socks/endings.h"
#include "upstream_rig.h"

#define WAIT 500000u

static char data[64];

static uint64_t key_of(uint32_t index)
{
    struct socks_stream_info info;
    assert_true(socks_upstream_look(up, flow(index), &info));
    assert_int_not_equal(info.key, 0);
    return info.key;
}

/* An open stream that says a word and is closed; what the engine reads now is -EAGAIN. */
static void end_one(uint32_t index)
{
    int fd = open_answered(index);
    SAY(fd, "word");
    close(fd);
    dispatch();
    assert_int_equal(read_flow(index, data, sizeof(data)), 4);
    assert_int_equal(read_flow(index, data, sizeof(data)), -EAGAIN);
    told_count = 0;
}

static void start(void)
{
    config.end_wait = WAIT;
    rig_start();
}

static void an_end_in_good_order_is_an_end(void **state)
{
    (void)state;
    start();
    end_one(1);
    assert_true(socks_upstream_judge(up, key_of(1), true, clock_now));
    assert_told(0, READABLE, 1);
    assert_int_equal(read_flow(1, data, sizeof(data)), 0);
}

static void any_other_end_is_a_reset(void **state)
{
    (void)state;
    start();
    end_one(1);
    clock_now += 300;
    assert_true(socks_upstream_judge(up, key_of(1), false, clock_now));
    assert_told(0, READABLE, 1);
    assert_int_equal(read_flow(1, data, sizeof(data)), -ECONNRESET);
    const struct socks_counters *c = socks_upstream_counters(up);
    assert_int_equal(c->judged, 1);
    assert_int_equal(c->judged_broken, 1);
    assert_int_equal(c->judged_after, 300);
}

static void a_judgement_that_comes_before_the_data_is_read_is_kept(void **state)
{
    (void)state;
    start();
    int fd = open_answered(1);
    SAY(fd, "word");
    close(fd);
    dispatch();
    assert_true(socks_upstream_judge(up, key_of(1), false, clock_now));
    assert_int_equal(read_flow(1, data, 4), 4);
    assert_int_equal(read_flow(1, data, sizeof(data)), -ECONNRESET);
}

static void an_end_that_came_with_the_answer_is_judged_too(void **state)
{
    (void)state;
    start();
    assert_int_equal(open_flow(1), 0);
    int fd = server_take();
    SAY(fd, ANSWER_FULL);
    SAY(fd, "word");
    close(fd);
    dispatch();
    size_t n;
    assert_int_equal(read_until(1, data, sizeof(data), sizeof(data), &n), -EAGAIN);
    assert_int_equal(n, 4);
    assert_true(socks_upstream_judge(up, key_of(1), false, clock_now));
    assert_int_equal(read_flow(1, data, sizeof(data)), -ECONNRESET);
}

static void an_end_that_is_read_before_its_event_waits_too(void **state)
{
    (void)state;
    start();
    int fd = open_answered(1);
    SAY(fd, "word");
    dispatch();
    close(fd);
    assert_int_equal(read_flow(1, data, 4), 4);
    assert_int_equal(read_flow(1, data, sizeof(data)), -EAGAIN);
    assert_true(socks_upstream_judge(up, key_of(1), false, clock_now));
    assert_int_equal(read_flow(1, data, sizeof(data)), -ECONNRESET);
}

static void without_a_judgement_in_time_it_is_an_end(void **state)
{
    (void)state;
    uint64_t at;
    start();
    end_one(1);
    assert_true(socks_upstream_next(up, &at));
    assert_int_equal(at, clock_now + WAIT);
    socks_upstream_poll(up, at - 1);
    assert_int_equal(told_count, 0);
    socks_upstream_poll(up, at);
    assert_told(0, READABLE, 1);
    assert_int_equal(read_flow(1, data, sizeof(data)), 0);
    assert_int_equal(socks_upstream_counters(up)->unjudged, 1);
    assert_false(socks_upstream_next(up, &at));
    assert_false(socks_upstream_judge(up, key_of(1), false, at));
    assert_int_equal(read_flow(1, data, sizeof(data)), 0);
}

static void a_stream_that_is_open_is_not_judged(void **state)
{
    (void)state;
    start();
    int fd = open_answered(1);
    assert_false(socks_upstream_judge(up, key_of(1), false, clock_now));
    SAY(fd, "word");
    dispatch();
    assert_int_equal(read_flow(1, data, sizeof(data)), 4);
    close(fd);
}

static void nor_is_one_of_another_key(void **state)
{
    (void)state;
    start();
    end_one(1);
    end_one(2);
    assert_true(socks_upstream_judge(up, key_of(2), false, clock_now));
    assert_told(0, READABLE, 2);
    assert_int_equal(read_flow(1, data, sizeof(data)), -EAGAIN);
    assert_int_equal(read_flow(2, data, sizeof(data)), -ECONNRESET);
}

/* As Tor ends them, so it speaks of them. */
static void of_several_with_one_key_each_word_is_for_the_first(void **state)
{
    (void)state;
    config.isolation = ISOLATION_WORKSTATION;
    start();
    end_one(1);
    end_one(2);
    assert_int_equal(key_of(1), key_of(2));
    assert_true(socks_upstream_judge(up, key_of(1), true, clock_now));
    assert_true(socks_upstream_judge(up, key_of(1), false, clock_now));
    assert_int_equal(read_flow(1, data, sizeof(data)), 0);
    assert_int_equal(read_flow(2, data, sizeof(data)), -ECONNRESET);
}

static void a_flow_that_is_gone_is_not_spoken_of(void **state)
{
    (void)state;
    uint64_t at;
    start();
    end_one(1);
    uint64_t key = key_of(1);
    socks_upstream_release(up, flow(1), TCP_RELEASE_CLOSE);
    socks_upstream_judge(up, key, false, clock_now);
    assert_int_equal(told_count, 0);
    end_one(2);
    socks_upstream_release(up, flow(2), TCP_RELEASE_CLOSE);
    if (socks_upstream_next(up, &at))
        socks_upstream_poll(up, at);
    assert_int_equal(told_count, 0);
    assert_int_equal(socks_upstream_counters(up)->unjudged, 0);
}

static void where_nobody_can_judge_nothing_waits(void **state)
{
    (void)state;
    uint64_t at;
    rig_start();
    int fd = open_answered(1);
    close(fd);
    dispatch();
    assert_int_equal(read_flow(1, data, sizeof(data)), 0);
    assert_false(socks_upstream_next(up, &at));
    assert_false(socks_upstream_judge(up, key_of(1), false, clock_now));
}

static void a_full_queue_makes_nobody_wait(void **state)
{
    (void)state;
    struct socks_endings *endings = calloc(1, sizeof(*endings));
    struct socks_ending out;
    assert_non_null(endings);
    for (uint32_t i = 1; i <= SOCKS_ENDINGS_MAX; i++)
        assert_true(socks_endings_put(endings, flow(i), i, i));
    assert_false(socks_endings_put(endings, flow(5000), 5000, 5000));
    /* Judged in another order, the places in the middle are free once those before are. */
    assert_true(socks_endings_take(endings, 2, &out));
    assert_int_equal(out.id.index, 2);
    assert_false(socks_endings_take(endings, 2, &out));
    assert_false(socks_endings_put(endings, flow(5000), 5000, 5000));
    assert_true(socks_endings_take(endings, 1, &out));
    assert_true(socks_endings_put(endings, flow(5000), 5000, 5000));
    assert_true(socks_endings_put(endings, flow(5001), 5001, 5001));
    assert_false(socks_endings_put(endings, flow(5002), 5002, 5002));
    for (uint64_t key = 3; key <= SOCKS_ENDINGS_MAX; key++)
        assert_true(socks_endings_take(endings, key, &out));
    assert_int_equal(socks_endings_first(endings)->key, 5000);
    socks_endings_pop(endings);
    socks_endings_pop(endings);
    assert_null(socks_endings_first(endings));
    free(endings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPSTREAM_TEST(an_end_in_good_order_is_an_end),
        UPSTREAM_TEST(any_other_end_is_a_reset),
        UPSTREAM_TEST(a_judgement_that_comes_before_the_data_is_read_is_kept),
        UPSTREAM_TEST(an_end_that_came_with_the_answer_is_judged_too),
        UPSTREAM_TEST(an_end_that_is_read_before_its_event_waits_too),
        UPSTREAM_TEST(without_a_judgement_in_time_it_is_an_end),
        UPSTREAM_TEST(a_stream_that_is_open_is_not_judged),
        UPSTREAM_TEST(nor_is_one_of_another_key),
        UPSTREAM_TEST(of_several_with_one_key_each_word_is_for_the_first),
        UPSTREAM_TEST(a_flow_that_is_gone_is_not_spoken_of),
        UPSTREAM_TEST(where_nobody_can_judge_nothing_waits),
        cmocka_unit_test(a_full_queue_makes_nobody_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
