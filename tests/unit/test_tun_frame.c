/* SPDX-License-Identifier: BSD-3-Clause */
/* The offload header and the Ethernet header. */
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

/* A good TCP segment of ten bytes. */
static void good(struct wire *wire, struct spec *spec)
{
    struct wire segment;
    *spec = rig_spec(6);
    rig_tcp(&segment, spec, 10);
    rig_frame(wire, spec, &segment);
}

/* The same with a change. */
static void changed(struct wire *wire, const struct spec *spec)
{
    struct wire segment;
    rig_tcp(&segment, spec, 10);
    rig_frame(wire, spec, &segment);
}

static void a_good_frame_is_used(void **state)
{
    struct wire wire;
    struct spec spec;
    good(&wire, &spec);
    rig_expect_use(*state, &wire);
}

static void a_frame_cut_anywhere_in_its_headers_is_short(void **state)
{
    struct wire wire;
    struct spec spec;
    good(&wire, &spec);
    for (size_t n = 0; n < FRAME_HEADER_LEN; n++) {
        wire.n = n;
        rig_expect_drop(*state, &wire, DROP_FRAME_SHORT);
    }
}

static void bytes_are_counted_without_the_offload_header(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    struct spec spec;
    good(&wire, &spec);
    rig_feed(rig, &wire);
    assert_int_equal(rig->tun.counters.bytes_in, 14 + 20 + 20 + 10);
    wire.n = 3;
    rig_feed(rig, &wire);
    assert_int_equal(rig->tun.counters.bytes_in, 14 + 20 + 20 + 10);
}

static void unicast_to_another_mac_is_foreign(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    memcpy(spec.dst_mac, rig_other_mac, 6);
    changed(&wire, &spec);
    rig_expect_drop(*state, &wire, DROP_FRAME_FOREIGN);
}

static void ipv4_to_a_group_is_foreign(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    memcpy(spec.dst_mac, "\xff\xff\xff\xff\xff\xff", 6);
    changed(&wire, &spec);
    rig_expect_drop(*state, &wire, DROP_FRAME_FOREIGN);
    memcpy(spec.dst_mac, "\x01\x00\x5e\x00\x00\xfb", 6);
    changed(&wire, &spec);
    rig_expect_drop(*state, &wire, DROP_FRAME_FOREIGN);
}

static void ipv6_to_a_group_that_is_not_of_ipv6_is_foreign(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec6(6);
    memcpy(spec.dst_mac, "\xff\xff\xff\xff\xff\xff", 6);
    changed(&wire, &spec);
    rig_expect_drop(*state, &wire, DROP_FRAME_FOREIGN);
    memcpy(spec.dst_mac, "\x33\x34\x00\x00\x00\x01", 6);
    changed(&wire, &spec);
    rig_expect_drop(*state, &wire, DROP_FRAME_FOREIGN);
    memcpy(spec.dst_mac, "\x01\x33\x00\x00\x00\x01", 6);
    changed(&wire, &spec);
    rig_expect_drop(*state, &wire, DROP_FRAME_FOREIGN);
    memcpy(spec.dst_mac, "\x33\x33\x00\x00\x00\x01", 6);
    changed(&wire, &spec);
    rig_expect_drop(*state, &wire, DROP_IPV6_OFF);
}

static void a_source_that_is_a_group_or_ours_or_zero_is_refused(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    memcpy(spec.src_mac, "\x53\x54\x00\x11\x22\x33", 6);
    changed(&wire, &spec);
    rig_expect_drop(*state, &wire, DROP_FRAME_SOURCE);
    memcpy(spec.src_mac, rig_gateway_mac, 6);
    changed(&wire, &spec);
    rig_expect_drop(*state, &wire, DROP_FRAME_SOURCE);
    memset(spec.src_mac, 0, 6);
    changed(&wire, &spec);
    rig_expect_drop(*state, &wire, DROP_FRAME_SOURCE);
}

static void other_ethertypes_are_dropped(void **state)
{
    /* VLAN, QinQ, PPPoE, 802.1X, LLDP, MPLS, RARP, a length (802.3), and both neighbours of IPv4. */
    static const uint16_t types[] = {0x8100, 0x88a8, 0x8863, 0x8864, 0x888e, 0x88cc,
                                     0x8847, 0x8035, 0x0026, 0x07ff, 0x0801, 0x0000};
    struct wire wire;
    struct spec spec = rig_spec(6);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        spec.type = types[i];
        changed(&wire, &spec);
        rig_expect_drop(*state, &wire, DROP_FRAME_TYPE);
    }
}

static void ipv6_without_an_address_is_dropped_under_its_own_reason(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec6(6);
    changed(&wire, &spec);
    rig_expect_drop(*state, &wire, DROP_IPV6_OFF);
}

/* An offload header as a TAP writes it for a merged IPv4 segment. */
static struct virtio_net_hdr merged(void)
{
    return (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
        .hdr_len = 54,
        .gso_size = 1448,
        .csum_start = 34,
        .csum_offset = 16,
    };
}

static void a_merged_segment_is_used_and_its_size_passed_on(void **state)
{
    struct rig *rig = *state;
    struct wire wire, segment;
    struct spec spec = rig_spec(6);
    spec.offload = merged();
    rig_tcp(&segment, &spec, 40000);
    segment.b[16] ^= 0x5a; /* the checksum is partial: whatever it says is right */
    rig_frame(&wire, &spec, &segment);
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->tcp.gso_size, 1448);
    assert_int_equal(rig->tcp.seg.left, 40020);
}

