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

static void assert_answer_then_stream(const char *answer, size_t n)
{
    char data[64];
    told_count = 0;
    assert_int_equal(open_flow(1), 0);
    int fd = server_take();
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(told_count, 0);
        server_say(fd, answer + i, 1);
        dispatch();
    }
    assert_int_equal(told_count, 1); /* nothing follows, as the last read came back short */
    assert_told(0, CONNECTED, 1);
    assert_true(told[0].room > 10000);
    assert_int_equal(read_flow(1, data, sizeof(data)), -EAGAIN);
    SAY(fd, "stream");
    dispatch();
    assert_int_equal(told_count, 2);
    assert_told(1, READABLE, 1);
    assert_int_equal(read_flow(1, data, sizeof(data)), 6);
    assert_memory_equal(data, "stream", 6);
    socks_upstream_release(up, flow(1), TCP_RELEASE_CLOSE);
    close(fd);
}

static void an_answer_may_come_byte_by_byte(void **state)
{
    (void)state;
    rig_start();
    assert_answer_then_stream(ANSWER_FULL, sizeof(ANSWER_FULL) - 1);
    assert_answer_then_stream(ANSWER_SHORT, sizeof(ANSWER_SHORT) - 1);
    assert_answer_then_stream(ANSWER_V6, sizeof(ANSWER_V6) - 1);
    assert_answer_then_stream(ANSWER_NAME, sizeof(ANSWER_NAME) - 1);
}

static void assert_glued(const char *all, size_t n, size_t stream, bool then_end, size_t piece)
{
    char data[64];
    told_count = 0;
    assert_int_equal(open_flow(1), 0);
    int fd = server_take();
    server_say(fd, all, n);
    if (then_end)
        close(fd);
    dispatch();
    assert_int_equal(told_count, 2);
    assert_told(0, CONNECTED, 1);
    assert_told(1, READABLE, 1);
    size_t got;
    assert_int_equal(read_until(1, data, sizeof(data), piece, &got), then_end ? 0 : -EAGAIN);
    assert_int_equal(got, stream);
    assert_memory_equal(data, all + n - stream, stream);
    socks_upstream_release(up, flow(1), TCP_RELEASE_CLOSE);
    if (!then_end)
        close(fd);
}

static void what_comes_in_one_piece_with_the_answer_belongs_to_the_stream(void **state)
{
    (void)state;
    rig_start();
    static const size_t pieces[] = {1, 2, 5, 6, 7, 64};
    for (int then_end = 0; then_end < 2; then_end++)
        for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
            const size_t piece = pieces[i];
            assert_glued(ANSWER_FULL "banner\r\n", sizeof(ANSWER_FULL) + 7, 8, then_end, piece);
            assert_glued(ANSWER_SHORT "banner\r\n", sizeof(ANSWER_SHORT) + 7, 8, then_end, piece);
            assert_glued(ANSWER_SHORT "b", sizeof(ANSWER_SHORT), 1, then_end, piece);
            assert_glued(ANSWER_SHORT "ban", sizeof(ANSWER_SHORT) + 2, 3, then_end, piece);
            assert_glued(ANSWER_V6 "banner\r\n", sizeof(ANSWER_V6) + 7, 8, then_end, piece);
            assert_glued(ANSWER_NAME "banner\r\n", sizeof(ANSWER_NAME) + 7, 8, then_end, piece);
            /* A name of no length, in the shortest form there is. */
            assert_glued("\x01\x00\x05\x00\x00\x03\x00\x00\x00"
                         "banner\r\n",
                         17, 8, then_end, piece);
        }
}

static void every_code_refuses_the_flow_as_the_table_says(void **state)
{
    (void)state;
    rig_start();
    for (unsigned code = 1; code < 256; code++) {
        char answer[] = ANSWER_FULL;
        answer[5] = (char)code;
        told_count = 0;
        assert_int_equal(open_flow(1), 0);
        int fd = server_take();
        server_say(fd, answer, sizeof(answer) - 1);
        close(fd);
        dispatch();
        assert_int_equal(told_count, 1);
        assert_told(0, FAILED, 1);
        assert_int_equal(told[0].why, socks_code_refusal((uint8_t)code));
        assert_false(socks_upstream_look(up, flow(1), &(struct socks_stream_info){0}));
    }
    const struct socks_counters *counters = socks_upstream_counters(up);
    assert_int_equal(counters->refused, 255);
    assert_int_equal(counters->connected, 0);
    uint64_t sum = 0;
    for (unsigned i = 0; i < SOCKS_CODE_COUNT; i++)
        sum += counters->by_code[i];
    assert_int_equal(sum, 255);
    assert_int_equal(counters->by_code[socks_code_index(SOCKS_TTL_EXPIRED)], 1);
}

