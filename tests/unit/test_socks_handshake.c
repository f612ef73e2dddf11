/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "socks/handshake.h"

#define TEXT(s) (const uint8_t *)(s), sizeof(s) - 1

static struct socks_request request_of(const char *name)
{
    return (struct socks_request){
        .command = SOCKS_CONNECT,
        .username = "<torS0X>0",
        .password = "00112233445566778899aabbccddeeff",
        .name = name,
        .addr = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1}},
        .port = 0x1234,
    };
}

#define PREAMBLE                                                                                                   \
    "\x05\x01\x02\x01\x09<torS0X>0\x20"                                                                            \
    "00112233445566778899aabbccddeeff"

static void assert_request(const struct socks_request *request, const uint8_t *want, size_t n)
{
    uint8_t out[SOCKS_REQUEST_MAX];
    assert_int_equal(socks_request_write(request, out, sizeof(out)), n);
    assert_memory_equal(out, want, n);
    assert_int_equal(socks_request_write(request, out, n), n);
    assert_int_equal(socks_request_write(request, out, n - 1), -ENOBUFS);
}

static void a_request_for_an_ipv4_address_is_written(void **state)
{
    (void)state;
    struct socks_request request = request_of(NULL);
    assert_request(&request, TEXT(PREAMBLE "\x05\x01\x00\x01\xc0\x00\x02\x01\x12\x34"));
}

