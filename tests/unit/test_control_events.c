/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "socks/control_events.h"

static char line[4096];
static struct control_event event;

/* What stands behind the line would close any quotes that the line leaves open, if it were read. */
static int parse(const char *text)
{
    for (size_t i = 0; i < sizeof(line); i++)
        line[i] = i % 2 == 0 ? '"' : ' ';
    snprintf(line, sizeof(line), "%s", text);
    return control_event_parse(line, &event);
}

static void bootstrap_progress_is_read(void **state)
{
    (void)state;
    assert_int_equal(parse("STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=14 TAG=handshake "
                           "SUMMARY=\"Handshaking with a relay\""),
                     0);
    assert_int_equal(event.kind, CONTROL_EVENT_BOOTSTRAP);
    assert_string_equal(event.bootstrap.severity, "NOTICE");
    assert_int_equal(event.bootstrap.progress, 14);
    assert_string_equal(event.bootstrap.tag, "handshake");
    assert_string_equal(event.bootstrap.summary, "Handshaking with a relay");
    assert_string_equal(event.bootstrap.warning, "");
}

static void a_bootstrap_that_is_stuck_says_why(void **state)
{
    (void)state;
    assert_int_equal(parse("STATUS_CLIENT WARN BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"Connecting to a relay\" "
                           "WARNING=\"Network is unreachable\" REASON=NOROUTE COUNT=10 RECOMMENDATION=warn "
                           "HOSTID=\"?\" HOSTADDR=\"?\""),
                     0);
    assert_int_equal(event.kind, CONTROL_EVENT_BOOTSTRAP);
    assert_string_equal(event.bootstrap.severity, "WARN");
    assert_string_equal(event.bootstrap.warning, "Network is unreachable");
    assert_string_equal(event.bootstrap.reason, "NOROUTE");
}

