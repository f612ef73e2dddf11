/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/json_read.h"

static char buffer[512];
static struct json json;

static const char *written(void)
{
    assert_false(json.full);
    assert_true(json.len < sizeof(buffer));
    buffer[json.len] = '\0';
    return buffer;
}

static void values_of_every_kind_are_written(void **state)
{
    (void)state;
    json_init(&json, buffer, sizeof(buffer));
    json_open(&json, NULL, '{');
    json_text(&json, "a", "b");
    json_text(&json, "none", NULL);
    json_open(&json, "list", '[');
    json_number(&json, NULL, 0);
    json_number(&json, NULL, UINT64_MAX);
    json_boolean(&json, NULL, true);
    json_open(&json, NULL, '{');
    json_close(&json, '}');
    json_close(&json, ']');
    json_boolean(&json, "last", false);
    json_close(&json, '}');
    json_line(&json);
    json_open(&json, NULL, '[');
    json_close(&json, ']');
    json_line(&json);
    assert_string_equal(written(), "{\"a\":\"b\",\"none\":null,\"list\":[0,18446744073709551615,true,{}],"
                                   "\"last\":false}\n[]\n");
}

static void any_byte_comes_out_as_printable_ascii(void **state)
{
    char all[256];
    char big[2048];
    (void)state;
    for (unsigned i = 0; i < sizeof(all); i++)
        all[i] = (char)i;
    json_init(&json, big, sizeof(big));
    json_bytes(&json, NULL, all, sizeof(all));
    assert_false(json.full);
    for (size_t i = 0; i < json.len; i++)
        assert_in_range(big[i], 0x20, 0x7e);
    struct json_value value;
    assert_true(json_parse(big, json.len, &value));
    char back[300];
    json_string(&value, back, sizeof(back));
    assert_int_equal(strlen(back), 256);
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(back[i], i >= 0x20 && i < 0x7f ? i : '?');
}

static void what_does_not_fit_is_said(void **state)
{
    (void)state;
    for (size_t size = 0; size < 9; size++) {
        json_init(&json, buffer, size);
        json_text(&json, NULL, "sixsix");
        assert_int_equal(json.full, size < 8);
        assert_true(json.len <= size);
    }
}

static bool parses(const char *text)
{
    struct json_value value;
    return json_parse(text, strlen(text), &value);
}

static void good_texts_are_taken_and_bad_ones_are_not(void **state)
{
    (void)state;
    static const char *const good[] = {"{}",  " [ ] ", "[1,-2,3.5e-7,0]", "\"\\u00e4\\n\"", "{\"a\":{\"b\":[{}]}}",
                                       "null"};
    static const char *const bad[] = {
        "",       "{",  "[1,]", "{\"a\"}", "{\"a\":}", "{a:1}", "\"",  "\"\\", "\"\\u12\"",         "\"\\x\"",
        "\"\n\"", "01", "-",    "1.",      "1e",       "tru",   "[]]", "{} x", "[[[[[[[[[]]]]]]]]]"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(parses(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(parses(bad[i]));
}

static void members_and_elements_are_found(void **state)
{
    static const char text[] =
        "{ \"a\" : [ 1 , \"x\\\"\\\\y\" , {\"b\":7} ], \"b\" : 18446744073709551615, \"c\":true }";
    struct json_value whole, element = {.type = JSON_NOTHING};
    char out[8];
    (void)state;
    assert_true(json_parse(text, sizeof(text) - 1, &whole));
    struct json_value list = json_member(&whole, "a");
    assert_true(json_element(&list, &element));
    assert_int_equal(json_unsigned(&element), 1);
    assert_true(json_element(&list, &element));
    assert_string_equal(json_string(&element, out, sizeof(out)), "x\"\\y");
    assert_string_equal(json_string(&element, out, 3), "x\"");
    assert_true(json_element(&list, &element));
    struct json_value inner = json_member(&element, "b");
    assert_int_equal(json_unsigned(&inner), 7);
    assert_false(json_element(&list, &element));
    struct json_value b = json_member(&whole, "b"), c = json_member(&whole, "c"), none = json_member(&whole, "d");
    assert_true(json_unsigned(&b) == UINT64_MAX);
    assert_int_equal(c.type, JSON_TRUE);
    assert_int_equal(none.type, JSON_NOTHING);
    assert_string_equal(json_string(&none, out, sizeof(out)), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_kind_are_written),
        cmocka_unit_test(any_byte_comes_out_as_printable_ascii),
        cmocka_unit_test(what_does_not_fit_is_said),
        cmocka_unit_test(good_texts_are_taken_and_bad_ones_are_not),
        cmocka_unit_test(members_and_elements_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
