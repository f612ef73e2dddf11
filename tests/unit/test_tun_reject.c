/* SPDX-License-Identifier: BSD-3-Clause */
/* What is dropped is refused, where it may be: the ICMP errors of `reject`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tun_rig.h"

static int start(void **state)
{
    struct tun_config config = rig_config6();
    config.reject = true;
    *state = rig_start(&config);
    ((struct rig *)*state)->udp_result = DROP_UDP;
    return 0;
}

static int stop(void **state)
{
    rig_stop(*state);
    return 0;
}

/* Feed and insist that the frame was dropped for `why`, and answered or not. */
static void expect_refused(struct rig *rig, const struct wire *wire, enum drop why, bool told)
{
    uint64_t before = rig->tun.drops.by[why], used = rig->tun.counters.frames_used;
    rig->sent_count = 0;
    rig_feed(rig, wire);
    assert_int_equal(rig->tun.drops.by[why], before + 1);
    assert_int_equal(rig->tun.counters.frames_used, used);
    assert_int_equal(rig->sent_count, told);
}

/* The error of the gateway about the packet in `about`, of which `quoted` bytes are quoted. */
static void error_about(struct wire *out, const struct wire *about, bool v4, uint8_t type, uint8_t code,
                        uint32_t rest, size_t quoted)
{
    struct wire message;
    struct spec spec = v4 ? rig_spec(1) : rig_spec6(58);
    spec.src = v4 ? RIG_GATEWAY : RIG_GATEWAY6;
    spec.dst = v4 ? RIG_STATION : RIG_STATION6;
    memcpy(spec.src_mac, rig_gateway_mac, 6);
    memcpy(spec.dst_mac, rig_station_mac, 6);
    if (v4)
        rig_icmp(&message, type, code, rest, about->b + 24, quoted);
    else
        rig_icmpv6(&message, &spec, type, code, rest, about->b + 24, quoted);
    spec.fragment = 0x4000;
    rig_frame(out, &spec, &message);
    if (!v4)
        memcpy(out->b + 24, "\x60\0\0\0", 4);
    else
        memset(out->b + 28, 0, 2); /* identification; the checksum follows */
    if (v4) {
        memset(out->b + 34, 0, 2);
        uint16_t sum = (uint16_t)~ref_fold(ref_sum(0, out->b + 24, 20));
        out->b[34] = (uint8_t)(sum >> 8);
        out->b[35] = (uint8_t)sum;
    }
}

static void a_datagram_is_told_that_its_port_is_unreachable(void **state)
{
    struct rig *rig = *state;
    struct wire wire, datagram, expected;
    static const char *const far[] = {RIG_FAR, RIG_GATEWAY, RIG_FAR6, RIG_GATEWAY6, "fe80::10"};
    for (size_t i = 0; i < 5; i++) {
        bool v4 = i < 2;
        struct spec spec = v4 ? rig_spec(17) : rig_spec6(17);
        spec.dst = far[i];
        rig_udp(&datagram, &spec, 443, 100);
        rig_frame(&wire, &spec, &datagram);
        expect_refused(rig, &wire, DROP_UDP, true);
        error_about(&expected, &wire, v4, v4 ? 3 : 1, v4 ? 3 : 4, 0, (v4 ? 28 : 48) + 100);
        rig_expect_sent(rig, 0, &expected);
    }
    assert_int_equal(rig->tun.counters.rejects, 5);
}

static void a_long_datagram_is_quoted_as_far_as_every_path_carries_it(void **state)
{
    struct rig *rig = *state;
    struct wire wire, datagram, expected;
    struct spec spec = rig_spec(17);
    rig_udp(&datagram, &spec, 443, 1400);
    rig_frame(&wire, &spec, &datagram);
    expect_refused(rig, &wire, DROP_UDP, true);
    error_about(&expected, &wire, true, 3, 3, 0, 576 - 28);
    rig_expect_sent(rig, 0, &expected);

    spec = rig_spec6(17);
    rig_udp(&datagram, &spec, 443, 1400);
    rig_frame(&wire, &spec, &datagram);
    expect_refused(rig, &wire, DROP_UDP, true);
    error_about(&expected, &wire, false, 1, 4, 0, 1280 - 48);
    rig_expect_sent(rig, 0, &expected);
}

