/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "dns/answer.h"
#include "dns_check.h"

#define SECOND UINT64_C(1000000)

static const struct dns_client udp0 = {.host = 0, .transport = DNS_UDP};
static const struct dns_client udp1 = {.host = 1, .transport = DNS_UDP};
static const struct dns_client tcp0 = {.host = 0, .transport = DNS_TCP};

static struct dns *dns;
static struct dns_config config;
static uint64_t now;
static uint8_t answer[DNS_UDP_MAX]; /* the last one */
static struct seen seen;            /* what it says */

static void begin(void)
{
    free(dns);
    size_t n = dns_size(&config);
    assert_true(n > 0);
    dns = aligned_alloc(64, (n + 63) / 64 * 64);
    assert_non_null(dns);
    memset(dns, 0, n);
    dns = dns_init(dns, &config);
    dns_set_ready(dns, true);
    now = 1000 * SECOND;
}

static int setup(void **state)
{
    (void)state;
    memset(&config, 0, sizeof(config));
    dns_config_defaults(&config);
    config.max_hosts = 4;
    config.slots = 256;
    begin();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(dns);
    dns = NULL;
    return 0;
}

/* Ask, and read the answer into `seen`; what every answer must have is checked here. Returns its rcode. */
static unsigned ask_raw(const struct dns_client *client, const uint8_t *query, size_t n)
{
    ssize_t len = dns_answer(dns, bytes_of(query, n), client, answer, sizeof(answer), now);
    assert_true(len > 0);
    assert_true(check_answer(answer, (size_t)len, &seen));
    assert_int_equal(seen.id, query[0] * 256 + query[1]);
    assert_int_equal(seen.flags & 0x7900, (query[2] * 256 + query[3]) & 0x7900); /* opcode, RD */
    for (unsigned i = 0; i < seen.answers; i++)
        assert_string_equal(seen.answer[i].owner, seen.name);
    return seen.rcode;
}

/* Data of the first answer record of the last answer. */
static const uint8_t *last_data(void)
{
    assert_true(seen.answers > 0);
    return answer + seen.answer[0].data;
}

static unsigned ask(const struct dns_client *client, const char *name, uint16_t type)
{
    uint8_t query[300];
    unsigned rcode = ask_raw(client, query, make_query(query, 0xabcd, name, type));
    assert_int_equal(seen.type, type);
    return rcode;
}

/* Ask for A and expect an address; return it. */
static struct ipaddr resolve(const struct dns_client *client, const char *name)
{
    assert_int_equal(ask(client, name, 1), DNS_NOERROR);
    assert_int_equal(seen.answers, 1);
    assert_int_equal(seen.answer[0].type, 1);
    assert_int_equal(seen.answer[0].len, 4);
    return ipaddr_v4(last_data());
}

static void assert_negative(unsigned got, unsigned rcode, const char *zone)
{
    assert_int_equal(got, rcode);
    assert_int_equal(seen.answers, 0);
    assert_int_equal(seen.authorities, 1);
    assert_int_equal(seen.authority[0].type, DNS_TYPE_SOA);
    assert_string_equal(seen.authority[0].owner, zone);
}

static void assert_bare(unsigned got, unsigned rcode)
{
    assert_int_equal(got, rcode);
    assert_int_equal(seen.answers + seen.authorities, 0);
}

static void a_name_gets_a_virtual_address_for_a_minute(void **state)
{
    (void)state;
    struct ipaddr a = resolve(&udp0, "WwW.Example.ORG");
    assert_string_equal(seen.name, "WwW.Example.ORG.");
    assert_int_equal(seen.flags, 0x8180); /* QR, RD, RA */
    assert_int_equal(seen.answer[0].ttl, 60);
    assert_int_equal(seen.authorities, 0);
    assert_int_equal(a.b[12], 10);
    assert_int_equal(a.b[13] & 0xc0, 192);
    assert_true(dns_is_virtual(dns, &a));
    struct ipaddr again = resolve(&udp0, "www.example.org");
    assert_true(ipaddr_equal(&a, &again));
}

static void a_flow_to_the_address_gets_the_name_in_lower_case(void **state)
{
    (void)state;
    struct ipaddr a = resolve(&udp0, "WwW.Example.ORG");
    char name[DNS_TEXT_SIZE];
    uint32_t h = dns_pin(dns, 0, &a, name);
    assert_int_not_equal(h, 0);
    assert_string_equal(name, "www.example.org");
    assert_int_equal(dns_names(dns)->pinned, 1);
    dns_unpin(dns, h);
    assert_int_equal(dns_names(dns)->pinned, 0);
}

