/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages between the processes: what is right arrives, what is not is refused and leaves no descriptor behind. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/channel.h"

static int ends[2];
static struct channel_message message;

static unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    unsigned n = 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

/* Send bytes as they are, with `fds` copies of a descriptor. */
static void send_raw(const void *data, size_t n, unsigned fds)
{
    char control[CMSG_SPACE(16 * sizeof(int))] __attribute__((aligned(8))) = {0};
    struct iovec iov = {(void *)(uintptr_t)data, n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fds > 0) {
        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE(fds * sizeof(int));
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(fds * sizeof(int));
        for (unsigned i = 0; i < fds; i++) {
            int fd = STDIN_FILENO;
            memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &fd, sizeof(fd));
        }
    }
    assert_int_equal(sendmsg(ends[0], &msg, 0), n);
}

/* What channel_send() writes for a type, to be spoilt. */
static size_t record(enum channel_type type, const void *body, int fd, uint8_t *out, size_t size)
{
    assert_int_equal(channel_send(ends[0], type, body, fd), 0);
    ssize_t n = recv(ends[1], out, size, 0);
    assert_true(n > 0);
    return (size_t)n;
}

static void expect_refused(const void *data, size_t n, unsigned fds)
{
    unsigned before = open_descriptors();
    send_raw(data, n, fds);
    assert_int_equal(channel_receive(ends[1], &message), -EPROTO);
    assert_int_equal(message.fd, -1);
    assert_int_equal(open_descriptors(), before);
}

static void a_configuration_arrives_whole_with_its_descriptor(void **state)
{
    struct channel_gateway_config config = {.mtu = 1400, .flows = 7, .socket_name = "socks"};
    int pair[2];
    char c = 'x';
    (void)state;
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(channel_send(ends[0], CHANNEL_GATEWAY_CONFIG, &config, pair[1]), 0);
    assert_int_equal(channel_receive(ends[1], &message), 1);
    assert_int_equal(message.type, CHANNEL_GATEWAY_CONFIG);
    assert_int_equal(message.length, sizeof(config));
    assert_memory_equal(&message.gateway_config, &config, sizeof(config));
    assert_int_equal(fcntl(message.fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(message.fd, &c, 1), 1);
    c = 0;
    assert_int_equal(read(pair[0], &c, 1), 1);
    assert_int_equal(c, 'x');
    close(message.fd);
    close(pair[0]);
    close(pair[1]);
}

static void messages_arrive_in_order_one_by_one(void **state)
{
    struct channel_tor_state up = {.bootstrapped = true};
    (void)state;
    assert_int_equal(channel_send(ends[0], CHANNEL_LINK_UP, NULL, -1), 0);
    assert_int_equal(channel_send(ends[0], CHANNEL_TOR_STATE, &up, -1), 0);
    assert_int_equal(channel_send(ends[0], CHANNEL_STOP, NULL, -1), 0);
    assert_int_equal(channel_receive(ends[1], &message), 1);
    assert_int_equal(message.type, CHANNEL_LINK_UP);
    assert_int_equal(message.fd, -1);
    assert_int_equal(channel_receive(ends[1], &message), 1);
    assert_int_equal(message.type, CHANNEL_TOR_STATE);
    assert_true(message.tor_state.bootstrapped);
    assert_int_equal(channel_receive(ends[1], &message), 1);
    assert_int_equal(message.type, CHANNEL_STOP);
    assert_int_equal(message.length, 0);
}

static void the_sender_cannot_send_what_does_not_fit_the_type(void **state)
{
    struct counters counters = {0};
    struct channel_gateway_config config = {0};
    (void)state;
    assert_int_equal(channel_send(ends[0], CHANNEL_COUNTERS, NULL, -1), -EINVAL);
    assert_int_equal(channel_send(ends[0], CHANNEL_COUNTERS, &counters, 0), -EINVAL);
    assert_int_equal(channel_send(ends[0], CHANNEL_STOP, &counters, -1), -EINVAL);
    assert_int_equal(channel_send(ends[0], CHANNEL_GATEWAY_CONFIG, &config, -1), -EINVAL);
    assert_int_equal(channel_send(ends[0], CHANNEL_TYPE_END, NULL, -1), -EINVAL);
    assert_int_equal(channel_send(ends[0], (enum channel_type)0, NULL, -1), -EINVAL);
    assert_int_equal(recv(ends[1], &config, 1, MSG_DONTWAIT), -1);
}

static void a_message_of_any_other_length_is_refused(void **state)
{
    uint8_t raw[2048] = {0};
    struct counters counters = {0};
    (void)state;
    size_t n = record(CHANNEL_COUNTERS, &counters, -1, raw, sizeof(raw));
    for (size_t len = 1; len < n; len++)
        expect_refused(raw, len, 0);
    for (size_t len = n + 1; len < sizeof(raw); len += 37)
        expect_refused(raw, len, 0);
    send_raw(raw, n, 0);
    assert_int_equal(channel_receive(ends[1], &message), 1);
}

static void a_message_far_too_long_is_refused(void **state)
{
    static uint8_t raw[60000];
    struct counters counters = {0};
    (void)state;
    record(CHANNEL_COUNTERS, &counters, -1, raw, sizeof(raw));
    expect_refused(raw, sizeof(raw), 0);
}

static void another_type_or_another_magic_is_refused(void **state)
{
    uint8_t raw[64];
    uint32_t type;
    (void)state;
    size_t n = record(CHANNEL_READY, NULL, -1, raw, sizeof(raw));
    assert_int_equal(n, 8);
    memcpy(&type, raw + 4, 4);
    assert_int_equal(type, CHANNEL_READY);
    static const uint32_t wrong[] = {0, CHANNEL_TYPE_END, CHANNEL_TYPE_END + 1, 0x80000003u, UINT32_MAX};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        memcpy(raw + 4, &wrong[i], 4);
        expect_refused(raw, n, 0);
    }
    memcpy(raw + 4, &type, 4);
    raw[0] ^= 1;
    expect_refused(raw, n, 0);
}

