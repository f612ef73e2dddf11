/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Malformed and odd messages: every one gets an answer that a strict client can read, or is dropped and counted.
 *
 * Messages of others come from the directory in CLOISTER_CAPTURES, if it is set: all files below its dns/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "dns/answer.h"
#include "dns/forward.h"
#include "dns_check.h"
#include "random.h"

#define MUTATIONS 50

static struct dns *dns;
static struct dns_config config;
static struct random rng;
static unsigned long fed, answered;
static unsigned long believed; /* answers of others that would be passed on */
static unsigned files;

static int setup(void **state)
{
    (void)state;
    rng = random_start();
    dns_config_defaults(&config);
    config.slots = 128;
    config.host_rate = 0;
    size_t n = dns_size(&config);
    dns = aligned_alloc(64, (n + 63) / 64 * 64);
    assert_non_null(dns);
    memset(dns, 0, n);
    dns = dns_init(dns, &config);
    dns_set_ready(dns, true);
    fed = answered = files = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(dns);
    return 0;
}

static void feed(const uint8_t *message, size_t n, enum dns_transport transport)
{
    /* Memory of exactly the size of the message, so that the sanitizer sees a read past its end. */
    uint8_t *copy = malloc(n + 1);
    uint8_t out[DNS_UDP_MAX];
    assert_non_null(copy);
    memcpy(copy + 1, message, n);
    struct dns_client client = {.host = 0, .transport = transport};
    uint64_t drops = dns_drops(dns)->by[DROP_DNS_BAD];
    ssize_t len = dns_answer(dns, bytes_of(copy + 1, n), &client, out, sizeof(out), fed);
    fed++;
    if (len == 0) {
        assert_int_equal(dns_drops(dns)->by[DROP_DNS_BAD], drops + 1);
        assert_true(n < 12 || (message[2] & 0x80) != 0);
    } else {
        struct seen seen;
        assert_true(check_answer(out, (size_t)len, &seen));
        assert_int_equal(seen.id, message[0] * 256 + message[1]);
        assert_true(transport == DNS_TCP || seen.edns || len <= 512);
        answered++;
    }
    free(copy);
}

/* The same bytes as what a resolver answers, to the question in them: believed or not, what is passed on is well-formed to
 * its last byte. */
static void feed_answer(const uint8_t *message, size_t n)
{
    static uint8_t out[DNS_TCP_MAX];
    struct dns_lookup_key key = {.kind = DNS_LOOKUP_RECORDS, .flags = DNS_LOOKUP_EDNS};
    uint8_t *copy = malloc(n + 1);
    assert_non_null(copy);
    memcpy(copy, message, n);
    struct bytes b = bytes_of(copy, n);
    size_t opt;
    bytes_take(&b, DNS_HEADER_SIZE);
    if (dns_name_read(&b, &key.name)) {
        struct dns_query query = {.id = 7, .name = key.name, .udp_size = 512};
        for (size_t i = 0; i < key.name.len; i++)
            key.name.wire[i] = (uint8_t)(key.name.wire[i] >= 'A' && key.name.wire[i] <= 'Z' ? key.name.wire[i] + 32
                                                                                            : key.name.wire[i]);
        query.type = key.type = bytes_u16(&b);
        query.class = DNS_CLASS_IN;
        if (dns_forward_check(bytes_of(copy, n), &key, be16_load(copy), &opt) == 0) {
            believed++;
            assert_true(dns_forward_reply(bytes_of(copy, n), opt, &query, out, sizeof(out), true) <= 512);
            assert_int_equal(dns_forward_reply(bytes_of(copy, n), opt, &query, out, sizeof(out), false), n);
            assert_int_equal(be16_load(out), 7);
        }
    }
    free(copy);
}

static void feed_mutated(const uint8_t *message, size_t n)
{
    uint8_t copy[4096];
    feed(message, n, DNS_UDP);
    feed(message, n, DNS_TCP);
    feed_answer(message, n);
    if (n < 12 || n > sizeof(copy))
        return;
    for (int round = 0; round < MUTATIONS; round++) {
        memcpy(copy, message, n);
        if (round % 4 == 0) {
            copy[random_below(&rng, (uint32_t)n)] = (uint8_t)random_u64(&rng);
            feed_answer(copy, n);
        }
        copy[2] &= 0x01; /* a query, whatever it was */
        if (random_below(&rng, 2) == 0) {
            copy[4] = 0;
            copy[5] = 1;
        }
        for (uint32_t changes = random_below(&rng, 6); changes > 0; changes--)
            copy[random_below(&rng, (uint32_t)n)] = (uint8_t)random_u64(&rng);
        size_t len = random_below(&rng, 4) == 0 ? random_below(&rng, (uint32_t)n + 1) : n;
        feed(copy, len, random_below(&rng, 2) == 0 ? DNS_UDP : DNS_TCP);
    }
}

static void mutated_queries_of_our_own_are_answered_or_dropped(void **state)
{
    (void)state;
    static const char *const names[] = {"www.example.org",
                                        "x",
                                        "",
                                        "a.b.local",
                                        "1.0.168.192.in-addr.arpa",
                                        "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"};
    static const uint16_t types[] = {1, 28, 12, 65, 255, 16};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        for (size_t k = 0; k < sizeof(types) / sizeof(*types); k++) {
            uint8_t query[320];
            size_t n = make_query(query, (uint16_t)random_u64(&rng), names[i], types[k]);
            feed_mutated(query, n);
            feed_mutated(query, add_opt(query, n, 1232, 0, true));
        }
    }
    assert_true(answered > fed / 2);
}

static int feed_file(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)where;
    static uint8_t message[65535];
    if (kind != FTW_F)
        return 0;
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return -1;
    size_t n = fread(message, 1, sizeof(message), f);
    fclose(f);
    files++;
    feed_mutated(message, n);
    return 0;
}

static void messages_that_broke_other_parsers_are_answered_or_dropped(void **state)
{
    (void)state;
    const char *captures = getenv("CLOISTER_CAPTURES");
    if (captures == NULL)
        skip();
    char path[4096];
    snprintf(path, sizeof(path), "%s/dns", captures);
    assert_int_equal(nftw(path, feed_file, 16, FTW_PHYS), 0);
    printf("%u files, %lu messages, %lu answered; %lu answers believed\n", files, fed, answered, believed);
    assert_true(files > 0 && answered > 0 && believed > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mutated_queries_of_our_own_are_answered_or_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_that_broke_other_parsers_are_answered_or_dropped, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