static void a_flow_of_another_workstation_or_to_an_unknown_address_is_refused(void **state)
{
    (void)state;
    struct ipaddr a = resolve(&udp0, "www.example.org");
    char name[DNS_TEXT_SIZE];
    assert_int_equal(dns_pin(dns, 1, &a, name), 0);
    a.b[15] ^= 1;
    assert_int_equal(dns_pin(dns, 0, &a, name), 0);
    assert_true(dns_is_virtual(dns, &a));
    a.b[12] = 9;
    assert_false(dns_is_virtual(dns, &a));
}

static void aaaa_and_https_have_no_data_so_that_clients_take_a(void **state)
{
    (void)state;
    assert_negative(ask(&udp0, "www.example.org", 28), DNS_NOERROR, "www.example.org.");
    assert_negative(ask(&udp0, "www.example.org", 65), DNS_NOERROR, "www.example.org.");
    assert_negative(ask(&udp0, "_443._https.example.org", 64), DNS_NOERROR, "_443._https.example.org.");
    assert_int_equal(dns_names(dns)->names, 0); /* and take no memory */
}

static void with_an_ipv6_range_aaaa_is_answered_and_leads_to_the_same_name(void **state)
{
    (void)state;
    config.virtual6 = (struct ipnet){{{0xfd, 0x77}}, 64};
    begin();
    assert_int_equal(ask(&udp0, "www.example.org", 28), DNS_NOERROR);
    assert_int_equal(seen.answer[0].type, 28);
    assert_int_equal(seen.answer[0].len, 16);
    struct ipaddr a6 = ipaddr_v6(last_data());
    struct ipaddr a4 = resolve(&udp0, "www.example.org");
    char name[DNS_TEXT_SIZE];
    uint32_t h = dns_pin(dns, 0, &a6, name);
    assert_int_not_equal(h, 0);
    assert_string_equal(name, "www.example.org");
    assert_int_equal(dns_pin(dns, 0, &a4, name), h);
    assert_int_equal(dns_names(dns)->names, 1);
}

static void until_tor_is_up_ordinary_names_fail_and_special_ones_do_not(void **state)
{
    (void)state;
    dns_set_ready(dns, false);
    assert_bare(ask(&udp0, "www.example.org", 1), DNS_SERVFAIL);
    assert_bare(ask(&udp0, "www.example.org", 28), DNS_SERVFAIL);
    assert_int_equal(ask(&udp0, "localhost", 1), DNS_NOERROR);
    assert_negative(ask(&udp0, "x.local", 1), DNS_NXDOMAIN, "local.");
    dns_set_ready(dns, true);
    resolve(&udp0, "www.example.org");
    dns_set_ready(dns, false);
    assert_bare(ask(&udp0, "www.example.org", 1), DNS_SERVFAIL);
    assert_int_equal(dns_counters(dns)->failed, 3);
}

static void a_name_that_tor_did_not_find_does_not_exist_for_a_minute(void **state)
{
    (void)state;
    struct ipaddr a = resolve(&udp0, "gone.example.org");
    resolve(&udp1, "gone.example.org");
    char name[DNS_TEXT_SIZE];
    uint32_t h = dns_pin(dns, 0, &a, name);
    dns_name_tried(dns, h, false, now);
    dns_unpin(dns, h);
    assert_negative(ask(&udp0, "GONE.example.org", 1), DNS_NXDOMAIN, "example.org.");
    assert_int_equal(seen.authority[0].ttl, 60);
    assert_negative(ask(&udp0, "gone.example.org", 28), DNS_NXDOMAIN, "example.org.");
    assert_negative(ask(&udp0, "gone.example.org", 65), DNS_NXDOMAIN, "example.org.");
    now += 59 * SECOND;
    assert_negative(ask(&udp0, "gone.example.org", 1), DNS_NXDOMAIN, "example.org.");
    assert_int_equal(seen.authority[0].ttl, 1);
    resolve(&udp1, "gone.example.org"); /* that one looked and failed is not another's business */
    now += SECOND;
    struct ipaddr b = resolve(&udp0, "gone.example.org");
    assert_true(ipaddr_equal(&a, &b));
}

