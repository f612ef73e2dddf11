/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames that are nearly good, and frames that are nothing at all: no crash, and the counters add up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "random.h"
#include "tun_rig.h"

#define ROUNDS 30000u

static void feed_and_check(struct rig *rig, const struct wire *wire)
{
    uint64_t drops = 0;
    rig->sent_count = 0;
    rig_feed(rig, wire);
    for (unsigned i = 0; i < DROP_COUNT; i++)
        drops += rig->tun.drops.by[i];
    assert_int_equal(rig->tun.counters.frames_in, rig->tun.counters.frames_used + drops);
}

/* One good frame of each kind. */
static void good_frame(struct wire *wire, unsigned kind, size_t n, bool ipv6)
{
    static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static uint8_t body[64];
    struct wire payload;
    struct spec spec = ipv6 ? rig_spec6(6) : rig_spec(6);
    switch (kind) {
    case 0:
        rig_arp(wire, everybody, rig_station_mac, 1, rig_station_mac, RIG_STATION, everybody, RIG_GATEWAY);
        return;
    case 1:
        spec.protocol = 17;
        rig_udp(&payload, &spec, 53, n);
        break;
    case 2:
        spec.protocol = ipv6 ? 58 : 1;
        spec.dst = ipv6 ? RIG_GATEWAY6 : RIG_GATEWAY;
        if (ipv6)
            rig_icmpv6(&payload, &spec, 128, 0, 1, body, sizeof(body));
        else
            rig_icmp(&payload, 8, 0, 1, body, sizeof(body));
        break;
    case 3:
        spec.offload =
            (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                    .gso_type = ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
                                    .gso_size = 100,
                                    .csum_start = ipv6 ? 54 : 34,
                                    .csum_offset = 16};
        rig_tcp(&payload, &spec, n);
        break;
    default:
        rig_tcp(&payload, &spec, n);
        break;
    }
    rig_frame(wire, &spec, &payload);
}

static void mutated_frames_are_used_or_dropped_once(bool ipv6)
{
    struct tun_config config = ipv6 ? rig_config6() : rig_config();
    struct rig *rig = rig_start(&config);
    struct random r = random_start();
    static struct wire wire;
    for (unsigned round = 0; round < ROUNDS; round++) {
        good_frame(&wire, random_below(&r, 5), random_below(&r, 200), ipv6);
        for (unsigned changes = random_below(&r, 4); changes > 0; changes--)
            wire.b[random_below(&r, (uint32_t)wire.n)] = (uint8_t)random_u64(&r);
        if (random_below(&r, 4) == 0)
            wire.n = random_below(&r, (uint32_t)wire.n + 1);
        if (!ipv6 && wire.n > FRAME_HEADER_LEN + 20 && random_below(&r, 2) == 0) { /* past the header checksum */
            uint8_t *ip = wire.b + FRAME_HEADER_LEN;
            size_t n = (size_t)(ip[0] & 0xf) * 4;
            ip[10] = ip[11] = 0;
            uint16_t sum = (uint16_t)~ref_fold(ref_sum(0, ip, n < wire.n - FRAME_HEADER_LEN ? n : 20));
            ip[10] = (uint8_t)(sum >> 8);
            ip[11] = (uint8_t)sum;
        }
        rig->now += random_below(&r, 100000);
        feed_and_check(rig, &wire);
    }
    assert_true(rig->tun.counters.frames_used > ROUNDS / 20);
    rig_stop(rig);
}

static void mutated_ipv4_frames_are_used_or_dropped_once(void **state)
{
    (void)state;
    mutated_frames_are_used_or_dropped_once(false);
}

static void mutated_ipv6_frames_are_used_or_dropped_once(void **state)
{
    (void)state;
    mutated_frames_are_used_or_dropped_once(true);
}

static void random_bytes_are_dropped(void **state)
{
    (void)state;
    struct tun_config config = rig_config();
    struct rig *rig = rig_start(&config);
    struct random r = random_start();
    static struct wire wire;
    for (unsigned round = 0; round < ROUNDS; round++) {
        wire.n = random_below(&r, 200);
        random_fill(&r, wire.b, wire.n);
        if (random_below(&r, 2) == 0) /* let some of them past the Ethernet header */
            memcpy(wire.b + 10, rig_gateway_mac, 6);
        feed_and_check(rig, &wire);
    }
    assert_int_equal(rig->tun.counters.frames_used, 0);
    rig_stop(rig);
}

