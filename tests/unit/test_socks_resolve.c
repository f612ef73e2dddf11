/* SPDX-License-Identifier: BSD-3-Clause */
/* The resolver between a SOCKS server in the same process and a list of what it was told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "upstream_rig.h"

#include "socks/directory.h"
#include "socks/resolve.h"

#define SECOND UINT64_C(1000000)
#define ANSWER_HOST "\x01\x00\x05\x00\x00\x01\xc6\x33\x64\x07\x00\x00"
#define ANSWER_PTR                                                                                                 \
    "\x05\x02\x01\x00\x05\x00\x00\x03\x05"                                                                         \
    "a.org\x00\x00"

static struct socks_resolver *resolver;
static uint64_t now;
static struct {
    uint32_t tag;
    struct socks_result result;
    uint8_t message[65536];
} done[8];
static unsigned done_so_far;

static void on_done(void *ctx, uint32_t tag, const struct socks_result *result, uint64_t at)
{
    (void)ctx;
    assert_int_equal(at, now);
    done[done_so_far].tag = tag;
    done[done_so_far].result = *result;
    if (result->message.left > 0)
        memcpy(done[done_so_far].message, result->message.at, result->message.left);
    done_so_far++;
}

static int setup(void **state)
{
    if (rig_setup(state) != 0)
        return -1;
    struct socks_resolver_config c = {.path = socket_path, .calls = 4, .patience = 60 * SECOND, .done = on_done};
    now = 1000 * SECOND;
    done_so_far = 0;
    return socks_resolver_new(&resolver, &c);
}

static int teardown(void **state)
{
    socks_resolver_free(resolver);
    return rig_teardown(state);
}

static const char *password = "p";

static int32_t start(uint32_t tag, enum socks_command command, const char *message)
{
    struct socks_request request = {.command = command,
                                    .username = "u",
                                    .password = password,
                                    .name = command == SOCKS_RESOLVE ? "a.example" : NULL};
    const uint8_t raw[4] = {9, 9, 9, 9};
    request.addr = ipaddr_v4(raw);
    request.port = 53;
    return socks_resolver_start(resolver, tag, &request, bytes_of(message, strlen(message)), now);
}

static void hear(void)
{
    assert_true(socks_resolver_dispatch(resolver, now) >= 0);
}

static void a_request_goes_out_whole_and_its_answer_is_told(void **state)
{
    (void)state;
    uint8_t request[SOCKS_REQUEST_MAX];
    ssize_t len;
    assert_true(start(7, SOCKS_RESOLVE, "") > 0);
    int fd = server_accept(request, &len);
    assert_int_equal(len, 3 + 5 + 4 + 10 + 2);
    assert_memory_equal(request,
                        "\5\1\2\1\1u\1p\5\xf0\0\3\x09"
                        "a.example\0\x35",
                        (size_t)len);
    SAY(fd, ANSWER_HOST);
    hear();
    assert_int_equal(done_so_far, 1);
    assert_int_equal(done[0].tag, 7);
    assert_int_equal(done[0].result.status, 0);
    assert_int_equal(done[0].result.code, SOCKS_SUCCEEDED);
    assert_memory_equal(done[0].result.bound.host, "\xc6\x33\x64\x07", 4);
    close(fd);
}

static void an_answer_may_come_byte_by_byte(void **state)
{
    (void)state;
    assert_true(start(7, SOCKS_RESOLVE_PTR, "") > 0);
    int fd = server_take();
    for (size_t i = 0; i < sizeof(ANSWER_PTR) - 1; i++) {
        assert_int_equal(done_so_far, 0);
        server_say(fd, &ANSWER_PTR[i], 1);
        hear();
    }
    assert_int_equal(done_so_far, 1);
    assert_int_equal(done[0].result.bound.type, 3);
    assert_memory_equal(done[0].result.bound.host, "a.org", 5);
    close(fd);
}

static void a_message_is_sent_along_and_one_comes_back_in_any_pieces(void **state)
{
    (void)state;
    static uint8_t answer[2 + 65535];
    uint8_t request[SOCKS_REQUEST_MAX];
    ssize_t len;
    for (size_t i = 2; i < sizeof(answer); i++)
        answer[i] = (uint8_t)(i * 7);
    answer[0] = answer[1] = 0xff;
    assert_true(start(7, SOCKS_CONNECT, "question") > 0);
    int fd = server_accept(request, &len);
    assert_memory_equal(request + len - 10, "\0\10question", 10);
    SAY(fd, ANSWER_SHORT);
    for (size_t at = 0; at < sizeof(answer);) {
        size_t n = at < 5 ? 1 : sizeof(answer) - at < 10000 ? sizeof(answer) - at : 10000;
        assert_int_equal(done_so_far, 0);
        server_say(fd, answer + at, n);
        hear();
        at += n;
    }
    assert_int_equal(done_so_far, 1);
    assert_int_equal(done[0].result.message.left, 65535);
    assert_memory_equal(done[0].message, answer + 2, 65535);
    close(fd);
}

static void refusals_nonsense_and_ends_are_told(void **state)
{
    (void)state;
    static const struct {
        enum socks_command command;
        const char *text;
        size_t n;
        int status;
        uint8_t code;
    } cases[] = {
        {SOCKS_RESOLVE, "\x01\x00\x05\x04\x00", 5, 0, SOCKS_HOST_UNREACHABLE},
        {SOCKS_RESOLVE, "\x01\x00\x05\x06\x00", 5, 0, SOCKS_TTL_EXPIRED},
        {SOCKS_RESOLVE, "HTTP/1.0", 8, -EPROTO, 0},
        {SOCKS_RESOLVE, "\x01\x01", 2, -EACCES, 0},
        {SOCKS_RESOLVE, "\x01\x00\x05", 3, -ECONNRESET, 0},
        {SOCKS_CONNECT, ANSWER_SHORT, sizeof(ANSWER_SHORT) - 1, -ECONNRESET, 0},
        {SOCKS_CONNECT, ANSWER_SHORT "\0\5abc", sizeof(ANSWER_SHORT) - 1 + 5, -ECONNRESET, 0},
        {SOCKS_CONNECT, ANSWER_SHORT "\0\0", sizeof(ANSWER_SHORT) - 1 + 2, -EPROTO, 0},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        done_so_far = 0;
        assert_true(start(i, cases[i].command, cases[i].command == SOCKS_CONNECT ? "q" : "") > 0);
        int fd = server_take();
        server_say(fd, cases[i].text, cases[i].n);
        close(fd);
        hear();
        assert_int_equal(done_so_far, 1);
        assert_int_equal(done[0].tag, i);
        assert_int_equal(done[0].result.status, cases[i].status);
        assert_int_equal(done[0].result.message.left, 0);
        if (cases[i].status == 0)
            assert_int_equal(done[0].result.code, cases[i].code);
    }
}

static void who_takes_too_long_is_given_up(void **state)
{
    (void)state;
    uint64_t at;
    assert_false(socks_resolver_next(resolver, &at));
    start(1, SOCKS_RESOLVE, "");
    now += SECOND;
    start(2, SOCKS_RESOLVE, "");
    assert_true(socks_resolver_next(resolver, &at));
    assert_int_equal(at, now + 59 * SECOND);
    now = at;
    socks_resolver_poll(resolver, now);
    assert_int_equal(done_so_far, 1);
    assert_int_equal(done[0].tag, 1);
    assert_int_equal(done[0].result.status, -ETIMEDOUT);
    now += SECOND;
    socks_resolver_poll(resolver, now);
    assert_int_equal(done_so_far, 2);
    assert_false(socks_resolver_next(resolver, &at));
}

static void there_is_a_bound_and_calls_come_back(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 4; i++)
        assert_true(start(i, SOCKS_RESOLVE, "") > 0);
    assert_int_equal(start(5, SOCKS_RESOLVE, ""), -EAGAIN);
    int fd = server_take();
    SAY(fd, ANSWER_HOST);
    hear();
    assert_int_equal(done[0].tag, 1);
    assert_true(start(5, SOCKS_RESOLVE, "") > 0);
    close(fd);
}

static void what_was_cancelled_is_not_told(void **state)
{
    (void)state;
    int32_t call = start(1, SOCKS_RESOLVE, "");
    int fd = server_take();
    SAY(fd, ANSWER_HOST);
    socks_resolver_cancel(resolver, (uint32_t)call);
    assert_true(start(2, SOCKS_RESOLVE, "") > 0); /* the same slot */
    hear();
    assert_int_equal(done_so_far, 0);
    close(fd);
    fd = server_take();
    SAY(fd, ANSWER_HOST);
    hear();
    assert_int_equal(done_so_far, 1);
    assert_int_equal(done[0].tag, 2);
    close(fd);
}

