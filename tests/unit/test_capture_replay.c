/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captured frames through tun/ into the real engine: those of bench/captures, and every capture below the folder that
 * CLOISTER_CAPTURES names. Each goes in three times: as it is; dressed up as a workstation's, so that it gets past
 * addresses and checksums; and changed at random before that. Upstreams are opened, answer and end meanwhile.
 *
 * Every thousand frames another workstation opens a connection, which must work from SYN to the last ACK, and the
 * engine's books must balance. CLOISTER_SEED is the seed of the changes.
 */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "../sim/inspect.h"
#include "base/checksum.h"
#include "tcp/engine.h"
#include "tun/device.h"
#include "tun/output.h"
#include "tun/tun.h"

#define PAIRED 1000u         /* frames between two connections of the other workstation */
#define FRAME_LONGEST 65536u /* bytes of a frame that is fed */
#define FLOWS 1024u

static const uint8_t gateway_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t station_mac[6] = {2, 0, 0, 0, 0, 2};
static const uint8_t other_mac[6] = {2, 0, 0, 0, 0, 3};
static const uint8_t station_ip[4] = {10, 152, 152, 11};
static const uint8_t other_ip[4] = {10, 152, 152, 12};
static const uint8_t far_ip[4] = {198, 51, 100, 7};
static const char request[] = "a question";
static const char answer[] = "the answer";

struct upstream {
    struct tcp_flow_id id;
    bool open, others; /* others: of the connection that must work */
};

static struct {
    struct tun tun;
    struct tcp_engine *engine;
    uint64_t now, seed, files, frames, connections;
    struct upstream upstream[FLOWS + 1];
    struct tcp_flow_id opened[64]; /* in this turn, not answered yet */
    unsigned opened_count;
    struct tcp_flow_id real; /* the flow of the connection that must work */
    bool real_answers, real_released;
    char taken[64]; /* what it sent */
    size_t taken_len;
    uint8_t flags; /* the last segment sent to the other workstation */
    uint32_t seq, ack, len;
    char got[64];
    uint32_t next[4096]; /* what a workstation would acknowledge next, by its port */
    uint8_t *held[64];   /* frames of this turn */
    unsigned held_count;
} w;

static uint32_t below(uint32_t n)
{
    uint64_t z = w.seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(((z ^ (z >> 31)) >> 32) * n >> 32);
}

/* The upstream. */

static int open_upstream(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host)
{
    (void)ctx;
    (void)host;
    bool others = memcmp(tuple->src.b + 12, other_ip, 4) == 0;
    assert_false(w.upstream[id.index].open);
    if (!others && (w.opened_count == 64 || below(16) == 0))
        return -ECONNREFUSED;
    w.upstream[id.index] = (struct upstream){.id = id, .open = true, .others = others};
    if (others)
        w.real = id;
    else
        w.opened[w.opened_count++] = id;
    return 0;
}

static ssize_t write_upstream(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count, size_t *room)
{
    ssize_t n = 0;
    (void)ctx;
    assert_true(w.upstream[id.index].open);
    bool others = w.upstream[id.index].others;
    for (int k = 0; k < count; k++) {
        const volatile uint8_t *p = iov[k].iov_base;
        for (size_t i = 0; i < iov[k].iov_len; i++) {
            uint8_t byte = p[i]; /* a sanitizer sees it read */
            if (others && w.taken_len < sizeof(w.taken))
                w.taken[w.taken_len++] = (char)byte;
        }
        n += (ssize_t)iov[k].iov_len;
    }
    if (!others && below(8) == 0)
        n = (ssize_t)below((uint32_t)n + 1);
    *room = others || below(8) != 0 ? 65536 : 0;
    return n;
}

