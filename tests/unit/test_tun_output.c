/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames for the workstation, compared byte by byte with ones made by hand. */
#include <errno.h>
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
    struct tun_config config = rig_config();
    *state = rig_start(&config);
    return 0;
}

static int stop(void **state)
{
    rig_stop(*state);
    return 0;
}

/* A spec of what comes back: from the far end to the workstation, as we send it. */
static struct spec reply(uint8_t protocol)
{
    struct spec spec = rig_spec(protocol);
    spec.src = RIG_FAR;
    spec.dst = RIG_STATION;
    spec.fragment = 0x4000;
    memcpy(spec.dst_mac, rig_station_mac, 6);
    memcpy(spec.src_mac, rig_gateway_mac, 6);
    return spec;
}

/* The rig numbers packets 0x1234; we say 0. */
static void no_identification(struct wire *wire)
{
    uint8_t *ip = wire->b + 24;
    ip[4] = ip[5] = ip[10] = ip[11] = 0;
    uint16_t sum = (uint16_t)~ref_fold(ref_sum(0, ip, 20));
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
}

/* Let the workstation be known, and return its number. */
static uint32_t known_host(struct rig *rig)
{
    struct wire wire, segment;
    struct spec spec = rig_spec(6);
    rig_tcp(&segment, &spec, 0);
    rig_frame(&wire, &spec, &segment);
    rig_feed(rig, &wire);
    return rig->tcp.host;
}

/* The segment that rig_tcp() makes, as the engine would hand it over: the payload in pieces of `piece` bytes. */
static struct tcp_out out_of(const struct wire *segment, uint32_t host, size_t piece)
{
    struct tcp_out out = {
        .src = rig_addr(RIG_FAR),
        .dst = rig_addr(RIG_STATION),
        .host = host,
        .header_len = 20,
        .payload_len = (uint32_t)(segment->n - 20),
        .iov_count = 1,
    };
    memset(out.head, 0xdd, sizeof(out.head));
    memcpy(out.head + TCP_HEADROOM, segment->b, 20);
    out.head[TCP_HEADROOM + 16] = out.head[TCP_HEADROOM + 17] = 0;
    for (size_t at = 20; at < segment->n; at += piece) {
        size_t n = segment->n - at < piece ? segment->n - at : piece;
        assert_true(out.iov_count < TCP_OUT_IOV);
        out.iov[out.iov_count++] = (struct iovec){(void *)(uintptr_t)(segment->b + at), n};
    }
    return out;
}

static void without_offload_the_checksum_is_whole(void **state)
{
    struct rig *rig = *state;
    struct wire segment, expected;
    struct spec spec = reply(6);
    uint32_t host = known_host(rig);
    rig->tun.config.offload = 0;
    static const size_t lengths[] = {0, 1, 2, 100, 701, 1459, 1460};
    for (unsigned i = 0; i < 7; i++) {
        rig_tcp(&segment, &spec, lengths[i]);
        struct tcp_out out = out_of(&segment, host, 101); /* odd pieces */
        assert_int_equal(output_segment(&rig->tun, &out), 0);
        rig_frame(&expected, &spec, &segment);
        no_identification(&expected);
        rig_expect_sent(rig, i, &expected);
    }
    assert_int_equal(rig->tun.counters.frames_out, 7);
    assert_int_equal(rig->tun.counters.bytes_out, 7 * 54 + 0 + 1 + 2 + 100 + 701 + 1459 + 1460);
}

/* Put the pseudo-header sum, and nothing else, in the checksum field. */
static void make_partial(struct wire *segment)
{
    struct ipaddr src = rig_addr(RIG_FAR), dst = rig_addr(RIG_STATION);
    uint16_t sum = ref_fold(ref_pseudo(&src, &dst, 6, (uint32_t)segment->n));
    segment->b[16] = (uint8_t)(sum >> 8);
    segment->b[17] = (uint8_t)sum;
}

