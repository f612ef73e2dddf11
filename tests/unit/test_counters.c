/* SPDX-License-Identifier: BSD-3-Clause */
/* The line of counters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/counters.h"

static char line[LOG_LINE_MAX];

static const char *format(const struct counters *counters)
{
    struct log_field fields[COUNTERS_FIELDS_MAX];
    size_t n = counters_fields(counters, fields);
    log_format(line, sizeof(line), "counters", fields, n);
    return line;
}

static void a_fresh_gateway_has_zeros_and_no_reasons(void **state)
{
    struct counters counters = {0};
    (void)state;
    assert_string_equal(format(&counters), "event=counters flows=0 active=0 up_bytes=0 down_bytes=0 drops=0");
}

static void only_reasons_that_struck_are_named_and_drops_is_their_sum(void **state)
{
    struct counters counters = {.flows = 3, .active = 1, .up_bytes = 20, .down_bytes = 4000000000000};
    (void)state;
    counters.drops.by[DROP_UDP] = 7;
    counters.drops.by[DROP_TCP_BAD] = 2;
    assert_string_equal(format(&counters), "event=counters flows=3 active=1 up_bytes=20 down_bytes=4000000000000 "
                                           "drops=9 drop_udp=7 drop_tcp_bad=2");
}

static void drops_of_several_layers_add_up(void **state)
{
    struct counters counters = {0};
    struct drops a = {0}, b = {0};
    (void)state;
    a.by[DROP_UDP] = 1;
    b.by[DROP_UDP] = 2;
    b.by[DROP_ICMP] = 5;
    counters_add_drops(&counters, &a);
    counters_add_drops(&counters, &b);
    assert_int_equal(counters.drops.by[DROP_UDP], 3);
    assert_int_equal(counters.drops.by[DROP_ICMP], 5);
}

static void the_longest_line_is_not_cut(void **state)
{
    struct counters counters = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, {{0}}};
    (void)state;
    for (unsigned i = 0; i < DROP_COUNT; i++)
        counters.drops.by[i] = UINT64_MAX;
    format(&counters);
    for (unsigned i = 0; i < DROP_COUNT; i++) {
        char want[64];
        snprintf(want, sizeof(want), " drop_%s=18446744073709551615", drop_name((enum drop)i));
        for (char *dash; (dash = strchr(want, '-')) != NULL;)
            *dash = '_';
        assert_non_null(strstr(line, want));
    }
    assert_true(strlen(line) < LOG_LINE_MAX - 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_gateway_has_zeros_and_no_reasons),
        cmocka_unit_test(only_reasons_that_struck_are_named_and_drops_is_their_sum),
        cmocka_unit_test(drops_of_several_layers_add_up),
        cmocka_unit_test(the_longest_line_is_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
