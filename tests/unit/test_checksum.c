/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/checksum.h"
#include "base/ipaddr.h"
#include "random.h"

/* RFC 1071 taken literally: 16-bit big-endian words, an odd last byte padded with zero, carries brought around. */
static uint16_t reference(const uint8_t *p, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
        if (sum > 0xffff)
            sum -= 0xffff;
    }
    return (uint16_t)sum;
}

static uint16_t whole(const uint8_t *p, size_t n)
{
    struct checksum c = {0};
    checksum_add(&c, p, n);
    return checksum_fold(&c);
}

static void the_example_of_rfc_1071_comes_out(void **state)
{
    (void)state;
    const uint8_t example[8] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    assert_int_equal(whole(example, sizeof(example)), 0xddf2);
}

static void every_length_at_every_alignment_sums_as_the_bytewise_reference(void **state)
{
    (void)state;
    struct random r = random_start();
    uint8_t mem[300 + 16];
    random_fill(&r, mem, sizeof(mem));
    for (size_t align = 0; align < 16; align++)
        for (size_t n = 0; n <= 300; n++)
            assert_int_equal(whole(mem + align, n), reference(mem + align, n));
}

static void every_split_in_two_sums_as_the_whole(void **state)
{
    (void)state;
    struct random r = random_start();
    uint8_t mem[130];
    random_fill(&r, mem, sizeof(mem));
    for (size_t n = 0; n <= 129; n++) {
        for (size_t split = 0; split <= n; split++) {
            struct checksum c = {0};
            checksum_add(&c, mem, split);
            checksum_add(&c, mem + split, n - split);
            assert_int_equal(checksum_fold(&c), reference(mem, n));
        }
    }
}

static void any_number_of_odd_and_empty_pieces_sums_as_the_whole(void **state)
{
    (void)state;
    struct random r = random_start();
    static uint8_t mem[70000];
    random_fill(&r, mem, sizeof(mem));
    for (int round = 0; round < 2000; round++) {
        struct checksum c = {0};
        size_t from = random_below(&r, 8);
        size_t n = from;
        size_t most = random_below(&r, 2) ? 9 : 2000;
        for (uint32_t pieces = random_below(&r, 30); pieces > 0; pieces--) {
            size_t len = random_below(&r, (uint32_t)most);
            checksum_add(&c, mem + n, len);
            n += len;
        }
        assert_int_equal(checksum_fold(&c), reference(mem + from, n - from));
    }
}

static void the_largest_packet_of_ones_loses_no_carry(void **state)
{
    (void)state;
    static uint8_t ones[65535];
    memset(ones, 0xff, sizeof(ones));
    assert_int_equal(whole(ones, 65535), reference(ones, 65535));
    struct checksum c = {0};
    for (int i = 0; i < 1000; i++)
        checksum_add(&c, ones, 65534);
    assert_int_equal(checksum_fold(&c), 0xffff);
}

static void zeros_sum_to_zero_and_only_they(void **state)
{
    (void)state;
    uint8_t mem[64] = {0};
    assert_int_equal(whole(mem, sizeof(mem)), 0);
    mem[10] = mem[11] = 0xff;
    assert_int_equal(whole(mem, sizeof(mem)), 0xffff);
}

static void a_value_counts_as_its_two_bytes(void **state)
{
    (void)state;
    const uint8_t mem[6] = {0x12, 0x34, 0xab, 0xcd, 0x00, 0xff};
    struct checksum c = {0};
    checksum_add_u16(&c, 0x1234);
    checksum_add_u16(&c, 0xabcd);
    checksum_add_u16(&c, 0x00ff);
    assert_int_equal(checksum_fold(&c), reference(mem, sizeof(mem)));
}

static void an_ipv4_header_with_its_checksum_verifies(void **state)
{
    (void)state;
    /* 20 bytes: 192.168.0.1 to 192.168.0.199, UDP, checksum 0xb861. */
    uint8_t header[20] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                          0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
    struct checksum c = {0};
    checksum_add(&c, header, sizeof(header));
    assert_int_equal(checksum_finish(&c), 0xb861);
    header[10] = 0xb8;
    header[11] = 0x61;
    assert_int_equal(whole(header, sizeof(header)), 0xffff);
}

static void the_pseudo_header_of_ipv4_has_12_bytes(void **state)
{
    (void)state;
    const uint8_t pseudo[12] = {10, 152, 152, 11, 93, 184, 216, 34, 0, 6, 0x05, 0xdc};
    struct ipaddr src = ipaddr_v4(pseudo);
    struct ipaddr dst = ipaddr_v4(pseudo + 4);
    struct checksum c = {0};
    checksum_add_pseudo(&c, &src, &dst, 6, 1500);
    assert_int_equal(checksum_fold(&c), reference(pseudo, sizeof(pseudo)));
}

static void the_pseudo_header_of_ipv6_has_40_bytes_and_a_long_length(void **state)
{
    (void)state;
    uint8_t pseudo[40] = {0xfd, 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    pseudo[16] = 0x20;
    pseudo[17] = 0x01;
    pseudo[31] = 0x99;
    pseudo[33] = 0x01; /* length 0x0001fedc */
    pseudo[34] = 0xfe;
    pseudo[35] = 0xdc;
    pseudo[39] = 17;
    struct ipaddr src = ipaddr_v6(pseudo);
    struct ipaddr dst = ipaddr_v6(pseudo + 16);
    struct checksum c = {0};
    checksum_add_pseudo(&c, &src, &dst, 17, 0x1fedc);
    assert_int_equal(checksum_fold(&c), reference(pseudo, sizeof(pseudo)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_rfc_1071_comes_out),
        cmocka_unit_test(every_length_at_every_alignment_sums_as_the_bytewise_reference),
        cmocka_unit_test(every_split_in_two_sums_as_the_whole),
        cmocka_unit_test(any_number_of_odd_and_empty_pieces_sums_as_the_whole),
        cmocka_unit_test(the_largest_packet_of_ones_loses_no_carry),
        cmocka_unit_test(zeros_sum_to_zero_and_only_they),
        cmocka_unit_test(a_value_counts_as_its_two_bytes),
        cmocka_unit_test(an_ipv4_header_with_its_checksum_verifies),
        cmocka_unit_test(the_pseudo_header_of_ipv4_has_12_bytes),
        cmocka_unit_test(the_pseudo_header_of_ipv6_has_40_bytes_and_a_long_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
