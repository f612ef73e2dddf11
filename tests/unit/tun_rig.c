/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun_rig.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

const uint8_t rig_gateway_mac[6] = {0x02, 0x10, 0x20, 0x30, 0x40, 0x50};
const uint8_t rig_station_mac[6] = {0x52, 0x54, 0x00, 0x11, 0x22, 0x33};
const uint8_t rig_other_mac[6] = {0x52, 0x54, 0x00, 0x44, 0x55, 0x66};

static struct rig *current;
static uint8_t *fed; /* the last frame fed: must stay until the flush that would follow */

/* The engine's part. */

void tcp_input(struct tcp_engine *engine, const struct tcp_in *in, uint64_t now)
{
    assert_ptr_equal(engine, current);
    assert_int_equal(now, current->now);
    current->tcp = *in;
    current->tcp_count++;
}

void tcp_unreachable(struct tcp_engine *engine, const struct tcp_tuple *tuple, uint32_t seq, bool hard,
                     uint64_t now)
{
    (void)engine;
    (void)now;
    current->unreachable_tuple = *tuple;
    current->unreachable_seq = seq;
    current->unreachable_hard = hard;
    current->unreachable_count++;
}

void tcp_packet_too_big(struct tcp_engine *engine, const struct tcp_tuple *tuple, uint32_t seq, uint32_t mtu,
                        uint64_t now)
{
    assert_ptr_equal(engine, current);
    assert_int_equal(now, current->now);
    current->too_big_tuple = *tuple;
    current->too_big_seq = seq;
    current->too_big_mtu = mtu;
    current->too_big_count++;
}

void tcp_engine_reset_host(struct tcp_engine *engine, uint32_t host, uint64_t now)
{
    assert_ptr_equal(engine, current);
    assert_int_equal(now, current->now);
    const struct tun *tun = current->fed != NULL ? current->fed : &current->tun;
    assert_non_null(hosts_at(&tun->hosts, host)); /* the old binding still stands */
    current->reset_host = host;
    current->reset_count++;
}

void tcp_engine_charge(struct tcp_engine *engine, uint32_t host, uint32_t account)
{
    (void)engine;
    if (current == NULL)
        return; /* of what is configured, before there is a rig */
    assert_true(host < RIG_HOSTS && account < RIG_HOSTS);
    current->account[host] = account;
}

static int keep_sent(void *ctx, const struct iovec *iov, int count)
{
    struct rig *rig = ctx;
    if (rig->send_result < 0)
        return rig->send_result;
    assert_true(rig->sent_count < RIG_SENT_MAX);
    struct wire *wire = &rig->sent[rig->sent_count++];
    wire->n = 0;
    for (int i = 0; i < count; i++) {
        assert_true(wire->n + iov[i].iov_len <= sizeof(wire->b));
        if (iov[i].iov_len > 0)
            memcpy(wire->b + wire->n, iov[i].iov_base, iov[i].iov_len);
        wire->n += iov[i].iov_len;
    }
    return 0;
}

static enum drop keep_udp(void *ctx, const struct tun_udp *udp)
{
    struct rig *rig = ctx;
    assert_true(udp->payload.left <= sizeof(rig->udp_data));
    rig->udp = *udp;
    memcpy(rig->udp_data, udp->payload.at, udp->payload.left);
    rig->udp_count++;
    return rig->udp_result;
}

static bool is_busy(void *ctx, uint32_t host)
{
    return ((struct rig *)ctx)->busy_host == host;
}

static void is_gone(void *ctx, uint32_t host)
{
    struct rig *rig = ctx;
    assert_int_equal(rig->reset_host, host); /* flows are reset first */
    rig->gone_count++;
}

