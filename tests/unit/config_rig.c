/* SPDX-License-Identifier: BSD-3-Clause */
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

char config_path[] = "/tmp/cloister-test-config-XXXXXX";
char config_error[CONFIG_ERROR_MAX];
struct config config;

int load_bytes(const void *text, size_t n)
{
    FILE *f = fopen(config_path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    memset(config_error, 'x', sizeof(config_error) - 1);
    return config_load(&config, config_path, config_error);
}

int load(const char *text)
{
    return load_bytes(text, strlen(text));
}

void expect_refused(const char *text, int line, const char *what)
{
    char want[CONFIG_ERROR_MAX];
    assert_int_equal(load(text), -EINVAL);
    if (line > 0)
        snprintf(want, sizeof(want), "%s:%d: %s", config_path, line, what);
    else
        snprintf(want, sizeof(want), "%s: %s", config_path, what);
    if (strncmp(config_error, want, strlen(want)) != 0)
        fail_msg("said \"%s\", not \"%s\"", config_error, want);
    /* One line, that goes on after the key. */
    assert_null(strchr(config_error, '\n'));
    assert_true(strlen(config_error) > strlen(want));
}

int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(config_path);
    return fd < 0 ? -1 : close(fd);
}

int remove_file(void **state)
{
    (void)state;
    return unlink(config_path);
}
