/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest_rig.h"

#include <string.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "leaktest/mutant.h"

static struct matrix m;

static int setup(void **state)
{
    (void)state;
    return matrix_make(&m, &rig_ground);
}

static int teardown(void **state)
{
    (void)state;
    matrix_free(&m);
    return 0;
}

static void there_are_probes_of_every_group(void **state)
{
    (void)state;
    unsigned of[MATRIX_GROUPS] = {0};
    for (unsigned i = 0; i < m.count; i++)
        of[m.probe[i].group]++;
    assert_true(m.count >= 2000);
    for (unsigned i = 0; i < MATRIX_GROUPS; i++)
        assert_true(of[i] >= 20);
}

static void every_probe_bears_its_mark_once_and_fits_a_frame(void **state)
{
    (void)state;
    for (unsigned i = 0; i < m.count; i++) {
        uint8_t mark[MATRIX_MARK];
        matrix_mark(mark, i);
        assert_int_equal(matrix_find_mark(m.probe[i].frame, m.probe[i].n), i);
        assert_non_null(memmem(m.probe[i].frame, m.probe[i].n, mark, sizeof(mark)));
        assert_true(m.probe[i].n <= FRAME_MAX);
    }
}

static void no_two_probes_have_one_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < m.count; i++) {
        for (const char *c = m.probe[i].name; *c != '\0'; c++)
            assert_in_range(*c, ' ', '~');
        for (unsigned k = i + 1; k < m.count; k++)
            assert_false(m.probe[i].group == m.probe[k].group && strcmp(m.probe[i].name, m.probe[k].name) == 0);
    }
}

static const struct probe *named(const char *name)
{
    for (unsigned i = 0; i < m.count; i++) {
        if (strcmp(m.probe[i].name, name) == 0)
            return &m.probe[i];
    }
    fail_msg("no probe is called \"%s\"", name);
    return NULL;
}

/* The sum of header and pseudo header with a right checksum is all ones. */
static void assert_sum(const uint8_t *frame, size_t n)
{
    bool six = be16_load(frame + 12) == FRAME_IPV6;
    size_t header = six ? 40 : 20;
    struct checksum sum = {0};
    if (!six) {
        checksum_add(&sum, frame + 14, header);
        assert_int_equal(checksum_fold(&sum), 0xffff);
        sum = (struct checksum){0};
    }
    checksum_add(&sum, frame + 14 + (six ? 8 : 12), six ? 32 : 8);
    checksum_add_u16(&sum, (uint16_t)(n - 14 - header));
    checksum_add_u16(&sum, frame[14 + (six ? 6 : 9)]);
    checksum_add(&sum, frame + 14 + header, n - 14 - header);
    assert_int_equal(checksum_fold(&sum), 0xffff);
}

