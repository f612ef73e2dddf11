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

#include "socks/control.h"

/* What the callbacks were told, one line each. */
static char heard[8192];

#define note(...) snprintf(heard + strlen(heard), sizeof(heard) - strlen(heard), __VA_ARGS__)

static void on_event(void *ctx, struct control_event *event)
{
    (void)ctx;
    note("event %s\n", event->name);
}

static void on_done(void *ctx, unsigned what, unsigned code, const char *text)
{
    (void)ctx;
    note("done %u %u %s\n", what, code, text);
}

static void on_info(void *ctx, const char *key, const char *value)
{
    (void)ctx;
    note("info [%s] [%s]\n", key, value);
}

static struct control *new_control(void)
{
    static struct control control;
    static const struct control_ops ops = {.event = on_event, .done = on_done, .info = on_info};
    control_init(&control, &ops, NULL);
    heard[0] = '\0';
    return &control;
}

static int input(struct control *control, const char *text)
{
    return control_input(control, text, strlen(text));
}

static const char conversation[] = "250-version=0.4.9.11\r\n"
                                   "250 OK\r\n"
                                   "650 CIRC 7 LAUNCHED\r\n"
                                   "250+config-text=\r\n"
                                   "SocksPort 0\r\n"
                                   "..dotted\r\n"
                                   "\r\n"
                                   "250 not an answer\r\n"
                                   ".\r\n"
                                   "250 OK\r\n"
                                   "552 Unrecognized event\r\n"
                                   "650 STREAM 1 NEW 0 a.example:80\r\n";
static const char conversation_heard[] = "info [version] [0.4.9.11]\n"
                                         "done 1 250 OK\n"
                                         "event CIRC\n"
                                         "info [] [SocksPort 0]\n"
                                         "info [] [.dotted]\n"
                                         "info [] []\n"
                                         "info [] [250 not an answer]\n"
                                         "done 2 250 OK\n"
                                         "done 3 552 Unrecognized event\n"
                                         "event STREAM\n";

static void answers_and_events_are_told_apart_and_in_order(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= sizeof(conversation); piece++) {
        struct control *control = new_control();
        for (unsigned what = 1; what <= 3; what++)
            assert_int_equal(control_command(control, what, "GETINFO x"), 0);
        size_t n = sizeof(conversation) - 1;
        for (size_t at = 0; at < n; at += piece) {
            size_t part = n - at < piece ? n - at : piece;
            assert_int_equal(control_input(control, conversation + at, part), 0);
        }
        assert_string_equal(heard, conversation_heard);
        assert_int_equal(control->bad_events, 0);
    }
}

static void lines_that_end_without_carriage_return_are_taken(void **state)
{
    (void)state;
    struct control *control = new_control();
    assert_int_equal(control_command(control, 5, "GETINFO x"), 0);
    assert_int_equal(input(control, "250 OK\n"), 0);
    assert_string_equal(heard, "done 5 250 OK\n");
}

static void broken_framing_ends_the_session_for_good(void **state)
{
    (void)state;
    static const char *const bad[] = {"25\r\n",     "\r\n",       "hello world\r\n", "2500 OK\r\n",
                                      "250_OK\r\n", "050 OK\r\n", "2x0 OK\r\n",      "250\r\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct control *control = new_control();
        assert_int_equal(control_command(control, 1, "GETINFO x"), 0);
        assert_int_equal(input(control, bad[i]), -EPROTO);
        assert_int_equal(input(control, "250 OK\r\n"), -EPROTO);
        assert_int_equal(control_command(control, 2, "GETINFO x"), -EPROTO);
        assert_string_equal(heard, "");
    }
}

static void a_nul_byte_ends_the_session(void **state)
{
    (void)state;
    struct control *control = new_control();
    assert_int_equal(control_input(control, "650 A\0B\r\n", 9), -EPROTO);
}

static void an_answer_to_nothing_ends_the_session(void **state)
{
    (void)state;
    struct control *control = new_control();
    assert_int_equal(input(control, "250 OK\r\n"), -EPROTO);
}

static void a_line_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
    (void)state;
    static char line[CONTROL_LINE_MAX + 8];
    memset(line, 'x', sizeof(line));
    memcpy(line, "650 ", 4);
    line[CONTROL_LINE_MAX] = '\n';
    line[CONTROL_LINE_MAX + 1] = '\0';
    struct control *control = new_control();
    assert_int_equal(input(control, line), 0);
    assert_int_equal(strncmp(heard, "event xxx", 9), 0);

    line[CONTROL_LINE_MAX] = 'x';
    line[CONTROL_LINE_MAX + 1] = '\n';
    line[CONTROL_LINE_MAX + 2] = '\0';
    control = new_control();
    assert_int_equal(input(control, line), -EMSGSIZE);
    for (size_t piece = 1; piece < 6000; piece = piece * 7 + 1) { /* in pieces, without an end in sight */
        control = new_control();
        int err = 0;
        for (size_t at = 0; at < CONTROL_LINE_MAX + 1 && err == 0; at += piece)
            err = control_input(control, line + at,
                                CONTROL_LINE_MAX + 1 - at < piece ? CONTROL_LINE_MAX + 1 - at : piece);
        assert_int_equal(err, -EMSGSIZE);
    }
}

