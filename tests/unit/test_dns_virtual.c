/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/pool.h"
#include "dns/virtual.h"
#include "random.h"

static struct ipaddr v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    const uint8_t raw[4] = {a, b, c, d};
    return ipaddr_v4(raw);
}

static struct ipnet net4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint8_t len)
{
    return (struct ipnet){v4(a, b, c, d), (uint8_t)(96 + len)};
}

static struct ipnet net6(uint8_t a, uint8_t b, uint8_t len)
{
    return (struct ipnet){{{a, b}}, len};
}

static struct dns_virtual_config usual(void)
{
    return (struct dns_virtual_config){
        .net4 = net4(10, 192, 0, 0, 10), .slots = 1024, .max_hosts = 8, .secret = "sixteen secrets"};
}

static struct dns_virtual *start(const struct dns_virtual_config *config)
{
    size_t n = dns_virtual_size(config);
    assert_true(n > 0);
    void *memory = aligned_alloc(64, (n + 63) / 64 * 64);
    assert_non_null(memory);
    memset(memory, 0, n);
    return dns_virtual_init(memory, config);
}

static uint32_t map(struct dns_virtual *t, uint32_t host, const char *name)
{
    return dns_virtual_map(t, host, name, strlen(name));
}

static uint32_t lookup(struct dns_virtual *t, uint32_t host, const char *name)
{
    return dns_virtual_lookup(t, host, name, strlen(name));
}

static struct ipaddr address(const struct dns_virtual *t, uint32_t handle)
{
    struct ipaddr a;
    assert_true(dns_virtual_address4(t, handle, &a));
    return a;
}

/* Map name number `i` of a host. */
static uint32_t map_number(struct dns_virtual *t, uint32_t host, unsigned i)
{
    char name[32];
    snprintf(name, sizeof(name), "n%u.example.org", i);
    return map(t, host, name);
}

static bool number_is_mapped(struct dns_virtual *t, uint32_t host, unsigned i)
{
    char name[32];
    snprintf(name, sizeof(name), "n%u.example.org", i);
    return lookup(t, host, name) != 0;
}

static void a_name_gets_an_address_of_the_range_and_keeps_it(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    struct dns_virtual *t = start(&config);
    uint32_t h = map(t, 0, "www.example.org");
    assert_true(h != 0);
    struct ipaddr a = address(t, h);
    assert_true(dns_virtual_covers(t, &a));
    assert_int_equal(map(t, 0, "www.example.org"), h);
    assert_int_equal(dns_virtual_find(t, 0, &a), h);
    char text[DNS_TEXT_SIZE];
    assert_int_equal(dns_virtual_name(t, h, text), 15);
    assert_string_equal(text, "www.example.org");
    struct ipaddr b = address(t, map(t, 0, "www.example.com"));
    assert_false(ipaddr_equal(&a, &b));
    assert_int_equal(dns_virtual_counters(t)->names, 2);
    free(t);
}

static void names_of_every_length_are_kept_whole(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    struct dns_virtual *t = start(&config);
    char name[DNS_TEXT_SIZE], text[DNS_TEXT_SIZE];
    for (size_t len = 1; len <= DNS_TEXT_MAX; len++) {
        for (size_t i = 0; i < len; i++)
            name[i] = (char)('a' + (i * 7 + len) % 26);
        uint32_t h = dns_virtual_map(t, 1, name, len);
        assert_true(h != 0);
        assert_int_equal(dns_virtual_name(t, h, text), len);
        assert_memory_equal(text, name, len);
        assert_int_equal(dns_virtual_lookup(t, 1, name, len), h);
        /* One that differs in its last character only is another. */
        name[len - 1] ^= 1;
        assert_int_equal(dns_virtual_lookup(t, 1, name, len), 0);
    }
    free(t);
}