static void plain_packets_have_right_checksums(void **state)
{
    static const char names[][32] = {"SYN to the Internet, port 80", "port 443 to the gateway", "SYN to loopback",
                                     "UDP port 53 to IPv4-mapped", "SYN from IPv4-mapped"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_sum(named(names[i])->frame, named(names[i])->n);
}

static void odd_headers_are_odd_where_they_say(void **state)
{
    (void)state;
    assert_int_equal(named("TTL 0: UDP to the Internet")->frame[14 + 8], 0);
    assert_int_equal(named("version 6: echo to the Internet")->frame[14] >> 4, 6);
    assert_int_equal(named("header of 15 words: SYN to the Internet")->frame[14] & 15, 15);
    assert_int_equal(be16_load(named("total length 65535: UDP to the Internet")->frame + 14 + 2), 65535);
    assert_int_equal(be16_load(named("UDP: far")->frame + 14 + 6), 8191);
    assert_int_equal(named("hop limit 0: UDP to the Internet")->frame[14 + 7], 0);
}

static void an_answer_finds_back_by_port_and_identification(void **state)
{
    const struct probe *p = named("port 443 to the Internet");
    (void)state;
    assert_int_equal(be16_load(p->frame + 14 + 20), rig_ground.first_port + (p - m.probe));
    assert_int_equal(be16_load(p->frame + 14 + 4), p - m.probe);
}

/* A bridge would believe it, and keep the rest from the gateway. */
static void only_the_last_probe_claims_the_gateways_mac_address(void **state)
{
    (void)state;
    for (unsigned i = 0; i < m.count; i++)
        assert_int_equal(memcmp(m.probe[i].frame + 6, rig_ground.gateway_mac, 6) == 0, i + 1 == m.count);
}

static void where_drops_are_told_silence_is_not_expected(void **state)
{
    struct ground telling = rig_ground;
    struct matrix other;
    (void)state;
    telling.reject = true;
    assert_int_equal(matrix_make(&other, &telling), 0);
    for (unsigned i = 0; i < other.count; i++)
        assert_int_not_equal(other.probe[i].expected, MATRIX_SILENCE);
    matrix_free(&other);
}

static void the_same_seed_makes_the_same_mutants(void **state)
{
    struct mutator a, b, c;
    struct piece x, y, z;
    unsigned differ = 0;
    (void)state;
    mutator_init(&a, &m, 7);
    mutator_init(&b, &m, 7);
    mutator_init(&c, &m, 8);
    for (unsigned i = 0; i < 1000; i++) {
        mutator_next(&a, &x);
        mutator_next(&b, &y);
        mutator_next(&c, &z);
        assert_int_equal(x.n, y.n);
        assert_memory_equal(x.b, y.b, x.n);
        differ += x.n != z.n || memcmp(x.b, z.b, x.n) != 0;
    }
    assert_true(differ > 990);
}

static void every_mutant_bears_a_mark_and_fits_a_frame(void **state)
{
    struct mutator mutator;
    struct piece frame;
    unsigned changed = 0;
    (void)state;
    mutator_init(&mutator, &m, 12345);
    for (unsigned i = 0; i < 50000; i++) {
        mutator_next(&mutator, &frame);
        assert_true(frame.n >= FRAME_HEAD + MATRIX_MARK && frame.n <= FRAME_MAX);
        int number = matrix_find_mark(frame.b, frame.n);
        assert_in_range(number, 0,
                        MATRIX_MAX - 1); /* the number itself may be damaged, if another mark stands behind */
        const struct probe *p = &m.probe[(unsigned)number < m.count ? number : 0];
        changed += frame.n != p->n || memcmp(frame.b, p->frame, p->n) != 0;
    }
    assert_true(changed > 45000); /* some damage repairs itself */
}

static void what_is_no_mark_is_not_found(void **state)
{
    (void)state;
    assert_int_equal(matrix_find_mark("LEAK0001", 8), -1);
    assert_int_equal(matrix_find_mark("LEAK0001x", 9), -1);
    assert_int_equal(matrix_find_mark("LEAK99999", 9), -1);
    assert_int_equal(matrix_find_mark("xxLEAKLEAK00042", 15), 42);
    assert_int_equal(matrix_find_mark("", 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_are_probes_of_every_group),
        cmocka_unit_test(every_probe_bears_its_mark_once_and_fits_a_frame),
        cmocka_unit_test(no_two_probes_have_one_name),
        cmocka_unit_test(plain_packets_have_right_checksums),
        cmocka_unit_test(odd_headers_are_odd_where_they_say),
        cmocka_unit_test(an_answer_finds_back_by_port_and_identification),
        cmocka_unit_test(only_the_last_probe_claims_the_gateways_mac_address),
        cmocka_unit_test(where_drops_are_told_silence_is_not_expected),
        cmocka_unit_test(the_same_seed_makes_the_same_mutants),
        cmocka_unit_test(every_mutant_bears_a_mark_and_fits_a_frame),
        cmocka_unit_test(what_is_no_mark_is_not_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
