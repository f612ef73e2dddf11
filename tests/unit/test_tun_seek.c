/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking for workstations that have not said anything yet, and whose answers count. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tun_rig.h"

#define SECOND UINT64_C(1000000)

static int start(void **state)
{
    struct tun_config config = rig_config6();
    *state = rig_start(&config);
    return 0;
}

static int stop(void **state)
{
    rig_stop(*state);
    return 0;
}

static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t nobody[6];

static int seek(struct rig *rig, const char *text)
{
    struct ipaddr addr = rig_addr(text);
    uint32_t host;
    int status = tun_seek(&rig->tun, &addr, rig->now, &host);
    if (status == 0)
        assert_true(ipaddr_equal(&hosts_at(&rig->tun.hosts, host)->addr, &addr));
    return status;
}

static void arp_answer(struct wire *wire, const uint8_t mac[6], const char *sender)
{
    rig_arp(wire, rig_gateway_mac, mac, 2, mac, sender, rig_gateway_mac, RIG_GATEWAY);
}

/* An answer by `mac`, with these flags, from and about `target`. */
static void ndp_answer(struct wire *wire, const char *target, const uint8_t mac[6], uint32_t flags)
{
    struct spec spec = rig_spec6(58);
    struct wire message;
    struct ipaddr addr = rig_addr(target);
    uint8_t body[24];
    memcpy(body, addr.b, 16);
    memcpy(body + 16, "\2\1", 2);
    memcpy(body + 18, mac, 6);
    spec.src = target;
    spec.dst = RIG_GATEWAY6;
    spec.hop_limit = 255;
    memcpy(spec.src_mac, mac, 6);
    rig_icmpv6(&message, &spec, 136, 0, flags, body, sizeof(body));
    rig_frame(wire, &spec, &message);
}

static void who_is_known_is_not_asked_for(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    rig_arp(&wire, everybody, rig_station_mac, 1, rig_station_mac, RIG_STATION, nobody, RIG_GATEWAY);
    rig_expect_use(rig, &wire);
    unsigned sent = rig->sent_count;
    assert_int_equal(seek(rig, RIG_STATION), 0);
    assert_int_equal(rig->sent_count, sent);
}

static void an_address_is_asked_for_three_times_a_second_apart_and_given_up(void **state)
{
    struct rig *rig = *state;
    struct wire question;
    rig_arp(&question, everybody, rig_gateway_mac, 1, rig_gateway_mac, RIG_GATEWAY, nobody, RIG_STATION);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned k = 0; k < 5; k++)
            assert_int_equal(seek(rig, RIG_STATION), -EAGAIN);
        assert_int_equal(rig->sent_count, i + 1);
        rig_expect_sent(rig, i, &question);
        rig->now += SECOND - 1;
        assert_int_equal(seek(rig, RIG_STATION), -EAGAIN);
        assert_int_equal(rig->sent_count, i + 1);
        rig->now += 1;
    }
    /* Everybody who waits hears of it, and nobody who comes a little later begins anew. */
    assert_int_equal(seek(rig, RIG_STATION), -EHOSTUNREACH);
    rig->now += SECOND - 1;
    assert_int_equal(seek(rig, RIG_STATION), -EHOSTUNREACH);
    assert_int_equal(rig->sent_count, 3);
    rig->now += 1;
    assert_int_equal(seek(rig, RIG_STATION), -EAGAIN);
    assert_int_equal(rig->sent_count, 4);
}

static void the_answer_binds_whoever_gives_it(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    assert_int_equal(seek(rig, RIG_STATION), -EAGAIN);
    arp_answer(&wire, rig_station_mac, RIG_STATION);
    rig_expect_use(rig, &wire);
    assert_int_equal(seek(rig, RIG_STATION), 0);
    assert_int_equal(rig->sent_count, 1);
    /* Nobody is asked any more, so nobody else can answer. */
    arp_answer(&wire, rig_other_mac, RIG_STATION);
    rig_expect_drop(rig, &wire, DROP_ARP_OTHER);
    assert_int_equal(rig->tun.hosts.used, 1);
}

static void answers_that_nobody_asked_for_bind_nothing(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    assert_int_equal(seek(rig, RIG_STATION), -EAGAIN);
    arp_answer(&wire, rig_other_mac, RIG_OTHER);
    rig_expect_drop(rig, &wire, DROP_ARP_OTHER);
    ndp_answer(&wire, RIG_OTHER6, rig_other_mac, 0x60000000);
    rig_expect_drop(rig, &wire, DROP_NDP_OTHER);
    /* To everybody, to somebody else, and in somebody else's name. */
    rig_arp(&wire, everybody, rig_station_mac, 2, rig_station_mac, RIG_STATION, rig_gateway_mac, RIG_GATEWAY);
    rig_expect_drop(rig, &wire, DROP_ARP_OTHER);
    rig_arp(&wire, rig_gateway_mac, rig_station_mac, 2, rig_station_mac, RIG_STATION, rig_gateway_mac, RIG_OTHER);
    rig_expect_drop(rig, &wire, DROP_ARP_OTHER);
    rig_arp(&wire, rig_gateway_mac, rig_other_mac, 2, rig_station_mac, RIG_STATION, rig_gateway_mac, RIG_GATEWAY);
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
    /* Too late. */
    for (unsigned i = 0; i < 3; i++) {
        rig->now += SECOND;
        seek(rig, RIG_STATION);
    }
    arp_answer(&wire, rig_station_mac, RIG_STATION);
    rig_expect_drop(rig, &wire, DROP_ARP_OTHER);
    assert_int_equal(rig->tun.hosts.used, 0);
}