static ssize_t read_upstream(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count)
{
    (void)ctx;
    (void)count;
    assert_true(w.upstream[id.index].open);
    if (w.upstream[id.index].others) {
        if (!w.real_answers)
            return -EAGAIN;
        w.real_answers = false;
        assert_true(iov[0].iov_len >= sizeof(answer));
        memcpy(iov[0].iov_base, answer, sizeof(answer));
        return sizeof(answer);
    }
    uint32_t dice = below(20);
    if (dice > 5)
        return -EAGAIN;
    if (dice == 0)
        return below(2) == 0 ? 0 : -ECONNRESET;
    memset(iov[0].iov_base, 'x', iov[0].iov_len);
    return (ssize_t)iov[0].iov_len;
}

static void release_upstream(void *ctx, struct tcp_flow_id id, enum tcp_release how)
{
    (void)ctx;
    (void)how;
    assert_true(w.upstream[id.index].open);
    w.upstream[id.index].open = false;
    if (w.upstream[id.index].others)
        w.real_released = true;
}

static int emit(void *ctx, struct tcp_out *out)
{
    (void)ctx;
    const uint8_t *tcp = out->head + TCP_HEADROOM;
    w.next[be16_load(tcp + 2) % 4096] = be32_load(tcp + 4) + out->payload_len + ((tcp[13] & 3) != 0);
    if (memcmp(out->dst.b + 12, other_ip, 4) == 0) {
        w.seq = be32_load(tcp + 4);
        w.ack = be32_load(tcp + 8);
        w.flags = tcp[13];
        w.len = out->payload_len;
        if (out->payload_len > 0 && out->payload_len <= sizeof(w.got))
            memcpy(w.got, out->iov[1].iov_base, out->payload_len);
    }
    return output_segment(&w.tun, out);
}

static void unreachable(void *ctx, const struct tcp_tuple *tuple, uint32_t host, enum tcp_refusal why,
                        const uint8_t tcp_header[8])
{
    (void)ctx;
    output_unreachable(&w.tun, tuple, host, why, tcp_header);
}

/* The link. */

static int send_frame(void *ctx, const struct iovec *iov, int count)
{
    (void)ctx;
    for (int k = 0; k < count; k++) {
        const volatile uint8_t *p = iov[k].iov_base;
        for (size_t i = 0; i < iov[k].iov_len; i++)
            (void)p[i];
    }
    return 0;
}

static enum drop no_udp(void *ctx, const struct tun_udp *udp)
{
    (void)ctx;
    (void)udp;
    return DROP_UDP;
}

static bool never_busy(void *ctx, uint32_t host)
{
    (void)ctx;
    (void)host;
    return false;
}

static void start(void)
{
    static const struct tun_config tun_config = {
        .mac = {2, 0, 0, 0, 0, 1},
        .address = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 152, 152, 10}},
        .network = {.addr = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 152, 128, 0}}, .len = 96 + 18},
        .ipv6 = true,
        .address6 = {{0xfd, 0x19, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10}},
        .network6 = {.addr = {{0xfd, 0x19}}, .len = 64},
        .link_local6 = {{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10}},
        .mtu = 1500,
        .offload = DEVICE_OFFLOAD_CSUM | DEVICE_OFFLOAD_TSO4 | DEVICE_OFFLOAD_TSO6,
        .max_hosts = 16,
        .max_per_mac = 3,
        .host_idle = 2000000,
        .secret = {1},
    };
    static const struct tcp_config tcp_config = {
        .max_flows = FLOWS,
        .max_chunks = 256,
        .max_hosts = 16,
        .max_connecting = 128,
        .host_flows = 512,
        .host_connecting = 64,
        .host_chunks = 128,
        .mtu = 1500,
        .gso_max = OUTPUT_GSO_MAX,
        .connect_timeout = 10000,
        .half_close_timeout = 10000,
        .idle_timeout = 60000,
        .secret = {1},
    };
    static const struct tun_ops tun_ops = {.send = send_frame, .udp = no_udp, .host_busy = never_busy};
    static const struct tcp_ops tcp_ops = {
        .open = open_upstream,
        .write = write_upstream,
        .read = read_upstream,
        .release = release_upstream,
        .emit = emit,
        .unreachable = unreachable,
    };
    const char *seed = getenv("CLOISTER_SEED");
    w.now = 1000000;
    w.seed = seed != NULL ? strtoull(seed, NULL, 10) : 1;
    print_message("CLOISTER_SEED=%llu\n", (unsigned long long)w.seed);
    size_t size = (tcp_engine_size(&tcp_config) + 4095) & ~(size_t)4095;
    void *memory = aligned_alloc(4096, size);
    assert_non_null(memory);
    memset(memory, 0, size);
    w.engine = tcp_engine_init(memory, &tcp_config, &tcp_ops, &w, w.now);
    assert_int_equal(tun_init(&w.tun, &tun_config, &tun_ops, &w, w.engine), 0);
    tun_link_up(&w.tun, w.now);
}

