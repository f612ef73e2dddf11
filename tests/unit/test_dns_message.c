/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "dns/message.h"
#include "dns_check.h"

/* ID 0x1234, RD, one question: WWW.example.org A IN. */
#define HEADER(flags_high, flags_low, qd, an, ns, ar) 0x12, 0x34, flags_high, flags_low, 0, qd, 0, an, 0, ns, 0, ar
#define QUESTION 3, 'W', 'W', 'W', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'o', 'r', 'g', 0, 0, 1, 0, 1
#define OPT(size_high, size_low, version, flags_high) 0, 0, 41, size_high, size_low, 0, version, flags_high, 0, 0, 0

static int read_query(const uint8_t *p, size_t n, struct dns_query *q)
{
    return dns_query_read(bytes_of(p, n), q);
}
#define READ(array, q) read_query(array, sizeof(array), q)

static void a_plain_query_is_read(void **state)
{
    (void)state;
    const uint8_t wire[] = {HEADER(1, 0, 1, 0, 0, 0), QUESTION};
    struct dns_query q;
    assert_int_equal(READ(wire, &q), DNS_NOERROR);
    assert_int_equal(q.id, 0x1234);
    assert_int_equal(q.flags, 0x0100);
    assert_int_equal(q.type, DNS_TYPE_A);
    assert_int_equal(q.class, DNS_CLASS_IN);
    assert_int_equal(q.name.len, 17);
    assert_memory_equal(q.name.wire, wire + 12, 17);
    assert_false(q.edns);
    assert_int_equal(q.udp_size, 512);
}

static void what_is_too_short_for_a_header_gets_no_answer(void **state)
{
    (void)state;
    const uint8_t wire[] = {HEADER(1, 0, 1, 0, 0, 0)};
    struct dns_query q;
    for (size_t n = 0; n < 12; n++)
        assert_int_equal(read_query(wire, n, &q), -EBADMSG);
    assert_int_equal(read_query(wire, 12, &q), DNS_FORMERR);
}

static void an_answer_gets_no_answer(void **state)
{
    (void)state;
    const uint8_t wire[] = {HEADER(0x81, 0x80, 1, 0, 0, 0), QUESTION};
    const uint8_t odd[] = {HEADER(0xf9, 0x80, 9, 9, 9, 9)};
    struct dns_query q;
    assert_int_equal(READ(wire, &q), -EBADMSG);
    assert_int_equal(READ(odd, &q), -EBADMSG);
}

static void a_query_cut_anywhere_behind_its_header_is_a_format_error(void **state)
{
    (void)state;
    const uint8_t wire[] = {HEADER(1, 0, 1, 0, 0, 1), QUESTION, OPT(4, 0xd0, 0, 0)};
    struct dns_query q;
    for (size_t n = 12; n < sizeof(wire); n++) {
        assert_int_equal(read_query(wire, n, &q), DNS_FORMERR);
        /* The question is echoed if it was whole. */
        assert_int_equal(q.name.len, n < 12 + 21 ? 0 : 17);
    }
    assert_int_equal(READ(wire, &q), DNS_NOERROR);
}

static void no_question_or_two_is_a_format_error(void **state)
{
    (void)state;
    const uint8_t none[] = {HEADER(1, 0, 0, 0, 0, 0)};
    const uint8_t two[] = {HEADER(1, 0, 2, 0, 0, 0), QUESTION, QUESTION};
    struct dns_query q;
    assert_int_equal(READ(none, &q), DNS_FORMERR);
    assert_int_equal(READ(two, &q), DNS_FORMERR);
    assert_int_equal(q.name.len, 0);
}

static void every_opcode_but_query_is_not_implemented(void **state)
{
    (void)state;
    for (unsigned opcode = 1; opcode < 16; opcode++) {
        const uint8_t wire[] = {HEADER((uint8_t)(opcode << 3 | 1), 0, 1, 0, 0, 0), QUESTION};
        const uint8_t bare[] = {HEADER((uint8_t)(opcode << 3 | 1), 0, 0, 0, 0, 0)};
        struct dns_query q;
        assert_int_equal(READ(wire, &q), DNS_NOTIMP);
        assert_int_equal(q.name.len, 17);
        assert_int_equal(READ(bare, &q), DNS_NOTIMP);
    }
}

