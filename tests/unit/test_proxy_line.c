/* SPDX-License-Identifier: BSD-3-Clause */
/* The line by which Tor tells of a visitor's circuit, and everything that is none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "socks/proxy_line.h"

static uint32_t circuit;

/* From a block of exactly its size, so that a sanitizer sees a read past it. */
static ssize_t parse_bytes(const char *text, size_t n)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    ssize_t result = proxy_line_parse(copy, n, &circuit);
    free(copy);
    return result;
}

static ssize_t parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static void a_line_tells_its_circuit(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0, 1, 0xffff, 0x10000, 0x12345678, UINT32_MAX};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char line[128];
        int n = snprintf(line, sizeof(line), "PROXY TCP6 fc00:dead:beef:4dad::%x:%x ::1 %u %u\r\n",
                         numbers[i] >> 16, numbers[i] & 0xffff, numbers[i] & 0xffff, 80u);
        circuit = 7;
        assert_int_equal(parse(line), n);
        assert_int_equal(circuit, numbers[i]);
    }
}

static void what_follows_the_line_is_left(void **state)
{
    (void)state;
    static const char line[] = "PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 2 80\r\n";
    char text[400];
    memset(text, '\n', sizeof(text));
    memcpy(text, line, sizeof(line) - 1);
    assert_int_equal(parse_bytes(text, sizeof(text)), sizeof(line) - 1);
    assert_int_equal(circuit, 0x10002);
}

static void a_part_of_a_line_is_waited_for(void **state)
{
    (void)state;
    static const char line[] = "PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 2 80\r\n";
    for (size_t n = 0; n < sizeof(line) - 1; n++)
        assert_int_equal(parse_bytes(line, n), 0);
    assert_int_equal(parse_bytes(line, sizeof(line) - 1), sizeof(line) - 1);
}

static void what_tor_does_not_write_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "G",
        "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
        "PROXY UNKNOWN\r\n",
        "PROXY TCP6 \r\n",
        "PROXY TCP6 fc00:dead:beef:4dad::1:2\r\n",
        "PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 2\r\n",
        "PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 2 80\n",
        "PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 2 80 \r\n",
        "PROXY TCP6  fc00:dead:beef:4dad::1:2 ::1 2 80\r\n",
        "PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 2 80\rx\r\n",
        "PROXY TCP6 fc00:dead:beef:4dae::1:2 ::1 2 80\r\n",
        "PROXY TCP6 fc00:dead:beef:4dad:1::1:2 ::1 2 80\r\n",
        "PROXY TCP6 fc00:dead:beef:4dad::1:2 ::2 2 80\r\n",
        "PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 65536 80\r\n",
        "PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 2 080\r\n",
        "PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 -2 80\r\n",
        "PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 2 999999\r\n",
        "\r\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(parse(bad[i]), -EPROTO);
    assert_int_equal(parse_bytes("PROXY TCP6 fc00:dead:beef:4dad::1:2\0 ::1 2 80\r\n", 48), -EPROTO);
    assert_int_equal(parse_bytes("PROXY TCP6 fc\0", 14), -EPROTO);
}

static void a_line_without_an_end_is_refused_in_time(void **state)
{
    (void)state;
    char text[PROXY_LINE_MAX + 10];
    memset(text, '1', sizeof(text));
    memcpy(text, "PROXY TCP6 ", 11);
    assert_int_equal(parse_bytes(text, PROXY_LINE_MAX - 1), 0);
    assert_int_equal(parse_bytes(text, PROXY_LINE_MAX), -EPROTO);
    assert_int_equal(parse_bytes(text, sizeof(text)), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_tells_its_circuit),
        cmocka_unit_test(what_follows_the_line_is_left),
        cmocka_unit_test(a_part_of_a_line_is_waited_for),
        cmocka_unit_test(what_tor_does_not_write_is_refused),
        cmocka_unit_test(a_line_without_an_end_is_refused_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