static void the_ecn_mark_of_a_merged_segment_does_no_harm(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    spec.offload = merged();
    spec.offload.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    changed(&wire, &spec);
    rig_expect_use(*state, &wire);
}

static void offload_headers_that_contradict_themselves_are_dropped(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    struct virtio_net_hdr bad[10];
    for (size_t i = 0; i < 10; i++)
        bad[i] = merged();
    bad[0].flags |= VIRTIO_NET_HDR_F_DATA_VALID; /* valid and partial */
    bad[1].flags = VIRTIO_NET_HDR_F_RSC_INFO;    /* never agreed on */
    bad[2].flags |= 0x80;                        /* nobody knows */
    bad[3].flags = 0;                            /* merged, but not partial */
    bad[4].flags = VIRTIO_NET_HDR_F_DATA_VALID;  /* the same */
    bad[5].gso_size = 0;                         /* merged of nothing */
    bad[6].gso_type = VIRTIO_NET_HDR_GSO_UDP;    /* never agreed on */
    bad[7].gso_type = 5;                         /* the same, USO */
    bad[8].gso_type = VIRTIO_NET_HDR_GSO_ECN;    /* ECN of nothing */
    bad[9].gso_type = VIRTIO_NET_HDR_GSO_TCPV6;  /* the other family */
    for (size_t i = 0; i < 10; i++) {
        spec.offload = bad[i];
        changed(&wire, &spec);
        rig_expect_drop(*state, &wire, DROP_FRAME_OFFLOAD);
    }
}

static void a_checksum_field_outside_the_frame_is_dropped(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    static const uint16_t wrong[][2] = {{0, 16}, {13, 16}, {34, 31}, {34, 0xffff}, {0xffff, 0xffff}, {64, 0}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        spec.offload = (struct virtio_net_hdr){
            .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = wrong[i][0], .csum_offset = wrong[i][1]};
        changed(&wire, &spec);
        rig_expect_drop(*state, &wire, DROP_FRAME_OFFLOAD);
    }
}

static void a_checksum_field_that_is_not_the_transport_protocols_is_dropped(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec(6);
    static const uint16_t wrong[][2] = {{33, 16}, {35, 16}, {34, 15}, {34, 17}, {34, 6}, {14, 10}, {14, 0}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        spec.offload = (struct virtio_net_hdr){
            .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = wrong[i][0], .csum_offset = wrong[i][1]};
        changed(&wire, &spec);
        rig_expect_drop(*state, &wire, DROP_FRAME_OFFLOAD);
    }
}

static void an_offload_header_on_arp_or_icmp_is_dropped(void **state)
{
    struct wire wire, message;
    struct virtio_net_hdr partial = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 2};
    rig_arp(&wire, rig_gateway_mac, rig_station_mac, 1, rig_station_mac, RIG_STATION, rig_gateway_mac, RIG_GATEWAY);
    memcpy(wire.b, &partial, sizeof(partial));
    rig_expect_drop(*state, &wire, DROP_FRAME_OFFLOAD);

    struct spec spec = rig_spec(1);
    spec.dst = RIG_GATEWAY;
    spec.offload = partial;
    rig_icmp(&message, 8, 0, 1, "12345678", 8);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(*state, &wire, DROP_FRAME_OFFLOAD);
}

static void merged_udp_is_dropped(void **state)
{
    struct wire wire, datagram;
    struct spec spec = rig_spec(17);
    spec.offload = merged();
    spec.offload.csum_offset = 6;
    rig_udp(&datagram, &spec, 53, 30);
    rig_frame(&wire, &spec, &datagram);
    rig_expect_drop(*state, &wire, DROP_FRAME_OFFLOAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_good_frame_is_used, start, stop),
        cmocka_unit_test_setup_teardown(a_frame_cut_anywhere_in_its_headers_is_short, start, stop),
        cmocka_unit_test_setup_teardown(bytes_are_counted_without_the_offload_header, start, stop),
        cmocka_unit_test_setup_teardown(unicast_to_another_mac_is_foreign, start, stop),
        cmocka_unit_test_setup_teardown(ipv4_to_a_group_is_foreign, start, stop),
        cmocka_unit_test_setup_teardown(ipv6_to_a_group_that_is_not_of_ipv6_is_foreign, start, stop),
        cmocka_unit_test_setup_teardown(a_source_that_is_a_group_or_ours_or_zero_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(other_ethertypes_are_dropped, start, stop),
        cmocka_unit_test_setup_teardown(ipv6_without_an_address_is_dropped_under_its_own_reason, start, stop),
        cmocka_unit_test_setup_teardown(a_merged_segment_is_used_and_its_size_passed_on, start, stop),
        cmocka_unit_test_setup_teardown(the_ecn_mark_of_a_merged_segment_does_no_harm, start, stop),
        cmocka_unit_test_setup_teardown(offload_headers_that_contradict_themselves_are_dropped, start, stop),
        cmocka_unit_test_setup_teardown(a_checksum_field_outside_the_frame_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(a_checksum_field_that_is_not_the_transport_protocols_is_dropped, start,
                                        stop),
        cmocka_unit_test_setup_teardown(an_offload_header_on_arp_or_icmp_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(merged_udp_is_dropped, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
