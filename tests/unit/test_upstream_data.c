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

#include "random.h"
#include "upstream_rig.h"

static void the_end_of_the_stream_comes_after_its_data(void **state)
{
    (void)state;
    rig_start();
    int fd = open_answered(1);
    char data[64];
    SAY(fd, "last words");
    close(fd);
    dispatch();
    assert_told(0, READABLE, 1);
    assert_int_equal(read_flow(1, data, sizeof(data)), 10);
    assert_int_equal(read_flow(1, data, sizeof(data)), 0);
}

static void an_end_that_comes_after_the_data_was_read_is_told(void **state)
{
    (void)state;
    rig_start();
    int fd = open_answered(1);
    char data[64];
    SAY(fd, "last words");
    dispatch();
    assert_int_equal(read_flow(1, data, sizeof(data)), 10);
    assert_int_equal(read_flow(1, data, sizeof(data)), -EAGAIN);
    close(fd);
    assert_int_equal(told_count, 1);
    dispatch();
    assert_int_equal(told_count, 2);
    assert_told(1, READABLE, 1);
    assert_int_equal(read_flow(1, data, sizeof(data)), 0);
}

static void the_end_after_the_data_is_found_when_the_far_end_only_stops_sending(void **state)
{
    (void)state;
    rig_start();
    int fd = open_answered(1);
    char data[64];
    SAY(fd, "last words");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    dispatch();
    assert_told(0, READABLE, 1);
    assert_int_equal(read_flow(1, data, sizeof(data)), 10);
    assert_int_equal(read_flow(1, data, sizeof(data)), 0);
    size_t room;
    assert_int_equal(write_flow(1, "still", 5, &room), 5);
    close(fd);
}

/* Between the event and the read: the read takes all, comes back short, and the socket counts as dry. */
static void what_comes_between_two_reads_is_not_lost(void **state)
{
    (void)state;
    rig_start();
    int fd = open_answered(1);
    char data[64];
    SAY(fd, "one");
    dispatch();
    assert_int_equal(read_flow(1, data, sizeof(data)), 3);
    SAY(fd, "two");
    ssize_t n = read_flow(1, data, sizeof(data));
    assert_true(n == -EAGAIN || n == 3);
    if (n == -EAGAIN) {
        told_count = 0;
        dispatch();
        assert_told(0, READABLE, 1);
        assert_int_equal(read_flow(1, data, sizeof(data)), 3);
    }
    assert_memory_equal(data, "two", 3);
    assert_int_equal(read_flow(1, data, sizeof(data)), -EAGAIN);
    close(fd);
}

static void a_read_of_less_than_there_is_leaves_the_rest(void **state)
{
    (void)state;
    rig_start();
    int fd = open_answered(1);
    char a[4], b[64];
    struct iovec iov[2] = {{a, 4}, {b, 2}};
    SAY(fd, "abcdefghij");
    dispatch();
    assert_int_equal(socks_upstream_read(up, flow(1), iov, 2), 6);
    assert_memory_equal(a, "abcd", 4);
    assert_memory_equal(b, "ef", 2);
    assert_int_equal(read_flow(1, b, sizeof(b)), 4);
    close(fd);
}

static void a_reset_comes_after_the_data(void **state)
{
    (void)state;
    rig_start();
    int fd = open_answered(1);
    char data[64];
    size_t room;
    assert_int_equal(write_flow(1, "never read", 10, &room), 10);
    SAY(fd, "some");
    close(fd);
    dispatch();
    assert_told(0, READABLE, 1);
    assert_int_equal(read_flow(1, data, sizeof(data)), 4);
    assert_int_equal(read_flow(1, data, sizeof(data)), -ECONNRESET);
}

/* Without the flag this would end the test by SIGPIPE. */
static void writing_to_a_stream_that_ended_is_an_error(void **state)
{
    (void)state;
    rig_start();
    size_t room = 1;
    close(open_answered(1));
    assert_int_equal(write_flow(1, "x", 1, &room), -EPIPE);
    assert_int_equal(room, 0);
}

static void a_full_stream_says_so_and_tells_when_it_has_room_again(void **state)
{
    (void)state;
    rig_start();
    int fd = open_answered(1);
    static const uint8_t data[40000];
    size_t total = 0, room = 0;
    ssize_t n;
    while ((n = write_flow(1, data, sizeof(data), &room)) == (ssize_t)sizeof(data))
        total += (size_t)n;
    assert_true(n >= 0 && n < (ssize_t)sizeof(data));
    assert_int_equal(room, 0);
    total += (size_t)n;
    dispatch();
    assert_int_equal(told_count, 0);
    assert_int_equal(server_drain(fd), total);
    dispatch();
    assert_int_equal(told_count, 1);
    assert_told(0, WRITABLE, 1);
    assert_true(told[0].room > 10000);
    dispatch();
    assert_int_equal(told_count, 1);
    close(fd);
}

