/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "socks/lasting.h"

#define LIFETIME 600u
#define FLOODER 1u
#define OTHER 2u

static struct socks_lasting lasting;

static int setup(void **state)
{
    (void)state;
    memset(&lasting, 0, sizeof(lasting));
    return 0;
}

/* Which epoch a stream of this identity gets, if a new identity had `epoch`. */
static uint64_t use(uint64_t identity, uint32_t station, uint64_t epoch, uint64_t now)
{
    struct socks_lasting_identity *place = socks_lasting_use(&lasting, identity, station, epoch, now, LIFETIME);
    assert_non_null(place);
    place->key = identity * 1000 + place->epoch;
    return place->epoch;
}

static void what_is_used_stays_the_same(void **state)
{
    (void)state;
    assert_int_equal(use(7, 0, 1, 1000), 1);
    for (uint64_t now = 1000; now < 10000; now += LIFETIME - 1)
        assert_int_equal(use(7, 0, 1 + now / LIFETIME, now), 1);
}

static void what_was_not_used_for_a_lifetime_is_a_new_one(void **state)
{
    (void)state;
    assert_int_equal(use(7, 0, 1, 1000), 1);
    assert_int_equal(use(7, 0, 2, 1000 + LIFETIME), 2);
    assert_int_equal(use(7, 0, 3, 1000 + 2 * LIFETIME - 1), 2);
}

static void the_end_of_a_stream_is_a_use(void **state)
{
    (void)state;
    assert_int_equal(use(7, 0, 1, 1000), 1);
    assert_int_equal(use(8, 0, 1, 1000), 1);
    socks_lasting_end(&lasting, 7001, 3000);
    assert_int_equal(use(7, 0, 5, 3000 + LIFETIME - 1), 1);
    assert_int_equal(use(8, 0, 5, 3000), 5);
    socks_lasting_end(&lasting, 7001, 10); /* the clock of an event is behind: nothing is taken back */
    assert_int_equal(use(7, 0, 6, 3000 + 2 * LIFETIME - 2), 1);
    socks_lasting_end(&lasting, 0, 99999); /* no key, no place */
    assert_int_equal(lasting.place[SOCKS_LASTING_MAX - 1].used, 0);
}

static void without_a_lifetime_the_epoch_is_what_it_is(void **state)
{
    (void)state;
    for (uint64_t now = 1; now < 1000; now += 100)
        assert_int_equal(socks_lasting_use(&lasting, 7, 0, 0, now, 0)->epoch, 0);
}

static void identities_know_nothing_of_one_another(void **state)
{
    (void)state;
    assert_int_equal(use(7, 0, 1, 1000), 1);
    assert_int_equal(use(8, 0, 2, 1000), 2);
    assert_int_equal(use(7, 1, 3, 1000), 3);
    assert_int_equal(use(7, 0, 4, 1000), 1);
}

static void the_oldest_gives_way(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= SOCKS_LASTING_MAX; i++)
        use(i, (uint32_t)(i % 4), 1, 1000 + i % 500);
    assert_int_equal(use(500, 0, 2, 1600), 2); /* it was used at 1000, and is a new one anyway */
    assert_int_equal(use(9999, 5, 2, 1500), 2);
    assert_int_equal(use(1000, 0, 3, 1500), 3); /* used at 1000 as well, and gone */
    assert_int_equal(use(999, 3, 3, 1500), 1);
}

static void who_makes_many_loses_his_own(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 100; i++)
        assert_int_equal(use(i, OTHER, 1, 1000), 1);
    for (uint64_t i = 1; i <= 10 * SOCKS_LASTING_MAX; i++)
        assert_int_equal(use(1000 + i, FLOODER, 1, 1100), 1);
    for (uint64_t i = 1; i <= 100; i++)
        assert_int_equal(use(i, OTHER, 2, 1200), 1);
}

static void nor_do_many_together_push_out_those_of_another(void **state)
{
    (void)state;
    const uint32_t many = 40;
    for (uint64_t i = 1; i <= 20; i++)
        assert_int_equal(use(i, OTHER, 1, 1000), 1);
    for (uint64_t i = 1; i <= 4 * SOCKS_LASTING_MAX; i++)
        assert_int_equal(use(1000 + i, 10 + (uint32_t)(i % many), 1, 1100), 1);
    for (uint64_t i = 1; i <= 20; i++)
        assert_int_equal(use(i, OTHER, 2, 1200), 1);
    /* Who comes last gets as many as they have. */
    for (uint64_t i = 1; i <= 20; i++)
        assert_int_equal(use(100000 + i, 1, 3, 1200), 3);
    for (uint64_t i = 1; i <= 20; i++)
        assert_int_equal(use(100000 + i, 1, 4, 1300), 3);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_used_stays_the_same),
        TEST(what_was_not_used_for_a_lifetime_is_a_new_one),
        TEST(the_end_of_a_stream_is_a_use),
        TEST(without_a_lifetime_the_epoch_is_what_it_is),
        TEST(identities_know_nothing_of_one_another),
        TEST(the_oldest_gives_way),
        TEST(who_makes_many_loses_his_own),
        TEST(nor_do_many_together_push_out_those_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