struct tun_config rig_config(void)
{
    struct tun_config config = {
        .address = rig_addr(RIG_GATEWAY),
        .network = {.addr = rig_addr(RIG_GATEWAY), .len = 96 + 18},
        .mtu = 1500,
        .offload = RIG_OFFLOAD,
        .max_hosts = 16,
        .max_per_mac = 4,
        .host_idle = 1000000,
        .secret = {1, 2, 3},
    };
    memcpy(config.mac, rig_gateway_mac, 6);
    return config;
}

struct tun_config rig_config6(void)
{
    struct tun_config config = rig_config();
    config.ipv6 = true;
    config.address6 = rig_addr(RIG_GATEWAY6);
    config.network6 = (struct ipnet){.addr = rig_addr(RIG_GATEWAY6), .len = 64};
    config.link_local6 = rig_addr("fe80::10");
    return config;
}

struct rig *rig_start(const struct tun_config *config)
{
    static const struct tun_ops ops = {
        .send = keep_sent, .udp = keep_udp, .host_busy = is_busy, .host_gone = is_gone};
    struct rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    rig->now = 5000000;
    rig->busy_host = UINT32_MAX;
    rig->udp_result = DROP_NONE;
    assert_int_equal(tun_init(&rig->tun, config, &ops, rig, (struct tcp_engine *)(void *)rig), 0);
    current = rig;
    return rig;
}

void rig_stop(struct rig *rig)
{
    tun_fini(&rig->tun);
    free(fed);
    fed = NULL;
    current = NULL;
    free(rig);
}

struct ipaddr rig_addr(const char *text)
{
    uint8_t b[16];
    if (inet_pton(AF_INET, text, b) == 1)
        return ipaddr_v4(b);
    if (inet_pton(AF_INET6, text, b) != 1)
        abort();
    return ipaddr_v6(b);
}

uint32_t ref_sum(uint32_t start, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        start += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
    return start;
}

