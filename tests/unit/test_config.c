/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration: every key with values that will do and values that will not, the defaults, and what keys of different
 * sections say to one another. */
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

#include "base/bytes.h"
#include "config_rig.h"
#include "socks/isolation.h"

static const struct {
    const char *section, *key;
    const char *good[4];
    const char *bad[12];
} every_key[] = {
    {"workstation",
     "device",
     {"cloister0", "a", "abcdefghijklmno", "tap-0_1.x"},
     {"abcdefghijklmnop", "a/b", "a b", ".", "..", "-a", "a%d", "a:1", "\xc3\xa4"}},
    {"workstation", "bridge", {"br0", "virbr0"}, {"br 0", "../br"}},
    {"workstation",
     "address",
     {"10.152.152.10/18", "192.168.0.1/30", "172.16.0.1/12"},
     {"10.152.152.10", "10.152.152/18", "10.152.152.10/", "10.152.152.10/33", "10.152.152.10/18x", "fd19::1/64",
      "10.152.128.0/18", "10.152.191.255/18", "127.0.0.1/8", "224.0.0.1/4", "10.0.0.1/31", "10.0.0.256/24"}},
    {"workstation",
     "address6",
     {"fd19:c33d:88bc::10/64", "2001:db8:1:2::1/126", "fd00::1/16", "none"},
     {"fd19:c33d:88bc::10", "fd19:c33d:88bc::10/", "fd19:c33d:88bc::10/129", "fd19:c33d:88bc::10/64x", "fd19::/64",
      "10.152.152.10/18", "::ffff:10.1.1.1/120", "fe80::1/64", "ff02::1/64", "::1/64", "fd00::1/15",
      "fd00::1/127"}},
    {"workstation", "visitors", {"10.64.0.0/10", "172.16.0.0/12"}, {"10.64.0.0", "fd19::/64", "x"}},
    {"workstation", "visitors6", {"fd6c:7601:7e3::/64"}, {"fd6c:7601:7e3::", "10.64.0.0/10"}},
    {"workstation",
     "dhcp",
     {"10.152.152.100-10.152.152.199", "10.152.152.100 - 10.152.152.100", "none"},
     {"10.152.152.100", "10.152.152.100-", "-10.152.152.100", "10.152.152.100-99", "10.152.152.199-10.152.152.100",
      "10.152.152.100-10.152.152.199x", "10.152.128.0-10.152.128.9", "10.152.191.200-10.152.191.255",
      "10.152.152.1-10.152.152.10", "10.1.1.1-10.1.1.9", "10.152.128.1-10.152.144.1", "yes"}},
    {"workstation",
     "dhcp_lease",
     {"02:00:5e:10:00:02 10.152.152.20", "02:00:5e:10:00:02 \t10.152.152.20"},
     {"02:00:5e:10:00:02", "10.152.152.20", "02:00:5e:10:00:02 10.152.152", "01:00:5e:10:00:02 10.152.152.20",
      "02:00:5e:10:00:02 10.152.152.10", "02:00:5e:10:00:02 10.1.1.1", "02:00:5e:10:00:02, 10.152.152.20"}},
    {"workstation",
     "station",
     {"02:00:5e:10:00:02 10.152.152.20", "02:00:5e:10:00:02 \t10.152.152.20"},
     {"02:00:5e:10:00:02", "10.152.152.20", "02:00:5e:10:00:02 10.152.152", "01:00:5e:10:00:02 10.152.152.20",
      "02:00:5e:10:00:02 10.152.152.10", "02:00:5e:10:00:02 10.1.1.1", "02:00:5e:10:00:02 fd19:c33d:88bc::20",
      "02:00:5e:10:00:02 ::ffff:10.152.152.20", "02:00:5e:10:00:02 ::"}},
    {"workstation", "stations", {"any"}, {"listed", "all", "yes"}},
    {"workstation", "reject", {"yes", "no"}, {"true", "on"}},
    {"workstation", "ra", {"no"}, {"true", "on", "yes"}},
    {"workstation",
     "mtu",
     {"576", "1500", "9000", "65520"},
     {"575", "65521", "-1", "0x500", "1500.0", "1e3", "4294968796", "99999999999999999999", "fifteen"}},
    {"workstation",
     "mac",
     {"02:00:5e:10:00:01", "52:54:00:AB:cd:ef"},
     {"01:00:5e:00:00:01", "00:00:00:00:00:00", "02:00:5e:10:00", "02:00:5e:10:00:01:02", "02-00-5e-10-00-01",
      "02:00:5e:10:00:0g", "2:0:5e:10:0:1", "0200.5e10.0001"}},
    {"workstation", "offload", {"yes", "no"}, {"true", "on", "1", "YES"}},
    {"workstation", "attach", {"eth1", "vm-tap.0"}, {"", "a/b", "0123456789abcdef", "-x", "cloister0", "segment"}},
    {"workstation", "isolate_clients", {"no"}, {"1", "yes"}},
    {"tor", "mode", {"embedded"}, {"internal", "Embedded", "both"}},
    {"tor", "instances", {"1", "8"}, {"0", "9", "two"}},
    {"tor",
     "socks",
     {"unix:/run/tor/socks"},
     {"/run/tor/socks", "127.0.0.1:9050", "unix:socks", "unix:/", "unix:/socks", "unix:/run/tor/",
      "unix:/run/../socks",
      "unix:/run/"
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      "a"}},
    {"tor", "data", {"/var/lib/cloister", "/srv/a b"}, {"var/lib", "./x", "/var/./lib", "/var/../lib", "/x/.."}},
    {"tor", "torrc", {"/etc/cloister/torrc"}, {"torrc", "~/torrc"}},
    {"tor", "allow_private", {"yes", "no"}, {"auto", "lan", ""}},
    {"tor", "sandbox", {"yes", "no"}, {"auto", "1"}},
    {"tor", "connect_timeout", {"1", "600"}, {"0", "601", "10s"}},
    {"isolation",
     "key",
     {"source-port", "workstation", "destination", "workstation, destination-name"},
     {"none", "source-port,", ",source-port", "source port"}},
    {"isolation",
     "rule",
     {"port 22: workstation, destination-name", "workstation 10.152.152.12 port 6660-6669:workstation",
      "network 2001:db8::/32: source-address", "port 80 : destination"},
     {"port 22", "port 22: everything", "host a: workstation", "network 10.0.0.0/33: workstation"}},
    {"isolation", "rate", {"auto", "none", "1", "100000"}, {"0", "100001", "10/s", "no"}},
    {"isolation", "burst", {"1", "100000"}, {"0", "100001"}},
    {"isolation", "lifetime", {"0", "86400"}, {"-1", "86401", "10m"}},
    {"dns",
     "virtual",
     {"10.192.0.0/10", "172.16.0.0/12"},
     {"10.192.0.1/10", "10.152.0.0/16", "10.192.0.0", "fd00::/8", "nowhere"}},
    {"dns",
     "virtual6",
     {"fd6c:7601:7e2::/64", "fc00:1::/32", "none"},
     {"fd6c:7601:7e2::1/64", "fd6c:7601:7e2::", "2001:db8::/64", "10.192.0.0/10", "fd6c::/121", "no", "fe80::/64"}},
    {"dns", "ttl", {"0", "60", "3600"}, {"3601", "-1", "1m"}},
    {"dns", "answers", {"virtual", "resolve"}, {"real", "both", "Virtual"}},
    {"dns",
     "resolve",
     {"example.com", "Example.COM., spamhaus.org", "in-addr.arpa", "a,b ,c"},
     {"example..com", "example.com,", ",", "exa mple.com", "a;b?", "."}},
    {"dns",
     "upstream",
     {"9.9.9.9", "9.9.9.9, 149.112.112.112", "2620:fe::fe,9.9.9.9"},
     {"9.9.9", "dns.example", "9.9.9.9,", "1.1.1.1, 1.0.0.1, 9.9.9.9", "9.9.9.9:53", "9.9.9.9/32"}},
    {"tcp", "accept", {"deferred", "optimistic"}, {"immediate", "yes"}},
    {"tcp", "until_ready", {"hold", "refuse"}, {"drop", "yes"}},
    {"tcp", "half_close", {"keep", "forward"}, {"60", "yes"}},
    {"tcp", "half_close_timeout", {"1", "60", "86400"}, {"0", "86401", "1.5"}},
    {"tcp", "idle_timeout", {"10", "7440", "432000"}, {"9", "432001", "2h"}},
    {"tcp", "transparent", {"yes", "no"}, {"on", "YES"}},
    {"tcp",
     "transparent_except",
     {"10.152.152.12", "10.152.152.12, 10.152.152.64/26", "fd19:c33d:88bc::12"},
     {"10.152.152", "10.152.152.12,", "10.152.152.0/33", "yes", "10.152.152.12 10.152.152.13",
      "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,"
      "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1"}},
    {"ports", "control", {"yes", "no"}, {"9051", "on"}},
    {"ports", "socks_ports", {"whonix", "none"}, {"yes", "9050"}},
    {"limits", "flows", {"1", "262144"}, {"0", "262145", "many"}},
    {"limits", "workstation_flows", {"1", "16384"}, {"0", "16385"}},
    {"limits", "connecting", {"1", "16384"}, {"0", "262145"}},
    {"limits", "workstation_connecting", {"1", "2048"}, {"0", "2049"}},
    {"limits", "workstation_syns", {"1", "1000000"}, {"0", "1000001"}},
    {"limits", "buffers", {"1", "1024"}, {"0", "1025", "64M"}},
    {"limits", "workstations", {"1", "65535"}, {"0", "65536"}},
    {"limits", "workstation_idle", {"1", "300", "86400"}, {"0", "86401", "5m"}},
    {"limits", "names", {"64", "262144"}, {"63", "262145"}},
    {"limits", "queries", {"0", "1000000"}, {"1000001", "1k"}},
    {"process", "user", {"cloister", "1000", "_c.x-1"}, {"root", "0", "a b", "-x", "a:b"}},
    {"process", "tor_user", {"debian-tor"}, {"root", "a/b"}},
    {"process", "gateway_user", {"nobody"}, {"root", "00"}},
    {"process", "control", {"none", "/run/x/control"}, {"control", "unix:/run/x", "/run/../x", "/"}},
    {"process", "control_group", {"adm", "1234"}, {"a b", "-x"}},
    {"process",
     "metrics",
     {"none", "127.0.0.1:9100", "[::1]:9100", "unix:/run/x/metrics"},
     {"9100", "0.0.0.0:9100", "10.152.152.10:9100", "127.0.0.1", "/run/x/metrics", "unix:x"}},
    {"process", "hardening", {"strict", "best-effort"}, {"none", "best effort"}},
    {"log", "level", {"error", "warn", "info", "debug"}, {"notice", "INFO", "3"}},
    {"log", "identities", {"yes", "no"}, {"maybe", "0"}},
};

