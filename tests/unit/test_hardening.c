/* SPDX-License-Identifier: BSD-3-Clause */
/* What is made of a kernel's lack. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/hardening.h"

static void strict_takes_nothing(void **state)
{
    (void)state;
    assert_int_equal(hardening_result(HARDENING_LANDLOCK, -ENOSYS), -ENOSYS);
    assert_int_equal(hardening_result(HARDENING_IPC, 0), 0);
    assert_null(hardening_missing());
}

static void best_effort_takes_what_the_kernel_lacks_and_nothing_else(void **state)
{
    (void)state;
    hardening_setup(true);
    assert_int_equal(hardening_result(HARDENING_FILTER, -EPERM), -EPERM);
    assert_int_equal(hardening_result(HARDENING_FILTER, -ENOMEM), -ENOMEM);
    assert_null(hardening_missing());
    assert_int_equal(hardening_result(HARDENING_LANDLOCK, -EOPNOTSUPP), 0);
    assert_string_equal(hardening_missing(), "landlock");
    assert_int_equal(hardening_result(HARDENING_FILTER, -EINVAL), 0);
    assert_int_equal(hardening_result(HARDENING_CGROUP, -EINVAL), 0);
    assert_int_equal(hardening_result(HARDENING_IPC, -ENOSYS), 0);
    assert_string_equal(hardening_missing(), "system-call-filter,landlock,ipc-namespace,cgroup-namespace");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strict_takes_nothing),
        cmocka_unit_test(best_effort_takes_what_the_kernel_lacks_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