static void over_ipv6_a_group_is_asked(void **state)
{
    struct rig *rig = *state;
    struct wire wire, question, message;
    struct spec spec = rig_spec6(58);
    struct ipaddr target = rig_addr(RIG_STATION6);
    uint8_t body[24];
    assert_int_equal(seek(rig, RIG_STATION6), -EAGAIN);
    memcpy(body, target.b, 16);
    memcpy(body + 16, "\1\1", 2);
    memcpy(body + 18, rig_gateway_mac, 6);
    spec.src = RIG_GATEWAY6;
    spec.dst = "ff02::1:ff00:11";
    spec.hop_limit = 255;
    memcpy(spec.src_mac, rig_gateway_mac, 6);
    memcpy(spec.dst_mac, "\x33\x33\xff\x00\x00\x11", 6);
    rig_icmpv6(&message, &spec, 135, 0, 0, body, sizeof(body));
    rig_frame(&question, &spec, &message);
    memset(question.b + FRAME_HEADER_LEN + 1, 0, 3); /* no traffic class, no flow label */
    rig_expect_sent(rig, 0, &question);

    ndp_answer(&wire, RIG_STATION6, rig_station_mac, 0x20000000); /* not solicited */
    rig_expect_drop(rig, &wire, DROP_NDP_OTHER);
    ndp_answer(&wire, RIG_STATION6, rig_station_mac, 0x60000000);
    memcpy(wire.b + 10 + 6, rig_other_mac, 6); /* Ethernet's source, behind the offload header */
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
    ndp_answer(&wire, RIG_STATION6, rig_station_mac, 0x60000000);
    rig_expect_use(rig, &wire);
    assert_int_equal(seek(rig, RIG_STATION6), 0);
}

static void an_advertisement_that_is_malformed_is_bad(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message;
    struct spec spec = rig_spec6(58);
    uint8_t body[24] = {0};
    spec.dst = RIG_GATEWAY6;
    spec.hop_limit = 255;
    rig_icmpv6(&message, &spec, 136, 0, 0, body, 15); /* no whole target */
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    rig_icmpv6(&message, &spec, 136, 0, 0, body, 24); /* an option without a length */
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    rig_icmpv6(&message, &spec, 136, 1, 0, body, 16);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    spec.hop_limit = 64; /* from beyond the link */
    rig_icmpv6(&message, &spec, 136, 0, 0, body, 16);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);
}

static void what_no_workstation_can_have_is_not_asked_for(void **state)
{
    struct rig *rig = *state;
    static const char *const bad[] = {RIG_GATEWAY,  RIG_FAR,  "10.152.128.0", "10.152.191.255",
                                      RIG_GATEWAY6, RIG_FAR6, "ff02::1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(seek(rig, bad[i]), -EHOSTUNREACH);
    assert_int_equal(rig->sent_count, 0);
}

static void so_many_are_asked_for_and_no_more(void **state)
{
    struct rig *rig = *state;
    char text[32];
    for (unsigned i = 0; i < SEEK_ADDRESSES; i++) {
        snprintf(text, sizeof(text), "10.152.153.%u", i + 1);
        rig->sent_count = 0;
        assert_int_equal(seek(rig, text), -EAGAIN);
    }
    assert_int_equal(seek(rig, RIG_STATION), -ENOBUFS);
    /* Those whom nobody asks about any more make room. */
    rig->now += 10 * SECOND;
    rig->sent_count = 0;
    assert_int_equal(seek(rig, RIG_STATION), -EAGAIN);
    assert_int_equal(rig->sent_count, 1);
}

int main(void)
{
#define SEEK_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        SEEK_TEST(who_is_known_is_not_asked_for),
        SEEK_TEST(an_address_is_asked_for_three_times_a_second_apart_and_given_up),
        SEEK_TEST(the_answer_binds_whoever_gives_it),
        SEEK_TEST(answers_that_nobody_asked_for_bind_nothing),
        SEEK_TEST(over_ipv6_a_group_is_asked),
        SEEK_TEST(an_advertisement_that_is_malformed_is_bad),
        SEEK_TEST(what_no_workstation_can_have_is_not_asked_for),
        SEEK_TEST(so_many_are_asked_for_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
