/* SPDX-License-Identifier: BSD-3-Clause */
/* Shares of something limited: see the essay in base/share.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/share.h"

#define WHOLE 1024u
#define MANY 8u

static void one_who_is_alone_gets_three_quarters(void **state)
{
    (void)state;
    uint32_t own = 0;
    while (share_has_room(own, own, WHOLE))
        own++;
    assert_int_equal(own, WHOLE / 4 * 3);
}

static void nobody_gets_what_is_not_there(void **state)
{
    (void)state;
    assert_false(share_has_room(0, WHOLE, WHOLE));
    assert_false(share_has_room(0, 0, 0));
    assert_true(share_has_room(0, UINT32_MAX - 1, UINT32_MAX));
    assert_true(
        share_has_room(UINT32_MAX / 2, UINT32_MAX / 2, UINT32_MAX)); /* three times that does not overflow */
}

/* All want all there is, the first ones came first, and each gives one back now and then. */
static void greedy_ones_draw_level_and_leave_some_to_one_more(void **state)
{
    (void)state;
    uint32_t own[MANY] = {0}, used = 0;
    for (unsigned round = 0; round < 2 * WHOLE; round++) {
        for (unsigned i = 0; i < MANY; i++) {
            while (share_has_room(own[i], used, WHOLE)) {
                own[i]++;
                used++;
            }
        }
        for (unsigned i = 0; i < MANY; i++) {
            used -= own[i] > 0;
            own[i] -= own[i] > 0;
        }
    }
    const uint32_t level = 3 * WHOLE / (3 * MANY + 1);
    for (unsigned i = 0; i < MANY; i++) /* the first in turn takes what the others gave back in this round */
        assert_in_range(own[i], level - 2 * MANY, level + 2 * MANY);
    assert_true(share_has_room(0, used, WHOLE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_who_is_alone_gets_three_quarters),
        cmocka_unit_test(nobody_gets_what_is_not_there),
        cmocka_unit_test(greedy_ones_draw_level_and_leave_some_to_one_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