/* Each read of Tor's would wake us for nothing. */
static void only_a_stream_that_much_is_written_to_hears_of_room(void **state)
{
    (void)state;
    static const uint8_t data[40000];
    size_t room;
    rig_start();
    assert_int_equal(open_flow(1), 0);
    assert_int_equal(dispatch(), 0);
    int fd = server_take();
    assert_int_equal(dispatch(), 0);
    SAY(fd, ANSWER_SHORT);
    assert_int_equal(dispatch(), 1);
    told_count = 0;
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(write_flow(1, "x", 1, &room), 1);
        assert_int_equal(server_drain(fd), 1);
        assert_int_equal(dispatch(), 0);
    }
    while (write_flow(1, data, sizeof(data), &room) == (ssize_t)sizeof(data))
        ;
    for (unsigned i = 0; i < 2; i++) {
        dispatch();
        server_drain(fd);
        assert_int_equal(dispatch(), 1);
        assert_int_equal(write_flow(1, "x", 1, &room), 1);
    }
    close(fd);
}

/* The engine's window follows the promise. If all of it is used without a short write, the window is shut, and
 * nothing but an event opens it again. */
static void a_promise_used_up_is_renewed_by_an_event(void **state)
{
    (void)state;
    rig_start();
    int fd = open_answered(1);
    static const uint8_t data[1 << 20];
    size_t room;
    size_t total = 3000;
    assert_int_equal(write_flow(1, data, 3000, &room), 3000);
    for (unsigned i = 0; i < 64 && room > 0; i++) {
        size_t n = room;
        assert_int_equal(write_flow(1, data, n, &room), n);
        total += n;
    }
    assert_true(room < 2000);
    dispatch();
    assert_int_equal(told_count, 0);
    assert_int_equal(server_drain(fd), total);
    dispatch();
    assert_int_equal(told_count, 1);
    assert_told(0, WRITABLE, 1);
    assert_true(told[0].room > 10000);
    close(fd);
}

static void what_is_promised_is_taken(void **state)
{
    (void)state;
    static const size_t sizes[] = {536, 1448, 4096, 65160, 262144};
    static const uint8_t data[262144];
    struct random random = random_start();
    rig_start();
    for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
        int fd = open_answered(1);
        size_t room = 4096, written = 0, taken = 0;
        for (unsigned i = 0; i < 2000; i++) {
            size_t n = sizes[k] < room ? sizes[k] : room;
            if (n > 0) {
                assert_int_equal(write_flow(1, data, n, &room), n);
                written += n;
            }
            if (n == 0 || random_below(&random, 3) == 0) {
                static uint8_t sink[1 << 16];
                ssize_t got = recv(fd, sink, 1 + random_below(&random, sizeof(sink)), 0);
                taken += got > 0 ? (size_t)got : 0;
            }
            told_count = 0;
            dispatch();
            if (told_count > 0) {
                assert_told(0, WRITABLE, 1);
                room = told[0].room;
            }
        }
        assert_int_equal(written, taken + server_drain(fd));
        assert_true(written > 200000);
        socks_upstream_release(up, flow(1), TCP_RELEASE_CLOSE);
        told_count = 0;
        close(fd);
    }
}

/* A megabyte of window would be worth nothing if a workstation could break the promise by small segments. */
static void the_promise_holds_to_the_last_byte_for_writes_of_any_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 536, 1448, 3071, 3072, 4096, 32768, 65160};
    static const uint8_t data[65536];
    rig_start();
    for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
        int fd = open_answered(1);
        size_t room = 1, total = 0;
        while (room > 0) {
            size_t n = sizes[k] < room ? sizes[k] : room;
            assert_int_equal(write_flow(1, data, n, &room), n);
            total += n;
        }
        assert_int_equal(server_drain(fd), total);
        dispatch();
        assert_int_equal(told_count, 1);
        assert_told(0, WRITABLE, 1);
        socks_upstream_release(up, flow(1), TCP_RELEASE_CLOSE);
        told_count = 0;
        close(fd);
    }
}

static void the_send_buffer_can_be_chosen(void **state)
{
    (void)state;
    config.send_buffer = 16384;
    rig_start();
    int small = open_answered(1);
    size_t small_room, room;
    write_flow(1, "x", 1, &small_room);
    socks_upstream_free(up);
    config.send_buffer = 100000;
    rig_start();
    int large = open_answered(2);
    write_flow(2, "x", 1, &room);
    assert_in_range(small_room, 8000, 16384);
    assert_in_range(room, 80000, 110000); /* the system's default may be a bit more */
    close(small);
    close(large);
}

