/* SPDX-License-Identifier: BSD-3-Clause */
/* Which relays a flow goes over, from what Tor tells of its circuits and streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/circuits.h"

#define FINGERPRINT "00112233445566778899AABBCCDDEEFF01234567"

static struct circuits circuits;

static int set_up(void **state)
{
    (void)state;
    return circuits_init(&circuits);
}

static int tear_down(void **state)
{
    (void)state;
    circuits_fini(&circuits);
    return 0;
}

/* What Tor says, as it says it. */
__attribute__((format(printf, 1, 2))) static void hear(const char *format, ...)
{
    char text[1024];
    struct control_event event;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert_int_equal(control_event_parse(text, &event), 0);
    if (event.kind == CONTROL_EVENT_CIRC)
        circuits_take_circuit(&circuits, &event.circuit, 100);
    else
        circuits_take_stream(&circuits, &event.stream);
}

/* The password is 32 digits, the key its first 16: so it is put there. */
static void attach(unsigned stream, unsigned circuit, unsigned key)
{
    hear("STREAM %u SENTCONNECT %u 192.0.2.1:80 SOCKS_USERNAME=\"<torS0X>0\" SOCKS_PASSWORD=\"%016x%016x\"", stream,
         circuit, key, 0u);
}

static void a_stream_tells_whose_circuit_it_is(void **state)
{
    (void)state;
    hear("CIRC 7 LAUNCHED PURPOSE=GENERAL");
    hear("CIRC 7 BUILT $" FINGERPRINT "~guard,$" FINGERPRINT "~exit PURPOSE=GENERAL");
    assert_null(circuits_of_key(&circuits, 5));
    attach(1, 7, 5);
    const struct circuit *c = circuits_of_key(&circuits, 5);
    assert_non_null(c);
    assert_int_equal(c->id, 7);
    assert_int_equal(c->hops, 2);
    assert_string_equal(c->path[0].nickname, "guard");
    assert_int_equal(c->path[1].fingerprint[0], 0x00);
    assert_int_equal(c->path[1].fingerprint[1], 0x11);
    assert_int_equal(c->path[1].fingerprint[10], 0xaa);
    assert_string_equal(c->status, "BUILT");
    assert_int_equal(c->streams, 0);
    hear("STREAM 1 SUCCEEDED 7 192.0.2.1:80 SOCKS_PASSWORD=\"%016x%016x\"", 5u, 0u);
    assert_int_equal(circuits_of_key(&circuits, 5)->streams, 1);
}

static void the_circuit_used_last_is_the_one_shown(void **state)
{
    (void)state;
    hear("CIRC 7 BUILT PURPOSE=GENERAL");
    hear("CIRC 8 BUILT PURPOSE=GENERAL");
    attach(1, 7, 5);
    attach(2, 8, 5);
    assert_int_equal(circuits_of_key(&circuits, 5)->id, 8);
    hear("CIRC 8 CLOSED PURPOSE=GENERAL REASON=FINISHED");
    assert_int_equal(circuits_of_key(&circuits, 5)->id, 7);
    hear("CIRC 7 FAILED PURPOSE=GENERAL REASON=TIMEOUT");
    assert_null(circuits_of_key(&circuits, 5));
    assert_int_equal(circuits.count, 0);
}

static void a_change_of_purpose_leaves_the_state_as_it_is(void **state)
{
    (void)state;
    hear("CIRC 7 BUILT PURPOSE=CONFLUX_UNLINKED");
    hear("CIRC_MINOR 7 PURPOSE_CHANGED $" FINGERPRINT "~guard PURPOSE=CONFLUX_LINKED OLD_PURPOSE=CONFLUX_UNLINKED");
    uint32_t cursor = 0;
    const struct circuit *c = circuits_next(&circuits, &cursor);
    assert_string_equal(c->status, "BUILT");
    assert_string_equal(c->purpose, "CONFLUX_LINKED");
}

static void what_is_not_ours_or_not_known_changes_nothing(void **state)
{
    (void)state;
    hear("CIRC 7 BUILT PURPOSE=GENERAL");
    hear("STREAM 1 SENTCONNECT 7 192.0.2.1:80 SOCKS_PASSWORD=\"secret\"");
    hear("STREAM 1 SENTCONNECT 9 192.0.2.1:80 SOCKS_PASSWORD=\"%016x%016x\"", 5u, 0u);
    hear("STREAM 1 SENTCONNECT 0 192.0.2.1:80 SOCKS_PASSWORD=\"%016x%016x\"", 5u, 0u);
    hear("CIRC 9 CLOSED PURPOSE=GENERAL");
    assert_null(circuits_of_key(&circuits, 5));
    assert_null(circuits_of_key(&circuits, 0));
    assert_int_equal(circuits.count, 1);
}

static void more_than_there_is_room_for_are_not_shown_and_room_comes_back(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 1; i <= CIRCUITS_MAX + 10; i++) {
            hear("CIRC %u BUILT PURPOSE=GENERAL", i);
            attach(i, i, i % 3000 + 1);
        }
        assert_int_equal(circuits.count, CIRCUITS_MAX);
        uint32_t cursor = 0;
        unsigned seen = 0;
        while (circuits_next(&circuits, &cursor) != NULL)
            seen++;
        assert_int_equal(seen, CIRCUITS_MAX);
        for (unsigned i = CIRCUITS_MAX + 10; i >= 1; i--)
            hear("CIRC %u CLOSED", i);
        assert_int_equal(circuits.count, 0);
        for (unsigned key = 1; key <= 3000; key++)
            assert_null(circuits_of_key(&circuits, key));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stream_tells_whose_circuit_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_circuit_used_last_is_the_one_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_of_purpose_leaves_the_state_as_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_ours_or_not_known_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_there_is_room_for_are_not_shown_and_room_comes_back, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
