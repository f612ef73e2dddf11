/* SPDX-License-Identifier: BSD-3-Clause */
/* Which country a relay is in, with a test that plays Tor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/countries.h"

#define SECOND UINT64_C(1000000)

static struct countries countries;
static char question[COUNTRIES_COMMAND_MAX];
static uint64_t now;

static int set_up(void **state)
{
    (void)state;
    now = 1000 * SECOND;
    return countries_init(&countries);
}

static int tear_down(void **state)
{
    (void)state;
    countries_fini(&countries);
    return 0;
}

/* A relay by its number; those with the same lower half stand in one set. */
static const uint8_t *relay(uint32_t number)
{
    static uint8_t fingerprint[20];
    memset(fingerprint, 0xab, sizeof(fingerprint));
    memcpy(fingerprint, &number, sizeof(number));
    return fingerprint;
}

static bool want(uint32_t number)
{
    return countries_want(&countries, relay(number), (uint32_t)(now / SECOND));
}

static bool next(void)
{
    question[0] = '\0';
    if (!countries_question(&countries, now, question))
        return false;
    countries_asked(&countries);
    return true;
}

static void answer(const char *key, const char *value)
{
    if (key != NULL)
        countries_line(&countries, key, value);
    countries_answered(&countries, (uint32_t)(now / SECOND));
}

static void say_address(const char *address)
{
    char line[128];
    snprintf(line, sizeof(line), "r nick AAAAAAAAAAAAAAAAAAAAAAAAAAA BBBB 2026-01-01 00:00:00 %s 9001 0", address);
    countries_line(&countries, "", line);
    countries_line(&countries, "", "s Exit Fast Guard Running Stable V2Dir Valid");
    answer(NULL, NULL);
}

static void there_is_a_list(void)
{
    assert_true(next());
    assert_string_equal(question, "GETINFO ip-to-country/ipv4-available");
    assert_false(next()); /* until that is known */
    answer("ip-to-country/ipv4-available", "1");
}

/* Both questions about a relay. */
static void learn(const char *address, const char *code)
{
    char key[64];
    assert_true(next());
    say_address(address);
    assert_true(next());
    snprintf(key, sizeof(key), "ip-to-country/%s", address);
    answer(key, code);
}

static void nothing_is_asked_before_somebody_wants_to_know(void **state)
{
    (void)state;
    assert_false(countries_busy(&countries));
    assert_false(next());
    assert_null(countries_of(&countries, relay(1)));
}

static void a_relay_is_asked_about_once_and_then_known(void **state)
{
    (void)state;
    assert_true(want(0x0100));
    there_is_a_list();
    assert_true(next());
    assert_string_equal(question, "GETINFO ns/id/00010000ABABABABABABABABABABABABABABABAB");
    say_address("198.18.18.1");
    assert_null(countries_of(&countries, relay(0x0100)));
    assert_true(countries_busy(&countries));
    assert_true(next());
    assert_string_equal(question, "GETINFO ip-to-country/198.18.18.1");
    answer("ip-to-country/198.18.18.1", "de");
    assert_string_equal(countries_of(&countries, relay(0x0100)), "de");
    assert_false(countries_busy(&countries));
    now += 3600 * SECOND;
    assert_true(want(0x0100));
    assert_false(countries_busy(&countries));
}

/* What Tor says of it comes in lines, and meanwhile others are wanted that could have its place. */
static void a_place_is_nobody_elses_until_the_answer_has_ended(void **state)
{
    (void)state;
    assert_true(want(0x10100));
    there_is_a_list();
    assert_true(next());
    say_address("192.0.2.1");
    assert_true(next());
    countries_line(&countries, "ip-to-country/192.0.2.1", "de");
    for (uint32_t i = 2; i < 5; i++)
        assert_true(want(i << 16 | 0x0100));
    assert_false(want(0x50100));
    answer(NULL, NULL);
    assert_string_equal(countries_of(&countries, relay(0x10100)), "de");
    assert_true(want(0x50100)); /* it is the only one that is not about to be told of */
    assert_null(countries_of(&countries, relay(0x10100)));
}

static void without_a_list_nothing_more_is_asked(void **state)
{
    (void)state;
    assert_true(want(1));
    assert_true(want(2));
    assert_true(next());
    answer("ip-to-country/ipv4-available", "0");
    assert_false(countries_busy(&countries));
    assert_true(want(3));
    assert_false(countries_busy(&countries));
    assert_false(next());
}

static void a_tor_that_knows_no_such_question_has_no_list(void **state)
{
    (void)state;
    assert_true(want(1));
    assert_true(next());
    answer(NULL, NULL);
    assert_false(countries_busy(&countries));
}

static void what_is_not_known_is_asked_again_after_a_while(void **state)
{
    (void)state;
    want(1);
    there_is_a_list();
    assert_true(next());
    answer(NULL, NULL); /* 552: in no consensus */
    want(2);
    learn("192.0.2.1", "??");
    assert_null(countries_of(&countries, relay(1)));
    assert_null(countries_of(&countries, relay(2)));
    want(1);
    want(2);
    assert_false(countries_busy(&countries));
    now += 600 * SECOND;
    want(2);
    learn("192.0.2.1", "nl");
    assert_string_equal(countries_of(&countries, relay(2)), "nl");
    /* A day later it may have moved, and is shown where it was until that is told. */
    now += 86400 * SECOND;
    want(2);
    assert_string_equal(countries_of(&countries, relay(2)), "nl");
    learn("192.0.2.1", "??");
    assert_null(countries_of(&countries, relay(2)));
}

