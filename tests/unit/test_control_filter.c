/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/control_service.h"

static struct control_filter filter;
static const struct control_filter_facts facts = {
    .version = "0.4.9.11", .listeners = "\"10.152.152.10:9150\"", .ready = true};

/* What is answered to `text`, as it comes in pieces of `piece` bytes. */
static const char *answer(const char *text, size_t piece)
{
    static char out[4096];
    size_t n = strlen(text), got = 0;
    control_filter_init(&filter);
    for (size_t at = 0; at < n; at += piece) {
        struct bytes in = bytes_of(text + at, n - at < piece ? n - at : piece);
        while (in.left > 0 && !filter.ended) {
            control_filter_feed(&filter, &facts, &in);
            const struct iovec iov = {out + got, sizeof(out) - got - 1};
            got += control_filter_take(&filter, &iov, 1);
        }
    }
    out[got] = '\0';
    return out;
}

static void tor_browsers_new_identity_works(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 60; piece++) {
        assert_string_equal(answer("AUTHENTICATE 0123456789abcdef\r\nSIGNAL NEWNYM\r\nQUIT\r\n", piece),
                            "250 OK\r\n250 OK\r\n250 closing connection\r\n");
        assert_int_equal(filter.newnyms, 1);
        assert_int_equal(filter.filtered, 0);
        assert_true(filter.ended);
    }
}

static void what_is_harmless_is_told(void **state)
{
    (void)state;
    assert_string_equal(answer("PROTOCOLINFO 1\r\n", 100), "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n"
                                                           "250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n");
    assert_string_equal(answer("getinfo version status/circuit-established\n", 100),
                        "250-version=0.4.9.11\r\n250-status/circuit-established=1\r\n250 OK\r\n");
    assert_string_equal(answer("GETINFO net/listeners/socks\r\n", 100),
                        "250-net/listeners/socks=\"10.152.152.10:9150\"\r\n250 OK\r\n");
    assert_string_equal(answer("AUTHENTICATE\r\n", 100), "250 OK\r\n");
}

static void everything_else_is_not(void **state)
{
    (void)state;
    static const char *const lines[] = {"GETINFO address",
                                        "GETINFO",
                                        "GETINFO version address",
                                        "GETINFO circuit-status",
                                        "GETINFO config-text",
                                        "GETINFO version version version version version",
                                        "SIGNAL HALT",
                                        "SIGNAL",
                                        "SIGNAL NEWNYM HALT",
                                        "SIGNALNEWNYM",
                                        "GETCONF SocksPort",
                                        "SETCONF DisableNetwork=1",
                                        "ADD_ONION NEW:BEST Port=80",
                                        "SETEVENTS STREAM",
                                        "",
                                        " ",
                                        "+LOADCONF",
                                        "MAPADDRESS 1.2.3.4=x",
                                        "EXTENDCIRCUIT 0",
                                        "RESOLVE a",
                                        "TAKEOWNERSHIP",
                                        "DROPGUARDS",
                                        "QUITE"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char text[128];
        snprintf(text, sizeof(text), "%s\r\n", lines[i]);
        assert_string_equal(answer(text, 100), "510 Command filtered\r\n");
        assert_int_equal(filter.filtered, 1);
        assert_int_equal(filter.newnyms, 0);
        assert_false(filter.ended);
    }
}

/* What a page in a browser can have sent here: the first line is the browser's. */
static void a_browser_gets_no_word_in(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "POST / HTTP/1.1\r\nHost: x\r\n\r\nSIGNAL NEWNYM\r\n", "GET /AUTHENTICATE HTTP/1.0\nSIGNAL NEWNYM\n",
        "\x16\x03\x01\x02\nAUTHENTICATE\nSIGNAL NEWNYM\n", "\x80\n\nSIGNAL NEWNYM\n", "\t\r\nSIGNAL NEWNYM\r\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (size_t piece = 1; piece < 80; piece++) {
            assert_string_equal(answer(texts[i], piece), "510 Command filtered\r\n");
            assert_true(filter.ended);
            assert_int_equal(filter.newnyms, 0);
        }
    }
    /* Later there may be any bytes, in a password say. */
    assert_string_equal(answer("AUTHENTICATE\r\n\x01\xff\r\nAUTHENTICATE \"\xe4 HTTP/1\"\r\nSIGNAL NEWNYM\r\n", 7),
                        "250 OK\r\n510 Command filtered\r\n250 OK\r\n250 OK\r\n");
}

static void a_byte_of_zeros_is_no_end_of_a_command(void **state)
{
    static const char text[] = "AUTHENTICATE\nSIGNAL NEWNYM\0x\nQUIT\n";
    struct bytes in = bytes_of(text, sizeof(text) - 1);
    (void)state;
    control_filter_init(&filter);
    while (in.left > 0 && !filter.ended)
        control_filter_feed(&filter, &facts, &in);
    assert_int_equal(filter.newnyms, 0);
    assert_int_equal(filter.filtered, 1);
    assert_int_equal(filter.lines, 3);
}

static void a_line_too_long_ends_the_session(void **state)
{
    char text[CONTROL_FILTER_LINE_MAX + 4];
    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text, "AUTHENTICATE ", 13);
    strcpy(text + CONTROL_FILTER_LINE_MAX, "\n");
    assert_string_equal(answer(text, 7), "250 OK\r\n");
    strcpy(text + CONTROL_FILTER_LINE_MAX, "a\n");
    assert_string_equal(answer(text, 7), "510 Command filtered\r\n");
    assert_true(filter.ended);
}

