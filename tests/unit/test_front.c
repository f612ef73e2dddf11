/* SPDX-License-Identifier: BSD-3-Clause */
/* What clients of the gateway's ports may say, whole and in every cut, and what they are told. The wire itself is
 * tests/net/ports.py's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "random.h"
#include "socks/front.h"

#define TEXT(s) (s), sizeof(s) - 1

static struct front front;

/* Feed `n` bytes in pieces of `piece`; what is left over after the end is counted in *left. */
static int feed(enum front_kind kind, const void *data, size_t n, size_t piece, size_t *left)
{
    front_init(&front, kind);
    for (size_t at = 0; at < n; at += piece) {
        struct bytes in = bytes_of((const uint8_t *)data + at, n - at < piece ? n - at : piece);
        int done = front_feed(&front, &in);
        if (done != 0) {
            *left = in.left + (n - at < piece ? 0 : n - at - piece);
            return done;
        }
        assert_int_equal(in.left, 0);
    }
    *left = 0;
    return 0;
}

/* In every cut the same, and not a byte too many. */
static int feed_all(enum front_kind kind, const void *data, size_t n, size_t behind)
{
    size_t left;
    int whole = feed(kind, data, n, n, &left);
    assert_int_equal(left, behind);
    struct front first = front;
    for (size_t piece = 1; piece < n; piece++) {
        assert_int_equal(feed(kind, data, n, piece, &left), whole);
        assert_int_equal(left, behind);
        assert_memory_equal(&first, &front, sizeof(front));
    }
    return whole;
}

static void a_name_with_credentials_is_taken_apart(void **state)
{
    (void)state;
    static const char text[] = "\x05\x02\x00\x02\x01\x02me\x03you\x05\x01\x00\x03\x0b"
                               "example.com\x01\xbb"
                               "data";
    assert_int_equal(feed_all(FRONT_SOCKS, TEXT(text), 4), 1);
    assert_string_equal(front.request.name, "example.com");
    assert_int_equal(front.request.port, 443);
    assert_int_equal(front.request.command, SOCKS_CONNECT);
    assert_int_equal(front.request.auth_len, 8);
    assert_memory_equal(front.request.auth, "5\x02me\x03you", 8);
    assert_int_equal(front.out_len, 4);
    assert_memory_equal(front.out, "\x05\x02\x01\x00", 4);
}

static void addresses_of_both_families_are_taken(void **state)
{
    (void)state;
    static const char four[] = "\x05\x01\x00\x05\x01\x00\x01\xc6\x33\x64\x07\x00\x50";
    static const char six[] = "\x05\x01\x00\x05\xf1\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\0\0";
    assert_int_equal(feed_all(FRONT_SOCKS, TEXT(four), 0), 1);
    assert_string_equal(front.request.name, "");
    assert_int_equal(front.request.auth_len, 0);
    assert_memory_equal(front.request.addr.b + 10, "\xff\xff\xc6\x33\x64\x07", 6);
    assert_int_equal(front.request.port, 80);
    assert_int_equal(feed_all(FRONT_SOCKS, TEXT(six), 0), 1);
    assert_int_equal(front.request.command, SOCKS_RESOLVE_PTR);
    assert_memory_equal(front.request.addr.b, six + 7, 16);
}

static void socks4_tells_a_name_after_who_asks(void **state)
{
    (void)state;
    static const char named[] = "\x04\x01\x00\x50\x00\x00\x00\x01me\0example.com\0x";
    static const char plain[] = "\x04\x01\x00\x50\xc6\x33\x64\x07\0";
    assert_int_equal(feed_all(FRONT_SOCKS, TEXT(named), 1), 1);
    assert_string_equal(front.request.name, "example.com");
    assert_int_equal(front.request.auth_len, 3);
    assert_memory_equal(front.request.auth, "4me", 3);
    assert_int_equal(feed_all(FRONT_SOCKS, TEXT(plain), 0), 1);
    assert_int_equal(front.request.auth_len, 0);
    assert_memory_equal(front.request.addr.b + 12, "\xc6\x33\x64\x07", 4);
}

static void the_longest_of_everything_fits(void **state)
{
    (void)state;
    uint8_t text[3 + 513 + 4 + 1 + 255 + 2];
    size_t n = 0;
    memcpy(text, "\x05\x01\x02\x01\xff", 5);
    n = 5;
    memset(text + n, 'u', 255);
    n += 255;
    text[n++] = 255;
    memset(text + n, 'p', 255);
    n += 255;
    memcpy(text + n, "\x05\x01\x00\x03\xff", 5);
    n += 5;
    memset(text + n, 'a', 255);
    n += 255;
    text[n++] = 0xff;
    text[n++] = 0xff;
    assert_int_equal(n, sizeof(text));
    assert_int_equal(feed_all(FRONT_SOCKS, text, n, 0), 1);
    assert_int_equal(strlen(front.request.name), 255);
    assert_int_equal(front.request.auth_len, 513);
    assert_int_equal(front.request.port, 65535);
    struct socks_bound bound = {.type = 3, .len = 255};
    memset(bound.host, 'b', sizeof(bound.host));
    front_answer(&front, SOCKS_SUCCEEDED, &bound);
    assert_int_equal(front.out_len, 4 + 5 + 255 + 2);
}

