/* SPDX-License-Identifier: BSD-3-Clause */
/* Router advertisements: what they say, when they go, and who may ask for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tun_rig.h"

#define SECOND UINT64_C(1000000)

static int start(void **state)
{
    struct tun_config config = rig_config6();
    config.ra = true;
    *state = rig_start(&config);
    return 0;
}

static int stop(void **state)
{
    rig_stop(*state);
    return 0;
}

/* The whole advertisement, byte by byte, as RFC 4861 4.2, 4.6 and RFC 8106 5.1 draw it. */
static void advertisement(struct wire *wire, uint8_t prefix_len, uint8_t flags, uint16_t lifetime)
{
    struct wire message;
    struct spec spec = rig_spec6(58);
    uint8_t body[80] = {
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0, /* reachable time, retransmission timer */
        1,
        1,
        0,
        0,
        0,
        0,
        0,
        0, /* source link-layer address */
        5,
        1,
        0,
        0,
        0,
        0,
        0x05,
        0xdc, /* MTU 1500 */
        3,
        4,
        prefix_len,
        flags,
        0,
        0,
        0x15,
        0x18,
        0,
        0,
        0x0a,
        0x8c,
        0,
        0,
        0,
        0,
        0xfd,
        0x19,
        0xc3,
        0x3d,
        0x88,
        0xbc,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        25,
        3,
        0,
        0,
        0,
        0,
        (uint8_t)(lifetime >> 8),
        (uint8_t)lifetime,
        0xfd,
        0x19,
        0xc3,
        0x3d,
        0x88,
        0xbc,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0x10,
    };
    memcpy(body + 10, rig_gateway_mac, 6);
    spec.src = "fe80::10";
    spec.dst = "ff02::1";
    spec.hop_limit = 255;
    memcpy(spec.src_mac, rig_gateway_mac, 6);
    memcpy(spec.dst_mac, "\x33\x33\0\0\0\1", 6);
    rig_icmpv6(&message, &spec, 134, 0, 0x40000000u | lifetime, body, sizeof(body));
    rig_frame(wire, &spec, &message);
    memcpy(wire->b + 24, "\x60\0\0\0", 4);
}

static struct spec solicitation(struct wire *wire, const char *src, const uint8_t *mac)
{
    struct wire message;
    struct spec spec = rig_spec6(58);
    uint8_t body[8] = {1, 1};
    if (mac != NULL)
        memcpy(body + 2, mac, 6);
    spec.src = src;
    spec.dst = "ff02::2";
    spec.hop_limit = 255;
    memcpy(spec.dst_mac, "\x33\x33\0\0\0\2", 6);
    rig_icmpv6(&message, &spec, 133, 0, 0, body, mac != NULL ? 8 : 0);
    rig_frame(wire, &spec, &message);
    return spec;
}

/* The link comes up, and what that alone sends is forgotten. */
static void link_up(struct rig *rig)
{
    tun_link_up(&rig->tun, rig->now);
    tun_advance(&rig->tun, rig->now);
    rig->sent_count = 0;
}

static void the_first_goes_when_the_link_comes_up(void **state)
{
    struct rig *rig = *state;
    struct wire expected;
    uint64_t at;
    assert_false(tun_next_deadline(&rig->tun, &at));
    tun_link_up(&rig->tun, rig->now);
    assert_true(tun_next_deadline(&rig->tun, &at));
    assert_true(at <= rig->now);
    rig->sent_count = 0;
    tun_advance(&rig->tun, rig->now);
    assert_int_equal(rig->sent_count, 1);
    advertisement(&expected, 64, 0xc0, 1800);
    rig_expect_sent(rig, 0, &expected);
    assert_int_equal(rig->tun.counters.router_adverts, 1);
}

static void addresses_are_not_made_in_a_network_of_another_length(void **state)
{
    struct tun_config config = rig_config6();
    struct wire expected;
    (void)state;
    config.ra = true;
    config.network6.len = 58;
    struct rig *rig = rig_start(&config);
    tun_link_up(&rig->tun, rig->now);
    rig->sent_count = 0;
    tun_advance(&rig->tun, rig->now);
    advertisement(&expected, 58, 0x80, 1800);
    rig_expect_sent(rig, 0, &expected);
    rig_stop(rig);
}

static void three_go_soon_and_then_one_every_few_minutes(void **state)
{
    struct rig *rig = *state;
    uint64_t at, before = rig->now, least = UINT64_MAX, most = 0;
    link_up(rig);
    for (unsigned i = 1; i < 200; i++) {
        assert_true(tun_next_deadline(&rig->tun, &at));
        uint64_t gap = at - before;
        if (i < 3) {
            assert_in_range(gap, 3 * SECOND, 16 * SECOND);
        } else {
            assert_in_range(gap, 200 * SECOND, 600 * SECOND);
            least = gap < least ? gap : least;
            most = gap > most ? gap : most;
        }
        rig->sent_count = 0;
        tun_advance(&rig->tun, at - 1);
        assert_int_equal(rig->sent_count, 0);
        tun_advance(&rig->tun, at);
        assert_int_equal(rig->sent_count, 1);
        before = at;
    }
    assert_true(least < 250 * SECOND && most > 550 * SECOND);
}

