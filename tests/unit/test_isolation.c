/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "socks/isolation.h"

static struct isolation_secret secret;
static const struct isolation_flow plain = {
    .workstation = 7,
    .src = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 152, 152, 11}},
    .dst = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 5}},
    .name = "www.example.com",
    .src_port = 40000,
    .dst_port = 443,
};

static int draw_secret(void **state)
{
    (void)state;
    uint8_t seed[16] = "sixteen bytes ..";
    isolation_secret_init(&secret, seed);
    return 0;
}

static bool same(unsigned fields, const struct isolation_flow *a, const struct isolation_flow *b)
{
    struct isolation_credential ca, cb;
    isolation_credential(&secret, fields, a, 0, &ca);
    isolation_credential(&secret, fields, b, 0, &cb);
    return strcmp(ca.password, cb.password) == 0;
}

/* The plain flow with one thing changed, by the bit of the field that it belongs to. */
static struct isolation_flow changed(unsigned bit)
{
    struct isolation_flow flow = plain;
    switch (1u << bit) {
    case ISOLATION_WORKSTATION:
        flow.workstation++;
        break;
    case ISOLATION_SOURCE_ADDRESS:
        flow.src.b[15]++;
        break;
    case ISOLATION_SOURCE_PORT:
        flow.src_port++;
        break;
    case ISOLATION_DESTINATION_ADDRESS:
        flow.dst.b[15]++;
        break;
    case ISOLATION_DESTINATION_NAME:
        flow.name = "www.example.org";
        break;
    case ISOLATION_DESTINATION_PORT:
        flow.dst_port++;
        break;
    }
    return flow;
}

static void a_field_changes_the_credential_if_and_only_if_it_is_in_the_policy(void **state)
{
    (void)state;
    for (unsigned fields = 0; fields <= ISOLATION_ALL; fields++)
        for (unsigned bit = 0; bit < 6; bit++) {
            struct isolation_flow other = changed(bit);
            assert_int_equal(same(fields, &plain, &other), (fields & 1u << bit) == 0);
        }
}

static void two_policies_never_give_the_same_credential(void **state)
{
    (void)state;
    static struct isolation_credential all[ISOLATION_ALL + 1];
    struct isolation_flow flow = plain; /* whose fields look alike */
    flow.src = flow.dst;
    flow.src_port = flow.dst_port;
    for (unsigned i = 0; i <= ISOLATION_ALL; i++) {
        isolation_credential(&secret, i, &flow, 0, &all[i]);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(all[i].password, all[k].password);
    }
}

/* Port and credentials of a client, with those next to them that could be taken for them if a length were missing. */
static void a_port_and_a_clients_credentials_are_fields_of_their_own(void **state)
{
    (void)state;
    const unsigned each = ISOLATION_WORKSTATION | ISOLATION_PORT | ISOLATION_CREDENTIALS;
    struct isolation_flow a = plain, b = plain, c = plain, d = plain;
    a.port = b.port = c.port = 9050;
    d.port = 9051;
    b.auth = (const uint8_t *)"x";
    b.auth_len = 1;
    c.auth = (const uint8_t *)"y";
    c.auth_len = 1;
    assert_true(same(each, &a, &a));
    assert_true(same(each, &b, &b));
    assert_false(same(each, &a, &b));
    assert_false(same(each, &b, &c));
    assert_false(same(each, &a, &d));
    assert_true(same(ISOLATION_ALL, &a, &d));
    assert_true(same(each & ~(unsigned)ISOLATION_CREDENTIALS, &b, &c));
    assert_true(same(each & ~(unsigned)ISOLATION_PORT, &a, &d));
    struct isolation_credential with, without;
    isolation_credential(&secret, each, &plain, 0, &with);
    isolation_credential(&secret, ISOLATION_WORKSTATION, &plain, 0, &without);
    assert_string_not_equal(with.password, without.password);
    uint8_t longest[ISOLATION_AUTH_MAX] = {0};
    c.auth = longest;
    c.auth_len = sizeof(longest);
    c.name = NULL;
    isolation_credential(&secret, 0xff, &c, UINT64_MAX, &with);
}

