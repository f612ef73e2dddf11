/* SPDX-License-Identifier: BSD-3-Clause */
/* The IPv4 header: what is used, what is refused, and under which name. */
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

/* Build a TCP segment of `n` bytes as `spec` says, and feed it. */
static void tcp(struct wire *wire, const struct spec *spec, size_t n)
{
    struct wire segment;
    rig_tcp(&segment, spec, n);
    rig_frame(wire, spec, &segment);
}

static void a_segment_reaches_the_engine_as_it_was_sent(void **state)
{
    struct rig *rig = *state;
    struct wire wire, segment;
    struct spec spec = rig_spec(6);
    rig_tcp(&segment, &spec, 33);
    rig_frame(&wire, &spec, &segment);
    rig_expect_use(rig, &wire);
    struct ipaddr src = rig_addr(RIG_STATION), dst = rig_addr(RIG_FAR);
    assert_int_equal(rig->tcp_count, 1);
    assert_true(ipaddr_equal(&rig->tcp.src, &src));
    assert_true(ipaddr_equal(&rig->tcp.dst, &dst));
    assert_int_equal(rig->tcp.seg.left, segment.n);
    assert_memory_equal(rig->tcp.seg.at, segment.b, segment.n);
    assert_int_equal(rig->tcp.gso_size, 0);
    assert_non_null(hosts_at(&rig->tun.hosts, rig->tcp.host));
}

static void link_padding_is_cut_off(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    struct spec spec = rig_spec(6);
    for (spec.padding = 1; spec.padding < 30; spec.padding++) {
        tcp(&wire, &spec, 3);
        rig_expect_use(rig, &wire);
        assert_int_equal(rig->tcp.seg.left, 23);
    }
}

static void a_packet_cut_short_anywhere_is_dropped(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    tcp(&wire, &spec, 20);
    for (size_t n = FRAME_HEADER_LEN; n < FRAME_HEADER_LEN + 60; n++) {
        wire.n = n;
        rig_expect_drop(*state, &wire, DROP_IP_HEADER);
    }
}

static void wrong_versions_and_lengths_are_dropped(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    static const uint8_t bad[] = {0x05, 0x15, 0x35, 0x55, 0x65, 0xf5, 0x41, 0x44, 0x4f};
    for (size_t i = 0; i < sizeof(bad); i++) {
        spec.version_ihl = bad[i];
        tcp(&wire, &spec, 4);
        rig_expect_drop(*state, &wire, DROP_IP_HEADER);
    }
    spec.version_ihl = 0;
    spec.total_len_add = 1;
    tcp(&wire, &spec, 4);
    rig_expect_drop(*state, &wire, DROP_IP_HEADER);
    spec.total_len_add = -(20 + 20 + 4); /* 0, as a packet too long for the field would say */
    tcp(&wire, &spec, 4);
    rig_expect_drop(*state, &wire, DROP_IP_HEADER);
    spec.total_len_add = -(20 + 4 + 1); /* 19 */
    tcp(&wire, &spec, 4);
    rig_expect_drop(*state, &wire, DROP_IP_HEADER);
}

static void a_wrong_header_checksum_is_dropped(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    for (unsigned bit = 0; bit < 16; bit++) {
        spec.sum_xor = (uint16_t)(1u << bit);
        tcp(&wire, &spec, 4);
        rig_expect_drop(*state, &wire, DROP_IP_HEADER);
    }
}

static void set_options(struct spec *spec, const void *options, size_t n)
{
    memset(spec->options, 0, sizeof(spec->options));
    memcpy(spec->options, options, n);
    spec->options_len = (n + 3) & ~(size_t)3;
}

