/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stateful replay of a capture (replay --help).
 *
 * In this process: the flows go through the stack that this program was linked with. Time is counted, not measured, and
 * only the stack's own turns are timed. What came out on both sides is checked against the capture byte by byte; the
 * digest is over all that came out, and the same for the same seed. Through a device: wire.c.
 *
 * One line of key=value says what it took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "load/common.h"
#include "replay/options.h"
#include "replay/perf.h"
#include "replay/stack.h"
#include "replay/wire.h"

#define MSS 1448u
#define PLAYERS_MAX 1000000u
#define TURN_US 20u           /* of counted time that a turn takes */
#define TURNS_PER_LOOK 256u   /* at memory */
#define SETTLE_US 400000000u  /* in which all flows are gone after the last */
#define OUT_BYTES (64u << 20) /* of a turn, to the workstation */
#define UP_BYTES (8u << 20)   /* of a turn, to servers */

static struct replay_options option;
static struct stack_world world;
static uint64_t now = 1000000;
static uint64_t digest;
static uint32_t *active, active_count, next_player, done;
static uint8_t frames[STACK_BATCH][PLAYER_FRAME_MAX];
static uint32_t frame_player[STACK_BATCH];

static uint64_t packets, spent_ns, turns;
static uint64_t *samples, *handshakes;
static size_t sample_count, handshake_count;
static uint64_t *syn_ns; /* by player: stack time since its SYN, as a mark in spent_ns */

#define SAMPLES_MAX 2000000u

/* Resident at once. */
static void *array(size_t count, size_t size)
{
    void *at = malloc(count * size + 1);
    if (at == NULL)
        die("out of memory");
    explicit_bzero(at, count * size);
    return at;
}

/* What the stack itself made resident: everything else of this process was, before it was started. */
static uint64_t resident_most;

static void note_memory(void)
{
    uint64_t now_kib = resident_kib();
    resident_most = now_kib > resident_most ? now_kib : resident_most;
}

static void add_to_digest(const void *data, size_t len)
{
    const struct siphash_key key = {digest, option.seed};
    digest = siphash_13(&key, data, len);
}

/* What callgrind counts, and the clock times. */
__attribute__((noipa)) static void measured_turn(void)
{
    stack.turn(&world, now);
}

static void note_news(struct player *p)
{
    if (p->news && !p->listed) {
        p->listed = true;
        world.news[world.news_count++] = p->number;
    }
}

/* Frames that may be sent in this turn. */
static uint32_t allowance(void)
{
    static double credit;
    if (option.rate <= 0)
        return option.batch;
    credit += option.rate * TURN_US / 1e6;
    uint32_t n = credit < option.batch ? (uint32_t)credit : option.batch;
    credit = credit - n < option.batch ? credit - n : option.batch;
    return n;
}

/* Frames of the players, in turns. */
static void gather(uint32_t most)
{
    static uint32_t at;
    for (uint32_t idle = 0; idle < active_count && world.in_count < most;) {
        if (at >= active_count)
            at = 0;
        struct player *p = &world.players[active[at]];
        bool fresh = p->state == PLAYER_NEW;
        size_t n = player_next(p, &world.link, now, frames[world.in_count]);
        note_news(p);
        if (n > 0) {
            if (fresh)
                syn_ns[p->number] = spent_ns;
            frame_player[world.in_count] = p->number;
            world.in[world.in_count] = bytes_of(frames[world.in_count], n);
            world.in_count++;
        }
        idle = n > 0 ? 0 : idle + 1;
        if (p->state == PLAYER_FAILED)
            die("flow %u failed at step %u: reset, or other bytes than the capture's", p->number, p->step);
        if (p->state == PLAYER_DONE) {
            active[at] = active[--active_count];
            done++;
            idle = 0;
        } else {
            at++;
        }
    }
}