static void edns_is_understood(void **state)
{
    (void)state;
    const uint8_t wire[] = {HEADER(1, 0, 1, 0, 0, 1), QUESTION, OPT(4, 0xd0, 0, 0x80)};
    const uint8_t tiny[] = {HEADER(1, 0, 1, 0, 0, 1), QUESTION, OPT(0, 12, 0, 0)};
    struct dns_query q;
    assert_int_equal(READ(wire, &q), DNS_NOERROR);
    assert_true(q.edns);
    assert_true(q.dnssec_ok);
    assert_int_equal(q.udp_size, 1232);
    assert_int_equal(READ(tiny, &q), DNS_NOERROR);
    assert_false(q.dnssec_ok);
    assert_int_equal(q.udp_size, 512); /* less than 512 means 512 */
}

static void an_unknown_edns_version_is_badvers(void **state)
{
    (void)state;
    const uint8_t wire[] = {HEADER(1, 0, 1, 0, 0, 1), QUESTION, OPT(4, 0xd0, 1, 0)};
    struct dns_query q;
    assert_int_equal(READ(wire, &q), DNS_BADVERS);
    assert_true(q.edns);
}

static void two_opt_records_are_a_format_error(void **state)
{
    (void)state;
    const uint8_t wire[] = {HEADER(1, 0, 1, 0, 0, 2), QUESTION, OPT(4, 0xd0, 0, 0), OPT(4, 0xd0, 0, 0)};
    struct dns_query q;
    assert_int_equal(READ(wire, &q), DNS_FORMERR);
    assert_true(q.edns);
}

static void an_opt_record_in_another_section_or_with_a_name_is_a_format_error(void **state)
{
    (void)state;
    const uint8_t answer[] = {HEADER(1, 0, 1, 1, 0, 0), QUESTION, OPT(4, 0xd0, 0, 0)};
    const uint8_t authority[] = {HEADER(1, 0, 1, 0, 1, 0), QUESTION, OPT(4, 0xd0, 0, 0)};
    const uint8_t named[] = {HEADER(1, 0, 1, 0, 0, 1), QUESTION, 1, 'a', OPT(4, 0xd0, 0, 0)};
    const uint8_t pointed[] = {HEADER(1, 0, 1, 0, 0, 1), QUESTION, 0xc0, 28, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0};
    struct dns_query q;
    assert_int_equal(READ(answer, &q), DNS_FORMERR);
    assert_int_equal(READ(authority, &q), DNS_FORMERR);
    assert_int_equal(READ(named, &q), DNS_FORMERR);
    assert_int_equal(READ(pointed, &q), DNS_FORMERR);
}

static void edns_options_must_add_up(void **state)
{
    (void)state;
    /* A cookie (RFC 7873) and padding (RFC 7830) of four bytes. */
    const uint8_t good[] = {HEADER(1, 0, 1, 0, 0, 1),
                            QUESTION,
                            0,
                            0,
                            41,
                            4,
                            0xd0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            20,
                            0,
                            10,
                            0,
                            8,
                            1,
                            2,
                            3,
                            4,
                            5,
                            6,
                            7,
                            8,
                            0,
                            12,
                            0,
                            4,
                            0,
                            0,
                            0,
                            0};
    const uint8_t longer[] = {
        HEADER(1, 0, 1, 0, 0, 1), QUESTION, 0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 6, 0, 10, 0, 3, 1, 2};
    const uint8_t stump[] = {HEADER(1, 0, 1, 0, 0, 1), QUESTION, 0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 3, 0, 10, 0};
    const uint8_t past[] = {HEADER(1, 0, 1, 0, 0, 1), QUESTION, 0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 9, 0, 10, 0, 0};
    struct dns_query q;
    assert_int_equal(READ(good, &q), DNS_NOERROR);
    assert_int_equal(READ(longer, &q), DNS_FORMERR);
    assert_int_equal(READ(stump, &q), DNS_FORMERR);
    assert_int_equal(READ(past, &q), DNS_FORMERR);
}

static void other_records_are_stepped_over(void **state)
{
    (void)state;
    /* A TSIG-like record whose owner points back to the question, before and behind OPT. */
    const uint8_t wire[] = {
        HEADER(1, 0, 1, 0, 0, 3), QUESTION, 0xc0, 12,  0,    250, 0, 255, 0, 0,   0, 0, 0, 3, 1, 2, 3,
        OPT(4, 0xd0, 0, 0),       2,        'i',  'd', 0xc0, 16,  0, 250, 0, 255, 0, 0, 0, 0, 0, 0};
    struct dns_query q;
    assert_int_equal(READ(wire, &q), DNS_NOERROR);
    assert_true(q.edns);
    for (size_t n = 33; n < sizeof(wire); n++)
        assert_int_equal(read_query(wire, n, &q), DNS_FORMERR);
}

