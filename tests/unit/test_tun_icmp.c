/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP: echo, "fragmentation needed", and the many that are dropped. */
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

static void icmp(struct wire *wire, const char *dst, uint8_t type, uint8_t code, uint32_t rest, const void *body,
                 size_t n)
{
    struct wire message;
    struct spec spec = rig_spec(1);
    spec.dst = dst;
    rig_icmp(&message, type, code, rest, body, n);
    rig_frame(wire, &spec, &message);
}

static void an_echo_request_to_the_gateway_is_answered(void **state)
{
    struct rig *rig = *state;
    struct wire wire, expected, message;
    uint8_t body[64];
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (uint8_t)(i * 3);
    struct spec back = rig_spec(1);
    back.src = RIG_GATEWAY;
    back.dst = RIG_STATION;
    back.fragment = 0x4000;
    memcpy(back.dst_mac, rig_station_mac, 6);
    memcpy(back.src_mac, rig_gateway_mac, 6);
    static const size_t lengths[] = {0, 1, 2, 55, 56, 64};
    for (unsigned i = 0; i < 6; i++) {
        icmp(&wire, RIG_GATEWAY, 8, 0, 0xabcd0001, body, lengths[i]);
        rig_expect_use(rig, &wire);
        rig_icmp(&message, 0, 0, 0xabcd0001, body, lengths[i]);
        rig_frame(&expected, &back, &message);
        /* The identification is ours to choose: 0, as nothing is ever fragmented. */
        expected.b[24 + 4] = expected.b[24 + 5] = 0;
        expected.b[24 + 10] = expected.b[24 + 11] = 0;
        uint16_t sum = (uint16_t)~ref_fold(ref_sum(0, expected.b + 24, 20));
        expected.b[24 + 10] = (uint8_t)(sum >> 8);
        expected.b[24 + 11] = (uint8_t)sum;
        rig_expect_sent(rig, i, &expected);
    }
    assert_int_equal(rig->tun.counters.echo_replies, 6);
}

static void an_echo_request_to_anybody_else_is_not(void **state)
{
    struct wire wire;
    icmp(&wire, RIG_FAR, 8, 0, 1, "12345678", 8);
    rig_expect_drop(*state, &wire, DROP_ICMP);
    icmp(&wire, RIG_OTHER, 8, 0, 1, "12345678", 8);
    rig_expect_drop(*state, &wire, DROP_ICMP);
}

static void an_echo_request_whose_answer_would_not_fit_is_dropped(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    uint8_t body[1500] = {0};
    icmp(&wire, RIG_GATEWAY, 8, 0, 1, body, 1500 - 28);
    rig_expect_use(rig, &wire);
    icmp(&wire, RIG_GATEWAY, 8, 0, 1, body, 1500 - 27);
    rig_expect_drop(rig, &wire, DROP_ICMP);
}

static void a_wrong_checksum_or_a_short_message_is_dropped(void **state)
{
    struct wire wire, message;
    struct spec spec = rig_spec(1);
    spec.dst = RIG_GATEWAY;
    for (size_t i = 0; i < 16; i++) {
        rig_icmp(&message, 8, 0, 1, "12345678", 8);
        message.b[i] ^= 0x40;
        rig_frame(&wire, &spec, &message);
        rig_expect_drop(*state, &wire, DROP_ICMP);
    }
    for (size_t n = 0; n < 8; n++) {
        memset(message.b, 0xff, 8); /* sums up right at any even length */
        message.n = n;
        rig_frame(&wire, &spec, &message);
        rig_expect_drop(*state, &wire, DROP_ICMP);
    }
}

static void every_other_type_and_code_is_dropped(void **state)
{
    struct wire wire;
    for (unsigned type = 0; type < 256; type++) {
        for (unsigned code = 0; code < 16; code++) {
            if (type == 8 && code == 0)
                continue;
            icmp(&wire, RIG_GATEWAY, (uint8_t)type, (uint8_t)code, 1, "12345678", 8);
            rig_expect_drop(*state, &wire, DROP_ICMP);
        }
    }
}