#define EVERY_KEY (sizeof(every_key) / sizeof(every_key[0]))

static void every_key_takes_its_good_values(void **state)
{
    char text[512];
    (void)state;
    for (size_t i = 0; i < EVERY_KEY; i++) {
        for (size_t j = 0; j < 4 && every_key[i].good[j] != NULL; j++) {
            snprintf(text, sizeof(text), "[%s]\n%s = %s\n", every_key[i].section, every_key[i].key,
                     every_key[i].good[j]);
            if (load(text) != 0)
                fail_msg("%s", config_error);
        }
    }
}

static void every_key_refuses_its_bad_values_with_line_and_name(void **state)
{
    char text[512], what[128];
    (void)state;
    for (size_t i = 0; i < EVERY_KEY; i++) {
        snprintf(what, sizeof(what), "%s.%s: ", every_key[i].section, every_key[i].key);
        for (size_t j = 0; j < 12 && every_key[i].bad[j] != NULL; j++) {
            snprintf(text, sizeof(text), "; a comment\n\n[%s]\n\n  %s = %s\n", every_key[i].section,
                     every_key[i].key, every_key[i].bad[j]);
            expect_refused(text, 5, what);
        }
        snprintf(text, sizeof(text), "[%s]\n%s =\n", every_key[i].section, every_key[i].key);
        expect_refused(text, 2, what);
        snprintf(text, sizeof(text), "[%s]\n%s = %s\n%s = %s\n", every_key[i].section, every_key[i].key,
                 every_key[i].good[0], every_key[i].key, every_key[i].good[0]);
        expect_refused(text, 3, what);
    }
}