static void a_record_whose_name_points_forwards_is_a_format_error(void **state)
{
    (void)state;
    const uint8_t loop[] = {HEADER(1, 0, 1, 1, 0, 0), QUESTION, 0xc0, 33, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0};
    const uint8_t ahead[] = {HEADER(1, 0, 1, 1, 0, 0), QUESTION, 0xc0, 40, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0};
    const uint8_t back[] = {HEADER(1, 0, 1, 1, 0, 0), QUESTION, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0};
    struct dns_query q;
    assert_int_equal(READ(loop, &q), DNS_FORMERR);
    assert_int_equal(READ(ahead, &q), DNS_FORMERR);
    assert_int_equal(READ(back, &q), DNS_NOERROR);
}

static void counts_of_65535_records_that_are_not_there_end_at_once(void **state)
{
    (void)state;
    uint8_t wire[] = {HEADER(1, 0, 1, 0, 0, 0), QUESTION};
    memset(wire + 6, 0xff, 6);
    struct dns_query q;
    assert_int_equal(READ(wire, &q), DNS_FORMERR);
}

static void bytes_after_the_last_record_do_not_matter(void **state)
{
    (void)state;
    const uint8_t wire[] = {HEADER(1, 0, 1, 0, 0, 0), QUESTION, 'j', 'u', 'n', 'k'};
    struct dns_query q;
    assert_int_equal(READ(wire, &q), DNS_NOERROR);
}

static const uint8_t plain_query[] = {HEADER(1, 0x10, 1, 0, 0, 0), QUESTION};
static const uint8_t edns_query[] = {HEADER(1, 0, 1, 0, 0, 1), QUESTION, OPT(4, 0xd0, 0, 0x80)};

static struct dns_query parsed(const uint8_t *p, size_t n)
{
    struct dns_query q;
    read_query(p, n, &q);
    return q;
}

static void an_address_answer_is_these_bytes(void **state)
{
    (void)state;
    struct dns_query q = parsed(plain_query, sizeof(plain_query));
    const uint8_t raw[4] = {10, 192, 0, 7};
    struct ipaddr addr = ipaddr_v4(raw);
    uint8_t out[512];
    struct dns_reply r;
    dns_reply_begin(&r, &q, DNS_NOERROR, out, sizeof(out), true);
    dns_reply_address(&r, &addr, 60);
    /* QR and RA are ours, RD and CD are copied, the question keeps its case. */
    const uint8_t want[] = {
        HEADER(0x81, 0x90, 1, 1, 0, 0), QUESTION, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 192, 0, 7};
    assert_int_equal(dns_reply_end(&r), sizeof(want));
    assert_memory_equal(out, want, sizeof(want));
}

static void an_ipv6_answer_has_16_bytes_and_edns_is_answered_with_edns(void **state)
{
    (void)state;
    struct dns_query q = parsed(edns_query, sizeof(edns_query));
    const uint8_t raw[16] = {0xfd, 0x19, [15] = 9};
    struct ipaddr addr = ipaddr_v6(raw);
    uint8_t out[512];
    struct dns_reply r;
    dns_reply_begin(&r, &q, DNS_NOERROR, out, sizeof(out), true);
    dns_reply_address(&r, &addr, 0x01020304);
    const uint8_t want[] = {HEADER(0x81, 0x80, 1, 1, 0, 1),
                            QUESTION,
                            0xc0,
                            12,
                            0,
                            28,
                            0,
                            1,
                            1,
                            2,
                            3,
                            4,
                            0,
                            16,
                            0xfd,
                            0x19,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            9,
                            OPT(4, 0xd0, 0, 0x80)};
    assert_int_equal(dns_reply_end(&r), sizeof(want));
    assert_memory_equal(out, want, sizeof(want));
}

static void a_negative_answer_carries_an_soa_whose_minimum_is_the_ttl(void **state)
{
    (void)state;
    struct dns_query q = parsed(plain_query, sizeof(plain_query));
    uint8_t out[512];
    struct dns_reply r;
    dns_reply_begin(&r, &q, DNS_NXDOMAIN, out, sizeof(out), true);
    dns_reply_soa(&r, 4, 30); /* zone: example.org, which begins 4 bytes into the name */
    const uint8_t want[] = {HEADER(0x81, 0x93, 1, 0, 1, 0),
                            QUESTION,
                            0xc0,
                            16,
                            0,
                            6,
                            0,
                            1,
                            0,
                            0,
                            0,
                            30,
                            0,
                            38,
                            0xc0,
                            16,
                            6,
                            'n',
                            'o',
                            'b',
                            'o',
                            'd',
                            'y',
                            7,
                            'i',
                            'n',
                            'v',
                            'a',
                            'l',
                            'i',
                            'd',
                            0,
                            0,
                            0,
                            0,
                            1,
                            0,
                            0,
                            0x0e,
                            0x10,
                            0,
                            0,
                            4,
                            0xb0,
                            0,
                            9,
                            0x3a,
                            0x80,
                            0,
                            0,
                            0,
                            30};
    assert_int_equal(dns_reply_end(&r), sizeof(want));
    assert_memory_equal(out, want, sizeof(want));
}

