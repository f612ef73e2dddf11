/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP: who is answered, who is bound, and who is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tun_rig.h"

static int start(void **state)
{
    struct tun_config config = rig_config();
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

/* A request from the workstation for `target`. */
static void request(struct wire *wire, const char *sender, const char *target)
{
    rig_arp(wire, everybody, rig_station_mac, 1, rig_station_mac, sender, nobody, target);
}

static bool is_bound(const struct rig *rig, const char *addr, const uint8_t mac[6])
{
    struct ipaddr a = rig_addr(addr);
    return hosts_is_bound(&rig->tun.hosts, &a, mac);
}

static void a_request_for_the_gateway_is_answered_and_binds_its_sender(void **state)
{
    struct rig *rig = *state;
    struct wire wire, reply;
    request(&wire, RIG_STATION, RIG_GATEWAY);
    rig_expect_use(rig, &wire);
    rig_arp(&reply, rig_station_mac, rig_gateway_mac, 2, rig_gateway_mac, RIG_GATEWAY, rig_station_mac,
            RIG_STATION);
    rig_expect_sent(rig, 0, &reply);
    assert_int_equal(rig->sent_count, 1);
    assert_int_equal(rig->tun.counters.arp_replies, 1);
    assert_true(is_bound(rig, RIG_STATION, rig_station_mac));
}

static void a_unicast_request_with_padding_is_answered_too(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    rig_arp(&wire, rig_gateway_mac, rig_station_mac, 1, rig_station_mac, RIG_STATION, rig_gateway_mac, RIG_GATEWAY);
    memset(wire.b + wire.n, 0, 18);
    wire.n += 18;
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->sent_count, 1);
}

static void a_probe_for_the_gateways_address_is_answered_but_binds_nobody(void **state)
{
    struct rig *rig = *state;
    struct wire wire, reply;
    request(&wire, "0.0.0.0", RIG_GATEWAY);
    rig_expect_use(rig, &wire);
    rig_arp(&reply, rig_station_mac, rig_gateway_mac, 2, rig_gateway_mac, RIG_GATEWAY, rig_station_mac, "0.0.0.0");
    rig_expect_sent(rig, 0, &reply);
    assert_int_equal(rig->tun.hosts.used, 0);
}

static void what_asks_nothing_of_the_gateway_is_dropped_and_binds_nobody(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    request(&wire, RIG_STATION, RIG_OTHER);
    rig_expect_drop(rig, &wire, DROP_ARP_OTHER);
    request(&wire, RIG_STATION, RIG_FAR);
    rig_expect_drop(rig, &wire, DROP_ARP_OTHER);
    request(&wire, RIG_STATION, RIG_STATION); /* an announcement */
    rig_expect_drop(rig, &wire, DROP_ARP_OTHER);
    request(&wire, "0.0.0.0", RIG_STATION); /* a probe for its own address */
    rig_expect_drop(rig, &wire, DROP_ARP_OTHER);
    for (unsigned op = 0; op < 12; op++) { /* replies, RARP, InARP ... */
        if (op == 1)
            continue;
        rig_arp(&wire, rig_gateway_mac, rig_station_mac, (uint16_t)op, rig_station_mac, RIG_STATION,
                rig_gateway_mac, RIG_GATEWAY);
        rig_expect_drop(rig, &wire, DROP_ARP_OTHER);
    }
    assert_int_equal(rig->tun.hosts.used, 0);
}

static void senders_that_cannot_be_are_refused(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    static const char *const bad[] = {RIG_GATEWAY,      RIG_FAR,           "127.0.0.1", "10.152.128.0",
                                      "10.152.191.255", "255.255.255.255", "224.0.0.1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        request(&wire, bad[i], RIG_GATEWAY);
        rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
    }
    request(&wire, RIG_GATEWAY, RIG_GATEWAY); /* somebody announces our address as his */
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
    rig_arp(&wire, everybody, rig_station_mac, 2, rig_station_mac, RIG_GATEWAY, everybody, RIG_GATEWAY);
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
    assert_int_equal(rig->tun.hosts.used, 0);
}

static void a_sender_that_is_not_the_frames_is_refused(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    rig_arp(&wire, everybody, rig_station_mac, 1, rig_other_mac, RIG_STATION, nobody, RIG_GATEWAY);
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
    assert_int_equal(rig->tun.hosts.used, 0);
}

static void a_binding_cannot_be_poisoned(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    request(&wire, RIG_STATION, RIG_GATEWAY);
    rig_expect_use(rig, &wire);
    rig_arp(&wire, everybody, rig_other_mac, 1, rig_other_mac, RIG_STATION, nobody, RIG_GATEWAY);
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
    rig_arp(&wire, rig_gateway_mac, rig_other_mac, 2, rig_other_mac, RIG_STATION, rig_gateway_mac, RIG_GATEWAY);
    rig_expect_drop(rig, &wire, DROP_ARP_OTHER);
    assert_true(is_bound(rig, RIG_STATION, rig_station_mac));
    assert_int_equal(rig->tun.hosts.used, 1);
}

static void malformed_messages_are_bad(void **state)
{
    struct rig *rig = *state;
    struct wire good, wire;
    request(&good, RIG_STATION, RIG_GATEWAY);
    for (size_t n = FRAME_HEADER_LEN; n < good.n; n++) {
        wire = good;
        wire.n = n;
        rig_expect_drop(rig, &wire, DROP_ARP_BAD);
    }
    for (size_t i = 0; i < 6; i++) { /* hardware type, protocol type, both lengths */
        wire = good;
        wire.b[FRAME_HEADER_LEN + i] ^= 2;
        rig_expect_drop(rig, &wire, DROP_ARP_BAD);
    }
}

static void arp_to_a_multicast_address_is_foreign(void **state)
{
    struct wire wire;
    rig_arp(&wire, (const uint8_t *)"\x01\x00\x5e\x00\x00\x01", rig_station_mac, 1, rig_station_mac, RIG_STATION,
            nobody, RIG_GATEWAY);
    rig_expect_drop(*state, &wire, DROP_FRAME_FOREIGN);
}

static void a_reply_that_the_link_does_not_take_is_counted(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    request(&wire, RIG_STATION, RIG_GATEWAY);
    rig->send_result = -11;
    rig_feed(rig, &wire);
    assert_int_equal(rig->tun.counters.frames_used, 1);
    assert_int_equal(rig->tun.counters.arp_replies, 0);
    assert_int_equal(rig->tun.counters.frames_out, 0);
    assert_int_equal(rig->tun.drops.by[DROP_SEND], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_for_the_gateway_is_answered_and_binds_its_sender, start, stop),
        cmocka_unit_test_setup_teardown(a_unicast_request_with_padding_is_answered_too, start, stop),
        cmocka_unit_test_setup_teardown(a_probe_for_the_gateways_address_is_answered_but_binds_nobody, start, stop),
        cmocka_unit_test_setup_teardown(what_asks_nothing_of_the_gateway_is_dropped_and_binds_nobody, start, stop),
        cmocka_unit_test_setup_teardown(senders_that_cannot_be_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(a_sender_that_is_not_the_frames_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(a_binding_cannot_be_poisoned, start, stop),
        cmocka_unit_test_setup_teardown(malformed_messages_are_bad, start, stop),
        cmocka_unit_test_setup_teardown(arp_to_a_multicast_address_is_foreign, start, stop),
        cmocka_unit_test_setup_teardown(a_reply_that_the_link_does_not_take_is_counted, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
