/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "upstream_rig.h"

static void the_whole_request_arrives_in_one_piece(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(open_flow(1), 0);
    uint8_t request[SOCKS_REQUEST_MAX];
    ssize_t len;
    int fd = server_accept(request, &len);
    assert_int_equal(len, 3 + 1 + 1 + 9 + 1 + 32 + 10);
    assert_memory_equal(request, "\x05\x01\x02\x01\x09<torS0X>0\x20", 15);
    assert_memory_equal(request + 47, "\x05\x01\x00\x01\xcb\x00\x71\x05\x01\xbb", 10);
    assert_int_equal(recv(fd, request, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(socks_upstream_counters(up)->opened, 1);
    close(fd);
}

static void opening_tells_the_engine_nothing_by_itself(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(open_flow(1), 0);
    dispatch();
    assert_int_equal(told_count, 0);
    char byte;
    assert_int_equal(read_flow(1, &byte, 1), -EAGAIN);
}

static int take_virtual(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host,
                        struct socks_target *target)
{
    (void)ctx;
    assert_int_equal(host, 3);
    assert_int_equal(target->port, 443);
    assert_int_equal(target->workstation, 3);
    assert_int_equal(target->isolation, config.isolation);
    assert_true(ipaddr_equal(&target->addr, &tuple->dst));
    if (id.index == 9) {
        target->why = DROP_DESTINATION_UNKNOWN;
        return -ENETUNREACH;
    }
    strcpy(target->name, "example.onion");
    target->port = 80;
    target->tag = 500 + id.index;
    return 0;
}

static void the_target_may_be_a_name(void **state)
{
    (void)state;
    config.target = take_virtual;
    rig_start();
    assert_int_equal(open_flow(1), 0);
    uint8_t request[SOCKS_REQUEST_MAX];
    ssize_t len;
    int fd = server_accept(request, &len);
    assert_int_equal(len, 47 + 4 + 1 + 13 + 2);
    assert_memory_equal(request + 47,
                        "\x05\x01\x00\x03\x0d"
                        "example.onion\x00\x50",
                        20);
    close(fd);
}

static void a_target_that_is_refused_is_counted_and_not_opened(void **state)
{
    (void)state;
    config.target = take_virtual;
    rig_start();
    assert_int_equal(open_flow(9), -EACCES); /* for the engine: counted already */
    assert_int_equal(drops.by[DROP_DESTINATION_UNKNOWN], 1);
    assert_int_equal(accept(listener, NULL, NULL), -1);
    assert_int_equal(done_count, 0);
    assert_int_equal(open_flow(9), -EACCES); /* the slot is free */
}

static void the_owner_of_a_target_learns_when_it_is_over(void **state)
{
    (void)state;
    config.target = take_virtual;
    rig_start();
    for (uint32_t i = 1; i <= 3; i++)
        assert_int_equal(open_flow(i), 0);
    int fds[3];
    for (unsigned i = 0; i < 3; i++)
        fds[i] = server_take();
    assert_int_equal(done_count, 0);
    socks_upstream_release(up, flow(1), TCP_RELEASE_ABORT);
    assert_int_equal(done_count, 1);
    assert_int_equal(done_tags[0], 501);
    SAY(fds[1], "\x01\x00\x05\x05\x00");
    dispatch();
    assert_int_equal(done_count, 2);
    assert_int_equal(done_tags[1], 502);
    socks_upstream_free(up);
    up = NULL;
    assert_int_equal(done_count, 3);
    assert_int_equal(done_tags[2], 503);
    for (unsigned i = 0; i < 3; i++)
        close(fds[i]);
}

static void password_of(uint32_t index, uint16_t src_port, char out[33])
{
    struct tcp_tuple tuple = tuple_of(src_port);
    uint8_t request[SOCKS_REQUEST_MAX];
    ssize_t len;
    assert_int_equal(socks_upstream_open(up, flow(index), &tuple, 3, clock_now), 0);
    close(server_accept(request, &len));
    memcpy(out, request + 15, 32);
    out[32] = '\0';
    struct socks_stream_info info;
    assert_true(socks_upstream_look(up, flow(index), &info));
    char digits[17];
    snprintf(digits, sizeof(digits), "%016llx", (unsigned long long)info.key);
    assert_memory_equal(digits, out, 16);
    socks_upstream_release(up, flow(index), TCP_RELEASE_CLOSE);
}

static void each_source_port_is_an_identity_for_a_while(void **state)
{
    (void)state;
    config.isolation_lifetime = 600;
    rig_start();
    char a[33], b[33], again[33], later[33];
    password_of(1, 5000, a);
    password_of(2, 5001, b);
    clock_now += 1000000;
    password_of(3, 5000, again);
    clock_now += 600 * (uint64_t)1000000;
    password_of(4, 5000, later);
    assert_string_not_equal(a, b);
    assert_string_equal(a, again);
    assert_string_not_equal(a, later);
}

/* The credential of a stream that a client with credentials of his own asks for, and it ends at once. */
static void asked_password_of(uint32_t index, bool lasts, char out[33])
{
    struct tcp_tuple tuple = tuple_of(5000);
    struct socks_target target = {.addr = tuple.dst,
                                  .port = 443,
                                  .isolation = ISOLATION_WORKSTATION | ISOLATION_PORT | ISOLATION_CREDENTIALS,
                                  .workstation = 3,
                                  .command = SOCKS_CONNECT,
                                  .gate = 9150,
                                  .lasts = lasts,
                                  .auth_len = 4,
                                  .auth = (const uint8_t *)"site"};
    uint8_t request[SOCKS_REQUEST_MAX];
    ssize_t len;
    assert_int_equal(socks_upstream_ask(up, flow(index), &tuple, &target, clock_now), 0);
    close(server_accept(request, &len));
    memcpy(out, request + 15, 32);
    out[32] = '\0';
    socks_upstream_release(up, flow(index), TCP_RELEASE_CLOSE);
}

static void an_identity_that_lasts_stays_while_it_is_used(void **state)
{
    (void)state;
    config.isolation_lifetime = 600;
    rig_start();
    char first[33], now[33], other[33];
    asked_password_of(1, true, first);
    for (uint32_t i = 2; i < 8; i++) {
        clock_now += 599 * (uint64_t)1000000;
        asked_password_of(i, true, now);
        assert_string_equal(now, first);
    }
    asked_password_of(8, false, other);
    assert_string_not_equal(other, first);
    clock_now += 600 * (uint64_t)1000000;
    asked_password_of(9, true, now);
    assert_string_not_equal(now, first);
}

static void a_missing_listener_is_said_at_once(void **state)
{
    (void)state;
    rig_start();
    close(listener); /* the socket file stays */
    listener = -1;
    assert_int_equal(open_flow(1), -ECONNREFUSED);
    unlink(socket_path);
    assert_int_equal(open_flow(1), -ENOENT);
    assert_int_equal(socks_upstream_counters(up)->local, 2);
    assert_int_equal(told_count, 0);
}

static void a_bad_configuration_is_refused(void **state)
{
    (void)state;
    char longer[200];
    memset(longer, 'x', sizeof(longer));
    longer[0] = '/';
    longer[108] = '\0';
    config.path = longer;
    assert_int_equal(socks_upstream_new(&up, &config), -ENAMETOOLONG);
    assert_null(up);
    config.path = "socks";
    assert_int_equal(socks_upstream_new(&up, &config), -EINVAL);
    config.path = socket_path;
    config.max_flows = 0;
    assert_int_equal(socks_upstream_new(&up, &config), -EINVAL);
}

static void running_out_of_descriptors_is_no_room(void **state)
{
    (void)state;
    rig_start();
    struct rlimit old, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int probe = dup(listener);
    close(probe);
    none = old;
    none.rlim_cur = (rlim_t)probe;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int err = open_flow(1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(err, -ENOBUFS);
    assert_int_equal(open_flow(1), 0);
}

static void what_was_kept_for_flows_that_are_gone_is_given_back(void **state)
{
    void *first, *second;
    (void)state;
    rig_start();
    assert_int_equal(open_flow(1), 0);
    assert_int_equal(open_flow(2), 0);
    const size_t after_one = socks_upstream_settle(up, 1, &first);
    const size_t after_two = socks_upstream_settle(up, 2, &second);
    const size_t stride = after_one - after_two;
    assert_int_equal((uintptr_t)second - (uintptr_t)first, stride);
    assert_int_equal(after_one % stride, 0);
    /* As the system would leave it: the flow below is untouched, and the one above can come again. */
    socks_upstream_release(up, flow(2), TCP_RELEASE_CLOSE);
    memset(first, 0, after_one);
    assert_int_equal(open_flow(2), 0);
    assert_true(after_one >= stride);
}

static void early_data_follows_the_request_before_there_is_an_answer(void **state)
{
    (void)state;
    config.optimistic = true;
    rig_start();
    size_t room;
    assert_int_equal(open_flow(1), 0);
    assert_int_equal(write_flow(1, "GET / HTTP/1.0\r\n\r\n", 18, &room), 18);
    assert_true(room > 10000);
    int fd = accept(listener, NULL, NULL);
    uint8_t all[256];
    assert_int_equal(recv(fd, all, sizeof(all), 0), 57 + 18);
    assert_memory_equal(all + 57, "GET / HTTP/1.0\r\n\r\n", 18);
    SAY(fd, ANSWER_SHORT "HTTP/1.0 200 OK");
    dispatch();
    assert_told(0, CONNECTED, 1);
    char data[64];
    size_t n;
    assert_int_equal(read_until(1, data, sizeof(data), sizeof(data), &n), -EAGAIN);
    assert_int_equal(n, 15);
    assert_memory_equal(data, "HTTP/1.0 200 OK", 15);
    close(fd);
}

static void early_data_of_a_flow_that_waits_is_asked_for_later(void **state)
{
    (void)state;
    server_end();
    server_listen(0);
    config.optimistic = true;
    rig_start();
    size_t room = 1;
    assert_int_equal(open_flow(1), 0);
    assert_int_equal(open_flow(2), 0);
    assert_int_equal(write_flow(2, "early", 5, &room), 0);
    assert_int_equal(room, 0);
    close(server_take());
    socks_upstream_poll(up, clock_now + 10000);
    assert_told(0, WRITABLE, 2);
    assert_true(told[0].room > 10000);
    assert_int_equal(write_flow(2, "early", 5, &room), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPSTREAM_TEST(the_whole_request_arrives_in_one_piece),
        UPSTREAM_TEST(opening_tells_the_engine_nothing_by_itself),
        UPSTREAM_TEST(the_target_may_be_a_name),
        UPSTREAM_TEST(a_target_that_is_refused_is_counted_and_not_opened),
        UPSTREAM_TEST(the_owner_of_a_target_learns_when_it_is_over),
        UPSTREAM_TEST(each_source_port_is_an_identity_for_a_while),
        UPSTREAM_TEST(an_identity_that_lasts_stays_while_it_is_used),
        UPSTREAM_TEST(a_missing_listener_is_said_at_once),
        UPSTREAM_TEST(a_bad_configuration_is_refused),
        UPSTREAM_TEST(running_out_of_descriptors_is_no_room),
        UPSTREAM_TEST(what_was_kept_for_flows_that_are_gone_is_given_back),
        UPSTREAM_TEST(early_data_follows_the_request_before_there_is_an_answer),
        UPSTREAM_TEST(early_data_of_a_flow_that_waits_is_asked_for_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
