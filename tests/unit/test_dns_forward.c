/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "dns/forward.h"
#include "dns_check.h"

#define ID 0xbeef

static struct dns_lookup_key key_of(const char *name, uint16_t type, uint8_t flags)
{
    struct dns_lookup_key key = {.kind = DNS_LOOKUP_RECORDS, .type = type, .flags = flags};
    assert_int_equal(dns_name_from_text(name, strlen(name), &key.name), 0);
    return key;
}

/* An answer of one MX record, with OPT if asked for. Returns its length. */
static size_t make_answer(uint8_t *out, bool opt)
{
    static const uint8_t record[] = {0xc0, 12, 0, 15, 0, 1, 0, 0, 1, 44, 0, 4, 0, 10, 0xc0, 12};
    size_t n = make_query(out, ID, "Example.org", 15);
    out[2] = 0x85; /* QR, AA, RD */
    out[3] = 0xa0; /* RA, AD */
    out[7] = 1;
    memcpy(out + n, record, sizeof(record));
    n += sizeof(record);
    return opt ? add_opt(out, n, 4096, 0, true) : n;
}

static int check(const uint8_t *answer, size_t n, const struct dns_lookup_key *key, size_t *opt)
{
    /* Memory of its own, so that the sanitizer sees a read past the end. */
    uint8_t *copy = malloc(n + 1);
    assert_non_null(copy);
    memcpy(copy, answer, n);
    int status = dns_forward_check(bytes_of(copy, n), key, ID, opt);
    free(copy);
    return status;
}

static void a_query_tells_name_type_and_flags_and_nothing_else(void **state)
{
    (void)state;
    uint8_t out[DNS_FORWARD_QUERY_MAX];
    struct dns_lookup_key key = key_of("example.org", 15, DNS_LOOKUP_RD);
    size_t n = dns_forward_query(&key, ID, out);
    assert_int_equal(n, 12 + 13 + 4);
    assert_memory_equal(out, "\xbe\xef\x01\0\0\1\0\0\0\0\0\0\7example\3org\0\0\x0f\0\1", n);
    key.flags = DNS_LOOKUP_EDNS | DNS_LOOKUP_DO | DNS_LOOKUP_CD;
    n = dns_forward_query(&key, ID, out);
    assert_int_equal(n, 12 + 13 + 4 + 11);
    assert_memory_equal(out + 2, "\0\x10", 2);
    assert_memory_equal(out + 29, "\0\0\x29\x04\xd0\0\0\x80\0\0\0", 11);
}

static void a_query_for_the_longest_name_fits(void **state)
{
    (void)state;
    uint8_t out[DNS_FORWARD_QUERY_MAX];
    char name[DNS_TEXT_SIZE];
    memset(name, 'a', sizeof(name));
    name[63] = name[127] = name[191] = '.';
    name[253] = '\0';
    struct dns_lookup_key key = key_of(name, 15, DNS_LOOKUP_EDNS);
    assert_int_equal(dns_forward_query(&key, ID, out), sizeof(out));
}

static void a_good_answer_is_good_and_every_piece_of_it_is_not(void **state)
{
    (void)state;
    uint8_t answer[128];
    size_t opt, n = make_answer(answer, true);
    struct dns_lookup_key key = key_of("example.org", 15, DNS_LOOKUP_EDNS);
    assert_int_equal(check(answer, n, &key, &opt), 0);
    assert_int_equal(opt, n - 11);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(check(answer, i, &key, &opt), -EBADMSG);
    answer[n] = 0;
    assert_int_equal(check(answer, n + 1, &key, &opt), -EBADMSG);
}

