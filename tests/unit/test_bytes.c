/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

static const uint8_t nine[9] = {0x01, 0x02, 0x83, 0x84, 0x85, 0x86, 0x87, 0xf8, 0xf9};

static void reads_are_big_endian_and_in_order(void **state)
{
    (void)state;
    struct bytes b = bytes_of(nine, sizeof(nine));
    assert_int_equal(bytes_u8(&b), 0x01);
    assert_int_equal(bytes_u16(&b), 0x0283);
    assert_int_equal(bytes_u32(&b), 0x84858687);
    assert_int_equal(b.left, 2);
    assert_ptr_equal(bytes_take(&b, 2), nine + 7);
    assert_int_equal(b.left, 0);
    assert_true(bytes_ok(&b));
}

static void reading_exactly_to_the_end_is_fine_and_one_more_is_not(void **state)
{
    (void)state;
    struct bytes b = bytes_of(nine, sizeof(nine));
    assert_non_null(bytes_take(&b, sizeof(nine)));
    assert_non_null(bytes_take(&b, 0));
    assert_true(bytes_ok(&b));
    assert_null(bytes_take(&b, 1));
    assert_false(bytes_ok(&b));
}

static void a_short_read_spoils_and_takes_nothing_even_if_less_would_fit(void **state)
{
    (void)state;
    struct bytes b = bytes_of(nine, 3);
    assert_int_equal(bytes_u32(&b), 0);
    assert_false(bytes_ok(&b));
    assert_int_equal(b.left, 0);
    /* Three bytes were there, but what follows a failed read is not where the parser thinks it is. */
    assert_int_equal(bytes_u8(&b), 0);
    assert_int_equal(bytes_u16(&b), 0);
    assert_null(bytes_take(&b, 0));
    assert_false(bytes_ok(&b));
}

static void a_huge_length_does_not_wrap_around(void **state)
{
    (void)state;
    struct bytes b = bytes_of(nine, sizeof(nine));
    bytes_u8(&b);
    assert_null(bytes_take(&b, SIZE_MAX));
    assert_false(bytes_ok(&b));
}

static void a_sub_view_ends_where_it_was_told(void **state)
{
    (void)state;
    struct bytes b = bytes_of(nine, sizeof(nine));
    struct bytes sub = bytes_sub(&b, 4);
    assert_int_equal(bytes_u32(&sub), 0x01028384);
    assert_int_equal(bytes_u8(&sub), 0);
    assert_false(bytes_ok(&sub));
    /* The outer view goes on behind it, unharmed. */
    assert_int_equal(bytes_u8(&b), 0x85);
    assert_true(bytes_ok(&b));
}

static void a_sub_view_past_the_end_spoils_both(void **state)
{
    (void)state;
    struct bytes b = bytes_of(nine, sizeof(nine));
    struct bytes sub = bytes_sub(&b, 10);
    assert_false(bytes_ok(&sub));
    assert_false(bytes_ok(&b));
    assert_int_equal(bytes_u8(&sub), 0);
}

static void nothing_can_be_read_from_an_empty_view(void **state)
{
    (void)state;
    struct bytes b = bytes_of(NULL, 0);
    assert_true(bytes_ok(&b));
    assert_int_equal(bytes_u8(&b), 0);
    assert_false(bytes_ok(&b));
}

static void stores_and_loads_are_inverse_at_odd_addresses(void **state)
{
    (void)state;
    uint8_t mem[7] = {0};
    be16_store(mem + 1, 0xfedc);
    be32_store(mem + 3, 0x80000001);
    const uint8_t want[7] = {0, 0xfe, 0xdc, 0x80, 0, 0, 1};
    assert_memory_equal(mem, want, sizeof(want));
    assert_int_equal(be16_load(mem + 1), 0xfedc);
    assert_int_equal(be32_load(mem + 3), 0x80000001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_are_big_endian_and_in_order),
        cmocka_unit_test(reading_exactly_to_the_end_is_fine_and_one_more_is_not),
        cmocka_unit_test(a_short_read_spoils_and_takes_nothing_even_if_less_would_fit),
        cmocka_unit_test(a_huge_length_does_not_wrap_around),
        cmocka_unit_test(a_sub_view_ends_where_it_was_told),
        cmocka_unit_test(a_sub_view_past_the_end_spoils_both),
        cmocka_unit_test(nothing_can_be_read_from_an_empty_view),
        cmocka_unit_test(stores_and_loads_are_inverse_at_odd_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