static void without_a_listener_a_call_fails_at_once(void **state)
{
    (void)state;
    server_end();
    assert_int_equal(start(1, SOCKS_RESOLVE, ""), -ECONNREFUSED);
    assert_int_equal(done_so_far, 0);
}

static unsigned allowed;

static bool on_may(void *ctx, uint32_t tag, uint64_t at)
{
    (void)ctx;
    (void)at;
    return (allowed & 1u << tag) != 0;
}

static void who_may_not_yet_waits_and_keeps_nobody_else_waiting(void **state)
{
    (void)state;
    struct socks_resolver_config c = {
        .path = socket_path, .calls = 4, .patience = 60 * SECOND, .may = on_may, .done = on_done};
    struct socks_resolver *metered;
    const struct socks_request request = {
        .command = SOCKS_RESOLVE, .username = "u", .password = "p", .name = "example.com"};
    uint64_t at;
    assert_int_equal(socks_resolver_new(&metered, &c), 0);
    allowed = 1u << 2;
    assert_true(socks_resolver_start(metered, 1, &request, bytes_of(NULL, 0), now) > 0);
    assert_true(socks_resolver_start(metered, 2, &request, bytes_of(NULL, 0), now) > 0);
    assert_int_equal(accept(listener, NULL, NULL), -1);
    assert_true(socks_resolver_next(metered, &at));
    assert_true(at > now && at < now + SECOND / 10);
    socks_resolver_poll(metered, at);
    close(server_take()); /* the second one */
    assert_int_equal(accept(listener, NULL, NULL), -1);
    allowed = 1u << 1;
    socks_resolver_poll(metered, at + SECOND);
    close(server_take());
    socks_resolver_free(metered);
}

