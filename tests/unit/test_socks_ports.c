/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "socks/ports.h"

#define EACH (ISOLATION_WORKSTATION | ISOLATION_PORT | ISOLATION_CREDENTIALS)

static const struct socks_ports whonix = {.whonix = true};

/* How many of the ports in this range have these flags, and are of this kind. */
static unsigned count(uint16_t first, uint16_t last, enum front_kind kind, unsigned flags)
{
    unsigned n = 0;
    for (uint16_t p = first; p <= last; p++) {
        struct socks_port port;
        if (socks_ports_find(&whonix, p, &port) && port.port == p && port.kind == kind &&
            port.fields == (EACH | flags))
            n++;
    }
    return n;
}

static void whonix_numbers_have_their_flags(void **state)
{
    (void)state;
    const unsigned d = ISOLATION_DESTINATION_NAME, p = ISOLATION_DESTINATION_PORT;
    assert_int_equal(count(9050, 9050, FRONT_SOCKS, 0), 1);
    assert_int_equal(count(9100, 9119, FRONT_SOCKS, d | p), 13);
    assert_int_equal(count(9100, 9119, FRONT_SOCKS, 0), 7);
    assert_int_equal(count(9122, 9125, FRONT_SOCKS, 0), 4);
    assert_int_equal(count(9150, 9159, FRONT_SOCKS, 0), 9);
    assert_int_equal(count(9160, 9169, FRONT_SOCKS, d), 10);
    assert_int_equal(count(9170, 9179, FRONT_SOCKS, p), 10);
    assert_int_equal(count(9180, 9189, FRONT_SOCKS, d | p), 10);
    assert_int_equal(count(9190, 9199, FRONT_HTTP, 0), 10);
    assert_int_equal(count(9200, 9209, FRONT_HTTP, d), 10);
    assert_int_equal(count(9210, 9219, FRONT_HTTP, p), 10);
    assert_int_equal(count(9220, 9229, FRONT_HTTP, d | p), 10);
    struct socks_port port;
    unsigned all = 0;
    for (uint32_t i = 0; i <= UINT16_MAX; i++)
        all += socks_ports_find(&whonix, (uint16_t)i, &port);
    assert_int_equal(all, 1 + 20 + 4 + 1 + 8 + 30 + 40);
    for (uint32_t i = 0; i <= UINT16_MAX; i++)
        if (socks_ports_find(&whonix, (uint16_t)i, &port))
            assert_int_equal(port.tor_browser, i == 9150);
}

static void ones_own_come_first(void **state)
{
    (void)state;
    struct socks_ports ports = {
        .whonix = true,
        .count = 1,
        .port = {{.port = 9150, .kind = FRONT_HTTP, .fields = EACH | ISOLATION_DESTINATION_PORT}}};
    struct socks_port port;
    assert_true(socks_ports_find(&ports, 9150, &port));
    assert_int_equal(port.kind, FRONT_HTTP);
    ports.whonix = false;
    assert_true(socks_ports_find(&ports, 9150, &port));
    assert_false(socks_ports_find(&ports, 9050, &port));
}

static void a_port_is_always_an_identity_of_its_own(void **state)
{
    (void)state;
    uint8_t fields = 0;
    assert_null(socks_port_parse_fields("none", &fields));
    assert_int_equal(fields, EACH);
    assert_null(socks_port_parse_fields("destination-address, destination-port", &fields));
    assert_int_equal(fields, EACH | ISOLATION_DESTINATION_NAME | ISOLATION_DESTINATION_PORT);
    assert_null(socks_port_parse_fields("source-port", &fields));
    assert_int_equal(fields, EACH | ISOLATION_SOURCE_ADDRESS | ISOLATION_SOURCE_PORT);
    fields = 1;
    assert_non_null(socks_port_parse_fields("", &fields));
    assert_non_null(socks_port_parse_fields("none, destination", &fields));
    assert_int_equal(fields, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whonix_numbers_have_their_flags),
        cmocka_unit_test(ones_own_come_first),
        cmocka_unit_test(a_port_is_always_an_identity_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
