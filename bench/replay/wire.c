/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread plays both sides: the clients on the device, the servers behind the gateway's SOCKS end. So the time that
 * a byte takes from one to the other is known without a word about it on the wire.
 *
 * A player that may have something to say is on the list of those that are ready, and is asked for one frame in its
 * turn, until it has none. What is lost (queues of devices are finite) is said again after REPEAT_US of silence.
 */
#include "replay/wire.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "load/common.h"
#include "replay/far.h"
#include "replay/link.h"
#include "replay/player.h"

#define PAYLOAD 1448u
#define PORTS 60000u
#define SAMPLES_MAX 4000000u
#define REPEAT_US 300000u
#define LOOK_NS 50000000ull     /* between two looks for those who wait in vain */
#define STUCK_NS 15000000000ull /* without anything new */

/* The newest byte each way that is waited for: where it is in the stream, and since when. */
struct probe {
    uint64_t up_ns, down_ns, syn_ns; /* 0: none */
    uint32_t up_at, down_at;
};

static struct {
    const struct replay_options *option;
    struct player_link addresses;
    struct link link;
    struct far far;
    struct player *players;
    struct probe *probes;
    uint32_t count, next, done;
    uint32_t *active, *place, active_count; /* those being played, and where each is in there */
    uint32_t *ready, ready_first, ready_count;
    uint8_t (*frames)[PLAYER_FRAME_MAX];
    uint32_t frame_first, frame_count;
    struct bytes frame[LINK_BATCH];
    uint64_t now, start, moved; /* nanoseconds; moved: when anything last did */
    uint64_t frames_out, segments_in, repeated, resets;
    uint64_t *samples, *handshakes;
    size_t sample_count, handshake_count;
} w;

static void *array(size_t count, size_t size)
{
    void *at = calloc(count + 1, size);
    if (at == NULL)
        die("out of memory");
    return at;
}

static void add_sample(uint64_t ns)
{
    if (w.sample_count < SAMPLES_MAX)
        w.samples[w.sample_count++] = ns;
}

static void make_ready(struct player *p)
{
    if (p->listed || p->state == PLAYER_DONE)
        return;
    p->listed = true;
    w.ready[(w.ready_first + w.ready_count++) % w.count] = p->number;
}

static void retire(struct player *p)
{
    uint32_t last = w.active[--w.active_count];
    w.active[w.place[p->number]] = last;
    w.place[last] = w.place[p->number];
    w.done++;
    far_close(&w.far, p);
}

static void push(struct player *p)
{
    struct probe *probe = &w.probes[p->number];
    uint32_t before = p->read;
    p->news = false;
    far_push(&w.far, p);
    if (p->read > before && probe->down_ns == 0) {
        probe->down_ns = now_ns();
        probe->down_at = p->read;
    }
}

/* The server's side moved. */
static void server_moved(void *ctx, struct player *p)
{
    struct probe *probe = &w.probes[p->number];
    (void)ctx;
    w.moved = w.now;
    if (probe->up_ns != 0 && p->taken >= probe->up_at) {
        add_sample(now_ns() - probe->up_ns);
        probe->up_ns = 0;
    }
    make_ready(p);
}

static void start_players(void)
{
    while (w.active_count < w.option->copies && w.next < w.count) {
        struct player *p = &w.players[w.next];
        w.place[w.next] = w.active_count;
        w.active[w.active_count++] = w.next++;
        make_ready(p);
    }
}

/* Frames that may be sent now. */
static uint32_t allowance(void)
{
    uint32_t most = w.option->batch < LINK_BATCH ? w.option->batch : LINK_BATCH;
    if (w.option->rate <= 0)
        return most;
    double due = (double)(w.now - w.start) * w.option->rate / 1e9 - (double)(w.frames_out + w.frame_count);
    return due <= 0 ? 0 : due < most ? (uint32_t)due : most;
}

static void add_frame(size_t len)
{
    w.frame[w.frame_count] = bytes_of(w.frames[w.frame_count], len);
    w.frame_count++;
}