static void a_name_that_tor_found_after_all_exists_again(void **state)
{
    (void)state;
    struct ipaddr a = resolve(&udp0, "back.example.org");
    char name[DNS_TEXT_SIZE];
    uint32_t h = dns_pin(dns, 0, &a, name);
    dns_name_tried(dns, h, false, now);
    assert_negative(ask(&udp0, "back.example.org", 1), DNS_NXDOMAIN, "example.org.");
    dns_name_tried(dns, h, true, now);
    dns_unpin(dns, h);
    resolve(&udp0, "back.example.org");
}

static void an_onion_service_that_is_down_exists(void **state)
{
    (void)state;
    static const char onion[] = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
    struct ipaddr a = resolve(&udp0, onion);
    char name[DNS_TEXT_SIZE];
    uint32_t h = dns_pin(dns, 0, &a, name);
    dns_name_tried(dns, h, false, now);
    dns_unpin(dns, h);
    struct ipaddr b = resolve(&udp0, onion);
    assert_true(ipaddr_equal(&a, &b));
}

static void types_that_only_a_real_server_knows_are_not_implemented(void **state)
{
    (void)state;
    /* NS, CNAME, SOA, MX, TXT, SRV, NAPTR, DS, DNSKEY, CAA, one nobody has, and OPT. */
    static const uint16_t types[] = {2, 5, 6, 15, 16, 33, 35, 43, 48, 257, 65280, 41, 0};
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        assert_bare(ask(&udp0, "example.org", types[i]), DNS_NOTIMP);
    assert_int_equal(dns_names(dns)->names, 0);
}

static void zone_transfers_and_other_classes_are_refused(void **state)
{
    (void)state;
    assert_bare(ask(&udp0, "example.org", 252), DNS_REFUSED);
    assert_bare(ask(&tcp0, "example.org", 252), DNS_REFUSED);
    assert_bare(ask(&udp0, "example.org", 251), DNS_REFUSED);
    uint8_t query[300];
    size_t n = make_query(query, 7, "version.bind", 16);
    query[n - 1] = 3; /* CHAOS */
    assert_bare(ask_raw(&udp0, query, n), DNS_REFUSED);
    query[n - 1] = 255;
    assert_bare(ask_raw(&udp0, query, n), DNS_REFUSED);
    assert_int_equal(seen.class, 255);
}

static void any_gets_one_small_record(void **state)
{
    (void)state;
    assert_int_equal(ask(&udp0, "example.org", 255), DNS_NOERROR);
    assert_int_equal(seen.answers, 1);
    assert_int_equal(seen.answer[0].type, 13);
    assert_memory_equal(last_data(), "\7RFC8482", 9);
    assert_negative(ask(&udp0, "x.local", 255), DNS_NXDOMAIN, "local.");
    assert_negative(ask(&udp0, "router", 255), DNS_NXDOMAIN, ".");
}

static void localhost_is_the_loopback_address(void **state)
{
    (void)state;
    static const char *const names[] = {"localhost", "LocalHost", "www.localhost"};
    for (size_t i = 0; i < 3; i++) {
        struct ipaddr a = resolve(&udp0, names[i]);
        const uint8_t want4[4] = {127, 0, 0, 1};
        assert_memory_equal(a.b + 12, want4, 4);
        assert_false(dns_is_virtual(dns, &a));
        assert_int_equal(ask(&udp0, names[i], 28), DNS_NOERROR);
        const uint8_t want6[16] = {[15] = 1};
        assert_memory_equal(last_data(), want6, 16);
    }
    assert_negative(ask(&udp0, "www.localhost", 15), DNS_NOERROR, "localhost.");
    assert_negative(ask(&udp0, "www.localhost", 65), DNS_NOERROR, "localhost.");
}

