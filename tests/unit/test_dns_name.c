/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "dns/name.h"

static bool read_name(const void *wire, size_t n, struct dns_name *name, size_t *left)
{
    struct bytes b = bytes_of(wire, n);
    bool ok = dns_name_read(&b, name);
    assert_int_equal(ok, bytes_ok(&b));
    *left = b.left;
    return ok;
}

static void assert_text(const void *wire, size_t n, const char *want, bool want_plain)
{
    struct dns_name name;
    size_t left;
    char text[DNS_TEXT_SIZE];
    bool plain;
    assert_true(read_name(wire, n, &name, &left));
    assert_int_equal(left, 0);
    assert_int_equal(dns_name_to_text(&name, text, &plain), strlen(want));
    assert_string_equal(text, want);
    assert_int_equal(plain, want_plain);
}

static void a_name_keeps_its_case_and_its_text_is_lower_case(void **state)
{
    (void)state;
    const uint8_t wire[] = "\3WwW\7eXample\3Org";
    struct dns_name name;
    size_t left;
    assert_true(read_name(wire, sizeof(wire), &name, &left));
    assert_int_equal(name.len, sizeof(wire));
    assert_memory_equal(name.wire, wire, sizeof(wire));
    assert_text(wire, sizeof(wire), "www.example.org", true);
}

static void reading_stops_behind_the_name(void **state)
{
    (void)state;
    const uint8_t wire[] = "\1a\0\0\1\0\1";
    struct dns_name name;
    size_t left;
    assert_true(read_name(wire, 7, &name, &left));
    assert_int_equal(name.len, 3);
    assert_int_equal(left, 4);
}

static void the_root_is_an_empty_text(void **state)
{
    (void)state;
    assert_text("", 1, "", true);
}

static void digits_hyphens_and_underscores_are_plain(void **state)
{
    (void)state;
    const uint8_t wire[] = "\5dmar_\4x-9-";
    assert_text(wire, sizeof(wire), "dmar_.x-9-", true);
}

static void a_label_that_begins_with_a_hyphen_or_an_underscore_makes_the_name_not_plain(void **state)
{
    (void)state;
    const uint8_t first[] = "\5_dmar\4x-9z", last[] = "\4dmar\2-x", alone[] = "\1_\1a";
    assert_text(first, sizeof(first), "_dmar.x-9z", false);
    assert_text(last, sizeof(last), "dmar.-x", false);
    assert_text(alone, sizeof(alone), "_.a", false);
}

static void any_other_byte_becomes_a_question_mark_and_makes_the_name_not_plain(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        uint8_t wire[5] = {3, 'a', (uint8_t)c, 'b', 0};
        struct dns_name name;
        size_t left;
        char text[DNS_TEXT_SIZE];
        bool plain;
        assert_true(read_name(wire, sizeof(wire), &name, &left));
        assert_int_equal(dns_name_to_text(&name, text, &plain), 3);
        bool want =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        assert_int_equal(plain, want);
        assert_int_equal(text[1] == '?', !want);
        assert_null(strchr(text, '.')); /* a dot within a label must not look like the end of one */
    }
}

static void a_label_of_63_is_read_and_one_of_64_is_not(void **state)
{
    (void)state;
    uint8_t wire[70];
    memset(wire, 'a', sizeof(wire));
    struct dns_name name;
    size_t left;
    wire[0] = 63;
    wire[64] = 0;
    assert_true(read_name(wire, 65, &name, &left));
    assert_int_equal(name.len, 65);
    wire[0] = 64;
    wire[65] = 0;
    assert_false(read_name(wire, 66, &name, &left));
    assert_int_equal(left, 0);
}

/* Three labels of 63 and one of `last`, and the root: 194 + last bytes. */
static size_t long_name(uint8_t *wire, uint8_t last)
{
    size_t at = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t n = i < 3 ? 63 : last;
        wire[at++] = n;
        memset(wire + at, 'x', n);
        at += n;
    }
    wire[at++] = 0;
    return at;
}

static void a_name_of_255_bytes_is_read_and_one_of_256_is_not(void **state)
{
    (void)state;
    uint8_t wire[300];
    struct dns_name name;
    size_t left;
    char text[DNS_TEXT_SIZE];
    bool plain;
    assert_int_equal(long_name(wire, 61), 255);
    assert_true(read_name(wire, 255, &name, &left));
    assert_int_equal(dns_name_to_text(&name, text, &plain), DNS_TEXT_MAX);
    assert_int_equal(long_name(wire, 62), 256);
    assert_false(read_name(wire, 256, &name, &left));
}

static void a_name_of_127_labels_is_the_longest_of_short_ones(void **state)
{
    (void)state;
    uint8_t wire[300];
    for (size_t i = 0; i < 127; i++) {
        wire[2 * i] = 1;
        wire[2 * i + 1] = 'q';
    }
    wire[254] = 0;
    struct dns_name name;
    size_t left;
    char text[DNS_TEXT_SIZE];
    bool plain;
    assert_true(read_name(wire, 255, &name, &left));
    assert_int_equal(dns_name_to_text(&name, text, &plain), 253);
    wire[254] = 1;
    wire[255] = 'q';
    wire[256] = 0;
    assert_false(read_name(wire, 257, &name, &left));
}

static void a_name_cut_anywhere_is_not_read(void **state)
{
    (void)state;
    const uint8_t wire[] = "\3www\7example\3org";
    for (size_t n = 0; n < sizeof(wire); n++) {
        struct dns_name name;
        size_t left;
        assert_false(read_name(wire, n, &name, &left));
        assert_int_equal(name.len, 0);
    }
}

