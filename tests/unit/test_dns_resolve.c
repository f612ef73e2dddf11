/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers that come later: the answerer with a list of what it asked for, and of what it said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "dns/answer.h"
#include "dns/forward.h"
#include "dns_check.h"

#define SECOND UINT64_C(1000000)

static struct dns *dns;
static void *memory;
static struct dns_config config;
static uint64_t now;

/* What was asked, said and forgotten. */
static struct {
    struct dns_ask ask;
    char name[DNS_TEXT_SIZE];
    uint8_t message[DNS_FORWARD_QUERY_MAX];
} asked[64];
static unsigned asked_count, forgotten;
static int ask_status;
static struct {
    struct dns_client client;
    struct seen seen;
    uint8_t message[4096];
    size_t len;
} said[64];
static unsigned said_count;

static int on_ask(void *ctx, const struct dns_ask *ask)
{
    (void)ctx;
    if (ask_status != 0)
        return ask_status;
    asked[asked_count].ask = *ask;
    strcpy(asked[asked_count].name, ask->name);
    if (ask->message.left > 0)
        memcpy(asked[asked_count].message, ask->message.at, ask->message.left);
    asked_count++;
    return 0;
}

static void on_forget(void *ctx, uint32_t handle)
{
    (void)ctx, (void)handle;
    forgotten++;
}

static void on_reply(void *ctx, const struct dns_client *client, const uint8_t *message, size_t len)
{
    (void)ctx;
    assert_true(len <= sizeof(said[0].message));
    assert_true(check_answer(message, len, &said[said_count].seen));
    said[said_count].client = *client;
    memcpy(said[said_count].message, message, len);
    said[said_count++].len = len;
}

static bool on_is_refused(void *ctx, const struct ipaddr *addr)
{
    (void)ctx;
    return ipaddr_is_v4(addr) && (addr->b[12] == 10 || addr->b[12] == 127);
}

static const struct dns_ops ops = {on_ask, on_forget, on_reply, on_is_refused};

static void begin(void)
{
    free(memory);
    size_t n = (dns_size(&config) + 63) / 64 * 64;
    assert_true(n > 0);
    memory = aligned_alloc(64, n);
    assert_non_null(memory);
    memset(memory, 0, n);
    dns = dns_init(memory, &config);
    dns_attach(dns, &ops, NULL);
    dns_set_ready(dns, true);
    now = 1000 * SECOND;
    asked_count = said_count = forgotten = 0;
    ask_status = 0;
}

static int setup(void **state)
{
    (void)state;
    memset(&config, 0, sizeof(config));
    dns_config_defaults(&config);
    config.max_hosts = 2;
    config.slots = 256;
    config.lookups = 1024;
    config.resolve_all = true;
    begin();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(memory);
    memory = NULL;
    return 0;
}

static const struct dns_client one = {.identity = 1, .host = 0, .transport = DNS_UDP, .port = 1000};
static const struct dns_client other = {.identity = 2, .host = 0, .transport = DNS_UDP, .port = 1000};
static const struct dns_client tcp = {.identity = 1, .host = 0, .transport = DNS_TCP};

static uint8_t answer[DNS_UDP_MAX];
static struct seen seen;

/* Ask; true if the answer comes later, else it is in `seen`. */
static bool waits(const struct dns_client *client, uint16_t id, const char *name, uint16_t type)
{
    uint8_t query[300];
    size_t n = make_query(query, id, name, type);
    ssize_t len = dns_answer(dns, bytes_of(query, n), client, answer, sizeof(answer), now);
    if (len == -EINPROGRESS)
        return true;
    assert_true(len > 0);
    assert_true(check_answer(answer, (size_t)len, &seen));
    return false;
}

static void find_address(unsigned which, uint8_t a, uint8_t b)
{
    const uint8_t raw[4] = {a, 0, 0, b};
    struct dns_found found = {.kind = DNS_FOUND_ADDRESS, .addr = ipaddr_v4(raw)};
    dns_found(dns, asked[which].ask.handle, &found, now);
}

static void find(unsigned which, enum dns_found_kind kind)
{
    struct dns_found found = {.kind = kind};
    dns_found(dns, asked[which].ask.handle, &found, now);
}