static void with_offload_the_checksum_is_left_to_the_link(void **state)
{
    struct rig *rig = *state;
    struct wire segment, expected;
    struct spec spec = reply(6);
    rig_tcp(&segment, &spec, 999);
    struct tcp_out out = out_of(&segment, known_host(rig), 333);
    assert_int_equal(output_segment(&rig->tun, &out), 0);
    make_partial(&segment);
    spec.offload =
        (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};
    rig_frame(&expected, &spec, &segment);
    no_identification(&expected);
    rig_expect_sent(rig, 0, &expected);
}

static void a_super_segment_says_how_to_cut_it(void **state)
{
    struct rig *rig = *state;
    static struct wire segment, expected;
    struct spec spec = reply(6);
    rig_tcp(&segment, &spec, 65495);
    struct tcp_out out = out_of(&segment, known_host(rig), 4096);
    out.gso_size = 1460;
    assert_int_equal(output_segment(&rig->tun, &out), 0);
    make_partial(&segment);
    spec.offload = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                           .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                           .hdr_len = 54,
                                           .gso_size = 1460,
                                           .csum_start = 34,
                                           .csum_offset = 16};
    rig_frame(&expected, &spec, &segment);
    no_identification(&expected);
    rig_expect_sent(rig, 0, &expected);
}

static void what_needs_no_cutting_is_not_called_merged(void **state)
{
    struct rig *rig = *state;
    struct wire segment;
    struct spec spec = reply(6);
    struct virtio_net_hdr hdr;
    rig_tcp(&segment, &spec, 1460);
    struct tcp_out out = out_of(&segment, known_host(rig), 4096);
    out.gso_size = 1460;
    assert_int_equal(output_segment(&rig->tun, &out), 0);
    memcpy(&hdr, rig->sent[0].b, sizeof(hdr));
    assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
    assert_int_equal(hdr.gso_size, 0);
}

static void what_the_link_cannot_carry_is_refused(void **state)
{
    struct rig *rig = *state;
    static struct wire segment;
    struct spec spec = reply(6);
    uint32_t host = known_host(rig);
    rig_tcp(&segment, &spec, 1461); /* past the MTU */
    struct tcp_out out = out_of(&segment, host, 4096);
    assert_int_equal(output_segment(&rig->tun, &out), -EINVAL);
    out.gso_size = 1461; /* the same, said otherwise */
    assert_int_equal(output_segment(&rig->tun, &out), -EINVAL);
    rig_tcp(&segment, &spec, 65496); /* past what a length field holds */
    out = out_of(&segment, host, 4096);
    out.gso_size = 1460;
    assert_int_equal(output_segment(&rig->tun, &out), -EINVAL);
    rig_tcp(&segment, &spec, 3000); /* not to be cut by this link */
    out = out_of(&segment, host, 4096);
    out.gso_size = 1460;
    rig->tun.config.offload = DEVICE_OFFLOAD_CSUM;
    assert_int_equal(output_segment(&rig->tun, &out), -EINVAL);
    assert_int_equal(rig->sent_count, 0);
    assert_int_equal(rig->tun.drops.by[DROP_SEND], 0);
}

static void only_the_owner_of_an_address_is_sent_to(void **state)
{
    struct rig *rig = *state;
    struct wire segment;
    struct spec spec = reply(6);
    uint32_t host = known_host(rig);
    rig_tcp(&segment, &spec, 10);
    struct tcp_out out = out_of(&segment, host + 1, 100);
    assert_int_equal(output_segment(&rig->tun, &out), -EHOSTUNREACH);
    out = out_of(&segment, 16, 100); /* past the table */
    assert_int_equal(output_segment(&rig->tun, &out), -EHOSTUNREACH);
    out = out_of(&segment, host, 100);
    out.dst = rig_addr(RIG_OTHER);
    assert_int_equal(output_segment(&rig->tun, &out), -EHOSTUNREACH);

    struct tun_udp udp = {.src = rig_addr(RIG_FAR), .dst = rig_addr(RIG_OTHER), .host = host};
    assert_int_equal(output_udp(&rig->tun, &udp), -EHOSTUNREACH);
    assert_int_equal(rig->sent_count, 0);
}