/* Asks the program which keys it has, so that a new one cannot be forgotten above. */
static void no_key_is_without_a_test(void **state)
{
    (void)state;
    for (size_t i = 0; i < EVERY_KEY; i++) {
        char text[64];
        snprintf(text, sizeof(text), "[%s]\nunheard = of\n", every_key[i].section);
        assert_int_equal(load(text), -EINVAL);
        char *list = strstr(config_error, " has ");
        assert_non_null(list);
        for (char *save = NULL, *key = strtok_r(list + 5, ", ", &save); key != NULL;
             key = strtok_r(NULL, ", ", &save)) {
            size_t k = 0;
            while (k < EVERY_KEY &&
                   (strcmp(every_key[k].section, every_key[i].section) != 0 || strcmp(every_key[k].key, key) != 0))
                k++;
            if (k == EVERY_KEY)
                fail_msg("no values for %s.%s", every_key[i].section, key);
        }
    }
}

static void an_empty_file_gives_the_defaults(void **state)
{
    static const uint8_t gateway[4] = {10, 152, 152, 10};
    static const uint8_t no_mac[6];
    (void)state;
    assert_int_equal(load(""), 0);
    assert_string_equal(config_error, "");
    assert_string_equal(config.device, "cloister0");
    assert_string_equal(config.bridge, "");
    struct ipaddr addr = ipaddr_v4(gateway);
    assert_true(ipaddr_equal(&config.network.addr, &addr));
    assert_int_equal(config.network.len, 96 + 18);
    assert_int_equal(config.mtu, 1500);
    assert_memory_equal(config.mac, no_mac, 6);
    assert_true(config.offload);
    assert_int_equal(config.mode, CONFIG_MODE_EMBEDDED);
    assert_string_equal(config.data, "/var/lib/cloister");
    assert_string_equal(config.torrc, "");
    assert_int_equal(config.isolation, ISOLATION_WORKSTATION | ISOLATION_SOURCE_ADDRESS | ISOLATION_SOURCE_PORT);
    assert_int_equal(config.isolation_rules.count, 0);
    assert_int_equal(config.identity_rate, CONFIG_RATE_AUTO);
    assert_int_equal(config.identity_burst, 256);
    assert_int_equal(config.accept, CONFIG_ACCEPT_DEFERRED);
    assert_int_equal(config.half_close, CONFIG_HALF_CLOSE_KEEP);
    assert_int_equal(config.half_close_timeout, 60);
    assert_int_equal(config.level, LOG_LEVEL_INFO);
    assert_false(config.identities);
}

