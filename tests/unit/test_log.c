/* SPDX-License-Identifier: BSD-3-Clause */
/* The log: what is not plain is escaped, what is too much is held back, who is nobody's business stays unnamed. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/log.h"

static char out[LOG_LINE_MAX];

static const char *format_text(const char *value)
{
    const struct log_field field = LOG_S("k", value);
    size_t n = log_format(out, sizeof(out), "e", &field, 1);
    assert_int_equal(n, strlen(out));
    return out;
}

static void plain_values_are_printed_as_they_are(void **state)
{
    (void)state;
    assert_string_equal(format_text("cloister0"), "event=e k=cloister0");
    assert_string_equal(format_text("10.152.152.10/18"), "event=e k=10.152.152.10/18");
}

static void values_with_blanks_quotes_or_equals_are_quoted(void **state)
{
    (void)state;
    assert_string_equal(format_text("Loading relays"), "event=e k=\"Loading relays\"");
    assert_string_equal(format_text("a=b"), "event=e k=\"a=b\"");
    assert_string_equal(format_text("say \"x\" \\ y"), "event=e k=\"say \\\"x\\\" \\\\ y\"");
    assert_string_equal(format_text(""), "event=e k=\"\"");
    assert_string_equal(format_text(NULL), "event=e k=-");
}

static void no_byte_breaks_a_line_or_speaks_to_a_terminal(void **state)
{
    char value[256];
    (void)state;
    for (int c = 1; c < 256; c++)
        value[c - 1] = (char)c;
    value[255] = '\0';
    format_text(value);
    for (size_t i = 0; out[i] != '\0'; i++)
        assert_in_range((unsigned char)out[i], 0x20, 0x7e);
    assert_non_null(strstr(out, "\\x1b"));
    assert_non_null(strstr(out, "\\n"));
    assert_non_null(strstr(out, "\\x9b"));
    assert_non_null(strstr(out, "\\x7f"));
    /* No pair in it that was not there before: an injected event stays inside of the quotes. */
    assert_string_equal(format_text("x\nevent=ready"), "event=e k=\"x\\nevent=ready\"");
    assert_string_equal(format_text("x\" event=\"ready"), "event=e k=\"x\\\" event=\\\"ready\"");
}

static void numbers_and_errors_are_printed(void **state)
{
    const struct log_field fields[] = {
        LOG_U("a", UINT64_MAX),
        LOG_I("b", -5),
        LOG_E("c", -ENOENT),
        LOG_E("d", ENOENT),
    };
    (void)state;
    log_format(out, sizeof(out), "e", fields, 4);
    assert_string_equal(out, "event=e a=18446744073709551615 b=-5 c=\"No such file or directory\" "
                             "d=\"No such file or directory\"");
}

static void a_value_is_cut_and_a_field_is_whole_or_not_there(void **state)
{
    static char big[8192];
    struct log_field fields[32];
    (void)state;
    memset(big, '\x01', sizeof(big) - 1);
    /* Each of 512 bytes becomes four: two of these fields fit, and no half one. */
    for (int i = 0; i < 32; i++)
        fields[i] = LOG_S("k", big);
    size_t n = log_format(out, sizeof(out), "e", fields, 32);
    assert_int_equal(n, strlen(out));
    assert_true(n < sizeof(out));
    assert_int_equal(out[n - 1], '"');
    for (size_t size = 1; size < 64; size++) {
        fields[0] = LOG_S("key", "a\x01\x01z");
        memset(out, '?', sizeof(out));
        n = log_format(out, size, "event", fields, 1);
        assert_true(n < size);
        assert_int_equal(out[n], '\0');
        assert_true(n < 11 || n == 11 || n == strlen("event=event key=\"a\\x01\\x01z\""));
        assert_int_equal(out[size], '?');
    }
}

static void a_place_may_write_a_burst_and_says_what_it_held_back(void **state)
{
    struct log_site site = {0};
    uint32_t suppressed = 99;
    (void)state;
    for (uint32_t i = 0; i < LOG_BURST; i++) {
        assert_true(log_site_pass(&site, LOG_BURST, 5000, &suppressed));
        assert_int_equal(suppressed, 0);
    }
    for (int i = 0; i < 1000; i++)
        assert_false(log_site_pass(&site, LOG_BURST, 5000 + LOG_INTERVAL_MS - 1, &suppressed));
    assert_true(log_site_pass(&site, LOG_BURST, 5000 + LOG_INTERVAL_MS, &suppressed));
    assert_int_equal(suppressed, 1000);
    assert_true(log_site_pass(&site, LOG_BURST, 5000 + LOG_INTERVAL_MS, &suppressed));
    assert_int_equal(suppressed, 0);
}

