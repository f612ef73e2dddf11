/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6: the header, its extensions, addresses, and what goes out. */
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
    struct tun_config config = rig_config6();
    *state = rig_start(&config);
    return 0;
}

static int stop(void **state)
{
    rig_stop(*state);
    return 0;
}

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
    struct spec spec = rig_spec6(6);
    struct ipaddr src = rig_addr(RIG_STATION6), dst = rig_addr(RIG_FAR6);
    for (size_t n = 0; n < 40; n++) {
        spec.padding = n % 5;
        rig_tcp(&segment, &spec, n);
        rig_frame(&wire, &spec, &segment);
        rig_expect_use(rig, &wire);
        assert_true(ipaddr_equal(&rig->tcp.src, &src));
        assert_true(ipaddr_equal(&rig->tcp.dst, &dst));
        assert_int_equal(rig->tcp.seg.left, segment.n);
        assert_memory_equal(rig->tcp.seg.at, segment.b, segment.n);
    }
}

static void a_wrong_checksum_is_dropped_unless_partial(void **state)
{
    struct wire wire, segment;
    struct spec spec = rig_spec6(6);
    rig_tcp(&segment, &spec, 9);
    segment.b[25] ^= 1;
    rig_frame(&wire, &spec, &segment);
    rig_expect_drop(*state, &wire, DROP_TCP_CHECKSUM);
    spec.offload =
        (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 54, .csum_offset = 16};
    rig_frame(&wire, &spec, &segment);
    rig_expect_use(*state, &wire);
    spec.offload.csum_start = 34;
    rig_frame(&wire, &spec, &segment);
    rig_expect_drop(*state, &wire, DROP_FRAME_OFFLOAD);
}

static void merged_segments_are_of_their_own_kind(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    struct spec spec = rig_spec6(6);
    spec.offload = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                           .gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
                                           .gso_size = 1428,
                                           .csum_start = 54,
                                           .csum_offset = 16};
    tcp(&wire, &spec, 20000);
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->tcp.gso_size, 1428);
    spec.offload.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
    tcp(&wire, &spec, 20000);
    rig_expect_drop(rig, &wire, DROP_FRAME_OFFLOAD);
}

static void wrong_versions_and_lengths_are_dropped(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec6(6);
    static const uint8_t versions[] = {0x40, 0x50, 0x70, 0x10, 0xf0};
    for (size_t i = 0; i < sizeof(versions); i++) {
        spec.version_ihl = versions[i];
        tcp(&wire, &spec, 4);
        rig_expect_drop(*state, &wire, DROP_IP_HEADER);
    }
    spec.version_ihl = 0;
    spec.total_len_add = 1;
    tcp(&wire, &spec, 4);
    rig_expect_drop(*state, &wire, DROP_IP_HEADER);
    spec.total_len_add = 0;
    tcp(&wire, &spec, 4);
    for (size_t n = FRAME_HEADER_LEN; n < FRAME_HEADER_LEN + 64; n++) {
        wire.n = n;
        rig_expect_drop(*state, &wire, DROP_IP_HEADER);
    }
}

/* Put a chain of extension headers before a TCP segment; `first` is the type of its first. */
static void chain(struct wire *wire, uint8_t first, const void *headers, size_t n)
{
    struct wire segment;
    struct spec spec = rig_spec6(first);
    memcpy(spec.options, headers, n);
    spec.options_len = n;
    rig_tcp(&segment, &spec, 5);
    rig_frame(wire, &spec, &segment);
}

static void harmless_extension_headers_are_walked(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    chain(&wire, 0, "\x06\x00\x05\x02\x00\x00\x01\x00", 8); /* router alert, PadN */
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->tcp.seg.left, 25);
    chain(&wire, 60, "\x06\x01\x01\x0c\0\0\0\0\0\0\0\0\0\0\0\0", 16); /* a long PadN */
    rig_expect_use(rig, &wire);
    chain(&wire, 60, "\x06\x00\x00\x00\x00\x00\x00\x00", 8); /* six Pad1 */
    rig_expect_use(rig, &wire);
    chain(&wire, 60, "\x06\x00\x1e\x04\x01\x02\x03\x04", 8); /* unknown, to be skipped */
    rig_expect_use(rig, &wire);
    chain(&wire, 43, "\x06\x00\x04\x00\x00\x00\x00\x00", 8); /* a routing header that is over */
    rig_expect_use(rig, &wire);
    chain(&wire, 0,
          "\x3c\x00\x01\x04\0\0\0\0"
          "\x2b\x00\x01\x04\0\0\0\0"
          "\x3c\x00\x03\x00\0\0\0\0"
          "\x06\x00\x01\x04\0\0\0\0",
          32); /* hop-by-hop, destination, routing, destination */
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->tcp.seg.left, 25);
}