static int send_buffer_of(int fd)
{
    int size = 0;
    socklen_t n = sizeof(size);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &n), 0);
    return size;
}

/* The descriptors that are open come in order, so our end of a stream is the next one to be free before it opens. */
static int open_and_find(uint32_t index, int *server)
{
    int next = dup(STDERR_FILENO);
    close(next);
    *server = open_answered(index);
    return next;
}

static void only_a_stream_that_much_is_written_to_gets_more_than_the_default(void **state)
{
    (void)state;
    static const uint8_t data[4096];
    int plain = socket(AF_UNIX, SOCK_STREAM, 0);
    const int usual = send_buffer_of(plain);
    close(plain);
    config.send_buffer = (uint32_t)usual;
    rig_start();
    int server;
    int ours = open_and_find(1, &server);
    assert_int_equal(send_buffer_of(ours), usual);
    size_t room, before, sent = 0;
    assert_int_equal(write_flow(1, data, 1000, &before), 1000);
    assert_int_equal(send_buffer_of(ours), usual);
    while (sent < (size_t)usual / 4) {
        assert_int_equal(write_flow(1, data, sizeof(data), &room), sizeof(data));
        sent += sizeof(data);
    }
    assert_int_equal(send_buffer_of(ours), 2 * usual); /* the kernel's way to count */
    assert_in_range(room, before + 1, (size_t)usual);
    close(server);
}

static void a_half_that_is_closed_is_shut_behind_the_data_and_the_other_stays(void **state)
{
    (void)state;
    rig_start();
    int fd = open_answered(1);
    char data[64];
    size_t room;
    assert_int_equal(write_flow(1, "question", 8, &room), 8);
    assert_int_equal(recv(fd, data, sizeof(data), MSG_DONTWAIT), 8);
    assert_int_equal(recv(fd, data, sizeof(data), MSG_DONTWAIT), -1);
    socks_upstream_closed(up, flow(1));
    assert_int_equal(recv(fd, data, sizeof(data), MSG_DONTWAIT), 0);
    SAY(fd, "answer");
    dispatch();
    assert_int_equal(read_flow(1, data, sizeof(data)), 6);
    assert_int_equal(read_flow(1, data, sizeof(data)), -EAGAIN);
    close(fd);
    dispatch();
    assert_int_equal(read_flow(1, data, sizeof(data)), 0);
}

static void a_half_that_is_closed_too_early_is_shut_when_the_stream_is_open(void **state)
{
    (void)state;
    config.optimistic = true;
    rig_start();
    assert_int_equal(open_flow(1), 0);
    int fd = server_take();
    char data[64];
    socks_upstream_closed(up, flow(1));
    assert_int_equal(recv(fd, data, sizeof(data), MSG_DONTWAIT), -1); /* not in the middle of the handshake */
    SAY(fd, ANSWER_SHORT);
    dispatch();
    assert_int_equal(told[0].kind, CONNECTED);
    assert_int_equal(recv(fd, data, sizeof(data), MSG_DONTWAIT), 0);
    /* The next one in this place is another stream. */
    socks_upstream_release(up, flow(1), TCP_RELEASE_CLOSE);
    close(fd);
    told_count = 0;
    fd = open_answered(1);
    assert_int_equal(recv(fd, data, sizeof(data), MSG_DONTWAIT), -1);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPSTREAM_TEST(a_half_that_is_closed_is_shut_behind_the_data_and_the_other_stays),
        UPSTREAM_TEST(a_half_that_is_closed_too_early_is_shut_when_the_stream_is_open),
        UPSTREAM_TEST(the_end_of_the_stream_comes_after_its_data),
        UPSTREAM_TEST(an_end_that_comes_after_the_data_was_read_is_told),
        UPSTREAM_TEST(the_end_after_the_data_is_found_when_the_far_end_only_stops_sending),
        UPSTREAM_TEST(what_comes_between_two_reads_is_not_lost),
        UPSTREAM_TEST(a_read_of_less_than_there_is_leaves_the_rest),
        UPSTREAM_TEST(a_reset_comes_after_the_data),
        UPSTREAM_TEST(writing_to_a_stream_that_ended_is_an_error),
        UPSTREAM_TEST(a_full_stream_says_so_and_tells_when_it_has_room_again),
        UPSTREAM_TEST(only_a_stream_that_much_is_written_to_hears_of_room),
        UPSTREAM_TEST(a_promise_used_up_is_renewed_by_an_event),
        UPSTREAM_TEST(what_is_promised_is_taken),
        UPSTREAM_TEST(the_promise_holds_to_the_last_byte_for_writes_of_any_size),
        UPSTREAM_TEST(the_send_buffer_can_be_chosen),
        UPSTREAM_TEST(only_a_stream_that_much_is_written_to_gets_more_than_the_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
