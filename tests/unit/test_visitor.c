/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses of visitors: in their range, and as many as there are circuits. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "socks/visitor.h"

static const uint8_t secret[16] = "0123456789abcde";

static struct ipnet range(const char *text, uint8_t len)
{
    struct ipnet net = {.len = len};
    if (strchr(text, ':') != NULL) {
        assert_int_equal(inet_pton(AF_INET6, text, net.addr.b), 1);
    } else {
        uint8_t b[4];
        assert_int_equal(inet_pton(AF_INET, text, b), 1);
        net.addr = ipaddr_v4(b);
    }
    return net;
}

static void every_address_of_a_range_is_one_circuits(void **state)
{
    (void)state;
    struct siphash_key key = siphash_key_load(secret);
    struct ipnet net = range("10.64.5.77", 96 + 16);
    static uint8_t seen[65536];
    memset(seen, 0, sizeof(seen));
    for (uint32_t i = 0; i < 65536; i++) {
        struct ipaddr addr = visitor_address(&key, &net, i + 100);
        assert_true(ipnet_contains(&net, &addr));
        uint32_t low = be32_load(addr.b + 12) & 0xffff;
        assert_int_equal(seen[low], 0);
        seen[low] = 1;
    }
}

static void an_odd_count_of_bits_uses_one_less(void **state)
{
    (void)state;
    struct siphash_key key = siphash_key_load(secret);
    struct ipnet net = range("10.64.0.0", 96 + 23);
    static uint8_t seen[512];
    memset(seen, 0, sizeof(seen));
    for (uint32_t i = 0; i < 256; i++) {
        struct ipaddr addr = visitor_address(&key, &net, i);
        assert_true(ipnet_contains(&net, &addr));
        assert_int_equal(seen[be32_load(addr.b + 12) & 511]++, 0);
    }
}

static void a_large_range_uses_all_of_a_circuits_number(void **state)
{
    (void)state;
    struct siphash_key key = siphash_key_load(secret);
    struct ipnet net = range("fd6c:7601:7e3::ffff:ffff", 64);
    static const uint32_t numbers[] = {0, 1, 0x10000, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < 5; i++) {
        struct ipaddr a = visitor_address(&key, &net, numbers[i]), again = visitor_address(&key, &net, numbers[i]);
        assert_true(ipnet_contains(&net, &a));
        assert_true(ipaddr_equal(&a, &again));
        assert_int_equal(be32_load(a.b + 8), 0);
        for (size_t k = 0; k < i; k++) {
            struct ipaddr b = visitor_address(&key, &net, numbers[k]);
            assert_false(ipaddr_equal(&a, &b));
        }
    }
}

static void another_key_gives_other_addresses(void **state)
{
    (void)state;
    static const uint8_t other[16] = "another secret!";
    struct siphash_key one = siphash_key_load(secret), two = siphash_key_load(other);
    struct ipnet net = range("fd6c:7601:7e3::", 64);
    unsigned same = 0;
    for (uint32_t i = 0; i < 100; i++) {
        struct ipaddr a = visitor_address(&one, &net, i), b = visitor_address(&two, &net, i);
        same += ipaddr_equal(&a, &b);
        /* Not the number in the clear. */
        assert_true(be32_load(a.b + 12) != i || be32_load(b.b + 12) != i);
    }
    assert_int_equal(same, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_address_of_a_range_is_one_circuits),
        cmocka_unit_test(an_odd_count_of_bits_uses_one_less),
        cmocka_unit_test(a_large_range_uses_all_of_a_circuits_number),
        cmocka_unit_test(another_key_gives_other_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