static void names_for_local_use_do_not_exist_whatever_is_asked(void **state)
{
    (void)state;
    static const uint16_t types[] = {1, 28, 16, 33, 12, 6, 65, 255};
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        assert_negative(ask(&udp0, "a.b.invalid", types[i]), DNS_NXDOMAIN, "invalid.");
        assert_negative(ask(&udp0, "invalid", types[i]), DNS_NXDOMAIN, ".");
        assert_negative(ask(&udp0, "Printer.LOCAL", types[i]), DNS_NXDOMAIN, "LOCAL.");
        assert_negative(ask(&udp0, "My Printer._ipp._tcp.local", types[i]), DNS_NXDOMAIN, "local.");
        assert_negative(ask(&udp0, "nas.home.arpa", types[i]), DNS_NXDOMAIN, "home.arpa.");
        assert_negative(ask(&udp0, "www.example.com.lan", types[i]), DNS_NXDOMAIN, "lan.");
        assert_negative(ask(&udp0, "use-application-dns.net", types[i]), DNS_NXDOMAIN, "net.");
        assert_negative(ask(&udp0, "x.exit", types[i]), DNS_NXDOMAIN, "exit.");
        assert_negative(ask(&udp0, "10.0.0.1", types[i]), DNS_NXDOMAIN, "1.");
        assert_negative(ask(&udp0, "_dns.resolver.arpa", types[i]), DNS_NOERROR, "resolver.arpa.");
    }
}

static void a_single_label_is_no_host_but_may_be_a_zone(void **state)
{
    (void)state;
    assert_negative(ask(&udp0, "router", 1), DNS_NXDOMAIN, ".");
    assert_negative(ask(&udp0, "router", 28), DNS_NXDOMAIN, ".");
    assert_bare(ask(&udp0, "com", 43), DNS_NOTIMP);
    assert_bare(ask(&udp0, "com", 2), DNS_NOTIMP);
    assert_bare(ask(&udp0, "", 2), DNS_NOTIMP);
    assert_negative(ask(&udp0, "", 1), DNS_NOERROR, ".");
}

static void ipv4only_is_answered_as_without_nat64(void **state)
{
    (void)state;
    config.virtual6 = (struct ipnet){{{0xfd, 0x77}}, 64};
    begin();
    assert_int_equal(ask(&udp0, "ipv4only.arpa", 1), DNS_NOERROR);
    assert_int_equal(seen.answers, 2);
    const uint8_t want[4] = {192, 0, 0, 170};
    assert_memory_equal(last_data(), want, 4);
    assert_negative(ask(&udp0, "ipv4only.arpa", 28), DNS_NOERROR, "ipv4only.arpa.");
}

static void an_onion_name_is_mapped_if_its_checksum_is_right(void **state)
{
    (void)state;
    const char *good = "www.pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.ONION";
    struct ipaddr a = resolve(&udp0, good);
    char name[DNS_TEXT_SIZE];
    assert_int_not_equal(dns_pin(dns, 0, &a, name), 0);
    assert_string_equal(name, "www.pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion");
    assert_negative(ask(&udp0, "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscrye.onion", 1), DNS_NXDOMAIN,
                    "onion.");
    assert_negative(ask(&udp0, "expyuzz4wqqyqhjn.onion", 1), DNS_NXDOMAIN, "onion.");
    assert_negative(ask(&udp0, "onion", 1), DNS_NXDOMAIN, ".");
    /* It has no other records, and nobody to ask for them. */
    assert_int_equal(ask(&udp0, good, 15), DNS_NOERROR);
    assert_int_equal(seen.authorities, 1);
    dns_set_ready(dns, false);
    assert_bare(ask(&udp0, good, 1), DNS_SERVFAIL);
}

static void the_reverse_of_a_virtual_address_is_its_name_for_whom_it_was_given(void **state)
{
    (void)state;
    struct ipaddr a = resolve(&udp0, "www.example.org");
    char reverse[64];
    snprintf(reverse, sizeof(reverse), "%u.%u.%u.%u.in-addr.arpa", a.b[15], a.b[14], a.b[13], a.b[12]);
    assert_int_equal(ask(&udp0, reverse, 12), DNS_NOERROR);
    assert_int_equal(seen.answer[0].type, 12);
    assert_memory_equal(last_data(), "\3www\7example\3org", 17);
    assert_negative(ask(&udp1, reverse, 12), DNS_NXDOMAIN, "10.in-addr.arpa.");
    assert_negative(ask(&udp0, reverse, 1), DNS_NOERROR, "10.in-addr.arpa.");
}

static void the_reverse_of_a_virtual_ipv6_address_is_its_name(void **state)
{
    (void)state;
    config.virtual6 = (struct ipnet){{{0xfd, 0x77}}, 64};
    begin();
    ask(&udp0, "www.example.org", 28);
    char reverse[80];
    for (unsigned i = 0; i < 16; i++)
        snprintf(reverse + 4 * i, 5, "%x.%x.", last_data()[15 - i] & 15u, last_data()[15 - i] >> 4);
    snprintf(reverse + 64, 10, "ip6.arpa");
    assert_int_equal(ask(&udp0, reverse, 12), DNS_NOERROR);
    assert_memory_equal(last_data(), "\3www\7example\3org", 17);
}