static void a_name_is_looked_up_and_its_address_told_and_remembered(void **state)
{
    (void)state;
    assert_true(waits(&one, 7, "WWW.example.org", 1));
    assert_int_equal(asked_count, 1);
    assert_int_equal(asked[0].ask.kind, DNS_LOOKUP_HOST);
    assert_int_equal(asked[0].ask.identity, 1);
    assert_string_equal(asked[0].name, "www.example.org");
    find_address(0, 192, 7);
    assert_int_equal(said_count, 1);
    assert_int_equal(said[0].seen.id, 7);
    assert_int_equal(said[0].client.port, 1000);
    assert_string_equal(said[0].seen.name, "WWW.example.org.");
    assert_int_equal(said[0].seen.answers, 1);
    assert_int_equal(said[0].seen.answer[0].ttl, 60);
    assert_memory_equal(said[0].message + said[0].seen.answer[0].data, "\xc0\0\0\x07", 4);
    now += 20 * SECOND;
    assert_false(waits(&one, 8, "www.EXAMPLE.org", 1));
    assert_int_equal(seen.answers, 1);
    assert_int_equal(seen.answer[0].ttl, 40);
    assert_false(
        waits(&one, 9, "www.example.org", 28)); /* the exit would have told an IPv6 address if that were all */
    assert_int_equal(seen.rcode, DNS_NOERROR);
    assert_int_equal(seen.answers, 0);
    now += 40 * SECOND;
    assert_true(waits(&one, 10, "www.example.org", 1));
    assert_int_equal(asked_count, 2);
}