static void two_workstations_share_neither_address_nor_sight(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    struct dns_virtual *t = start(&config);
    uint32_t h0 = map(t, 0, "secret.example.org"), h1 = map(t, 1, "secret.example.org");
    struct ipaddr a0 = address(t, h0), a1 = address(t, h1);
    assert_false(ipaddr_equal(&a0, &a1));
    assert_int_equal(dns_virtual_find(t, 1, &a0), 0);
    assert_int_equal(dns_virtual_find(t, 0, &a1), 0);
    assert_int_equal(lookup(t, 2, "secret.example.org"), 0);
    /* That one knows that the name failed is the other's secret, too. */
    dns_virtual_set_failed(t, h0, 100);
    assert_int_equal(dns_virtual_failed_for(t, h0, 40), 60);
    assert_int_equal(dns_virtual_failed_for(t, h1, 40), 0);
    free(t);
}

static void addresses_do_not_show_the_order_in_which_they_are_given(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    struct dns_virtual *t = start(&config);
    /* Of 500 pairs in a row about half rise, and next to none are neighbours. */
    unsigned rises = 0, neighbours = 0;
    uint32_t before = 0;
    for (unsigned i = 0; i <= 500; i++) {
        struct ipaddr a = address(t, map_number(t, 0, i));
        uint32_t now = (uint32_t)a.b[12] << 24 | (uint32_t)a.b[13] << 16 | (uint32_t)a.b[14] << 8 | a.b[15];
        rises += now > before;
        neighbours += now - before + 16 <= 32;
        before = now;
    }
    assert_in_range(rises, 180, 320);
    assert_in_range(neighbours, 0, 3);
    free(t);
}

static void another_secret_gives_other_addresses_and_the_same_the_same(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    struct dns_virtual *a = start(&config), *b = start(&config);
    config.secret[3] ^= 1;
    struct dns_virtual *c = start(&config);
    unsigned same = 0;
    for (unsigned i = 0; i < 50; i++) {
        struct ipaddr x = address(a, map_number(a, 0, i)), y = address(b, map_number(b, 0, i));
        struct ipaddr z = address(c, map_number(c, 0, i));
        assert_true(ipaddr_equal(&x, &y));
        same += ipaddr_equal(&x, &z);
    }
    assert_in_range(same, 0, 1);
    free(a);
    free(b);
    free(c);
}

static void no_address_comes_again_before_the_whole_range_was_used(void **state)
{
    (void)state;
    for (uint8_t len = 16; len <= 24; len++) {
        struct dns_virtual_config config = usual();
        config.net4 = net4(192, 168, 0, 0, len);
        config.slots = 64;
        struct dns_virtual *t = start(&config);
        static bool seen[65536];
        memset(seen, 0, sizeof(seen));
        unsigned all = (1u << (32 - len)) - 2; /* but the first and the last */
        for (unsigned i = 0; i < all; i++) {
            struct ipaddr a = address(t, map_number(t, 0, i));
            unsigned offset = (unsigned)a.b[14] << 8 | a.b[15];
            assert_int_equal(a.b[12], 192);
            assert_int_equal(a.b[13], 168);
            assert_in_range(offset, 1, all);
            assert_false(seen[offset]);
            seen[offset] = true;
        }
        free(t);
    }
}

static void an_address_in_use_is_passed_over_when_the_range_comes_around(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    config.net4 = net4(192, 168, 7, 0, 24);
    struct dns_virtual *t = start(&config);
    uint32_t kept = map_number(t, 0, 0);
    struct ipaddr a = address(t, kept);
    dns_virtual_pin(t, kept);
    for (unsigned i = 1; i < 2000; i++) {
        struct ipaddr b = address(t, map_number(t, 0, i));
        assert_false(ipaddr_equal(&a, &b));
    }
    assert_int_equal(dns_virtual_find(t, 0, &a), kept);
    assert_true(dns_virtual_counters(t)->names <= 128); /* half of the range */
    free(t);
}

static void the_longest_unused_name_goes_first(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    config.slots = 64;
    struct dns_virtual *t = start(&config);
    struct ipaddr a2 = v4(0, 0, 0, 0);
    for (unsigned i = 0; i < 64; i++) {
        uint32_t h = map_number(t, 0, i);
        if (i == 2)
            a2 = address(t, h);
    }
    assert_true(number_is_mapped(t, 0, 0));               /* used by being asked for again */
    assert_int_not_equal(dns_virtual_find(t, 0, &a2), 0); /* used by a flow */
    map_number(t, 0, 64);
    map_number(t, 0, 65);
    assert_true(number_is_mapped(t, 0, 0));
    assert_false(number_is_mapped(t, 0, 1));
    assert_true(number_is_mapped(t, 0, 2));
    assert_false(number_is_mapped(t, 0, 3));
    assert_true(number_is_mapped(t, 0, 4));
    assert_int_equal(dns_virtual_counters(t)->evicted, 2);
    free(t);
}

