/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine and the link of Cloister, as core/daemon joins them, but for the system calls. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/pool.h"
#include "replay/stack.h"
#include "tcp/engine.h"
#include "tun/output.h"
#include "tun/tun.h"

#define UPSTREAM_ROOM (416u << 10) /* bytes, as a socket with its doubled buffer has it */

static struct stack_world *world;
static struct tcp_engine *engine;
static struct tun tun;
static uint32_t *player_of; /* by flow index */
static bool full;           /* the buffer for a turn's bytes was: some upstreams wait for room */

static uint32_t number_of(const struct tcp_tuple *tuple)
{
    return (be32_load(tuple->src.b + 12) - world->link.client) * 60000u + tuple->src_port - 2000u;
}

static int open_upstream(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host)
{
    (void)ctx;
    (void)host;
    uint32_t number = number_of(tuple);
    if (number >= world->player_count)
        return -ECONNREFUSED;
    player_of[id.index] = number;
    world->players[number].handle = (uint64_t)id.generation << 32 | id.index;
    world->asked[world->asked_count++] = number;
    return 0;
}

static ssize_t write_upstream(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count, size_t *room)
{
    (void)ctx;
    size_t taken = 0;
    for (int i = 0; i < count; i++) {
        uint32_t fit;
        uint8_t *at = stack_up(world, player_of[id.index], (uint32_t)iov[i].iov_len, &fit);
        if (at != NULL)
            memcpy(at, iov[i].iov_base, fit);
        taken += fit;
        if (fit < iov[i].iov_len) {
            full = true;
            break;
        }
    }
    *room = UPSTREAM_ROOM;
    return (ssize_t)taken;
}

static ssize_t read_upstream(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count)
{
    (void)ctx;
    struct player *p = &world->players[player_of[id.index]];
    size_t taken = 0;
    for (int i = 0; i < count && p->read < p->released; i++) {
        size_t n = p->released - p->read;
        n = n < iov[i].iov_len ? n : iov[i].iov_len;
        memcpy(iov[i].iov_base, p->script->down + p->read, n);
        p->read += (uint32_t)n;
        taken += n;
    }
    if (taken > 0)
        return (ssize_t)taken;
    return p->server_closed ? 0 : -EAGAIN;
}

static void release_upstream(void *ctx, struct tcp_flow_id id, enum tcp_release how)
{
    (void)ctx;
    (void)how;
    world->players[player_of[id.index]].handle = 0;
}

static int emit(void *ctx, struct tcp_out *out)
{
    (void)ctx;
    return output_segment(&tun, out);
}

static void unreachable(void *ctx, const struct tcp_tuple *tuple, uint32_t host, enum tcp_refusal why,
                        const uint8_t tcp_header[8])
{
    (void)ctx;
    output_unreachable(&tun, tuple, host, why, tcp_header);
}

static int send_frame(void *ctx, const struct iovec *iov, int count)
{
    (void)ctx;
    uint32_t len = 0;
    for (int i = 0; i < count; i++)
        len += (uint32_t)iov[i].iov_len;
    uint8_t *at = stack_out(world, len);
    if (at == NULL)
        return -ENOBUFS;
    for (int i = 0; i < count; i++) {
        memcpy(at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    return 0;
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

static void start(struct stack_world *w, uint32_t flows)
{
    static const struct tcp_ops ops = {.open = open_upstream,
                                       .write = write_upstream,
                                       .read = read_upstream,
                                       .release = release_upstream,
                                       .emit = emit,
                                       .unreachable = unreachable};
    static const struct tun_ops link_ops = {.send = send_frame, .udp = take_datagram, .host_busy = is_busy};
    flows = flows < POOL_MAX_SLOTS ? flows : POOL_MAX_SLOTS;
    const struct tcp_config config = {.max_flows = flows,
                                      .max_chunks = 16384,
                                      .max_hosts = 16,
                                      .max_connecting = flows,
                                      .host_flows = flows,
                                      .host_connecting = flows,
                                      .host_chunks = 16384,
                                      .mtu = 1500,
                                      .connect_timeout = 60000,
                                      .half_close_timeout = 60000,
                                      .idle_timeout = 7200000,
                                      .secret = "bench of replay"};
    struct tun_config link = {.address = ipaddr_v4((const uint8_t[]){10, 152, 152, 10}),
                              .network = {.addr = ipaddr_v4((const uint8_t[]){10, 152, 128, 0}), .len = 96 + 18},
                              .mtu = 1500,
                              .max_hosts = 16,
                              .max_per_mac = 16,
                              .host_idle = UINT64_C(300000000),
                              .secret = "bench of replay"};
    memcpy(link.mac, w->link.gateway_mac, 6);
    world = w;
    size_t size = tcp_engine_size(&config);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    player_of = calloc(flows + 1u, sizeof(*player_of));
    if (size == 0 || memory == MAP_FAILED || player_of == NULL)
        abort();
    engine = tcp_engine_init(memory, &config, &ops, NULL, 1);
    if (tun_init(&tun, &link, &link_ops, NULL, engine) != 0)
        abort();
}

static struct tcp_flow_id id_of(uint32_t player)
{
    uint64_t handle = world->players[player].handle;
    return (struct tcp_flow_id){.index = (uint32_t)handle, .generation = (uint32_t)(handle >> 32)};
}

static void turn(struct stack_world *w, uint64_t now)
{
    for (uint32_t i = 0; i < w->in_count; i++)
        tun_input(&tun, w->in[i], now);
    for (uint32_t i = 0; i < w->opened_count; i++)
        tcp_upstream_connected(engine, id_of(w->opened[i]), UPSTREAM_ROOM, now);
    for (uint32_t i = 0; i < w->news_count; i++)
        if (w->players[w->news[i]].handle != 0)
            tcp_upstream_readable(engine, id_of(w->news[i]), now);
    tcp_advance(engine, now);
    bool again = tcp_flush(engine, now);
    for (int i = 0; again && i < 8; i++)
        again = tcp_flush(engine, now);
    if (full)
        abort(); /* the buffers are meant to hold all of a turn */
}

static bool deadline(uint64_t now, uint64_t *at)
{
    (void)now;
    return tcp_next_deadline(engine, at);
}

static uint32_t flows_held(void)
{
    return tcp_engine_counters(engine)->flows;
}

const struct stack stack = {.name = "cloister",
                            .out_skip = FRAME_HEADER_LEN,
                            .start = start,
                            .turn = turn,
                            .deadline = deadline,
                            .flows = flows_held};