static void queries_of_one_identity_share_a_lookup_and_others_do_not(void **state)
{
    (void)state;
    assert_true(waits(&one, 1, "www.example.org", 1));
    assert_true(waits(&one, 2, "www.example.org", 28));
    assert_true(waits(&tcp, 3, "www.example.org", 1));
    assert_int_equal(asked_count, 1);
    assert_true(waits(&other, 4, "www.example.org", 1));
    assert_int_equal(asked_count, 2);
    find_address(0, 192, 7);
    assert_int_equal(said_count, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(said[i].seen.id, i + 1);
    assert_int_equal(said[1].seen.answers, 0);
    assert_true(waits(&other, 5, "www.example.org", 1)); /* what one learnt the other does not */
    find_address(1, 192, 8);
    assert_int_equal(said_count, 5);
}

static void a_new_identity_shares_nothing_with_the_old_one(void **state)
{
    (void)state;
    struct dns_client anew = one;
    anew.nym = 1;
    assert_true(waits(&one, 1, "found.example.org", 1));
    find_address(0, 192, 7);
    assert_true(waits(&one, 2, "awaited.example.org", 1));
    assert_true(waits(&anew, 3, "found.example.org", 1));
    assert_true(waits(&anew, 4, "awaited.example.org", 1));
    assert_int_equal(asked_count, 4);
    assert_int_equal(asked[1].ask.nym, 0);
    assert_int_equal(asked[2].ask.nym, 1);
    assert_int_equal(asked[2].ask.identity, 1);
    assert_int_equal(asked[3].ask.nym, 1);
    find_address(1, 192, 8); /* who waited before still gets his answer */
    assert_int_equal(said_count, 2);
    assert_int_equal(said[1].seen.id, 2);
}

static void a_policy_goes_with_the_question(void **state)
{
    (void)state;
    struct dns_client apart = one;
    apart.policy = 17;
    assert_true(waits(&one, 1, "www.example.org", 1));
    assert_true(waits(&apart, 2, "www.example.org", 1));
    assert_int_equal(asked_count, 2);
    assert_int_equal(asked[0].ask.policy, 0);
    assert_int_equal(asked[1].ask.policy, 17);
}

static void an_address_that_is_refused_is_not_told(void **state)
{
    (void)state;
    assert_true(waits(&one, 1, "rebind.example.org", 1));
    find_address(0, 127, 1);
    assert_int_equal(said[0].seen.rcode, DNS_NOERROR);
    assert_int_equal(said[0].seen.answers, 0);
    assert_int_equal(said[0].seen.authorities, 1);
    assert_int_equal(dns_counters(dns)->rebinding, 1);
    assert_true(waits(&one, 2, "virtual.example.org", 1));
    find_address(1, 10, 200);
    assert_int_equal(said[1].seen.answers, 0);
    assert_false(waits(&one, 3, "rebind.example.org", 1)); /* remembered as such */
    assert_int_equal(seen.answers, 0);
}

static void a_virtual_address_is_not_told_though_nothing_else_is_refused(void **state)
{
    (void)state;
    struct dns_ops trusting = ops;
    trusting.is_refused = NULL;
    dns_attach(dns, &trusting, NULL);
    assert_true(waits(&one, 1, "virtual.example.org", 1));
    const uint8_t raw[4] = {10, 192, 0, 1};
    struct dns_found found = {.kind = DNS_FOUND_ADDRESS, .addr = ipaddr_v4(raw)};
    dns_found(dns, asked[0].ask.handle, &found, now);
    assert_int_equal(said[0].seen.answers, 0);
}

static void nothing_found_is_nxdomain_for_a_short_time_and_failure_servfail(void **state)
{
    (void)state;
    assert_true(waits(&one, 1, "gone.example.org", 1));
    assert_true(waits(&one, 2, "broken.example.org", 1));
    find(0, DNS_FOUND_NOTHING);
    find(1, DNS_FOUND_FAILURE);
    assert_int_equal(said[0].seen.rcode, DNS_NXDOMAIN);
    assert_int_equal(said[0].seen.authorities, 1);
    assert_true(said[0].seen.authority[0].ttl <= 10);
    assert_int_equal(said[1].seen.rcode, DNS_SERVFAIL);
    assert_false(waits(&one, 3, "gone.example.org", 28));
    assert_int_equal(seen.rcode, DNS_NXDOMAIN);
    now += 10 * SECOND;
    assert_true(waits(&one, 4, "gone.example.org", 1));
    assert_true(waits(&one, 5, "broken.example.org", 1));
}

static void who_waits_too_long_is_told_so_and_the_answer_is_there_later(void **state)
{
    (void)state;
    uint64_t at;
    assert_false(dns_next(dns, &at));
    assert_true(waits(&one, 1, "slow.example.org", 1));
    assert_true(dns_next(dns, &at));
    dns_poll(dns, at - 1);
    assert_int_equal(said_count, 0);
    now = at;
    dns_poll(dns, now);
    assert_int_equal(said_count, 1);
    assert_int_equal(said[0].seen.rcode, DNS_SERVFAIL);
    assert_int_equal(dns_counters(dns)->late, 1);
    find_address(0, 192, 9);
    assert_int_equal(said_count, 1);
    assert_false(waits(&one, 2, "slow.example.org", 1));
    assert_int_equal(seen.answers, 1);
}

static void what_cannot_be_asked_is_servfail_at_once(void **state)
{
    (void)state;
    ask_status = -ENOBUFS;
    assert_false(waits(&one, 1, "www.example.org", 1));
    assert_int_equal(seen.rcode, DNS_SERVFAIL);
    ask_status = 0;
    assert_true(waits(&one, 2, "www.example.org", 1)); /* nothing is left of it */
    dns_set_ready(dns, false);
    assert_false(waits(&one, 3, "more.example.org", 1));
    assert_int_equal(seen.rcode, DNS_SERVFAIL);
}

static void without_anybody_to_ask_all_is_servfail(void **state)
{
    (void)state;
    config.lookups = 0;
    begin();
    assert_false(waits(&one, 1, "www.example.org", 1));
    assert_int_equal(seen.rcode, DNS_SERVFAIL);
}

static void a_forgotten_workstation_is_not_answered(void **state)
{
    (void)state;
    assert_true(waits(&one, 1, "www.example.org", 1));
    assert_true(waits(&one, 2, "known.example.org", 1));
    find_address(1, 192, 7);
    said_count = 0;
    dns_forget_host(dns, 0);
    assert_int_equal(forgotten, 1);
    now += 100 * SECOND;
    dns_poll(dns, now);
    assert_int_equal(said_count, 0);
    assert_true(waits(&one, 3, "known.example.org", 1));
}

static void reverse_names_are_looked_up_by_their_address(void **state)
{
    (void)state;
    assert_true(waits(&one, 1, "8.9.9.9.in-addr.arpa", 12));
    assert_int_equal(asked[0].ask.kind, DNS_LOOKUP_REVERSE);
    assert_memory_equal(asked[0].ask.addr.b + 12, "\x09\x09\x09\x08", 4);
    struct dns_found found = {.kind = DNS_FOUND_NAME, .name = bytes_of("DNS.Example.NET.", 16)};
    dns_found(dns, asked[0].ask.handle, &found, now);
    assert_int_equal(said[0].seen.answers, 1);
    assert_memory_equal(said[0].message + said[0].seen.answer[0].data, "\3dns\7example\3net", 17);
}

static void a_name_of_strange_bytes_is_not_passed_on(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
    } strange[] = {{"a b.example", 11}, {"a\0b", 3},         {"", 0},    {".", 1},
                   {"a..b", 4},         {"\xff.example", 9}, {"a\"b", 3}};
    for (unsigned i = 0; i < sizeof(strange) / sizeof(*strange); i++) {
        assert_true(waits(&one, 1, "8.9.9.9.in-addr.arpa", 12));
        struct dns_found found = {.kind = DNS_FOUND_NAME, .name = bytes_of(strange[i].text, strange[i].n)};
        dns_found(dns, asked[i].ask.handle, &found, now);
        assert_int_equal(said[i].seen.rcode, DNS_SERVFAIL);
        now += 10 * SECOND;
    }
}