static void partial_checksums_count_the_extensions(void **state)
{
    struct wire wire, segment;
    struct spec spec = rig_spec6(60);
    memcpy(spec.options, "\x06\x00\x01\x04\0\0\0\0", 8);
    spec.options_len = 8;
    spec.offload =
        (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 62, .csum_offset = 16};
    rig_tcp(&segment, &spec, 5);
    rig_frame(&wire, &spec, &segment);
    rig_expect_use(*state, &wire);
}

static void extension_headers_that_ask_for_something_are_refused(void **state)
{
    struct wire wire;
    static const struct {
        uint8_t first;
        const char *bytes;
    } bad[] = {
        {43, "\x06\x00\x00\x00\x00\x00\x00\x00"}, /* routing type 0, even if it is over */
        {43, "\x06\x00\x00\x01\x00\x00\x00\x00"}, /* routing type 0 */
        {43, "\x06\x00\x04\x01\x00\x00\x00\x00"}, /* segment routing under way */
        {0, "\x06\x00\xc2\x04\x00\x01\x00\x00"},  /* jumbo payload */
        {60, "\x06\x00\xc9\x04\x00\x00\x00\x00"}, /* home address */
        {60, "\x06\x00\x40\x04\x00\x00\x00\x00"}, /* unknown, discard */
        {60, "\x06\x00\x80\x04\x00\x00\x00\x00"}, /* unknown, discard and tell */
        {60, "\x06\x00\x01\x05\x00\x00\x00\x00"}, /* an option past its header */
        {60, "\x06\x00\x01\x03\x00\x00\x00\x01"}, /* an option without a length */
        {60, "\x00\x00\x01\x04\x00\x00\x00\x00"}, /* hop-by-hop, but not first */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        chain(&wire, bad[i].first, bad[i].bytes, 8);
        rig_expect_drop(*state, &wire, DROP_IP_OPTIONS);
    }
}

static void a_chain_of_extensions_has_a_greatest_length(void **state)
{
    struct wire wire, segment;
    struct spec spec = rig_spec6(60);
    for (unsigned count = 1; count <= 8; count++) {
        struct wire chained = {.n = 8 * count};
        for (unsigned i = 0; i < count; i++)
            memcpy(chained.b + 8 * i, i + 1 < count ? "\x3c\x00\x01\x04\0\0\0" : "\x06\x00\x01\x04\0\0\0", 8);
        rig_tcp(&segment, &spec, 0);
        memcpy(chained.b + chained.n, segment.b, segment.n);
        chained.n += segment.n;
        rig_frame(&wire, &spec, &chained);
        if (count <= 6)
            rig_expect_use(*state, &wire);
        else
            rig_expect_drop(*state, &wire, DROP_IP_OPTIONS);
    }
}

static void an_extension_header_past_the_packet_is_a_bad_header(void **state)
{
    struct wire wire, payload = {.n = 7};
    static const uint8_t extensions[] = {0, 43, 60};
    for (size_t i = 0; i < 3; i++) {
        struct spec spec = rig_spec6(extensions[i]);
        memcpy(payload.b, "\x06\x00\x01\x04\0\0\0", 7);
        for (payload.n = 0; payload.n < 8; payload.n++) {
            rig_frame(&wire, &spec, &payload);
            rig_expect_drop(*state, &wire, DROP_IP_HEADER);
        }
        payload.b[1] = 1; /* it says 16 bytes */
        rig_frame(&wire, &spec, &payload);
        rig_expect_drop(*state, &wire, DROP_IP_HEADER);
    }
}

static void fragments_are_refused(void **state)
{
    struct wire wire;
    chain(&wire, 44, "\x06\x00\x00\x01\x00\x00\x00\x01", 8);
    rig_expect_drop(*state, &wire, DROP_IP_FRAGMENT);
    chain(&wire, 60, "\x2c\x00\x01\x04\x00\x00\x00\x00\x06\x00\x00\x08\0\0\0\1", 16);
    rig_expect_drop(*state, &wire, DROP_IP_FRAGMENT);
    struct wire cut = {.n = 3}; /* a header that is not all there, and no offset to look at */
    struct spec spec = rig_spec6(44);
    rig_frame(&wire, &spec, &cut);
    rig_expect_drop(*state, &wire, DROP_IP_FRAGMENT);
}

