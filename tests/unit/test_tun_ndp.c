/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbour discovery and ICMPv6: who is answered, who is bound, and who is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tun/output.h"
#include "tun_rig.h"

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

#define GROUP "ff02::1:ff00:10" /* the solicited-node address of both gateway addresses */

/* A solicitation for `target`, from `src` to the group, with the sender's MAC address unless it is NULL. */
static struct spec solicit(struct wire *wire, const char *src, const char *target, const uint8_t *mac)
{
    struct wire message;
    struct spec spec = rig_spec6(58);
    struct ipaddr t = rig_addr(target);
    uint8_t body[24] = {0};
    memcpy(body, t.b, 16);
    body[16] = 1;
    body[17] = 1;
    if (mac != NULL)
        memcpy(body + 18, mac, 6);
    memcpy(spec.dst_mac, "\x33\x33\xff\x00\x00\x10", 6);
    spec.src = src;
    spec.dst = GROUP;
    spec.hop_limit = 255;
    rig_icmpv6(&message, &spec, 135, 0, 0, body, mac != NULL ? 24 : 16);
    rig_frame(wire, &spec, &message);
    return spec;
}

/* The advertisement that `target` is at the gateway's MAC, from there to `dst`. */
static void advertisement(struct wire *wire, const char *target, const char *dst, const uint8_t *dst_mac,
                          uint32_t flags)
{
    struct wire message;
    struct spec spec = rig_spec6(58);
    struct ipaddr t = rig_addr(target);
    uint8_t body[24] = {0};
    memcpy(body, t.b, 16);
    body[16] = 2;
    body[17] = 1;
    memcpy(body + 18, rig_gateway_mac, 6);
    memcpy(spec.dst_mac, dst_mac, 6);
    memcpy(spec.src_mac, rig_gateway_mac, 6);
    spec.src = target;
    spec.dst = dst;
    spec.hop_limit = 255;
    rig_icmpv6(&message, &spec, 136, 0, flags, body, 24);
    rig_frame(wire, &spec, &message);
    memcpy(wire->b + 24, "\x60\0\0\0", 4);
}

static bool is_bound(const struct rig *rig, const char *addr, const uint8_t mac[6])
{
    struct ipaddr a = rig_addr(addr);
    return hosts_is_bound(&rig->tun.hosts, &a, mac);
}

static void a_solicitation_for_the_gateway_is_answered_and_binds_its_sender(void **state)
{
    struct rig *rig = *state;
    struct wire wire, expected;
    static const char *const senders[] = {RIG_STATION6, "fe80::11"};
    static const char *const targets[] = {RIG_GATEWAY6, "fe80::10"};
    for (unsigned i = 0; i < 4; i++) {
        solicit(&wire, senders[i / 2], targets[i % 2], rig_station_mac);
        rig_expect_use(rig, &wire);
        advertisement(&expected, targets[i % 2], senders[i / 2], rig_station_mac, 0xe0000000);
        rig_expect_sent(rig, i, &expected);
        assert_true(is_bound(rig, senders[i / 2], rig_station_mac));
    }
    assert_int_equal(rig->tun.counters.arp_replies, 4);
}

static void a_unicast_solicitation_without_a_mac_address_is_answered_too(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message;
    struct spec spec = rig_spec6(58);
    struct ipaddr target = rig_addr(RIG_GATEWAY6);
    spec.dst = RIG_GATEWAY6;
    spec.hop_limit = 255;
    rig_icmpv6(&message, &spec, 135, 0, 0, target.b, 16);
    rig_frame(&wire, &spec, &message);
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->sent_count, 1);
}

static void who_wants_our_address_is_told_that_it_is_taken(void **state)
{
    struct rig *rig = *state;
    struct wire wire, expected;
    solicit(&wire, "::", RIG_GATEWAY6, NULL);
    rig_expect_use(rig, &wire);
    advertisement(&expected, RIG_GATEWAY6, "ff02::1", (const uint8_t *)"\x33\x33\0\0\0\1", 0xa0000000);
    rig_expect_sent(rig, 0, &expected);
    assert_int_equal(rig->tun.hosts.used, 0);
}