static void only_listed_names_are_resolved(void **state)
{
    (void)state;
    config.resolve_all = false;
    memcpy(config.resolve, "example.com\0blocklist.test\0", 28);
    begin();
    assert_false(waits(&one, 1, "www.example.org", 1));
    assert_int_equal(seen.answers, 1);
    assert_false(waits(&one, 2, "wwwexample.com", 1));
    assert_true(waits(&one, 3, "www.Example.com", 1));
    assert_true(waits(&one, 4, "2.0.0.127.blocklist.test", 1));
    find_address(1, 127, 2); /* what a blocklist says */
    assert_int_equal(said[0].seen.answers, 1);
    find_address(0, 10, 2); /* but no private address */
    assert_int_equal(said[1].seen.answers, 0);
}

static void other_types_are_forwarded_if_there_is_a_resolver(void **state)
{
    (void)state;
    assert_false(waits(&one, 1, "www.example.org", 15));
    assert_int_equal(seen.rcode, DNS_NOTIMP);
    config.upstreams = 2;
    begin();
    assert_true(waits(&one, 0x1234, "WWW.example.org", 15));
    assert_int_equal(asked[0].ask.kind, DNS_LOOKUP_RECORDS);
    assert_int_equal(asked[0].ask.upstream, 0);
    assert_int_equal(asked[0].ask.message.left, 12 + 17 + 4);
    assert_memory_equal(asked[0].message + 12, "\3www\7example\3org\0\0\x0f\0\1", 21);
    assert_int_equal(asked[0].message[2], 1); /* RD */

    /* An empty answer, built of the query; AD is claimed. */
    uint8_t message[64];
    memcpy(message, asked[0].message, 33);
    message[2] = 0x81;
    message[3] = 0xa0;
    struct dns_found found = {.kind = DNS_FOUND_MESSAGE, .message = bytes_of(message, 33)};
    dns_found(dns, asked[0].ask.handle, &found, now);
    assert_int_equal(said_count, 1);
    assert_int_equal(said[0].seen.id, 0x1234);
    assert_int_equal(said[0].seen.flags, 0x8180);
    assert_string_equal(said[0].seen.name, "WWW.example.org.");
}

static void a_resolver_that_fails_or_says_nonsense_is_followed_by_the_next_once(void **state)
{
    (void)state;
    config.upstreams = 2;
    begin();
    assert_true(waits(&one, 1, "www.example.org", 16));
    find(0, DNS_FOUND_FAILURE);
    assert_int_equal(asked_count, 2);
    assert_int_equal(asked[1].ask.upstream, 1);
    assert_int_equal(said_count, 0);
    struct dns_found found = {.kind = DNS_FOUND_MESSAGE, .message = bytes_of("nonsense", 8)};
    dns_found(dns, asked[1].ask.handle, &found, now);
    assert_int_equal(asked_count, 2);
    assert_int_equal(said[0].seen.rcode, DNS_SERVFAIL);
}

/* A link of 576 bytes carries no datagram of 700: TC brings the client back over TCP, silence would not. */
static void what_the_link_cannot_carry_is_truncated(void **state)
{
    (void)state;
    static const uint8_t opt[11] = {0, 0, 41, 4096 >> 8};
    static const uint8_t record[12] = {0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 600 >> 8, 600 & 0xff};
    config.upstreams = 1;
    config.udp_max = 528;
    begin();
    uint8_t query[300], message[700] = {0};
    size_t n = make_query(query, 1, "www.example.org", 16);
    memcpy(query + n, opt, sizeof(opt));
    query[11] = 1;
    assert_int_equal(dns_answer(dns, bytes_of(query, n + sizeof(opt)), &one, answer, sizeof(answer), now),
                     -EINPROGRESS);
    assert_int_equal(dns_answer(dns, bytes_of(query, n + sizeof(opt)), &tcp, answer, sizeof(answer), now),
                     -EINPROGRESS);
    memcpy(message, asked[0].message, n);
    message[2] = 0x81;
    message[7] = 1;
    message[11] = 0;
    memcpy(message + n, record, sizeof(record));
    struct dns_found found = {.kind = DNS_FOUND_MESSAGE, .message = bytes_of(message, n + sizeof(record) + 600)};
    dns_found(dns, asked[0].ask.handle, &found, now);
    assert_int_equal(said_count, 2);
    assert_true(said[0].len <= 528);
    assert_int_equal(said[0].seen.flags & 0x0200, 0x0200);
    assert_int_equal(said[1].seen.flags & 0x0200, 0);
    assert_int_equal(said[1].seen.answers, 1);
}