static void an_answer_is_as_the_server_gave_it(void **state)
{
    (void)state;
    static const char ask[] = "\x05\x01\x00\x05\xf0\x00\x03\x01"
                              "a\x00\x00";
    const struct socks_bound bound = {.type = 1, .len = 4, .host = {192, 0, 2, 9}};
    uint8_t a[3], b[64];
    const struct iovec iov[2] = {{a, sizeof(a)}, {b, sizeof(b)}};
    assert_int_equal(feed_all(FRONT_SOCKS, TEXT(ask), 0), 1);
    front_answer(&front, SOCKS_SUCCEEDED, &bound);
    assert_int_equal(front_take(&front, iov, 2), 12);
    assert_memory_equal(a, "\x05\x00\x05", 3);
    assert_memory_equal(b, "\x00\x00\x01\xc0\x00\x02\x09\x00\x00", 9);
    assert_int_equal(front_take(&front, iov, 2), 0);
    front.extended = true;
    for (unsigned code = 1; code < 256; code++) {
        front_answer(&front, (uint8_t)code, &bound);
        assert_int_equal(front_take(&front, iov + 1, 1), 10);
        assert_int_equal(b[1], code);
    }
}

static void tors_own_codes_are_for_those_who_know_them(void **state)
{
    (void)state;
    static const char ask[] = "\x05\x01\x00\x05\x01\x00\x03\x01"
                              "a\x00\x50";
    static const uint8_t plain[] = {4, 4, 4, 4, 2, 2, 4, 6, 1, 1};
    uint8_t out[16];
    const struct iovec iov = {out, sizeof(out)};
    assert_int_equal(feed_all(FRONT_SOCKS, TEXT(ask), 0), 1);
    while (front_take(&front, &iov, 1) > 0)
        ;
    for (unsigned code = 1; code < SOCKS_ONION_NOT_FOUND + sizeof(plain); code++) {
        front_answer(&front, (uint8_t)code, NULL);
        assert_int_equal(front_take(&front, &iov, 1), 10);
        assert_int_equal(out[1], code < SOCKS_ONION_NOT_FOUND ? code : plain[code - SOCKS_ONION_NOT_FOUND]);
    }
}

static void socks4_has_two_answers(void **state)
{
    (void)state;
    static const char ask[] = "\x04\xf0\x00\x00\x00\x00\x00\x01\0a\0";
    const struct socks_bound four = {.type = 1, .len = 4, .host = {192, 0, 2, 9}}, six = {.type = 4, .len = 16};
    uint8_t out[16];
    const struct iovec iov = {out, sizeof(out)};
    assert_int_equal(feed_all(FRONT_SOCKS, TEXT(ask), 0), 1);
    front_answer(&front, SOCKS_SUCCEEDED, &four);
    assert_int_equal(front_take(&front, &iov, 1), 8);
    assert_memory_equal(out, "\0\x5a\0\0\xc0\0\x02\x09", 8);
    front_answer(&front, SOCKS_SUCCEEDED, &six); /* there is no room for it */
    assert_int_equal(front_take(&front, &iov, 1), 8);
    assert_int_equal(out[1], 0x5b);
    front_answer(&front, SOCKS_CONNECTION_REFUSED, NULL);
    assert_int_equal(front_take(&front, &iov, 1), 8);
    assert_int_equal(out[1], 0x5b);
}

static void connect_is_read_with_what_tells_clients_apart(void **state)
{
    (void)state;
    static const char text[] =
        "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\nproxy-authorization:  Basic eA== "
        "\r\nX-Tor-Stream-Isolation: y\n\r\ndata";
    assert_int_equal(feed_all(FRONT_HTTP, TEXT(text), 4), 1);
    assert_string_equal(front.request.name, "example.com");
    assert_int_equal(front.request.port, 443);
    assert_int_equal(front.request.auth_len, 3 + 10 + 3 + 1);
    assert_memory_equal(front.request.auth,
                        "a\0\x0a"
                        "Basic eA==b\0\x01y",
                        17);
    assert_int_equal(feed_all(FRONT_HTTP, TEXT("CONNECT [2001:db8::1]:1 HTTP/1.0\n\n"), 0), 1);
    assert_int_equal(front.request.addr.b[15], 1);
    assert_int_equal(feed_all(FRONT_HTTP, TEXT("CONNECT 192.0.2.1:65535 HTTP/1.0\r\n\r\n"), 0), 1);
    assert_string_equal(front.request.name, "");
    assert_int_equal(feed_all(FRONT_HTTP, TEXT("CONNECT example.com:1 HTTP/1.1\r\rx\r\n\r\n"), 5), -EPROTO);
    assert_int_equal(feed_all(FRONT_HTTP, TEXT("CONNECT exa\0mple.com:1 HTTP/1.1\r\n\r\n"), 23), -EPROTO);
}

