/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/ipaddr.h"
#include "random.h"

static struct ipaddr v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    const uint8_t raw[4] = {a, b, c, d};
    return ipaddr_v4(raw);
}

static void an_ipv4_address_is_kept_in_mapped_form(void **state)
{
    (void)state;
    struct ipaddr a = v4(10, 152, 152, 11);
    const uint8_t want[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 152, 152, 11};
    assert_memory_equal(a.b, want, 16);
    assert_true(ipaddr_is_v4(&a));
}

static void an_ipv6_address_is_not_taken_for_ipv4(void **state)
{
    (void)state;
    uint8_t raw[16] = {0xfd, 0x19};
    struct ipaddr a = ipaddr_v6(raw);
    assert_false(ipaddr_is_v4(&a));
    /* The obsolete compatible form ::a.b.c.d is not the mapped one. */
    const uint8_t compatible[16] = {[12] = 10, [15] = 1};
    a = ipaddr_v6(compatible);
    assert_false(ipaddr_is_v4(&a));
}

static void equality_looks_at_every_byte(void **state)
{
    (void)state;
    struct ipaddr a = v4(1, 2, 3, 4);
    for (unsigned i = 0; i < 16; i++) {
        struct ipaddr b = a;
        assert_true(ipaddr_equal(&a, &b));
        b.b[i] ^= 0x80;
        assert_false(ipaddr_equal(&a, &b));
    }
}

static void a_network_holds_its_first_and_last_address_and_not_their_neighbours(void **state)
{
    (void)state;
    struct ipnet net = {v4(10, 152, 128, 0), 96 + 18};
    struct ipaddr first = v4(10, 152, 128, 0), last = v4(10, 152, 191, 255);
    struct ipaddr before = v4(10, 152, 127, 255), after = v4(10, 152, 192, 0);
    assert_true(ipnet_contains(&net, &first));
    assert_true(ipnet_contains(&net, &last));
    assert_false(ipnet_contains(&net, &before));
    assert_false(ipnet_contains(&net, &after));
}

static void host_bits_of_a_network_do_not_matter(void **state)
{
    (void)state;
    struct ipnet net = {v4(10, 152, 152, 10), 96 + 18};
    struct ipaddr a = v4(10, 152, 130, 1);
    assert_true(ipnet_contains(&net, &a));
}

static void length_zero_holds_everything_and_length_128_one_address(void **state)
{
    (void)state;
    struct ipaddr a = v4(1, 2, 3, 4), b = v4(1, 2, 3, 5);
    struct ipnet all = {{{0}}, 0};
    struct ipnet one = {a, 128};
    assert_true(ipnet_contains(&all, &a));
    assert_true(ipnet_contains(&one, &a));
    assert_false(ipnet_contains(&one, &b));
}

static void containment_agrees_with_a_bit_by_bit_comparison(void **state)
{
    (void)state;
    struct random r = random_start();
    for (int round = 0; round < 20000; round++) {
        struct ipnet net;
        struct ipaddr a;
        random_fill(&r, net.addr.b, 16);
        net.len = (uint8_t)random_below(&r, 129);
        a = net.addr;
        unsigned bit = random_below(&r, 128);
        a.b[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        assert_int_equal(ipnet_contains(&net, &a), bit >= net.len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ipv4_address_is_kept_in_mapped_form),
        cmocka_unit_test(an_ipv6_address_is_not_taken_for_ipv4),
        cmocka_unit_test(equality_looks_at_every_byte),
        cmocka_unit_test(a_network_holds_its_first_and_last_address_and_not_their_neighbours),
        cmocka_unit_test(host_bits_of_a_network_do_not_matter),
        cmocka_unit_test(length_zero_holds_everything_and_length_128_one_address),
        cmocka_unit_test(containment_agrees_with_a_bit_by_bit_comparison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