/* What a workstation quotes of a segment that we sent it. */
static void quote(struct wire *wire, const char *src, const char *dst, uint8_t protocol)
{
    struct ipaddr from = rig_addr(src), to = rig_addr(dst);
    static const uint8_t head[12] = {0x45, 0, 0x05, 0xdc, 0, 0, 0x40, 0, 64, 6, 0, 0};
    static const uint8_t tcp[8] = {0x01, 0xbb, 0x9c, 0x40, 0xde, 0xad, 0xbe, 0xef};
    memcpy(wire->b, head, 12);
    wire->b[9] = protocol;
    memcpy(wire->b + 12, from.b + 12, 4);
    memcpy(wire->b + 16, to.b + 12, 4);
    memcpy(wire->b + 20, tcp, 8);
    wire->n = 28;
}

/* Make the workstation known. */
static void introduce(struct rig *rig)
{
    struct wire wire;
    icmp(&wire, RIG_GATEWAY, 8, 0, 1, "", 0);
    rig_feed(rig, &wire);
    rig->sent_count = 0;
}

static void fragmentation_needed_is_handed_on_as_the_flow_has_it(void **state)
{
    struct rig *rig = *state;
    struct wire wire, quoted;
    struct ipaddr station = rig_addr(RIG_STATION), far = rig_addr(RIG_FAR);
    introduce(rig);
    quote(&quoted, RIG_FAR, RIG_STATION, 6);
    icmp(&wire, RIG_FAR, 3, 4, 0xffff0578, quoted.b, quoted.n); /* the upper half is unused (RFC 1191 4) */
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->too_big_count, 1);
    assert_true(ipaddr_equal(&rig->too_big_tuple.src, &station));
    assert_true(ipaddr_equal(&rig->too_big_tuple.dst, &far));
    assert_int_equal(rig->too_big_tuple.src_port, 40000);
    assert_int_equal(rig->too_big_tuple.dst_port, 443);
    assert_int_equal(rig->too_big_seq, 0xdeadbeef);
    assert_int_equal(rig->too_big_mtu, 0x578);
}

static void unreachable_is_handed_on_and_only_two_kinds_are_for_good(void **state)
{
    struct rig *rig = *state;
    struct wire wire, quoted;
    struct ipaddr station = rig_addr(RIG_STATION), far = rig_addr(RIG_FAR);
    introduce(rig);
    quote(&quoted, RIG_FAR, RIG_STATION, 6);
    for (unsigned code = 0; code < 16; code++) {
        if (code == 4)
            continue;
        unsigned before = rig->unreachable_count;
        icmp(&wire, RIG_FAR, 3, (uint8_t)code, 0, quoted.b, quoted.n);
        rig_expect_use(rig, &wire);
        assert_int_equal(rig->unreachable_count, before + 1);
        assert_int_equal(rig->unreachable_hard, code == 2 || code == 3);
        assert_true(ipaddr_equal(&rig->unreachable_tuple.src, &station));
        assert_true(ipaddr_equal(&rig->unreachable_tuple.dst, &far));
        assert_int_equal(rig->unreachable_tuple.src_port, 40000);
        assert_int_equal(rig->unreachable_tuple.dst_port, 443);
        assert_int_equal(rig->unreachable_seq, 0xdeadbeef);
    }
    icmp(&wire, "1.2.3.4", 3, 3, 0, quoted.b, quoted.n); /* sent to another than the quoted far end */
    rig_expect_drop(rig, &wire, DROP_ICMP);
    quote(&quoted, RIG_FAR, RIG_OTHER, 6); /* about somebody unknown */
    icmp(&wire, RIG_FAR, 3, 3, 0, quoted.b, quoted.n);
    rig_expect_drop(rig, &wire, DROP_ICMP);
    assert_int_equal(rig->unreachable_count, 15);
}

static void no_other_error_reaches_the_engine(void **state)
{
    struct rig *rig = *state;
    struct wire wire, quoted;
    introduce(rig);
    quote(&quoted, RIG_FAR, RIG_STATION, 6);
    static const uint8_t types[] = {4, 5, 11, 12}; /* source quench, redirect, time exceeded, parameter problem */
    for (size_t i = 0; i < sizeof(types); i++) {
        icmp(&wire, RIG_FAR, types[i], 4, 1400, quoted.b, quoted.n);
        rig_expect_drop(rig, &wire, DROP_ICMP);
    }
}