static void the_answer_to_getinfo_is_read_the_same_way(void **state)
{
    (void)state;
    struct control_bootstrap bootstrap;
    snprintf(line, sizeof(line), "NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"");
    assert_int_equal(control_bootstrap_parse(line, &bootstrap), 0);
    assert_int_equal(bootstrap.progress, 100);
    assert_string_equal(bootstrap.tag, "done");
    snprintf(line, sizeof(line), "NOTICE SOMETHING PROGRESS=100");
    assert_int_equal(control_bootstrap_parse(line, &bootstrap), -EPROTO);
    line[0] = '\0';
    assert_int_equal(control_bootstrap_parse(line, &bootstrap), -EPROTO);
}

static void other_status_is_passed_on(void **state)
{
    (void)state;
    assert_int_equal(parse("STATUS_GENERAL WARN CLOCK_SKEW SKEW=-3600 SOURCE=CONSENSUS"), 0);
    assert_int_equal(event.kind, CONTROL_EVENT_STATUS);
    assert_string_equal(event.status.action, "CLOCK_SKEW");
    assert_string_equal(event.status.arguments, "SKEW=-3600 SOURCE=CONSENSUS");
    assert_int_equal(parse("STATUS_CLIENT NOTICE CIRCUIT_ESTABLISHED"), 0);
    assert_string_equal(event.status.action, "CIRCUIT_ESTABLISHED");
    assert_string_equal(event.status.arguments, "");
}

static void what_tells_of_a_single_request_is_not_shown(void **state)
{
    (void)state;
    static const char *const private[] = {
        "DANGEROUS_SOCKS PROTOCOL=SOCKS5 ADDRESS=192.0.2.1:80", "DANGEROUS_PORT PORT=23 RESULT=WARN",
        "SOCKS_BAD_HOSTNAME HOSTNAME=\"a b\"", "SOCKS_UNKNOWN_PROTOCOL DATA=\"GET /\""};
    for (size_t i = 0; i < sizeof(private) / sizeof(*private); i++) {
        char text[128];
        snprintf(text, sizeof(text), "STATUS_CLIENT WARN %s", private[i]);
        assert_int_equal(parse(text), 0);
        assert_int_equal(event.kind, CONTROL_EVENT_OTHER);
        assert_memory_equal(event.name, private[i], strlen(event.name));
        assert_null(event.status.arguments);
    }
}

#define A40 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define B40 "0123456789ABCDEF0123456789ABCDEF01234567"
#define C40 "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC"

static void a_circuit_has_a_path_and_what_isolates_it(void **state)
{
    (void)state;
    assert_int_equal(
        parse("CIRC 12 BUILT $" A40 "~guard1,$" B40 "=middle,$" C40 " BUILD_FLAGS=NEED_CAPACITY PURPOSE=GENERAL "
              "TIME_CREATED=2026-01-02T03:04:05.678901 SOCKS_USERNAME=\"<torS0X>0\" "
              "SOCKS_PASSWORD=\"00112233445566778899aabbccddeeff\" CONFLUX_ID=0011223344556677 CONFLUX_RTT=300"),
        0);
    assert_int_equal(event.kind, CONTROL_EVENT_CIRC);
    assert_int_equal(event.circuit.id, 12);
    assert_string_equal(event.circuit.status, "BUILT");
    assert_int_equal(event.circuit.hops, 3);
    assert_string_equal(event.circuit.path[0].fingerprint, A40);
    assert_string_equal(event.circuit.path[0].nickname, "guard1");
    assert_string_equal(event.circuit.path[1].fingerprint, B40);
    assert_string_equal(event.circuit.path[1].nickname, "middle");
    assert_string_equal(event.circuit.path[2].fingerprint, C40);
    assert_string_equal(event.circuit.path[2].nickname, "");
    assert_string_equal(event.circuit.purpose, "GENERAL");
    assert_string_equal(event.circuit.socks_username, "<torS0X>0");
    assert_string_equal(event.circuit.socks_password, "00112233445566778899aabbccddeeff");
    assert_string_equal(event.circuit.conflux_id, "0011223344556677");
}

static void a_circuit_without_a_path_is_read(void **state)
{
    (void)state;
    assert_int_equal(
        parse("CIRC 3 CLOSED BUILD_FLAGS=X PURPOSE=GENERAL REASON=DESTROYED REMOTE_REASON=TORPROTOCOL"), 0);
    assert_int_equal(event.circuit.hops, 0);
    assert_string_equal(event.circuit.status, "CLOSED");
    assert_string_equal(event.circuit.reason, "DESTROYED");
    assert_string_equal(event.circuit.remote_reason, "TORPROTOCOL");
    assert_string_equal(event.circuit.socks_password, "");
    assert_int_equal(parse("CIRC 3 LAUNCHED"), 0);
}

static void a_path_of_too_many_hops_is_cut(void **state)
{
    (void)state;
    char text[4096] = "CIRC 1 EXTENDED $" A40;
    size_t n = strlen(text);
    for (unsigned i = 0; i < CONTROL_PATH_MAX + 4; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, ",$" B40);
    assert_int_equal(parse(text), 0);
    assert_int_equal(event.circuit.hops, CONTROL_PATH_MAX);
}

static void the_end_of_a_stream_tells_who_ended_it(void **state)
{
    (void)state;
    assert_int_equal(parse("STREAM 45 CLOSED 12 www.example.com:443 REASON=END REMOTE_REASON=CONNRESET "
                           "SOCKS_USERNAME=\"<torS0X>0\" SOCKS_PASSWORD=\"aa\" CLIENT_PROTOCOL=SOCKS5 NYM_EPOCH=0 "
                           "SESSION_GROUP=-2 ISO_FIELDS=SOCKS_USERNAME,SOCKS_PASSWORD,CLIENTADDR,SESSION_GROUP"),
                     0);
    assert_int_equal(event.kind, CONTROL_EVENT_STREAM);
    assert_int_equal(event.stream.id, 45);
    assert_string_equal(event.stream.status, "CLOSED");
    assert_int_equal(event.stream.circuit, 12);
    assert_string_equal(event.stream.target, "www.example.com:443");
    assert_string_equal(event.stream.reason, "END");
    assert_string_equal(event.stream.remote_reason, "CONNRESET");
    assert_string_equal(event.stream.socks_password, "aa");
}

static void a_new_stream_has_a_source_and_a_purpose(void **state)
{
    (void)state;
    assert_int_equal(parse("STREAM 1 NEW 0 [2001:db8::1]:80 SOURCE_ADDR=(Tor_internal):0 PURPOSE=USER"), 0);
    assert_int_equal(event.stream.circuit, 0);
    assert_string_equal(event.stream.target, "[2001:db8::1]:80");
    assert_string_equal(event.stream.purpose, "USER");
    assert_int_equal(parse("STREAM 1 REMAP 4 192.0.2.1:80 SOURCE=EXIT"), 0);
    assert_string_equal(event.stream.source, "EXIT");
}

static void quoted_values_are_unescaped(void **state)
{
    (void)state;
    assert_int_equal(parse("STREAM 1 NEW 0 a:1 SOCKS_USERNAME=\"a\\\"b\\\\c d=e\\n\\101\" SOCKS_PASSWORD=\"x\""),
                     0);
    assert_string_equal(event.stream.socks_username, "a\"b\\c d=e\nA");
    assert_string_equal(event.stream.socks_password, "x");
}

static void a_value_in_quotes_cannot_pass_for_another_keyword(void **state)
{
    (void)state;
    assert_int_equal(parse("STREAM 1 NEW 0 a:1 SOCKS_USERNAME=\"u SOCKS_PASSWORD=forged\" SOCKS_PASSWORD=\"real\""),
                     0);
    assert_string_equal(event.stream.socks_password, "real");
    assert_int_equal(parse("STREAM 1 NEW 0 a:1 SOCKS_PASSWORD=\"real\" X=\" SOCKS_PASSWORD=forged\""), 0);
    assert_string_equal(event.stream.socks_password, "real");
}

static void logs_are_passed_on_as_they_are(void **state)
{
    (void)state;
    assert_int_equal(parse("WARN Something is \"odd\" here=there"), 0);
    assert_int_equal(event.kind, CONTROL_EVENT_LOG);
    assert_string_equal(event.log.severity, "WARN");
    assert_string_equal(event.log.text, "Something is \"odd\" here=there");
}

static void events_that_nobody_looks_into_are_no_error(void **state)
{
    (void)state;
    assert_int_equal(parse("BW 12 34"), 0);
    assert_int_equal(event.kind, CONTROL_EVENT_OTHER);
    assert_string_equal(event.name, "BW");
}

static void unknown_keywords_and_any_order_are_borne(void **state)
{
    (void)state;
    assert_int_equal(parse("STREAM 1 CLOSED 2 a:1 NEW_THING=\"q r\" FLAG SOCKS_PASSWORD=p REASON=DONE  OTHER="), 0);
    assert_string_equal(event.stream.reason, "DONE");
    assert_string_equal(event.stream.socks_password, "p");
}

static void malformed_events_are_errors(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "CIRC",
        "CIRC x BUILT",
        "CIRC -1 BUILT",
        "CIRC 1",
        "CIRC 18446744073709551616 BUILT",
        "CIRC 1 BUILT $123~a",
        "CIRC 1 BUILT SOCKS_USERNAME=\"open\\",
        "CIRC 1 BUILT SOCKS_USERNAME=\"open\\\"",
        "CIRC 1 BUILT SOCKS_USERNAME=\"a\"b",
        "STREAM",
        "STREAM 1",
        "STREAM 1 NEW",
        "STREAM 1 NEW 0",
        "STREAM 1 NEW x a:1",
        "STREAM 1 NEW 0 a:1 X=\"",
        "STATUS_CLIENT",
        "STATUS_CLIENT NOTICE",
        "STATUS_CLIENT NOTICE BOOTSTRAP",
        "STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=101 TAG=x",
        "STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=-1 TAG=x",
        "STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=1x TAG=x",
        "STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=1 SUMMARY=\"x",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (parse(bad[i]) != -EPROTO)
            fail_msg("accepted: %s", bad[i]);

    static const char *const after[] = {"!a", "A", "~a,", "~a,b", "~a SOCKS_USERNAME=\"open"};
    for (size_t i = 0; i < sizeof(after) / sizeof(*after); i++) {
        char text[128];
        snprintf(text, sizeof(text), "CIRC 1 BUILT $%s%s", A40, after[i]);
        if (parse(text) != -EPROTO)
            fail_msg("accepted: %s", text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bootstrap_progress_is_read),
        cmocka_unit_test(a_bootstrap_that_is_stuck_says_why),
        cmocka_unit_test(the_answer_to_getinfo_is_read_the_same_way),
        cmocka_unit_test(other_status_is_passed_on),
        cmocka_unit_test(what_tells_of_a_single_request_is_not_shown),
        cmocka_unit_test(a_circuit_has_a_path_and_what_isolates_it),
        cmocka_unit_test(a_circuit_without_a_path_is_read),
        cmocka_unit_test(a_path_of_too_many_hops_is_cut),
        cmocka_unit_test(the_end_of_a_stream_tells_who_ended_it),
        cmocka_unit_test(a_new_stream_has_a_source_and_a_purpose),
        cmocka_unit_test(quoted_values_are_unescaped),
        cmocka_unit_test(a_value_in_quotes_cannot_pass_for_another_keyword),
        cmocka_unit_test(logs_are_passed_on_as_they_are),
        cmocka_unit_test(events_that_nobody_looks_into_are_no_error),
        cmocka_unit_test(unknown_keywords_and_any_order_are_borne),
        cmocka_unit_test(malformed_events_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