static void padding_is_not_quoted(void **state)
{
    struct rig *rig = *state;
    struct wire wire, datagram, expected;
    struct spec spec = rig_spec(17);
    spec.padding = 20;
    rig_udp(&datagram, &spec, 443, 4);
    rig_frame(&wire, &spec, &datagram);
    expect_refused(rig, &wire, DROP_UDP, true);
    error_about(&expected, &wire, true, 3, 3, 0, 32);
    rig_expect_sent(rig, 0, &expected);
}

static void a_connection_from_an_address_of_the_link_is_told_that_it_ends_there(void **state)
{
    struct rig *rig = *state;
    rig->tun.config.reject = false; /* as all connections */
    struct wire wire, payload;
    struct spec spec = rig_spec6(6);
    const struct ipaddr neighbour = rig_addr("fe80::11");
    spec.src = "fe80::11";
    rig_tcp(&payload, &spec, 1);
    rig_frame(&wire, &spec, &payload);
    expect_refused(rig, &wire, DROP_IP_SOURCE, true);
    const uint8_t *ip = rig->sent[0].b + 24;
    assert_memory_equal(ip + 24, neighbour.b, 16);
    assert_int_equal(ip[40], 1); /* unreachable: */
    assert_int_equal(ip[41], 2); /* beyond scope of source address */
    assert_memory_equal(ip + 48, wire.b + 24, wire.n - 24);
    assert_int_equal(rig->tun.counters.rejects, 1);
    assert_int_equal(rig->tcp_count, 0);

    /* Not to somebody else's, the gateway's own, or about what has no destination; nor for ever. */
    static const struct {
        const char *src, *dst;
    } silent[] = {{"fd19:c33d:88bc:1::11", RIG_FAR6},
                  {"fe80::10", RIG_FAR6},
                  {"fe80::11", "fe80::12"},
                  {"fe80::11", "ff0e::1"}};
    for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
        struct spec other = rig_spec6(6);
        other.src = silent[i].src;
        other.dst = silent[i].dst;
        rig_frame(&wire, &other, &payload);
        expect_refused(rig, &wire, DROP_IP_SOURCE, false);
    }
    unsigned told = 0;
    rig_frame(&wire, &spec, &payload);
    for (unsigned i = 0; i < 200; i++) {
        rig->sent_count = 0;
        rig_feed(rig, &wire);
        told += rig->sent_count;
    }
    assert_int_equal(told, 99);
}

static void an_unknown_protocol_is_told_so(void **state)
{
    struct rig *rig = *state;
    struct wire wire, payload = {.n = 12}, expected;
    struct spec spec = rig_spec(132); /* SCTP */
    rig_frame(&wire, &spec, &payload);
    expect_refused(rig, &wire, DROP_IP_PROTOCOL, true);
    error_about(&expected, &wire, true, 3, 2, 0, 32);
    rig_expect_sent(rig, 0, &expected);

    spec = rig_spec6(132);
    rig_frame(&wire, &spec, &payload);
    expect_refused(rig, &wire, DROP_IP_PROTOCOL, true);
    error_about(&expected, &wire, false, 4, 1, 6, 52); /* parameter problem: the next header field */
    rig_expect_sent(rig, 0, &expected);

    /* Behind a destination header, that header's field is the one. */
    spec = rig_spec6(60);
    memcpy(spec.options, "\x84\0\1\4\0\0\0\0", 8);
    spec.options_len = 8;
    rig_frame(&wire, &spec, &payload);
    expect_refused(rig, &wire, DROP_IP_PROTOCOL, true);
    error_about(&expected, &wire, false, 4, 1, 40, 60);
    rig_expect_sent(rig, 0, &expected);

    spec = rig_spec6(59); /* no next header: nothing to complain about */
    rig_frame(&wire, &spec, &payload);
    expect_refused(rig, &wire, DROP_IP_PROTOCOL, false);
}

