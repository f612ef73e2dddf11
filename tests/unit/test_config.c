/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration file: every key with values that will do and values that will not, and everything else that may be
 * wrong with a file. */
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
#include "daemon/config.h"
#include "socks/isolation.h"

static char path[] = "/tmp/cloister-test-config-XXXXXX";
static char error[CONFIG_ERROR_MAX];
static struct config config;

/* Write `n` bytes to the file and load it. */
static int load_bytes(const void *text, size_t n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    memset(error, 'x', sizeof(error) - 1);
    return config_load(&config, path, error);
}

static int load(const char *text)
{
    return load_bytes(text, strlen(text));
}

/* The file must be refused, with a message that begins with `file:line: what` (`line` 0: no line). */
static void expect_refused(const char *text, int line, const char *what)
{
    char want[CONFIG_ERROR_MAX];
    assert_int_equal(load(text), -EINVAL);
    if (line > 0)
        snprintf(want, sizeof(want), "%s:%d: %s", path, line, what);
    else
        snprintf(want, sizeof(want), "%s: %s", path, what);
    if (strncmp(error, want, strlen(want)) != 0)
        fail_msg("said \"%s\", not \"%s\"", error, want);
    /* One line, that goes on after the key. */
    assert_null(strchr(error, '\n'));
    assert_true(strlen(error) > strlen(want));
}

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
                fail_msg("%s", error);
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
        char *list = strstr(error, " has ");
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
    assert_string_equal(error, "");
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

static void a_section_may_be_opened_twice_and_lines_may_end_like_on_windows(void **state)
{
    (void)state;
    assert_int_equal(load("[tor]\r\nmode = external\r\n[log]\r\nlevel = debug\r\n[tor]\r\n"
                          "socks = unix:/run/tor/socks\r\n"),
                     0);
    assert_int_equal(config.mode, CONFIG_MODE_EXTERNAL);
    assert_string_equal(config.socks, "/run/tor/socks");
}

static void the_last_line_needs_no_newline(void **state)
{
    (void)state;
    assert_int_equal(load("[workstation]\nmtu = 1400"), 0);
    assert_int_equal(config.mtu, 1400);
}

static void an_unknown_section_is_refused_also_without_keys(void **state)
{
    (void)state;
    expect_refused("[log]\n[wrkstation]\n", 2, "[wrkstation]: ");
    assert_non_null(strstr(error, "[workstation]"));
    expect_refused("[Tor]\nmode = embedded\n", 1, "[Tor]: ");
    expect_refused("[]\n", 1, "[]: ");
}

static void an_unknown_key_is_refused_with_those_there_are(void **state)
{
    (void)state;
    expect_refused("[tcp]\naccept = deferred\nhalf_close_time = 60\n", 3, "tcp.half_close_time: ");
    assert_non_null(strstr(error, "half_close_timeout"));
    expect_refused("[tcp]\nAccept = deferred\n", 2, "tcp.Accept: ");
}

static void a_key_outside_of_a_section_is_refused(void **state)
{
    (void)state;
    expect_refused("mtu = 1500\n[workstation]\n", 1, "mtu: ");
}

static void what_is_neither_section_nor_key_is_refused(void **state)
{
    (void)state;
    expect_refused("[workstation]\nmtu 1500\n", 2, "neither");
    expect_refused("[workstation\nmtu = 1500\n", 1, "neither");
    /* The first error of the file is the one that is told. */
    expect_refused("[workstation]\nmtu 1500\nmtu = 1\n", 2, "neither");
    expect_refused("[workstation]\nmtu = 1\nmtu 1500\n", 2, "workstation.mtu: ");
}

static void an_indented_line_is_a_line_of_its_own(void **state)
{
    (void)state;
    expect_refused("[workstation]\nmtu = 1500\n  1600\n", 3, "neither");
}

static void a_line_is_never_cut(void **state)
{
    char text[1024];
    (void)state;
    /* One that fits, one that is a character too long, and one whose rest would make a good line. */
    for (int n = 150; n < 260; n++) {
        int at = snprintf(text, sizeof(text), "[tor]\n");
        at += snprintf(text + at, sizeof(text) - (size_t)at, "data = /%0*d\n", n - 8, 0);
        snprintf(text + at, sizeof(text) - (size_t)at, "mode = nonsense\n");
        assert_int_equal(load(text), -EINVAL);
        assert_non_null(strstr(error, n <= 197 ? "mode: " : ":2: the line is longer than 197"));
        if (n == 197 || n == 150)
            assert_null(strstr(error, "longer"));
    }
    int at = snprintf(text, sizeof(text), "[log]\n;%0*d", 250, 0);
    snprintf(text + at, sizeof(text) - (size_t)at, "\nlevel = info\n");
    expect_refused(text, 2, "the line is longer");
}

