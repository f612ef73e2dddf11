/* SPDX-License-Identifier: BSD-3-Clause */
/* The supervisor's ear at Tor, with a test that plays Tor at the other end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "daemon/log.h"
#include "daemon/tor_monitor.h"

static uv_loop_t loop;
static struct tor_monitor monitor;
static int tor;
static unsigned bootstrapped, broken;
static char why[256];

static void on_bootstrapped(void *ctx)
{
    (void)ctx;
    bootstrapped++;
}

static uint64_t ended_keys[256];
static bool ended_clean[256];
static unsigned ended, ended_calls;

static void on_streams_ended(void *ctx, const uint64_t *keys, const bool *clean, unsigned count)
{
    (void)ctx;
    ended_calls++;
    assert_in_range(count, 1, TOR_MONITOR_ENDED_MAX);
    for (unsigned i = 0; i < count; i++, ended++) {
        ended_keys[ended] = keys[i];
        ended_clean[ended] = clean[i];
    }
}

static void on_broken(void *ctx, const char *text, int error)
{
    (void)ctx;
    (void)error;
    broken++;
    strncpy(why, text, sizeof(why) - 1);
}

static unsigned looked_up;

static void on_looked_up(void *ctx)
{
    (void)ctx;
    looked_up++;
}

static int set_up(void **state)
{
    static const struct tor_monitor_ops ops = {.streams_ended = on_streams_ended,
                                               .looked_up = on_looked_up,
                                               .bootstrapped = on_bootstrapped,
                                               .broken = on_broken};
    int ends[2];
    (void)state;
    bootstrapped = broken = looked_up = ended = ended_calls = 0;
    memset(&monitor, 0, sizeof(monitor));
    log_setup(LOG_LEVEL_ERROR, "test", false);
    if (uv_loop_init(&loop) != 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    tor = ends[1];
    return tor_monitor_start(&monitor, &loop, ends[0], &ops, NULL);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    uv_walk(&loop, close_handle, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    close(monitor.fd);
    circuits_fini(&monitor.circuits);
    countries_fini(&monitor.countries);
    if (tor >= 0)
        close(tor);
    return uv_loop_close(&loop);
}

static void say(const char *text)
{
    assert_int_equal(write(tor, text, strlen(text)), (ssize_t)strlen(text));
    uv_run(&loop, UV_RUN_NOWAIT);
}

static void tor_is_up_once_it_says_so(void **state)
{
    (void)state;
    say("250 OK\r\n250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=90 TAG=x SUMMARY=\"y\"\r\n250 OK\r\n250 "
        "OK\r\n");
    assert_int_equal(bootstrapped, 0);
    say("650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"\r\n");
    say("650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"\r\n");
    assert_int_equal(bootstrapped, 1);
    assert_int_equal(broken, 0);
}

static void a_clock_far_off_is_a_reason_to_end_with(void **state)
{
    (void)state;
    say("650 STATUS_GENERAL WARN CLOCK_SKEW SKEW=1200 MIN_SKEW=1200 SOURCE=CONSENSUS\r\n");
    assert_int_equal(broken, 0);
    say("650 STATUS_GENERAL WARN CLOCK_SKEW SKEW=-172800 SOURCE=CONSENSUS\r\n");
    assert_int_equal(broken, 1);
    assert_non_null(strstr(why, "172800 seconds slow"));
}

static void but_not_once_tor_is_up(void **state)
{
    (void)state;
    say("650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"\r\n");
    say("650 STATUS_GENERAL WARN CLOCK_SKEW SKEW=172800 SOURCE=OR:1.2.3.4:9001\r\n");
    assert_int_equal(broken, 0);
}

static void certificates_that_are_over_mean_a_clock_that_is_fast(void **state)
{
    (void)state;
    say("650 WARN Received a bad CERTS cell: At least one certificate expired.\r\n");
    say("650 WARN Something else.\r\n");
    say("650 WARN Received a bad CERTS cell: At least one certificate expired.\r\n");
    assert_int_equal(broken, 0);
    say("650 WARN Received a bad CERTS cell: At least one certificate expired.\r\n");
    assert_int_equal(broken, 1);
    assert_non_null(strstr(why, "days fast"));
}

static void but_not_while_a_relay_is_there(void **state)
{
    (void)state;
    say("650 ORCONN $0123456789012345678901234567890123456789~a CONNECTED ID=1\r\n");
    for (unsigned i = 0; i < 5; i++)
        say("650 WARN Received a bad CERTS cell: At least one certificate expired.\r\n");
    assert_int_equal(broken, 0);
}

static void skew_is_read_wherever_it_stands(void **state)
{
    (void)state;
    assert_int_equal(tor_monitor_skew("SKEW=7200"), 7200);
    assert_int_equal(tor_monitor_skew("SOURCE=CONSENSUS SKEW=-7200 X=1"), -7200);
    assert_int_equal(tor_monitor_skew("MIN_SKEW=7200"), 0);
    assert_int_equal(tor_monitor_skew("SKEW=3599"), 0);
    assert_int_equal(tor_monitor_skew("SKEW="), 0);
    assert_int_equal(tor_monitor_skew(""), 0);
}

static void the_end_of_the_connection_is_told(void **state)
{
    char commands[4096];
    (void)state;
    assert_true(read(tor, commands, sizeof(commands)) > 0);
    close(tor);
    tor = -1;
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(broken, 1);
    assert_non_null(strstr(why, "closed"));
}

/* The timer is fired by hand: nobody wants to wait for it. */
static void beat(uint64_t ms_later)
{
    if (monitor.heard >= ms_later)
        monitor.heard -= ms_later;
    monitor.heartbeat.timer_cb(&monitor.heartbeat);
}