static void a_slow_place_is_never_held_back(void **state)
{
    struct log_site site = {0};
    uint32_t suppressed;
    (void)state;
    for (uint64_t now = 0; now < 1000000; now += 1000)
        assert_true(log_site_pass(&site, LOG_BURST, now, &suppressed));
}

static void two_places_do_not_share_a_limit(void **state)
{
    struct log_site a = {0}, b = {0};
    uint32_t suppressed;
    (void)state;
    for (uint32_t i = 0; i < LOG_BURST; i++)
        log_site_pass(&a, LOG_BURST, 0, &suppressed);
    assert_false(log_site_pass(&a, LOG_BURST, 0, &suppressed));
    assert_true(log_site_pass(&b, LOG_BURST, 0, &suppressed));
}

/* What log_event() writes to standard error, which is a pipe meanwhile. */
static int pipe_ends[2];
static int real_stderr;

static void capture_begin(void)
{
    assert_int_equal(pipe2(pipe_ends, O_NONBLOCK), 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(real_stderr >= 0);
    assert_int_equal(dup2(pipe_ends[1], STDERR_FILENO), STDERR_FILENO);
}

static const char *capture_end(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    ssize_t n = read(pipe_ends[0], out, sizeof(out) - 1);
    out[n > 0 ? n : 0] = '\0';
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    return out;
}

static void a_line_has_time_level_and_role(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, "test", false);
    capture_begin();
    errno = EPIPE;
    log_event(LOG_LEVEL_WARN, "ready", LOG_S("device", "cloister0"));
    assert_int_equal(errno, EPIPE);
    const char *line = capture_end();
    int year, n = 0;
    assert_int_equal(sscanf(line, "time=%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ level=warn role=test %n", &year, &n), 1);
    assert_true(year >= 2024);
    assert_string_equal(line + n, "event=ready device=cloister0\n");
}

static void a_level_that_is_off_writes_nothing(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_WARN, "test", false);
    capture_begin();
    log_event(LOG_LEVEL_INFO, "e", LOG_U("n", 1));
    log_event(LOG_LEVEL_DEBUG, "e", LOG_U("n", 1));
    assert_string_equal(capture_end(), "");
    capture_begin();
    log_event(LOG_LEVEL_ERROR, "e", LOG_U("n", 1));
    assert_non_null(strstr(capture_end(), "level=error"));
}

static void identities_are_printed_only_when_asked_for(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, "test", false);
    capture_begin();
    log_event(LOG_LEVEL_INFO, "flow", LOG_ID("target", "example.com:443"));
    assert_non_null(strstr(capture_end(), "event=flow target=-\n"));
    log_setup(LOG_LEVEL_INFO, "test", true);
    capture_begin();
    log_event(LOG_LEVEL_INFO, "flow", LOG_ID("target", "example.com:443"));
    assert_non_null(strstr(capture_end(), "event=flow target=example.com:443\n"));
}

static void a_flood_from_one_place_is_a_burst_in_the_log(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, "test", false);
    capture_begin();
    for (int i = 0; i < 500; i++)
        log_event(LOG_LEVEL_INFO, "e", LOG_U("n", 1));
    const char *lines = capture_end();
    unsigned count = 0;
    for (; *lines != '\0'; lines++)
        count += *lines == '\n';
    assert_int_equal(count, LOG_BURST);
}

static void levels_have_names(void **state)
{
    enum log_level level = LOG_LEVEL_ERROR;
    (void)state;
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_false(log_level_parse("Debug", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_values_are_printed_as_they_are),
        cmocka_unit_test(values_with_blanks_quotes_or_equals_are_quoted),
        cmocka_unit_test(no_byte_breaks_a_line_or_speaks_to_a_terminal),
        cmocka_unit_test(numbers_and_errors_are_printed),
        cmocka_unit_test(a_value_is_cut_and_a_field_is_whole_or_not_there),
        cmocka_unit_test(a_place_may_write_a_burst_and_says_what_it_held_back),
        cmocka_unit_test(a_slow_place_is_never_held_back),
        cmocka_unit_test(two_places_do_not_share_a_limit),
        cmocka_unit_test(a_line_has_time_level_and_role),
        cmocka_unit_test(a_level_that_is_off_writes_nothing),
        cmocka_unit_test(identities_are_printed_only_when_asked_for),
        cmocka_unit_test(a_flood_from_one_place_is_a_burst_in_the_log),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
