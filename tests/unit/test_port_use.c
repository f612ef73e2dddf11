/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/port_use.h"

static void a_port_is_taken_while_a_flow_lives(void **state)
{
    (void)state;
    struct port_use use;
    void *memory = calloc(1, port_use_size(8));
    port_use_init(&use, memory, 8);
    assert_int_equal(port_use_take(&use, 0, 40000), 0);
    assert_int_equal(port_use_take(&use, 0, 40000), 1);
    assert_int_equal(port_use_take(&use, 1, 40000), 0);
    assert_int_equal(port_use_take(&use, 0, 40001), 0);
    port_use_give(&use, 0, 40000);
    assert_int_equal(port_use_take(&use, 0, 40000), 1);
    port_use_give(&use, 0, 40000);
    port_use_give(&use, 0, 40000);
    assert_int_equal(port_use_take(&use, 0, 40000), 0);
    free(memory);
}

/* Against a plain array, with few hosts and ports so that chains grow and holes are closed. */
static void counts_agree_with_a_plain_array_over_any_order(void **state)
{
    (void)state;
    enum { HOSTS = 4, PORTS = 64, FLOWS = 200 };
    static unsigned count[HOSTS][PORTS];
    static struct {
        uint32_t host;
        uint16_t port;
    } live[FLOWS];
    unsigned n = 0;
    uint32_t seed = 12345;
    struct port_use use;
    void *memory = calloc(1, port_use_size(FLOWS));
    port_use_init(&use, memory, FLOWS);
    for (unsigned step = 0; step < 200000; step++) {
        seed = seed * 1664525 + 1013904223;
        unsigned r = seed >> 8;
        if (n < FLOWS && (n == 0 || r % 2 == 0)) {
            uint32_t host = r / 2 % HOSTS;
            uint16_t port = (uint16_t)(r / 8 % PORTS);
            assert_int_equal(port_use_take(&use, host, port), count[host][port]);
            count[host][port]++;
            live[n].host = host;
            live[n++].port = port;
        } else {
            unsigned k = r / 2 % n;
            port_use_give(&use, live[k].host, live[k].port);
            count[live[k].host][live[k].port]--;
            live[k] = live[--n];
        }
    }
    while (n > 0) {
        n--;
        port_use_give(&use, live[n].host, live[n].port);
    }
    const uint8_t *bytes = memory;
    for (size_t i = 0; i < port_use_size(FLOWS); i++)
        assert_int_equal(bytes[i], 0);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_is_taken_while_a_flow_lives),
        cmocka_unit_test(counts_agree_with_a_plain_array_over_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
