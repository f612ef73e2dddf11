/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/trim.h"

static int one(void)
{
    return 1;
}

static int two(void)
{
    return 2;
}

/* Relocated when the program was loaded, and read-only since; and written after that. */
static int (*const volatile relocated[])(void) = {one, two};
static volatile int written;

static unsigned long resident_file_kib(void)
{
    char line[256];
    unsigned long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "RssFile: %lu kB", &kib) == 1)
            break;
    fclose(file);
    return kib;
}

static void a_trimmed_process_holds_fewer_pages_of_files_and_goes_on(void **state)
{
    (void)state;
    unsigned long before = resident_file_kib();
    written = 3;
    trim_process();
    unsigned long after = resident_file_kib();
    assert_true(after < before);
    assert_int_equal(relocated[0](), 1);
    assert_int_equal(relocated[1](), 2);
    assert_int_equal(written, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trimmed_process_holds_fewer_pages_of_files_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