/* Another gateway, to which the short way of tun/fast.h is shut. It talks to the same rig. */
static void twin_start(struct tun *twin, const struct rig *rig)
{
    struct tun_config config = rig->tun.config;
    config.unpredicted = true;
    assert_int_equal(tun_init(twin, &config, &rig->tun.ops, rig->tun.ctx, rig->tun.engine), 0);
}

static bool same_segment(const struct tcp_in *a, const struct tcp_in *b)
{
    return ipaddr_equal(&a->src, &b->src) && ipaddr_equal(&a->dst, &b->dst) && a->host == b->host &&
           a->seg.at == b->seg.at && a->seg.left == b->seg.left && a->seg.spoilt == b->seg.spoilt &&
           a->gso_size == b->gso_size;
}

static void feed_both(struct rig *rig, struct tun *twin, const struct wire *wire)
{
    static struct wire frame;
    unsigned count = rig->tcp_count;
    frame.n = wire->n;
    memcpy(frame.b, wire->b, wire->n);
    rig->sent_count = 0;
    tun_input(&rig->tun, bytes_of(frame.b, frame.n), rig->now);
    const struct tcp_in in = rig->tcp;
    unsigned handed = rig->tcp_count - count;
    unsigned sent = rig->sent_count;
    rig->tcp = (struct tcp_in){0};
    rig->fed = twin;
    tun_input(twin, bytes_of(frame.b, frame.n), rig->now);
    rig->fed = NULL;
    assert_int_equal(rig->tcp_count - count, 2 * handed);
    assert_int_equal(rig->sent_count, 2 * sent);
    assert_memory_equal(&rig->tun.drops, &twin->drops, sizeof(twin->drops));
    assert_memory_equal(&rig->tun.counters, &twin->counters, sizeof(twin->counters));
    assert_memory_equal(rig->tun.hosts.host, twin->hosts.host, rig->tun.config.max_hosts * sizeof(struct host));
    if (handed > 0)
        assert_true(same_segment(&in, &rig->tcp));
}

/* Who speaks with whom, in each family. */
struct cast {
    const char *sources[5]; /* the last one may be nobody's */
    const char *targets[8]; /* the first is where most goes; others are for nobody */
    uint8_t gso;
    uint16_t tcp_at; /* in the frame, without offload header */
};

static const struct cast cast4 = {
    .sources = {RIG_STATION, RIG_OTHER, "10.152.152.27", "10.152.152.43", RIG_GATEWAY},
    .targets = {RIG_FAR, RIG_FAR, "198.51.100.7", "127.0.0.1", "10.152.191.255", RIG_GATEWAY, "224.0.0.1",
                "0.0.0.0"},
    .gso = VIRTIO_NET_HDR_GSO_TCPV4,
    .tcp_at = 34,
};

/* Two of the sources are remembered in the same place; the link-local one may speak to the gateway only. */
static const struct cast cast6 = {
    .sources = {RIG_STATION6, RIG_OTHER6, "fd19:c33d:88bc::21", "fe80::11", RIG_GATEWAY6},
    .targets = {RIG_FAR6, RIG_GATEWAY6, "2001:db8::7", "::1", "ff02::1", "fe80::10",
                "fd19:c33d:88bc::", "::ffff:1.2.3.4"},
    .gso = VIRTIO_NET_HDR_GSO_TCPV6,
    .tcp_at = 54,
};

