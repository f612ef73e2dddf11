/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "socks/backlog.h"
#include "socks/directory.h"
#include "upstream_rig.h"

static void a_full_backlog_makes_flows_wait_in_order(void **state)
{
    (void)state;
    server_end();
    server_listen(1); /* the kernel lets two wait */
    rig_start();
    uint64_t at;
    assert_false(socks_upstream_next(up, &at));
    for (uint32_t i = 1; i <= 5; i++)
        assert_int_equal(open_flow(i), 0);
    assert_int_equal(socks_upstream_counters(up)->opened, 2);
    assert_true(socks_upstream_next(up, &at));
    assert_true(at > clock_now && at <= clock_now + 10000);

    struct socks_stream_info info;
    assert_true(socks_upstream_look(up, flow(5), &info));
    assert_string_equal(info.state, "queued");
    socks_upstream_release(up, flow(4), TCP_RELEASE_ABORT); /* one changes its mind */

    int fds[4];
    fds[0] = server_take();
    fds[1] = server_take();
    socks_upstream_poll(up, at - 1); /* not yet */
    assert_int_equal(accept(listener, NULL, NULL), -1);
    socks_upstream_poll(up, at);
    assert_int_equal(socks_upstream_counters(up)->opened, 4);
    assert_int_equal(socks_upstream_counters(up)->queued, 2);
    assert_false(socks_upstream_next(up, &at));
    fds[2] = server_take();
    fds[3] = server_take();
    assert_int_equal(told_count, 0);
    static const uint32_t order[] = {1, 2, 3, 5};
    for (unsigned i = 0; i < 4; i++) {
        SAY(fds[i], ANSWER_SHORT);
        dispatch();
        assert_told(i, CONNECTED, order[i]);
    }
    for (unsigned i = 0; i < 4; i++)
        close(fds[i]);
}

static void a_newcomer_does_not_overtake_who_waits(void **state)
{
    (void)state;
    server_end();
    server_listen(0);
    rig_start();
    assert_int_equal(open_flow(1), 0);
    assert_int_equal(open_flow(2), 0); /* waits */
    int first = server_take();
    assert_int_equal(open_flow(3), 0); /* there would be room */
    assert_int_equal(accept(listener, NULL, NULL), -1);
    socks_upstream_poll(up, clock_now + 10000);
    int second = server_take();
    SAY(second, ANSWER_SHORT);
    dispatch();
    assert_told(0, CONNECTED, 2);
    close(first);
    close(second);
}

static void a_tor_that_takes_nobody_keeps_only_its_own_waiting(void **state)
{
    enum { FLOWS = 60 };
    struct sockaddr_un address;
    struct socks_tors others = {0};
    struct socks_stream_info info;
    char path[sizeof(socket_path) + 8];
    uint64_t at;
    (void)state;
    snprintf(path, sizeof(path), "%s2", socket_path);
    assert_int_equal(socks_path_address(path, &address), 0);
    int stalled = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(stalled, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(stalled, 0), 0);
    assert_int_equal(socks_tors_add(&others, path), 0);
    config.others = &others;
    rig_start();

    unsigned waiting = 0;
    for (uint32_t i = 1; i <= FLOWS; i++) {
        assert_int_equal(open_flow(i), 0);
        if (socks_upstream_next(up, &at))
            socks_upstream_poll(up, clock_now = at);
    }
    for (uint32_t i = 1; i <= FLOWS; i++) {
        assert_true(socks_upstream_look(up, flow(i), &info));
        waiting += strcmp(info.state, "queued") == 0;
    }
    assert_in_range(waiting, 10, FLOWS - 10);
    unsigned passed = 0;
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; passed++)
        close(fd);
    assert_int_equal(passed, FLOWS - 1 - waiting);

    /* In their order, when it takes them again. */
    unsigned taken = 0;
    for (int fd; (fd = accept(stalled, NULL, NULL)) >= 0; taken++) {
        close(fd);
        socks_upstream_poll(up, clock_now += 10000);
    }
    assert_int_equal(taken, waiting + 1);
    assert_int_equal(socks_upstream_waiting(up), 0);
    close(stalled);
    unlink(path);
}

