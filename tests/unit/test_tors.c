/* SPDX-License-Identifier: BSD-3-Clause */
/* Which Tor an identity asks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "socks/tors.h"

static struct socks_tors made(uint32_t count)
{
    struct socks_tors tors = {0};
    for (uint32_t i = 0; i < count; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/run/tor/%u", i);
        assert_int_equal(socks_tors_add(&tors, path), 0);
    }
    return tors;
}

static void one_is_asked_by_everybody(void **state)
{
    (void)state;
    struct socks_tors tors = made(1);
    assert_ptr_equal(socks_tors_of(&tors, 0), &tors.address[0]);
    assert_ptr_equal(socks_tors_of(&tors, UINT32_MAX), &tors.address[0]);
}

static void several_are_asked_by_as_many_each_and_always_by_the_same(void **state)
{
    (void)state;
    for (uint32_t count = 2; count <= SOCKS_TORS_MAX; count++) {
        struct socks_tors tors = made(count);
        unsigned asked[SOCKS_TORS_MAX] = {0};
        for (uint32_t i = 0; i < 80000; i++) {
            uint32_t hash = i * 53687u; /* all over the range */
            const struct sockaddr_un *one = socks_tors_of(&tors, hash);
            assert_ptr_equal(one, socks_tors_of(&tors, hash));
            assert_true(one >= tors.address && one < tors.address + count);
            asked[one - tors.address]++;
        }
        for (uint32_t i = 0; i < count; i++)
            assert_in_range(asked[i], 80000 / count - 10, 80000 / count + 10);
    }
}

static void there_are_so_many_and_no_more(void **state)
{
    (void)state;
    struct socks_tors tors = made(SOCKS_TORS_MAX);
    assert_int_equal(socks_tors_add(&tors, "/run/tor/x"), -ENOSPC);
    tors = made(1);
    assert_int_equal(socks_tors_add(&tors, "relative"), -EINVAL);
    assert_int_equal(tors.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_asked_by_everybody),
        cmocka_unit_test(several_are_asked_by_as_many_each_and_always_by_the_same),
        cmocka_unit_test(there_are_so_many_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