/* Ask those that are ready, in turns, for a frame each. */
static void gather(void)
{
    uint32_t most = allowance();
    while (w.frame_first == 0 && w.frame_count < most && w.ready_count > 0) {
        struct player *p = &w.players[w.ready[w.ready_first]];
        struct probe *probe = &w.probes[p->number];
        uint32_t sent = p->sent;
        bool fresh = p->state == PLAYER_NEW;
        w.ready_first = (w.ready_first + 1) % w.count;
        w.ready_count--;
        p->listed = false;
        if (p->state == PLAYER_DONE)
            continue;
        size_t len = player_next(p, &w.addresses, w.now / 1000, w.frames[w.frame_count]);
        if (len > 0)
            add_frame(len);
        if (fresh)
            probe->syn_ns = now_ns();
        if (p->sent > sent && probe->up_ns == 0) {
            probe->up_ns = now_ns();
            probe->up_at = p->sent;
        }
        if (p->news)
            push(p);
        if (p->state == PLAYER_DONE)
            retire(p);
        else if (len > 0)
            make_ready(p);
    }
}

static void send_frames(void)
{
    if (w.frame_count == w.frame_first)
        return;
    uint32_t n = link_send(&w.link, w.frame + w.frame_first, w.frame_count - w.frame_first);
    w.frames_out += n;
    w.frame_first += n;
    if (w.frame_first == w.frame_count)
        w.frame_first = w.frame_count = 0;
}

/* A reset after every byte came through both ways is bad manners, and counted; any other is the end. */
static void give_up(struct player *p)
{
    if (p->received < p->script->down_len || p->taken < p->script->up_len)
        die("flow %u failed at step %u of %u: reset, or other bytes than the capture's (received %u of %u, taken "
            "%u "
            "of %u)",
            p->number, p->step, p->script->count, p->received, p->script->down_len, p->taken, p->script->up_len);
    w.resets++;
    p->state = PLAYER_DONE;
    retire(p);
}

static void take_packet(const struct bytes *ip)
{
    uint32_t number = player_number(&w.addresses, ip->at);
    if (number >= w.count)
        return;
    struct player *p = &w.players[number];
    struct probe *probe = &w.probes[number];
    bool waited = p->state == PLAYER_SYN_SENT;
    uint32_t received = p->received;
    player_input(p, ip->at, ip->left, w.now / 1000);
    w.moved = w.now;
    w.segments_in += p->received > received + PAYLOAD ? (p->received - received + PAYLOAD - 1) / PAYLOAD : 1;
    if (waited && p->state == PLAYER_OPEN)
        w.handshakes[w.handshake_count++] = now_ns() - probe->syn_ns;
    if (probe->down_ns != 0 && p->received >= probe->down_at) {
        add_sample(now_ns() - probe->down_ns);
        probe->down_ns = 0;
    }
    if (p->state == PLAYER_FAILED)
        give_up(p);
    make_ready(p);
}

static uint32_t receive(void)
{
    struct bytes ip[LINK_BATCH];
    uint32_t n = link_receive(&w.link, ip);
    for (uint32_t i = 0; i < n; i++)
        take_packet(&ip[i]);
    return n;
}

/* Those who have waited too long say again what they said. */
static void repeat(void)
{
    uint64_t now_us = w.now / 1000;
    for (uint32_t i = 0; i < w.active_count && w.frame_first == 0 && w.frame_count < LINK_BATCH; i++) {
        struct player *p = &w.players[w.active[i]];
        if (p->state == PLAYER_NEW || now_us - p->heard < REPEAT_US)
            continue;
        size_t len = player_repeat(p, &w.addresses, now_us, w.frames[w.frame_count]);
        if (len > 0) {
            add_frame(len);
            w.repeated++;
        }
    }
}

static void wait_for_something(void)
{
    struct pollfd wait[2] = {{.fd = w.link.fd, .events = POLLIN}, {.fd = w.far.epoll, .events = POLLIN}};
    bool more = w.frame_count > 0 || (w.ready_count > 0 && w.option->rate <= 0);
    struct timespec time = {.tv_nsec = more ? 0 : w.ready_count > 0 ? 50000 : 10000000};
    if (!more)
        ppoll(wait, 2, &time, NULL);
}

