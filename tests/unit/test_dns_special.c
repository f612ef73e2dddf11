/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>

#include "dns/special.h"

static struct dns_special find(const char *text)
{
    return dns_special_find(text, strlen(text));
}

static void assert_kind(const char *text, enum dns_special_kind kind, const char *zone)
{
    struct dns_special s = find(text);
    if (s.kind != kind)
        fail_msg("%s: kind %d, not %d", text, s.kind, kind);
    if (zone != NULL)
        assert_string_equal(text + s.zone, zone);
}

static void ordinary_names_are_not_special(void **state)
{
    (void)state;
    static const char *const names[] = {"example.org",
                                        "www.lab.test",
                                        "localhost.example",
                                        "nolocal.net",
                                        "a.localhosts",
                                        "xn--80ak6aa92e.com",
                                        "_dmarc.x.y",
                                        "onion.example",
                                        "my.invalids",
                                        "a.1b",
                                        "a.0x1g",
                                        "example",
                                        "netarpa.arpas",
                                        "use-application.net"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        assert_kind(names[i], strchr(names[i], '.') ? DNS_SPECIAL_NO : DNS_SPECIAL_SINGLE, NULL);
}

static void names_of_rfc_6761_and_6762_stay_here(void **state)
{
    (void)state;
    assert_kind("localhost", DNS_SPECIAL_LOCALHOST, "localhost");
    assert_kind("a.b.localhost", DNS_SPECIAL_LOCALHOST, "localhost");
    assert_kind("invalid", DNS_SPECIAL_NONEXISTENT, "invalid");
    assert_kind("x.invalid", DNS_SPECIAL_NONEXISTENT, "invalid");
    assert_kind("printer.local", DNS_SPECIAL_NONEXISTENT, "local");
    assert_kind("_ipp._tcp.local", DNS_SPECIAL_NONEXISTENT, "local");
}

static void other_names_for_local_use_stay_here(void **state)
{
    (void)state;
    assert_kind("nas.home.arpa", DNS_SPECIAL_NONEXISTENT, "home.arpa");
    assert_kind("home.arpa", DNS_SPECIAL_EMPTY, "home.arpa");
    static const char *const private[] = {"internal", "corp", "home", "intranet", "lan", "localdomain", "private"};
    for (size_t i = 0; i < sizeof(private) / sizeof(*private); i++) {
        char name[64];
        snprintf(name, sizeof(name), "www.example.com.%s", private[i]);
        assert_kind(name, DNS_SPECIAL_NONEXISTENT, private[i]);
        assert_kind(private[i], DNS_SPECIAL_NONEXISTENT, private[i]);
        snprintf(name, sizeof(name), "%s.example.com", private[i]);
        assert_kind(name, DNS_SPECIAL_NO, NULL);
        snprintf(name, sizeof(name), "my%s.com", private[i]);
        assert_kind(name, DNS_SPECIAL_NO, NULL);
    }
    assert_kind("_dns.resolver.arpa", DNS_SPECIAL_EMPTY, "resolver.arpa");
    assert_kind("use-application-dns.net", DNS_SPECIAL_NONEXISTENT, "use-application-dns.net");
    assert_kind("ipv4only.arpa", DNS_SPECIAL_IPV4ONLY, "ipv4only.arpa");
}

static void suffixes_that_mean_something_to_tor_stay_here(void **state)
{
    (void)state;
    assert_kind("example.org.relay.exit", DNS_SPECIAL_NONEXISTENT, "exit");
    assert_kind("x.noconnect", DNS_SPECIAL_NONEXISTENT, "noconnect");
}

static void single_labels_and_the_root_stay_here(void **state)
{
    (void)state;
    assert_kind("", DNS_SPECIAL_SINGLE, "");
    assert_kind("router", DNS_SPECIAL_SINGLE, "router");
    assert_kind("com", DNS_SPECIAL_SINGLE, "com");
}

static void an_onion_name_is_valid_or_nonexistent(void **state)
{
    (void)state;
    assert_kind("www.pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion", DNS_SPECIAL_ONION, "onion");
    assert_kind("www.pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscrye.onion", DNS_SPECIAL_NONEXISTENT,
                "onion");
    assert_kind("onion", DNS_SPECIAL_NONEXISTENT, "onion");
}

static void names_that_would_be_taken_for_ipv4_addresses_do_not_exist(void **state)
{
    (void)state;
    static const char *const names[] = {"127.0.0.1", "192.168.1.1", "2130706433", "0x7f000001", "0x7f.1",
                                        "10.0x",     "foo.123",     "1.2.3.04",   "a.0xff"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        assert_kind(names[i], DNS_SPECIAL_NONEXISTENT, NULL);
}

static void assert_reverse4(const char *text, uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    const uint8_t raw[4] = {a, b, c, d};
    struct ipaddr want = ipaddr_v4(raw);
    struct dns_special s = find(text);
    assert_true(s.has_addr);
    assert_memory_equal(&s.addr, &want, sizeof(want));
}

static void a_reverse_name_of_ipv4_gives_its_address(void **state)
{
    (void)state;
    assert_kind("4.3.2.1.in-addr.arpa", DNS_SPECIAL_REVERSE, "in-addr.arpa");
    assert_reverse4("4.3.2.1.in-addr.arpa", 1, 2, 3, 4);
    assert_reverse4("255.0.192.10.in-addr.arpa", 10, 192, 0, 255);
}

static void a_reverse_name_of_ipv6_gives_its_address(void **state)
{
    (void)state;
    const char *text = "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.0.0.2.ip6.arpa";
    const uint8_t want[16] = {0x20, 0x01, 0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0x05, 0x67, 0x89, 0xab};
    struct dns_special s = find(text);
    assert_int_equal(s.kind, DNS_SPECIAL_REVERSE);
    assert_true(s.has_addr);
    assert_memory_equal(s.addr.b, want, 16);
}

static void what_is_not_exactly_one_address_gives_none(void **state)
{
    (void)state;
    static const char *const names[] = {
        "in-addr.arpa",
        "ip6.arpa",
        "1.in-addr.arpa",
        "3.2.1.in-addr.arpa",
        "5.4.3.2.1.in-addr.arpa",
        "x.4.3.2.1.in-addr.arpa",
        "256.3.2.1.in-addr.arpa",
        "04.3.2.1.in-addr.arpa",
        "4.3.2.0001.in-addr.arpa",
        "4.3.2.1a.in-addr.arpa",
        "4.3.-2.1.in-addr.arpa",
        "4.?.2.1.in-addr.arpa",
        "a.3.2.1.in-addr.arpa",
        "a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.0.0.2.ip6.arpa",
        "0.b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.0.0.2.ip6.arpa",
        "g.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.0.0.2.ip6.arpa"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct dns_special s = find(names[i]);
        assert_int_equal(s.kind, DNS_SPECIAL_REVERSE);
        assert_false(s.has_addr);
    }
}

static void private_reverse_zones_are_those_of_rfc_6303(void **state)
{
    (void)state;
    static const struct {
        const char *name, *zone;
    } names[] = {
        {"1.0.0.10.in-addr.arpa", "10.in-addr.arpa"},
        {"10.in-addr.arpa", "10.in-addr.arpa"},
        {"1.0.0.127.in-addr.arpa", "127.in-addr.arpa"},
        {"0.0.0.0.in-addr.arpa", "0.in-addr.arpa"},
        {"9.16.172.in-addr.arpa", "16.172.in-addr.arpa"},
        {"1.1.31.172.in-addr.arpa", "31.172.in-addr.arpa"},
        {"lb._dns-sd._udp.0.1.168.192.in-addr.arpa", "168.192.in-addr.arpa"},
        {"254.169.254.169.in-addr.arpa", "254.169.in-addr.arpa"},
        {"1.64.100.in-addr.arpa", "64.100.in-addr.arpa"},
        {"1.127.100.in-addr.arpa", "127.100.in-addr.arpa"},
        {"7.2.0.192.in-addr.arpa", "2.0.192.in-addr.arpa"},
        {"7.100.51.198.in-addr.arpa", "100.51.198.in-addr.arpa"},
        {"7.113.0.203.in-addr.arpa", "113.0.203.in-addr.arpa"},
        {"255.255.255.255.in-addr.arpa", "255.255.255.255.in-addr.arpa"},
        {"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
         "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa"},
        {"d.f.ip6.arpa", "d.f.ip6.arpa"},
        {"9.1.d.f.ip6.arpa", "d.f.ip6.arpa"},
        {"0.8.e.f.ip6.arpa", "8.e.f.ip6.arpa"},
        {"b.e.f.ip6.arpa", "b.e.f.ip6.arpa"},
        {"x.8.b.d.0.1.0.0.2.ip6.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        assert_kind(names[i].name, DNS_SPECIAL_PRIVATE, names[i].zone);
}

static void neighbours_of_private_reverse_zones_are_not_private(void **state)
{
    (void)state;
    static const char *const names[] = {"9.in-addr.arpa",
                                        "11.in-addr.arpa",
                                        "15.172.in-addr.arpa",
                                        "32.172.in-addr.arpa",
                                        "172.in-addr.arpa",
                                        "63.100.in-addr.arpa",
                                        "128.100.in-addr.arpa",
                                        "167.192.in-addr.arpa",
                                        "192.in-addr.arpa",
                                        "254.255.255.255.in-addr.arpa",
                                        "e.f.ip6.arpa",
                                        "c.e.f.ip6.arpa",
                                        "7.e.f.ip6.arpa",
                                        "e.f.f.ip6.arpa",
                                        "9.b.d.0.1.0.0.2.ip6.arpa",
                                        "f.ip6.arpa"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        assert_kind(names[i], DNS_SPECIAL_REVERSE, NULL);
}

static void the_mapped_form_of_an_ipv4_address_is_none(void **state)
{
    (void)state;
    struct dns_special s = find("1.0.0.0.0.c.a.0.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa");
    assert_int_equal(s.kind, DNS_SPECIAL_PRIVATE);
    assert_false(s.has_addr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_names_are_not_special),
        cmocka_unit_test(names_of_rfc_6761_and_6762_stay_here),
        cmocka_unit_test(other_names_for_local_use_stay_here),
        cmocka_unit_test(suffixes_that_mean_something_to_tor_stay_here),
        cmocka_unit_test(single_labels_and_the_root_stay_here),
        cmocka_unit_test(an_onion_name_is_valid_or_nonexistent),
        cmocka_unit_test(names_that_would_be_taken_for_ipv4_addresses_do_not_exist),
        cmocka_unit_test(a_reverse_name_of_ipv4_gives_its_address),
        cmocka_unit_test(a_reverse_name_of_ipv6_gives_its_address),
        cmocka_unit_test(what_is_not_exactly_one_address_gives_none),
        cmocka_unit_test(private_reverse_zones_are_those_of_rfc_6303),
        cmocka_unit_test(neighbours_of_private_reverse_zones_are_not_private),
        cmocka_unit_test(the_mapped_form_of_an_ipv4_address_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