static void take_output(void)
{
    for (uint32_t i = 0; i < world.written_count; i++) {
        const struct stack_written *w = &world.written[i];
        if (!player_take(&world.players[w->player], w->at, w->len))
            die("flow %u: the server got other bytes than the client sent", w->player);
        add_to_digest(w->at, w->len);
    }
    for (size_t at = 0; at < world.out_used;) {
        uint32_t len;
        memcpy(&len, world.out + at, sizeof(len));
        at += sizeof(len);
        const uint8_t *frame = world.out + at;
        at += len;
        add_to_digest(frame, len);
        const uint8_t *ip = frame + stack.out_skip;
        if (len < stack.out_skip + 40 || ip[0] >> 4 != 4 || ip[9] != 6)
            continue;
        uint32_t number = player_number(&world.link, ip);
        if (number >= world.player_count)
            die("a frame for nobody");
        struct player *p = &world.players[number];
        bool waited = p->state == PLAYER_SYN_SENT;
        player_input(p, ip, len - stack.out_skip, now);
        if (waited && p->state == PLAYER_OPEN)
            handshakes[handshake_count++] = spent_ns - syn_ns[number];
    }
    world.out_used = world.up_used = world.written_count = 0;
}

static void run_turn(void)
{
    /* What was asked for in the turn before is open now. */
    uint32_t *asked = world.asked;
    world.asked = world.opened;
    world.opened = asked;
    world.opened_count = world.asked_count;
    world.asked_count = 0;

    perf_go_on();
    uint64_t start = now_ns();
    measured_turn();
    uint64_t took = now_ns() - start;
    perf_pause();
    spent_ns += took;
    if (turns++ % TURNS_PER_LOOK == 0)
        note_memory();
    packets += world.in_count;
    if (world.in_count > 0 && sample_count < SAMPLES_MAX)
        samples[sample_count++] = took / world.in_count;
    for (uint32_t i = 0; i < world.news_count; i++) {
        struct player *p = &world.players[world.news[i]];
        p->news = p->listed = false;
    }
    world.in_count = world.news_count = 0;
    take_output();
    now += TURN_US;
}

/* Nobody says anything: on to when somebody will. False if never. */
static bool pass_time(void)
{
    uint64_t at;
    if (!stack.deadline(now, &at))
        return false;
    now = at > now ? at : now;
    run_turn();
    return true;
}

/* The rate does not allow a frame now: a turn of time without work, unless the stack wants to work. */
static void wait_for_allowance(void)
{
    uint64_t at;
    if (stack.deadline(now, &at) && at <= now)
        run_turn();
    else
        now += TURN_US;
}

static void play(void)
{
    uint64_t quiet = 0;
    while (done < world.player_count) {
        while (active_count < option.copies && next_player < world.player_count)
            active[active_count++] = next_player++;
        uint32_t most = allowance();
        gather(most);
        if (most == 0 && world.news_count == 0 && world.asked_count == 0) {
            wait_for_allowance();
        } else if (world.in_count > 0 || world.news_count > 0 || world.asked_count > 0) {
            quiet = 0;
            run_turn();
        } else if (active_count > 0 && (!pass_time() || ++quiet > 10000)) {
            const struct player *p = &world.players[active[0]];
            die("flow %u is stuck at step %u of %u: sent %u, taken %u, written %u, received %u", p->number, p->step,
                p->script->count, p->sent, p->taken, p->released, p->received);
        }
    }
}

/* Let every flow end, TIME-WAIT too. */
static void settle(void)
{
    uint64_t end = now + SETTLE_US;
    while (stack.flows() > 0 && now < end && pass_time())
        ;
    if (stack.flows() > 0)
        die("%u flows are left", stack.flows());
}