static void a_new_epoch_or_a_new_nym_is_a_new_identity(void **state)
{
    (void)state;
    struct isolation_credential a, b, c;
    struct isolation_flow other = plain;
    other.nym = 1;
    isolation_credential(&secret, ISOLATION_WORKSTATION, &plain, 0, &a);
    isolation_credential(&secret, ISOLATION_WORKSTATION, &plain, 1, &b);
    isolation_credential(&secret, ISOLATION_WORKSTATION, &other, 0, &c);
    assert_string_not_equal(a.password, b.password);
    assert_string_not_equal(a.password, c.password);
    assert_string_not_equal(b.password, c.password);
}

static void another_secret_gives_another_credential(void **state)
{
    (void)state;
    struct isolation_secret other;
    struct isolation_credential a, b;
    isolation_secret_init(&other, (const uint8_t *)"sixteen bytes .,");
    isolation_credential(&secret, ISOLATION_ALL, &plain, 0, &a);
    isolation_credential(&other, ISOLATION_ALL, &plain, 0, &b);
    assert_string_not_equal(a.password, b.password);
}

static void both_halves_of_a_credential_differ_and_both_depend_on_the_fields(void **state)
{
    (void)state;
    struct isolation_credential a, b;
    struct isolation_flow other = changed(2);
    isolation_credential(&secret, ISOLATION_ALL, &plain, 0, &a);
    isolation_credential(&secret, ISOLATION_ALL, &other, 0, &b);
    assert_memory_not_equal(a.password, a.password + 16, 16);
    assert_memory_not_equal(a.password, b.password, 16);
    assert_memory_not_equal(a.password + 16, b.password + 16, 16);
}

static void the_password_is_32_lower_case_hex_digits(void **state)
{
    (void)state;
    struct isolation_credential c;
    for (uint64_t epoch = 0; epoch < 200; epoch++) {
        isolation_credential(&secret, ISOLATION_ALL, &plain, epoch, &c);
        assert_int_equal(strlen(c.password), ISOLATION_PASSWORD_LEN);
        assert_int_equal(strspn(c.password, "0123456789abcdef"), ISOLATION_PASSWORD_LEN);
    }
    assert_string_equal(ISOLATION_USERNAME, "<torS0X>0");
}

/* A run of the input's bytes, as hex, must not be in the output. Chance finds four given digits in one of 29 places
 * of 2000 outputs about once; six digits never in practice. So three bytes of each field are looked for. */
static void nothing_of_the_input_shows_in_the_credential(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct isolation_flow flow = plain;
        struct isolation_credential c;
        char needle[16];
        flow.src_port = (uint16_t)(40000 + i);
        flow.workstation = 0x0200123456000000u + i;
        isolation_credential(&secret, ISOLATION_ALL, &flow, i, &c);
        assert_null(strstr(c.password, "0a9898")); /* 10.152.152 */
        assert_null(strstr(c.password, "cb0071")); /* 203.0.113 */
        assert_null(strstr(c.password, "777777")); /* www */
        assert_null(strstr(c.password, "123456"));
        snprintf(needle, sizeof(needle), "%04x%04x", flow.src_port, flow.dst_port);
        assert_null(strstr(c.password, needle));
        snprintf(needle, sizeof(needle), "%u", flow.src_port);
        assert_int_equal(strcmp(c.password, needle) == 0, 0);
    }
}

static void names_are_compared_without_case_and_final_dot(void **state)
{
    (void)state;
    struct isolation_flow other = plain;
    other.name = "WWW.Example.COM.";
    assert_true(same(ISOLATION_DESTINATION_NAME, &plain, &other));
    other.name = "www.example.co";
    assert_false(same(ISOLATION_DESTINATION_NAME, &plain, &other));
}

static void a_flow_without_a_name_is_known_by_its_address(void **state)
{
    (void)state;
    struct isolation_flow a = plain, b = plain;
    a.name = NULL;
    b.name = "";
    assert_true(same(ISOLATION_DESTINATION_NAME, &a, &b));
    assert_false(same(ISOLATION_DESTINATION_NAME, &a, &plain));
    b.dst.b[15]++;
    assert_false(same(ISOLATION_DESTINATION_NAME, &a, &b));
}

static void a_name_of_sixteen_bytes_is_not_taken_for_an_address(void **state)
{
    (void)state;
    struct isolation_flow by_name = plain, by_address = plain;
    by_name.name = "abcdefghijklmnop";
    by_address.name = NULL;
    memcpy(by_address.dst.b, by_name.name, 16);
    assert_false(same(ISOLATION_DESTINATION_NAME, &by_name, &by_address));
}

