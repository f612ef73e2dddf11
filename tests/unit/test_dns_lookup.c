/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dns/lookup.h"

#define SECOND UINT64_C(1000000)

#define HOST_ASKING 12u /* three quarters, of one that is alone */
#define HOST_WAITERS 15u

static const struct dns_lookups_config small = {
    .lookups = 64, .asking = 16, .waiters = 20, .max_hosts = 3, .patience = 8 * SECOND};

static struct dns_lookups *lookups;
static void *memory;
static uint64_t now;
static const struct dns_lookup_result found = {.rcode = DNS_NOERROR};

static int setup(void **state)
{
    (void)state;
    size_t n = (dns_lookups_size(&small) + 63) / 64 * 64;
    assert_true(n > 0);
    memory = aligned_alloc(64, n);
    assert_non_null(memory);
    memset(memory, 0, n);
    lookups = dns_lookups_init(memory, &small);
    now = 1000 * SECOND;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(memory);
    return 0;
}

static struct dns_lookup_key key_of(uint32_t host, const char *name)
{
    struct dns_lookup_key key = {.identity = 100 + host, .host = host, .kind = DNS_LOOKUP_HOST};
    assert_int_equal(dns_name_from_text(name, strlen(name), &key.name), 0);
    return key;
}

static uint32_t find(uint32_t host, const char *name)
{
    struct dns_lookup_key key = key_of(host, name);
    return dns_lookup_find(lookups, &key, now);
}

static uint32_t begin(uint32_t host, const char *name)
{
    struct dns_lookup_key key = key_of(host, name);
    return dns_lookup_begin(lookups, &key);
}

static int wait_for(uint32_t handle, uint16_t id, uint16_t port, enum dns_transport transport)
{
    struct dns_query query = {.id = id, .type = 1};
    struct dns_client client = {.transport = transport, .port = port};
    return dns_lookup_wait(lookups, handle, &query, &client, now);
}

/* The id of the query that is taken; -1 if there is none. */
static int take(uint32_t handle)
{
    struct dns_waiter waiter;
    return dns_lookup_take(lookups, handle, &waiter) ? waiter.query.id : -1;
}

static void a_lookup_is_found_while_it_is_under_way_and_while_it_is_remembered(void **state)
{
    (void)state;
    uint32_t ttl;
    assert_int_equal(find(0, "a.example"), 0);
    uint32_t h = begin(0, "a.example");
    assert_true(h > 0);
    assert_int_equal(find(0, "a.example"), h);
    assert_null(dns_lookup_result(lookups, h, now, &ttl));
    dns_lookup_found(lookups, h, &found, 60, now);
    now += 59 * SECOND;
    assert_int_equal(find(0, "a.example"), h);
    assert_non_null(dns_lookup_result(lookups, h, now, &ttl));
    assert_int_equal(ttl, 1);
    now += SECOND;
    assert_int_equal(find(0, "a.example"), 0);
    assert_int_equal(dns_lookups_count(lookups).lookups, 0);
}

static void every_part_of_a_key_tells_lookups_apart(void **state)
{
    (void)state;
    struct dns_lookup_key key = key_of(0, "a.example"), other;
    assert_true(dns_lookup_begin(lookups, &key) > 0);
    other = key;
    other.identity++;
    assert_int_equal(dns_lookup_find(lookups, &other, now), 0);
    other = key;
    other.nym++;
    assert_int_equal(dns_lookup_find(lookups, &other, now), 0);
    other = key;
    other.policy++;
    assert_int_equal(dns_lookup_find(lookups, &other, now), 0);
    other = key;
    other.host = 1;
    assert_int_equal(dns_lookup_find(lookups, &other, now), 0);
    other = key;
    other.kind = DNS_LOOKUP_RECORDS;
    assert_int_equal(dns_lookup_find(lookups, &other, now), 0);
    other = key;
    other.type = 15;
    assert_int_equal(dns_lookup_find(lookups, &other, now), 0);
    other = key;
    other.flags = DNS_LOOKUP_DO;
    assert_int_equal(dns_lookup_find(lookups, &other, now), 0);
    assert_int_equal(find(0, "b.example"), 0);
    assert_int_equal(find(0, "example"), 0);
    assert_true(find(0, "a.example") > 0);
}

