/* SPDX-License-Identifier: BSD-3-Clause */
/* When the DNS service wants to be called. (What it says, and to whom: fuzz_dns_stack.c and the tests in namespaces.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "daemon/dns_service.h"

#define NOW UINT64_C(1000000000)

struct scene {
    void *memory; /* of the answerer */
    struct dns *dns;
    struct dns_service *service;
};

static int start(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    struct dns_config config;
    memset(&config, 0, sizeof(config));
    dns_config_defaults(&config);
    config.slots = 64;
    config.lookups = 64;
    size_t n = (dns_size(&config) + 63) / 64 * 64;
    scene->memory = aligned_alloc(64, n);
    assert_non_null(scene->memory);
    memset(scene->memory, 0, n);
    scene->dns = dns_init(scene->memory, &config);
    dns_set_ready(scene->dns, true);
    struct dns_service_config service = {
        .streams = 4, .max_hosts = 1, .asker = {.path = "/nobody/listens/here", .handles = 64, .calls = 4}};
    assert_int_equal(dns_service_new(&scene->service, &service, scene->dns), 0);
    *state = scene;
    return 0;
}

static int stop(void **state)
{
    struct scene *scene = *state;
    dns_service_free(scene->service);
    free(scene->memory);
    free(scene);
    return 0;
}

static void with_nothing_to_do_there_is_no_such_time(void **state)
{
    struct scene *scene = *state;
    uint64_t at;
    assert_false(dns_service_next(scene->service, &at));
}

/* Not when the next timer is due: what a flush tells the service comes after the dispatch of the same turn. */
static void what_is_to_be_told_is_to_be_told_at_once(void **state)
{
    struct scene *scene = *state;
    uint64_t at = UINT64_MAX;
    uint32_t stream;
    struct tcp_flow_id id = {.index = 1, .generation = 1};
    struct local_client client = {.identity = 1};
    assert_int_equal(dns_service_open(scene->service, id, &client, NOW, &stream), 0);
    assert_true(dns_service_next(scene->service, &at));
    assert_true(at <= NOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(with_nothing_to_do_there_is_no_such_time, start, stop),
        cmocka_unit_test_setup_teardown(what_is_to_be_told_is_to_be_told_at_once, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