static void a_solicitation_brings_one_within_half_a_second(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    uint64_t at;
    static const struct {
        const char *src;
        const uint8_t *mac;
    } senders[] = {
        {"fe80::11", rig_station_mac}, {"fe80::11", NULL}, {"::", NULL}, {RIG_STATION6, rig_station_mac}};
    link_up(rig);
    for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++) {
        rig->now += 100 * SECOND;
        tun_advance(&rig->tun, rig->now);
        rig->now += 10 * SECOND;
        solicitation(&wire, senders[i].src, senders[i].mac);
        rig_expect_use(rig, &wire);
        assert_true(tun_next_deadline(&rig->tun, &at));
        assert_in_range(at, rig->now, rig->now + SECOND / 2);
        rig->sent_count = 0;
        tun_advance(&rig->tun, at);
        assert_int_equal(rig->sent_count, 1);
    }
    assert_int_equal(rig->tun.hosts.used, 0);
}

static void a_flood_of_solicitations_costs_one_every_three_seconds(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    link_up(rig);
    solicitation(&wire, "fe80::11", rig_station_mac);
    for (unsigned i = 0; i < 3000; i++) { /* 30 s */
        rig->now += SECOND / 100;
        rig_feed(rig, &wire);
        if (rig->sent_count == RIG_SENT_MAX)
            rig->sent_count = 0;
        tun_advance(&rig->tun, rig->now);
    }
    assert_in_range(rig->tun.counters.router_adverts, 9, 11);
}

static void what_is_no_solicitation_brings_none(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message;
    uint64_t before, at;
    link_up(rig);
    rig->now += 10 * SECOND;
    assert_true(tun_next_deadline(&rig->tun, &before));

    struct spec spec = solicitation(&wire, "fe80::11", rig_station_mac);
    spec.hop_limit = 254; /* from afar */
    uint8_t option[8] = {1, 1};
    memcpy(option + 2, rig_station_mac, 6);
    rig_icmpv6(&message, &spec, 133, 0, 0, option, 8);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);

    spec = solicitation(&wire, "fe80::11", rig_station_mac);
    rig_icmpv6(&message, &spec, 133, 1, 0, option, 8); /* code */
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    for (size_t n = 1; n < 8; n++) { /* cut */
        rig_icmpv6(&message, &spec, 133, 0, 0, option, n);
        rig_frame(&wire, &spec, &message);
        rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    }
    option[1] = 0;
    rig_icmpv6(&message, &spec, 133, 0, 0, option, 8);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);

    solicitation(&wire, "::", rig_station_mac); /* has no address, but says where it is (RFC 4861 6.1.1) */
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    solicitation(&wire, "fe80::11", rig_other_mac);
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
    solicitation(&wire, "fe80::10", NULL); /* ourselves */
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
    spec = solicitation(&wire, "fe80::11", NULL);
    spec.dst = "ff02::1";
    rig_icmpv6(&message, &spec, 133, 0, 0, NULL, 0);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_OTHER);

    assert_true(tun_next_deadline(&rig->tun, &at));
    assert_int_equal(at, before);
}

static void the_last_one_says_that_it_is_over(void **state)
{
    struct rig *rig = *state;
    struct wire expected;
    uint64_t at;
    link_up(rig);
    tun_link_down(&rig->tun);
    assert_int_equal(rig->sent_count, 1);
    advertisement(&expected, 64, 0xc0, 0);
    rig_expect_sent(rig, 0, &expected);
    assert_false(tun_next_deadline(&rig->tun, &at));
}

static void nothing_is_advertised_unless_it_is_to_be(void **state)
{
    struct tun_config config = rig_config6();
    struct wire wire;
    uint64_t at;
    (void)state;
    struct rig *rig = rig_start(&config);
    link_up(rig);
    assert_false(tun_next_deadline(&rig->tun, &at));
    tun_advance(&rig->tun, rig->now + 10000 * SECOND);
    tun_link_down(&rig->tun);
    assert_int_equal(rig->sent_count, 0);
    solicitation(&wire, "fe80::11", rig_station_mac);
    rig_expect_drop(rig, &wire, DROP_NDP_OTHER);
    rig_stop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_goes_when_the_link_comes_up, start, stop),
        cmocka_unit_test(addresses_are_not_made_in_a_network_of_another_length),
        cmocka_unit_test_setup_teardown(three_go_soon_and_then_one_every_few_minutes, start, stop),
        cmocka_unit_test_setup_teardown(a_solicitation_brings_one_within_half_a_second, start, stop),
        cmocka_unit_test_setup_teardown(a_flood_of_solicitations_costs_one_every_three_seconds, start, stop),
        cmocka_unit_test_setup_teardown(what_is_no_solicitation_brings_none, start, stop),
        cmocka_unit_test_setup_teardown(the_last_one_says_that_it_is_over, start, stop),
        cmocka_unit_test(nothing_is_advertised_unless_it_is_to_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
