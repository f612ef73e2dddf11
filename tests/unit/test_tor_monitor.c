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

static void on_broken(void *ctx, const char *text, int error)
{
    (void)ctx;
    (void)error;
    broken++;
    strncpy(why, text, sizeof(why) - 1);
}

static int set_up(void **state)
{
    static const struct tor_monitor_ops ops = {.bootstrapped = on_bootstrapped, .broken = on_broken};
    int ends[2];
    (void)state;
    bootstrapped = broken = 0;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tor_is_up_once_it_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_clock_far_off_is_a_reason_to_end_with, set_up, tear_down),
        cmocka_unit_test_setup_teardown(but_not_once_tor_is_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(skew_is_read_wherever_it_stands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_the_connection_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tor_that_hangs_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tor_that_answers_does_not, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