static void an_event_that_makes_no_sense_is_passed_over_and_counted(void **state)
{
    (void)state;
    struct control *control = new_control();
    assert_int_equal(input(control, "650 CIRC what\r\n650 CIRC 3 BUILT\r\n"), 0);
    assert_string_equal(heard, "event CIRC\n");
    assert_int_equal(control->bad_events, 1);
}

static void events_of_several_lines_are_passed_over(void **state)
{
    (void)state;
    struct control *control = new_control();
    assert_int_equal(input(control, "650-CONF_CHANGED\r\n650-SocksPort=9\r\n650 OK\r\n"
                                    "650+NS\r\nr x y\r\n.\r\n650 OK\r\n650 CIRC 3 BUILT\r\n"),
                     0);
    assert_string_equal(heard, "event OK\nevent OK\nevent CIRC\n");
}

static void commands_go_out_in_order_and_only_once(void **state)
{
    (void)state;
    struct control *control = new_control();
    assert_int_equal(control_command(control, 1, CONTROL_COMMAND_EVENTS), 0);
    assert_int_equal(control_command(control, 2, CONTROL_COMMAND_HALT), 0);
    static const char want[] = CONTROL_COMMAND_EVENTS "\r\nSIGNAL HALT\r\n";
    size_t len;
    const char *out = control_output(control, &len);
    assert_int_equal(len, strlen(want));
    assert_memory_equal(out, want, len);
    control_output_sent(control, 10);
    out = control_output(control, &len);
    assert_int_equal(len, strlen(want) - 10);
    assert_memory_equal(out, want + 10, len);
    control_output_sent(control, len);
    control_output(control, &len);
    assert_int_equal(len, 0);
}

static void a_command_cannot_smuggle_in_another(void **state)
{
    (void)state;
    struct control *control = new_control();
    assert_int_equal(control_command(control, 1, "GETINFO x\r\nSIGNAL HALT"), -EINVAL);
    assert_int_equal(control_command(control, 1, "GETINFO x\n"), -EINVAL);
    assert_int_equal(control_command(control, 1, ""), -EINVAL);
    size_t len;
    control_output(control, &len);
    assert_int_equal(len, 0);
}

static void commands_under_way_and_output_are_bounded(void **state)
{
    (void)state;
    struct control *control = new_control();
    for (unsigned i = 0; i < CONTROL_PENDING_MAX; i++)
        assert_int_equal(control_command(control, i, "GETINFO x"), 0);
    assert_int_equal(control_command(control, 99, "GETINFO x"), -ENOBUFS);
    for (unsigned i = 0; i < 3 * CONTROL_PENDING_MAX; i++) { /* around the ring */
        char want[32];
        heard[0] = '\0';
        snprintf(want, sizeof(want), "done %u 250 OK\n", i);
        assert_int_equal(input(control, "250 OK\r\n"), 0);
        assert_string_equal(heard, want);
        control_output_sent(control, CONTROL_OUTPUT_MAX);
        assert_int_equal(control_command(control, i + CONTROL_PENDING_MAX, "GETINFO x"), 0);
    }
    control = new_control();
    char big[CONTROL_OUTPUT_MAX];
    memset(big, 'x', sizeof(big));
    big[CONTROL_OUTPUT_MAX - 1] = '\0';
    assert_int_equal(control_command(control, 1, big), -ENOBUFS);
    big[CONTROL_OUTPUT_MAX - 2] = '\0';
    assert_int_equal(control_command(control, 1, big), 0);
}

static void callbacks_may_be_missing(void **state)
{
    (void)state;
    static struct control control;
    static const struct control_ops none = {0};
    control_init(&control, &none, NULL);
    assert_int_equal(control_command(&control, 1, "GETINFO x"), 0);
    assert_int_equal(input(&control, "250-a=b\r\n250 OK\r\n650 CIRC 3 BUILT\r\n"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_and_events_are_told_apart_and_in_order),
        cmocka_unit_test(lines_that_end_without_carriage_return_are_taken),
        cmocka_unit_test(broken_framing_ends_the_session_for_good),
        cmocka_unit_test(a_nul_byte_ends_the_session),
        cmocka_unit_test(an_answer_to_nothing_ends_the_session),
        cmocka_unit_test(a_line_may_be_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(an_event_that_makes_no_sense_is_passed_over_and_counted),
        cmocka_unit_test(events_of_several_lines_are_passed_over),
        cmocka_unit_test(commands_go_out_in_order_and_only_once),
        cmocka_unit_test(a_command_cannot_smuggle_in_another),
        cmocka_unit_test(commands_under_way_and_output_are_bounded),
        cmocka_unit_test(callbacks_may_be_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