static void private_reverse_zones_are_empty(void **state)
{
    (void)state;
    assert_negative(ask(&udp0, "1.1.168.192.in-addr.arpa", 12), DNS_NXDOMAIN, "168.192.in-addr.arpa.");
    assert_negative(ask(&udp0, "168.192.in-addr.arpa", 6), DNS_NOERROR, "168.192.in-addr.arpa.");
    assert_negative(ask(&udp0, "lb._dns-sd._udp.0.152.152.10.in-addr.arpa", 12), DNS_NXDOMAIN, "10.in-addr.arpa.");
    assert_negative(ask(&udp0, "2.0.0.127.in-addr.arpa", 16), DNS_NXDOMAIN, "127.in-addr.arpa.");
}

static void loopback_addresses_lead_back_to_localhost(void **state)
{
    (void)state;
    static const char *const names[] = {"1.0.0.127.in-addr.arpa",
                                        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ask(&udp0, names[i], 12), DNS_NOERROR);
        assert_int_equal(seen.answers, 1);
        assert_int_equal(seen.answer[0].len, 11);
        assert_memory_equal(last_data(), "\11localhost", 11);
        assert_int_equal(ask(&udp0, names[i], 1), DNS_NOERROR);
        assert_int_equal(seen.answers, 0);
        assert_int_equal(seen.authorities, 1);
    }
    assert_negative(ask(&udp0, "1.0.0.10.in-addr.arpa", 12), DNS_NXDOMAIN, "10.in-addr.arpa.");
}

static void real_reverse_names_are_not_implemented_and_never_hosts(void **state)
{
    (void)state;
    assert_bare(ask(&udp0, "4.3.2.1.in-addr.arpa", 12), DNS_NOTIMP);
    assert_negative(ask(&udp0, "4.3.2.1.in-addr.arpa", 1), DNS_NOERROR, "in-addr.arpa.");
    assert_int_equal(dns_names(dns)->names, 0);
}

static void a_name_that_tor_would_not_take_has_no_address(void **state)
{
    (void)state;
    static const char *const names[] = {"a b.example.org",         "a\nb.example.org",   "*.example.org",
                                        "caf\xc3\xa9.example.org", "_dmarc.example.org", "_xmpp._tcp.example.org",
                                        "-a.example.org",          "a.-b.org",           "a.b._c"};
    static const uint16_t types[] = {1, 28, 65, 64};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        for (size_t j = 0; j < sizeof(types) / sizeof(*types); j++) {
            assert_int_equal(ask(&udp0, names[i], types[j]), DNS_NOERROR);
            assert_int_equal(seen.answers, 0);
            assert_int_equal(seen.authorities, 1);
        }
        assert_bare(ask(&udp0, names[i], 16), DNS_NOTIMP);
    }
    assert_int_equal(dns_names(dns)->names, 0);
    resolve(&udp0, "a_b.c-.example.org"); /* in their place these are taken */
}

static void a_dot_within_a_label_is_not_taken_for_one_between_labels(void **state)
{
    (void)state;
    uint8_t query[300];
    size_t n = make_query(query, 7, "a-b.example.org", 1);
    query[14] = '.';
    assert_int_equal(ask_raw(&udp0, query, n), DNS_NOERROR);
    assert_int_equal(seen.answers, 0);
    query[14] = 0;
    assert_int_equal(ask_raw(&udp0, query, n), DNS_NOERROR);
    assert_int_equal(seen.answers, 0);
    assert_int_equal(dns_names(dns)->names, 0);
}

static void a_malformed_query_is_a_format_error_and_noise_is_dropped(void **state)
{
    (void)state;
    uint8_t query[300], out[512];
    size_t n = make_query(query, 0x55aa, "www.example.org", 1);
    assert_bare(ask_raw(&udp0, query, n - 1), DNS_FORMERR);
    assert_int_equal(seen.questions, 0);
    query[5] = 2;
    assert_bare(ask_raw(&udp0, query, n), DNS_FORMERR);
    query[5] = 1;
    query[2] |= 0x80;
    assert_int_equal(dns_answer(dns, bytes_of(query, n), &udp0, out, sizeof(out), now), 0);
    assert_int_equal(dns_answer(dns, bytes_of(query, 11), &udp0, out, sizeof(out), now), 0);
    assert_int_equal(dns_answer(dns, bytes_of(query, 0), &udp0, out, sizeof(out), now), 0);
    assert_int_equal(dns_drops(dns)->by[DROP_DNS_BAD], 3);
    assert_int_equal(dns_counters(dns)->queries, 5);
    assert_int_equal(dns_counters(dns)->answered, 2);
}