static void rules_stand_in_their_order_and_there_may_be_sixteen(void **state)
{
    char text[1024] = "[isolation]\nrule = port 22: workstation, destination-name\n";
    (void)state;
    for (unsigned i = 1; i < ISOLATION_RULES_MAX; i++)
        sprintf(text + strlen(text), "rule = port %u: workstation\n", 100 + i);
    assert_int_equal(load(text), 0);
    assert_int_equal(config.isolation_rules.count, ISOLATION_RULES_MAX);
    assert_int_equal(config.isolation_rules.rule[0].port[0], 22);
    assert_int_equal(config.isolation_rules.rule[15].port[0], 115);
    strcat(text, "rule = port 23: workstation\n");
    expect_refused(text, 2 + (int)ISOLATION_RULES_MAX, "isolation.rule: ");
}

static void the_documented_example_is_accepted(void **state)
{
    (void)state;
    assert_int_equal(load("[workstation]\n"
                          "device  = cloister0            ; name of the TAP that is created\n"
                          "bridge  = br0                  ; optional\n"
                          "address = 10.152.152.10/18     ; the gateway's own address\n"
                          "mtu     = 1500\n"
                          "mac     = 02:12:34:56:78:9a    ; optional\n"
                          "[tor]\n"
                          "mode    = embedded             ; or external\n"
                          "socks   = unix:/run/tor/socks  ; external only\n"
                          "data    = /var/lib/cloister\n"
                          "torrc   = /etc/cloister/torrc  ; optional\n"
                          "[isolation]\n"
                          "key     = source-port\n"
                          "[tcp]\n"
                          "accept  = deferred             ; or optimistic\n"
                          "half_close_timeout = 60        ; seconds\n"
                          "[log]\n"
                          "level   = info\n"
                          "identities = no\n"),
                     0);
    static const uint8_t mac[6] = {0x02, 0x12, 0x34, 0x56, 0x78, 0x9a};
    assert_memory_equal(config.mac, mac, 6);
    assert_string_equal(config.bridge, "br0");
    assert_string_equal(config.socks, "/run/tor/socks");
    assert_string_equal(config.torrc, "/etc/cloister/torrc");
}

