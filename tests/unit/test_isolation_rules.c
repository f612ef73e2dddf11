/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "socks/policy.h"

#define OTHERWISE ISOLATION_ALL

static struct isolation_rules rules;

static struct ipaddr addr(const char *text)
{
    struct ipaddr a;
    uint8_t v4[4];
    if (inet_pton(AF_INET, text, v4) == 1)
        return ipaddr_v4(v4);
    assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
    return a;
}

static void add(const char *text)
{
    assert_null(isolation_rule_parse(text, &rules.rule[rules.count]));
    rules.count++;
}

static unsigned fields(const char *src, const char *dst, uint16_t port)
{
    struct ipaddr s = addr(src), d = addr(dst);
    return isolation_rules_fields(&rules, &s, &d, port, OTHERWISE);
}

static int setup(void **state)
{
    (void)state;
    rules = (struct isolation_rules){0};
    return 0;
}

static void without_rules_nothing_changes(void **state)
{
    (void)state;
    assert_int_equal(fields("10.152.152.11", "203.0.113.5", 22), OTHERWISE);
}

static void a_port_decides(void **state)
{
    (void)state;
    add("port 22: workstation, destination-name");
    add("port 6660-6669: workstation");
    const unsigned ssh = ISOLATION_WORKSTATION | ISOLATION_DESTINATION_NAME;
    assert_int_equal(fields("10.152.152.11", "203.0.113.5", 22), ssh);
    assert_int_equal(fields("fd19::1", "2001:db8::1", 22), ssh);
    assert_int_equal(fields("10.152.152.11", "203.0.113.5", 23), OTHERWISE);
    assert_int_equal(fields("10.152.152.11", "203.0.113.5", 6659), OTHERWISE);
    assert_int_equal(fields("10.152.152.11", "203.0.113.5", 6660), ISOLATION_WORKSTATION);
    assert_int_equal(fields("10.152.152.11", "203.0.113.5", 6669), ISOLATION_WORKSTATION);
    assert_int_equal(fields("10.152.152.11", "203.0.113.5", 6670), OTHERWISE);
}

static void a_network_decides(void **state)
{
    (void)state;
    add("network 203.0.113.0/24: workstation");
    add("network 2001:db8::/32 : source-address");
    assert_int_equal(fields("10.152.152.11", "203.0.113.255", 1), ISOLATION_WORKSTATION);
    assert_int_equal(fields("10.152.152.11", "203.0.114.0", 1), OTHERWISE);
    assert_int_equal(fields("203.0.113.1", "10.0.0.1", 1), OTHERWISE);
    assert_int_equal(fields("fd19::1", "2001:db8:ffff::1", 1), ISOLATION_WORKSTATION | ISOLATION_SOURCE_ADDRESS);
    assert_int_equal(fields("fd19::1", "2001:db9::1", 1), OTHERWISE);
}

static void a_whole_family_is_a_network(void **state)
{
    (void)state;
    add("network 0.0.0.0/0: workstation");
    assert_int_equal(fields("10.152.152.11", "198.51.100.1", 1), ISOLATION_WORKSTATION);
    assert_int_equal(fields("fd19::1", "2001:db8::1", 1), OTHERWISE);
}

static void a_workstation_decides(void **state)
{
    (void)state;
    add("workstation 10.152.152.12: destination");
    assert_int_equal(fields("10.152.152.12", "203.0.113.5", 1),
                     ISOLATION_WORKSTATION | ISOLATION_DESTINATION_NAME | ISOLATION_DESTINATION_PORT);
    assert_int_equal(fields("10.152.152.13", "203.0.113.5", 1), OTHERWISE);
}

static void all_conditions_of_a_rule_must_hold(void **state)
{
    (void)state;
    add("workstation 10.152.152.12/31 port 443 network 203.0.113.5: workstation");
    assert_int_equal(fields("10.152.152.12", "203.0.113.5", 443), ISOLATION_WORKSTATION);
    assert_int_equal(fields("10.152.152.13", "203.0.113.5", 443), ISOLATION_WORKSTATION);
    assert_int_equal(fields("10.152.152.14", "203.0.113.5", 443), OTHERWISE);
    assert_int_equal(fields("10.152.152.12", "203.0.113.5", 80), OTHERWISE);
    assert_int_equal(fields("10.152.152.12", "203.0.113.6", 443), OTHERWISE);
}

