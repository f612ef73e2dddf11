/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of workstations: binding, spoofing, idle takeover, bounds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "random.h"
#include "tun/hosts.h"

#define IDLE 1000u
#define MAX_HOSTS 64u
#define MAX_PER_MAC 4u

struct scene {
    struct hosts hosts;
    bool busy[MAX_HOSTS];
    unsigned gone_count;
    uint32_t gone_host;
    uint64_t gone_serial; /* of the binding as it still stood */
    unsigned station_gone_count;
    uint32_t gone_station;
    uint32_t bound_station[MAX_HOSTS];
};

static bool is_busy(void *ctx, uint32_t host)
{
    return ((struct scene *)ctx)->busy[host];
}

static void is_gone(void *ctx, uint32_t host)
{
    struct scene *scene = ctx;
    scene->gone_count++;
    scene->gone_host = host;
    assert_non_null(hosts_at(&scene->hosts, host));
    scene->gone_serial = hosts_at(&scene->hosts, host)->serial;
    scene->busy[host] = false;
}

static void is_bound(void *ctx, uint32_t host, uint32_t station)
{
    struct scene *scene = ctx;
    assert_int_equal(hosts_at(&scene->hosts, host)->station, station);
    scene->bound_station[host] = station;
}

static void station_is_gone(void *ctx, uint32_t station)
{
    struct scene *scene = ctx;
    scene->station_gone_count++;
    scene->gone_station = station;
}

static const struct hosts_ops ops = {
    .busy = is_busy, .bound = is_bound, .gone = is_gone, .station_gone = station_is_gone};

static int start_with(void **state, bool listed)
{
    static struct scene scene;
    const struct hosts_config config = {
        .max_hosts = MAX_HOSTS, .max_per_mac = MAX_PER_MAC, .idle = IDLE, .listed = listed, .secret = {9}};
    memset(&scene, 0, sizeof(scene));
    assert_int_equal(hosts_init(&scene.hosts, &config, &ops, &scene), 0);
    *state = &scene;
    return 0;
}

static int start(void **state)
{
    return start_with(state, false);
}

static int start_listed(void **state)
{
    return start_with(state, true);
}

static int stop(void **state)
{
    hosts_fini(&((struct scene *)*state)->hosts);
    return 0;
}

static struct ipaddr addr_of(unsigned n)
{
    const uint8_t b[4] = {10, 1, (uint8_t)(n >> 8), (uint8_t)n};
    return ipaddr_v4(b);
}

/* Address `addr` speaks from MAC `mac`. */
static enum drop speak(struct scene *scene, unsigned addr, unsigned mac, uint64_t now, uint32_t *number)
{
    struct ipaddr a = addr_of(addr);
    const uint8_t m[6] = {2, 0, 0, 0, (uint8_t)(mac >> 8), (uint8_t)mac};
    return hosts_bind(&scene->hosts, &a, m, now, number);
}

static void a_workstation_keeps_its_number(void **state)
{
    struct scene *scene = *state;
    uint32_t first, second, again;
    assert_int_equal(speak(scene, 1, 1, 0, &first), DROP_NONE);
    assert_int_equal(speak(scene, 2, 2, 0, &second), DROP_NONE);
    assert_int_not_equal(first, second);
    assert_true(first < MAX_HOSTS && second < MAX_HOSTS);
    assert_int_equal(speak(scene, 1, 1, 1000 * IDLE, &again), DROP_NONE);
    assert_int_equal(again, first);
    assert_int_equal(scene->gone_count, 0);
}

static void a_binding_can_be_looked_at(void **state)
{
    struct scene *scene = *state;
    uint32_t number;
    struct ipaddr one = addr_of(1), two = addr_of(2);
    assert_null(hosts_at(&scene->hosts, 0));
    speak(scene, 1, 7, 5, &number);
    const struct host *host = hosts_at(&scene->hosts, number);
    assert_non_null(host);
    assert_true(ipaddr_equal(&host->addr, &one));
    assert_int_equal(host->mac[5], 7);
    assert_int_equal(host->seen, 5);
    assert_true(hosts_is_bound(&scene->hosts, &one, host->mac));
    assert_false(hosts_is_bound(&scene->hosts, &two, host->mac));
    assert_false(hosts_is_bound(&scene->hosts, &one, (const uint8_t *)"\2\0\0\0\0\10"));
    assert_null(hosts_at(&scene->hosts, MAX_HOSTS));
    assert_null(hosts_at(&scene->hosts, UINT32_MAX));
}