/* RFC 6946: it is a packet like any other, but for RFC 6980: not for neighbour discovery. */
static void the_only_fragment_of_its_packet_is_none(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    chain(&wire, 44, "\x06\xff\x00\x06\x00\x00\x00\x01", 8); /* what is reserved does not count */
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->tcp.seg.left, 25);
    chain(&wire, 44, "\x3c\x00\x00\x00\x00\x00\x00\x01\x06\x00\x01\x04\0\0\0\0", 16);
    rig_expect_use(rig, &wire);
    chain(&wire, 44, "\x3a\x00\x00\x00\x00\x00\x00\x01", 8);
    rig_expect_drop(rig, &wire, DROP_IP_FRAGMENT);
    chain(&wire, 44, "\x3c\x00\x00\x00\x00\x00\x00\x01\x3a\x00\x01\x04\0\0\0\0", 16);
    rig_expect_drop(rig, &wire, DROP_IP_FRAGMENT);
}

static void every_protocol_but_three_is_dropped(void **state)
{
    struct wire wire, payload = {.n = 64};
    struct spec spec = rig_spec6(0);
    for (unsigned protocol = 1; protocol < 256; protocol++) {
        if (protocol == 6 || protocol == 17 || protocol == 43 || protocol == 44 || protocol == 58 || protocol == 60)
            continue;
        spec.protocol = (uint8_t)protocol; /* ICMP of IPv4, AH, ESP, "no next header", mobility ... */
        rig_frame(&wire, &spec, &payload);
        rig_expect_drop(*state, &wire, DROP_IP_PROTOCOL);
    }
}

static void sources_that_no_workstation_may_have_are_refused(void **state)
{
    static const char *const bad[] = {
        "::",       "::1",        "::ffff:10.152.152.11", "::10.152.152.11",      "ff02::1",
        "fe80::11", /* link-local, to the far end */
        "fe80::10", RIG_GATEWAY6, "fd19:c33d:88bc::",     "fd19:c33d:88bc:1::11", RIG_FAR6,
    };
    struct wire wire;
    struct spec spec = rig_spec6(6);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        spec.src = bad[i];
        tcp(&wire, &spec, 1);
        if (strcmp(bad[i], "fe80::11") != 0) /* it is dropped as well, and told: test_tun_reject.c */
            rig_expect_drop(*state, &wire, DROP_IP_SOURCE);
    }
    spec.dst = RIG_GATEWAY6;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        spec.src = bad[i];
        tcp(&wire, &spec, 1);
        if (strcmp(bad[i], "fe80::11") != 0) /* a neighbour, and that is what it speaks to */
            rig_expect_drop(*state, &wire, DROP_IP_SOURCE);
    }
}

static void destinations_that_are_no_host_are_refused(void **state)
{
    static const char *const bad[] = {"::",      "::1",      "::ffff:93.184.216.34", "::93.184.216.34", "ff02::1",
                                      "ff0e::1", "fe80::11", "fd19:c33d:88bc::"};
    struct wire wire;
    struct spec spec = rig_spec6(6);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        spec.dst = bad[i];
        tcp(&wire, &spec, 1);
        rig_expect_drop(*state, &wire, DROP_IP_DESTINATION);
    }
}

static void destinations_that_only_look_special_are_used(void **state)
{
    static const char *const good[] = {
        "2680::1",             /* the second byte of a link-local address, but not its first */
        "fe00::1",             /* the other way round */
        "fec0::1",             /* site-local, which is no more (RFC 3879) */
        "2606:2800:220:1::",   /* an anycast address, but of another network */
        "fd19:c33d:88bc:1::1", /* next to the workstation network */
        "::1:0:0:0",
        "64:ff9b::1",
    };
    struct wire wire;
    struct spec spec = rig_spec6(6);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        spec.dst = good[i];
        tcp(&wire, &spec, 1);
        rig_expect_use(*state, &wire);
    }
}

