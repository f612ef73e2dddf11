/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A loop to count instructions of, under callgrind: one kind of segment on one flow that is open, BATCH of them in each
 * turn.
 *
 *     instructions engine|tun ack|data COUNT BATCH
 *
 * ack: the workstation acknowledges one full segment more, and nothing follows. data: 1448 bytes of the workstation, in
 * order, of which the upstream takes all; the gateway's ACKs are part of it. `engine` counts the engine alone, `tun` the
 * link as well, checksums included. What is counted are the calls of measured_engine() and measured_tun().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "load/common.h"
#include "replay/player.h"
#include "tcp/engine.h"
#include "tun/output.h"
#include "tun/tun.h"

#define PAYLOAD 1448u
#define BATCH_MAX 16u
#define ROOM (416u << 10)

static struct tcp_engine *engine;
static struct tun tun;
static struct tcp_flow_id flow;
static bool with_tun, opened;
static uint32_t to_read; /* bytes that the upstream has */
static uint64_t now = 1000000;
static uint8_t last[2048]; /* the last packet of the gateway, from its IP header on */
static size_t last_len;
static struct player player;

static int open_upstream(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host)
{
    (void)ctx;
    (void)tuple;
    (void)host;
    flow = id;
    opened = true;
    return 0;
}

/* Neither copies: that is the kernel's work. */
static ssize_t write_upstream(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count, size_t *room)
{
    (void)ctx;
    (void)id;
    size_t taken = 0;
    for (int i = 0; i < count; i++)
        taken += iov[i].iov_len;
    *room = ROOM;
    return (ssize_t)taken;
}

static ssize_t read_upstream(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count)
{
    (void)ctx;
    (void)id;
    (void)count;
    uint32_t n = to_read < iov[0].iov_len ? to_read : (uint32_t)iov[0].iov_len;
    to_read -= n;
    return n > 0 ? (ssize_t)n : -EAGAIN;
}

static void release_upstream(void *ctx, struct tcp_flow_id id, enum tcp_release how)
{
    (void)ctx;
    (void)id;
    (void)how;
}

static int send_frame(void *ctx, const struct iovec *iov, int count)
{
    (void)ctx;
    (void)count;
    last_len = iov[0].iov_len - FRAME_HEADER_LEN;
    memcpy(last, (const uint8_t *)iov[0].iov_base + FRAME_HEADER_LEN, last_len);
    return 0;
}

static int emit(void *ctx, struct tcp_out *out)
{
    if (with_tun)
        return output_segment(&tun, out);
    (void)ctx;
    last_len = 20u + out->header_len;
    last[0] = 0x45;
    be16_store(last + 2, (uint16_t)(last_len + out->payload_len));
    memcpy(last + 20, out->head + TCP_HEADROOM, out->header_len);
    return 0;
}

static void unreachable(void *ctx, const struct tcp_tuple *tuple, uint32_t host, enum tcp_refusal why,
                        const uint8_t tcp_header[8])
{
    (void)ctx;
    (void)tuple;
    (void)host;
    (void)why;
    (void)tcp_header;
}

static enum drop take_datagram(void *ctx, const struct tun_udp *udp)
{
    (void)ctx;
    (void)udp;
    return DROP_UDP;
}

static bool is_busy(void *ctx, uint32_t host)
{
    (void)ctx;
    (void)host;
    return true;
}

static struct tcp_in parsed(const uint8_t *frame, size_t len)
{
    const uint8_t *ip = frame + FRAME_HEADER_LEN;
    return (struct tcp_in){.src = ipaddr_v4(ip + 12),
                           .dst = ipaddr_v4(ip + 16),
                           .host = 0,
                           .seg = bytes_of(ip + 20, len - FRAME_HEADER_LEN - 20)};
}

/* What is counted. */
__attribute__((noipa)) static void measured_engine(const struct tcp_in *in, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        tcp_input(engine, &in[i], now);
    tcp_flush(engine, now);
}

__attribute__((noipa)) static void measured_tun(const struct bytes *frame, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        tun_input(&tun, frame[i], now);
    tcp_flush(engine, now);
}

static void turn(const struct bytes *frame, uint32_t count)
{
    static struct tcp_in in[BATCH_MAX];
    now += 20;
    for (uint32_t i = 0; i < count; i++)
        in[i] = parsed(frame[i].at, frame[i].left);
    if (with_tun)
        measured_tun(frame, count);
    else
        measured_engine(in, count);
}