static void a_pinned_name_stays_until_it_is_unpinned_as_often(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    config.slots = 64;
    struct dns_virtual *t = start(&config);
    uint32_t h = map_number(t, 0, 0);
    struct ipaddr a = address(t, h);
    dns_virtual_pin(t, h);
    dns_virtual_pin(t, h);
    assert_int_equal(dns_virtual_counters(t)->pinned, 1);
    for (unsigned i = 1; i < 500; i++)
        map_number(t, 0, i);
    assert_int_equal(dns_virtual_find(t, 0, &a), h);
    dns_virtual_unpin(t, h);
    for (unsigned i = 500; i < 1000; i++)
        map_number(t, 0, i);
    assert_int_equal(dns_virtual_find(t, 0, &a), h);
    dns_virtual_unpin(t, h);
    assert_int_equal(dns_virtual_counters(t)->pinned, 0);
    for (unsigned i = 1000; i < 1064; i++)
        map_number(t, 0, i);
    assert_int_equal(dns_virtual_find(t, 0, &a), 0);
    free(t);
}

static void a_table_full_of_pinned_names_takes_no_more(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    config.slots = 64;
    struct dns_virtual *t = start(&config);
    for (unsigned i = 0; i < 64; i++)
        dns_virtual_pin(t, map_number(t, 0, i));
    assert_int_equal(map_number(t, 0, 64), 0);
    assert_int_equal(map_number(t, 1, 0), 0);
    assert_int_not_equal(map_number(t, 0, 7), 0); /* what is there is still found */
    uint32_t h = map_number(t, 0, 7);
    dns_virtual_unpin(t, h);
    assert_int_not_equal(map_number(t, 1, 0), 0);
    assert_false(number_is_mapped(t, 0, 7));
    free(t);
}

static void a_flood_of_one_workstation_leaves_the_names_of_others(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    struct dns_virtual *t = start(&config);
    for (unsigned i = 0; i < 100; i++) {
        map_number(t, 1, i);
        map_number(t, 2, i);
    }
    for (unsigned i = 0; i < 20000; i++)
        map_number(t, 0, i);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(number_is_mapped(t, 1, i));
        assert_true(number_is_mapped(t, 2, i));
    }
    free(t);
}

static void a_newcomer_finds_room_in_a_table_that_one_workstation_filled(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    struct dns_virtual *t = start(&config);
    for (unsigned i = 0; i < 5000; i++)
        map_number(t, 0, i);
    for (unsigned i = 0; i < 512; i++)
        assert_int_not_equal(map_number(t, 5, i), 0);
    for (unsigned i = 0; i < 512; i++)
        assert_true(number_is_mapped(t, 5, i)); /* its half of 1024 slots, at the expense of who had all */
    free(t);
}

static void who_has_his_share_makes_room_himself_even_if_another_has_more(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    struct dns_virtual *t = start(&config);
    for (unsigned i = 0; i < 124; i++)
        map_number(t, 2, i);
    for (unsigned i = 0; i < 500; i++)
        map_number(t, 0, i);
    for (unsigned i = 0; i < 2000; i++)
        map_number(t, 1, i); /* fills the table at 400, beyond a third of it */
    for (unsigned i = 0; i < 500; i++)
        assert_true(number_is_mapped(t, 0, i));
    assert_false(number_is_mapped(t, 1, 0));
    free(t);
}

static void a_name_is_not_found_for_a_workstation_that_never_asked(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    config.slots = 64;
    struct dns_virtual *t = start(&config);
    /* So few buckets that many of these fall into that of the same name of the other. */
    for (unsigned i = 0; i < 1000; i++) {
        map_number(t, 0, i);
        assert_false(number_is_mapped(t, 1, i));
    }
    free(t);
}

