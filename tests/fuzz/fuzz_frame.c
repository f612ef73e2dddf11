/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames of a workstation, through all of tun/ into the real engine.
 *
 * An input is a list of records: a byte of flags, two bytes of length (little-endian), that many bytes of a frame,
 * offload header first. The flags help a frame past what a fuzzer cannot guess (addresses, checksums) and stand for
 * what happens on the other side meanwhile.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "tcp/engine.h"
#include "tun/device.h"
#include "tun/output.h"
#include "tun/tun.h"

enum record_flags {
    RECORD_ADDRESS = 1,   /* make it a frame of the workstation, numbered from where the last segment left off */
    RECORD_CHECKSUM = 2,  /* make the IPv4 header sum up */
    RECORD_VOUCHED = 4,   /* say that the transport checksum is right */
    RECORD_PARTIAL = 8,   /* say that the TCP checksum is partial, over many segments */
    RECORD_FLUSH = 16,    /* end the turn after this frame */
    RECORD_TIME = 32,     /* let a second pass */
    RECORD_CONNECT = 64,  /* the flow opened last gets its upstream */
    RECORD_READABLE = 128 /* and it has something to read, or ends */
};

struct world {
    struct tun tun;
    struct tcp_engine *engine;
    struct tcp_flow_id flow; /* opened last */
    bool open;               /* it was not let go of */
    bool connected;
    unsigned reads;
    uint32_t seq, ack; /* what the workstation would say next, after the last segment sent to it */
    uint64_t now;
};

static int open_upstream(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host)
{
    struct world *world = ctx;
    (void)host;
    if (tuple->dst_port == 1)
        return -ECONNREFUSED;
    world->flow = id;
    world->open = true;
    world->connected = false;
    return 0;
}

static ssize_t write_upstream(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count, size_t *room)
{
    ssize_t n = 0;
    (void)ctx;
    (void)id;
    for (int i = 0; i < count; i++) {
        const volatile uint8_t *p = iov[i].iov_base;
        for (size_t k = 0; k < iov[i].iov_len; k++)
            (void)p[k]; /* a sanitizer sees it read */
        n += (ssize_t)iov[i].iov_len;
    }
    *room = 65536;
    return n;
}

static ssize_t read_upstream(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count)
{
    struct world *world = ctx;
    (void)id;
    if (world->reads++ % 3 != 0)
        return world->reads % 11 == 0 ? 0 : -EAGAIN;
    ssize_t n = 0;
    for (int i = 0; i < count; i++) {
        memset(iov[i].iov_base, 'x', iov[i].iov_len);
        n += (ssize_t)iov[i].iov_len;
    }
    return n;
}

static void release_upstream(void *ctx, struct tcp_flow_id id, enum tcp_release how)
{
    struct world *world = ctx;
    (void)how;
    if (world->flow.index == id.index && world->flow.generation == id.generation)
        world->open = false;
}

static int emit(void *ctx, struct tcp_out *out)
{
    struct world *world = ctx;
    const uint8_t *tcp = out->head + TCP_HEADROOM;
    world->ack = be32_load(tcp + 4) + out->payload_len + ((tcp[13] & 3) != 0); /* SYN and FIN count as one */
    world->seq = be32_load(tcp + 8);
    return output_segment(&((struct world *)ctx)->tun, out);
}

static void unreachable(void *ctx, const struct tcp_tuple *tuple, uint32_t host, enum tcp_refusal why,
                        const uint8_t tcp_header[8])
{
    output_unreachable(&((struct world *)ctx)->tun, tuple, host, why, tcp_header);
}

static int send_frame(void *ctx, const struct iovec *iov, int count)
{
    struct world *world = ctx;
    size_t room;
    return write_upstream(ctx, world->flow, iov, count, &room) < 0 ? -EIO : 0;
}

static enum drop answer_udp(void *ctx, const struct tun_udp *udp)
{
    if (udp->dst_port == 443)
        return DROP_UDP;
    struct tun_udp answer = *udp;
    answer.src = udp->dst;
    answer.dst = udp->src;
    answer.src_port = udp->dst_port;
    answer.dst_port = udp->src_port;
    output_udp(&((struct world *)ctx)->tun, &answer);
    return DROP_NONE;
}

static bool never_busy(void *ctx, uint32_t host)
{
    (void)ctx;
    (void)host;
    return false;
}

static const struct tun_config tun_config = {
    .mac = {2, 0, 0, 0, 0, 1},
    .address = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 152, 152, 10}},
    .network = {.addr = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 152, 128, 0}}, .len = 96 + 18},
    .ipv6 = true,
    .address6 = {{0xfd, 0x19, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10}},
    .network6 = {.addr = {{0xfd, 0x19}}, .len = 64},
    .link_local6 = {{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10}},
    .ra = true,
    .reject = true,
    .dhcp = true,
    .dhcp_first = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 152, 152, 100}},
    .dhcp_last = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 152, 152, 103}},
    .dhcp_lease = 60,
    .mtu = 1500,
    .offload = DEVICE_OFFLOAD_CSUM | DEVICE_OFFLOAD_TSO4 | DEVICE_OFFLOAD_TSO6,
    .max_hosts = 8,
    .max_per_mac = 3,
    .host_idle = 2000000,
    .secret = {1},
};

static const struct tcp_config tcp_config = {
    .max_flows = 16,
    .max_chunks = 32,
    .max_hosts = 8,
    .max_connecting = 8,
    .host_flows = 8,
    .host_connecting = 8,
    .host_chunks = 16,
    .mtu = 1500,
    .gso_max = OUTPUT_GSO_MAX,
    .connect_timeout = 10000,
    .half_close_timeout = 10000,
    .idle_timeout = 60000,
    .secret = {1},
};