static void other_targets_are_not_ours(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    solicit(&wire, RIG_STATION6, RIG_OTHER6, rig_station_mac);
    rig_expect_drop(rig, &wire, DROP_NDP_OTHER);
    solicit(&wire, "::", "fd19:c33d:88bc:ffff::10", NULL); /* of the same group */
    rig_expect_drop(rig, &wire, DROP_NDP_OTHER);
    assert_int_equal(rig->tun.hosts.used, 0);
}

static void a_solicitation_to_another_group_is_not_ours(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message;
    struct spec spec = rig_spec6(58);
    struct ipaddr target = rig_addr(RIG_GATEWAY6);
    spec.dst = "ff02::1";
    spec.hop_limit = 255;
    memcpy(spec.dst_mac, "\x33\x33\0\0\0\1", 6);
    rig_icmpv6(&message, &spec, 135, 0, 0, target.b, 16);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_OTHER);
}

static void the_rest_of_neighbour_discovery_is_not_for_us(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message;
    struct spec spec = rig_spec6(58);
    uint8_t body[64] = {0};
    spec.hop_limit = 255;
    spec.dst = RIG_GATEWAY6;
    static const uint8_t types[] = {133, 134, 137};
    for (size_t i = 0; i < 3; i++) {
        rig_icmpv6(&message, &spec, types[i], 0, 0, body, sizeof(body));
        rig_frame(&wire, &spec, &message);
        rig_expect_drop(rig, &wire, DROP_NDP_OTHER);
    }
    assert_int_equal(rig->tun.hosts.used, 0);
}

static void malformed_solicitations_are_bad(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message;
    struct spec spec = solicit(&wire, RIG_STATION6, RIG_GATEWAY6, rig_station_mac);
    struct ipaddr target = rig_addr(RIG_GATEWAY6), group = rig_addr("ff02::10");
    uint8_t body[40] = {0};
    memcpy(body, target.b, 16);

    for (size_t n = 0; n < 16; n++) { /* without a whole target */
        rig_icmpv6(&message, &spec, 135, 0, 0, body, n);
        rig_frame(&wire, &spec, &message);
        rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    }
    rig_icmpv6(&message, &spec, 135, 1, 0, body, 16); /* a code */
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    rig_icmpv6(&message, &spec, 135, 0, 0, body, 24); /* an option without a length */
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    body[16] = 14;
    body[17] = 2;
    rig_icmpv6(&message, &spec, 135, 0, 0, body, 24); /* an option past the message */
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    rig_icmpv6(&message, &spec, 135, 0, 0, body, 17); /* half an option */
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    memcpy(body, group.b, 16);
    rig_icmpv6(&message, &spec, 135, 0, 0, body, 16); /* a group as the target */
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    memcpy(body, target.b, 16);
    rig_icmpv6(&message, &spec, 135, 0, 0, body, 16);
    message.b[3] ^= 1; /* a wrong checksum */
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    spec.hop_limit = 254; /* from another link */
    rig_icmpv6(&message, &spec, 135, 0, 0, body, 16);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);
}

static void a_probe_must_look_like_one(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message;
    struct ipaddr target = rig_addr(RIG_GATEWAY6);
    solicit(&wire, "::", RIG_GATEWAY6, rig_station_mac); /* who has no address must not say a MAC */
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    struct spec spec = rig_spec6(58);
    spec.src = "::";
    spec.dst = RIG_GATEWAY6; /* and does not know where we are */
    spec.hop_limit = 255;
    rig_icmpv6(&message, &spec, 135, 0, 0, target.b, 16);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);
}

static void senders_that_cannot_be_are_refused(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    static const char *const bad[] = {RIG_GATEWAY6, "fe80::10", RIG_FAR6, "::1", "ff02::1", "fd19:c33d:88bc::"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        solicit(&wire, bad[i], RIG_GATEWAY6, rig_station_mac);
        rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
    }
    solicit(&wire, RIG_STATION6, RIG_GATEWAY6, rig_other_mac); /* the option is not the frame's source */
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
    assert_int_equal(rig->tun.hosts.used, 0);
}

static void a_binding_cannot_be_poisoned(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message;
    struct spec spec = solicit(&wire, RIG_STATION6, RIG_GATEWAY6, rig_station_mac);
    struct ipaddr target = rig_addr(RIG_GATEWAY6);
    rig_expect_use(rig, &wire);
    memcpy(spec.src_mac, rig_other_mac, 6);
    rig_icmpv6(&message, &spec, 135, 0, 0, target.b, 16);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
    assert_true(is_bound(rig, RIG_STATION6, rig_station_mac));
}