static void long_names_count_by_the_memory_they_take(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    struct dns_virtual *t = start(&config);
    for (unsigned i = 0; i < 100; i++)
        map_number(t, 1, i);
    char name[DNS_TEXT_SIZE];
    memset(name, 'z', sizeof(name));
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(name, 10, "%08u", i);
        name[8] = 'z';
        name[9] = 'z';
        assert_int_not_equal(dns_virtual_map(t, 0, name, DNS_TEXT_MAX), 0);
    }
    const struct dns_virtual_counters *c = dns_virtual_counters(t);
    assert_int_equal(c->slots, 100 + (c->names - 100) * 5);
    assert_in_range(c->slots, 1020, 1024);
    for (unsigned i = 0; i < 100; i++)
        assert_true(number_is_mapped(t, 1, i));
    free(t);
}

static void a_failed_name_is_remembered_until_its_time(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    struct dns_virtual *t = start(&config);
    uint32_t h = map(t, 0, "gone.example.org");
    assert_int_equal(dns_virtual_failed_for(t, h, 1000), 0);
    dns_virtual_set_failed(t, h, 1060);
    assert_int_equal(dns_virtual_failed_for(t, h, 1000), 60);
    assert_int_equal(dns_virtual_failed_for(t, h, 1059), 1);
    assert_int_equal(dns_virtual_failed_for(t, h, 1060), 0);
    assert_int_equal(dns_virtual_failed_for(t, h, 5000), 0);
    free(t);
}

static void a_forgotten_workstation_leaves_nothing_to_who_gets_its_number(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    struct dns_virtual *t = start(&config);
    uint32_t pinned = map_number(t, 3, 0);
    struct ipaddr a = address(t, pinned), b = address(t, map_number(t, 3, 1));
    dns_virtual_pin(t, pinned);
    for (unsigned i = 2; i < 50; i++)
        map_number(t, 3, i);
    map_number(t, 4, 0);
    dns_virtual_forget_host(t, 3);
    assert_int_equal(dns_virtual_find(t, 3, &a), 0);
    assert_int_equal(dns_virtual_find(t, 3, &b), 0);
    for (unsigned i = 0; i < 50; i++)
        assert_false(number_is_mapped(t, 3, i));
    assert_true(number_is_mapped(t, 4, 0));
    assert_int_equal(dns_virtual_counters(t)->names, 2);

    /* The flow that is still open knows its name, and its end frees the last of it. */
    char text[DNS_TEXT_SIZE];
    dns_virtual_name(t, pinned, text);
    assert_string_equal(text, "n0.example.org");
    uint32_t again = map_number(t, 3, 0);
    assert_int_not_equal(again, pinned);
    dns_virtual_unpin(t, pinned);
    assert_int_equal(dns_virtual_counters(t)->names, 2);
    assert_int_equal(dns_virtual_counters(t)->pinned, 0);
    assert_true(number_is_mapped(t, 3, 0));
    free(t);
}

static void both_families_give_the_same_name(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    config.net6 = net6(0xfd, 0x77, 64);
    struct dns_virtual *t = start(&config);
    uint32_t h = map(t, 0, "www.example.org");
    struct ipaddr a = address(t, h), b;
    assert_true(dns_virtual_address6(t, h, &b));
    assert_int_equal(b.b[0], 0xfd);
    assert_int_equal(b.b[1], 0x77);
    assert_int_equal(dns_virtual_find(t, 0, &a), h);
    assert_int_equal(dns_virtual_find(t, 0, &b), h);
    /* An address of the range beyond what is given out is in it, and nobody's. */
    b.b[9] = 1;
    assert_true(dns_virtual_covers(t, &b));
    assert_int_equal(dns_virtual_find(t, 0, &b), 0);
    free(t);
}

static void a_family_without_a_range_has_no_addresses(void **state)
{
    (void)state;
    struct dns_virtual_config config = usual();
    struct dns_virtual *t = start(&config);
    struct ipaddr a, other = v4(10, 191, 255, 255);
    assert_false(dns_virtual_address6(t, map(t, 0, "a.b"), &a));
    assert_false(dns_virtual_covers(t, &other));
    assert_int_equal(dns_virtual_find(t, 0, &other), 0);
    free(t);
}