static void a_request_for_an_ipv6_address_is_written(void **state)
{
    (void)state;
    struct socks_request request = request_of(NULL);
    memcpy(request.addr.b, "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", 16);
    assert_request(&request,
                   TEXT(PREAMBLE "\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                                 "\x00\x01\x12\x34"));
}

static void a_request_for_a_name_is_written(void **state)
{
    (void)state;
    struct socks_request request = request_of("example.onion");
    assert_request(&request, TEXT(PREAMBLE "\x05\x01\x00\x03\x0d"
                                           "example.onion\x12\x34"));
}

static void the_extensions_of_tor_are_written(void **state)
{
    (void)state;
    struct socks_request request = request_of("a.example");
    request.command = SOCKS_RESOLVE;
    request.port = 0;
    assert_request(&request, TEXT(PREAMBLE "\x05\xf0\x00\x03\x09"
                                           "a.example\x00\x00"));
    request.name = NULL;
    request.command = SOCKS_RESOLVE_PTR;
    assert_request(&request, TEXT(PREAMBLE "\x05\xf1\x00\x01\xc0\x00\x02\x01\x00\x00"));
}

static void the_longest_strings_fit_and_longer_or_empty_ones_are_refused(void **state)
{
    (void)state;
    char name[257];
    uint8_t out[SOCKS_REQUEST_MAX];
    memset(name, 'a', sizeof(name));
    name[256] = '\0';
    struct socks_request request = request_of(name);
    assert_int_equal(socks_request_write(&request, out, sizeof(out)), -EINVAL);
    name[255] = '\0';
    request.username = request.password = name;
    assert_int_equal(socks_request_write(&request, out, sizeof(out)), SOCKS_REQUEST_MAX);
    request.username = "";
    assert_int_equal(socks_request_write(&request, out, sizeof(out)), -EINVAL);
    request.username = "u";
    request.password = NULL;
    assert_int_equal(socks_request_write(&request, out, sizeof(out)), -EINVAL);
    request.password = "p";
    request.name = "";
    assert_int_equal(socks_request_write(&request, out, sizeof(out)), -EINVAL);
}

static void only_what_tor_takes_for_a_name_is_sent(void **state)
{
    (void)state;
    static const char *const good[] = {"a",        "localhost", "a.example", "a.example.", "3com.example",
                                       "xn--p1ai", "a_b-c.d-"};
    static const char *const bad[] = {"",      ".",   "..",  ".a",    "a..b", "-a",          "_dmarc.a",
                                      "a._b",  "a b", "a\n", "a\"",   "a/b",  "a:80",        "\xc3\xa4",
                                      "a\x7f", "*.a", "a,b", "[::1]", "a=b",  "a.example..", "a\tb"};
    uint8_t out[SOCKS_REQUEST_MAX];
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(socks_name_valid(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct socks_request request = request_of(bad[i]);
        assert_false(socks_name_valid(bad[i]));
        assert_int_equal(socks_request_write(&request, out, sizeof(out)), -EINVAL);
    }
}

/* Give the parser what a reader would: pieces of at most `piece` bytes, never more than it wants, the first `slow`
 * bytes one by one. Returns what it said last; *used is how many bytes of the data it had by then. */
static int feed_after(struct socks_reply *reply, const uint8_t *data, size_t n, size_t slow, size_t piece,
                      struct socks_bound *bound, size_t *used)
{
    memset(reply, 0, sizeof(*reply));
    int done = 0;
    *used = 0;
    while (done == 0 && *used < n) {
        size_t want = socks_reply_want(reply);
        assert_true(want >= 1 && want <= 257);
        size_t most = *used < slow ? 1 : piece;
        size_t part = want < most ? want : most;
        if (part > n - *used)
            part = n - *used;
        done = socks_reply_feed(reply, data + *used, part, bound);
        *used += part;
    }
    return done;
}

static int feed(struct socks_reply *reply, const uint8_t *data, size_t n, size_t piece, struct socks_bound *bound,
                size_t *used)
{
    return feed_after(reply, data, n, 0, piece, bound, used);
}

/* A success must be taken whole, and not a byte of what comes behind, in pieces of any size. */
static void assert_success(const uint8_t *data, size_t n, struct socks_bound *bound)
{
    uint8_t all[512];
    memcpy(all, data, n);
    memcpy(all + n,
           "\x05\x00\x01\x02"
           "the stream behind the reply",
           32);
    for (size_t piece = 1; piece <= n + 32; piece++) {
        struct socks_reply reply;
        size_t used;
        assert_int_equal(feed(&reply, all, n + 32, piece, bound, &used), 1);
        assert_int_equal(used, n);
        assert_int_equal(reply.code, SOCKS_SUCCEEDED);
        assert_int_equal(socks_reply_want(&reply), 0);
        /* From any point on, as much at once as it wants. */
        assert_int_equal(feed_after(&reply, all, n + 32, piece, 512, bound, &used), 1);
        assert_int_equal(used, n);
        /* Less than all is never enough. */
        for (size_t some = 0; some < n; some++)
            assert_int_equal(feed(&reply, all, some, piece, bound, &used), 0);
    }
}

static void a_success_with_every_kind_of_address_is_taken_to_its_last_byte(void **state)
{
    (void)state;
    struct socks_bound bound;
    assert_success(TEXT("\x05\x02\x01\x00\x05\x00\x00\x01\x01\x02\x03\x04\x00\x50"), &bound);
    assert_int_equal(bound.type, 1);
    assert_int_equal(bound.len, 4);
    assert_memory_equal(bound.host, "\x01\x02\x03\x04", 4);

    assert_success(TEXT("\x05\x02\x01\x00\x05\x00\x00\x04"
                        "abcdefghijklmnop"
                        "\x00\x50"),
                   &bound);
    assert_int_equal(bound.type, 4);
    assert_int_equal(bound.len, 16);
    assert_memory_equal(bound.host, "abcdefghijklmnop", 16);

    assert_success(TEXT("\x05\x02\x01\x00\x05\x00\x00\x03\x07"
                        "a.b.org"
                        "\x00\x50"),
                   &bound);
    assert_int_equal(bound.type, 3);
    assert_int_equal(bound.len, 7);
    assert_memory_equal(bound.host, "a.b.org", 7);

    assert_success(TEXT("\x05\x02\x01\x00\x05\x00\x00\x03\x00\x00\x50"), &bound);
    assert_int_equal(bound.len, 0);
}

static void nobody_needs_to_want_the_address(void **state)
{
    (void)state;
    assert_success(TEXT("\x05\x02\x01\x00\x05\x00\x00\x03\x07"
                        "a.b.org"
                        "\x00\x50"),
                   NULL);
}

static void the_longest_name_as_address_is_taken(void **state)
{
    (void)state;
    uint8_t data[9 + 255 + 2] = "\x05\x02\x01\x00\x05\x00\x00\x03\xff";
    struct socks_bound bound;
    memset(data + 9, 'n', 255);
    assert_success(data, sizeof(data), &bound);
    assert_int_equal(bound.len, 255);
}

/* Tor answers a request that it found whole in its buffer without the answer to the greeting. */
static void a_success_without_the_answer_to_the_greeting_is_taken(void **state)
{
    (void)state;
    assert_success(TEXT("\x01\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"), NULL);
    assert_success(TEXT("\x01\x00\x05\x00\x00\x03\x00\x00\x00"), NULL); /* the shortest there is */
    assert_success(TEXT("\x01\x00\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), NULL);
}

static void assert_refusal(const uint8_t *data, size_t n, uint8_t code)
{
    for (size_t piece = 1; piece <= n; piece++) {
        struct socks_reply reply;
        size_t used;
        assert_int_equal(feed(&reply, data, n, piece, NULL, &used), 1);
        assert_int_equal(reply.code, code);
        assert_int_equal(socks_reply_want(&reply), 0);
    }
}

static void every_code_is_understood_in_every_form_of_the_answer(void **state)
{
    (void)state;
    for (unsigned code = 1; code < 256; code++) {
        uint8_t full[] = {5, 2, 1, 0, 5, (uint8_t)code, 0, 1, 0, 0, 0, 0, 0, 0};
        assert_refusal(full, sizeof(full), (uint8_t)code);
        assert_refusal(full + 2, sizeof(full) - 2, (uint8_t)code);
        if (code != 0xff)
            assert_refusal(full + 4, sizeof(full) - 4, (uint8_t)code);
    }
}

/* Tor refuses a RESOLVE with an address type of 0. */
static void a_refusal_is_complete_before_its_address(void **state)
{
    (void)state;
    assert_refusal(TEXT("\x01\x00\x05\x04\x00\x00\x00\x00\x00\x00\x00\x00"), SOCKS_HOST_UNREACHABLE);
    assert_refusal(TEXT("\x01\x00\x05\x04\x00"), SOCKS_HOST_UNREACHABLE);
}

static void assert_error(const uint8_t *data, size_t n, int want)
{
    for (size_t piece = 1; piece <= n; piece++) {
        struct socks_reply reply;
        size_t used;
        assert_int_equal(feed(&reply, data, n, piece, NULL, &used), want);
    }
}

static void nonsense_is_an_error(void **state)
{
    (void)state;
    assert_error(TEXT("HTTP/1.0 501"), -EPROTO);
    assert_error(TEXT("\x00\x5a\x00\x00"), -EPROTO);                 /* SOCKS4 */
    assert_error(TEXT("\x05\x02\x05\x00"), -EPROTO);                 /* no word about the authentication */
    assert_error(TEXT("\x05\x02\x01\x00\x04"), -EPROTO);             /* version of the reply */
    assert_error(TEXT("\x05\x02\x01\x00\x05\x00\x01"), -EPROTO);     /* reserved byte */
    assert_error(TEXT("\x05\x02\x01\x00\x05\x05\x07"), -EPROTO);     /* the same in a refusal */
    assert_error(TEXT("\x05\x02\x01\x00\x05\x00\x00\x02"), -EPROTO); /* address type */
    assert_error(TEXT("\x05\x02\x01\x00\x05\x00\x00\x00"), -EPROTO); /* address type 0 in a success */
}

static void a_server_that_does_not_ask_for_the_credentials_is_not_believed(void **state)
{
    (void)state;
    assert_error(TEXT("\x05\x00"), -EPROTO);                                 /* method: none */
    assert_error(TEXT("\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"), -EPROTO); /* success at once */
}

static void a_server_that_refuses_the_credentials_is_told_apart(void **state)
{
    (void)state;
    assert_error(TEXT("\x05\xff"), -EACCES);
    assert_error(TEXT("\x05\x02\x01\x01"), -EACCES);
    assert_error(TEXT("\x01\x05"), -EACCES);
}

static void every_code_has_a_name_and_a_counter_and_an_answer_of_tcp(void **state)
{
    (void)state;
    bool seen[SOCKS_CODE_COUNT] = {false};
    for (unsigned code = 0; code < 256; code++) {
        unsigned index = socks_code_index((uint8_t)code);
        assert_true(index < SOCKS_CODE_COUNT);
        assert_true(strlen(socks_code_name(index)) > 4);
        assert_true(socks_code_refusal((uint8_t)code) <= TCP_REFUSAL_SILENT);
        seen[index] = true;
    }
    for (unsigned i = 0; i < SOCKS_CODE_COUNT; i++)
        assert_true(seen[i]);
    assert_string_equal(socks_code_name(SOCKS_CODE_COUNT), "other");
}

static void the_codes_become_what_the_workstation_can_act_on(void **state)
{
    (void)state;
    assert_int_equal(socks_code_refusal(SOCKS_CONNECTION_REFUSED), TCP_REFUSAL_RESET);
    assert_int_equal(socks_code_refusal(SOCKS_HOST_UNREACHABLE), TCP_REFUSAL_HOST);
    assert_int_equal(socks_code_refusal(SOCKS_NET_UNREACHABLE), TCP_REFUSAL_NET);
    assert_int_equal(socks_code_refusal(SOCKS_NOT_ALLOWED), TCP_REFUSAL_PROHIBITED);
    assert_int_equal(socks_code_refusal(SOCKS_TTL_EXPIRED), TCP_REFUSAL_SILENT);
    assert_int_equal(socks_code_refusal(SOCKS_GENERAL_FAILURE), TCP_REFUSAL_RESET);
    assert_int_equal(socks_code_refusal(SOCKS_ONION_BAD_ADDRESS), TCP_REFUSAL_HOST);
    assert_int_equal(socks_code_refusal(SOCKS_ONION_NO_AUTH), TCP_REFUSAL_PROHIBITED);
    assert_int_equal(socks_code_refusal(SOCKS_ONION_INTRO_TIMEOUT), TCP_REFUSAL_SILENT);
    assert_int_equal(socks_code_refusal(0x77), TCP_REFUSAL_NET);
    for (unsigned code = 1; code < 256; code++)
        if (code != SOCKS_CONNECTION_REFUSED && code != SOCKS_GENERAL_FAILURE) /* what may be a closed port */
            assert_int_not_equal(socks_code_refusal((uint8_t)code), TCP_REFUSAL_RESET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_for_an_ipv4_address_is_written),
        cmocka_unit_test(a_request_for_an_ipv6_address_is_written),
        cmocka_unit_test(a_request_for_a_name_is_written),
        cmocka_unit_test(the_extensions_of_tor_are_written),
        cmocka_unit_test(the_longest_strings_fit_and_longer_or_empty_ones_are_refused),
        cmocka_unit_test(only_what_tor_takes_for_a_name_is_sent),
        cmocka_unit_test(a_success_with_every_kind_of_address_is_taken_to_its_last_byte),
        cmocka_unit_test(nobody_needs_to_want_the_address),
        cmocka_unit_test(the_longest_name_as_address_is_taken),
        cmocka_unit_test(a_success_without_the_answer_to_the_greeting_is_taken),
        cmocka_unit_test(every_code_is_understood_in_every_form_of_the_answer),
        cmocka_unit_test(a_refusal_is_complete_before_its_address),
        cmocka_unit_test(nonsense_is_an_error),
        cmocka_unit_test(a_server_that_does_not_ask_for_the_credentials_is_not_believed),
        cmocka_unit_test(a_server_that_refuses_the_credentials_is_told_apart),
        cmocka_unit_test(every_code_has_a_name_and_a_counter_and_an_answer_of_tcp),
        cmocka_unit_test(the_codes_become_what_the_workstation_can_act_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
