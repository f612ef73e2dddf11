/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/drop.h"

static void every_reason_has_a_name_of_its_own_and_a_sentence(void **state)
{
    (void)state;
    for (int i = 0; i < DROP_COUNT; i++) {
        const char *name = drop_name((enum drop)i);
        assert_true(strlen(name) > 2);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(name));
        assert_true(strlen(drop_text((enum drop)i)) > strlen(name));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(name, drop_name((enum drop)k));
    }
}

static void a_number_that_is_no_reason_is_survived(void **state)
{
    (void)state;
    assert_string_equal(drop_name(DROP_COUNT), "unknown");
    assert_string_equal(drop_text(DROP_COUNT), "unknown");
}

static void counting_one_reason_leaves_the_others(void **state)
{
    (void)state;
    struct drops d = {{0}};
    drop_count(&d, DROP_UDP);
    drop_count(&d, DROP_UDP);
    for (int i = 0; i < DROP_COUNT; i++)
        assert_int_equal(d.by[i], i == DROP_UDP ? 2 : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_has_a_name_of_its_own_and_a_sentence),
        cmocka_unit_test(a_number_that_is_no_reason_is_survived),
        cmocka_unit_test(counting_one_reason_leaves_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