uint16_t ref_fold(uint32_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

uint32_t ref_pseudo(const struct ipaddr *src, const struct ipaddr *dst, uint8_t protocol, uint32_t len)
{
    size_t skip = ipaddr_is_v4(src) ? 12 : 0;
    uint32_t sum = ref_sum(0, src->b + skip, 16 - skip);
    sum = ref_sum(sum, dst->b + skip, 16 - skip);
    return sum + protocol + (len >> 16) + (len & 0xffff);
}

static void put(struct wire *wire, const void *p, size_t n)
{
    assert(wire->n + n <= sizeof(wire->b));
    if (n > 0)
        memcpy(wire->b + wire->n, p, n);
    wire->n += n;
}

static void put8(struct wire *wire, unsigned v)
{
    uint8_t b = (uint8_t)v;
    put(wire, &b, 1);
}

static void put16(struct wire *wire, unsigned v)
{
    put8(wire, v >> 8);
    put8(wire, v);
}

static void put32(struct wire *wire, uint32_t v)
{
    put16(wire, v >> 16);
    put16(wire, v & 0xffff);
}

static void set16(struct wire *wire, size_t at, unsigned v)
{
    wire->b[at] = (uint8_t)(v >> 8);
    wire->b[at + 1] = (uint8_t)v;
}

static void put_pattern(struct wire *wire, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put8(wire, (unsigned)(i * 7 + 3));
}

struct spec rig_spec(uint8_t protocol)
{
    struct spec spec = {.type = 0x0800, .src = RIG_STATION, .dst = RIG_FAR, .protocol = protocol};
    memcpy(spec.dst_mac, rig_gateway_mac, 6);
    memcpy(spec.src_mac, rig_station_mac, 6);
    return spec;
}

struct spec rig_spec6(uint8_t protocol)
{
    struct spec spec = rig_spec(protocol);
    spec.type = 0x86dd;
    spec.src = RIG_STATION6;
    spec.dst = RIG_FAR6;
    return spec;
}

static void put_ipv4(struct wire *wire, const struct spec *spec, const struct wire *payload)
{
    struct ipaddr src = rig_addr(spec->src), dst = rig_addr(spec->dst);
    size_t at = wire->n;
    size_t header_len = 20 + spec->options_len;
    put8(wire, spec->version_ihl != 0 ? spec->version_ihl : (unsigned)(0x40 | header_len / 4));
    put8(wire, spec->tos);
    put16(wire, (unsigned)((int)(header_len + payload->n) + spec->total_len_add));
    put16(wire, 0x1234);
    put16(wire, spec->fragment);
    put8(wire, spec->hop_limit != 0 ? spec->hop_limit : 64);
    put8(wire, spec->protocol);
    put16(wire, 0);
    put(wire, src.b + 12, 4);
    put(wire, dst.b + 12, 4);
    put(wire, spec->options, spec->options_len);
    set16(wire, at + 10, (uint16_t)~ref_fold(ref_sum(0, wire->b + at, header_len)) ^ spec->sum_xor);
}

static void put_ipv6(struct wire *wire, const struct spec *spec, const struct wire *payload)
{
    struct ipaddr src = rig_addr(spec->src), dst = rig_addr(spec->dst);
    put8(wire, (spec->version_ihl != 0 ? spec->version_ihl : 0x60) | spec->tos >> 4);
    put8(wire, (unsigned)(spec->tos << 4) | 0x0b);
    put16(wire, 0xcdef);
    put16(wire, (unsigned)((int)(spec->options_len + payload->n) + spec->total_len_add));
    put8(wire, spec->protocol);
    put8(wire, spec->hop_limit != 0 ? spec->hop_limit : 64);
    put(wire, src.b, 16);
    put(wire, dst.b, 16);
    put(wire, spec->options, spec->options_len);
}

void rig_frame(struct wire *wire, const struct spec *spec, const struct wire *payload)
{
    wire->n = 0;
    put(wire, &spec->offload, sizeof(spec->offload));
    put(wire, spec->dst_mac, 6);
    put(wire, spec->src_mac, 6);
    put16(wire, spec->type);
    if (spec->type == 0x86dd)
        put_ipv6(wire, spec, payload);
    else
        put_ipv4(wire, spec, payload);
    put(wire, payload->b, payload->n);
    for (size_t i = 0; i < spec->padding; i++)
        put8(wire, 0xee);
}

void rig_tcp(struct wire *wire, const struct spec *spec, size_t n)
{
    struct ipaddr src = rig_addr(spec->src), dst = rig_addr(spec->dst);
    wire->n = 0;
    put16(wire, 40000);
    put16(wire, 443);
    put32(wire, 0x01020304);
    put32(wire, 0x0a0b0c0d);
    put8(wire, 0x50);
    put8(wire, 0x18);
    put16(wire, 0x7210);
    put16(wire, 0);
    put16(wire, 0);
    put_pattern(wire, n);
    uint32_t sum = ref_pseudo(&src, &dst, 6, (uint32_t)wire->n);
    set16(wire, 16, (uint16_t)~ref_fold(ref_sum(sum, wire->b, wire->n)));
}

void rig_udp(struct wire *wire, const struct spec *spec, uint16_t port, size_t n)
{
    struct ipaddr src = rig_addr(spec->src), dst = rig_addr(spec->dst);
    wire->n = 0;
    put16(wire, 5353);
    put16(wire, port);
    put16(wire, (unsigned)(8 + n));
    put16(wire, 0);
    put_pattern(wire, n);
    uint32_t sum = ref_pseudo(&src, &dst, 17, (uint32_t)wire->n);
    uint16_t field = (uint16_t)~ref_fold(ref_sum(sum, wire->b, wire->n));
    set16(wire, 6, field != 0 ? field : 0xffff);
}

void rig_icmp(struct wire *wire, uint8_t type, uint8_t code, uint32_t rest, const void *body, size_t n)
{
    wire->n = 0;
    put8(wire, type);
    put8(wire, code);
    put16(wire, 0);
    put32(wire, rest);
    put(wire, body, n);
    set16(wire, 2, (uint16_t)~ref_fold(ref_sum(0, wire->b, wire->n)));
}

void rig_icmpv6(struct wire *wire, const struct spec *spec, uint8_t type, uint8_t code, uint32_t rest,
                const void *body, size_t n)
{
    struct ipaddr src = rig_addr(spec->src), dst = rig_addr(spec->dst);
    rig_icmp(wire, type, code, rest, body, n);
    wire->b[2] = wire->b[3] = 0;
    uint32_t sum = ref_pseudo(&src, &dst, 58, (uint32_t)wire->n);
    set16(wire, 2, (uint16_t)~ref_fold(ref_sum(sum, wire->b, wire->n)));
}

void rig_arp(struct wire *wire, const uint8_t dst_mac[6], const uint8_t src_mac[6], uint16_t operation,
             const uint8_t sender_mac[6], const char *sender, const uint8_t target_mac[6], const char *target)
{
    static const uint8_t no_offload[10];
    struct ipaddr from = rig_addr(sender), to = rig_addr(target);
    wire->n = 0;
    put(wire, no_offload, 10);
    put(wire, dst_mac, 6);
    put(wire, src_mac, 6);
    put16(wire, 0x0806);
    put16(wire, 1);
    put16(wire, 0x0800);
    put8(wire, 6);
    put8(wire, 4);
    put16(wire, operation);
    put(wire, sender_mac, 6);
    put(wire, from.b + 12, 4);
    put(wire, target_mac, 6);
    put(wire, to.b + 12, 4);
}

void rig_feed(struct rig *rig, const struct wire *wire)
{
    free(fed);
    fed = malloc(wire->n > 0 ? wire->n : 1);
    assert_non_null(fed);
    memcpy(fed, wire->b, wire->n);
    tun_input(&rig->tun, bytes_of(fed, wire->n), rig->now);
}

static uint64_t drops_in_all(const struct rig *rig)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < DROP_COUNT; i++)
        sum += rig->tun.drops.by[i];
    return sum;
}