static void setup(const struct capture *capture)
{
    uint32_t count = option.total * capture->count;
    option.copies *= capture->count;
    world = (struct stack_world){
        .players = array(count, sizeof(*world.players)),
        .player_count = count,
        .link = {.gateway_mac = {2, 0, 0, 0, 0, 1},
                 .client_mac = {2, 0, 0, 0, 0, 2},
                 .client = 0x0a98980b,
                 .server = 0xc6120001,
                 .fixed_port = 9000},
        .opened = array(count, sizeof(uint32_t)),
        .news = array(count, sizeof(uint32_t)),
        .asked = array(count, sizeof(uint32_t)),
        .out = array(1, OUT_BYTES),
        .out_size = OUT_BYTES,
        .up = array(1, UP_BYTES),
        .up_size = UP_BYTES,
        .written = array(65536, sizeof(*world.written)),
        .written_room = 65536,
    };
    active = array(option.copies, sizeof(*active));
    samples = array(SAMPLES_MAX, sizeof(*samples));
    handshakes = array(count, sizeof(*handshakes));
    syn_ns = array(count, sizeof(*syn_ns));
    for (uint32_t i = 0; i < count; i++) {
        const struct siphash_key key = {option.seed, i};
        world.players[i] = (struct player){.script = &capture->scripts[i % capture->count],
                                           .number = i,
                                           .iss = (uint32_t)siphash_13(&key, "iss", 3)};
    }
}

static void run(const struct capture *capture)
{
    setup(capture);
    uint64_t before = resident_kib();
    /* The engine keeps a flow in TIME-WAIT for a while: room for those, too. */
    stack.start(&world, 2 * world.player_count);
    perf_open();
    play();
    note_memory();
    uint64_t played_packets = packets, played_ns = spent_ns, played_out = world.frames_out;
    uint64_t instructions = perf_instructions(), most = resident_most;
    settle();
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < world.player_count; i++)
        bytes += world.players[i].taken + (uint64_t)world.players[i].read;
    uint64_t all = played_packets + played_out;
    printf("stack=%s copies=%u flows=%u packets=%lu packets_in=%lu bytes=%lu packets_per_second=%.0f "
           "bytes_per_second=%.0f ns_per_packet=%.1f p50_ns=%lu p99_ns=%lu p999_ns=%lu handshake_p50_ns=%lu "
           "handshake_p99_ns=%lu handshake_p999_ns=%lu memory_kib=%lu",
           stack.name, option.copies, world.player_count, all, played_packets, bytes,
           (double)all * 1e9 / (double)played_ns, (double)bytes * 1e9 / (double)played_ns,
           (double)played_ns / (double)all, percentile(samples, sample_count, 500),
           percentile(samples, sample_count, 990), percentile(samples, sample_count, 999),
           percentile(handshakes, handshake_count, 500), percentile(handshakes, handshake_count, 990),
           percentile(handshakes, handshake_count, 999), most - before);
    if (instructions > 0)
        printf(" instructions_per_packet=%.1f", (double)instructions / (double)all);
    printf(" digest=%016lx\n", digest);
}

int main(int argc, char **argv)
{
    struct capture capture;
    const char *error;
    option = replay_options_parse(argc, argv);
    if (capture_read(&capture, option.path, MSS, &error) != 0)
        die("%s: %s", option.path, error);
    if (error != NULL)
        fprintf(stderr, "%s: %s\n", option.path, error);
    if (capture.stray > 0 || capture.unanswered > 0 || capture.cut_short > 0)
        fprintf(
            stderr,
            "%s: %u connections are played; left out: %u that were not answered, %lu segments of those that began "
            "before; %u end early, where something was not captured\n",
            option.path, capture.count, capture.unanswered, capture.stray, capture.cut_short);
    if ((uint64_t)option.total * capture.count > PLAYERS_MAX)
        die("%s: %u connections, %u times: more than %u", option.path, capture.count, option.total, PLAYERS_MAX);
    if (option.device != NULL)
        wire_replay(&capture, &option);
    else
        run(&capture);
    capture_free(&capture);
    return 0;
}