static void a_pointer_or_an_unknown_label_type_is_refused_in_the_question(void **state)
{
    (void)state;
    static const uint8_t wires[][4] = {
        {0xc0, 0x00, 0, 0}, {0xc0, 0x0c, 0, 0}, {1, 'a', 0xc0, 0x0c},
        {0x40, 0, 0, 0},    {0x41, 0, 0, 0},    {0x80, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof(wires) / sizeof(*wires); i++) {
        struct dns_name name;
        size_t left;
        assert_false(read_name(wires[i], 4, &name, &left));
    }
}

static bool skip_name(const void *wire, size_t n, size_t offset, size_t *left)
{
    struct bytes b = bytes_of(wire, n);
    bool ok = dns_name_skip(&b, offset);
    assert_int_equal(ok, bytes_ok(&b));
    *left = b.left;
    return ok;
}

static void skipping_ends_behind_the_root_or_behind_a_pointer(void **state)
{
    (void)state;
    size_t left;
    assert_true(skip_name("\1a\0rest", 7, 20, &left));
    assert_int_equal(left, 4);
    assert_true(skip_name("\1a\xc0\x0crest", 8, 20, &left));
    assert_int_equal(left, 4);
    assert_true(skip_name("\xc0\x0c", 2, 13, &left));
    assert_int_equal(left, 0);
}

static void a_pointer_to_itself_or_forwards_is_refused(void **state)
{
    (void)state;
    size_t left;
    assert_true(skip_name("\xc0\x1d", 2, 30, &left));
    assert_false(skip_name("\xc0\x1e", 2, 30, &left));
    assert_false(skip_name("\xc0\x1f", 2, 30, &left));
    assert_false(skip_name("\xff\xff", 2, 30, &left));
    assert_false(
        skip_name("\1a\xc0\x1e", 4, 30, &left)); /* to the name's own beginning: a loop, were it followed */
}

static void skipping_refuses_what_ends_early_or_is_too_long(void **state)
{
    (void)state;
    size_t left;
    assert_false(skip_name("", 0, 20, &left));
    assert_false(skip_name("\1", 1, 20, &left));
    assert_false(skip_name("\1a", 2, 20, &left));
    assert_false(skip_name("\xc0", 1, 20, &left));
    assert_false(skip_name("\x40", 1, 20, &left));
    uint8_t wire[300];
    assert_true(skip_name(wire, long_name(wire, 61), 20, &left));
    assert_false(skip_name(wire, long_name(wire, 62), 20, &left));
}

static void text_and_wire_are_inverse(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "a", "www.example.org", "_x-1.y"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct dns_name name;
        char text[DNS_TEXT_SIZE];
        bool plain;
        assert_int_equal(dns_name_from_text(texts[i], strlen(texts[i]), &name), 0);
        assert_int_equal(dns_name_to_text(&name, text, &plain), strlen(texts[i]));
        assert_string_equal(text, texts[i]);
    }
}

static void a_text_with_an_empty_or_long_label_makes_no_name(void **state)
{
    (void)state;
    static const char *const texts[] = {".", "a.", ".a", "a..b",
                                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct dns_name name;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        assert_int_equal(dns_name_from_text(texts[i], strlen(texts[i]), &name), -EINVAL);
    char text[300];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 2 == 0 ? 'a' : '.';
    assert_int_equal(dns_name_from_text(text, 253, &name), 0);
    assert_int_equal(name.len, 255);
    assert_int_equal(dns_name_from_text(text, 255, &name), -EINVAL);
}

static void a_zone_contains_itself_and_names_below_but_not_names_that_merely_end_alike(void **state)
{
    (void)state;
    assert_true(dns_text_within("local", 5, "local"));
    assert_true(dns_text_within("a.local", 7, "local"));
    assert_false(dns_text_within("nonlocal", 8, "local"));
    assert_false(dns_text_within("ocal", 4, "local"));
    assert_false(dns_text_within("local.net", 9, "local"));
    assert_false(dns_text_within("", 0, "local"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_keeps_its_case_and_its_text_is_lower_case),
        cmocka_unit_test(reading_stops_behind_the_name),
        cmocka_unit_test(the_root_is_an_empty_text),
        cmocka_unit_test(digits_hyphens_and_underscores_are_plain),
        cmocka_unit_test(a_label_that_begins_with_a_hyphen_or_an_underscore_makes_the_name_not_plain),
        cmocka_unit_test(any_other_byte_becomes_a_question_mark_and_makes_the_name_not_plain),
        cmocka_unit_test(a_label_of_63_is_read_and_one_of_64_is_not),
        cmocka_unit_test(a_name_of_255_bytes_is_read_and_one_of_256_is_not),
        cmocka_unit_test(a_name_of_127_labels_is_the_longest_of_short_ones),
        cmocka_unit_test(a_name_cut_anywhere_is_not_read),
        cmocka_unit_test(a_pointer_or_an_unknown_label_type_is_refused_in_the_question),
        cmocka_unit_test(skipping_ends_behind_the_root_or_behind_a_pointer),
        cmocka_unit_test(a_pointer_to_itself_or_forwards_is_refused),
        cmocka_unit_test(skipping_refuses_what_ends_early_or_is_too_long),
        cmocka_unit_test(text_and_wire_are_inverse),
        cmocka_unit_test(a_text_with_an_empty_or_long_label_makes_no_name),
        cmocka_unit_test(a_zone_contains_itself_and_names_below_but_not_names_that_merely_end_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