static void a_tor_that_hangs_is_told(void **state)
{
    char asked[4096] = "";
    (void)state;
    monitor.heard = UINT64_C(1) << 40; /* room to go back in */
    loop.time = monitor.heard;
    beat(0);
    assert_true(read(tor, asked, sizeof(asked) - 1) > 0);
    assert_non_null(strstr(asked, "GETINFO uptime\r\n"));
    beat(10000);
    assert_int_equal(broken, 0);
    beat(30000);
    assert_int_equal(broken, 1);
    assert_non_null(strstr(why, "hangs"));
}

static void a_tor_that_answers_does_not(void **state)
{
    (void)state;
    monitor.heard = UINT64_C(1) << 40;
    loop.time = monitor.heard;
    beat(0);
    say("250 OK\r\n250 OK\r\n250 OK\r\n250-uptime=7\r\n250 OK\r\n");
    loop.time = monitor.heard;
    beat(30000);
    beat(0);
    assert_int_equal(broken, 0);
}

#define CREDENTIAL "SOCKS_USERNAME=\"<torS0X>0\" SOCKS_PASSWORD=\"00112233445566778899aabbccddeeff\""

static void how_streams_end_is_told_at_once_for_all_that_came_together(void **state)
{
    (void)state;
    say("650 STREAM 5 CLOSED 7 192.0.2.1:80 REASON=END REMOTE_REASON=DONE " CREDENTIAL "\r\n"
        "650 STREAM 6 CLOSED 7 192.0.2.1:80 REASON=END REMOTE_REASON=CONNRESET " CREDENTIAL "\r\n"
        "650 STREAM 7 CLOSED 7 192.0.2.1:80 REASON=DESTROY " CREDENTIAL "\r\n");
    assert_int_equal(ended_calls, 1);
    assert_int_equal(ended, 3);
    assert_int_equal(ended_keys[0], 0x0011223344556677);
    assert_true(ended_clean[0]);
    assert_false(ended_clean[1]);
    assert_false(ended_clean[2]);
}

static void what_we_closed_ourselves_and_what_is_not_ours_is_not_told(void **state)
{
    (void)state;
    say("650 STREAM 5 CLOSED 7 192.0.2.1:80 REASON=DONE " CREDENTIAL "\r\n"
        "650 STREAM 5 SUCCEEDED 7 192.0.2.1:80 " CREDENTIAL "\r\n"
        "650 STREAM 5 CLOSED 7 192.0.2.1:80 REASON=END REMOTE_REASON=DONE\r\n"
        "650 STREAM 5 CLOSED 7 192.0.2.1:80 REASON=END SOCKS_PASSWORD=\"secret\"\r\n");
    assert_int_equal(ended, 0);
}

