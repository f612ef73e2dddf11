/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "dns/stream.h"

#define SECOND UINT64_C(1000000)

static const struct dns_streams_config small = {.streams = 8, .blocks = 17, .max_hosts = 3};

static struct dns_streams *streams;
static void *memory;
static uint64_t now;

static void begin(const struct dns_streams_config *config)
{
    free(memory);
    size_t n = (dns_streams_size(config) + 63) / 64 * 64;
    assert_true(n > 0);
    memory = aligned_alloc(64, n);
    assert_non_null(memory);
    memset(memory, 0, n);
    streams = dns_streams_init(memory, config);
    now = 1000 * SECOND;
}

static int setup(void **state)
{
    (void)state;
    begin(&small);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(memory);
    memory = NULL;
    return 0;
}

/* A message of `len` bytes with its prefix; its bytes count up from `first`. Returns the bytes written. */
static size_t put_message(uint8_t *out, size_t len, uint8_t first)
{
    out[0] = (uint8_t)(len >> 8);
    out[1] = (uint8_t)len;
    for (size_t i = 0; i < len; i++)
        out[2 + i] = (uint8_t)(first + i);
    return 2 + len;
}

static void assert_message(struct bytes message, size_t len, uint8_t first)
{
    assert_int_equal(message.left, len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(message.at[i], (uint8_t)(first + i));
}

static bool feed(uint32_t s, const uint8_t *data, size_t n, struct bytes *message, size_t *left)
{
    struct bytes in = bytes_of(data, n);
    bool whole = dns_stream_feed(streams, s, &in, message, now);
    *left = in.left;
    return whole;
}

static size_t get(uint32_t s, uint8_t *out, size_t n)
{
    struct iovec iov = {out, n};
    return dns_stream_get(streams, s, &iov, 1, now);
}

static void a_message_comes_out_without_its_prefix(void **state)
{
    (void)state;
    uint8_t wire[64];
    struct bytes message;
    size_t left;
    uint32_t s = dns_stream_open(streams, 0, now);
    assert_true(s > 0);
    assert_true(feed(s, wire, put_message(wire, 20, 7), &message, &left));
    assert_message(message, 20, 7);
    assert_int_equal(left, 0);
}

static void a_message_may_come_byte_by_byte(void **state)
{
    (void)state;
    uint8_t wire[64];
    struct bytes message;
    size_t left, n = put_message(wire, 20, 7);
    uint32_t s = dns_stream_open(streams, 0, now);
    for (size_t i = 0; i + 1 < n; i++)
        assert_false(feed(s, wire + i, 1, &message, &left));
    assert_true(feed(s, wire + n - 1, 1, &message, &left));
    assert_message(message, 20, 7);
}

static void pipelined_messages_come_one_by_one_however_they_are_cut(void **state)
{
    (void)state;
    uint8_t wire[1024];
    size_t n = 0;
    for (uint8_t i = 0; i < 10; i++)
        n += put_message(wire + n, 12 + i, i);
    for (size_t piece = 1; piece <= n; piece += 1 + piece / 8) {
        uint32_t s = dns_stream_open(streams, 0, now);
        uint8_t seen = 0;
        for (size_t at = 0; at < n; at += piece) {
            struct bytes in = bytes_of(wire + at, n - at < piece ? n - at : piece), message;
            while (dns_stream_feed(streams, s, &in, &message, now)) {
                assert_message(message, 12u + seen, seen);
                seen++;
                dns_stream_skip(streams, s);
            }
            assert_int_equal(in.left, 0);
        }
        assert_int_equal(seen, 10);
        dns_stream_close(streams, s);
    }
}

static void answers_are_framed_and_may_be_read_in_any_pieces(void **state)
{
    (void)state;
    uint8_t wire[64], answer[5000], expected[2 * 5002], got[2 * 5002];
    struct bytes message;
    size_t left;
    uint32_t s = dns_stream_open(streams, 0, now);
    for (uint8_t i = 0; i < 2; i++) {
        assert_true(feed(s, wire, put_message(wire, 12, i), &message, &left));
        size_t n = put_message(expected + i * 5002u, sizeof(answer), i);
        memcpy(answer, expected + i * 5002u + 2, n - 2);
        assert_int_equal(dns_stream_put(streams, s, answer, sizeof(answer), now), 0);
    }
    size_t total = 0;
    for (size_t want = 1; total < sizeof(got); want++) {
        size_t most = want < sizeof(got) - total ? want : sizeof(got) - total;
        struct iovec iov[2] = {{got + total, most / 2}, {got + total + most / 2, most - most / 2}};
        size_t n = dns_stream_get(streams, s, iov, 2, now);
        assert_int_equal(n, most);
        total += n;
    }
    assert_memory_equal(got, expected, sizeof(got));
    assert_int_equal(get(s, got, sizeof(got)), 0);
    assert_true(dns_stream_is_idle(streams, s));
}

static void no_more_queries_are_taken_than_may_wait(void **state)
{
    (void)state;
    uint8_t wire[2048];
    size_t n = 0;
    for (unsigned i = 0; i < DNS_STREAM_PIPELINE + 1; i++)
        n += put_message(wire + n, 12, 0);
    uint32_t s = dns_stream_open(streams, 0, now);
    struct bytes in = bytes_of(wire, n), message;
    unsigned taken = 0;
    while (dns_stream_feed(streams, s, &in, &message, now))
        taken++;
    assert_int_equal(taken, DNS_STREAM_PIPELINE);
    assert_int_equal(in.left, 14);
    assert_false(dns_stream_is_ready(streams, s));
    dns_stream_skip(streams, s);
    assert_true(dns_stream_is_ready(streams, s));
    assert_true(dns_stream_feed(streams, s, &in, &message, now));
    assert_int_equal(in.left, 0);
}

static void a_client_that_does_not_read_is_not_served_on(void **state)
{
    (void)state;
    static uint8_t answer[8192];
    uint8_t wire[64];
    struct bytes message;
    size_t left, n = put_message(wire, 12, 0);
    uint32_t s = dns_stream_open(streams, 0, now);
    for (int i = 0; i < 2; i++) {
        assert_true(feed(s, wire, n, &message, &left));
        assert_int_equal(dns_stream_put(streams, s, answer, sizeof(answer), now), 0);
    }
    assert_false(dns_stream_is_ready(streams, s));
    assert_false(feed(s, wire, n, &message, &left));
    assert_int_equal(left, n);
    assert_true(get(s, answer, 4096) > 0);
    assert_true(dns_stream_is_ready(streams, s));
}

static void a_long_message_is_cut_off_and_the_next_one_is_whole(void **state)
{
    (void)state;
    static uint8_t wire[65535 + 2 + 64];
    struct bytes message;
    size_t n = put_message(wire, 65535, 1);
    n += put_message(wire + n, 12, 9);
    uint32_t s = dns_stream_open(streams, 0, now);
    struct bytes in = bytes_of(wire, n);
    assert_true(dns_stream_feed(streams, s, &in, &message, now));
    assert_message(message, DNS_STREAM_QUERY_MAX, 1);
    assert_true(dns_stream_feed(streams, s, &in, &message, now));
    assert_message(message, 12, 9);
}

static void a_message_of_no_length_is_nothing(void **state)
{
    (void)state;
    uint8_t wire[64] = {0, 0, 0, 0};
    struct bytes message;
    size_t left, n = 4 + put_message(wire + 4, 12, 9);
    uint32_t s = dns_stream_open(streams, 0, now);
    assert_true(feed(s, wire, n, &message, &left));
    assert_message(message, 12, 9);
}

static void one_workstation_leaves_streams_to_others(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++)
        assert_true(dns_stream_open(streams, 0, now) > 0);
    assert_int_equal(dns_stream_open(streams, 0, now), 0);
    uint32_t s = dns_stream_open(streams, 1, now);
    assert_true(s > 0);
    assert_int_equal(dns_stream_open(streams, 0, now), 0);
    dns_stream_close(streams, s);
    assert_true(dns_stream_open(streams, 1, now) > 0);
}