static void a_range_must_be_private_aligned_large_enough_and_apart_from_the_workstations(void **state)
{
    (void)state;
    const struct ipnet used = net4(10, 152, 152, 10, 18);
    const struct ipnet good[] = {net4(10, 192, 0, 0, 10), net4(10, 153, 0, 0, 16),  net4(10, 152, 192, 0, 18),
                                 net4(172, 16, 0, 0, 12), net4(192, 168, 1, 0, 24), net4(198, 18, 0, 0, 15),
                                 net4(100, 64, 0, 0, 10), net6(0xfd, 0, 64),        net6(0xfc, 0, 8)};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_null(dns_virtual_range_error(&good[i], &used));

    const struct {
        struct ipnet range;
        const char *why;
    } bad[] = {
        {net4(10, 0, 0, 0, 8), "overlaps"},
        {net4(10, 152, 160, 0, 24), "overlaps"},
        {net4(10, 152, 128, 0, 18), "overlaps"},
        {net4(8, 0, 0, 0, 8), "private"},
        {net4(0, 0, 0, 0, 0), "private"},
        {net4(127, 192, 0, 0, 10), "private"},
        {net4(172, 0, 0, 0, 8), "private"},
        {net4(192, 168, 1, 0, 25), "too small"},
        {net4(10, 192, 0, 1, 10), "after its prefix"},
        {net6(0x20, 0x01, 64), "private"},
        {net6(0xfe, 0x80, 64), "private"},
        {net6(0xfd, 0, 121), "too small"},
        {net6(0, 0, 0), "private"},
        {net6(0xfd, 1, 15), "after its prefix"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const char *why = dns_virtual_range_error(&bad[i].range, &used);
        assert_non_null(why);
        assert_non_null(strstr(why, bad[i].why));
    }
}

static void an_impossible_configuration_has_no_size(void **state)
{
    (void)state;
    struct dns_virtual_config c = usual();
    assert_true(dns_virtual_size(&c) > 0);
    c.slots = 63;
    assert_int_equal(dns_virtual_size(&c), 0);
    c.slots = POOL_MAX_SLOTS + 1;
    assert_int_equal(dns_virtual_size(&c), 0);
    c = usual();
    c.max_hosts = 0;
    assert_int_equal(dns_virtual_size(&c), 0);
    c.max_hosts = 65536;
    assert_int_equal(dns_virtual_size(&c), 0);
    c = usual();
    c.net6 = net4(10, 0, 0, 0, 16);
    assert_int_equal(dns_virtual_size(&c), 0);
    c = usual();
    c.net4 = net6(0xfd, 0, 64);
    assert_int_equal(dns_virtual_size(&c), 0);
}

static void the_default_size_is_a_few_megabytes(void **state)
{
    (void)state;
    struct dns_virtual_config c = usual();
    c.slots = 65536;
    assert_true(dns_virtual_size(&c) < 5 * 1024 * 1024);
}

/* What the table must know, in the simplest form. */
#define MODEL_HOSTS 4u
#define MODEL_NAMES 300u

static struct {
    bool mapped;
    uint32_t handle;
    uint32_t pins;
    struct ipaddr addr;
} model[MODEL_HOSTS][MODEL_NAMES];

static size_t model_name(unsigned i, char name[DNS_TEXT_SIZE])
{
    size_t len = 6 + i * 37 % 248;
    memset(name, 'm', len);
    snprintf(name, 6, "%05u", i);
    name[5] = '.';
    name[len] = '\0';
    return len;
}

/* Random use by four workstations: what is pinned is found by name and by address, with the same handle; what is found by
 * address has the name and the owner it was mapped for; nothing is lost from the pool. */
static void random_use_keeps_every_promise(void **state)
{
    (void)state;
    struct random r = random_start();
    struct dns_virtual_config config = usual();
    config.net4 = net4(10, 200, 0, 0, 22);
    config.slots = 400;
    struct dns_virtual *t = start(&config);
    memset(model, 0, sizeof(model));
    uint32_t pinned = 0;
    for (int step = 0; step < 200000; step++) {
        uint32_t host = random_below(&r, MODEL_HOSTS);
        unsigned i = random_below(&r, MODEL_NAMES);
        char name[DNS_TEXT_SIZE], text[DNS_TEXT_SIZE];
        size_t len = model_name(i, name);
        uint32_t h;
        switch (random_below(&r, 4)) {
        case 0: /* a query */
            h = dns_virtual_map(t, host, name, len);
            if (model[host][i].pins > 0)
                assert_int_equal(h, model[host][i].handle);
            if (h != 0) {
                model[host][i].mapped = true;
                model[host][i].handle = h;
                model[host][i].addr = address(t, h);
            }
            break;
        case 1: /* a flow to an address once given */
            if (!model[host][i].mapped)
                break;
            h = dns_virtual_find(t, host, &model[host][i].addr);
            if (model[host][i].pins > 0)
                assert_int_equal(h, model[host][i].handle);
            if (h == 0)
                break;
            /* It may be another's by now, but its name leads back to it. */
            assert_int_equal(dns_virtual_lookup(t, host, text, dns_virtual_name(t, h, text)), h);
            if (strcmp(text, name) == 0 && pinned < 40) {
                dns_virtual_pin(t, h);
                model[host][i].handle = h;
                pinned += model[host][i].pins++ == 0;
            }
            break;
        case 2: /* the end of a flow */
            if (model[host][i].pins == 0)
                break;
            assert_int_equal(dns_virtual_name(t, model[host][i].handle, text), len);
            assert_string_equal(text, name);
            dns_virtual_unpin(t, model[host][i].handle);
            pinned -= --model[host][i].pins == 0;
            break;
        default: /* another workstation tries the address */
            if (model[host][i].mapped) {
                h = dns_virtual_find(t, (host + 1) % MODEL_HOSTS, &model[host][i].addr);
                if (model[host][i].pins > 0)
                    assert_int_equal(h, 0);
            }
        }
        const struct dns_virtual_counters *c = dns_virtual_counters(t);
        assert_int_equal(c->pinned, pinned);
        assert_true(c->slots <= 400 && c->names <= c->slots);
        assert_int_equal(c->mapped - c->evicted, c->names);
    }
    for (uint32_t host = 0; host < MODEL_HOSTS; host++) {
        for (unsigned i = 0; i < MODEL_NAMES; i++) {
            for (; model[host][i].pins > 0; model[host][i].pins--)
                dns_virtual_unpin(t, model[host][i].handle);
        }
        dns_virtual_forget_host(t, host);
    }
    assert_int_equal(dns_virtual_counters(t)->slots, 0);
    assert_int_equal(dns_virtual_counters(t)->names, 0);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_gets_an_address_of_the_range_and_keeps_it),
        cmocka_unit_test(names_of_every_length_are_kept_whole),
        cmocka_unit_test(two_workstations_share_neither_address_nor_sight),
        cmocka_unit_test(addresses_do_not_show_the_order_in_which_they_are_given),
        cmocka_unit_test(another_secret_gives_other_addresses_and_the_same_the_same),
        cmocka_unit_test(no_address_comes_again_before_the_whole_range_was_used),
        cmocka_unit_test(an_address_in_use_is_passed_over_when_the_range_comes_around),
        cmocka_unit_test(the_longest_unused_name_goes_first),
        cmocka_unit_test(a_pinned_name_stays_until_it_is_unpinned_as_often),
        cmocka_unit_test(a_table_full_of_pinned_names_takes_no_more),
        cmocka_unit_test(a_flood_of_one_workstation_leaves_the_names_of_others),
        cmocka_unit_test(a_newcomer_finds_room_in_a_table_that_one_workstation_filled),
        cmocka_unit_test(who_has_his_share_makes_room_himself_even_if_another_has_more),
        cmocka_unit_test(a_name_is_not_found_for_a_workstation_that_never_asked),
        cmocka_unit_test(long_names_count_by_the_memory_they_take),
        cmocka_unit_test(a_failed_name_is_remembered_until_its_time),
        cmocka_unit_test(a_forgotten_workstation_leaves_nothing_to_who_gets_its_number),
        cmocka_unit_test(both_families_give_the_same_name),
        cmocka_unit_test(a_family_without_a_range_has_no_addresses),
        cmocka_unit_test(a_range_must_be_private_aligned_large_enough_and_apart_from_the_workstations),
        cmocka_unit_test(an_impossible_configuration_has_no_size),
        cmocka_unit_test(the_default_size_is_a_few_megabytes),
        cmocka_unit_test(random_use_keeps_every_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