static void more_than_one_message_holds_are_told_in_several(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        static char text[16384];
        text[0] = '\0';
        for (unsigned i = 0; i < 80; i++)
            strcat(text, "650 STREAM 5 CLOSED 7 192.0.2.1:80 REASON=DESTROY " CREDENTIAL "\r\n");
        say(text);
    }
    assert_int_equal(ended, 160);
    assert_in_range(ended_calls, 4, 8);
}

#define GUARD "00112233445566778899AABBCCDDEEFF01234567"
#define EXIT_ "99112233445566778899AABBCCDDEEFF01234567"

/* What Tor was asked since the last time. */
static const char *heard(void)
{
    static char text[8192];
    ssize_t n = recv(tor, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void countries_are_asked_for_when_somebody_looks_and_told_when_all_are_there(void **state)
{
    static const uint8_t exit_[20] = {0x99, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99,
                                      0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01, 0x23, 0x45, 0x67};
    (void)state;
    say("250 OK\r\n250 OK\r\n250 OK\r\n650 CIRC 7 BUILT $" GUARD "~guard,$" EXIT_ "~exit PURPOSE=GENERAL\r\n");
    heard();
    assert_false(tor_monitor_look_up(&monitor, false)); /* it carries nothing of ours */
    assert_string_equal(heard(), "");
    say("650 STREAM 5 SENTCONNECT 7 192.0.2.1:80 " CREDENTIAL "\r\n");
    assert_string_equal(heard(), ""); /* nobody looks */
    assert_true(tor_monitor_look_up(&monitor, false));
    assert_string_equal(heard(), "GETINFO ip-to-country/ipv4-available\r\n");
    say("250-ip-to-country/ipv4-available=1\r\n250 OK\r\n");
    assert_string_equal(heard(), "GETINFO ns/id/" GUARD "\r\nGETINFO ns/id/" EXIT_ "\r\n");
    say("552 Unrecognized key \"ns/id/" GUARD "\"\r\n");
    assert_int_equal(looked_up, 0);
    say("250+ns/id/" EXIT_
        "=\r\nr exit AAA BBB 2026-01-01 00:00:00 198.18.18.1 9001 0\r\ns Exit Fast\r\n.\r\n250 OK\r\n");
    assert_string_equal(heard(), "GETINFO ip-to-country/198.18.18.1\r\n");
    say("250-ip-to-country/198.18.18.1=de\r\n250 OK\r\n");
    assert_int_equal(looked_up, 1);
    assert_string_equal(countries_of(&monitor.countries, exit_), "de");
    assert_false(tor_monitor_look_up(&monitor, true));
    assert_int_equal(broken, 0);
}

static void a_tor_without_a_list_is_asked_once(void **state)
{
    (void)state;
    say("250 OK\r\n250 OK\r\n250 OK\r\n650 CIRC 7 BUILT $" GUARD "~guard,$" EXIT_ "~exit PURPOSE=GENERAL\r\n");
    heard();
    assert_true(tor_monitor_look_up(&monitor, true));
    say("250-ip-to-country/ipv4-available=0\r\n250 OK\r\n");
    assert_int_equal(looked_up, 1);
    heard();
    assert_false(tor_monitor_look_up(&monitor, true));
    assert_string_equal(heard(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tor_is_up_once_it_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_clock_far_off_is_a_reason_to_end_with, set_up, tear_down),
        cmocka_unit_test_setup_teardown(but_not_once_tor_is_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(certificates_that_are_over_mean_a_clock_that_is_fast, set_up, tear_down),
        cmocka_unit_test_setup_teardown(but_not_while_a_relay_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(skew_is_read_wherever_it_stands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_the_connection_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tor_that_hangs_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tor_that_answers_does_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(how_streams_end_is_told_at_once_for_all_that_came_together, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_we_closed_ourselves_and_what_is_not_ours_is_not_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(countries_are_asked_for_when_somebody_looks_and_told_when_all_are_there,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tor_without_a_list_is_asked_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_one_message_holds_are_told_in_several, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
