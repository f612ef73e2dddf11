/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "upstream_rig.h"

static void a_thousand_flows_are_kept_apart(void **state)
{
    (void)state;
    enum { FLOWS = 1000 };
    static int fds[FLOWS + 1];
    allow_descriptors(2 * FLOWS + 64);
    rig_start();
    for (uint32_t i = 1; i <= FLOWS; i++) {
        assert_int_equal(open_flow(i), 0);
        fds[i] = server_take();
    }
    for (uint32_t i = 1; i <= FLOWS; i++)
        SAY(fds[i], ANSWER_SHORT);
    assert_int_equal(dispatch(), FLOWS);
    assert_int_equal(told_count, FLOWS);
    assert_int_equal(socks_upstream_counters(up)->connected, FLOWS);
    for (uint32_t i = 1; i <= FLOWS; i++) {
        char text[16];
        size_t room;
        int n = snprintf(text, sizeof(text), "down %u", i);
        server_say(fds[i], text, (size_t)n);
        n = snprintf(text, sizeof(text), "up %u", i);
        assert_int_equal(write_flow(i, text, (size_t)n, &room), n);
    }
    told_count = 0;
    dispatch();
    assert_int_equal(told_count, FLOWS);
    for (uint32_t i = 1; i <= FLOWS; i++) {
        char want[16], got[16] = "";
        snprintf(want, sizeof(want), "down %u", i);
        assert_int_equal(read_flow(i, got, sizeof(got)), strlen(want));
        assert_string_equal(got, want);
        memset(got, 0, sizeof(got));
        snprintf(want, sizeof(want), "up %u", i);
        assert_int_equal(recv(fds[i], got, sizeof(got), 0), strlen(want));
        assert_string_equal(got, want);
        socks_upstream_release(up, flow(i), TCP_RELEASE_CLOSE);
        assert_int_equal(recv(fds[i], got, 1, 0), 0);
        close(fds[i]);
    }
}

static void a_dispatch_keeps_to_its_budget(void **state)
{
    (void)state;
    int fds[10];
    rig_start();
    for (uint32_t i = 0; i < 10; i++)
        fds[i] = open_answered(i + 1);
    dispatch();
    for (uint32_t i = 0; i < 10; i++)
        SAY(fds[i], "x");
    assert_int_equal(socks_upstream_dispatch(up, 4, clock_now), 4);
    assert_int_equal(told_count, 4);
    assert_int_equal(socks_upstream_dispatch(up, 4, clock_now), 4);
    assert_int_equal(socks_upstream_dispatch(up, 4, clock_now), 2);
    assert_int_equal(told_count, 10);
    for (unsigned i = 0; i < 10; i++)
        close(fds[i]);
}

static struct tcp_flow_id reborn;

/* On the first event, both flows end, and their slots are taken by new ones. */
static void replace_both(struct tcp_flow_id id)
{
    (void)id;
    on_readable = NULL;
    for (uint32_t i = 1; i <= 2; i++) {
        struct tcp_tuple tuple = tuple_of(7000);
        socks_upstream_release(up, flow(i), TCP_RELEASE_ABORT);
        reborn = (struct tcp_flow_id){i, 9000 + i};
        assert_int_equal(socks_upstream_open(up, reborn, &tuple, 3, clock_now), 0);
    }
}

static void an_event_of_a_flow_that_is_gone_does_not_reach_the_next_in_its_slot(void **state)
{
    (void)state;
    rig_start();
    int fds[2] = {open_answered(1), open_answered(2)};
    dispatch();
    SAY(fds[0], "x");
    SAY(fds[1], "x");
    on_readable = replace_both;
    dispatch();
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0].kind, READABLE);

    /* The old id means nothing any more, the new one everything. */
    char byte;
    size_t room;
    struct iovec iov = {&byte, 1};
    assert_int_equal(read_flow(2, &byte, 1), -EBADF);
    assert_int_equal(write_flow(2, "x", 1, &room), -EBADF);
    socks_upstream_release(up, flow(2), TCP_RELEASE_ABORT);
    assert_int_equal(socks_upstream_read(up, reborn, &iov, 1), -EAGAIN);
    close(fds[0]);
    close(fds[1]);
}

static void after_release_nothing_is_told(void **state)
{
    (void)state;
    rig_start();
    int fd = open_answered(1);
    SAY(fd, "x");
    socks_upstream_release(up, flow(1), TCP_RELEASE_CLOSE);
    assert_int_equal(dispatch(), 0);
    assert_int_equal(told_count, 0);
    char data[8];
    assert_true(recv(fd, data, sizeof(data), 0) <= 0);
    close(fd);
}

static void an_id_that_names_nothing_is_harmless(void **state)
{
    (void)state;
    rig_start();
    size_t room;
    struct iovec iov = {&room, 1};
    static const struct tcp_flow_id odd[] = {{0, 0}, {1, 1}, {FLOWS_MAX + 1, 1}, {UINT32_MAX, 1}};
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        assert_int_equal(socks_upstream_read(up, odd[i], &iov, 1), -EBADF);
        assert_int_equal(socks_upstream_write(up, odd[i], &iov, 1, &room), -EBADF);
        socks_upstream_release(up, odd[i], TCP_RELEASE_CLOSE);
    }
    struct tcp_tuple tuple = tuple_of(1);
    assert_int_equal(socks_upstream_open(up, (struct tcp_flow_id){0, 0}, &tuple, 0, clock_now), -EINVAL);
    assert_int_equal(done_count, 0);
}

static void the_state_of_a_stream_can_be_looked_at(void **state)
{
    (void)state;
    rig_start();
    struct socks_stream_info info;
    assert_false(socks_upstream_look(up, flow(1), &info));
    assert_int_equal(open_flow(1), 0);
    assert_true(socks_upstream_look(up, flow(1), &info));
    assert_string_equal(info.state, "waiting");
    int fd = server_take();
    SAY(fd, ANSWER_SHORT);
    dispatch();
    assert_true(socks_upstream_look(up, flow(1), &info));
    assert_string_equal(info.state, "open");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPSTREAM_TEST(a_thousand_flows_are_kept_apart),
        UPSTREAM_TEST(a_dispatch_keeps_to_its_budget),
        UPSTREAM_TEST(an_event_of_a_flow_that_is_gone_does_not_reach_the_next_in_its_slot),
        UPSTREAM_TEST(after_release_nothing_is_told),
        UPSTREAM_TEST(an_id_that_names_nothing_is_harmless),
        UPSTREAM_TEST(the_state_of_a_stream_can_be_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