static void binary_data_is_refused(void **state)
{
    static const char nul[] = "[workstation]\nmtu = 1500\0\nmtu = 1\n";
    static const char elf[] = "\x7f"
                              "ELF\x02\x01\x01\0\0\0";
    char junk[4096];
    (void)state;
    assert_int_equal(load_bytes(nul, sizeof(nul) - 1), -EINVAL);
    assert_non_null(strstr(error, ":2: a byte that is no text (0x00)"));
    assert_int_equal(load_bytes(elf, sizeof(elf)), -EINVAL);
    uint32_t x = 1;
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof(junk); i++) {
            x = x * 1664525u + 1013904223u;
            junk[i] = (char)(x >> 24);
        }
        assert_int_equal(load_bytes(junk, sizeof(junk)), -EINVAL);
    }
}

static void an_escape_sequence_does_not_reach_the_terminal(void **state)
{
    (void)state;
    expect_refused("[workstation]\nmtu = \x1b[2J\n", 2, "a byte that is no text (0x1b)");
}

static void a_missing_file_and_a_directory_are_refused(void **state)
{
    (void)state;
    assert_int_equal(config_load(&config, "/nonexistent/cloister.conf", error), -ENOENT);
    assert_string_equal(error, "/nonexistent/cloister.conf: No such file or directory");
    assert_true(config_load(&config, "/tmp", error) < 0);
    assert_string_equal(error, "/tmp: Is a directory");
}

static void several_interfaces_may_be_attached_but_not_to_a_bridge(void **state)
{
    (void)state;
    assert_int_equal(load("[workstation]\nattach = eth1\nattach = eth2\n"), 0);
    assert_string_equal(config.attach[0], "eth1");
    assert_string_equal(config.attach[1], "eth2");
    assert_string_equal(config.attach[2], "");
    assert_true(config.isolate_clients);
    assert_int_equal(load("[workstation]\nattach = eth1\nisolate_clients = yes\n"), 0);
    expect_refused("[workstation]\nbridge = br0\nattach = eth1\n", 3, "workstation.attach: ");
    expect_refused("[workstation]\nbridge = br0\nisolate_clients = yes\n", 3, "workstation.isolate_clients: ");
    expect_refused("[workstation]\nattach = a\nattach = b\nattach = c\nattach = d\nattach = e\nattach = f\n"
                   "attach = g\nattach = h\nattach = i\n",
                   10, "workstation.attach: ");
}

static void an_external_tor_needs_a_socket(void **state)
{
    (void)state;
    expect_refused("[tor]\nmode = external\n", 2, "tor.socks: ");
    assert_int_equal(load("[tor]\nmode = external\nsocks = unix:/run/tor/socks\n"), 0);
}

static void the_virtual_range_must_not_overlap_the_workstation_network(void **state)
{
    (void)state;
    expect_refused("[workstation]\naddress = 10.200.0.1/16\n", 2, "workstation.address: ");
    assert_non_null(strstr(error, "virtual = 172.16.0.0/12"));
    assert_int_equal(load("[workstation]\naddress = 10.200.0.1/16\n[dns]\nvirtual = 172.16.0.0/12\n"), 0);
    expect_refused("[dns]\n\nvirtual = 10.152.128.0/18\n", 3, "dns.virtual: ");
}

static void there_is_no_ipv6_unless_it_is_configured(void **state)
{
    static const uint8_t gateway[16] = {0xfd, 0x19, 0xc3, 0x3d, 0x88, 0xbc, [15] = 0x10};
    (void)state;
    assert_int_equal(load("[dns]\nvirtual6 = fc00:1::/32\n"), 0);
    assert_int_equal(config.network6.len, 0);
    assert_int_equal(config.virtual_net6.len, 0);
    assert_int_equal(load("[workstation]\naddress6 = fd19:c33d:88bc::10/64\n"), 0);
    assert_int_equal(config.network6.len, 64);
    assert_memory_equal(config.network6.addr.b, gateway, 16);
    assert_int_equal(config.virtual_net6.len, 64);
    assert_int_equal(load("[workstation]\naddress6 = fd19:c33d:88bc::10/64\n[dns]\nvirtual6 = none\n"), 0);
    assert_int_equal(config.virtual_net6.len, 0);
}