static void an_address_belongs_to_who_used_it_first(void **state)
{
    struct scene *scene = *state;
    uint32_t number, other;
    speak(scene, 1, 1, 0, &number);
    assert_int_equal(speak(scene, 1, 2, IDLE - 1, &other), DROP_IP_SOURCE);
    assert_int_equal(hosts_at(&scene->hosts, number)->seen, 0); /* a spoofed frame keeps nobody alive */
    assert_int_equal(scene->gone_count, 0);
}

static void speaking_keeps_an_address(void **state)
{
    struct scene *scene = *state;
    uint32_t number;
    for (uint64_t now = 0; now < 10 * IDLE; now += IDLE / 2) {
        assert_int_equal(speak(scene, 1, 1, now, &number), DROP_NONE);
        assert_int_equal(speak(scene, 1, 2, now + IDLE / 2 - 1, &number), DROP_IP_SOURCE);
    }
}

static void an_idle_address_may_change_its_owner(void **state)
{
    struct scene *scene = *state;
    uint32_t number, other;
    speak(scene, 1, 1, 0, &number);
    uint64_t serial = hosts_at(&scene->hosts, number)->serial;
    scene->busy[number] = true; /* flows of one who left do not keep it */
    assert_int_equal(speak(scene, 1, 2, IDLE, &other), DROP_NONE);
    assert_int_equal(scene->gone_count, 1);
    assert_int_equal(scene->gone_host, number);
    assert_int_equal(scene->gone_serial, serial);
    assert_true(hosts_at(&scene->hosts, other)->serial > serial);
    assert_int_equal(hosts_at(&scene->hosts, other)->mac[5], 2);
    assert_int_equal(speak(scene, 1, 1, IDLE, &number), DROP_IP_SOURCE);
    assert_int_equal(scene->hosts.used, 1);
}

static void time_that_runs_backwards_makes_nobody_idle(void **state)
{
    struct scene *scene = *state;
    uint32_t number;
    speak(scene, 1, 1, 5000, &number);
    assert_int_equal(speak(scene, 1, 2, 0, &number), DROP_IP_SOURCE);
}

static uint32_t station_of(struct scene *scene, uint32_t host)
{
    assert_non_null(hosts_at(&scene->hosts, host));
    return hosts_at(&scene->hosts, host)->station;
}

static void the_addresses_of_one_mac_are_one_station(void **state)
{
    struct scene *scene = *state;
    uint32_t first, second, other;
    assert_int_equal(speak(scene, 1, 1, 0, &first), DROP_NONE);
    assert_int_equal(speak(scene, 2, 1, 0, &second), DROP_NONE);
    assert_int_equal(speak(scene, 3, 2, 0, &other), DROP_NONE);
    assert_int_not_equal(first, second);
    assert_int_equal(station_of(scene, first), station_of(scene, second));
    assert_int_not_equal(station_of(scene, first), station_of(scene, other));
}

static void a_station_is_gone_with_its_last_address(void **state)
{
    struct scene *scene = *state;
    uint32_t number, taker;
    assert_int_equal(speak(scene, 1, 1, 0, &number), DROP_NONE);
    uint32_t station = station_of(scene, number);
    assert_int_equal(speak(scene, 2, 1, IDLE / 2, &number), DROP_NONE);

    assert_int_equal(speak(scene, 1, 2, IDLE, &taker), DROP_NONE);
    assert_int_equal(scene->station_gone_count, 0);
    assert_int_not_equal(station_of(scene, taker), station);
    assert_int_equal(speak(scene, 2, 2, 2 * IDLE, &taker), DROP_NONE);
    assert_int_equal(scene->station_gone_count, 1);
    assert_int_equal(scene->gone_station, station);

    /* The number may be another's now. */
    assert_int_equal(speak(scene, 4, 4, 2 * IDLE, &number), DROP_NONE);
    assert_int_equal(station_of(scene, number), station);
    assert_int_equal(scene->station_gone_count, 1);
}