static void spoil(struct random *r, struct spec *spec, struct wire *payload, const struct cast *cast)
{
    if (random_below(r, 16) == 0)
        payload->b[12] = (uint8_t)random_u64(r); /* the length of the header */
    if (random_below(r, 32) == 0)
        spec->protocol = 253; /* RFC 3692: nobody's */
    if (random_below(r, 2) == 0)
        spec->offload.flags = (uint8_t)random_below(r, 4);
    if (random_below(r, 3) == 0)
        spec->offload.gso_type = random_below(r, 2) == 0 ? cast->gso : (uint8_t)random_below(r, 6);
    spec->offload.gso_size = (uint16_t)(random_below(r, 2) * 100);
    spec->offload.csum_start = (uint16_t)(cast->tcp_at - (random_below(r, 8) == 0));
    spec->offload.csum_offset = random_below(r, 8) == 0 ? 6 : 16;
    spec->padding = random_below(r, 4) == 0 ? random_below(r, 8) : 0;
    spec->total_len_add = random_below(r, 16) == 0 ? (int)random_below(r, 60) - 50 : 0;
    spec->fragment = random_below(r, 16) == 0 ? (uint16_t)random_u64(r) : 0;
    if (spec->type == 0x86dd && random_below(r, 32) == 0) { /* an empty extension header for destinations */
        static const uint8_t options[8] = {6, 0, 1, 4};
        memcpy(spec->options, options, sizeof(options));
        spec->options_len = sizeof(options);
        spec->protocol = 60;
    }
}

/* Workstations that take one another's addresses, frames of all offload headers, spoilt and good. */
static void the_short_way_finds_what_the_long_way_does(bool ipv6)
{
    const struct cast *cast = ipv6 ? &cast6 : &cast4;
    struct tun_config config = ipv6 ? rig_config6() : rig_config();
    struct rig *rig = rig_start(&config);
    struct random r = random_start();
    struct tun twin;
    static struct wire wire, payload;
    twin_start(&twin, rig);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct spec spec = ipv6 ? rig_spec6(6) : rig_spec(6);
        /* Runs of frames that are alike, or the short way would hardly be gone. */
        spec.src = cast->sources[round / 8 % 4 == 3 ? random_below(&r, 5) : round / 200 % 4];
        spec.src_mac[5] = (uint8_t)(2 + (round / 1000 + (random_below(&r, 50) == 0)) % 3);
        spec.dst = cast->targets[random_below(&r, 16) == 0 ? random_below(&r, 8) : 0];
        spec.tos = (uint8_t)random_below(&r, 4);
        rig_tcp(&payload, &spec, random_below(&r, 3) == 0 ? 0 : random_below(&r, 200));
        if (random_below(&r, 4) == 0) /* as long as an ACK with timestamps */
            rig_tcp(&payload, &spec, 12);
        spoil(&r, &spec, &payload, cast);
        rig_frame(&wire, &spec, &payload);
        if (ipv6 && random_below(&r, 4) == 0) { /* traffic class and flow label, which are in no checksum */
            wire.b[FRAME_HEADER_LEN] = (uint8_t)(0x60 | random_below(&r, 4));
            wire.b[FRAME_HEADER_LEN + 1] = (uint8_t)random_u64(&r);
            wire.b[FRAME_HEADER_LEN + 3] = (uint8_t)random_u64(&r);
        }
        for (unsigned changes = random_below(&r, 8) == 0 ? random_below(&r, 4) : 0; changes > 0; changes--)
            wire.b[random_below(&r, (uint32_t)wire.n)] = (uint8_t)random_u64(&r);
        if (random_below(&r, 16) == 0)
            wire.n = random_below(&r, (uint32_t)wire.n + 1);
        rig->now += random_below(&r, random_below(&r, 100) == 0 ? 3000000 : 1000);
        feed_both(rig, &twin, &wire);
    }
    assert_true(rig->tcp_count > ROUNDS / 4);
    assert_true(rig->gone_count > 0);
    tun_fini(&twin);
    rig_stop(rig);
}

static void the_short_way_of_ipv4_finds_what_the_long_way_does(void **state)
{
    (void)state;
    the_short_way_finds_what_the_long_way_does(false);
}

static void the_short_way_of_ipv6_finds_what_the_long_way_does(void **state)
{
    (void)state;
    the_short_way_finds_what_the_long_way_does(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_ipv4_frames_are_used_or_dropped_once),
        cmocka_unit_test(mutated_ipv6_frames_are_used_or_dropped_once),
        cmocka_unit_test(random_bytes_are_dropped),
        cmocka_unit_test(the_short_way_of_ipv4_finds_what_the_long_way_does),
        cmocka_unit_test(the_short_way_of_ipv6_finds_what_the_long_way_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