static void who_finds_the_backlog_full_waits_for_its_turn(void **state)
{
    (void)state;
    server_end();
    server_listen(0); /* room for one */
    assert_true(start(1, SOCKS_RESOLVE, "") > 0);
    assert_true(start(2, SOCKS_RESOLVE, "") > 0);
    assert_true(start(3, SOCKS_RESOLVE, "") > 0);
    uint64_t at;
    assert_true(socks_resolver_next(resolver, &at));
    assert_true(at <= now + 10000);
    for (uint32_t i = 1; i <= 3; i++) {
        int fd = server_take();
        SAY(fd, ANSWER_HOST);
        hear();
        assert_int_equal(done_so_far, i);
        assert_int_equal(done[i - 1].tag, i);
        close(fd);
        now += 10000;
        socks_resolver_poll(resolver, now);
    }
    assert_false(socks_resolver_next(resolver, &at));
}

static void a_tor_that_takes_nobody_keeps_only_its_own_waiting(void **state)
{
    static const char *const to_first = "00000000000000000000000000000000", *const to_second =
                                                                                "ffffffffffffffffffffffffffffffff";
    struct socks_resolver_config c = {.path = socket_path, .calls = 8, .patience = 60 * SECOND, .done = on_done};
    struct socks_tors others = {0};
    struct sockaddr_un address;
    char path[sizeof(socket_path) + 8];
    (void)state;
    snprintf(path, sizeof(path), "%s2", socket_path);
    assert_int_equal(socks_path_address(path, &address), 0);
    int stalled = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(stalled, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(stalled, 0), 0);
    assert_int_equal(socks_tors_add(&others, path), 0);
    socks_resolver_free(resolver);
    c.others = &others;
    assert_int_equal(socks_resolver_new(&resolver, &c), 0);

    password = to_second;
    for (uint32_t i = 0; i < 3; i++)
        assert_true(start(i, SOCKS_RESOLVE, "") > 0); /* one is taken into its backlog, two are not */
    password = to_first;
    for (uint32_t i = 3; i < 6; i++)
        assert_true(start(i, SOCKS_RESOLVE, "") > 0);
    now += SECOND;
    socks_resolver_poll(resolver, now);
    for (uint32_t i = 0; i < 3; i++)
        close(server_take());
    for (uint32_t i = 0; i < 3; i++) {
        int fd = accept(stalled, NULL, NULL);
        assert_true(fd >= 0);
        close(fd);
        now += SECOND;
        socks_resolver_poll(resolver, now);
    }
    password = "p";
    close(stalled);
    unlink(path);
}

static void a_bad_request_is_refused(void **state)
{
    (void)state;
    assert_int_equal(start(1, SOCKS_RESOLVE, "message"), -EINVAL);
    assert_int_equal(start(1, SOCKS_CONNECT, ""), -EINVAL);
    struct socks_request request = {.command = SOCKS_RESOLVE, .username = "u", .password = "p", .name = "a b"};
    assert_int_equal(socks_resolver_start(resolver, 1, &request, bytes_of(NULL, 0), now), -EINVAL);
    for (uint32_t i = 1; i <= 4; i++) /* nothing was lost by it */
        assert_true(start(i, SOCKS_RESOLVE, "") > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_goes_out_whole_and_its_answer_is_told),
        TEST(an_answer_may_come_byte_by_byte),
        TEST(a_message_is_sent_along_and_one_comes_back_in_any_pieces),
        TEST(refusals_nonsense_and_ends_are_told),
        TEST(who_takes_too_long_is_given_up),
        TEST(there_is_a_bound_and_calls_come_back),
        TEST(what_was_cancelled_is_not_told),
        TEST(without_a_listener_a_call_fails_at_once),
        TEST(who_may_not_yet_waits_and_keeps_nobody_else_waiting),
        TEST(who_finds_the_backlog_full_waits_for_its_turn),
        TEST(a_tor_that_takes_nobody_keeps_only_its_own_waiting),
        TEST(a_bad_request_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
