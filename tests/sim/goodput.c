/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection, one direction at a time, round trip 50 ms, infinite rate, random loss on the way of the data only;
 * SACK, timestamps and window scale agreed, buffers that do not limit. Each line is the mean over several seeds, with
 * the slowest of them: loss at random makes single runs differ.
 *
 *     down   what the engine sends: its congestion control and recovery
 *     up     what the reference client sends (NewReno with SACK): the engine as receiver
 */
#include "goodput.h"

#include <stdio.h>
#include <stdlib.h>

#include "world.h"

#define BYTES (32ll << 20)
#define SEEDS 8u
#define ONE_WAY 25000u /* us */

static void make(struct scenario *s, uint64_t seed, bool down, uint32_t loss)
{
    *s = (struct scenario){
        .seed = seed,
        .start = 1000000,
        .peers = 1,
        .v4 = true,
        .rtt_max = 4 * ONE_WAY + 100000,
        .config =
            {
                .max_flows = 4,
                .max_chunks = 4096,
                .max_hosts = SCENARIO_HOSTS_MAX,
                .max_connecting = 4,
                .host_flows = 4,
                .host_connecting = 4,
                .host_chunks = 4096,
                .mtu = 1500,
                .gso_max = 65000,
                .connect_timeout = 60000,
                .half_close_timeout = 60000,
                .idle_timeout = 600000,
                .secret = {(uint8_t)seed},
            },
    };
    for (uint32_t h = 0; h < SCENARIO_HOSTS_MAX; h++) {
        s->up[h] = (struct link_script){.delay = ONE_WAY, .quantum = 1, .loss = down ? 0 : loss};
        s->down[h] = (struct link_script){.delay = ONE_WAY, .quantum = 1, .loss = down ? loss : 0};
    }
    struct scenario_peer *p = &s->peer[0];
    p->completes = true;
    p->peer = (struct peer_script){
        .start_at = s->start,
        .up_total = down ? 0 : BYTES,
        .write_size = UINT32_MAX / 2,
        .read_size = 65536,
        .close = CLOSE_LAST,
        .abort_at = NEVER,
        .vanish_at = NEVER,
        .iss = (uint32_t)seed * 7919,
        .buffer = 8u << 20,
        .delayed_ack = 40000,
        .rto_min = 200000,
        .mss = 1460,
        .link = 1460,
        .wscale = 8,
        .ts = true,
        .sack = true,
        .src_port = 1024,
        .dst_port = 80,
    };
    p->upstream = (struct upstream_script){
        .outcome = OUTCOME_CONNECT,
        .capacity = 4u << 20,
        .up_total = p->peer.up_total,
        .down_total = down ? BYTES : 0,
        .burst = UINT32_MAX / 2,
        .eof = down ? EOF_WHEN_SENT : EOF_WHEN_BOTH,
        .reset_after = UINT64_MAX,
        .broken_at = -1,
        .up_phase = 17,
        .down_phase = 4711,
    };
}

/* Mbit/s of payload, or a negative number if the run failed. */
static double run(struct scenario *s, uint64_t seed, bool down, uint32_t loss, struct tcp_counters *counters)
{
    struct world_result result;
    make(s, seed, down, loss);
    world_run(s, false, &result);
    if (result.wrong[0] != '\0') {
        printf("seed %llu: %s\n", (unsigned long long)seed, result.wrong);
        return -1;
    }
    *counters = result.counters;
    uint64_t us = down ? result.down_done : result.up_done;
    return us == 0 ? -1 : (double)BYTES * 8 / (double)us;
}

int goodput_report(void)
{
    static const uint32_t losses[] = {0, 1000, 10000, 50000}; /* per million */
    struct scenario *s = malloc(sizeof(*s));
    int status = 0;
    if (s == NULL)
        abort();
    for (int way = 0; way < 2; way++) {
        for (unsigned k = 0; k < sizeof(losses) / sizeof(losses[0]); k++) {
            double sum = 0, least = 1e9;
            uint64_t again = 0, timeouts = 0;
            for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                struct tcp_counters counters = {0};
                double rate = run(s, seed, way == 0, losses[k], &counters);
                if (rate < 0)
                    status = 1;
                sum += rate;
                least = rate < least ? rate : least;
                again += counters.retransmits;
                timeouts += counters.timeouts;
            }
            printf("%-4s rtt=50ms loss=%.1f%% bytes=%lld goodput=%.1f Mbit/s slowest=%.1f retransmits=%llu "
                   "timeouts=%llu\n",
                   way == 0 ? "down" : "up", losses[k] / 10000.0, BYTES, sum / SEEDS, least,
                   (unsigned long long)(again / SEEDS), (unsigned long long)(timeouts / SEEDS));
        }
    }
    free(s);
    return status;
}
