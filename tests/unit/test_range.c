/* SPDX-License-Identifier: BSD-3-Clause */
/* Every range at both of its ends, and its neighbours. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/range.h"

static bool internet(const char *text)
{
    uint8_t b[16];
    struct ipaddr a;
    if (strchr(text, ':') == NULL) {
        assert_int_equal(inet_pton(AF_INET, text, b), 1);
        a = ipaddr_v4(b);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, b), 1);
        a = ipaddr_v6(b);
    }
    return range_is_internet(&a);
}

static void expect(bool is, const char *const *texts)
{
    for (; *texts != NULL; texts++) {
        if (internet(*texts) != is)
            fail_msg("%s is %sthe Internet's", *texts, is ? "not " : "");
    }
}

static void what_is_somebodys_own_is_not_the_internets(void **state)
{
    static const char *const own[] = {"0.0.0.0",         "0.255.255.255",
                                      "10.0.0.0",        "10.255.255.255",
                                      "100.64.0.0",      "100.127.255.255",
                                      "127.0.0.1",       "127.255.255.255",
                                      "169.254.169.254", "169.254.0.0",
                                      "172.16.0.0",      "172.31.255.255",
                                      "192.0.0.0",       "192.0.0.255",
                                      "192.88.99.1",     "192.168.0.0",
                                      "192.168.255.255", "224.0.0.1",
                                      "239.255.255.255", "240.0.0.0",
                                      "255.255.255.255", NULL};
    static const char *const own6[] = {
        "::",           "::1",     "::7f00:1",       "64:ff9b::a00:1", "64:ff9b:1::1",
        "100::1",       "2001::1", "2001:0:ffff::1", "2002::",         "2002:a00:1::1",
        "2002:ffff::1", "4000::1", "5f00::1",        "fc00::",         "fdff::1",
        "fe80::1",      "febf::1", "fec0::1",        "ff02::1",        "ffff::1",
        "1fff::1",      NULL};
    (void)state;
    expect(false, own);
    expect(false, own6);
}

static void the_rest_is(void **state)
{
    static const char *const all[] = {"1.0.0.0",
                                      "9.255.255.255",
                                      "11.0.0.0",
                                      "100.63.255.255",
                                      "100.128.0.0",
                                      "126.255.255.255",
                                      "128.0.0.0",
                                      "169.253.255.255",
                                      "169.255.0.0",
                                      "172.15.255.255",
                                      "172.32.0.0",
                                      "192.0.1.0",
                                      "192.88.98.255",
                                      "192.88.100.0",
                                      "192.167.255.255",
                                      "192.169.0.0",
                                      "223.255.255.255",
                                      "8.8.8.8",
                                      NULL};
    static const char *const all6[] = {"2000::",       "2001:1::1", "2001:4860::8888", "2003::1", "2a00::1",
                                       "3fff:ffff::1", NULL};
    (void)state;
    expect(true, all);
    expect(true, all6);
}

static void tests_live_where_nobody_does(void **state)
{
    static const char *const nobodys[] = {
        "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.1", "2001:db8::1", NULL};
    (void)state;
    expect(true, nobodys);
}

static void an_address_is_known_in_the_clothes_of_a_name(void **state)
{
    static const char *const addresses[] = {"10.0.0.1", "10.0.0.1.", "127.1",       "2130706433",    "0x7f000001",
                                            "0x7F.1",   "x.0x",      "0177.0.0.01", "www.example.0", NULL};
    static const char *const names[] = {"",
                                        ".",
                                        "www.example.com",
                                        "10.0.0.1.example",
                                        "a",
                                        "1a",
                                        "0x7g",
                                        "0xyz.",
                                        "10.in-addr.arpa",
                                        "x0",
                                        "_1",
                                        "1-2",
                                        NULL};
    (void)state;
    for (size_t i = 0; addresses[i] != NULL; i++) {
        if (!range_name_is_address(addresses[i]))
            fail_msg("%s", addresses[i]);
    }
    for (size_t i = 0; names[i] != NULL; i++) {
        if (range_name_is_address(names[i]))
            fail_msg("%s", names[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_somebodys_own_is_not_the_internets),
        cmocka_unit_test(the_rest_is),
        cmocka_unit_test(tests_live_where_nobody_does),
        cmocka_unit_test(an_address_is_known_in_the_clothes_of_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