static void the_virtual_range6_must_not_overlap_the_workstation_network(void **state)
{
    (void)state;
    expect_refused("[workstation]\naddress6 = fd6c:7601:7e2::1/48\n", 2, "dns.virtual6: ");
    expect_refused("[workstation]\naddress6 = fd19:c33d:88bc::10/64\n[dns]\nvirtual6 = fd19::/16\n", 4,
                   "dns.virtual6: ");
}

static void advertisements_need_an_address(void **state)
{
    (void)state;
    expect_refused("[workstation]\n\nra = yes\n", 3, "workstation.ra: ");
    assert_int_equal(load("[workstation]\nra = yes\naddress6 = fd19:c33d:88bc::10/64\n"), 0);
    assert_true(config.ra);
}

static void leases_are_as_many_as_there_are_lines(void **state)
{
    static const uint8_t macs[2][6] = {{2, 0, 0x5e, 0x10, 0, 2}, {2, 0, 0x5e, 0x10, 0, 3}};
    char text[8192] = "[workstation]\n";
    (void)state;
    assert_int_equal(load("[workstation]\ndhcp_lease = 02:00:5e:10:00:02 10.152.152.20\n"
                          "dhcp = 10.152.152.100-10.152.152.101\n"
                          "dhcp_lease = 02:00:5e:10:00:03 10.152.152.21\n"),
                     0);
    assert_int_equal(config.dhcp_leases.count, 2);
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t address[4] = {10, 152, 152, (uint8_t)(20 + i)};
        assert_memory_equal(config.dhcp_leases.lease[i].mac, macs[i], 6);
        assert_memory_equal(config.dhcp_leases.lease[i].address, address, 4);
    }
    assert_int_equal(be32_load(config.dhcp[0].b + 12), 0x0a989864);
    assert_int_equal(be32_load(config.dhcp[1].b + 12), 0x0a989865);

    expect_refused("[workstation]\ndhcp_lease = 02:00:5e:10:00:02 10.152.152.20\n"
                   "dhcp_lease = 02:00:5e:10:00:02 10.152.152.21\n",
                   3, "workstation.dhcp_lease: ");
    expect_refused("[workstation]\ndhcp_lease = 02:00:5e:10:00:02 10.152.152.20\n"
                   "dhcp_lease = 02:00:5e:10:00:03 10.152.152.20\n",
                   3, "workstation.dhcp_lease: ");
    for (unsigned i = 0; i <= 64; i++) {
        if (i == 64)
            assert_int_equal(load(text), 0);
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 "dhcp_lease = 02:00:5e:10:00:%02x 10.152.152.%u\n", i, 20 + i);
    }
    expect_refused(text, 66, "workstation.dhcp_lease: ");
}

static void stations_are_as_many_as_there_are_lines_of_both_families(void **state)
{
    static const uint8_t mac[6] = {2, 0, 0x5e, 0x10, 0, 2};
    char text[8192] = "[workstation]\n";
    (void)state;
    assert_int_equal(load("[workstation]\naddress6 = fd19:c33d:88bc::10/64\nstations = listed\n"
                          "station = 02:00:5e:10:00:02 10.152.152.20\n"
                          "station = 02:00:5e:10:00:02 fd19:c33d:88bc::20\n"
                          "dhcp_lease = 02:00:5e:10:00:02 10.152.152.20\n"),
                     0);
    assert_int_equal(config.served, CONFIG_SERVED_LISTED);
    assert_int_equal(config.stations.count, 2);
    assert_memory_equal(config.stations.station[1].mac, mac, 6);
    assert_true(ipaddr_is_v4(&config.stations.station[0].addr));
    assert_int_equal(config.stations.station[1].addr.b[15], 0x20);

    expect_refused("[workstation]\nstation = 02:00:5e:10:00:02 10.152.152.20\n"
                   "station = 02:00:5e:10:00:03 10.152.152.20\n",
                   3, "workstation.station: ");
    expect_refused("[workstation]\nstation = 02:00:5e:10:00:02 10.152.152.20\n"
                   "dhcp_lease = 02:00:5e:10:00:03 10.152.152.20\n",
                   2, "workstation.station: ");
    expect_refused("[workstation]\naddress6 = fd19:c33d:88bc::10/64\nstation = 02:00:5e:10:00:02 fd20::20\n", 3,
                   "workstation.station: ");
    expect_refused("[workstation]\nstation = 02:00:5e:10:00:02 10.152.152.20\nstations = listed\n"
                   "dhcp = 10.152.152.100-10.152.152.199\n",
                   3, "workstation.stations: ");
    expect_refused("[limits]\nworkstations = 1\n[workstation]\nstation = 02:00:5e:10:00:02 10.152.152.20\n"
                   "station = 02:00:5e:10:00:02 10.152.152.21\n",
                   5, "workstation.station: ");
    for (unsigned i = 0; i <= 64; i++) {
        if (i == 64)
            assert_int_equal(load(text), 0);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "station = 02:00:5e:10:00:%02x 10.152.152.%u\n",
                 i / 16, 20 + i);
    }
    expect_refused(text, 66, "workstation.station: ");
    strcpy(text, "[workstation]\n");
    for (unsigned i = 0; i < 17; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "station = 02:00:5e:10:00:02 10.152.152.%u\n",
                 20 + i);
    expect_refused(text, 18, "workstation.station: ");
}