static void what_the_link_does_not_take_is_counted_and_reported(void **state)
{
    struct rig *rig = *state;
    struct wire segment;
    struct spec spec = reply(6);
    static const int errors[] = {-EAGAIN, -ENOBUFS, -EIO};
    rig_tcp(&segment, &spec, 10);
    struct tcp_out out = out_of(&segment, known_host(rig), 100);
    for (unsigned i = 0; i < 3; i++) {
        rig->send_result = errors[i];
        assert_int_equal(output_segment(&rig->tun, &out), errors[i]);
        assert_int_equal(rig->tun.drops.by[DROP_SEND], i + 1);
    }
    assert_int_equal(rig->tun.counters.frames_out, 0);
    assert_int_equal(rig->tun.counters.bytes_out, 0);
}

static void a_datagram_goes_out_from_whatever_address_was_asked(void **state)
{
    struct rig *rig = *state;
    struct wire datagram, expected;
    struct spec spec = reply(17);
    uint32_t host = known_host(rig);
    static const size_t lengths[] = {0, 1, 100, 511, 1472};
    for (unsigned i = 0; i < 5; i++) {
        rig_udp(&datagram, &spec, 40001, lengths[i]);
        const struct tun_udp udp = {
            .src = rig_addr(RIG_FAR),
            .dst = rig_addr(RIG_STATION),
            .src_port = 5353,
            .dst_port = 40001,
            .host = host,
            .payload = bytes_of(datagram.b + 8, lengths[i]),
        };
        assert_int_equal(output_udp(&rig->tun, &udp), 0);
        rig_frame(&expected, &spec, &datagram);
        no_identification(&expected);
        rig_expect_sent(rig, i, &expected);
    }
    struct tun_udp udp = {.src = rig_addr(RIG_FAR), .dst = rig_addr(RIG_STATION), .host = host};
    udp.payload = bytes_of(datagram.b, 1473);
    assert_int_equal(output_udp(&rig->tun, &udp), -EMSGSIZE);
}

static void a_datagram_whose_checksum_is_zero_says_all_ones(void **state)
{
    struct rig *rig = *state;
    uint8_t data[2] = {0, 0};
    struct tun_udp udp = {
        .src = rig_addr(RIG_FAR), .dst = rig_addr(RIG_STATION), .host = known_host(rig), .dst_port = 9};
    /* Choose the payload so that everything sums up to 0xffff. */
    uint32_t sum = ref_pseudo(&udp.src, &udp.dst, 17, 10) + 9 + 10;
    uint16_t fill = (uint16_t)~ref_fold(sum);
    data[0] = (uint8_t)(fill >> 8);
    data[1] = (uint8_t)fill;
    udp.payload = bytes_of(data, 2);
    assert_int_equal(output_udp(&rig->tun, &udp), 0);
    assert_int_equal(rig->sent[0].b[24 + 20 + 6], 0xff);
    assert_int_equal(rig->sent[0].b[24 + 20 + 7], 0xff);
}