static void fragmentation_needed_about_anything_else_is_dropped(void **state)
{
    struct rig *rig = *state;
    struct wire wire, quoted;
    introduce(rig);
    quote(&quoted, RIG_FAR, RIG_STATION, 17); /* not TCP */
    icmp(&wire, RIG_FAR, 3, 4, 1400, quoted.b, quoted.n);
    rig_expect_drop(rig, &wire, DROP_ICMP);
    quote(&quoted, RIG_FAR, RIG_STATION, 6); /* sent to another than the quoted far end */
    icmp(&wire, "1.2.3.4", 3, 4, 1400, quoted.b, quoted.n);
    rig_expect_drop(rig, &wire, DROP_ICMP);
    quote(&quoted, RIG_FAR, RIG_OTHER, 6); /* about somebody unknown */
    icmp(&wire, RIG_FAR, 3, 4, 1400, quoted.b, quoted.n);
    rig_expect_drop(rig, &wire, DROP_ICMP);
    quote(&quoted, RIG_FAR, RIG_STATION, 6);
    for (size_t n = 0; n < 28; n++) { /* too little of it */
        icmp(&wire, RIG_FAR, 3, 4, 1400, quoted.b, n);
        rig_expect_drop(rig, &wire, DROP_ICMP);
    }
    quoted.b[0] = 0x65; /* not IPv4 */
    icmp(&wire, RIG_FAR, 3, 4, 1400, quoted.b, quoted.n);
    rig_expect_drop(rig, &wire, DROP_ICMP);
    quoted.b[0] = 0x44; /* a header of 16 bytes */
    icmp(&wire, RIG_FAR, 3, 4, 1400, quoted.b, quoted.n);
    rig_expect_drop(rig, &wire, DROP_ICMP);
    quoted.b[0] = 0x46; /* options, and nothing behind them */
    icmp(&wire, RIG_FAR, 3, 4, 1400, quoted.b, quoted.n);
    rig_expect_drop(rig, &wire, DROP_ICMP);
    quoted.b[0] = 0x45;
    quoted.b[7] = 1; /* a later fragment */
    icmp(&wire, RIG_FAR, 3, 4, 1400, quoted.b, quoted.n);
    rig_expect_drop(rig, &wire, DROP_ICMP);
    assert_int_equal(rig->too_big_count, 0);
}

static void nobody_speaks_for_a_neighbours_flow(void **state)
{
    struct rig *rig = *state;
    struct wire wire, quoted, message;
    introduce(rig);
    quote(&quoted, RIG_FAR, RIG_STATION, 6);
    struct spec spec = rig_spec(1);
    spec.src = RIG_OTHER;
    memcpy(spec.src_mac, rig_other_mac, 6);
    rig_icmp(&message, 3, 4, 1000, quoted.b, quoted.n);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_ICMP);
    memcpy(spec.src_mac, rig_station_mac, 6); /* but a router that owns both addresses may */
    spec.src = "10.152.152.99";
    rig_frame(&wire, &spec, &message);
    rig_expect_use(rig, &wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_echo_request_to_the_gateway_is_answered, start, stop),
        cmocka_unit_test_setup_teardown(an_echo_request_to_anybody_else_is_not, start, stop),
        cmocka_unit_test_setup_teardown(an_echo_request_whose_answer_would_not_fit_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(a_wrong_checksum_or_a_short_message_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(every_other_type_and_code_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(fragmentation_needed_is_handed_on_as_the_flow_has_it, start, stop),
        cmocka_unit_test_setup_teardown(unreachable_is_handed_on_and_only_two_kinds_are_for_good, start, stop),
        cmocka_unit_test_setup_teardown(no_other_error_reaches_the_engine, start, stop),
        cmocka_unit_test_setup_teardown(fragmentation_needed_about_anything_else_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(nobody_speaks_for_a_neighbours_flow, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