static void as_many_stations_come_and_go_as_like(void **state)
{
    struct scene *scene = *state;
    uint32_t number;
    for (unsigned i = 0; i < 10 * MAX_HOSTS; i++) {
        assert_int_equal(speak(scene, i, i, i * (uint64_t)IDLE, &number), DROP_NONE);
        assert_true(station_of(scene, number) < MAX_HOSTS);
    }
    assert_int_equal(scene->station_gone_count, 9 * MAX_HOSTS);
}

static void one_mac_holds_only_so_many_addresses(void **state)
{
    struct scene *scene = *state;
    uint32_t number;
    for (unsigned addr = 1; addr <= MAX_PER_MAC; addr++)
        assert_int_equal(speak(scene, addr, 1, addr, &number), DROP_NONE);
    assert_int_equal(speak(scene, 100, 1, MAX_PER_MAC, &number), DROP_HOST_TABLE);
    assert_int_equal(speak(scene, 100, 2, MAX_PER_MAC, &number), DROP_NONE);
    assert_int_equal(speak(scene, 1, 1, MAX_PER_MAC, &number), DROP_NONE);
    assert_int_equal(scene->hosts.used, MAX_PER_MAC + 1);
}

static void a_mac_that_changes_addresses_gives_up_its_oldest(void **state)
{
    struct scene *scene = *state;
    uint32_t number[MAX_PER_MAC], next;
    struct ipaddr third = addr_of(3);
    for (unsigned i = 0; i < MAX_PER_MAC; i++)
        speak(scene, i + 1, 1, i == 2 ? 0 : 10 + i, &number[i]);
    assert_int_equal(speak(scene, 50, 1, 5 * IDLE, &next), DROP_NONE);
    assert_int_equal(scene->gone_host, number[2]);
    assert_false(hosts_is_bound(&scene->hosts, &third, (const uint8_t *)"\2\0\0\0\0\1"));
    for (uint32_t i = 0; i < MAX_HOSTS; i++)
        scene->busy[i] = true;
    assert_int_equal(speak(scene, 51, 1, 50 * IDLE, &next), DROP_HOST_TABLE);
}

static void a_full_table_turns_newcomers_away_until_somebody_is_idle(void **state)
{
    struct scene *scene = *state;
    uint32_t number, last = 0;
    for (unsigned i = 0; i < MAX_HOSTS; i++) {
        assert_int_equal(speak(scene, i, i, 0, &number), DROP_NONE);
        last = number;
    }
    assert_int_equal(speak(scene, 1000, 1000, IDLE - 1, &number), DROP_HOST_TABLE);
    for (unsigned i = 0; i < MAX_HOSTS; i++) {
        assert_int_equal(speak(scene, i, i, IDLE - 1, &number), DROP_NONE); /* who is in stays in */
        scene->busy[i] = i != last;
    }
    unsigned tries = 0;
    while (speak(scene, 1000, 1000, 2 * IDLE, &number) == DROP_HOST_TABLE)
        assert_true(++tries < MAX_HOSTS); /* the search goes on where it stopped, so it gets there */
    assert_int_equal(scene->gone_count, 1);
    assert_int_equal(scene->gone_host, last);
    assert_int_equal(scene->hosts.used, MAX_HOSTS);
}

static void a_takeover_counts_against_the_takers_bound(void **state)
{
    struct scene *scene = *state;
    uint32_t number;
    for (unsigned addr = 1; addr <= MAX_PER_MAC; addr++)
        speak(scene, addr, 1, 2 * IDLE, &number);
    speak(scene, 100, 2, IDLE, &number);
    assert_int_equal(speak(scene, 100, 1, 2 * IDLE, &number), DROP_HOST_TABLE);
    assert_int_equal(scene->gone_count, 0);
}