static void the_first_rule_that_fits_decides(void **state)
{
    (void)state;
    add("port 1-65535: source-address");
    add("port 22: workstation");
    assert_int_equal(fields("10.152.152.12", "203.0.113.5", 22), ISOLATION_WORKSTATION | ISOLATION_SOURCE_ADDRESS);
}

static unsigned lookup_fields(const char *src, const char *otherwise)
{
    struct ipaddr s = addr(src);
    return isolation_rules_lookup_fields(&rules, &s, (unsigned)isolation_parse(otherwise, NULL, NULL));
}

#define AS_ONE ISOLATION_WORKSTATION
#define BY_NAME (ISOLATION_WORKSTATION | ISOLATION_DESTINATION_NAME)

static void lookups_are_by_name_unless_flows_are_by_workstation_alone(void **state)
{
    (void)state;
    assert_int_equal(lookup_fields("10.152.152.11", "workstation"), AS_ONE);
    assert_int_equal(lookup_fields("10.152.152.11", "source-address"), AS_ONE);
    assert_int_equal(lookup_fields("10.152.152.11", "source-port"), BY_NAME);
    assert_int_equal(lookup_fields("10.152.152.11", "destination-port"), BY_NAME);
}

static void a_rule_for_a_workstation_is_one_for_its_lookups(void **state)
{
    (void)state;
    add("workstation 10.152.152.12: workstation");
    add("workstation 10.152.152.0/24: source-port");
    add("workstation 10.152.152.13: workstation");
    assert_int_equal(lookup_fields("10.152.152.12", "source-port"), AS_ONE);
    assert_int_equal(lookup_fields("10.152.152.13", "workstation"), BY_NAME); /* the first that fits */
    assert_int_equal(lookup_fields("10.152.153.13", "workstation"), AS_ONE);
    assert_int_equal(lookup_fields("fd19::1", "source-port"), BY_NAME);
}

static void a_rule_for_port_53_is_one_for_lookups(void **state)
{
    (void)state;
    add("port 22: workstation");
    add("workstation 10.152.152.12 port 53: workstation");
    assert_int_equal(lookup_fields("10.152.152.11", "source-port"), BY_NAME);
    assert_int_equal(lookup_fields("10.152.152.12", "source-port"), AS_ONE);
    add("port 1-1023: workstation");
    assert_int_equal(lookup_fields("10.152.152.11", "source-port"), AS_ONE);
}

static void a_rule_for_a_network_is_none_for_lookups(void **state)
{
    (void)state;
    add("network 0.0.0.0/0: workstation");
    add("workstation 10.152.152.11 network ::/1: workstation");
    assert_int_equal(lookup_fields("10.152.152.11", "source-port"), BY_NAME);
}

static void a_rule_that_makes_no_sense_says_why_and_changes_nothing(void **state)
{
    static const char *const bad[] = {
        "",
        ":",
        "port 22",
        ": workstation",
        "22: workstation",
        "port 22:",
        "port 22: ",
        "port 22: workstation,",
        "port x: workstation",
        "port 0: workstation",
        "port 2-1: workstation",
        "port 1-: workstation",
        "port 1-2-3: workstation",
        "port 000022: workstation",
        "port 22 23: workstation",
        "network 10.0.0: workstation",
        "network 10.0.0.0/: workstation",
        "network 10.0.0.0/33: workstation",
        "network ::ffff:10.0.0.0/104: workstation",
        "network 2001:db8::/129: workstation",
        "network 2001:db8::/32",
        "network aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: workstation",
        "port 22 port 22: workstation",
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct isolation_rule rule = {.fields = 77};
        const char *says = isolation_rule_parse(bad[i], &rule);
        if (says == NULL)
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(rule.fields, 77);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_rules_nothing_changes),
        TEST(a_port_decides),
        TEST(a_network_decides),
        TEST(a_whole_family_is_a_network),
        TEST(a_workstation_decides),
        TEST(all_conditions_of_a_rule_must_hold),
        TEST(the_first_rule_that_fits_decides),
        TEST(lookups_are_by_name_unless_flows_are_by_workstation_alone),
        TEST(a_rule_for_a_workstation_is_one_for_its_lookups),
        TEST(a_rule_for_port_53_is_one_for_lookups),
        TEST(a_rule_for_a_network_is_none_for_lookups),
        TEST(a_rule_that_makes_no_sense_says_why_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