static void each_refusal_has_its_icmp_code(void **state)
{
    struct rig *rig = *state;
    static const uint8_t syn[8] = {0x9c, 0x40, 0x01, 0xbb, 1, 2, 3, 4};
    static const struct {
        enum tcp_refusal why;
        uint8_t code;
    } table[] = {{TCP_REFUSAL_HOST, 1}, {TCP_REFUSAL_NET, 0}, {TCP_REFUSAL_PROHIBITED, 13}};
    const struct tcp_tuple tuple = {
        .src = rig_addr(RIG_STATION), .dst = rig_addr(RIG_FAR), .src_port = 40000, .dst_port = 443};
    uint32_t host = known_host(rig);
    for (unsigned i = 0; i < 3; i++) {
        struct wire quoted = {.n = 0}, message, expected;
        quoted.n = 28;
        uint8_t head[12] = {0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0};
        memcpy(quoted.b, head, 12);
        memcpy(quoted.b + 12, tuple.src.b + 12, 4);
        memcpy(quoted.b + 16, tuple.dst.b + 12, 4);
        uint16_t sum = (uint16_t)~ref_fold(ref_sum(0, quoted.b, 20));
        quoted.b[10] = (uint8_t)(sum >> 8);
        quoted.b[11] = (uint8_t)sum;
        memcpy(quoted.b + 20, syn, 8);
        rig_icmp(&message, 3, table[i].code, 0, quoted.b, quoted.n);
        struct spec spec = reply(1);
        spec.src = RIG_GATEWAY;
        rig_frame(&expected, &spec, &message);
        no_identification(&expected);
        output_unreachable(&rig->tun, &tuple, host, table[i].why, syn);
        rig_expect_sent(rig, i, &expected);
    }
    output_unreachable(&rig->tun, &tuple, host + 1, TCP_REFUSAL_HOST, syn);
    assert_int_equal(rig->sent_count, 3);
}

static void an_announcement_tells_everybody(void **state)
{
    struct rig *rig = *state;
    struct wire expected;
    static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t nobody[6];
    assert_int_equal(output_announce(&rig->tun), 0);
    rig_arp(&expected, everybody, rig_gateway_mac, 1, rig_gateway_mac, RIG_GATEWAY, nobody, RIG_GATEWAY);
    rig_expect_sent(rig, 0, &expected);
}

static void configurations_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct tun tun;
    static const struct tun_ops ops;
    struct tun_config bad[9];
    for (size_t i = 0; i < 9; i++)
        bad[i] = rig_config();
    bad[0].mac[0] |= 1;                          /* a group address */
    memset(bad[1].mac, 0, 6);                    /* no address */
    bad[2].network.len = 96 + 31;                /* no room for a host */
    bad[3].network.len = 96;                     /* everything */
    bad[4].address = rig_addr("10.152.191.255"); /* the broadcast address */
    bad[5].address = rig_addr("10.1.1.1");       /* outside */
    bad[6].mtu = 575;
    bad[7].max_hosts = 0;
    bad[8].max_per_mac = 0;
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(tun_init(&tun, &bad[i], &ops, NULL, NULL), -EINVAL);
}

static void configurations_at_the_edge_are_fine(void **state)
{
    (void)state;
    struct tun tun;
    static const struct tun_ops ops;
    struct tun_config good[4];
    for (size_t i = 0; i < 4; i++)
        good[i] = rig_config();
    good[0].mtu = 576;
    good[1].mtu = 65535;
    good[2].network.len = 96 + 30;
    good[3].network.len = 96 + 1;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(tun_init(&tun, &good[i], &ops, NULL, NULL), 0);
        tun_fini(&tun);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_offload_the_checksum_is_whole, start, stop),
        cmocka_unit_test_setup_teardown(with_offload_the_checksum_is_left_to_the_link, start, stop),
        cmocka_unit_test_setup_teardown(a_super_segment_says_how_to_cut_it, start, stop),
        cmocka_unit_test_setup_teardown(what_needs_no_cutting_is_not_called_merged, start, stop),
        cmocka_unit_test_setup_teardown(what_the_link_cannot_carry_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(only_the_owner_of_an_address_is_sent_to, start, stop),
        cmocka_unit_test_setup_teardown(what_the_link_does_not_take_is_counted_and_reported, start, stop),
        cmocka_unit_test_setup_teardown(a_datagram_goes_out_from_whatever_address_was_asked, start, stop),
        cmocka_unit_test_setup_teardown(a_datagram_whose_checksum_is_zero_says_all_ones, start, stop),
        cmocka_unit_test_setup_teardown(each_refusal_has_its_icmp_code, start, stop),
        cmocka_unit_test_setup_teardown(an_announcement_tells_everybody, start, stop),
        cmocka_unit_test_setup_teardown(configurations_that_make_no_sense_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(configurations_at_the_edge_are_fine, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