static void end_turn(void)
{
    unsigned turns = 0;
    for (unsigned k = 0; k < w.opened_count; k++) {
        struct tcp_flow_id id = w.opened[k];
        struct upstream *u = &w.upstream[id.index];
        if (!u->open || u->id.generation != id.generation)
            continue;
        if (below(16) == 0) {
            u->open = false;
            tcp_upstream_failed(w.engine, id, (enum tcp_refusal)below(TCP_REFUSAL_SILENT + 1), w.now);
        } else {
            tcp_upstream_connected(w.engine, id, 65536, w.now);
        }
    }
    w.opened_count = 0;
    struct upstream *any = &w.upstream[1 + below(FLOWS)];
    if (any->open && !any->others) {
        tcp_upstream_readable(w.engine, any->id, w.now);
        tcp_upstream_writable(w.engine, any->id, 65536, w.now);
    }
    tcp_advance(w.engine, w.now);
    tun_advance(&w.tun, w.now);
    while (tcp_flush(w.engine, w.now))
        assert_true(turns++ < 2000);
    while (w.held_count > 0)
        free(w.held[--w.held_count]);
}

/* Feed bytes from the Ethernet header on, with an offload header before them. */
static void feed(const uint8_t *frame, size_t n, bool vouched)
{
    uint8_t *copy = malloc(n + FRAME_OFFLOAD_LEN); /* exactly, so that a sanitizer sees a read past it */
    assert_non_null(copy);
    memset(copy, 0, FRAME_OFFLOAD_LEN);
    if (vouched)
        copy[0] = 2; /* the checksum is right */
    memcpy(copy + FRAME_OFFLOAD_LEN, frame, n);
    w.held[w.held_count++] = copy;
    w.now += 200;
    tun_input(&w.tun, bytes_of(copy, n + FRAME_OFFLOAD_LEN), w.now);
    if (w.held_count == 64 || below(4) == 0)
        end_turn();
}

static void sum_ipv4(uint8_t *ip, size_t left)
{
    struct checksum sum = {0};
    size_t len = (size_t)(ip[0] & 15) * 4;
    if (left < 20)
        return;
    ip[10] = ip[11] = 0;
    checksum_add(&sum, ip, len <= left ? len : 20);
    be16_store(ip + 10, checksum_finish(&sum));
}

/* A segment acknowledges what we really sent: its far end had other numbers. */
static void renumber(uint8_t *tcp, size_t left)
{
    if (left >= 20 && (tcp[13] & 0x10) != 0)
        be32_store(tcp + 8, w.next[be16_load(tcp) % 4096]);
}

/* Dress a frame up as the workstation's. */
static void adopt(uint8_t *frame, size_t n)
{
    if (n < 34)
        return;
    memcpy(frame, gateway_mac, 6);
    memcpy(frame + 6, station_mac, 6);
    if (frame[14] >> 4 == 4) {
        be16_store(frame + 12, 0x0800);
        memcpy(frame + 26, station_ip, 4);
        sum_ipv4(frame + 14, n - 14);
        if (frame[14] == 0x45 && frame[23] == 6)
            renumber(frame + 34, n - 34);
    } else if (frame[14] >> 4 == 6 && n >= 54) {
        be16_store(frame + 12, 0x86dd);
        memset(frame + 22, 0, 16);
        frame[22] = 0xfd;
        frame[23] = 0x19;
        frame[37] = 0x11;
        if (frame[20] == 6)
            renumber(frame + 54, n - 54);
    }
}