static void an_echo_request_to_somebody_else_is_told_that_it_may_not(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message, expected;
    struct spec spec = rig_spec(1);
    rig_icmp(&message, 8, 0, 1, "12345678", 8);
    rig_frame(&wire, &spec, &message);
    expect_refused(rig, &wire, DROP_ICMP, true);
    error_about(&expected, &wire, true, 3, 13, 0, 36);
    rig_expect_sent(rig, 0, &expected);

    spec = rig_spec6(58);
    rig_icmpv6(&message, &spec, 128, 0, 1, "12345678", 8);
    rig_frame(&wire, &spec, &message);
    expect_refused(rig, &wire, DROP_ICMP, true);
    error_about(&expected, &wire, false, 1, 1, 0, 56);
    rig_expect_sent(rig, 0, &expected);
}

static void errors_and_replies_are_never_answered(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message;
    for (unsigned type = 0; type < 256; type++) {
        struct spec spec = rig_spec(1);
        if (type != 8) {
            rig_icmp(&message, (uint8_t)type, 1, 0, "12345678", 8);
            rig_frame(&wire, &spec, &message);
            expect_refused(rig, &wire, DROP_ICMP, false);
        }
        spec = rig_spec6(58);
        if (type != 128 && type != 130 && (type < 133 || type > 137)) {
            rig_icmpv6(&message, &spec, (uint8_t)type, 0, 0, "12345678", 8);
            rig_frame(&wire, &spec, &message);
            expect_refused(rig, &wire, DROP_ICMP, false);
        }
    }
}

static void nothing_is_said_about_what_went_to_a_group(void **state)
{
    struct rig *rig = *state;
    struct wire wire, datagram;
    static const struct {
        const char *dst;
        const char *mac;
        enum drop why;
    } groups[] = {
        {"255.255.255.255", "\xff\xff\xff\xff\xff\xff", DROP_FRAME_FOREIGN},
        {"224.0.0.251", "\x01\x00\x5e\x00\x00\xfb", DROP_FRAME_FOREIGN},
        {RIG_FAR, "\xff\xff\xff\xff\xff\xff", DROP_FRAME_FOREIGN}, /* link-layer broadcast only */
        {"10.152.191.255", NULL, DROP_IP_DESTINATION},
        {"255.255.255.255", NULL, DROP_IP_DESTINATION},
        {"224.0.0.251", NULL, DROP_IP_DESTINATION},
        {"ff02::fb", "\x33\x33\0\0\0\xfb", DROP_IP_DESTINATION},
        {"ff02::fb", NULL, DROP_IP_DESTINATION},
        {RIG_FAR6, "\x33\x33\0\0\0\xfb", DROP_FRAME_FOREIGN},
    };
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        struct spec spec = strchr(groups[i].dst, ':') != NULL ? rig_spec6(17) : rig_spec(17);
        spec.dst = groups[i].dst;
        if (groups[i].mac != NULL)
            memcpy(spec.dst_mac, groups[i].mac, 6);
        rig_udp(&datagram, &spec, 5353, 10);
        rig_frame(&wire, &spec, &datagram);
        expect_refused(rig, &wire, groups[i].why, false);
    }
}