static void unknown_opcodes_and_edns_versions_are_said_so(void **state)
{
    (void)state;
    uint8_t query[300];
    size_t n = make_query(query, 1, "www.example.org", 1);
    query[2] = 5 << 3;
    assert_bare(ask_raw(&udp0, query, n), DNS_NOTIMP);
    n = add_opt(query, make_query(query, 1, "www.example.org", 1), 1232, 1, false);
    assert_bare(ask_raw(&udp0, query, n), DNS_BADVERS);
    assert_true(seen.edns);
    assert_int_equal(seen.edns_ttl >> 16 & 0xff, 0); /* the version we speak */
}

static void edns_is_answered_only_if_asked_with_do_copied(void **state)
{
    (void)state;
    uint8_t query[300];
    resolve(&udp0, "www.example.org");
    assert_false(seen.edns);
    for (int dnssec_ok = 0; dnssec_ok < 2; dnssec_ok++) {
        size_t n = add_opt(query, make_query(query, 1, "www.example.org", 1), 4096, 0, dnssec_ok);
        assert_int_equal(ask_raw(&udp0, query, n), DNS_NOERROR);
        assert_true(seen.edns);
        assert_int_equal(seen.edns_size, 1232);
        assert_int_equal(seen.edns_ttl, dnssec_ok ? 0x8000 : 0);
    }
    /* Two OPT records: a format error that still speaks EDNS. */
    size_t n = add_opt(query, make_query(query, 1, "www.example.org", 1), 4096, 0, false);
    assert_bare(ask_raw(&udp0, query, add_opt(query, n, 4096, 0, false)), DNS_FORMERR);
    assert_true(seen.edns);
}

static void the_longest_names_are_answered_within_512_bytes(void **state)
{
    (void)state;
    char name[256];
    for (size_t i = 0; i < 253; i++)
        name[i] = i % 50 == 49 ? '.' : 'q';
    name[253] = '\0';
    resolve(&udp0, name);
    ask(&udp0, name, 28);
    assert_int_equal(seen.authorities, 1);
    assert_int_equal(seen.flags & 0x0200, 0);
}

static void queries_beyond_the_rate_are_dropped_per_workstation(void **state)
{
    (void)state;
    config.host_rate = 100;
    config.host_burst = 20;
    begin();
    uint8_t query[300], out[512];
    size_t n = make_query(query, 1, "www.example.org", 1);
    unsigned answered = 0;
    for (int i = 0; i < 50; i++)
        answered += dns_answer(dns, bytes_of(query, n), &udp0, out, sizeof(out), now) > 0;
    assert_int_equal(answered, 20);
    assert_int_equal(dns_drops(dns)->by[DROP_DNS_QUOTA], 30);
    resolve(&udp1, "www.example.org");                          /* others are not concerned */
    assert_bare(ask(&tcp0, "www.example.org", 1), DNS_REFUSED); /* TCP is told */
    now += SECOND / 10;
    answered = 0;
    for (int i = 0; i < 50; i++)
        answered += dns_answer(dns, bytes_of(query, n), &udp0, out, sizeof(out), now) > 0;
    assert_int_equal(answered, 10);
    now += 3600 * SECOND; /* what was not used for long is no more than one burst */
    answered = 0;
    for (int i = 0; i < 50; i++)
        answered += dns_answer(dns, bytes_of(query, n), &udp0, out, sizeof(out), now) > 0;
    assert_int_equal(answered, 20);
}

static void without_a_rate_nothing_is_dropped(void **state)
{
    (void)state;
    config.host_rate = 0;
    begin();
    for (int i = 0; i < 20000; i++)
        resolve(&udp0, "www.example.org");
    assert_int_equal(dns_drops(dns)->by[DROP_DNS_QUOTA], 0);
    assert_int_equal(dns_counters(dns)->addresses, 20000);
}