static void answers_go_to_the_questions_in_their_order(void **state)
{
    (void)state;
    want(1);
    there_is_a_list();
    want(2);
    assert_true(next());
    assert_true(next());
    say_address("192.0.2.1");
    countries_line(&countries, "uptime", "7"); /* of a heartbeat between them */
    say_address("192.0.2.2");
    assert_true(next());
    assert_string_equal(question, "GETINFO ip-to-country/192.0.2.1");
    assert_true(next());
    answer("ip-to-country/192.0.2.1", "se");
    answer("ip-to-country/192.0.2.2", "ch");
    assert_string_equal(countries_of(&countries, relay(1)), "se");
    assert_string_equal(countries_of(&countries, relay(2)), "ch");
}

static void nothing_but_an_address_is_sent_back_to_tor_and_nothing_but_a_code_is_shown(void **state)
{
    static const char *const bad_address[] = {"",    "x",         "1.2.3",       "1.2.3.4\r\nQUIT",
                                              "::1", "1.2.3.400", "0x1.2.3.4.5", "1.2.3.4444444444444444"};
    static const char *const bad_code[] = {"", "d", "deu", "DE", "d\x1b", "d\"", "??", "1a"};
    (void)state;
    want(1);
    there_is_a_list();
    for (uint32_t i = 0; i < sizeof(bad_address) / sizeof(bad_address[0]); i++) {
        want(1 + 0x100 * i);
        assert_true(next());
        say_address(bad_address[i]);
        assert_false(next());
        assert_false(countries_busy(&countries));
    }
    for (uint32_t i = 0; i < sizeof(bad_code) / sizeof(bad_code[0]); i++) {
        want(2 + 0x100 * i);
        learn("192.0.2.1", bad_code[i]);
        assert_null(countries_of(&countries, relay(2 + 0x100 * i)));
    }
    /* Lines that are too short, and answers to nothing. */
    want(3);
    assert_true(next());
    countries_line(&countries, "", "r nick");
    countries_line(&countries, "", "r");
    answer("ip-to-country/x", "de");
    assert_null(countries_of(&countries, relay(3)));
    countries_line(&countries, "ip-to-country/x", "de");
    answer(NULL, NULL);
    assert_false(countries_busy(&countries));
}

static void no_more_than_so_many_are_under_way_waiting_or_a_second(void **state)
{
    (void)state;
    unsigned wanted = 0, asked = 0;
    want(0);
    there_is_a_list();
    for (uint32_t i = 0; i < 2 * COUNTRIES_WANTED_MAX; i++)
        wanted += want(16 * i);
    assert_int_equal(wanted, COUNTRIES_WANTED_MAX);
    for (unsigned i = 0; i < COUNTRIES_ASKED_MAX; i++)
        assert_true(next());
    assert_false(next());
    /* Half answered ones go first, and keep their places. */
    for (unsigned i = 0; i < COUNTRIES_ASKED_MAX; i++)
        say_address("192.0.2.1");
    for (unsigned i = 0; i < COUNTRIES_ASKED_MAX; i++) {
        assert_true(next());
        assert_string_equal(question, "GETINFO ip-to-country/192.0.2.1");
    }
    assert_false(next());
    for (unsigned i = 0; i < COUNTRIES_ASKED_MAX; i++)
        answer("ip-to-country/192.0.2.1", "is");
    for (asked = COUNTRIES_ASKED_MAX; next(); asked++)
        answer(NULL, NULL);
    assert_int_equal(asked, COUNTRIES_PER_SECOND);
    now += SECOND;
    for (; next(); asked++)
        answer(NULL, NULL);
    assert_int_equal(asked, 2 * COUNTRIES_PER_SECOND);
}

static void a_set_that_is_full_makes_room_but_for_what_is_about_to_be_told(void **state)
{
    (void)state;
    const uint32_t other = COUNTRIES_MAX; /* numbers that differ by that share a set */
    want(4);
    there_is_a_list();
    learn("192.0.2.1", "fr");
    for (uint32_t i = 1; i < 4; i++) {
        want(4 + i * other);
        learn("192.0.2.1", "at");
    }
    want(4 + 4 * other);
    learn("192.0.2.1", "be");
    unsigned known = 0;
    for (uint32_t i = 0; i <= 4; i++)
        known += countries_of(&countries, relay(4 + i * other)) != NULL;
    assert_int_equal(known, 4);
    assert_string_equal(countries_of(&countries, relay(4 + 4 * other)), "be");
    for (uint32_t i = 5; i < 9; i++)
        assert_true(want(4 + i * other));
    assert_false(want(4 + 9 * other));
    for (unsigned i = 0; i < 4; i++)
        learn("192.0.2.1", "es");
    assert_true(want(4 + 9 * other));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_asked_before_somebody_wants_to_know),
        TEST(a_relay_is_asked_about_once_and_then_known),
        TEST(a_place_is_nobody_elses_until_the_answer_has_ended),
        TEST(without_a_list_nothing_more_is_asked),
        TEST(a_tor_that_knows_no_such_question_has_no_list),
        TEST(what_is_not_known_is_asked_again_after_a_while),
        TEST(answers_go_to_the_questions_in_their_order),
        TEST(nothing_but_an_address_is_sent_back_to_tor_and_nothing_but_a_code_is_shown),
        TEST(no_more_than_so_many_are_under_way_waiting_or_a_second),
        TEST(a_set_that_is_full_makes_room_but_for_what_is_about_to_be_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