static void an_echo_request_to_the_gateway_is_answered(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message, expected;
    static const char *const gateways[] = {RIG_GATEWAY6, "fe80::10"};
    for (unsigned i = 0; i < 2; i++) {
        struct spec spec = rig_spec6(58), back = rig_spec6(58);
        spec.dst = gateways[i];
        rig_icmpv6(&message, &spec, 128, 0, 0x00010002, "odd body.", 9);
        rig_frame(&wire, &spec, &message);
        rig_expect_use(rig, &wire);
        back.src = gateways[i];
        back.dst = RIG_STATION6;
        memcpy(back.dst_mac, rig_station_mac, 6);
        memcpy(back.src_mac, rig_gateway_mac, 6);
        rig_icmpv6(&message, &back, 129, 0, 0x00010002, "odd body.", 9);
        rig_frame(&expected, &back, &message);
        memcpy(expected.b + 24, "\x60\0\0\0", 4);
        rig_expect_sent(rig, i, &expected);
    }
}

static void an_echo_request_whose_answer_would_not_fit_is_dropped(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message;
    struct spec spec = rig_spec6(58);
    uint8_t body[1500] = {0};
    spec.dst = RIG_GATEWAY6;
    rig_icmpv6(&message, &spec, 128, 0, 1, body, 1500 - 48);
    rig_frame(&wire, &spec, &message);
    rig_expect_use(rig, &wire);
    rig_icmpv6(&message, &spec, 128, 0, 1, body, 1500 - 47);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_ICMP);
}

static void other_icmpv6_is_dropped(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message;
    struct spec spec = rig_spec6(58);
    spec.dst = RIG_GATEWAY6;
    for (unsigned type = 0; type < 256; type++) {
        if (type == 128 || type == 130 || (type >= 133 && type <= 137))
            continue;
        rig_icmpv6(&message, &spec, (uint8_t)type, 0, 0, "12345678", 8);
        rig_frame(&wire, &spec, &message);
        rig_expect_drop(rig, &wire, DROP_ICMP);
    }
    rig_icmpv6(&message, &spec, 128, 1, 0, "12345678", 8);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_ICMP);
    rig_icmpv6(&message, &spec, 128, 0, 0, "12345678", 8);
    message.b[9] ^= 1;
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_ICMP);
    spec.dst = RIG_FAR6;
    rig_icmpv6(&message, &spec, 128, 0, 0, "12345678", 8);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_ICMP);
    spec.dst = "ff02::16"; /* multicast listener reports */
    memcpy(spec.dst_mac, "\x33\x33\0\0\0\x16", 6);
    rig_icmpv6(&message, &spec, 143, 0, 0, "12345678", 8);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_IP_DESTINATION);
}

static void packet_too_big_is_handed_on_as_the_flow_has_it(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message;
    struct spec spec = rig_spec6(58);
    struct ipaddr station = rig_addr(RIG_STATION6), far = rig_addr(RIG_FAR6);
    uint8_t quoted[48] = {0x60, 0, 0, 0, 0x05, 0xb4, 6, 64};
    memcpy(quoted + 8, far.b, 16);
    memcpy(quoted + 24, station.b, 16);
    memcpy(quoted + 40, "\x01\xbb\x9c\x40\xde\xad\xbe\xef", 8);
    rig_icmpv6(&message, &spec, 2, 0, 1400, quoted, sizeof(quoted));
    rig_frame(&wire, &spec, &message);
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->too_big_count, 1);
    assert_true(ipaddr_equal(&rig->too_big_tuple.src, &station));
    assert_true(ipaddr_equal(&rig->too_big_tuple.dst, &far));
    assert_int_equal(rig->too_big_tuple.src_port, 40000);
    assert_int_equal(rig->too_big_tuple.dst_port, 443);
    assert_int_equal(rig->too_big_seq, 0xdeadbeef);
    assert_int_equal(rig->too_big_mtu, 1400);
    for (size_t n = 0; n < 48; n++) {
        rig_icmpv6(&message, &spec, 2, 0, 1400, quoted, n);
        rig_frame(&wire, &spec, &message);
        rig_expect_drop(rig, &wire, DROP_ICMP);
    }
    quoted[6] = 17;
    rig_icmpv6(&message, &spec, 2, 0, 1400, quoted, 48);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_ICMP);
    assert_int_equal(rig->too_big_count, 1);
}