static void no_more_flows_wait_than_there_is_room_for(void **state)
{
    (void)state;
    server_end();
    server_listen(0);
    rig_start();
    uint32_t n = 1;
    int err;
    while ((err = open_flow(n)) == 0)
        n++;
    assert_int_equal(err, -EAGAIN);
    assert_int_equal(n, 1 + SOCKS_BACKLOG_SHARE + 1);
    assert_int_equal(socks_upstream_counters(up)->opened, 1);
    assert_int_equal(socks_upstream_counters(up)->local, 1);
    /* All of them get through when the server wakes up. */
    for (uint32_t i = 1; i < n; i++) {
        int fd = server_take();
        SAY(fd, ANSWER_SHORT);
        clock_now += 10000;
        socks_upstream_poll(up, clock_now);
        dispatch();
        close(fd);
    }
    assert_int_equal(socks_upstream_counters(up)->connected, n - 1);
    uint64_t at;
    assert_false(socks_upstream_next(up, &at));
}

static void who_is_held_waits_until_it_may_go_on(void **state)
{
    uint64_t at;
    (void)state;
    rig_start();
    socks_upstream_hold(up, true);
    assert_int_equal(open_flow(1), 0);
    assert_int_equal(open_flow(2), 0);
    assert_false(socks_upstream_next(up, &at));
    socks_upstream_poll(up, clock_now + 1000000);
    assert_int_equal(accept(listener, NULL, NULL), -1);
    socks_upstream_hold(up, false);
    assert_true(socks_upstream_next(up, &at));
    assert_true(at <= clock_now);
    socks_upstream_poll(up, clock_now);
    int first = server_take(), second = server_take();
    SAY(first, ANSWER_SHORT);
    dispatch();
    assert_told(0, CONNECTED, 1);
    close(first);
    close(second);
}

static void who_is_held_and_goes_makes_room(void **state)
{
    uint32_t i = 1;
    (void)state;
    rig_start();
    socks_upstream_hold(up, true);
    for (; i <= SOCKS_BACKLOG_SHARE; i++)
        assert_int_equal(open_flow(i), 0);
    assert_int_equal(open_flow(i), -EAGAIN);
    socks_upstream_release(up, flow(7), TCP_RELEASE_ABORT);
    assert_int_equal(open_flow(i), 0);
    assert_int_equal(open_flow(i + 1), -EAGAIN);
    socks_upstream_hold(up, false);
    for (unsigned n = 0; n < SOCKS_BACKLOG_SHARE; n++) {
        socks_upstream_poll(up, clock_now + 10000u * n);
        close(server_take());
    }
    assert_int_equal(socks_upstream_counters(up)->opened, SOCKS_BACKLOG_SHARE);
}

static int open_from(uint32_t workstation, uint32_t index)
{
    struct tcp_tuple tuple = tuple_of((uint16_t)(40000 + index));
    return socks_upstream_open(up, flow(index), &tuple, workstation, clock_now);
}

/* Poll when it is due, until the clock has gone on by `us`. */
static void poll_for(uint64_t us)
{
    uint64_t at, end = clock_now + us;
    while (socks_upstream_next(up, &at) && at <= end) {
        clock_now = at > clock_now ? at : clock_now;
        socks_upstream_poll(up, clock_now);
    }
    clock_now = end;
}

static void new_identities_keep_the_pace_of_the_budget(void **state)
{
    (void)state;
    config.budget = (struct socks_budget_config){.rate = 10, .burst = 4, .stations = 8};
    rig_start();
    for (uint32_t i = 1; i <= 20; i++)
        assert_int_equal(open_flow(i), 0);
    assert_int_equal(socks_upstream_counters(up)->opened, 3); /* the fourth is left for others */
    assert_int_equal(socks_upstream_waiting(up), 17);
    poll_for(1000000);
    assert_in_range(socks_upstream_counters(up)->opened, 12, 14);
    poll_for(1000000);
    assert_int_equal(socks_upstream_counters(up)->opened, 20);
    assert_int_equal(socks_upstream_waiting(up), 0);
    assert_int_equal(told_count, 0);
}

static void who_comes_second_does_not_wait_behind_three_hundred(void **state)
{
    (void)state;
    server_end();
    server_listen(1024);
    config.budget = (struct socks_budget_config){.rate = 10, .burst = 40, .stations = 8};
    rig_start();
    for (uint32_t i = 1; i <= 300; i++)
        assert_int_equal(open_from(3, i), 0);
    uint64_t before = socks_upstream_counters(up)->opened;
    assert_int_equal(before, SOCKS_BUDGET_PENDING_SHARE);
    assert_int_equal(open_from(4, 301), 0);
    assert_int_equal(socks_upstream_counters(up)->opened, before + 1);
    assert_int_equal(socks_upstream_waiting(up), 300 - before);
    /* Afterwards the two have turns. */
    for (uint32_t i = 302; i <= 340; i++)
        assert_int_equal(open_from(4, i), 0);
    poll_for(100000000); /* none is answered: each is pending for three seconds */
    assert_int_equal(socks_upstream_waiting(up), 0);
    assert_int_equal(socks_upstream_counters(up)->opened, 340);
}