static void what_stands_after_a_name_is_not_taken_for_a_part_of_it(void **state)
{
    (void)state;
    struct isolation_flow a = plain, b = plain;
    a.name = "ab";
    a.dst_port = 0x6364; /* "cd" */
    b.name = "abc";
    b.dst_port = 0x6400;
    assert_false(same(ISOLATION_DESTINATION_NAME | ISOLATION_DESTINATION_PORT, &a, &b));
}

static void the_longest_name_fits(void **state)
{
    (void)state;
    char name[512];
    memset(name, 'a', sizeof(name));
    name[255] = '\0';
    struct isolation_flow a = plain, b = plain;
    a.name = name;
    struct isolation_credential c;
    isolation_credential(&secret, ISOLATION_ALL, &a, UINT64_MAX, &c);
    assert_int_equal(strlen(c.password), ISOLATION_PASSWORD_LEN);
    char other[256];
    memcpy(other, name, 256);
    other[254] = 'b';
    b.name = other;
    assert_false(same(ISOLATION_DESTINATION_NAME, &a, &b));
}

static void ten_thousand_source_ports_are_ten_thousand_identities(void **state)
{
    (void)state;
    static uint64_t seen[10000];
    for (unsigned i = 0; i < 10000; i++) {
        struct isolation_flow flow = plain;
        struct isolation_credential c;
        char half[17] = "";
        flow.src_port = (uint16_t)(20000 + i);
        isolation_credential(&secret, ISOLATION_SOURCE_PORT, &flow, 0, &c);
        memcpy(half, c.password, 16);
        seen[i] = strtoull(half, NULL, 16);
    }
    for (unsigned i = 0; i < 10000; i++)
        for (unsigned k = 0; k < i; k++)
            if (seen[i] == seen[k])
                fail_msg("ports %u and %u", i, k);
}

static void an_epoch_lasts_its_lifetime_and_is_followed_by_the_next(void **state)
{
    (void)state;
    uint64_t first = isolation_epoch(&secret, ISOLATION_SOURCE_PORT, &plain, 1000, 600);
    unsigned changes = 0;
    uint64_t last = first;
    for (uint64_t now = 1000; now <= 1000 + 6000; now++) {
        uint64_t epoch = isolation_epoch(&secret, ISOLATION_SOURCE_PORT, &plain, now, 600);
        assert_true(epoch == last || epoch == last + 1);
        changes += epoch != last;
        last = epoch;
    }
    assert_int_equal(changes, 10);
}

static void after_a_lifetime_an_identity_is_always_a_new_one(void **state)
{
    (void)state;
    for (uint64_t now = 0; now < 3000; now += 7)
        assert_true(isolation_epoch(&secret, ISOLATION_ALL, &plain, now + 600, 600) !=
                    isolation_epoch(&secret, ISOLATION_ALL, &plain, now, 600));
}

static void identities_do_not_all_change_at_the_same_moment(void **state)
{
    (void)state;
    unsigned changed_at[600] = {0};
    for (unsigned port = 0; port < 600; port++) {
        struct isolation_flow flow = plain;
        flow.src_port = (uint16_t)(1024 + port);
        uint64_t first = isolation_epoch(&secret, ISOLATION_SOURCE_PORT, &flow, 0, 600);
        unsigned now = 1;
        while (isolation_epoch(&secret, ISOLATION_SOURCE_PORT, &flow, now, 600) == first)
            now++;
        assert_in_range(now, 1, 600);
        changed_at[now - 1]++;
    }
    for (unsigned i = 0; i < 600; i++)
        assert_true(changed_at[i] < 20);
}

static void without_a_lifetime_an_epoch_lasts_for_ever(void **state)
{
    (void)state;
    assert_true(isolation_epoch(&secret, ISOLATION_ALL, &plain, UINT64_MAX / 2, 0) ==
                isolation_epoch(&secret, ISOLATION_ALL, &plain, 0, 0));
}

static void the_epoch_depends_on_nothing_outside_the_policy(void **state)
{
    (void)state;
    struct isolation_flow other = changed(5);
    for (uint64_t now = 0; now < 700; now++)
        assert_true(isolation_epoch(&secret, ISOLATION_SOURCE_PORT, &plain, now, 600) ==
                    isolation_epoch(&secret, ISOLATION_SOURCE_PORT, &other, now, 600));
}