static void descriptors_too_many_or_missing_are_refused_and_closed(void **state)
{
    uint8_t raw[2048];
    struct channel_gateway_config config = {0};
    (void)state;
    size_t n = record(CHANNEL_STOP, NULL, -1, raw, sizeof(raw));
    for (unsigned fds = 1; fds <= 16; fds++)
        expect_refused(raw, n, fds);
    n = record(CHANNEL_GATEWAY_CONFIG, &config, STDIN_FILENO, raw, sizeof(raw));
    expect_refused(raw, n, 0);
    for (unsigned fds = 2; fds <= 16; fds++)
        expect_refused(raw, n, fds);
}

static void a_string_without_an_end_is_refused(void **state)
{
    struct channel_gateway_config gateway = {0};
    struct channel_tor_config tor = {0};
    (void)state;
    memset(gateway.socket_directory, 'a', sizeof(gateway.socket_directory));
    assert_int_equal(channel_send(ends[0], CHANNEL_GATEWAY_CONFIG, &gateway, STDIN_FILENO), 0);
    assert_int_equal(channel_receive(ends[1], &message), -EPROTO);
    memset(tor.torrc, 'a', sizeof(tor.torrc));
    assert_int_equal(channel_send(ends[0], CHANNEL_TOR_CONFIG, &tor, STDIN_FILENO), 0);
    assert_int_equal(channel_receive(ends[1], &message), -EPROTO);
}

static void more_groups_than_there_is_room_for_are_refused(void **state)
{
    struct channel_gateway_config gateway = {.identity = {.group_count = CHANNEL_GROUPS_MAX + 1}};
    (void)state;
    assert_int_equal(channel_send(ends[0], CHANNEL_GATEWAY_CONFIG, &gateway, STDIN_FILENO), 0);
    assert_int_equal(channel_receive(ends[1], &message), -EPROTO);
}

static void more_ended_streams_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    for (uint32_t count = 0; count <= CHANNEL_ENDED_MAX + 1; count++) {
        struct channel_streams_ended ended = {.count = count};
        uint8_t raw[2048];
        size_t n = record(CHANNEL_STREAMS_ENDED, &ended, -1, raw, sizeof(raw));
        if (count == 0 || count > CHANNEL_ENDED_MAX) {
            expect_refused(raw, n, 0);
            continue;
        }
        send_raw(raw, n, 0);
        assert_int_equal(channel_receive(ends[1], &message), 1);
        assert_int_equal(message.streams_ended.count, count);
    }
}

static void the_end_of_the_peer_is_told_after_its_last_message(void **state)
{
    (void)state;
    assert_int_equal(channel_send(ends[0], CHANNEL_STOP, NULL, -1), 0);
    close(ends[0]);
    assert_int_equal(channel_receive(ends[1], &message), 1);
    assert_int_equal(channel_receive(ends[1], &message), 0);
    assert_int_equal(channel_receive(ends[1], &message), 0);
    assert_int_equal(channel_send(ends[1], CHANNEL_STOP, NULL, -1), -EPIPE);
    ends[0] = -1;
}

static void a_peer_that_does_not_read_is_noticed(void **state)
{
    struct counters counters = {0};
    int status = 0;
    (void)state;
    for (int i = 0; i < 100000 && status == 0; i++)
        status = channel_send(ends[0], CHANNEL_COUNTERS, &counters, -1);
    assert_int_equal(status, -EAGAIN);
}

static void nothing_to_read_is_no_error(void **state)
{
    (void)state;
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(channel_receive(ends[1], &message), -EAGAIN);
}

static int make_ends(void **state)
{
    (void)state;
    return channel_pair(ends);
}

static int close_ends(void **state)
{
    (void)state;
    if (ends[0] >= 0)
        close(ends[0]);
    return close(ends[1]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_ends, close_ends)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_configuration_arrives_whole_with_its_descriptor),
        TEST(messages_arrive_in_order_one_by_one),
        TEST(the_sender_cannot_send_what_does_not_fit_the_type),
        TEST(a_message_of_any_other_length_is_refused),
        TEST(a_message_far_too_long_is_refused),
        TEST(another_type_or_another_magic_is_refused),
        TEST(descriptors_too_many_or_missing_are_refused_and_closed),
        TEST(a_string_without_an_end_is_refused),
        TEST(more_groups_than_there_is_room_for_are_refused),
        TEST(more_ended_streams_than_there_is_room_for_are_refused),
        TEST(the_end_of_the_peer_is_told_after_its_last_message),
        TEST(a_peer_that_does_not_read_is_noticed),
        TEST(nothing_to_read_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