static void an_identity_that_has_a_circuit_does_not_wait(void **state)
{
    (void)state;
    config.budget = (struct socks_budget_config){.rate = 1, .burst = 1, .stations = 8};
    rig_start();
    assert_int_equal(open_flow(1), 0);
    int first = server_take();
    SAY(first, ANSWER_SHORT);
    dispatch();
    assert_int_equal(open_flow(2), 0); /* a new one waits */
    assert_int_equal(socks_upstream_waiting(up), 1);
    struct tcp_tuple same = tuple_of(40001);
    assert_int_equal(socks_upstream_open(up, flow(3), &same, 3, clock_now), 0);
    assert_int_equal(socks_upstream_waiting(up), 1);
    assert_int_equal(socks_upstream_counters(up)->opened, 2);
    int second = server_take();
    close(first);
    close(second);
}

static void two_that_wait_for_one_identity_cost_one(void **state)
{
    (void)state;
    config.budget = (struct socks_budget_config){.rate = 1, .burst = 1, .stations = 8};
    rig_start();
    assert_int_equal(open_flow(1), 0);
    struct tcp_tuple same = tuple_of(40002);
    for (uint32_t i = 2; i <= 5; i++)
        assert_int_equal(socks_upstream_open(up, flow(i), &same, 3, clock_now), 0);
    assert_int_equal(socks_upstream_waiting(up), 4);
    poll_for(1100000);
    assert_int_equal(socks_upstream_waiting(up), 0);
    struct socks_budget_state budget;
    socks_budget_look(socks_upstream_budget(up), clock_now, &budget);
    assert_int_equal(budget.granted, 2);
}

static void an_answer_lets_the_next_one_go(void **state)
{
    (void)state;
    config.budget = (struct socks_budget_config){.rate = 1000, .burst = 1000, .stations = 8};
    rig_start();
    for (uint32_t i = 1; i <= SOCKS_BUDGET_PENDING_SHARE + 1; i++)
        assert_int_equal(open_flow(i), 0);
    assert_int_equal(socks_upstream_waiting(up), 1);
    socks_upstream_poll(up, clock_now);
    assert_int_equal(socks_upstream_waiting(up), 1);
    int fd = server_take();
    SAY(fd, ANSWER_SHORT);
    dispatch();
    socks_upstream_poll(up, clock_now);
    assert_int_equal(socks_upstream_waiting(up), 0);
    close(fd);
}

static void who_waits_for_a_listener_that_goes_away_fails(void **state)
{
    (void)state;
    server_end();
    server_listen(0);
    rig_start();
    assert_int_equal(open_flow(1), 0);
    assert_int_equal(open_flow(2), 0);
    assert_int_equal(open_flow(3), 0);
    server_end();
    socks_upstream_poll(up, clock_now + 10000);
    assert_int_equal(told_count, 2);
    assert_told(0, FAILED, 2);
    assert_told(1, FAILED, 3);
    assert_int_equal(told[0].why, TCP_REFUSAL_NET);
    dispatch();
    assert_told(2, FAILED, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPSTREAM_TEST(a_full_backlog_makes_flows_wait_in_order),
        UPSTREAM_TEST(a_tor_that_takes_nobody_keeps_only_its_own_waiting),
        UPSTREAM_TEST(a_newcomer_does_not_overtake_who_waits),
        UPSTREAM_TEST(no_more_flows_wait_than_there_is_room_for),
        UPSTREAM_TEST(who_is_held_waits_until_it_may_go_on),
        UPSTREAM_TEST(who_is_held_and_goes_makes_room),
        UPSTREAM_TEST(new_identities_keep_the_pace_of_the_budget),
        UPSTREAM_TEST(who_comes_second_does_not_wait_behind_three_hundred),
        UPSTREAM_TEST(an_identity_that_has_a_circuit_does_not_wait),
        UPSTREAM_TEST(two_that_wait_for_one_identity_cost_one),
        UPSTREAM_TEST(an_answer_lets_the_next_one_go),
        UPSTREAM_TEST(who_waits_for_a_listener_that_goes_away_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