static void no_serial_ever_comes_twice(void **state)
{
    struct scene *scene = *state;
    uint32_t number;
    uint64_t last = 0;
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(speak(scene, 1, i, (uint64_t)i * IDLE, &number), DROP_NONE);
        uint64_t serial = hosts_at(&scene->hosts, number)->serial;
        assert_true(serial > last);
        last = serial;
    }
}

/* A plain model beside the table: for any history, both give the same owner for every address. */
static void a_random_history_agrees_with_a_plain_model(void **state)
{
    struct scene *scene = *state;
    struct random r = random_start();
    struct {
        bool bound;
        unsigned mac;
        uint64_t seen;
        uint64_t serial;
    } model[200] = {0};
    uint64_t now = 0;
    for (unsigned step = 0; step < 200000; step++) {
        unsigned addr = random_below(&r, 200), mac = random_below(&r, 40);
        uint32_t number;
        now += random_below(&r, 40);
        enum drop why = speak(scene, addr, mac, now, &number);
        unsigned used = 0;
        for (unsigned a = 0; a < 200; a++) { /* what was evicted to make room */
            struct ipaddr ip = addr_of(a);
            const uint8_t m[6] = {2, 0, 0, 0, 0, (uint8_t)model[a].mac};
            if (a != addr && model[a].bound && !hosts_is_bound(&scene->hosts, &ip, m)) {
                assert_true(now - model[a].seen >= IDLE);
                model[a].bound = false;
            }
            used += model[a].bound && a != addr;
        }
        if (why == DROP_IP_SOURCE) {
            assert_true(model[addr].bound && model[addr].mac != mac && now - model[addr].seen < IDLE);
        } else if (why == DROP_NONE) {
            bool same = model[addr].bound && model[addr].mac == mac;
            assert_true(same || !model[addr].bound || now - model[addr].seen >= IDLE);
            const struct host *host = hosts_at(&scene->hosts, number);
            assert_true(same == (host->serial == model[addr].serial));
            model[addr].bound = true;
            model[addr].mac = mac;
            model[addr].seen = now;
            model[addr].serial = host->serial;
        } else {
            assert_int_equal(why, DROP_HOST_TABLE);
            assert_true(!model[addr].bound || model[addr].mac != mac);
        }
        assert_int_equal(scene->hosts.used, used + model[addr].bound);
        assert_true(scene->hosts.used <= MAX_HOSTS);
    }
}

static void senseless_bounds_are_refused(void **state)
{
    (void)state;
    struct hosts hosts;
    struct hosts_config config = {.max_hosts = 0, .max_per_mac = 1};
    assert_int_equal(hosts_init(&hosts, &config, &ops, NULL), -EINVAL);
    config.max_hosts = 65536;
    assert_int_equal(hosts_init(&hosts, &config, &ops, NULL), -EINVAL);
    config.max_hosts = 65535;
    config.max_per_mac = 0;
    assert_int_equal(hosts_init(&hosts, &config, &ops, NULL), -EINVAL);
}

static const uint8_t listed_mac[6] = {2, 0, 0, 0, 0, 1};

static void list(struct scene *scene, unsigned addr)
{
    struct ipaddr a = addr_of(addr);
    assert_int_equal(hosts_hold(&scene->hosts, &a, listed_mac, 0, UINT64_MAX), DROP_NONE);
}

static void a_listed_address_is_never_anybody_elses(void **state)
{
    struct scene *scene = *state;
    struct ipaddr a = addr_of(1);
    uint32_t number;
    list(scene, 1);
    assert_int_equal(speak(scene, 1, 2, UINT64_MAX - 1, &number), DROP_IP_SOURCE);
    /* Nor does a lease that ends, or is given back, change that. */
    assert_int_equal(hosts_hold(&scene->hosts, &a, listed_mac, 10, 20), DROP_NONE);
    assert_int_equal(speak(scene, 1, 2, 10 * IDLE, &number), DROP_IP_SOURCE);
    hosts_release(&scene->hosts, &a, listed_mac);
    assert_int_equal(speak(scene, 1, 2, 10 * IDLE, &number), DROP_IP_SOURCE);
    assert_int_equal(speak(scene, 1, 1, 10 * IDLE, &number), DROP_NONE);
    assert_int_equal(speak(scene, 2, 2, 10 * IDLE, &number), DROP_NONE); /* others are as ever */
}