static void no_more_is_leased_than_workstations_are_known(void **state)
{
    (void)state;
    expect_refused("[limits]\nworkstations = 99\n[workstation]\ndhcp = 10.152.152.100-10.152.152.199\n", 4,
                   "workstation.dhcp: ");
    assert_int_equal(load("[limits]\nworkstations = 100\n[workstation]\ndhcp = 10.152.152.100-10.152.152.199\n"),
                     0);
}

static void ipv6_needs_a_link_that_carries_it(void **state)
{
    (void)state;
    expect_refused("[workstation]\nmtu = 1279\naddress6 = fd19:c33d:88bc::10/64\n", 3, "workstation.address6: ");
    assert_int_equal(load("[workstation]\nmtu = 1280\naddress6 = fd19:c33d:88bc::10/64\n"), 0);
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

static void the_bridge_is_not_the_device(void **state)
{
    (void)state;
    expect_refused("[workstation]\ndevice = br0\nbridge = br0\n", 3, "workstation.bridge: ");
    expect_refused("[workstation]\nbridge = cloister0\n", 2, "workstation.bridge: ");
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
    assert_int_equal(config_check_files(&config, error), -ENOENT);
    assert_non_null(strstr(error, ":2: tor.torrc: /nonexistent/torrc: No such file"));
    assert_int_equal(load("[tor]\ntorrc = /tmp\n"), 0);
    assert_int_equal(config_check_files(&config, error), -EINVAL);
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
    expect_refused("[socks-port]\n", 1, "[socks-port]: no such section");
    expect_refused("[socks-port 1080]\n", 1, "[socks-port 1080]: no such section");
    expect_refused("[socks-port \"\"]\n", 1, "[socks-port \"\"]: no such section");
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
        cmocka_unit_test(a_section_may_be_opened_twice_and_lines_may_end_like_on_windows),
        cmocka_unit_test(the_last_line_needs_no_newline),
        cmocka_unit_test(an_unknown_section_is_refused_also_without_keys),
        cmocka_unit_test(an_unknown_key_is_refused_with_those_there_are),
        cmocka_unit_test(a_key_outside_of_a_section_is_refused),
        cmocka_unit_test(what_is_neither_section_nor_key_is_refused),
        cmocka_unit_test(an_indented_line_is_a_line_of_its_own),
        cmocka_unit_test(a_line_is_never_cut),
        cmocka_unit_test(binary_data_is_refused),
        cmocka_unit_test(an_escape_sequence_does_not_reach_the_terminal),
        cmocka_unit_test(a_missing_file_and_a_directory_are_refused),
        cmocka_unit_test(several_interfaces_may_be_attached_but_not_to_a_bridge),
        cmocka_unit_test(an_external_tor_needs_a_socket),
        cmocka_unit_test(the_virtual_range_must_not_overlap_the_workstation_network),
        cmocka_unit_test(a_resolver_that_tor_cannot_reach_is_refused),
        cmocka_unit_test(there_is_no_ipv6_unless_it_is_configured),
        cmocka_unit_test(the_virtual_range6_must_not_overlap_the_workstation_network),
        cmocka_unit_test(advertisements_need_an_address),
        cmocka_unit_test(leases_are_as_many_as_there_are_lines),
        cmocka_unit_test(stations_are_as_many_as_there_are_lines_of_both_families),
        cmocka_unit_test(no_more_is_leased_than_workstations_are_known),
        cmocka_unit_test(ipv6_needs_a_link_that_carries_it),
        cmocka_unit_test(a_data_directory_must_leave_room_for_the_socket_in_it),
        cmocka_unit_test(the_share_of_a_workstation_follows_the_whole),
        cmocka_unit_test(the_bridge_is_not_the_device),
        cmocka_unit_test(a_port_of_ones_own_has_a_section),
        cmocka_unit_test(there_are_so_many_ports_and_no_more),
        cmocka_unit_test(several_tors_listen_in_one_directory),
        cmocka_unit_test(a_torrc_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