static void queries_are_taken_in_the_order_they_came(void **state)
{
    (void)state;
    uint32_t h = begin(0, "a.example");
    for (uint16_t i = 0; i < 5; i++)
        assert_int_equal(wait_for(h, i, 5000, DNS_TCP), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(take(h), i);
    assert_int_equal(take(h), -1);
    assert_int_equal(dns_lookups_count(lookups).waiting, 0);
}

static void a_repetition_over_udp_waits_once_and_over_tcp_twice(void **state)
{
    (void)state;
    uint32_t h = begin(0, "a.example");
    assert_int_equal(wait_for(h, 7, 5000, DNS_UDP), 0);
    assert_int_equal(wait_for(h, 7, 5000, DNS_UDP), -EALREADY);
    assert_int_equal(wait_for(h, 8, 5000, DNS_UDP), 0);
    assert_int_equal(wait_for(h, 7, 5001, DNS_UDP), 0);
    assert_int_equal(wait_for(h, 7, 5000, DNS_TCP), 0);
    assert_int_equal(wait_for(h, 7, 5000, DNS_TCP), 0);
    assert_int_equal(dns_lookups_count(lookups).waiting, 5);
}

static void who_waits_too_long_is_overdue_and_the_lookup_goes_on(void **state)
{
    (void)state;
    uint64_t at;
    uint32_t a = begin(0, "a.example"), b = begin(0, "b.example");
    assert_false(dns_lookups_next(lookups, &at));
    assert_int_equal(wait_for(b, 1, 5000, DNS_UDP), 0);
    now += SECOND;
    assert_int_equal(wait_for(a, 2, 5000, DNS_UDP), 0);
    assert_int_equal(wait_for(b, 3, 5000, DNS_UDP), 0); /* joins, and shares the time-out */
    assert_true(dns_lookups_next(lookups, &at));
    assert_int_equal(at, now + 7 * SECOND);
    assert_int_equal(dns_lookups_overdue(lookups, at - 1), 0);
    assert_int_equal(dns_lookups_overdue(lookups, at), b);
    assert_int_equal(take(b), 1);
    assert_int_equal(dns_lookups_overdue(lookups, at), b);
    assert_int_equal(take(b), 3);
    assert_int_equal(dns_lookups_overdue(lookups, at), 0);
    assert_int_equal(find(0, "b.example"), b);
    now = at;
    assert_int_equal(wait_for(b, 4, 5000, DNS_UDP), 0);
    assert_int_equal(dns_lookups_overdue(lookups, now + SECOND), a);
    take(a);
    assert_int_equal(dns_lookups_overdue(lookups, now + 8 * SECOND), b);
    take(b);
    dns_lookup_found(lookups, b, &found, 10, now);
    assert_int_equal(find(0, "b.example"), b);
}

static void one_workstation_leaves_room_for_others(void **state)
{
    (void)state;
    char name[32];
    uint32_t h = 0;
    for (unsigned i = 0; i < HOST_ASKING; i++) {
        snprintf(name, sizeof(name), "n%u.example", i);
        h = begin(0, name);
        assert_true(h > 0);
    }
    assert_int_equal(begin(0, "more.example"), 0);
    for (uint16_t i = 0; i < HOST_WAITERS; i++)
        assert_int_equal(wait_for(h, i, 5000, DNS_UDP), 0);
    assert_int_equal(wait_for(h, 99, 5000, DNS_UDP), -ENOBUFS);
    uint32_t other = begin(1, "more.example");
    assert_true(other > 0);
    assert_int_equal(wait_for(other, 1, 5000, DNS_UDP), 0);
}

/* A query is compared with all that wait for the same: there must be an end to them. */
static void so_many_wait_for_one_lookup_and_no_more(void **state)
{
    (void)state;
    struct dns_lookups_config large = small;
    large.waiters = 1000;
    size_t n = (dns_lookups_size(&large) + 63) / 64 * 64;
    free(memory);
    memory = aligned_alloc(64, n);
    assert_non_null(memory);
    memset(memory, 0, n);
    lookups = dns_lookups_init(memory, &large);
    uint32_t a = begin(0, "a.example"), b = begin(0, "b.example");
    for (uint16_t i = 0; i < 256; i++)
        assert_int_equal(wait_for(a, i, 5000, DNS_UDP), 0);
    assert_int_equal(wait_for(a, 256, 5000, DNS_UDP), -ENOBUFS);
    assert_int_equal(wait_for(a, 255, 5000, DNS_UDP), -EALREADY);
    assert_int_equal(wait_for(b, 256, 5000, DNS_UDP), 0);
}

/* A flood need not come from one workstation only. */
static void several_workstations_leave_room_for_one_more(void **state)
{
    (void)state;
    char name[32];
    for (uint32_t host = 0; host < 2; host++) {
        for (unsigned i = 0; i < small.asking; i++) {
            snprintf(name, sizeof(name), "n%u.example", i);
            uint32_t h = begin(host, name);
            for (uint16_t id = 0; h != 0 && id < small.waiters; id++)
                wait_for(h, id, 5000, DNS_UDP);
        }
    }
    uint32_t h = begin(2, "more.example");
    assert_true(h > 0);
    assert_int_equal(wait_for(h, 1, 5000, DNS_UDP), 0);
}

static void what_was_used_longest_ago_makes_room(void **state)
{
    (void)state;
    char name[32];
    for (unsigned host = 0; host < 2; host++) {
        for (unsigned i = 0; i < small.lookups / 2; i++) {
            snprintf(name, sizeof(name), "n%u.example", i);
            uint32_t h = begin(host, name);
            assert_true(h > 0);
            dns_lookup_found(lookups, h, &found, 600, now);
        }
    }
    assert_true(find(0, "n0.example") > 0); /* used now */
    assert_true(begin(2, "new.example") > 0);
    assert_true(find(0, "n0.example") > 0);
    assert_int_equal(find(0, "n1.example"), 0);
    assert_int_equal(dns_lookups_count(lookups).lookups, small.lookups);
}

static void a_flood_of_names_throws_out_its_own(void **state)
{
    (void)state;
    char name[32];
    uint32_t h = begin(1, "kept.example");
    dns_lookup_found(lookups, h, &found, 600, now);
    for (unsigned i = 0; i < 10 * small.lookups; i++) {
        snprintf(name, sizeof(name), "n%u.example", i);
        h = begin(0, name);
        assert_true(h > 0);
        dns_lookup_found(lookups, h, &found, 600, now);
    }
    assert_true(find(1, "kept.example") > 0);
    assert_int_equal(dns_lookups_count(lookups).lookups, small.lookups - small.lookups / 4 + 1);
}

static void the_lookups_of_a_workstation_can_be_found_one_by_one(void **state)
{
    (void)state;
    uint32_t a = begin(0, "a.example"), b = begin(1, "a.example"), c = begin(0, "c.example");
    dns_lookup_found(lookups, a, &found, 60, now);
    uint32_t first = dns_lookups_of_host(lookups, 0);
    assert_true(first == a || first == c);
    dns_lookup_end(lookups, first);
    uint32_t second = dns_lookups_of_host(lookups, 0);
    assert_int_equal(first + second, a + c);
    dns_lookup_end(lookups, second);
    assert_int_equal(dns_lookups_of_host(lookups, 0), 0);
    assert_int_equal(dns_lookups_of_host(lookups, 1), b);
}

static void a_configuration_out_of_range_has_no_size(void **state)
{
    (void)state;
    struct dns_lookups_config config = small;
    config.lookups = 63;
    assert_int_equal(dns_lookups_size(&config), 0);
    config = small;
    config.asking = 65;
    assert_int_equal(dns_lookups_size(&config), 0);
    config = small;
    config.waiters = 0;
    assert_int_equal(dns_lookups_size(&config), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lookup_is_found_while_it_is_under_way_and_while_it_is_remembered),
        TEST(every_part_of_a_key_tells_lookups_apart),
        TEST(queries_are_taken_in_the_order_they_came),
        TEST(a_repetition_over_udp_waits_once_and_over_tcp_twice),
        TEST(who_waits_too_long_is_overdue_and_the_lookup_goes_on),
        TEST(one_workstation_leaves_room_for_others),
        TEST(so_many_wait_for_one_lookup_and_no_more),
        TEST(several_workstations_leave_room_for_one_more),
        TEST(what_was_used_longest_ago_makes_room),
        TEST(a_flood_of_names_throws_out_its_own),
        TEST(the_lookups_of_a_workstation_can_be_found_one_by_one),
        TEST(a_configuration_out_of_range_has_no_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