static void no_name_is_taken_that_tor_would_not_take(void **state)
{
    (void)state;
    struct front_request r;
    assert_int_equal(front_set_name(&r, TEXT("a.b-c_d.")), 0);
    assert_int_equal(front_set_name(&r, TEXT("[::1]")), 0);
    assert_string_equal(r.name, "");
    static const char *const bad[] = {"",   "a b", "a..b",        "-a",  ".",    "[",
                                      "[]", "[a]", "[192.0.2.1]", "a:b", "a\nb", "a/b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(front_set_name(&r, bad[i], strlen(bad[i])), -EINVAL);
    assert_int_equal(front_set_name(&r, "a\0b", 3), -EINVAL);
}

/* Tor looks for ".onion" at the very end, and asks an exit for everything else. */
static void a_dot_at_the_end_hides_no_onion_name(void **state)
{
    (void)state;
    static const char text[] = "\x04\x01\x00\x50\x00\x00\x00\x01\0abc.onion.\0";
    struct front_request r;
    assert_int_equal(feed_all(FRONT_SOCKS, TEXT(text), 0), 1);
    assert_string_equal(front.request.name, "abc.onion");
    assert_int_equal(feed_all(FRONT_HTTP, TEXT("CONNECT abc.onion.:80 HTTP/1.1\r\n\r\n"), 0), 1);
    assert_string_equal(front.request.name, "abc.onion");
    assert_int_equal(front_set_name(&r, TEXT("a.")), 0);
    assert_string_equal(r.name, "a");
    assert_int_equal(front_set_name(&r, TEXT("abc.onion..")), -EINVAL);
}

/* Or it would be looked at as a name here, and reached as an address. */
static void nor_an_address(void **state)
{
    (void)state;
    struct front_request r;
    assert_int_equal(front_set_name(&r, TEXT("10.152.152.11.")), 0);
    assert_string_equal(r.name, "");
    assert_true(ipaddr_is_v4(&r.addr));
    assert_memory_equal(r.addr.b + 12, "\x0a\x98\x98\x0b", 4);
    assert_int_equal(front_set_name(&r, TEXT("::1.")), -EINVAL);
    assert_int_equal(front_set_name(&r, TEXT("[::1].")), -EINVAL);
    assert_int_equal(front_set_name(&r, TEXT("192.0.2.1..")), -EINVAL);
}

static void a_header_has_no_blank_in_its_name(void **state)
{
    (void)state;
    static const char line[] = "CONNECT a.example:1 HTTP/1.1\r\n";
    static const char *const bad[] = {"Proxy-Authorization : x", "Proxy-Authorization\t: x", "a b: c", ": x",
                                      " : x"};
    char text[128];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t n = (size_t)snprintf(text, sizeof(text), "%s%s\r\n", line, bad[i]);
        assert_int_equal(feed_all(FRONT_HTTP, text, n, 0), -EPROTO);
        assert_memory_equal(front.out, "HTTP/1.0 400", 12);
    }
}

/* Whatever comes, the end is reached within so many bytes, and the answers fit. */
static void nothing_holds_a_client_for_ever(void **state)
{
    (void)state;
    struct random random = random_start();
    for (unsigned round = 0; round < 20000; round++) {
        enum front_kind kind = round % 2 == 0 ? FRONT_SOCKS : FRONT_HTTP;
        size_t most = kind == FRONT_SOCKS ? 1100 : FRONT_HEADERS_MAX + FRONT_LINES_MAX + 2, n = 0;
        int done = 0;
        front_init(&front, kind);
        while (done == 0 && n <= most) {
            uint8_t byte = (uint8_t)random_u64(&random);
            if (n == 0 && kind == FRONT_SOCKS)
                byte = round % 4 == 0 ? 5 : 4;
            else if (random_u64(&random) % 8 != 0)
                byte = (uint8_t)(byte % (kind == FRONT_SOCKS ? 6 : 96) + (kind == FRONT_SOCKS ? 0 : 32));
            struct bytes in = bytes_of(&byte, 1);
            done = front_feed(&front, &in);
            n++;
        }
        assert_int_not_equal(done, 0);
        if (done == 1)
            front_answer(&front, SOCKS_GENERAL_FAILURE, NULL);
        assert_true(front.out_len <= FRONT_OUT_MAX);
        assert_true(done < 0 || front.request.name[0] == '\0' || socks_name_valid(front.request.name));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_with_credentials_is_taken_apart),
        cmocka_unit_test(addresses_of_both_families_are_taken),
        cmocka_unit_test(socks4_tells_a_name_after_who_asks),
        cmocka_unit_test(the_longest_of_everything_fits),
        cmocka_unit_test(an_answer_is_as_the_server_gave_it),
        cmocka_unit_test(tors_own_codes_are_for_those_who_know_them),
        cmocka_unit_test(socks4_has_two_answers),
        cmocka_unit_test(connect_is_read_with_what_tells_clients_apart),
        cmocka_unit_test(no_name_is_taken_that_tor_would_not_take),
        cmocka_unit_test(a_dot_at_the_end_hides_no_onion_name),
        cmocka_unit_test(nor_an_address),
        cmocka_unit_test(a_header_has_no_blank_in_its_name),
        cmocka_unit_test(nothing_holds_a_client_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