static void networks_of_every_length_have_one_anycast_address(void **state)
{
    (void)state;
    for (unsigned len = 8; len <= 126; len++) {
        struct ipv6_scope scope = {.gateway = rig_addr("fd00::ffff")};
        struct ipaddr addr = rig_addr("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        for (unsigned bit = len; bit < 128; bit++)
            addr.b[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
        scope.network = (struct ipnet){.addr = addr, .len = (uint8_t)len};
        assert_false(ipv6_is_host(&addr, &scope));
        for (unsigned bit = len; bit < 128; bit++) { /* any host bit makes it a host */
            struct ipaddr host = addr;
            host.b[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
            assert_true(ipv6_is_host(&host, &scope));
        }
    }
}

static void the_gateway_is_spoken_to_at_both_its_addresses(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    struct spec spec = rig_spec6(6);
    spec.dst = RIG_GATEWAY6;
    tcp(&wire, &spec, 1);
    rig_expect_use(rig, &wire);
    spec.src = "fe80::11";
    tcp(&wire, &spec, 1);
    rig_expect_use(rig, &wire);
    spec.dst = "fe80::10";
    tcp(&wire, &spec, 1);
    rig_expect_use(rig, &wire);
}

static void a_group_mac_with_a_unicast_address_is_foreign(void **state)
{
    struct wire wire;
    struct spec spec = rig_spec6(6);
    memcpy(spec.dst_mac, "\x33\x33\xff\x00\x00\x10", 6);
    spec.dst = RIG_GATEWAY6;
    tcp(&wire, &spec, 1);
    rig_expect_drop(*state, &wire, DROP_FRAME_FOREIGN);
}

static void an_address_belongs_to_one_mac(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    struct spec spec = rig_spec6(6);
    tcp(&wire, &spec, 1);
    rig_expect_use(rig, &wire);
    memcpy(spec.src_mac, rig_other_mac, 6);
    tcp(&wire, &spec, 1);
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
}

static void datagrams_need_a_checksum(void **state)
{
    struct rig *rig = *state;
    struct wire wire, datagram;
    struct spec spec = rig_spec6(17);
    rig_udp(&datagram, &spec, 53, 21);
    rig_frame(&wire, &spec, &datagram);
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->udp.payload.left, 21);
    datagram.b[6] = datagram.b[7] = 0;
    rig_frame(&wire, &spec, &datagram);
    rig_expect_drop(rig, &wire, DROP_UDP_BAD);
}

static void congestion_experienced_does_not_matter(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    struct spec spec = rig_spec6(6);
    for (unsigned ecn = 0; ecn < 4; ecn++) {
        spec.tos = (uint8_t)(0xb8 | ecn);
        tcp(&wire, &spec, 1);
        rig_expect_use(rig, &wire);
    }
}

/* What comes back, as we send it; the rig's flow label is not ours. */
static struct spec reply(uint8_t protocol)
{
    struct spec spec = rig_spec6(protocol);
    spec.src = RIG_FAR6;
    spec.dst = RIG_STATION6;
    memcpy(spec.dst_mac, rig_station_mac, 6);
    memcpy(spec.src_mac, rig_gateway_mac, 6);
    return spec;
}

static void frame_of(struct wire *wire, const struct spec *spec, const struct wire *payload)
{
    rig_frame(wire, spec, payload);
    memcpy(wire->b + 24, "\x60\0\0\0", 4);
}

static uint32_t known_host(struct rig *rig)
{
    struct wire wire;
    struct spec spec = rig_spec6(6);
    tcp(&wire, &spec, 0);
    rig_feed(rig, &wire);
    return rig->tcp.host;
}

static struct tcp_out out_of(const struct wire *segment, uint32_t host)
{
    struct tcp_out out = {
        .src = rig_addr(RIG_FAR6),
        .dst = rig_addr(RIG_STATION6),
        .host = host,
        .header_len = 20,
        .payload_len = (uint32_t)(segment->n - 20),
        .iov_count = 2,
    };
    memcpy(out.head + TCP_HEADROOM, segment->b, 20);
    out.head[TCP_HEADROOM + 16] = out.head[TCP_HEADROOM + 17] = 0;
    out.iov[1] = (struct iovec){(void *)(uintptr_t)(segment->b + 20), segment->n - 20};
    return out;
}

static void segments_go_out_with_and_without_offload(void **state)
{
    struct rig *rig = *state;
    struct wire segment, expected;
    struct spec spec = reply(6);
    struct ipaddr src = rig_addr(RIG_FAR6), dst = rig_addr(RIG_STATION6);
    uint32_t host = known_host(rig);

    rig->tun.config.offload = 0;
    rig_tcp(&segment, &spec, 1440);
    struct tcp_out out = out_of(&segment, host);
    assert_int_equal(output_segment(&rig->tun, &out), 0);
    frame_of(&expected, &spec, &segment);
    rig_expect_sent(rig, 0, &expected);
    rig_tcp(&segment, &spec, 1441);
    out = out_of(&segment, host);
    assert_int_equal(output_segment(&rig->tun, &out), -EINVAL);

    rig->tun.config.offload = RIG_OFFLOAD;
    rig_tcp(&segment, &spec, OUTPUT_GSO_MAX);
    out = out_of(&segment, host);
    out.gso_size = 1440;
    assert_int_equal(output_segment(&rig->tun, &out), 0);
    uint16_t sum = ref_fold(ref_pseudo(&src, &dst, 6, (uint32_t)segment.n));
    segment.b[16] = (uint8_t)(sum >> 8);
    segment.b[17] = (uint8_t)sum;
    spec.offload = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                           .gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
                                           .hdr_len = 74,
                                           .gso_size = 1440,
                                           .csum_start = 54,
                                           .csum_offset = 16};
    frame_of(&expected, &spec, &segment);
    rig_expect_sent(rig, 1, &expected);

    rig->tun.config.offload = DEVICE_OFFLOAD_CSUM | DEVICE_OFFLOAD_TSO4;
    out = out_of(&segment, host);
    out.gso_size = 1440;
    assert_int_equal(output_segment(&rig->tun, &out), -EINVAL);
}

static void datagrams_go_out(void **state)
{
    struct rig *rig = *state;
    struct wire datagram, expected;
    struct spec spec = reply(17);
    rig_udp(&datagram, &spec, 40001, 101);
    const struct tun_udp udp = {
        .src = rig_addr(RIG_FAR6),
        .dst = rig_addr(RIG_STATION6),
        .src_port = 5353,
        .dst_port = 40001,
        .host = known_host(rig),
        .payload = bytes_of(datagram.b + 8, 101),
    };
    assert_int_equal(output_udp(&rig->tun, &udp), 0);
    frame_of(&expected, &spec, &datagram);
    rig_expect_sent(rig, 0, &expected);
}

static void each_refusal_has_its_icmp_code(void **state)
{
    struct rig *rig = *state;
    static const uint8_t syn[8] = {0x9c, 0x40, 0x01, 0xbb, 1, 2, 3, 4};
    static const struct {
        enum tcp_refusal why;
        uint8_t code;
    } table[] = {{TCP_REFUSAL_HOST, 3}, {TCP_REFUSAL_NET, 0}, {TCP_REFUSAL_PROHIBITED, 1}};
    const struct tcp_tuple tuple = {
        .src = rig_addr(RIG_STATION6), .dst = rig_addr(RIG_FAR6), .src_port = 40000, .dst_port = 443};
    uint32_t host = known_host(rig);
    for (unsigned i = 0; i < 3; i++) {
        uint8_t quoted[48] = {0x60, 0, 0, 0, 0, 20, 6, 64};
        struct wire message, expected;
        memcpy(quoted + 8, tuple.src.b, 16);
        memcpy(quoted + 24, tuple.dst.b, 16);
        memcpy(quoted + 40, syn, 8);
        struct spec spec = reply(58);
        spec.src = RIG_GATEWAY6;
        rig_icmpv6(&message, &spec, 1, table[i].code, 0, quoted, sizeof(quoted));
        frame_of(&expected, &spec, &message);
        output_unreachable(&rig->tun, &tuple, host, table[i].why, syn);
        rig_expect_sent(rig, i, &expected);
    }
}

static void configurations_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct tun tun;
    static const struct tun_ops ops;
    struct tun_config bad[7];
    for (size_t i = 0; i < 7; i++)
        bad[i] = rig_config6();
    bad[0].address6 = rig_addr("fd19:c33d:88bc::"); /* the anycast address */
    bad[1].address6 = rig_addr(RIG_FAR6);           /* outside */
    bad[2].network6.len = 127;                      /* no room for a host */
    bad[3].network6.len = 0;                        /* everything */
    bad[4].link_local6 = rig_addr(RIG_GATEWAY6);    /* not link-local */
    bad[5].mtu = 1279;
    bad[6].address6 = bad[6].network6.addr = rig_addr("::ffff:1.2.3.4");
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(tun_init(&tun, &bad[i], &ops, NULL, NULL), -EINVAL);
}