static void an_external_tor_needs_a_socket(void **state)
{
    (void)state;
    expect_refused("[tor]\nmode = external\n", 2, "tor.socks: ");
    assert_int_equal(load("[tor]\nmode = external\nsocks = unix:/run/tor/socks\n"), 0);
}

static void a_data_directory_must_leave_room_for_the_socket_in_it(void **state)
{
    char text[256];
    (void)state;
    snprintf(text, sizeof(text), "[tor]\ndata = /%0*d\n", 93, 0);
    assert_int_equal(load(text), 0);
    snprintf(text, sizeof(text), "[tor]\ndata = /%0*d\n", 94, 0);
    expect_refused(text, 2, "tor.data: ");
}

static void the_share_of_a_workstation_follows_the_whole(void **state)
{
    (void)state;
    assert_int_equal(load("[limits]\nflows = 100\n"), 0);
    assert_int_equal(config.workstation_flows, 100);
    assert_int_equal(config.connecting, 100);
    assert_int_equal(config.workstation_connecting, 100);
    expect_refused("[limits]\nflows = 100\nworkstation_flows = 101\n", 3, "limits.workstation_flows: ");
    expect_refused("[limits]\nworkstation_connecting = 5\nconnecting = 4\n", 2, "limits.workstation_connecting: ");
}

static void several_tors_listen_in_one_directory(void **state)
{
    (void)state;
    assert_int_equal(load("[tor]\ninstances = 2\n"), 0);
    assert_int_equal(config.instances, 2);
    assert_int_equal(load("[tor]\nmode = external\nsocks = unix:/run/tor/a\nsocks = unix:/run/tor/b\n"), 0);
    assert_string_equal(config.socks[0], "/run/tor/a");
    assert_string_equal(config.socks[1], "/run/tor/b");
    assert_string_equal(config.socks[2], "");
#define EXTERNAL "[tor]\nmode = external\nsocks = unix:/run/tor/a\n"
    expect_refused(EXTERNAL "socks = unix:/run/tor/a\n", 4, "tor.socks: ");
    expect_refused(EXTERNAL "socks = unix:/run/other/a\n", 4, "tor.socks: ");
    expect_refused(EXTERNAL "socks = unix:/run/tor/deeper/a\n", 4, "tor.socks: ");
    expect_refused(EXTERNAL "socks = unix:/run/a\n", 4, "tor.socks: ");
    expect_refused(EXTERNAL "instances = 2\n", 4, "tor.instances: ");
    expect_refused(EXTERNAL "socks = unix:/run/tor/1\nsocks = unix:/run/tor/2\nsocks = unix:/run/tor/3\n"
                            "socks = unix:/run/tor/4\nsocks = unix:/run/tor/5\nsocks = unix:/run/tor/6\n"
                            "socks = unix:/run/tor/7\nsocks = unix:/run/tor/8\n",
                   11, "tor.socks: ");
}

static void a_torrc_that_is_not_there_is_refused(void **state)
{
    (void)state;
    assert_int_equal(load("[tor]\ntorrc = /nonexistent/torrc\n"), 0);
    assert_int_equal(config_check_files(&config, config_error), -ENOENT);
    assert_non_null(strstr(config_error, ":2: tor.torrc: /nonexistent/torrc: No such file"));
    assert_int_equal(load("[tor]\ntorrc = /tmp\n"), 0);
    assert_int_equal(config_check_files(&config, config_error), -EINVAL);
    /* An external one would not read it. */
    expect_refused("[tor]\nmode = external\nsocks = unix:/run/tor/socks\ntorrc = /nonexistent/torrc\n", 4,
                   "tor.torrc: ");
}

static void a_resolver_that_tor_cannot_reach_is_refused(void **state)
{
    (void)state;
    expect_refused("[dns]\nupstream = 9.9.9.9, 127.0.0.1\n", 2, "dns.upstream: ");
    expect_refused("[dns]\nupstream = fe80::1\n", 2, "dns.upstream: ");
    assert_int_equal(load("[tor]\nallow_private = yes\n[dns]\nupstream = 10.1.2.3\n"), 0);
}

