/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/fit.h"
#include "daemon/sandbox.h"

#define MIB (1ull << 20)
#define PLENTY 300000u

static struct config config;
static enum fit_reason reason;
static char error[CONFIG_ERROR_MAX];

/* A configuration of these lines, fitted to a machine. */
static int fit(const char *text, uint64_t memory, uint64_t descriptors)
{
    char path[] = "/tmp/cloister-fit-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    int status = config_load(&config, path, error);
    unlink(path);
    assert_int_equal(status, 0);
    return fit_limits(&config, &(struct fit_machine){memory, descriptors}, &reason, error);
}

static void a_large_machine_has_the_defaults(void **state)
{
    (void)state;
    assert_int_equal(fit("", 1024 * MIB, PLENTY), 0);
    assert_int_equal(reason, FIT_AS_SET);
    assert_int_equal(config.flows, 16384);
    assert_int_equal(config.workstation_flows, 12288);
    assert_int_equal(config.buffers, 64);
}

static void a_router_of_64_mib_has_few_buffers_and_flows(void **state)
{
    (void)state;
    assert_int_equal(fit("", 64 * MIB, PLENTY), 0);
    assert_int_equal(reason, FIT_MEMORY);
    assert_int_equal(config.flows, 4096);
    assert_int_equal(config.workstation_flows, 4096);
    assert_int_equal(config.connecting, 2048);
    assert_int_equal(config.buffers, 4);
}

static void what_is_least_holds_on_the_smallest(void **state)
{
    (void)state;
    assert_int_equal(fit("", 1 * MIB, PLENTY), 0);
    assert_int_equal(config.flows, 1024);
    assert_int_equal(config.connecting, 1024);
    assert_int_equal(config.workstation_connecting, 1024);
    assert_int_equal(config.buffers, 4);
}

static void what_is_set_stays_whatever_the_memory(void **state)
{
    (void)state;
    assert_int_equal(fit("[limits]\nflows = 50000\nbuffers = 512\n", 64 * MIB, PLENTY), 0);
    assert_int_equal(reason, FIT_AS_SET);
    assert_int_equal(config.flows, 50000);
    assert_int_equal(config.buffers, 512);
}

static void a_share_that_is_set_is_no_more_than_the_whole(void **state)
{
    (void)state;
    assert_int_equal(fit("[limits]\nworkstation_flows = 8000\n", 64 * MIB, PLENTY), 0);
    assert_int_equal(config.workstation_flows, 4096);
}

static void memory_that_is_not_known_lowers_nothing(void **state)
{
    (void)state;
    assert_int_equal(fit("", 0, PLENTY), 0);
    assert_int_equal(config.flows, 16384);
    assert_int_equal(config.buffers, 64);
}

static void few_descriptors_allow_few_flows(void **state)
{
    (void)state;
    assert_int_equal(fit("", 1024 * MIB, 1024), 0);
    assert_int_equal(reason, FIT_DESCRIPTORS);
    assert_int_equal(SANDBOX_DESCRIPTORS + fit_descriptors(config.flows, 0), 1024);
    assert_int_equal(config.connecting, config.flows);
}

static void as_many_as_there_are_descriptors_for_may_be_set(void **state)
{
    char text[64];
    (void)state;
    const uint32_t most = 1024 - SANDBOX_DESCRIPTORS - fit_descriptors(0, 0);
    snprintf(text, sizeof(text), "[limits]\nflows = %u\n", most);
    assert_int_equal(fit(text, 1024 * MIB, 1024), 0);
    assert_int_equal(config.flows, most);
    snprintf(text, sizeof(text), "[limits]\nflows = %u\n", most + 1);
    assert_int_equal(fit(text, 1024 * MIB, 1024), -EMFILE);
    snprintf(text, sizeof(text), "allow %u flows", most);
    assert_non_null(strstr(error, ":2: limits.flows: "));
    assert_non_null(strstr(error, text));
}

static void no_descriptor_for_a_flow_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(fit("", 1024 * MIB, SANDBOX_DESCRIPTORS + fit_descriptors(0, 0)), -EMFILE);
    assert_non_null(strstr(error, "limits.flows: "));
    assert_int_equal(fit("", 1024 * MIB, 0), -EMFILE);
}

static void looking_at_the_machine_leaves_it_as_it_was(void **state)
{
    struct fit_machine machine;
    struct rlimit before, after;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    fit_look(&machine);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
    assert_int_equal(after.rlim_cur, before.rlim_cur);
    assert_int_equal(after.rlim_max, before.rlim_max);
    assert_true(machine.descriptors >= before.rlim_max || machine.descriptors == PLENTY);
    assert_true(machine.memory > 16 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_machine_has_the_defaults),
        cmocka_unit_test(a_router_of_64_mib_has_few_buffers_and_flows),
        cmocka_unit_test(what_is_least_holds_on_the_smallest),
        cmocka_unit_test(what_is_set_stays_whatever_the_memory),
        cmocka_unit_test(a_share_that_is_set_is_no_more_than_the_whole),
        cmocka_unit_test(memory_that_is_not_known_lowers_nothing),
        cmocka_unit_test(few_descriptors_allow_few_flows),
        cmocka_unit_test(as_many_as_there_are_descriptors_for_may_be_set),
        cmocka_unit_test(no_descriptor_for_a_flow_is_an_error),
        cmocka_unit_test(looking_at_the_machine_leaves_it_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