static void malformed_fragmented_and_forged_packets_are_not_answered(void **state)
{
    struct rig *rig = *state;
    struct wire wire, datagram;
    struct spec spec = rig_spec(17);
    rig_udp(&datagram, &spec, 443, 10);
    datagram.b[6] ^= 1; /* checksum */
    rig_frame(&wire, &spec, &datagram);
    expect_refused(rig, &wire, DROP_UDP_BAD, false);
    rig_udp(&datagram, &spec, 443, 10);
    spec.fragment = 0x2000;
    rig_frame(&wire, &spec, &datagram);
    expect_refused(rig, &wire, DROP_IP_FRAGMENT, false);
    spec = rig_spec(17);
    rig_frame(&wire, &spec, &datagram);
    expect_refused(rig, &wire, DROP_UDP, true);
    memcpy(spec.src_mac, rig_other_mac, 6); /* the address is taken by now */
    rig_frame(&wire, &spec, &datagram);
    expect_refused(rig, &wire, DROP_IP_SOURCE, false);
}

static unsigned told_of(struct rig *rig, const struct wire *wire, unsigned count)
{
    unsigned told = 0;
    for (unsigned i = 0; i < count; i++) {
        rig->sent_count = 0;
        rig_feed(rig, wire);
        told += rig->sent_count;
    }
    return told;
}

static void each_workstation_has_an_allowance_of_its_own(void **state)
{
    struct rig *rig = *state;
    struct wire wire, datagram, other;
    struct spec spec = rig_spec(17);
    rig_udp(&datagram, &spec, 443, 10);
    rig_frame(&wire, &spec, &datagram);
    assert_int_equal(told_of(rig, &wire, 1000), 100);
    rig->now += 1000000;
    assert_int_equal(told_of(rig, &wire, 1000), 50);

    /* Another address does not help, another workstation is not harmed. */
    spec.src = RIG_OTHER;
    rig_udp(&datagram, &spec, 443, 10);
    rig_frame(&other, &spec, &datagram);
    assert_int_equal(told_of(rig, &other, 10), 0);
    spec.src = "10.152.152.13";
    memcpy(spec.src_mac, rig_other_mac, 6);
    rig_udp(&datagram, &spec, 443, 10);
    rig_frame(&other, &spec, &datagram);
    assert_int_equal(told_of(rig, &other, 10), 10);

    rig->now += 100 * UINT64_C(1000000);
    assert_int_equal(told_of(rig, &wire, 1000), 100);
}

static void nothing_is_refused_unless_it_is_to_be(void **state)
{
    const struct tun_config config = rig_config6();
    struct wire wire, datagram;
    (void)state;
    struct rig *rig = rig_start(&config);
    rig->udp_result = DROP_UDP;
    for (unsigned i = 0; i < 2; i++) {
        struct spec spec = i == 0 ? rig_spec(17) : rig_spec6(17);
        rig_udp(&datagram, &spec, 443, 10);
        rig_frame(&wire, &spec, &datagram);
        expect_refused(rig, &wire, DROP_UDP, false);
    }
    rig_stop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_datagram_is_told_that_its_port_is_unreachable, start, stop),
        cmocka_unit_test_setup_teardown(a_long_datagram_is_quoted_as_far_as_every_path_carries_it, start, stop),
        cmocka_unit_test_setup_teardown(padding_is_not_quoted, start, stop),
        cmocka_unit_test_setup_teardown(a_connection_from_an_address_of_the_link_is_told_that_it_ends_there, start,
                                        stop),
        cmocka_unit_test_setup_teardown(an_unknown_protocol_is_told_so, start, stop),
        cmocka_unit_test_setup_teardown(an_echo_request_to_somebody_else_is_told_that_it_may_not, start, stop),
        cmocka_unit_test_setup_teardown(errors_and_replies_are_never_answered, start, stop),
        cmocka_unit_test_setup_teardown(nothing_is_said_about_what_went_to_a_group, start, stop),
        cmocka_unit_test_setup_teardown(malformed_fragmented_and_forged_packets_are_not_answered, start, stop),
        cmocka_unit_test_setup_teardown(each_workstation_has_an_allowance_of_its_own, start, stop),
        cmocka_unit_test(nothing_is_refused_unless_it_is_to_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
