/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams that Tor opened: peers of those that we open. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "upstream_rig.h"

/* Take over one end of a stream for a flow. Returns the other end. */
static int adopt(uint32_t index)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(socks_upstream_adopt(up, flow(index), ends[0], index), 0);
    return ends[1];
}

static void it_is_open_and_read_and_written_as_the_others(void **state)
{
    (void)state;
    rig_start();
    int fd = adopt(1);
    char data[64];
    size_t room;
    dispatch();
    told_count = 0;
    SAY(fd, "hello");
    dispatch();
    assert_told(0, READABLE, 1);
    assert_int_equal(read_flow(1, data, sizeof(data)), 5);
    assert_int_equal(read_flow(1, data, sizeof(data)), -EAGAIN);
    assert_int_equal(write_flow(1, "answer", 6, &room), 6);
    assert_true(room > 0);
    assert_int_equal(server_drain(fd), 6);
    socks_upstream_release(up, flow(1), TCP_RELEASE_CLOSE);
    assert_int_equal(done_count, 1);
    assert_int_equal(done_tags[0], 1);
    assert_int_equal(recv(fd, data, 1, 0), 0);
    close(fd);
}

static void what_came_before_is_told_too(void **state)
{
    (void)state;
    rig_start();
    int ends[2];
    char data[64];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    SAY(ends[1], "early");
    close(ends[1]);
    assert_int_equal(socks_upstream_adopt(up, flow(2), ends[0], 2), 0);
    dispatch();
    assert_told(0, READABLE, 2);
    assert_int_equal(read_flow(2, data, sizeof(data)), 5);
    assert_int_equal(read_flow(2, data, sizeof(data)), 0);
}

/* Nobody tells how it ended, also where somebody does for the others. */
static void its_end_waits_for_no_judgement(void **state)
{
    (void)state;
    config.end_wait = 500000;
    rig_start();
    int fd = adopt(1);
    char data[8];
    uint64_t at;
    close(fd);
    dispatch();
    assert_int_equal(read_flow(1, data, sizeof(data)), 0);
    assert_false(socks_upstream_next(up, &at));
}

static void to_shut_it_leaves_what_was_written_and_goes_on_reading(void **state)
{
    (void)state;
    rig_start();
    int fd = adopt(1);
    char data[8];
    size_t room;
    assert_int_equal(write_flow(1, "bye", 3, &room), 3);
    socks_upstream_closed(up, flow(1));
    assert_int_equal(recv(fd, data, sizeof(data), 0), 3);
    assert_int_equal(recv(fd, data, sizeof(data), 0), 0);
    SAY(fd, "more");
    dispatch();
    assert_int_equal(read_flow(1, data, sizeof(data)), 4);
    close(fd);
}

static void its_room_comes_back_when_the_other_end_reads(void **state)
{
    (void)state;
    rig_start();
    int fd = adopt(1);
    static char data[65536];
    size_t room = socks_upstream_room(up);
    assert_true(room >= sizeof(data));
    dispatch();
    while (room > 0)
        assert_true(write_flow(1, data, sizeof(data), &room) >= 0);
    told_count = 0;
    dispatch();
    assert_int_equal(told_count, 0);
    server_drain(fd);
    dispatch();
    assert_told(0, WRITABLE, 1);
    assert_true(told[0].room > 0);
    close(fd);
}

static void one_that_cannot_be_watched_stays_the_callers(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(socks_upstream_adopt(up, flow(1), 9999, 1), -ENOBUFS);
    assert_int_equal(done_count, 0);
    socks_upstream_release(up, flow(1), TCP_RELEASE_ABORT); /* of nothing */
    assert_int_equal(done_count, 0);
    close(adopt(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPSTREAM_TEST(it_is_open_and_read_and_written_as_the_others),
        UPSTREAM_TEST(what_came_before_is_told_too),
        UPSTREAM_TEST(its_end_waits_for_no_judgement),
        UPSTREAM_TEST(to_shut_it_leaves_what_was_written_and_goes_on_reading),
        UPSTREAM_TEST(its_room_comes_back_when_the_other_end_reads),
        UPSTREAM_TEST(one_that_cannot_be_watched_stays_the_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