static void configurations_at_the_edge_are_fine(void **state)
{
    (void)state;
    struct tun tun;
    static const struct tun_ops ops;
    struct tun_config good[4];
    for (size_t i = 0; i < 4; i++)
        good[i] = rig_config6();
    good[0].mtu = 1280;
    good[1].network6.len = 126;
    good[1].address6 = rig_addr("fd19:c33d:88bc::11");
    good[2].network6.len = 8;
    good[3].link_local6 = rig_addr("::");
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(tun_init(&tun, &good[i], &ops, NULL, NULL), 0);
        tun_fini(&tun);
    }
}

static void our_link_local_address_is_made_of_the_configured_one(void **state)
{
    static const char *const pairs[][2] = {
        {"fd19:c33d:88bc::10", "fe80::10"},
        {"fd00:1:2:3:4:5:6:7", "fe80::4:5:6:7"},
        {"fd00:1:2:3::", "fe80::1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct ipaddr addr = rig_addr(pairs[i][0]), want = rig_addr(pairs[i][1]);
        struct ipaddr got = ipv6_link_local_of(&addr);
        assert_true(ipaddr_equal(&got, &want));
    }
}

static void what_is_on_the_link_is_local(void **state)
{
    static const struct {
        const char *addr;
        bool local;
    } cases[] = {{"10.152.152.99", true}, {"10.152.152.10", true}, {"10.153.0.1", false},
                 {RIG_GATEWAY6, true},    {RIG_OTHER6, true},      {"fd19:c33d:88bd::10", false},
                 {"fe80::10", true},      {"fe80::77", true},      {RIG_FAR6, false}};
    const struct tun_config config = rig_config6();
    struct rig *rig = rig_start(&config);
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ipaddr addr = rig_addr(cases[i].addr);
        assert_int_equal(tun_is_local(&rig->tun, &addr), cases[i].local);
    }
    rig_stop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_on_the_link_is_local),
        cmocka_unit_test(our_link_local_address_is_made_of_the_configured_one),
        cmocka_unit_test_setup_teardown(a_segment_reaches_the_engine_as_it_was_sent, start, stop),
        cmocka_unit_test_setup_teardown(a_wrong_checksum_is_dropped_unless_partial, start, stop),
        cmocka_unit_test_setup_teardown(merged_segments_are_of_their_own_kind, start, stop),
        cmocka_unit_test_setup_teardown(wrong_versions_and_lengths_are_dropped, start, stop),
        cmocka_unit_test_setup_teardown(harmless_extension_headers_are_walked, start, stop),
        cmocka_unit_test_setup_teardown(partial_checksums_count_the_extensions, start, stop),
        cmocka_unit_test_setup_teardown(extension_headers_that_ask_for_something_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(a_chain_of_extensions_has_a_greatest_length, start, stop),
        cmocka_unit_test_setup_teardown(an_extension_header_past_the_packet_is_a_bad_header, start, stop),
        cmocka_unit_test_setup_teardown(fragments_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(the_only_fragment_of_its_packet_is_none, start, stop),
        cmocka_unit_test_setup_teardown(every_protocol_but_three_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(sources_that_no_workstation_may_have_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(destinations_that_are_no_host_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(destinations_that_only_look_special_are_used, start, stop),
        cmocka_unit_test_setup_teardown(networks_of_every_length_have_one_anycast_address, start, stop),
        cmocka_unit_test_setup_teardown(the_gateway_is_spoken_to_at_both_its_addresses, start, stop),
        cmocka_unit_test_setup_teardown(a_group_mac_with_a_unicast_address_is_foreign, start, stop),
        cmocka_unit_test_setup_teardown(an_address_belongs_to_one_mac, start, stop),
        cmocka_unit_test_setup_teardown(datagrams_need_a_checksum, start, stop),
        cmocka_unit_test_setup_teardown(congestion_experienced_does_not_matter, start, stop),
        cmocka_unit_test_setup_teardown(segments_go_out_with_and_without_offload, start, stop),
        cmocka_unit_test_setup_teardown(datagrams_go_out, start, stop),
        cmocka_unit_test_setup_teardown(each_refusal_has_its_icmp_code, start, stop),
        cmocka_unit_test_setup_teardown(configurations_that_make_no_sense_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(configurations_at_the_edge_are_fine, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