static void harmless_options_are_skipped(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    struct spec spec = rig_spec(6);
    static const uint8_t record_route[] = {7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t timestamp[] = {1, 68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t router_alert[] = {148, 4, 0, 0};
    static const uint8_t unknown[] = {0x9e, 2, 1, 1};
    static const uint8_t end_then_source_route[] = {0, 131, 7, 4, 1, 2, 3, 4};
    static const uint8_t all_nops[40] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                         1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const struct {
        const uint8_t *at;
        size_t n;
    } good[] = {
        {record_route, sizeof(record_route)},
        {timestamp, sizeof(timestamp)},
        {router_alert, sizeof(router_alert)},
        {unknown, sizeof(unknown)},
        {end_then_source_route, sizeof(end_then_source_route)},
        {all_nops, sizeof(all_nops)},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        set_options(&spec, good[i].at, good[i].n);
        tcp(&wire, &spec, 5);
        rig_expect_use(rig, &wire);
        assert_int_equal(rig->tcp.seg.left, 25);
    }
}

static void source_routing_and_broken_options_are_refused(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    static const uint8_t bad[][8] = {
        {131, 7, 4, 1, 2, 3, 4, 0},   /* loose source route */
        {137, 7, 4, 1, 2, 3, 4, 0},   /* strict source route */
        {1, 131, 3, 4, 0, 0, 0, 0},   /* one behind a no-operation */
        {148, 4, 0, 0, 137, 3, 4, 0}, /* one behind another option */
        {131, 1, 0, 0, 0, 0, 0, 0},   /* one with a bad length */
        {7, 0, 0, 0, 0, 0, 0, 0},     /* lengths that do not even cover the option's head */
        {7, 1, 0, 0, 0, 0, 0, 0},     {7, 9, 4, 0, 0, 0, 0, 0}, /* past the header */
        {1, 1, 1, 1, 1, 1, 1, 7},                               /* no room for its length */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        set_options(&spec, bad[i], 8);
        tcp(&wire, &spec, 5);
        rig_expect_drop(*state, &wire, DROP_IP_OPTIONS);
    }
}

static void partial_checksums_count_the_options(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    set_options(&spec, "\x94\x04\x00\x00", 4);
    spec.offload =
        (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34 + 4, .csum_offset = 16};
    tcp(&wire, &spec, 5);
    rig_expect_use(*state, &wire);
    spec.offload.csum_start = 34;
    tcp(&wire, &spec, 5);
    rig_expect_drop(*state, &wire, DROP_FRAME_OFFLOAD);
}

static void fragments_are_refused(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    static const uint16_t fragment[] = {0x2000, 0x0001, 0x2001, 0x1fff, 0x6000, 0x0100};
    for (size_t i = 0; i < sizeof(fragment) / sizeof(fragment[0]); i++) {
        spec.fragment = fragment[i];
        tcp(&wire, &spec, 16);
        rig_expect_drop(*state, &wire, DROP_IP_FRAGMENT);
    }
}

static void do_not_fragment_and_the_reserved_bit_do_no_harm(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    spec.fragment = 0x4000;
    tcp(&wire, &spec, 16);
    rig_expect_use(*state, &wire);
    spec.fragment = 0xc000;
    tcp(&wire, &spec, 16);
    rig_expect_use(*state, &wire);
}

static void sources_that_no_workstation_may_have_are_refused(void **state)
{
    static const char *const bad[] = {
        "0.0.0.0",      "127.0.0.1",      "224.0.0.1",     "255.255.255.255", "93.184.216.34",
        "10.152.128.0", "10.152.191.255", "10.152.152.10", "10.152.127.255",  "10.152.192.0",
        "169.254.1.1",  "192.168.1.1",    "10.152.192.1",
    };
    struct wire wire;
    struct spec spec = rig_spec(6);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        spec.src = bad[i];
        tcp(&wire, &spec, 1);
        rig_expect_drop(*state, &wire, DROP_IP_SOURCE);
    }
}

static void the_first_and_last_address_of_the_network_are_used(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    spec.src = "10.152.128.1";
    tcp(&wire, &spec, 1);
    rig_expect_use(*state, &wire);
    spec.src = "10.152.191.254";
    tcp(&wire, &spec, 1);
    rig_expect_use(*state, &wire);
}

static void destinations_that_are_no_host_are_refused(void **state)
{
    static const char *const bad[] = {
        "0.0.0.0",         "0.1.2.3",         "127.0.0.1",    "127.255.255.254", "224.0.0.1",
        "239.255.255.250", "255.255.255.255", "10.152.128.0", "10.152.191.255",
    };
    struct wire wire;
    struct spec spec = rig_spec(6);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        spec.dst = bad[i];
        tcp(&wire, &spec, 1);
        rig_expect_drop(*state, &wire, DROP_IP_DESTINATION);
    }
}

static void the_gateway_itself_is_a_destination_for_the_engine(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    spec.dst = RIG_GATEWAY;
    tcp(&wire, &spec, 1);
    rig_expect_use(*state, &wire);
}

static void every_protocol_but_three_is_dropped(void **state)
{
    struct wire wire, payload = {.n = 64};
    struct spec spec = rig_spec(0);
    for (unsigned protocol = 0; protocol < 256; protocol++) {
        if (protocol == 1 || protocol == 6 || protocol == 17)
            continue;
        spec.protocol = (uint8_t)protocol;
        rig_frame(&wire, &spec, &payload);
        rig_expect_drop(*state, &wire, DROP_IP_PROTOCOL);
    }
}

