/* SPDX-License-Identifier: BSD-3-Clause */
/* The sections [onion "name"] of the configuration file. */
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

#include "daemon/config.h"

#define KEY "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOPQRST"
#define GOOD "port = 80, workstation = 10.152.152.11:8080\n"

static char path[] = "/tmp/cloister-test-config-XXXXXX";
static char error[CONFIG_ERROR_MAX];
static struct config config;

static int load(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    return config_load(&config, path, error);
}

static void expect_refused(const char *text, int line, const char *what)
{
    char want[CONFIG_ERROR_MAX];
    assert_int_equal(load(text), -EINVAL);
    snprintf(want, sizeof(want), "%s:%d: %s", path, line, what);
    if (strncmp(error, want, strlen(want)) != 0 || strlen(error) <= strlen(want))
        fail_msg("said \"%s\", not \"%s\" and more", error, want);
    assert_null(strchr(error, '\n'));
}

static void services_have_ports_of_both_families(void **state)
{
    (void)state;
    assert_int_equal(load("[workstation]\naddress6 = fd19:c33d:88bc::10/64\n"
                          "[onion \"blog\"]\n" GOOD "port = 443 ,workstation=[fd19:c33d:88bc::11]:8443\n"
                          "[onion \"shop-2_x\"]\nport = 80, workstation = 10.152.152.12:1\nflows = 7\n"
                          "source = circuit\nclient = alice: " KEY "\nclient = bob:" KEY "\n"),
                     0);
    const struct config_onions *o = &config.onions;
    static const uint8_t eleven[4] = {10, 152, 152, 11};
    const struct ipaddr first = ipaddr_v4(eleven);
    assert_int_equal(o->count, 2);
    assert_int_equal(o->ports, 3);
    assert_int_equal(o->clients, 2);
    assert_string_equal(o->onion[0].name, "blog");
    assert_string_equal(o->onion[1].name, "shop-2_x");
    assert_int_equal(o->onion[0].flows, 1024);
    assert_int_equal(o->onion[1].flows, 7);
    assert_false(o->onion[0].circuit);
    assert_true(o->onion[1].circuit);
    assert_true(ipaddr_equal(&o->port[0].to, &first));
    assert_int_equal(o->port[0].port, 80);
    assert_int_equal(o->port[0].to_port, 8080);
    assert_int_equal(o->port[1].onion, 0);
    assert_int_equal(o->port[1].to_port, 8443);
    assert_int_equal(o->port[1].to.b[15], 0x11);
    assert_int_equal(o->port[2].onion, 1);
    assert_string_equal(o->client[0].name, "alice");
    assert_string_equal(o->client[1].key, KEY);
    assert_int_equal(o->client[1].onion, 1);
}

static void without_sections_there_are_none(void **state)
{
    (void)state;
    assert_int_equal(load(""), 0);
    assert_int_equal(config.onions.count, 0);
}

static void a_section_needs_a_plain_name(void **state)
{
    (void)state;
    static const char *const bad[] = {"[onion]",         "[onion blog]",
                                      "[onion \"\"]",    "[onion \"a]",
                                      "[onion \"a/b\"]", "[onion \"..\"]",
                                      "[onion \"A\"]",   "[onion\"a\"]",
                                      "[onion \"a\" ]",  "[onion \"abcdefghijklmnopqrstuvwxy\"]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[128];
        snprintf(text, sizeof(text), "%s\n" GOOD, bad[i]);
        expect_refused(text, 1, "[onion");
    }
    expect_refused("[onions]\n", 1, "[onions]: no such section; there are [workstation]");
    assert_non_null(strstr(error, "[onion \"name\"]"));
}