static void policies_are_parsed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned want;
    } cases[] = {
        {"workstation", ISOLATION_WORKSTATION},
        {"source-port", ISOLATION_WORKSTATION | ISOLATION_SOURCE_ADDRESS | ISOLATION_SOURCE_PORT},
        {"source-address", ISOLATION_WORKSTATION | ISOLATION_SOURCE_ADDRESS},
        {"destination", ISOLATION_WORKSTATION | ISOLATION_DESTINATION_NAME | ISOLATION_DESTINATION_PORT},
        {"workstation, destination-name", ISOLATION_WORKSTATION | ISOLATION_DESTINATION_NAME},
        {" Destination-Address ,\tdestination-port ",
         ISOLATION_WORKSTATION | ISOLATION_DESTINATION_ADDRESS | ISOLATION_DESTINATION_PORT},
        {"source-port,source-port", ISOLATION_WORKSTATION | ISOLATION_SOURCE_ADDRESS | ISOLATION_SOURCE_PORT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_int_equal(isolation_parse(cases[i].text, NULL, NULL), cases[i].want);
}

static void a_word_that_is_none_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bad;
    } cases[] = {
        {"", ""},
        {"source-port,", ""},
        {",source-port", ""},
        {"sourceport", "sourceport"},
        {"source", "source"},
        {"all", "all"},
        {"workstation, colour , destination", "colour"},
        {"workstation destination", "workstation destination"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *bad = NULL;
        size_t len = 99;
        assert_int_equal(isolation_parse(cases[i].text, &bad, &len), -EINVAL);
        assert_int_equal(len, strlen(cases[i].bad));
        assert_memory_equal(bad, cases[i].bad, len);
    }
}

static void every_policy_is_written_as_it_is_read(void **state)
{
    (void)state;
    for (unsigned fields = 0; fields <= ISOLATION_ALL; fields++) {
        char text[160];
        unsigned whole = fields | ISOLATION_WORKSTATION;
        if (whole & ISOLATION_SOURCE_PORT)
            whole |= ISOLATION_SOURCE_ADDRESS;
        assert_true(isolation_format(whole, text, sizeof(text)) < (int)sizeof(text));
        assert_int_equal(isolation_parse(text, NULL, NULL), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_changes_the_credential_if_and_only_if_it_is_in_the_policy),
        cmocka_unit_test(two_policies_never_give_the_same_credential),
        cmocka_unit_test(a_port_and_a_clients_credentials_are_fields_of_their_own),
        cmocka_unit_test(a_new_epoch_or_a_new_nym_is_a_new_identity),
        cmocka_unit_test(another_secret_gives_another_credential),
        cmocka_unit_test(both_halves_of_a_credential_differ_and_both_depend_on_the_fields),
        cmocka_unit_test(the_password_is_32_lower_case_hex_digits),
        cmocka_unit_test(nothing_of_the_input_shows_in_the_credential),
        cmocka_unit_test(names_are_compared_without_case_and_final_dot),
        cmocka_unit_test(a_flow_without_a_name_is_known_by_its_address),
        cmocka_unit_test(a_name_of_sixteen_bytes_is_not_taken_for_an_address),
        cmocka_unit_test(what_stands_after_a_name_is_not_taken_for_a_part_of_it),
        cmocka_unit_test(the_longest_name_fits),
        cmocka_unit_test(ten_thousand_source_ports_are_ten_thousand_identities),
        cmocka_unit_test(an_epoch_lasts_its_lifetime_and_is_followed_by_the_next),
        cmocka_unit_test(after_a_lifetime_an_identity_is_always_a_new_one),
        cmocka_unit_test(identities_do_not_all_change_at_the_same_moment),
        cmocka_unit_test(without_a_lifetime_an_epoch_lasts_for_ever),
        cmocka_unit_test(the_epoch_depends_on_nothing_outside_the_policy),
        cmocka_unit_test(policies_are_parsed),
        cmocka_unit_test(a_word_that_is_none_is_told),
        cmocka_unit_test(every_policy_is_written_as_it_is_read),
    };
    return cmocka_run_group_tests(tests, draw_secret, NULL);
}