static void setup(const struct player_link *link)
{
    static const struct tcp_ops ops = {.open = open_upstream,
                                       .write = write_upstream,
                                       .read = read_upstream,
                                       .release = release_upstream,
                                       .emit = emit,
                                       .unreachable = unreachable};
    static const struct tun_ops link_ops = {.send = send_frame, .udp = take_datagram, .host_busy = is_busy};
    const struct tcp_config config = {.max_flows = 1024,
                                      .max_chunks = 1024,
                                      .max_hosts = 16,
                                      .max_connecting = 64,
                                      .host_flows = 1024,
                                      .host_connecting = 64,
                                      .host_chunks = 1024,
                                      .mtu = 1500,
                                      .connect_timeout = 60000,
                                      .half_close_timeout = 60000,
                                      .idle_timeout = 7200000};
    struct tun_config tun_config = {
        .address = ipaddr_v4((const uint8_t[]){10, 152, 152, 10}),
        .network = {.addr = ipaddr_v4((const uint8_t[]){10, 152, 128, 0}), .len = 96 + 18},
        .mtu = 1500,
        .max_hosts = 16,
        .max_per_mac = 16,
        .host_idle = UINT64_C(300000000)};
    memcpy(tun_config.mac, link->gateway_mac, 6);
    void *memory = mmap(NULL, tcp_engine_size(&config), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        die("out of memory");
    engine = tcp_engine_init(memory, &config, &ops, NULL, now);
    check(tun_init(&tun, &tun_config, &link_ops, NULL, engine), "tun_init");
}

/* The next `count` segments of the client, in one turn. */
static void say(const struct player_link *link, uint32_t count, bool after_data)
{
    static uint8_t frames[BATCH_MAX][PLAYER_FRAME_MAX];
    struct bytes frame[BATCH_MAX];
    for (uint32_t i = 0; i < count; i++) {
        player.received += after_data ? PAYLOAD : 0;
        size_t len = player_next(&player, link, now, frames[i]);
        if (len == 0)
            die("nothing to say at step %u", player.step);
        frame[i] = bytes_of(frames[i], len);
    }
    last_len = 0;
    turn(frame, count);
    if (last_len > 0)
        player_input(&player, last, last_len, now);
}

/* The client of every day: MSS 1460, SACK, timestamps, window scale 7. */
static struct script make_script(uint32_t count, bool data)
{
    struct script s = {.options = {2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7},
                       .options_len = 20,
                       .wscale = 7,
                       .timestamp_at = 8,
                       .port = 80};
    s.up_len = s.down_len = count * PAYLOAD;
    s.up = calloc(1, s.up_len);
    s.down = calloc(1, s.down_len);
    s.count = count;
    s.steps = calloc(count, sizeof(*s.steps));
    if (s.up == NULL || s.down == NULL || s.steps == NULL)
        die("out of memory");
    for (uint32_t i = 0; i < count; i++)
        s.steps[i] = data ? (struct step){.kind = STEP_CLIENT_DATA, .len = PAYLOAD}
                          : (struct step){.kind = STEP_CLIENT_ACK, .need = (i + 1) * PAYLOAD};
    return s;
}

int main(int argc, char **argv)
{
    static const struct player_link link = {.gateway_mac = {2, 0, 0, 0, 0, 1},
                                            .client_mac = {2, 0, 0, 0, 0, 2},
                                            .client = 0x0a98980b,
                                            .server = 0xc6120001};
    uint32_t count = argc == 5 ? (uint32_t)atoi(argv[3]) : 0, batch = argc == 5 ? (uint32_t)atoi(argv[4]) : 0;
    if (count == 0 || batch == 0 || batch > BATCH_MAX || count % batch != 0)
        die("usage: instructions engine|tun ack|data COUNT BATCH");
    with_tun = strcmp(argv[1], "tun") == 0;
    bool data = strcmp(argv[2], "data") == 0;
    setup(&link);
    struct script script = make_script(count, data);
    player = (struct player){.script = &script, .iss = 1};

    say(&link, 1, false); /* SYN */
    if (!opened)
        die("the flow did not open");
    tcp_upstream_connected(engine, flow, ROOM, now);
    tcp_flush(engine, now);
    player_input(&player, last, last_len, now);
    if (!data)
        say(&link, 1, false);
    for (uint32_t i = 0; i < count; i += batch) {
        if (!data) {
            to_read = batch * PAYLOAD;
            tcp_upstream_readable(engine, flow, now);
            while (tcp_flush(engine, now))
                ;
        }
        say(&link, batch, !data);
    }
    if (tcp_engine_counters(engine)->segments_in < count || tcp_engine_counters(engine)->retransmits > 0)
        die("not what was meant");
    return 0;
}