static void an_answer_to_something_else_is_not_believed(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {
        {0, 0},     /* another id */
        {2, 0x05},  /* a query */
        {2, 0x87},  /* cut off, over TCP */
        {2, 0x8d},  /* another opcode */
        {5, 0},     /* no question */
        {5, 2},     /* two of them */
        {13, 'f'},  /* another name */
        {26, 16},   /* another type */
        {28, 3},    /* another class */
        {29, 0xff}, /* a pointer to what is not there */
        {30, 29},   /* a pointer to itself */
        {11, 2},    /* a record too many */
    };
    uint8_t answer[128];
    size_t opt;
    struct dns_lookup_key key = key_of("example.org", 15, 0);
    size_t n = make_answer(answer, false);
    assert_int_equal(check(answer, n, &key, &opt), 0);
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        make_answer(answer, false);
        answer[changes[i].at] = changes[i].value;
        assert_int_equal(check(answer, n, &key, &opt), -EBADMSG);
    }
}

static void edns_that_was_not_asked_for_or_comes_twice_is_not_believed(void **state)
{
    (void)state;
    uint8_t answer[128];
    size_t opt, n = make_answer(answer, true);
    struct dns_lookup_key key = key_of("example.org", 15, 0);
    assert_int_equal(check(answer, n, &key, &opt), -EBADMSG);
    key.flags = DNS_LOOKUP_EDNS;
    n = add_opt(answer, n, 512, 0, false);
    assert_int_equal(check(answer, n, &key, &opt), -EBADMSG);
}

static void the_records_are_passed_on_untouched_and_the_rest_is_put_right(void **state)
{
    (void)state;
    uint8_t answer[128], query_wire[300], out[DNS_UDP_MAX];
    struct dns_query query;
    struct seen seen;
    size_t opt, n = make_answer(answer, true);
    struct dns_lookup_key key = key_of("example.org", 15, DNS_LOOKUP_EDNS);
    assert_int_equal(check(answer, n, &key, &opt), 0);
    size_t q = add_opt(query_wire, make_query(query_wire, 7, "eXaMpLe.ORG", 15), 1232, 0, true);
    query_wire[3] |= 0x10; /* CD */
    assert_int_equal(dns_query_read(bytes_of(query_wire, q), &query), 0);
    assert_int_equal(dns_forward_reply(bytes_of(answer, n), opt, &query, out, sizeof(out), true), n);
    assert_true(check_answer(out, n, &seen));
    assert_int_equal(seen.id, 7);
    assert_int_equal(seen.flags, 0x8590); /* QR, AA, RD, RA, CD: no AD */
    assert_string_equal(seen.name, "eXaMpLe.ORG.");
    assert_int_equal(seen.edns_size, DNS_UDP_MAX);
    assert_memory_equal(out + 29, answer + 29, 16);
}

static void what_the_client_does_not_take_is_cut_off_and_says_so(void **state)
{
    (void)state;
    uint8_t query_wire[300], out[DNS_UDP_MAX];
    static uint8_t answer[2048];
    struct dns_query query;
    struct seen seen;
    size_t n = make_answer(answer, false);
    memset(answer + n, 0, sizeof(answer) - n);
    for (uint16_t i = 0; i < 60; i++) /* 61 records in all */
        memcpy(answer + n + i * 16u, answer + 29, 16);
    n += 60 * 16;
    answer[7] = 61;
    assert_int_equal(dns_query_read(bytes_of(query_wire, make_query(query_wire, 7, "example.org", 15)), &query), 0);
    size_t len = dns_forward_reply(bytes_of(answer, n), 0, &query, out, sizeof(out), true);
    assert_true(len <= 512);
    assert_true(check_answer(out, len, &seen));
    assert_int_equal(seen.flags & 0x0200, 0x0200);
    assert_int_equal(seen.answers, 0);
    assert_int_equal(dns_forward_reply(bytes_of(answer, n), 0, &query, out, sizeof(out), false), n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_tells_name_type_and_flags_and_nothing_else),
        cmocka_unit_test(a_query_for_the_longest_name_fits),
        cmocka_unit_test(a_good_answer_is_good_and_every_piece_of_it_is_not),
        cmocka_unit_test(an_answer_to_something_else_is_not_believed),
        cmocka_unit_test(edns_that_was_not_asked_for_or_comes_twice_is_not_believed),
        cmocka_unit_test(the_records_are_passed_on_untouched_and_the_rest_is_put_right),
        cmocka_unit_test(what_the_client_does_not_take_is_cut_off_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