void rig_expect_drop(struct rig *rig, const struct wire *wire, enum drop why)
{
    uint64_t before = drops_in_all(rig);
    uint64_t reason_before = rig->tun.drops.by[why];
    uint64_t used = rig->tun.counters.frames_used;
    uint64_t in = rig->tun.counters.frames_in;
    unsigned handed = rig->tcp_count + rig->too_big_count + rig->unreachable_count + rig->sent_count;
    rig_feed(rig, wire);
    if (rig->tun.drops.by[why] != reason_before + 1)
        fail_msg("not dropped as %s", drop_name(why));
    assert_int_equal(drops_in_all(rig), before + 1);
    assert_int_equal(rig->tun.counters.frames_used, used);
    assert_int_equal(rig->tun.counters.frames_in, in + 1);
    assert_int_equal(rig->tcp_count + rig->too_big_count + rig->unreachable_count + rig->sent_count, handed);
}

void rig_expect_use(struct rig *rig, const struct wire *wire)
{
    uint64_t before = drops_in_all(rig);
    uint64_t used = rig->tun.counters.frames_used;
    rig_feed(rig, wire);
    for (unsigned i = 0; i < DROP_COUNT && drops_in_all(rig) != before; i++) {
        if (rig->tun.drops.by[i] != 0)
            print_message("dropped so far: %s %llu\n", drop_name((enum drop)i),
                          (unsigned long long)rig->tun.drops.by[i]);
    }
    assert_int_equal(drops_in_all(rig), before);
    assert_int_equal(rig->tun.counters.frames_used, used + 1);
}

void rig_expect_sent(const struct rig *rig, unsigned i, const struct wire *wire)
{
    assert_true(i < rig->sent_count);
    assert_int_equal(rig->sent[i].n, wire->n);
    assert_memory_equal(rig->sent[i].b, wire->b, wire->n);
}