static void where_there_is_a_list_nobody_else_is_served(void **state)
{
    struct scene *scene = *state;
    static const uint8_t other_mac[6] = {2, 0, 0, 0, 0, 2};
    const struct ipaddr link_local = {{0xfe, 0x80, [15] = 7}};
    struct ipaddr free_addr = addr_of(2);
    uint32_t number;
    list(scene, 1);
    assert_int_equal(speak(scene, 1, 1, 1, &number), DROP_NONE);
    assert_int_equal(speak(scene, 2, 1, 1, &number),
                     DROP_IP_UNLISTED); /* the right one, with an address too many */
    assert_int_equal(speak(scene, 2, 2, 1, &number), DROP_IP_UNLISTED);
    assert_false(hosts_is_free(&scene->hosts, &free_addr, other_mac, 1)); /* so it is not leased either */
    assert_int_equal(hosts_hold(&scene->hosts, &free_addr, other_mac, 1, 1000), DROP_IP_UNLISTED);

    /* The link's own addresses: for neighbour discovery, of who is listed. */
    assert_int_equal(hosts_bind(&scene->hosts, &link_local, other_mac, 1, &number), DROP_IP_UNLISTED);
    assert_int_equal(hosts_bind(&scene->hosts, &link_local, listed_mac, 1, &number), DROP_NONE);
    assert_int_equal(hosts_bind(&scene->hosts, &link_local, other_mac, 10 * IDLE, &number), DROP_IP_UNLISTED);
    assert_int_equal(scene->hosts.used, 2);
    assert_int_equal(scene->gone_count, 0);
}

static void it_is_told_which_station_an_address_is_of(void **state)
{
    struct scene *scene = *state;
    uint32_t number[3];
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(speak(scene, i, i == 2 ? 5 : 4, 1, &number[i]), DROP_NONE);
    assert_int_equal(scene->bound_station[number[0]], scene->bound_station[number[1]]);
    assert_int_not_equal(scene->bound_station[number[0]], scene->bound_station[number[2]]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_workstation_keeps_its_number, start, stop),
        cmocka_unit_test_setup_teardown(a_binding_can_be_looked_at, start, stop),
        cmocka_unit_test_setup_teardown(an_address_belongs_to_who_used_it_first, start, stop),
        cmocka_unit_test_setup_teardown(speaking_keeps_an_address, start, stop),
        cmocka_unit_test_setup_teardown(an_idle_address_may_change_its_owner, start, stop),
        cmocka_unit_test_setup_teardown(time_that_runs_backwards_makes_nobody_idle, start, stop),
        cmocka_unit_test_setup_teardown(the_addresses_of_one_mac_are_one_station, start, stop),
        cmocka_unit_test_setup_teardown(a_station_is_gone_with_its_last_address, start, stop),
        cmocka_unit_test_setup_teardown(as_many_stations_come_and_go_as_like, start, stop),
        cmocka_unit_test_setup_teardown(one_mac_holds_only_so_many_addresses, start, stop),
        cmocka_unit_test_setup_teardown(a_mac_that_changes_addresses_gives_up_its_oldest, start, stop),
        cmocka_unit_test_setup_teardown(a_full_table_turns_newcomers_away_until_somebody_is_idle, start, stop),
        cmocka_unit_test_setup_teardown(a_takeover_counts_against_the_takers_bound, start, stop),
        cmocka_unit_test_setup_teardown(no_serial_ever_comes_twice, start, stop),
        cmocka_unit_test_setup_teardown(a_random_history_agrees_with_a_plain_model, start, stop),
        cmocka_unit_test_setup_teardown(a_listed_address_is_never_anybody_elses, start, stop),
        cmocka_unit_test_setup_teardown(where_there_is_a_list_nobody_else_is_served, start_listed, stop),
        cmocka_unit_test_setup_teardown(it_is_told_which_station_an_address_is_of, start, stop),
        cmocka_unit_test(senseless_bounds_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
