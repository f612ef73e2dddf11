/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions at the filtered control port when there are as many as there may be: who has to go, and for whom. What the engine
 * is told is caught here: nothing else of it is needed, so these stand for it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/control_service.h"

#define STATIONS 256u
#define NEWCOMER 200u
#define FULL (CONTROL_SERVICE_SESSIONS / CONTROL_SERVICE_SHARE) /* stations with all they may have */

static struct control_service *service;
static struct drops drops;
static uint32_t newest;                                  /* index of the flow opened last */
static uint32_t stream_of[4 * CONTROL_SERVICE_SESSIONS]; /* the session of each flow */
static uint32_t reset[4 * CONTROL_SERVICE_SESSIONS];     /* indices of flows that were ended */
static unsigned resets;

void tcp_upstream_connected(struct tcp_engine *engine, struct tcp_flow_id id, size_t room, uint64_t now)
{
    (void)engine;
    (void)id;
    (void)room;
    (void)now;
}

void tcp_upstream_readable(struct tcp_engine *engine, struct tcp_flow_id id, uint64_t now)
{
    (void)engine;
    (void)id;
    (void)now;
}

void tcp_upstream_reset(struct tcp_engine *engine, struct tcp_flow_id id, uint64_t now)
{
    (void)engine;
    (void)now;
    reset[resets++] = id.index;
}

static void newnym(void *ctx, uint32_t station)
{
    (void)ctx;
    (void)station;
}

static int start(void **state)
{
    (void)state;
    const struct control_service_config config = {
        .stations = STATIONS, .facts = {.version = "1"}, .drops = &drops, .newnym = newnym};
    drops = (struct drops){{0}};
    newest = resets = 0;
    return control_service_new(&service, &config);
}

static int stop(void **state)
{
    (void)state;
    control_service_free(service);
    return 0;
}

static int open_one(uint32_t station, uint64_t now)
{
    const struct local_client client = {.station = station};
    const struct tcp_flow_id id = {newest + 1, 1};
    int status = control_service_ops.open(service, id, &client, now, &stream_of[newest + 1]);
    newest += status == 0;
    return status;
}

static void say(uint32_t flow, uint64_t now)
{
    static char line[] = "PROTOCOLINFO\r\n";
    char out[CONTROL_FILTER_OUT_MAX];
    const struct iovec in = {line, sizeof(line) - 1}, read = {out, sizeof(out)};
    size_t room;
    assert_int_equal(control_service_ops.write(service, stream_of[flow], &in, 1, &room, now), sizeof(line) - 1);
    assert_true(control_service_ops.read(service, stream_of[flow], &read, 1, now) > 0);
}

/* What the engine does with who was ended: he is let go of. */
static void turn(uint64_t now)
{
    const unsigned before = resets;
    control_service_dispatch(service, NULL, now);
    for (unsigned i = before; i < resets; i++)
        control_service_ops.release(service, stream_of[reset[i]], TCP_RELEASE_ABORT);
}

static void a_newcomer_gets_the_place_that_was_silent_for_longest_of_whoever_has_most(void **state)
{
    (void)state;
    /* The first flow is the one that was silent for longest of all, and its workstation has no other. */
    assert_int_equal(open_one(NEWCOMER + 1, 1), 0);
    for (unsigned i = 1; i < CONTROL_SERVICE_SESSIONS; i++)
        assert_int_equal(open_one((i - 1) / CONTROL_SERVICE_SHARE, 1 + i), 0);
    say(2, 1000); /* of the first of those who have most */
    turn(1000);
    assert_int_equal(resets, 0);
    assert_int_equal(open_one(NEWCOMER, 1001), 0);
    assert_true(control_service_waits(service));
    turn(1001);
    assert_int_equal(resets, 1);
    assert_int_equal(reset[0], 3);
    assert_int_equal(drops.by[DROP_CONTROL_FULL], 1);
}

static void he_gets_as_many_as_the_others_and_no_more(void **state)
{
    unsigned own = 0;
    (void)state;
    for (unsigned i = 0; i < CONTROL_SERVICE_SESSIONS; i++)
        assert_int_equal(open_one(i / CONTROL_SERVICE_SHARE, i), 0);
    while (own <= CONTROL_SERVICE_SHARE && open_one(NEWCOMER, 1000) == 0) {
        turn(1000);
        own++;
    }
    assert_int_equal(own, CONTROL_SERVICE_SHARE);
    assert_int_equal(resets, own);
    assert_int_equal(drops.by[DROP_CONTROL_FULL], own + 1);
    assert_int_equal(open_one(FULL - 1, 1001), -EACCES); /* who lost none has all he may have */
}

static void not_even_as_many_as_there_are_places_keep_somebody_out(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CONTROL_SERVICE_SESSIONS; i++)
        assert_int_equal(open_one(i, i), 0);
    assert_int_equal(open_one(NEWCOMER, 1000), 0);
    turn(1000);
    assert_int_equal(resets, 1);
    assert_int_equal(reset[0], 1);
    assert_int_equal(open_one(NEWCOMER, 1001), -EACCES); /* nobody has more than he */
}

static void those_who_leave_are_bounded_too(void **state)
{
    int status = 0;
    unsigned newcomers = 0;
    (void)state;
    for (unsigned i = 0; i < CONTROL_SERVICE_SESSIONS; i++)
        assert_int_equal(open_one(i, i), 0);
    while (newcomers < CONTROL_SERVICE_SESSIONS && (status = open_one(STATIONS - 1 - newcomers, 1000)) == 0)
        newcomers++;
    assert_int_equal(status, -EAGAIN); /* the SYN comes again */
    assert_in_range(newcomers, 2, 64);
    assert_int_equal(resets, 0);
    turn(1000);
    assert_int_equal(resets, newcomers);
    assert_int_equal(open_one(STATIONS - 1 - newcomers, 1001), 0);
    turn(1001);
    /* All are counted rightly still: as many can be ended as there are, and then everything is free. */
    for (uint32_t flow = 1; flow <= newest; flow++) {
        bool gone = false;
        for (unsigned i = 0; i < resets; i++)
            gone = gone || reset[i] == flow;
        if (!gone)
            control_service_ops.release(service, stream_of[flow], TCP_RELEASE_CLOSE);
    }
    for (unsigned i = 0; i < CONTROL_SERVICE_SESSIONS; i++)
        assert_int_equal(open_one(i / CONTROL_SERVICE_SHARE, 2000 + i), 0);
    turn(3000);
    assert_int_equal(resets, newcomers + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_newcomer_gets_the_place_that_was_silent_for_longest_of_whoever_has_most),
        TEST(he_gets_as_many_as_the_others_and_no_more),
        TEST(not_even_as_many_as_there_are_places_keep_somebody_out),
        TEST(those_who_leave_are_bounded_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