static void a_port_of_ones_own_has_a_section(void **state)
{
    struct socks_port port;
    (void)state;
    assert_int_equal(load("[ports]\nsocks_ports = none\n[socks-port \"1080\"]\n[socks-port \"8118\"]\nkind = http\n"
                          "isolate = destination-address\n[socks-port \"9150\"]\ntor_browser = yes\n"),
                     0);
    assert_int_equal(config.socks_ports, CONFIG_PORTS_NONE);
    assert_int_equal(config.ports.count, 3);
    assert_true(socks_ports_find(&config.ports, 9150, &port));
    assert_true(port.tor_browser);
    assert_true(socks_ports_find(&config.ports, 8118, &port));
    assert_false(port.tor_browser);
    assert_int_equal(port.kind, FRONT_HTTP);
    assert_true(port.fields & ISOLATION_DESTINATION_NAME);
    assert_false(port.fields & ISOLATION_DESTINATION_PORT);
    expect_refused("[ports]\ncontrol = yes\n[socks-port \"9051\"]\n", 2, "ports.control: it is at port 9051");
    expect_refused("[socks-port \"0\"]\n", 1, "[socks-port \"0\"]: a port is a number");
    expect_refused("[socks-port \"65536\"]\n", 1, "[socks-port \"65536\"]: a port is a number");
    expect_refused("[socks-port \"53\"]\n", 1, "[socks-port \"53\"]: port");
    expect_refused("[socks-port]\n", 1, "[socks-port]: write [socks-port \"9101\"]");
    expect_refused("[socks-port 1080]\n", 1, "[socks-port 1080]: write [socks-port \"9101\"]");
    expect_refused("[socks-port \"\"]\n", 1, "[socks-port \"\"]: write [socks-port \"9101\"]");
    expect_refused("[socks-port \"1080\"]\n[socks-port \"1080\"]\n", 2, "[socks-port \"1080\"]: there is such");
    expect_refused("[socks-port \"1080\"]\nisolate = none\nisolate = none\n", 3,
                   "[socks-port \"1080\"] isolate: already");
    expect_refused("[socks-port \"1080\"]\nisolate = everything\n", 2, "[socks-port \"1080\"] isolate: write none");
    expect_refused("[socks-port \"1080\"]\nisolate =\n", 2, "[socks-port \"1080\"] isolate: no value");
    expect_refused("[socks-port \"1080\"]\nkind = https\n", 2, "[socks-port \"1080\"] kind: write");
    expect_refused("[socks-port \"1080\"]\ntor_browser = 1\n", 2, "[socks-port \"1080\"] tor_browser: write");
    expect_refused("[socks-port \"1080\"]\ntor_browser = no\ntor_browser = no\n", 3,
                   "[socks-port \"1080\"] tor_browser: already");
    expect_refused("[socks-port \"1080\"]\nport = 1\n", 2, "[socks-port \"1080\"] port: no such key");
}

static void there_are_so_many_ports_and_no_more(void **state)
{
    char text[4096];
    size_t n = 0;
    (void)state;
    for (unsigned i = 0; i < SOCKS_PORTS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "[socks-port \"%u\"]\n", 1000 + i);
    assert_int_equal(load(text), 0);
    snprintf(text + n, sizeof(text) - n, "[socks-port \"999\"]\n");
    expect_refused(text, SOCKS_PORTS_MAX + 1, "[socks-port \"999\"]: there are too many");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_takes_its_good_values),
        cmocka_unit_test(every_key_refuses_its_bad_values_with_line_and_name),
        cmocka_unit_test(no_key_is_without_a_test),
        cmocka_unit_test(an_empty_file_gives_the_defaults),
        cmocka_unit_test(rules_stand_in_their_order_and_there_may_be_sixteen),
        cmocka_unit_test(the_documented_example_is_accepted),
        cmocka_unit_test(an_external_tor_needs_a_socket),
        cmocka_unit_test(a_resolver_that_tor_cannot_reach_is_refused),
        cmocka_unit_test(a_data_directory_must_leave_room_for_the_socket_in_it),
        cmocka_unit_test(the_share_of_a_workstation_follows_the_whole),
        cmocka_unit_test(a_port_of_ones_own_has_a_section),
        cmocka_unit_test(there_are_so_many_ports_and_no_more),
        cmocka_unit_test(several_tors_listen_in_one_directory),
        cmocka_unit_test(a_torrc_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