static void unreachable_over_ipv6_is_handed_on(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message;
    struct spec spec = rig_spec6(58);
    struct ipaddr station = rig_addr(RIG_STATION6), far = rig_addr(RIG_FAR6);
    uint8_t quoted[48] = {0x60, 0, 0, 0, 0, 40, 6, 64};
    memcpy(quoted + 8, far.b, 16);
    memcpy(quoted + 24, station.b, 16);
    memcpy(quoted + 40, "\x01\xbb\x9c\x40\xde\xad\xbe\xef", 8);
    for (uint8_t code = 0; code < 8; code++) {
        rig_icmpv6(&message, &spec, 1, code, 0, quoted, sizeof(quoted));
        rig_frame(&wire, &spec, &message);
        rig_expect_use(rig, &wire);
        assert_int_equal(rig->unreachable_count, code + 1);
        assert_int_equal(rig->unreachable_hard, code == 4);
        assert_true(ipaddr_equal(&rig->unreachable_tuple.src, &station));
        assert_true(ipaddr_equal(&rig->unreachable_tuple.dst, &far));
        assert_int_equal(rig->unreachable_seq, 0xdeadbeef);
    }
    rig_icmpv6(&message, &spec, 1, 4, 0, quoted, 47);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_ICMP);
}

static void an_offload_header_on_icmpv6_is_dropped(void **state)
{
    struct wire wire, message;
    struct spec spec = rig_spec6(58);
    spec.dst = RIG_GATEWAY6;
    spec.offload =
        (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 54, .csum_offset = 2};
    rig_icmpv6(&message, &spec, 128, 0, 0, "12345678", 8);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(*state, &wire, DROP_FRAME_OFFLOAD);
}

static void an_announcement_is_made_for_both_families(void **state)
{
    struct rig *rig = *state;
    struct wire expected;
    assert_int_equal(output_announce(&rig->tun), 0);
    assert_int_equal(rig->sent_count, 4); /* an ARP request, a listener's report, and: */
    advertisement(&expected, RIG_GATEWAY6, "ff02::1", (const uint8_t *)"\x33\x33\0\0\0\1", 0xa0000000);
    rig_expect_sent(rig, 2, &expected);
    advertisement(&expected, "fe80::10", "ff02::1", (const uint8_t *)"\x33\x33\0\0\0\1", 0xa0000000);
    rig_expect_sent(rig, 3, &expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_solicitation_for_the_gateway_is_answered_and_binds_its_sender, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_unicast_solicitation_without_a_mac_address_is_answered_too, start, stop),
        cmocka_unit_test_setup_teardown(who_wants_our_address_is_told_that_it_is_taken, start, stop),
        cmocka_unit_test_setup_teardown(other_targets_are_not_ours, start, stop),
        cmocka_unit_test_setup_teardown(a_solicitation_to_another_group_is_not_ours, start, stop),
        cmocka_unit_test_setup_teardown(the_rest_of_neighbour_discovery_is_not_for_us, start, stop),
        cmocka_unit_test_setup_teardown(malformed_solicitations_are_bad, start, stop),
        cmocka_unit_test_setup_teardown(a_probe_must_look_like_one, start, stop),
        cmocka_unit_test_setup_teardown(senders_that_cannot_be_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(a_binding_cannot_be_poisoned, start, stop),
        cmocka_unit_test_setup_teardown(an_echo_request_to_the_gateway_is_answered, start, stop),
        cmocka_unit_test_setup_teardown(an_echo_request_whose_answer_would_not_fit_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(other_icmpv6_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(packet_too_big_is_handed_on_as_the_flow_has_it, start, stop),
        cmocka_unit_test_setup_teardown(unreachable_over_ipv6_is_handed_on, start, stop),
        cmocka_unit_test_setup_teardown(an_offload_header_on_icmpv6_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(an_announcement_is_made_for_both_families, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