static void play(void)
{
    uint64_t look = 0;
    w.start = w.moved = w.now = now_ns();
    while (w.done < w.count || w.frame_count > 0) {
        start_players();
        gather();
        send_frames();
        bool idle = receive() == 0;
        if (!far_run(&w.far) && idle)
            wait_for_something();
        w.now = now_ns();
        if (w.now > look) {
            look = w.now + LOOK_NS;
            repeat();
        }
        if (w.now - w.moved > STUCK_NS) {
            const struct player *p = &w.players[w.active[0]];
            die("stuck: %u of %u flows done; flow %u at step %u of %u: sent %u, taken %u, written %u, received %u",
                w.done, w.count, p->number, p->step, p->script->count, p->sent, p->taken, p->released, p->received);
        }
    }
}

static void setup(const struct capture *capture, const struct replay_options *options)
{
    static struct replay_options adjusted;
    adjusted = *options;
    adjusted.copies *= capture->count;
    w.option = &adjusted;
    w.count = options->total * capture->count;
    if (w.count > PORTS)
        die("%u connections in all: at most %u through a device", w.count, PORTS);
    w.addresses = (struct player_link){.client = options->client, .server = 0xc6120001, .spread = true};
    w.players = array(w.count, sizeof(*w.players));
    w.probes = array(w.count, sizeof(*w.probes));
    w.active = array(w.count, sizeof(*w.active));
    w.place = array(w.count, sizeof(*w.place));
    w.ready = array(w.count, sizeof(*w.ready));
    w.frames = array(LINK_BATCH, sizeof(*w.frames));
    w.samples = array(SAMPLES_MAX, sizeof(*w.samples));
    w.handshakes = array(w.count, sizeof(*w.handshakes));
    for (uint32_t i = 0; i < w.count; i++) {
        const struct siphash_key key = {options->seed, i};
        w.players[i] = (struct player){.script = &capture->scripts[i % capture->count],
                                       .number = i,
                                       .iss = (uint32_t)siphash_13(&key, "iss", 3)};
    }
    w.far = (struct far){
        .players = w.players, .player_count = w.count, .first = w.addresses.server, .moved = server_moved};
}

void wire_replay(const struct capture *capture, const struct replay_options *options)
{
    setup(capture, options);
    far_open(&w.far, options);
    link_open(&w.link, options);
    memcpy(w.addresses.gateway_mac, w.link.peer, 6);
    memcpy(w.addresses.client_mac, w.link.mac, 6);
    uint64_t cpu = cpu_ns(options->cpu);
    play();
    double seconds = (double)(now_ns() - w.start) / 1e9;
    cpu = cpu_ns(options->cpu) - cpu;
    uint64_t bytes = 0, all = w.frames_out + w.segments_in;
    for (uint32_t i = 0; i < w.count; i++)
        bytes += w.players[i].taken + (uint64_t)w.players[i].read;
    printf(
        "stack=device copies=%u flows=%u packets=%lu packets_in=%lu bytes=%lu seconds=%.3f packets_per_second=%.0f "
        "bytes_per_second=%.0f p50_ns=%lu p99_ns=%lu p999_ns=%lu handshake_p50_ns=%lu handshake_p99_ns=%lu "
        "handshake_p999_ns=%lu repeated=%lu resets=%lu",
        w.option->copies, w.count, all, w.frames_out, bytes, seconds, (double)all / seconds,
        (double)bytes / seconds, percentile(w.samples, w.sample_count, 500),
        percentile(w.samples, w.sample_count, 990), percentile(w.samples, w.sample_count, 999),
        percentile(w.handshakes, w.handshake_count, 500), percentile(w.handshakes, w.handshake_count, 990),
        percentile(w.handshakes, w.handshake_count, 999), w.repeated, w.resets);
    if (options->cpu != NULL)
        printf(" cpu_ms=%.3f cpu_ns_per_packet=%.1f", (double)cpu / 1e6, (double)cpu / (double)all);
    putchar('\n');
}