static void two_workstations_leave_a_stream_to_a_third(void **state)
{
    (void)state;
    struct dns_streams_config more = small;
    more.streams = 16;
    begin(&more);
    for (uint32_t host = 0; host < 2; host++) {
        for (unsigned i = 0; i < more.streams; i++)
            dns_stream_open(streams, host, now);
    }
    assert_true(dns_stream_open(streams, 2, now) > 0);
}

static void who_is_silent_is_overdue_oldest_first(void **state)
{
    (void)state;
    uint8_t wire[64];
    struct bytes message;
    size_t left;
    uint64_t at;
    assert_false(dns_streams_next(streams, &at));
    uint32_t a = dns_stream_open(streams, 0, now);
    now += SECOND;
    uint32_t b = dns_stream_open(streams, 0, now);
    assert_true(dns_streams_next(streams, &at));
    assert_int_equal(at, now - SECOND + DNS_STREAM_IDLE);
    now += SECOND;
    assert_true(feed(a, wire, put_message(wire, 12, 0), &message, &left)); /* a whole query counts */
    dns_stream_skip(streams, a);
    assert_int_equal(dns_streams_overdue(streams, now + DNS_STREAM_IDLE - SECOND - 1), 0);
    assert_int_equal(dns_streams_overdue(streams, now + DNS_STREAM_IDLE - SECOND), b);
    dns_stream_retire(streams, b);
    assert_int_equal(dns_streams_overdue(streams, now + DNS_STREAM_IDLE), a);
    dns_stream_close(streams, a);
    assert_int_equal(dns_streams_overdue(streams, now + DNS_STREAM_IDLE), 0);
    dns_stream_close(streams, b);
    assert_int_equal(dns_streams_count(streams), 0);
}

