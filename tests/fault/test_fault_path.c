/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole gateway while calls fail: each allocation and each system call of its start and of a run in turn, and many by
 * chance. Nothing may crash, no byte be wrong, nothing be left over, and what comes after it must work.
 *
 *     $CLOISTER_SEED: of the runs by chance; $CLOISTER_ROUNDS: how many of these
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../unit/random.h"
#include "bed.h"
#include "daemon/event_loop.h"
#include "daemon/log.h"
#include "fault.h"

#define SOON 30u /* seconds of virtual time: what is delayed by one fault, or a few, is over by then */

/* One run by this plan, in which so many flows must complete. */
static void run(const struct fault_plan *plan, unsigned clean)
{
    struct bed_result first, second;
    unsigned descriptors = bed_descriptors();
    int64_t memory = fault_memory();
    fault_begin(plan);
    uint64_t n = plan->nth;
    bed_run(&first, &second);
    if (second.broken != NULL || second.clean != BED_PEERS || second.answered != 2 || first.clean < clean ||
        (clean > 0 && (first.answered != 2 || first.seconds > SOON)) || bed_descriptors() != descriptors ||
        fault_memory() != memory) {
        fail_msg("kinds %u, call %llu, seed %llu: %s; %u and %u flows completed, %u and %u names; %llu s; "
                 "%u descriptors, were %u; %lld allocations, were %lld",
                 plan->kinds, (unsigned long long)n, (unsigned long long)plan->seed,
                 second.broken != NULL ? second.broken : "nothing wrong, but", first.clean, second.clean,
                 first.answered, second.answered, (unsigned long long)first.seconds, bed_descriptors(), descriptors,
                 (long long)fault_memory(), (long long)memory);
    }
}

static void without_faults_everything_arrives(void **state)
{
    const struct fault_plan none = {0};
    (void)state;
    run(&none, BED_PEERS);
}

/* How many calls of these kinds a run makes that could fail. */
static uint64_t count(unsigned kinds)
{
    const struct fault_plan plan = {.kinds = kinds};
    struct bed_result first, second;
    fault_begin(&plan);
    bed_run(&first, &second);
    return first.calls;
}

static void each_call(unsigned kinds, unsigned clean)
{
    uint64_t calls = count(kinds);
    assert_true(calls > 0);
    for (uint64_t n = 1; n <= calls; n++)
        run(&(struct fault_plan){.kinds = kinds, .nth = n, .seed = n}, clean);
    print_message("%llu calls, each of them failed once\n", (unsigned long long)calls);
}

static void an_allocation_that_fails_costs_one_answer_at_most(void **state)
{
    (void)state;
    each_call(FAULT_MEMORY, BED_PEERS);
}

static void a_call_that_is_to_be_done_again_costs_nothing(void **state)
{
    (void)state;
    each_call(FAULT_SOFT, BED_PEERS);
}

static void a_call_that_fails_costs_one_flow_at_most(void **state)
{
    (void)state;
    each_call(FAULT_HARD, BED_PEERS - 1);
}

/* Many runs in which many calls fail. */
static void by_chance(unsigned kinds, unsigned clean)
{
    struct random r = random_start();
    const char *rounds = getenv("CLOISTER_ROUNDS");
    for (unsigned i = rounds != NULL ? (unsigned)atoi(rounds) : 50; i > 0; i--) {
        const uint32_t chance = 1000u << random_below(&r, 9);
        run(&(struct fault_plan){.kinds = kinds, .chance = chance, .seed = random_u64(&r)}, clean);
    }
}

static void interrupted_and_short_calls_change_no_byte(void **state)
{
    (void)state;
    by_chance(FAULT_SOFT, BED_PEERS);
}

static void whatever_fails_no_byte_is_wrong_and_nothing_stays(void **state)
{
    (void)state;
    by_chance(FAULT_SOFT | FAULT_HARD | FAULT_MEMORY, 0);
}

/* --- the start --- */

/* Make a gateway and its event loop, and take them down. What was returned. */
static int start(void)
{
    int ends[2];
    const char *step = NULL;
    struct gateway gateway;
    struct event_loop *loop;
    assert_int_equal(channel_pair(ends), 0);
    int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (tap < 0)
        tap = open("/dev/zero", O_RDWR | O_CLOEXEC); /* not to be polled, which is one more way to fail */
    fault_switch(true);
    int status = gateway_init(&gateway, bed_config(), tap, NULL, 1000000, &step);
    if (status == 0) {
        status = event_loop_new(&loop, &gateway, ends[1]);
        fault_switch(false);
        if (status == 0)
            event_loop_free(loop);
        gateway_fini(&gateway);
    } else {
        fault_switch(false);
        assert_non_null(step);
    }
    close(ends[0]);
    close(ends[1]);
    return status;
}

static void each_start(unsigned kinds)
{
    const struct fault_plan none = {0};
    uint64_t n = 0;
    bool whole = false;
    fault_begin(&none);
    assert_int_equal(start(), 0); /* libuv keeps a pipe for good, once */
    unsigned descriptors = bed_descriptors();
    int64_t memory = fault_memory();
    do {
        const struct fault_plan plan = {.kinds = kinds, .nth = ++n};
        fault_begin(&plan);
        int status = start();
        whole = fault_struck() == 0;
        if ((fault_struck() != 0) != (status < 0) || bed_descriptors() != descriptors || fault_memory() != memory)
            fail_msg("%s; start() said %d; %u descriptors, were %u; %lld allocations, were %lld", fault_last(),
                     status, bed_descriptors(), descriptors, (long long)fault_memory(), (long long)memory);
    } while (!whole);
    print_message("%llu calls, each of them failed once\n", (unsigned long long)n - 1);
    assert_true(n > 5);
}

static void a_start_without_memory_says_so_and_leaves_nothing(void **state)
{
    (void)state;
    each_start(FAULT_MEMORY);
}

static void a_start_without_descriptors_says_so_and_leaves_nothing(void **state)
{
    (void)state;
    each_start(FAULT_HARD);
}

static int open_bed(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_ERROR, "gateway", false);
    bed_open();
    return 0;
}

static int close_bed(void **state)
{
    (void)state;
    bed_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_without_memory_says_so_and_leaves_nothing),
        cmocka_unit_test(a_start_without_descriptors_says_so_and_leaves_nothing),
        cmocka_unit_test(without_faults_everything_arrives),
        cmocka_unit_test(an_allocation_that_fails_costs_one_answer_at_most),
        cmocka_unit_test(a_call_that_is_to_be_done_again_costs_nothing),
        cmocka_unit_test(a_call_that_fails_costs_one_flow_at_most),
        cmocka_unit_test(interrupted_and_short_calls_change_no_byte),
        cmocka_unit_test(whatever_fails_no_byte_is_wrong_and_nothing_stays),
    };
    return cmocka_run_group_tests(tests, open_bed, close_bed);
}