static void any_is_answered_with_hinfo(void **state)
{
    (void)state;
    struct dns_query q = parsed(plain_query, sizeof(plain_query));
    uint8_t out[512];
    struct dns_reply r;
    dns_reply_begin(&r, &q, DNS_NOERROR, out, sizeof(out), true);
    dns_reply_any(&r, 60);
    const uint8_t want[] = {HEADER(0x81, 0x90, 1, 1, 0, 0),
                            QUESTION,
                            0xc0,
                            12,
                            0,
                            13,
                            0,
                            1,
                            0,
                            0,
                            0,
                            60,
                            0,
                            9,
                            7,
                            'R',
                            'F',
                            'C',
                            '8',
                            '4',
                            '8',
                            '2',
                            0};
    assert_int_equal(dns_reply_end(&r), sizeof(want));
    assert_memory_equal(out, want, sizeof(want));
}

static void a_ptr_answer_carries_the_name_uncompressed(void **state)
{
    (void)state;
    struct dns_query q = parsed(plain_query, sizeof(plain_query));
    struct dns_name target;
    assert_int_equal(dns_name_from_text("a.b", 3, &target), 0);
    uint8_t out[512];
    struct dns_reply r;
    dns_reply_begin(&r, &q, DNS_NOERROR, out, sizeof(out), true);
    dns_reply_ptr(&r, &target, 60);
    const uint8_t want[] = {
        HEADER(0x81, 0x90, 1, 1, 0, 0), QUESTION, 0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 60, 0, 5, 1, 'a', 1, 'b', 0};
    assert_int_equal(dns_reply_end(&r), sizeof(want));
    assert_memory_equal(out, want, sizeof(want));
}

static void badvers_is_said_in_the_opt_record(void **state)
{
    (void)state;
    struct dns_query q = parsed(edns_query, sizeof(edns_query));
    uint8_t out[512];
    struct dns_reply r;
    dns_reply_begin(&r, &q, DNS_BADVERS, out, sizeof(out), true);
    const uint8_t want[] = {HEADER(0x81, 0x80, 1, 0, 0, 1), QUESTION, 0, 0, 41, 4, 0xd0, 1, 0, 0x80, 0, 0, 0};
    assert_int_equal(dns_reply_end(&r), sizeof(want));
    assert_memory_equal(out, want, sizeof(want));
}

static void opcode_and_rd_are_copied_and_other_flags_are_not(void **state)
{
    (void)state;
    /* Opcode 5, AA, TC, RD, RA, Z, AD, CD all set. */
    const uint8_t wire[] = {HEADER(0x2f, 0xff, 0, 0, 0, 0)};
    struct dns_query q = parsed(wire, sizeof(wire));
    uint8_t out[512];
    struct dns_reply r;
    dns_reply_begin(&r, &q, DNS_NOTIMP, out, sizeof(out), true);
    const uint8_t want[] = {HEADER(0xa9, 0x94, 0, 0, 0, 0)};
    assert_int_equal(dns_reply_end(&r), sizeof(want));
    assert_memory_equal(out, want, sizeof(want));
}

/* A query for a name of 255 bytes, with EDNS if `size` is not 0. */
static struct dns_query long_query(uint16_t size)
{
    struct dns_query q = {.id = 1, .flags = 0x0100, .type = DNS_TYPE_PTR, .class = 1, .udp_size = 512};
    char text[254];
    memset(text, 'a', 253);
    text[63] = text[127] = text[191] = '.';
    assert_int_equal(dns_name_from_text(text, 253, &q.name), 0);
    q.edns = size != 0;
    if (size != 0)
        q.udp_size = size;
    return q;
}

static size_t long_answer(const struct dns_query *q, uint8_t *out, size_t size, bool udp)
{
    struct dns_reply r;
    dns_reply_begin(&r, q, DNS_NOERROR, out, size, udp);
    dns_reply_ptr(&r, &q->name, 60);
    dns_reply_ptr(&r, &q->name, 60);
    return dns_reply_end(&r);
}