static void mutate(uint8_t *frame, size_t *n)
{
    for (uint32_t k = 1 + below(4); k > 0; k--) {
        /* Mostly in the headers. */
        uint32_t at = below(below(4) == 0 ? (uint32_t)*n : *n < 80 ? (uint32_t)*n : 80);
        uint32_t flip = below(2) == 0 ? below(256) : 1u << below(8);
        frame[at] = (uint8_t)(frame[at] ^ flip);
    }
    if (below(8) == 0)
        *n = 14 + below((uint32_t)*n - 13);
}

/* The connection that must work. */

static void say(uint16_t port, uint8_t flags, uint32_t seq, uint32_t ack, const void *data, size_t len)
{
    uint8_t frame[14 + 20 + 20 + 64] = {0};
    uint8_t *ip = frame + 14, *tcp = frame + 34;
    memcpy(frame, gateway_mac, 6);
    memcpy(frame + 6, other_mac, 6);
    be16_store(frame + 12, 0x0800);
    ip[0] = 0x45;
    be16_store(ip + 2, (uint16_t)(40 + len));
    ip[8] = 64;
    ip[9] = 6;
    memcpy(ip + 12, other_ip, 4);
    memcpy(ip + 16, far_ip, 4);
    sum_ipv4(ip, 20);
    be16_store(tcp, port);
    be16_store(tcp + 2, 80);
    be32_store(tcp + 4, seq);
    be32_store(tcp + 8, ack);
    tcp[12] = 5 << 4;
    tcp[13] = flags;
    be16_store(tcp + 14, 65535);
    if (len > 0)
        memcpy(tcp + 20, data, len);
    w.flags = 0;
    w.len = 0;
    feed(frame, 54 + len, true);
    end_turn();
}

static void connection_works(void)
{
    uint16_t port = (uint16_t)(1024 + w.connections++ % 60000);
    uint32_t isn = below(UINT32_MAX);
    w.taken_len = 0;
    w.real_released = false;
    w.real = (struct tcp_flow_id){0};
    say(port, 0x02, isn, 0, NULL, 0);
    assert_int_not_equal(w.real.index, 0);
    struct tcp_flow_id id = w.real;
    tcp_upstream_connected(w.engine, id, 65536, w.now);
    end_turn();
    assert_int_equal(w.flags, 0x12);
    assert_int_equal(w.ack, isn + 1);
    uint32_t theirs = w.seq + 1;
    say(port, 0x18, isn + 1, theirs, request, sizeof(request));
    assert_int_equal(w.taken_len, sizeof(request));
    assert_memory_equal(w.taken, request, sizeof(request));
    w.real_answers = true;
    tcp_upstream_readable(w.engine, id, w.now);
    end_turn();
    assert_int_equal(w.len, sizeof(answer));
    assert_int_equal(w.ack, isn + 1 + sizeof(request));
    assert_memory_equal(w.got, answer, sizeof(answer));
    theirs += sizeof(answer);
    say(port, 0x14, isn + 1 + sizeof(request), theirs, NULL, 0);
    assert_true(w.real_released);
}

static void balance(void)
{
    uint64_t drops = 0;
    for (unsigned k = 0; k < DROP_COUNT; k++)
        drops += k == DROP_SEND ? 0 : w.tun.drops.by[k];
    assert_int_equal(w.tun.counters.frames_in, w.tun.counters.frames_used + drops);
    const char *wrong = inspect_engine(w.engine, false);
    if (wrong != NULL)
        fail_msg("after %llu frames: %s", (unsigned long long)w.frames, wrong);
}