/* --- sessions --- */

static unsigned newnyms[2];
static struct drops drops;

static void newnym(void *ctx, uint32_t station)
{
    (void)ctx;
    newnyms[station]++;
}

static struct control_service *service;

static int start(void **state)
{
    (void)state;
    const struct control_service_config config = {
        .stations = 32, .facts = facts, .drops = &drops, .newnym = newnym};
    memset(newnyms, 0, sizeof(newnyms));
    drops = (struct drops){{0}};
    return control_service_new(&service, &config);
}

static int stop(void **state)
{
    (void)state;
    control_service_free(service);
    return 0;
}

static int open_one(uint32_t station, uint32_t *stream)
{
    static uint32_t index;
    const struct local_client client = {.station = station};
    return control_service_ops.open(service, (struct tcp_flow_id){++index, 1}, &client, 0, stream);
}

static ssize_t write_text(uint32_t stream, const char *text, uint64_t now)
{
    const struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
    size_t room;
    return control_service_ops.write(service, stream, &iov, 1, &room, now);
}

static ssize_t read_all(uint32_t stream, char *out, size_t size)
{
    const struct iovec iov = {out, size};
    return control_service_ops.read(service, stream, &iov, 1, 0);
}

static void new_identities_are_for_who_asked(void **state)
{
    uint32_t a, b;
    char out[64];
    (void)state;
    assert_int_equal(open_one(0, &a), 0);
    assert_int_equal(open_one(1, &b), 0);
    assert_int_equal(write_text(b, "SIGNAL NEWNYM\r\n", 0), 15);
    assert_int_equal(newnyms[0], 0);
    assert_int_equal(newnyms[1], 1);
    assert_int_equal(read_all(b, out, sizeof(out)), 8);
    assert_int_equal(read_all(b, out, sizeof(out)), -EAGAIN);
    control_service_ops.closed(service, b);
    assert_int_equal(read_all(b, out, sizeof(out)), 0);
}

static void sessions_of_a_workstation_are_few(void **state)
{
    uint32_t stream, first = 0;
    (void)state;
    for (unsigned i = 0; i < CONTROL_SERVICE_SHARE; i++) {
        assert_int_equal(open_one(0, &stream), 0);
        first = first == 0 ? stream : first;
    }
    assert_int_equal(open_one(0, &stream), -EACCES);
    assert_int_equal(drops.by[DROP_CONTROL_FULL], 1);
    assert_int_equal(open_one(1, &stream), 0);
    control_service_ops.release(service, first, TCP_RELEASE_ABORT);
    assert_int_equal(open_one(0, &stream), 0);
}

static void many_workstations_leave_some_for_another(void **state)
{
    uint32_t stream;
    (void)state;
    for (uint32_t station = 0; station < CONTROL_SERVICE_SESSIONS / CONTROL_SERVICE_SHARE; station++)
        for (unsigned i = 0; i < CONTROL_SERVICE_SHARE; i++)
            assert_int_equal(open_one(station, &stream), 0);
    assert_int_equal(open_one(31, &stream), 0);
    control_service_ops.release(service, stream, TCP_RELEASE_CLOSE);
    assert_int_equal(open_one(30, &stream), 0);
}

static void who_does_not_read_is_not_answered_for_ever(void **state)
{
    uint32_t stream;
    char out[CONTROL_FILTER_OUT_MAX];
    ssize_t taken = 1;
    (void)state;
    assert_int_equal(open_one(0, &stream), 0);
    for (unsigned i = 0; i < 100 && taken > 0; i++)
        taken = write_text(stream, "PROTOCOLINFO\r\n", i * UINT64_C(1000000));
    assert_int_equal(taken, 0);
    assert_true(read_all(stream, out, sizeof(out)) > 0);
    assert_int_equal(write_text(stream, "PROTOCOLINFO\r\n", UINT64_C(200000000)), 14);
}

static void who_is_too_fast_is_ended(void **state)
{
    uint32_t stream;
    char out[64];
    unsigned lines = 0;
    ssize_t n = 1;
    (void)state;
    assert_int_equal(open_one(0, &stream), 0);
    while (lines < 1000 && n > 0) {
        write_text(stream, "SIGNAL NEWNYM\r\n", 0);
        n = read_all(stream, out, sizeof(out));
        lines++;
    }
    assert_in_range(lines, CONTROL_SERVICE_BURST, CONTROL_SERVICE_BURST + 2);
    assert_int_equal(drops.by[DROP_CONTROL_FULL], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tor_browsers_new_identity_works),
        cmocka_unit_test(what_is_harmless_is_told),
        cmocka_unit_test(everything_else_is_not),
        cmocka_unit_test(a_browser_gets_no_word_in),
        cmocka_unit_test(a_byte_of_zeros_is_no_end_of_a_command),
        cmocka_unit_test(a_line_too_long_ends_the_session),
        cmocka_unit_test_setup_teardown(new_identities_are_for_who_asked, start, stop),
        cmocka_unit_test_setup_teardown(sessions_of_a_workstation_are_few, start, stop),
        cmocka_unit_test_setup_teardown(many_workstations_leave_some_for_another, start, stop),
        cmocka_unit_test_setup_teardown(who_does_not_read_is_not_answered_for_ever, start, stop),
        cmocka_unit_test_setup_teardown(who_is_too_fast_is_ended, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