static void a_spoofed_source_gets_no_answer_and_no_other_reason(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message;
    struct spec spec = rig_spec(1);
    spec.dst = RIG_GATEWAY;
    rig_icmp(&message, 8, 0, 7, "12345678", 8);
    rig_frame(&wire, &spec, &message);
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->sent_count, 1);
    memcpy(spec.src_mac, rig_other_mac, 6);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
    rig_tcp(&message, &spec, 5);
    spec.protocol = 6;
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
}

static void an_idle_address_changes_hands_after_its_flows_were_reset(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    struct spec spec = rig_spec(6);
    tcp(&wire, &spec, 1);
    rig_expect_use(rig, &wire);
    uint32_t host = rig->tcp.host;
    rig->now += 1000000;
    memcpy(spec.src_mac, rig_other_mac, 6);
    tcp(&wire, &spec, 1);
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->reset_count, 1);
    assert_int_equal(rig->reset_host, host);
    assert_int_equal(rig->gone_count, 1); /* the rig sees to it that this comes after the reset */
    assert_memory_equal(hosts_at(&rig->tun.hosts, rig->tcp.host)->mac, rig_other_mac, 6);
}

static void a_busy_address_is_not_given_up_for_another(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    struct spec spec = rig_spec(6);
    static const char *const mine[] = {"10.152.152.21", "10.152.152.22", "10.152.152.23", "10.152.152.24",
                                       "10.152.152.25"};
    for (size_t i = 0; i < 4; i++) {
        spec.src = mine[i];
        tcp(&wire, &spec, 1);
        rig_expect_use(rig, &wire);
        if (i == 0)
            rig->busy_host = rig->tcp.host;
    }
    rig->now += 1000000;
    spec.src = mine[4];
    tcp(&wire, &spec, 1);
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->gone_count, 1);
    assert_int_not_equal(rig->reset_host, rig->busy_host);
    struct ipaddr busy = rig_addr(mine[0]);
    assert_true(hosts_is_bound(&rig->tun.hosts, &busy, rig_station_mac));
}

static void a_full_table_is_said(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    static const char *const mine[] = {"10.152.152.21", "10.152.152.22", "10.152.152.23", "10.152.152.24"};
    for (size_t i = 0; i < 4; i++) {
        spec.src = mine[i];
        tcp(&wire, &spec, 1);
        rig_expect_use(*state, &wire);
    }
    spec.src = "10.152.152.25";
    tcp(&wire, &spec, 1);
    rig_expect_drop(*state, &wire, DROP_HOST_TABLE);
}

static void congestion_experienced_does_not_matter(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    struct spec spec = rig_spec(6);
    for (unsigned ecn = 0; ecn < 4; ecn++) {
        spec.tos = (uint8_t)(0xb8 | ecn);
        tcp(&wire, &spec, 1);
        rig_expect_use(rig, &wire);
    }
}

static void the_time_to_live_does_not_matter(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    spec.hop_limit = 1;
    tcp(&wire, &spec, 1);
    rig_expect_use(*state, &wire);
    spec.hop_limit = 255;
    tcp(&wire, &spec, 1);
    rig_expect_use(*state, &wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_segment_reaches_the_engine_as_it_was_sent, start, stop),
        cmocka_unit_test_setup_teardown(link_padding_is_cut_off, start, stop),
        cmocka_unit_test_setup_teardown(a_packet_cut_short_anywhere_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(wrong_versions_and_lengths_are_dropped, start, stop),
        cmocka_unit_test_setup_teardown(a_wrong_header_checksum_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(harmless_options_are_skipped, start, stop),
        cmocka_unit_test_setup_teardown(source_routing_and_broken_options_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(partial_checksums_count_the_options, start, stop),
        cmocka_unit_test_setup_teardown(fragments_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(do_not_fragment_and_the_reserved_bit_do_no_harm, start, stop),
        cmocka_unit_test_setup_teardown(sources_that_no_workstation_may_have_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(the_first_and_last_address_of_the_network_are_used, start, stop),
        cmocka_unit_test_setup_teardown(destinations_that_are_no_host_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(the_gateway_itself_is_a_destination_for_the_engine, start, stop),
        cmocka_unit_test_setup_teardown(every_protocol_but_three_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(a_spoofed_source_gets_no_answer_and_no_other_reason, start, stop),
        cmocka_unit_test_setup_teardown(an_idle_address_changes_hands_after_its_flows_were_reset, start, stop),
        cmocka_unit_test_setup_teardown(a_busy_address_is_not_given_up_for_another, start, stop),
        cmocka_unit_test_setup_teardown(a_full_table_is_said, start, stop),
        cmocka_unit_test_setup_teardown(congestion_experienced_does_not_matter, start, stop),
        cmocka_unit_test_setup_teardown(the_time_to_live_does_not_matter, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