static void feed_in_three_ways(const uint8_t *data, size_t n)
{
    static uint8_t frame[FRAME_LONGEST];
    if (n > sizeof(frame))
        n = sizeof(frame);
    feed(data, n, false);
    for (int way = 0; way < 2; way++) {
        size_t len = n;
        memcpy(frame, data, n);
        if (way == 1 && len > 14)
            mutate(frame, &len);
        if (way == 0 || below(16) != 0)
            adopt(frame, len);
        feed(frame, len, true);
    }
    uint64_t before = w.frames;
    w.frames += 3;
    if (before / PAIRED != w.frames / PAIRED) {
        w.now += 100000;
        end_turn();
        connection_works();
        balance();
        if (below(8) == 0)
            w.now += 70000000; /* what is idle ends */
    }
}

/* Bytes before the IP header in a capture of this kind; -1: Ethernet, or something unknown. */
static int link_header(int kind)
{
    switch (kind) {
    case DLT_RAW:
        return 0;
    case DLT_NULL:
    case DLT_LOOP:
        return 4;
    case DLT_LINUX_SLL:
        return 16;
    case DLT_LINUX_SLL2:
        return 20;
    default:
        return -1;
    }
}

static int feed_file(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    static uint8_t frame[FRAME_LONGEST];
    char error[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *header;
    const u_char *data;
    (void)status;
    (void)where;
    pcap_t *pcap = kind == FTW_F ? pcap_open_offline(path, error) : NULL;
    if (pcap == NULL)
        return 0; /* not a capture */
    int skip = link_header(pcap_datalink(pcap));
    w.files++;
    while (pcap_next_ex(pcap, &header, &data) == 1) {
        if (skip < 0) {
            feed_in_three_ways(data, header->caplen);
        } else if (header->caplen > (unsigned)skip && header->caplen - (unsigned)skip <= sizeof(frame) - 14) {
            memset(frame, 0, 14);
            memcpy(frame + 14, data + skip, header->caplen - (unsigned)skip);
            be16_store(frame + 12, frame[14] >> 4 == 6 ? 0x86dd : 0x0800);
            feed_in_three_ways(frame, 14 + header->caplen - (unsigned)skip);
        }
    }
    pcap_close(pcap);
    return 0;
}

static void captures_do_no_harm_and_others_connections_work(void **state)
{
    const char *folder = getenv("CLOISTER_CAPTURES");
    (void)state;
    start();
    assert_int_equal(nftw(CAPTURES_OWN, feed_file, 16, FTW_PHYS), 0);
    assert_true(w.frames > PAIRED);
    if (folder != NULL && folder[0] != '\0') {
        uint64_t files = w.files;
        assert_int_equal(nftw(folder, feed_file, 16, FTW_PHYS), 0);
        assert_true(w.files > files);
    }
    end_turn();
    const struct tcp_counters *c = tcp_engine_counters(w.engine);
    print_message("captures=%llu frames=%llu connections=%llu flows=%llu up=%llu down=%llu retransmits=%llu\n",
                  (unsigned long long)w.files, (unsigned long long)w.frames, (unsigned long long)w.connections,
                  (unsigned long long)c->flows_opened, (unsigned long long)c->up_bytes,
                  (unsigned long long)c->down_bytes, (unsigned long long)c->retransmits);
    assert_true(c->flows_opened > w.connections); /* the frames opened flows, too */
    assert_true(c->up_bytes > w.connections * sizeof(request));
    tcp_engine_reset_all(w.engine, w.now);
    end_turn();
    const char *wrong = inspect_empty(w.engine);
    if (wrong != NULL)
        fail_msg("%s", wrong);
    for (uint32_t k = 1; k <= FLOWS; k++)
        assert_false(w.upstream[k].open);
    tun_fini(&w.tun);
    free(w.engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captures_do_no_harm_and_others_connections_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