static void values_that_will_not_do_are_refused_with_line_and_key(void **state)
{
    (void)state;
    static const struct {
        const char *line, *what;
    } bad[] = {
        {"port = 80", "onion.port: "},
        {"port = 0, workstation = 10.152.152.11:80", "onion.port: "},
        {"port = 65536, workstation = 10.152.152.11:80", "onion.port: "},
        {"port = 80, workstation = 10.152.152.11", "onion.port: "},
        {"port = 80, workstation = 10.152.152.11:0", "onion.port: "},
        {"port = 80, workstation = 10.152.152.11:80x", "onion.port: "},
        {"port = 80, workstation = name:80", "onion.port: "},
        {"port = 80, workstation = fd19::1:80", "onion.port: "},
        {"port = 80, workstation = [fd19::1]80", "onion.port: "},
        {"port = 80, workstation = [::ffff:10.152.152.11]:80", "onion.port: "},
        {"port = 80, station = 10.152.152.11:80", "onion.port: "},
        {"port = 80 workstation = 10.152.152.11:80", "onion.port: "},
        {GOOD "port = 80, workstation = 10.152.152.11:81", "onion.port: "},
        {"client = alice", "onion.client: "},
        {"client = Alice: " KEY, "onion.client: "},
        {"client = alice: " KEY "A", "onion.client: "},
        {"client = alice: 1BCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOPQRST", "onion.client: "},
        {"client = a: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "onion.client: "},
        {"client = a: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAP", "onion.client: "},
        {"client = a: " KEY "\nclient = a: " KEY, "onion.client: "},
        {"flows = 0", "onion.flows: "},
        {"flows = 65537", "onion.flows: "},
        {"flows = 1\nflows = 1", "onion.flows: "},
        {"source = both", "onion.source: "},
        {"source = circuit\nsource = circuit", "onion.source: "},
        {"name = x", "onion.name: no such key; [onion] has port"},
        {"port =", "onion.port: no value"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[512];
        int line = 1;
        snprintf(text, sizeof(text), "[onion \"a\"]\n%s\n", bad[i].line);
        for (const char *p = text; *p != '\0'; p++)
            line += *p == '\n';
        expect_refused(text, line - 1, bad[i].what);
    }
}

static void a_service_has_a_port_and_a_workstation_that_can_be(void **state)
{
    (void)state;
    expect_refused("\n[onion \"a\"]\nflows = 3\n", 2, "onion: the service has no port");
    expect_refused("[onion \"a\"]\n" GOOD "\n[onion \"b\"]\n", 4, "onion: the service has no port");
    expect_refused("[onion \"a\"]\nport = 80, workstation = 10.1.1.1:80\n", 2, "onion: ");
    expect_refused("[onion \"a\"]\nport = 80, workstation = 10.152.152.10:80\n", 2, "onion: ");  /* the gateway */
    expect_refused("[onion \"a\"]\nport = 80, workstation = 10.152.128.0:80\n", 2, "onion: ");   /* the network */
    expect_refused("[onion \"a\"]\nport = 80, workstation = 10.152.191.255:80\n", 2, "onion: "); /* all in it */
    expect_refused("[workstation]\naddress6 = fd19:c33d:88bc::10/64\n[onion \"a\"]\n"
                   "port = 80, workstation = [fd19:c33d:88bc::]:80\n",
                   4, "onion: "); /* any router in it */
    assert_int_equal(
        load("[onion \"a\"]\n" GOOD "client = a: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQ\n"), 0);
    expect_refused("[onion \"a\"]\nport = 80, workstation = [fd19:c33d:88bc::11]:80\n", 2, "onion: ");
}

static void where_stations_are_listed_a_workstation_is_one_of_them(void **state)
{
    static const char listed[] = "[workstation]\nstations = listed\nstation = 02:00:00:00:00:11 10.152.152.11\n"
                                 "dhcp_lease = 02:00:00:00:00:12 10.152.152.12\n[onion \"a\"]\n" GOOD;
    char text[512];
    (void)state;
    assert_int_equal(load(listed), 0);
    snprintf(text, sizeof(text), "%sport = 81, workstation = 10.152.152.12:80\n", listed);
    assert_int_equal(load(text), 0);
    snprintf(text, sizeof(text), "%sport = 81, workstation = 10.152.152.13:80\n", listed);
    expect_refused(text, 7, "onion: workstation.stations is listed");
}

static void visitors_addresses_meet_nobody_elses(void **state)
{
    (void)state;
    static const char service[] = "[onion \"a\"]\n" GOOD "source = circuit\n[workstation]\n";
    char text[256];
    snprintf(text, sizeof(text), "%svisitors = 10.64.0.0/16\n", service);
    assert_int_equal(load(text), 0);
    assert_int_equal(config.visitors.len, 96 + 16);
    static const char *const bad[] = {
        "visitors = 10.152.0.0/16", "visitors = 10.200.0.0/16", "visitors = 10.64.0.0/25",
        "visitors6 = fd6c:7601:7e2::/48",
        /* What means something else, and what is somebody's. */
        "visitors = 0.0.0.0/8", "visitors = 127.0.0.0/8", "visitors = 169.254.0.0/16", "visitors = 224.0.0.0/8",
        "visitors = 255.255.255.0/24", "visitors = 8.8.8.0/24", "visitors = 192.168.0.0/15",
        "visitors6 = 64:ff9b::/96", "visitors6 = fe80::/64", "visitors6 = ff02::/16", "visitors6 = 2001:db8::/64"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), "%s%s\naddress6 = fd19:c33d:88bc::10/64\n", service, bad[i]);
        expect_refused(text, 5, "workstation.visitors");
    }
    /* Of no matter if nobody has one. */
    assert_int_equal(load("[workstation]\nvisitors = 10.152.0.0/16\n"), 0);
}

static void there_are_so_many_and_no_more(void **state)
{
    (void)state;
    static char text[8192];
    size_t n = 0;
    for (unsigned i = 0; i <= CONFIG_ONIONS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "[onion \"a%u\"]\n" GOOD, i);
    expect_refused(text, 2 * (int)CONFIG_ONIONS_MAX + 1, "[onion \"a16\"]: there are too many");
    n = (size_t)snprintf(text, sizeof(text), "[onion \"a\"]\n");
    for (unsigned i = 0; i <= CONFIG_ONION_PORTS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "port = %u, workstation = 10.152.152.11:80\n", i + 1);
    expect_refused(text, (int)CONFIG_ONION_PORTS_MAX + 2, "onion.port: ");
    n = (size_t)snprintf(text, sizeof(text), "[onion \"a\"]\n");
    for (unsigned i = 0; i <= CONFIG_ONION_CLIENTS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "client = c%u: " KEY "\n", i);
    expect_refused(text, (int)CONFIG_ONION_CLIENTS_MAX + 2, "onion.client: ");
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(services_have_ports_of_both_families),
        cmocka_unit_test(without_sections_there_are_none),
        cmocka_unit_test(a_section_needs_a_plain_name),
        cmocka_unit_test(values_that_will_not_do_are_refused_with_line_and_key),
        cmocka_unit_test(a_service_has_a_port_and_a_workstation_that_can_be),
        cmocka_unit_test(where_stations_are_listed_a_workstation_is_one_of_them),
        cmocka_unit_test(visitors_addresses_meet_nobody_elses),
        cmocka_unit_test(there_are_so_many_and_no_more),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
