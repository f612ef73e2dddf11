/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine against a reference client, in virtual time.
 *
 *     test_sim --seed N [--trace]     one scenario; with every segment and upstream call
 *     test_sim --seeds A-B            all of them; ends at the first that fails, with the command to repeat it
 *     test_sim --seeds A-B --all      reports all that fail
 *     test_sim --same A-B             each twice: the same seed must give the same run
 *     test_sim --paths A-B            each twice, with header prediction and without: no difference must be seen
 *     test_sim --goodput              figures of long transfers over a bad link, see goodput.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "content.h"
#include "goodput.h"
#include "world.h"

struct request {
    uint64_t from, to;
    bool all, trace, same, paths, goodput;
};

static int usage(void)
{
    fprintf(stderr,
            "usage: test_sim --seed N [--trace] | --seeds A-B [--all] | --same A-B | --paths A-B | --goodput\n");
    return 2;
}

static bool parse_range(const char *text, struct request *r)
{
    char *end;
    r->from = strtoull(text, &end, 10);
    r->to = *end == '-' ? strtoull(end + 1, &end, 10) : r->from;
    return *end == '\0' && r->from <= r->to;
}

static bool parse(int argc, char **argv, struct request *r)
{
    bool any = false;
    for (int k = 1; k < argc; k++) {
        bool range = strcmp(argv[k], "--seed") == 0 || strcmp(argv[k], "--seeds") == 0 ||
                     strcmp(argv[k], "--same") == 0 || strcmp(argv[k], "--paths") == 0;
        if (strcmp(argv[k], "--same") == 0)
            r->same = true;
        if (strcmp(argv[k], "--paths") == 0)
            r->paths = true;
        if (range && (k + 1 == argc || !parse_range(argv[k + 1], r)))
            return false;
        if (strcmp(argv[k], "--all") == 0)
            r->all = true;
        else if (strcmp(argv[k], "--trace") == 0)
            r->trace = true;
        else if (strcmp(argv[k], "--goodput") == 0)
            r->goodput = any = true;
        else if (!range)
            return false;
        if (range)
            any = true;
        k += range;
    }
    return any;
}

struct totals {
    uint64_t seeds, failed, packets, completed, connections;
    double virtual_s;
};

/* False if the seed failed. */
static bool run_seed(uint64_t seed, const struct request *r, struct totals *t)
{
    struct scenario *s = malloc(sizeof(*s));
    struct world_result result, again;
    if (s == NULL)
        abort();
    scenario_make(s, seed);
    world_run(s, r->trace, &result);
    if ((r->same || r->paths) && result.wrong[0] == '\0') {
        scenario_make(s, seed);
        s->config.unpredicted = r->paths;
        world_run(s, false, &again);
        if (again.digest != result.digest || again.packets != result.packets)
            snprintf(result.wrong, sizeof(result.wrong), "the second run was another: digest %016llx and %016llx",
                     (unsigned long long)result.digest, (unsigned long long)again.digest);
    }
    t->seeds++;
    t->packets += result.packets;
    t->completed += result.completed;
    t->connections += s->peers;
    t->virtual_s += (double)result.virtual_us / 1e6;
    if (r->trace)
        printf("seed=%llu peers=%u packets=%llu events=%llu virtual=%.3f s digest=%016llx%s%s%s%s\n",
               (unsigned long long)seed, s->peers, (unsigned long long)result.packets,
               (unsigned long long)result.events, (double)result.virtual_us / 1e6,
               (unsigned long long)result.digest, s->damaged ? " damaged" : "", s->harsh ? " harsh" : "",
               s->scarce ? " scarce" : "", s->perfect ? " perfect" : "");
    free(s);
    if (result.wrong[0] == '\0')
        return true;
    t->failed++;
    printf("seed %llu: %s\n  again: test_sim --seed %llu --trace\n", (unsigned long long)seed, result.wrong,
           (unsigned long long)seed);
    fflush(stdout);
    return false;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct request r = {0};
    struct totals t = {0};
    if (!parse(argc, argv, &r))
        return usage();
    content_init();
    if (r.goodput)
        return goodput_report();
    double begin = seconds();
    for (uint64_t seed = r.from; seed <= r.to; seed++)
        if (!run_seed(seed, &r, &t) && !r.all)
            break;
    double took = seconds() - begin;
    printf("seeds=%llu failed=%llu connections=%llu completed=%llu packets=%llu virtual=%.0f s real=%.1f s "
           "(%.0f seeds/s)\n",
           (unsigned long long)t.seeds, (unsigned long long)t.failed, (unsigned long long)t.connections,
           (unsigned long long)t.completed, (unsigned long long)t.packets, t.virtual_s, took,
           (double)t.seeds / took);
    return t.failed == 0 ? 0 : 1;
}
