/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest_rig.h"

#include <errno.h>
#include <string.h>

#include "leaktest/options.h"

#define READ(o, error, ...) read_words(o, error, (const char *[]){"leaktest", __VA_ARGS__, NULL})

static int read_words(struct options *o, char error[OPTIONS_ERROR_MAX], const char **words)
{
    int n = 0;
    while (words[n] != NULL)
        n++;
    error[0] = '\0';
    return options_read(o, n, (char **)(uintptr_t)words, error);
}

static void all_options_are_understood(void **state)
{
    struct options o;
    char error[OPTIONS_ERROR_MAX];
    (void)state;
    assert_int_equal(READ(&o, error, "--config", "c", "--uplink", "eth0", "--uplink=eth1", "--netns", "n", "--via",
                          "v", "--strict", "--allow", "192.0.2.1:22", "--allow", "[2001:db8::1]:443", "--allow",
                          "2001:db8::2", "--mutants", "5", "--seed", "18446744073709551615", "--rate", "100",
                          "--verbose", "--json"),
                     0);
    assert_string_equal(o.config, "c");
    assert_string_equal(o.uplink[1], "eth1");
    assert_null(o.uplink[2]);
    assert_int_equal(o.allowed_count, 3);
    assert_int_equal(o.allowed[0].port, 22);
    assert_int_equal(o.allowed[1].port, 443);
    assert_int_equal(o.allowed[2].port, 0);
    assert_true(o.seeded && o.seed == UINT64_MAX);
    assert_int_equal(o.mutants, 5);
    assert_int_equal(o.rate, 100);
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        const char *words[4];
        const char *said;
    } cases[] = {
        {{"leaktest", "--nonsense"}, "unknown option --nonsense"},
        {{"leaktest", "surplus"}, "unexpected argument \"surplus\""},
        {{"leaktest", "--seed"}, "--seed needs a value"},
        {{"leaktest", "--seed", "-1"}, "--seed \"-1\""},
        {{"leaktest", "--seed", "18446744073709551616"}, "--seed"},
        {{"leaktest", "--mutants", "many"}, "--mutants \"many\""},
        {{"leaktest", "--rate", "0"}, "--rate \"0\""},
        {{"leaktest", "--allow", "example.com:80"}, "--allow \"example.com:80\""},
        {{"leaktest", "--allow", "192.0.2.1:0"}, "--allow"},
        {{"leaktest", "--link", "carrier"}, "--link \"carrier\""},
        {{"leaktest", "--blind"}, "--blind is for --private"},
        {{"leaktest", "--link", "bridge"}, "--link is for --private"},
        {{"leaktest", "--netns", "ws"}, "--netns needs"},
        {{"leaktest", "--private", "--uplink=eth0"}, "--private makes all"},
        {{"leaktest", "--via=a", "--bridge=b"}, "not both"},
    };
    struct options o;
    char error[OPTIONS_ERROR_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *words[5] = {0};
        memcpy(words, cases[i].words, sizeof(cases[i].words));
        assert_int_equal(read_words(&o, error, words), -EINVAL);
        if (strstr(error, cases[i].said) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", error, cases[i].said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_options_are_understood),
        cmocka_unit_test(what_is_wrong_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
