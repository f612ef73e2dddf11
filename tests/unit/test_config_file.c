/* SPDX-License-Identifier: BSD-3-Clause */
/* What may be wrong with a configuration file as a file: lines, sections, bytes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config_rig.h"

static void a_section_may_be_opened_twice_and_lines_may_end_like_on_windows(void **state)
{
    (void)state;
    assert_int_equal(load("[tor]\r\nmode = external\r\n[log]\r\nlevel = debug\r\n[tor]\r\n"
                          "socks = unix:/run/tor/socks\r\n"),
                     0);
    assert_int_equal(config.mode, CONFIG_MODE_EXTERNAL);
    assert_string_equal(config.socks, "/run/tor/socks");
}

static void the_last_line_needs_no_newline(void **state)
{
    (void)state;
    assert_int_equal(load("[workstation]\nmtu = 1400"), 0);
    assert_int_equal(config.mtu, 1400);
}

static void an_unknown_section_is_refused_also_without_keys(void **state)
{
    (void)state;
    expect_refused("[log]\n[wrkstation]\n", 2, "[wrkstation]: ");
    assert_non_null(strstr(config_error, "[workstation]"));
    expect_refused("[Tor]\nmode = embedded\n", 1, "[Tor]: ");
    expect_refused("[]\n", 1, "[]: ");
}

static void an_unknown_key_is_refused_with_those_there_are(void **state)
{
    (void)state;
    expect_refused("[tcp]\naccept = deferred\nhalf_close_time = 60\n", 3, "tcp.half_close_time: ");
    assert_non_null(strstr(config_error, "half_close_timeout"));
    expect_refused("[tcp]\nAccept = deferred\n", 2, "tcp.Accept: ");
}

static void nothing_but_a_comment_stands_behind_a_section(void **state)
{
    (void)state;
    expect_refused("[log] identities = no\n", 1, "[log]: there is something behind it");
    expect_refused("[workstation]\nmtu = 1400\n[tor]]\n", 3, "[tor]: ");
    expect_refused("[onion \"a\"] port = 80\n", 1, "[onion \"a\"]: ");
    assert_int_equal(load("[log] ; a comment\n[tor]\t# one more\n[tcp]  \r\n"), 0);
}

static void a_key_outside_of_a_section_is_refused(void **state)
{
    (void)state;
    expect_refused("mtu = 1500\n[workstation]\n", 1, "mtu: ");
}

static void what_is_neither_section_nor_key_is_refused(void **state)
{
    (void)state;
    expect_refused("[workstation]\nmtu 1500\n", 2, "neither");
    expect_refused("[workstation\nmtu = 1500\n", 1, "neither");
    /* The first error of the file is the one that is told. */
    expect_refused("[workstation]\nmtu 1500\nmtu = 1\n", 2, "neither");
    expect_refused("[workstation]\nmtu = 1\nmtu 1500\n", 2, "workstation.mtu: ");
}

static void an_indented_line_is_a_line_of_its_own(void **state)
{
    (void)state;
    expect_refused("[workstation]\nmtu = 1500\n  1600\n", 3, "neither");
}

static void a_line_is_never_cut(void **state)
{
    char text[1024];
    (void)state;
    /* One that fits, one that is a character too long, and one whose rest would make a good line. */
    for (int n = 150; n < 260; n++) {
        int at = snprintf(text, sizeof(text), "[tor]\n");
        at += snprintf(text + at, sizeof(text) - (size_t)at, "data = /%0*d\n", n - 8, 0);
        snprintf(text + at, sizeof(text) - (size_t)at, "mode = nonsense\n");
        assert_int_equal(load(text), -EINVAL);
        assert_non_null(strstr(config_error, n <= 197 ? "mode: " : ":2: the line is longer than 197"));
        if (n == 197 || n == 150)
            assert_null(strstr(config_error, "longer"));
    }
    int at = snprintf(text, sizeof(text), "[log]\n;%0*d", 250, 0);
    snprintf(text + at, sizeof(text) - (size_t)at, "\nlevel = info\n");
    expect_refused(text, 2, "the line is longer");
}

static void binary_data_is_refused(void **state)
{
    static const char nul[] = "[workstation]\nmtu = 1500\0\nmtu = 1\n";
    static const char elf[] = "\x7f"
                              "ELF\x02\x01\x01\0\0\0";
    char junk[4096];
    (void)state;
    assert_int_equal(load_bytes(nul, sizeof(nul) - 1), -EINVAL);
    assert_non_null(strstr(config_error, ":2: a byte that is no text (0x00)"));
    assert_int_equal(load_bytes(elf, sizeof(elf)), -EINVAL);
    uint32_t x = 1;
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof(junk); i++) {
            x = x * 1664525u + 1013904223u;
            junk[i] = (char)(x >> 24);
        }
        assert_int_equal(load_bytes(junk, sizeof(junk)), -EINVAL);
    }
}

static void an_escape_sequence_does_not_reach_the_terminal(void **state)
{
    (void)state;
    expect_refused("[workstation]\nmtu = \x1b[2J\n", 2, "a byte that is no text (0x1b)");
}

static void a_missing_file_and_a_directory_are_refused(void **state)
{
    (void)state;
    assert_int_equal(config_load(&config, "/nonexistent/cloister.conf", config_error), -ENOENT);
    assert_string_equal(config_error, "/nonexistent/cloister.conf: No such file or directory");
    assert_true(config_load(&config, "/tmp", config_error) < 0);
    assert_string_equal(config_error, "/tmp: Is a directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_section_may_be_opened_twice_and_lines_may_end_like_on_windows),
        cmocka_unit_test(the_last_line_needs_no_newline),
        cmocka_unit_test(an_unknown_section_is_refused_also_without_keys),
        cmocka_unit_test(an_unknown_key_is_refused_with_those_there_are),
        cmocka_unit_test(nothing_but_a_comment_stands_behind_a_section),
        cmocka_unit_test(a_key_outside_of_a_section_is_refused),
        cmocka_unit_test(what_is_neither_section_nor_key_is_refused),
        cmocka_unit_test(an_indented_line_is_a_line_of_its_own),
        cmocka_unit_test(a_line_is_never_cut),
        cmocka_unit_test(binary_data_is_refused),
        cmocka_unit_test(an_escape_sequence_does_not_reach_the_terminal),
        cmocka_unit_test(a_missing_file_and_a_directory_are_refused),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