/* "Host unreachable" is about the resolver then, and not about the name that it was to be asked for. */
static void a_resolver_that_cannot_be_reached_does_not_make_names_disappear(void **state)
{
    (void)state;
    config.upstreams = 2;
    begin();
    assert_true(waits(&one, 1, "www.example.org", 15));
    find(0, DNS_FOUND_NOTHING);
    assert_int_equal(asked_count, 2);
    assert_int_equal(asked[1].ask.upstream, 1);
    find(1, DNS_FOUND_NOTHING);
    assert_int_equal(said_count, 1);
    assert_int_equal(said[0].seen.rcode, DNS_SERVFAIL);
}

static void an_answer_to_another_question_is_a_failure(void **state)
{
    (void)state;
    const uint8_t name[] = "www.example.net";
    struct dns_found found = {.kind = DNS_FOUND_NAME, .name = bytes_of(name, sizeof(name) - 1)};
    assert_true(waits(&one, 1, "www.example.org", 1));
    dns_found(dns, asked[0].ask.handle, &found, now);
    assert_int_equal(said[0].seen.rcode, DNS_SERVFAIL);
    assert_true(waits(&one, 2, "7.0.0.192.in-addr.arpa", 12));
    find_address(1, 192, 7);
    assert_int_equal(said[1].seen.rcode, DNS_SERVFAIL);
}

static void onions_and_special_names_are_not_looked_up(void **state)
{
    (void)state;
    config.upstreams = 1;
    begin();
    static const char *const names[] = {"2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion",
                                        "a.onion",
                                        "localhost",
                                        "a.local",
                                        "x.invalid",
                                        "1.0.0.10.in-addr.arpa",
                                        "use-application-dns.net"};
    static const uint16_t types[] = {1, 28, 12, 15, 16, 33, 48, 65, 255};
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
        for (unsigned k = 0; k < sizeof(types) / sizeof(*types); k++)
            assert_false(waits(&one, 1, names[i], types[k]));
    }
    assert_int_equal(asked_count, 0);
}

static void names_that_tor_would_not_take_are_looked_up_for_their_records_only(void **state)
{
    (void)state;
    config.upstreams = 1;
    begin();
    static const char *const names[] = {"_dmarc.example.org", "-a.example.org", "a b.example.org"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
        assert_false(waits(&one, 1, names[i], 1));
        assert_int_equal(seen.rcode, DNS_NOERROR);
        assert_int_equal(seen.answers, 0);
        assert_int_equal(seen.authorities, 1);
        assert_false(waits(&one, 1, names[i], 28));
        assert_int_equal(asked_count, 0);
        assert_true(waits(&one, 1, names[i], 16));
        assert_true(waits(&one, 1, names[i], 65));
        assert_int_equal(asked_count, 2);
        asked_count = 0;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_is_looked_up_and_its_address_told_and_remembered),
        TEST(queries_of_one_identity_share_a_lookup_and_others_do_not),
        TEST(a_new_identity_shares_nothing_with_the_old_one),
        TEST(a_policy_goes_with_the_question),
        TEST(an_address_that_is_refused_is_not_told),
        TEST(a_virtual_address_is_not_told_though_nothing_else_is_refused),
        TEST(nothing_found_is_nxdomain_for_a_short_time_and_failure_servfail),
        TEST(who_waits_too_long_is_told_so_and_the_answer_is_there_later),
        TEST(what_cannot_be_asked_is_servfail_at_once),
        TEST(without_anybody_to_ask_all_is_servfail),
        TEST(a_forgotten_workstation_is_not_answered),
        TEST(reverse_names_are_looked_up_by_their_address),
        TEST(a_name_of_strange_bytes_is_not_passed_on),
        TEST(only_listed_names_are_resolved),
        TEST(other_types_are_forwarded_if_there_is_a_resolver),
        TEST(a_resolver_that_fails_or_says_nonsense_is_followed_by_the_next_once),
        TEST(what_the_link_cannot_carry_is_truncated),
        TEST(a_resolver_that_cannot_be_reached_does_not_make_names_disappear),
        TEST(an_answer_to_another_question_is_a_failure),
        TEST(onions_and_special_names_are_not_looked_up),
        TEST(names_that_tor_would_not_take_are_looked_up_for_their_records_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