static void an_end_before_the_answer_is_complete_fails_the_flow(void **state)
{
    (void)state;
    rig_start();
    static const char answer[] = ANSWER_FULL;
    unsigned tries = 0;
    for (size_t some = 0; some < sizeof(answer) - 1; some++)
        for (int apart = 0; apart < 2; apart++) {
            told_count = 0;
            assert_int_equal(open_flow(1), 0);
            int fd = server_take();
            if (some > 0)
                server_say(fd, answer, some);
            if (apart) /* the end in a turn of its own */
                dispatch();
            assert_int_equal(told_count, 0);
            close(fd);
            dispatch();
            assert_int_equal(told_count, 1);
            assert_told(0, FAILED, 1);
            assert_int_equal(told[0].why, TCP_REFUSAL_NET);
            tries++;
        }
    assert_int_equal(socks_upstream_counters(up)->broken, tries);
}

static void nonsense_fails_the_flow(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        enum tcp_refusal why;
    } cases[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", 28, TCP_REFUSAL_NET},
        {"\x05\x00\x05\x00", 4, TCP_REFUSAL_NET},
        {"\x05\xff", 2, TCP_REFUSAL_PROHIBITED},
        {"\x05\x02\x01\x01", 4, TCP_REFUSAL_PROHIBITED},
        {"\x05\x02\x01\x00\x04\x00", 6, TCP_REFUSAL_NET},
    };
    rig_start();
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        told_count = 0;
        assert_int_equal(open_flow(1), 0);
        int fd = server_take();
        server_say(fd, cases[i].text, cases[i].n);
        dispatch();
        assert_int_equal(told_count, 1);
        assert_told(0, FAILED, 1);
        assert_int_equal(told[0].why, cases[i].why);
        close(fd);
    }
}

static struct {
    unsigned count, told; /* answers, and what the engine had been told by the last */
    uint32_t tag;
    uint8_t code;
} heard;

static void on_answered(void *ctx, uint32_t tag, uint8_t code)
{
    (void)ctx;
    heard.count++;
    heard.told = told_count;
    heard.tag = tag;
    heard.code = code;
}

static int target_with_tag(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host,
                           struct socks_target *target)
{
    (void)ctx, (void)tuple, (void)host;
    target->tag = 700 + id.index;
    return 0;
}

static void the_owner_hears_every_answer_before_the_engine(void **state)
{
    (void)state;
    config.target = target_with_tag;
    config.answered = on_answered;
    rig_start();
    for (uint8_t code = 0; code < 9; code++) {
        char answer[] = ANSWER_SHORT;
        answer[3] = (char)code;
        heard.told = 99;
        told_count = 0;
        assert_int_equal(open_flow(1), 0);
        int fd = server_take();
        server_say(fd, answer, sizeof(answer) - 1);
        dispatch();
        assert_int_equal(heard.count, code + 1);
        assert_int_equal(heard.told, 0);
        assert_int_equal(heard.tag, 701);
        assert_int_equal(heard.code, code);
        if (code == 0)
            socks_upstream_release(up, flow(1), TCP_RELEASE_CLOSE);
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPSTREAM_TEST(an_answer_may_come_byte_by_byte),
        UPSTREAM_TEST(what_comes_in_one_piece_with_the_answer_belongs_to_the_stream),
        UPSTREAM_TEST(every_code_refuses_the_flow_as_the_table_says),
        UPSTREAM_TEST(an_end_before_the_answer_is_complete_fails_the_flow),
        UPSTREAM_TEST(nonsense_fails_the_flow),
        UPSTREAM_TEST(the_owner_hears_every_answer_before_the_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