static void a_byte_now_and_then_is_silence_too(void **state)
{
    (void)state;
    uint8_t wire[64];
    struct bytes message;
    size_t left, n = put_message(wire, 40, 0);
    uint32_t s = dns_stream_open(streams, 0, now);
    uint64_t end = now + DNS_STREAM_IDLE;
    for (size_t i = 0; i < n - 1 && now < end; i++) {
        assert_int_equal(dns_streams_overdue(streams, now), 0);
        assert_false(feed(s, wire + i, 1, &message, &left));
        now += SECOND;
    }
    assert_int_equal(dns_streams_overdue(streams, end), s);
}

static void patience_is_short_when_many_are_there(void **state)
{
    (void)state;
    uint32_t first = dns_stream_open(streams, 0, now);
    for (unsigned i = 1; i < small.streams / 2; i++)
        dns_stream_open(streams, 0, now);
    assert_int_equal(dns_streams_overdue(streams, now + DNS_STREAM_HURRY), 0);
    dns_stream_open(streams, 1, now);
    assert_int_equal(dns_streams_overdue(streams, now + DNS_STREAM_HURRY), first);
}

static void a_retired_stream_takes_nothing_and_is_read_to_its_end(void **state)
{
    (void)state;
    uint8_t wire[64], got[64];
    struct bytes message;
    size_t left, n = put_message(wire, 12, 3);
    uint32_t s = dns_stream_open(streams, 0, now);
    assert_true(feed(s, wire, n, &message, &left));
    assert_int_equal(dns_stream_put(streams, s, wire + 2, 12, now), 0);
    dns_stream_retire(streams, s);
    dns_stream_retire(streams, s);
    assert_false(feed(s, wire, n, &message, &left));
    assert_int_equal(left, 0);
    assert_int_equal(get(s, got, sizeof(got)), 14);
    dns_stream_close(streams, s);
}

static void answers_beyond_the_memory_are_refused_and_memory_comes_back(void **state)
{
    (void)state;
    static uint8_t answer[65535];
    uint8_t wire[64];
    struct bytes message;
    size_t left, n = put_message(wire, 12, 0);
    uint32_t a = dns_stream_open(streams, 0, now), b = dns_stream_open(streams, 1, now);
    assert_true(feed(a, wire, n, &message, &left));
    assert_true(feed(b, wire, n, &message, &left));
    assert_int_equal(dns_stream_put(streams, a, answer, 60000, now), 0);
    assert_int_equal(dns_stream_put(streams, b, answer, 60000, now), -ENOBUFS);
    dns_stream_close(streams, a);
    assert_int_equal(dns_stream_put(streams, b, answer, 60000, now), 0);
    dns_stream_close(streams, b);
    a = dns_stream_open(streams, 0, now);
    assert_true(feed(a, wire, n, &message, &left));
    assert_int_equal(dns_stream_put(streams, a, answer, sizeof(answer), now), 0); /* no block was lost */
}

static void a_configuration_out_of_range_has_no_size(void **state)
{
    (void)state;
    struct dns_streams_config config = small;
    config.streams = 0;
    assert_int_equal(dns_streams_size(&config), 0);
    config = small;
    config.max_hosts = 65536;
    assert_int_equal(dns_streams_size(&config), 0);
    config = small;
    config.blocks = 0;
    assert_int_equal(dns_streams_size(&config), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_comes_out_without_its_prefix, setup, teardown),
        cmocka_unit_test_setup_teardown(a_message_may_come_byte_by_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(pipelined_messages_come_one_by_one_however_they_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_are_framed_and_may_be_read_in_any_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(no_more_queries_are_taken_than_may_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_does_not_read_is_not_served_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_message_is_cut_off_and_the_next_one_is_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_message_of_no_length_is_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(one_workstation_leaves_streams_to_others, setup, teardown),
        cmocka_unit_test_setup_teardown(two_workstations_leave_a_stream_to_a_third, setup, teardown),
        cmocka_unit_test_setup_teardown(who_is_silent_is_overdue_oldest_first, setup, teardown),
        cmocka_unit_test_setup_teardown(a_byte_now_and_then_is_silence_too, setup, teardown),
        cmocka_unit_test_setup_teardown(patience_is_short_when_many_are_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_retired_stream_takes_nothing_and_is_read_to_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_beyond_the_memory_are_refused_and_memory_comes_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_configuration_out_of_range_has_no_size, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