static void a_million_names_do_not_take_more_memory(void **state)
{
    (void)state;
    config.host_rate = 0;
    config.slots = 1024;
    begin();
    uint8_t query[300], out[512];
    for (unsigned i = 0; i < 1000000; i++) {
        char name[40];
        snprintf(name, sizeof(name), "name-%u.example.org", i);
        size_t n = make_query(query, (uint16_t)i, name, 1);
        assert_true(dns_answer(dns, bytes_of(query, n), &udp0, out, sizeof(out), now) > 0);
    }
    assert_int_equal(dns_names(dns)->names, 1024);
    assert_int_equal(dns_names(dns)->evicted, 1000000 - 1024);
}

static void when_every_name_is_in_use_a_new_one_fails(void **state)
{
    (void)state;
    config.slots = 64;
    begin();
    char name[DNS_TEXT_SIZE];
    for (unsigned i = 0; i < 64; i++) {
        snprintf(name, sizeof(name), "n%u.example.org", i);
        struct ipaddr a = resolve(&udp0, name);
        dns_pin(dns, 0, &a, name);
    }
    assert_bare(ask(&udp0, "one.more.example.org", 1), DNS_SERVFAIL);
    resolve(&udp0, "n5.example.org");
}

static void a_forgotten_workstation_starts_anew(void **state)
{
    (void)state;
    struct ipaddr a = resolve(&udp0, "www.example.org");
    char name[DNS_TEXT_SIZE];
    dns_forget_host(dns, 0);
    assert_int_equal(dns_pin(dns, 0, &a, name), 0);
    struct ipaddr b = resolve(&udp0, "www.example.org");
    assert_false(ipaddr_equal(&a, &b));
}

static void an_impossible_configuration_has_no_size(void **state)
{
    (void)state;
    struct dns_config bad = config;
    bad.host_burst = 0;
    assert_int_equal(dns_size(&bad), 0);
    bad = config;
    bad.slots = 1;
    assert_int_equal(dns_size(&bad), 0);
    bad = config;
    bad.virtual4.len = 96;
    assert_int_equal(dns_size(&bad), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(a_name_gets_a_virtual_address_for_a_minute),
        TEST(a_flow_to_the_address_gets_the_name_in_lower_case),
        TEST(a_flow_of_another_workstation_or_to_an_unknown_address_is_refused),
        TEST(aaaa_and_https_have_no_data_so_that_clients_take_a),
        TEST(with_an_ipv6_range_aaaa_is_answered_and_leads_to_the_same_name),
        TEST(until_tor_is_up_ordinary_names_fail_and_special_ones_do_not),
        TEST(a_name_that_tor_did_not_find_does_not_exist_for_a_minute),
        TEST(a_name_that_tor_found_after_all_exists_again),
        TEST(an_onion_service_that_is_down_exists),
        TEST(types_that_only_a_real_server_knows_are_not_implemented),
        TEST(zone_transfers_and_other_classes_are_refused),
        TEST(any_gets_one_small_record),
        TEST(localhost_is_the_loopback_address),
        TEST(names_for_local_use_do_not_exist_whatever_is_asked),
        TEST(a_single_label_is_no_host_but_may_be_a_zone),
        TEST(ipv4only_is_answered_as_without_nat64),
        TEST(an_onion_name_is_mapped_if_its_checksum_is_right),
        TEST(the_reverse_of_a_virtual_address_is_its_name_for_whom_it_was_given),
        TEST(the_reverse_of_a_virtual_ipv6_address_is_its_name),
        TEST(private_reverse_zones_are_empty),
        TEST(loopback_addresses_lead_back_to_localhost),
        TEST(real_reverse_names_are_not_implemented_and_never_hosts),
        TEST(a_name_that_tor_would_not_take_has_no_address),
        TEST(a_dot_within_a_label_is_not_taken_for_one_between_labels),
        TEST(a_malformed_query_is_a_format_error_and_noise_is_dropped),
        TEST(unknown_opcodes_and_edns_versions_are_said_so),
        TEST(edns_is_answered_only_if_asked_with_do_copied),
        TEST(the_longest_names_are_answered_within_512_bytes),
        TEST(queries_beyond_the_rate_are_dropped_per_workstation),
        TEST(without_a_rate_nothing_is_dropped),
        TEST(a_million_names_do_not_take_more_memory),
        TEST(when_every_name_is_in_use_a_new_one_fails),
        TEST(a_forgotten_workstation_starts_anew),
        TEST(an_impossible_configuration_has_no_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