static const struct tun_ops tun_ops = {.send = send_frame, .udp = answer_udp, .host_busy = never_busy};
static const struct tcp_ops tcp_ops = {
    .open = open_upstream,
    .write = write_upstream,
    .read = read_upstream,
    .release = release_upstream,
    .emit = emit,
    .unreachable = unreachable,
};

/* Count the sequence numbers of a segment from where the last one left off. */
static void continue_flow(const struct world *world, uint8_t *tcp)
{
    if ((tcp[13] & 2) == 0) {
        be32_store(tcp + 4, be32_load(tcp + 4) + world->seq);
        be32_store(tcp + 8, be32_load(tcp + 8) + world->ack);
    }
}

/* Help a frame along, as its flags say. */
static void help(const struct world *world, uint8_t *frame, size_t n, unsigned flags)
{
    static const uint8_t station[6] = {2, 0, 0, 0, 0, 2};
    uint8_t *ip = frame + FRAME_HEADER_LEN;
    if (n < FRAME_HEADER_LEN + 40)
        return;
    if (flags & RECORD_ADDRESS) {
        memcpy(frame + 10, tun_config.mac, 6);
        memcpy(frame + 16, station, 6);
        if (ip[0] >> 4 == 4) {
            frame[22] = 0x08;
            frame[23] = 0x00;
            memcpy(ip + 12, "\x0a\x98\x98", 3);
            if (ip[0] == 0x45 && ip[9] == 6)
                continue_flow(world, ip + 20);
        } else if (ip[0] >> 4 == 6) {
            frame[22] = 0x86;
            frame[23] = 0xdd;
            memcpy(ip + 8, tun_config.address6.b, 15);
            if (ip[6] == 6 && n >= FRAME_HEADER_LEN + 60)
                continue_flow(world, ip + 40);
        }
    }
    if (flags & (RECORD_VOUCHED | RECORD_PARTIAL))
        memset(frame, 0, FRAME_OFFLOAD_LEN);
    if (flags & RECORD_VOUCHED)
        frame[0] = 2;
    if (flags & RECORD_PARTIAL) {
        const struct frame_offload offload = {
            .gso = ip[0] >> 4 == 4 ? FRAME_GSO_TCP4 : FRAME_GSO_TCP6,
            .gso_size = 100,
            .partial = true,
            .csum_start = ip[0] >> 4 == 4 ? 20 : 40,
            .csum_offset = 16,
        };
        frame_build_offload(frame, &offload, 40);
    }
    if (flags & RECORD_CHECKSUM) {
        struct checksum sum = {0};
        size_t len = (size_t)(ip[0] & 15) * 4;
        ip[10] = ip[11] = 0;
        checksum_add(&sum, ip, len <= n - FRAME_HEADER_LEN ? len : 20);
        be16_store(ip + 10, checksum_finish(&sum));
    }
}

/* End the turn: what was taken in goes out. Returns when the engine has no more to do at once. */
static void end_turn(struct world *world)
{
    for (unsigned i = 0; i < 100 && tcp_flush(world->engine, world->now); i++)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = {.now = 1000000};
    struct bytes input = bytes_of(data, size);
    uint8_t *turn[16];
    unsigned frames = 0;

    size_t memory_size = (tcp_engine_size(&tcp_config) + 4095) & ~(size_t)4095;
    void *memory = aligned_alloc(4096, memory_size);
    if (memory == NULL)
        abort();
    memset(memory, 0, memory_size);
    world.engine = tcp_engine_init(memory, &tcp_config, &tcp_ops, &world, world.now);
    if (tun_init(&world.tun, &tun_config, &tun_ops, &world, world.engine) != 0)
        abort();
    tun_link_up(&world.tun, world.now);

    while (input.left > 0) {
        unsigned flags = bytes_u8(&input);
        size_t n = bytes_u8(&input);
        n |= (size_t)bytes_u8(&input) << 8;
        if (n > input.left)
            n = input.left;
        const uint8_t *from = bytes_take(&input, n);
        uint8_t *frame = turn[frames++] = malloc(n + 1);
        if (frame == NULL)
            abort();
        if (n > 0)
            memcpy(frame, from, n);
        help(&world, frame, n, flags);
        tun_input(&world.tun, bytes_of(frame, n), world.now);
        if ((flags & RECORD_CONNECT) && world.open && !world.connected) {
            world.connected = true;
            tcp_upstream_connected(world.engine, world.flow, 65536, world.now);
        }
        if ((flags & RECORD_READABLE) && world.open && world.connected)
            tcp_upstream_readable(world.engine, world.flow, world.now);
        if ((flags & RECORD_FLUSH) || frames == 16 || input.left == 0) {
            end_turn(&world);
            while (frames > 0)
                free(turn[--frames]);
        }
        if (flags & RECORD_TIME) {
            world.now += 1000000;
            tcp_advance(world.engine, world.now);
            tun_advance(&world.tun, world.now);
            end_turn(&world);
        }
    }
    uint64_t drops = 0;
    for (unsigned i = 0; i < DROP_COUNT; i++)
        drops += i == DROP_SEND ? 0 : world.tun.drops.by[i];
    if (world.tun.counters.frames_in != world.tun.counters.frames_used + drops)
        abort();
    tun_fini(&world.tun);
    free(memory);
    return 0;
}