static void an_answer_that_does_not_fit_is_cut_to_the_question_with_tc(void **state)
{
    (void)state;
    uint8_t out[2000];
    struct seen seen;
    struct dns_query q = long_query(0);
    assert_int_equal(long_answer(&q, out, sizeof(out), true), 12 + 259);
    assert_true(check_answer(out, 12 + 259, &seen));
    assert_int_equal(seen.flags & 0x0200, 0x0200);
    assert_int_equal(seen.answers, 0);

    /* One record would fit into 600 bytes, but not both: half a record set is worse than none. The OPT stays. */
    q = long_query(600);
    assert_int_equal(long_answer(&q, out, sizeof(out), true), 12 + 259 + 11);
    assert_true(check_answer(out, 12 + 259 + 11, &seen));
    assert_int_equal(seen.flags & 0x0200, 0x0200);
    assert_true(seen.edns);
}

static void an_answer_fits_exactly_or_not_at_all(void **state)
{
    (void)state;
    uint8_t out[2000];
    const uint16_t whole = 12 + 259 + 2 * (12 + 255) + 11;
    struct dns_query q = long_query(whole);
    assert_int_equal(long_answer(&q, out, sizeof(out), true), whole);
    q = long_query(whole - 1);
    assert_int_equal(long_answer(&q, out, sizeof(out), true), 12 + 259 + 11);
}

static void over_tcp_only_the_buffer_limits_the_answer(void **state)
{
    (void)state;
    uint8_t out[2000];
    struct dns_query q = long_query(0);
    assert_int_equal(long_answer(&q, out, sizeof(out), false), 12 + 259 + 2 * (12 + 255));
    assert_int_equal(long_answer(&q, out, 600, false), 12 + 259);
}

static void over_udp_no_answer_is_larger_than_1232_whatever_the_client_takes(void **state)
{
    (void)state;
    uint8_t out[4096];
    struct dns_query q = long_query(65535);
    struct dns_reply r;
    dns_reply_begin(&r, &q, DNS_NOERROR, out, sizeof(out), true);
    for (int i = 0; i < 4; i++)
        dns_reply_ptr(&r, &q.name, 60);
    size_t n = dns_reply_end(&r);
    assert_true(n <= DNS_UDP_MAX);
    assert_int_equal(out[2] & 2, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_query_is_read),
        cmocka_unit_test(what_is_too_short_for_a_header_gets_no_answer),
        cmocka_unit_test(an_answer_gets_no_answer),
        cmocka_unit_test(a_query_cut_anywhere_behind_its_header_is_a_format_error),
        cmocka_unit_test(no_question_or_two_is_a_format_error),
        cmocka_unit_test(every_opcode_but_query_is_not_implemented),
        cmocka_unit_test(edns_is_understood),
        cmocka_unit_test(an_unknown_edns_version_is_badvers),
        cmocka_unit_test(two_opt_records_are_a_format_error),
        cmocka_unit_test(an_opt_record_in_another_section_or_with_a_name_is_a_format_error),
        cmocka_unit_test(edns_options_must_add_up),
        cmocka_unit_test(other_records_are_stepped_over),
        cmocka_unit_test(a_record_whose_name_points_forwards_is_a_format_error),
        cmocka_unit_test(counts_of_65535_records_that_are_not_there_end_at_once),
        cmocka_unit_test(bytes_after_the_last_record_do_not_matter),
        cmocka_unit_test(an_address_answer_is_these_bytes),
        cmocka_unit_test(an_ipv6_answer_has_16_bytes_and_edns_is_answered_with_edns),
        cmocka_unit_test(a_negative_answer_carries_an_soa_whose_minimum_is_the_ttl),
        cmocka_unit_test(any_is_answered_with_hinfo),
        cmocka_unit_test(a_ptr_answer_carries_the_name_uncompressed),
        cmocka_unit_test(badvers_is_said_in_the_opt_record),
        cmocka_unit_test(opcode_and_rd_are_copied_and_other_flags_are_not),
        cmocka_unit_test(an_answer_that_does_not_fit_is_cut_to_the_question_with_tc),
        cmocka_unit_test(an_answer_fits_exactly_or_not_at_all),
        cmocka_unit_test(over_tcp_only_the_buffer_limits_the_answer),
        cmocka_unit_test(over_udp_no_answer_is_larger_than_1232_whatever_the_client_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
