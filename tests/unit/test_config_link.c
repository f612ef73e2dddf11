/* SPDX-License-Identifier: BSD-3-Clause */
/* The workstation network in the configuration: what it is attached to, its addresses, who has them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "config_rig.h"

static void several_interfaces_may_be_attached_but_not_to_a_bridge(void **state)
{
    (void)state;
    assert_int_equal(load("[workstation]\nattach = eth1\nattach = eth2\n"), 0);
    assert_string_equal(config.attach[0], "eth1");
    assert_string_equal(config.attach[1], "eth2");
    assert_string_equal(config.attach[2], "");
    assert_true(config.isolate_clients);
    assert_int_equal(load("[workstation]\nattach = eth1\nisolate_clients = yes\n"), 0);
    expect_refused("[workstation]\nbridge = br0\nattach = eth1\n", 3, "workstation.attach: ");
    expect_refused("[workstation]\nbridge = br0\nisolate_clients = yes\n", 3, "workstation.isolate_clients: ");
    expect_refused("[workstation]\nattach = a\nattach = b\nattach = c\nattach = d\nattach = e\nattach = f\n"
                   "attach = g\nattach = h\nattach = i\n",
                   10, "workstation.attach: ");
}

static void the_virtual_range_must_not_overlap_the_workstation_network(void **state)
{
    (void)state;
    expect_refused("[workstation]\naddress = 10.200.0.1/16\n", 2, "workstation.address: ");
    assert_non_null(strstr(config_error, "virtual = 172.16.0.0/12"));
    assert_int_equal(load("[workstation]\naddress = 10.200.0.1/16\n[dns]\nvirtual = 172.16.0.0/12\n"), 0);
    expect_refused("[dns]\n\nvirtual = 10.152.128.0/18\n", 3, "dns.virtual: ");
}

static void there_is_no_ipv6_unless_it_is_configured(void **state)
{
    static const uint8_t gateway[16] = {0xfd, 0x19, 0xc3, 0x3d, 0x88, 0xbc, [15] = 0x10};
    (void)state;
    assert_int_equal(load("[dns]\nvirtual6 = fc00:1::/32\n"), 0);
    assert_int_equal(config.network6.len, 0);
    assert_int_equal(config.virtual_net6.len, 0);
    assert_int_equal(load("[workstation]\naddress6 = fd19:c33d:88bc::10/64\n"), 0);
    assert_int_equal(config.network6.len, 64);
    assert_memory_equal(config.network6.addr.b, gateway, 16);
    assert_int_equal(config.virtual_net6.len, 64);
    assert_int_equal(load("[workstation]\naddress6 = fd19:c33d:88bc::10/64\n[dns]\nvirtual6 = none\n"), 0);
    assert_int_equal(config.virtual_net6.len, 0);
}

static void the_virtual_range6_must_not_overlap_the_workstation_network(void **state)
{
    (void)state;
    expect_refused("[workstation]\naddress6 = fd6c:7601:7e2::1/48\n", 2, "dns.virtual6: ");
    expect_refused("[workstation]\naddress6 = fd19:c33d:88bc::10/64\n[dns]\nvirtual6 = fd19::/16\n", 4,
                   "dns.virtual6: ");
}

static void advertisements_need_an_address(void **state)
{
    (void)state;
    expect_refused("[workstation]\n\nra = yes\n", 3, "workstation.ra: ");
    assert_int_equal(load("[workstation]\nra = yes\naddress6 = fd19:c33d:88bc::10/64\n"), 0);
    assert_true(config.ra);
}

static void leases_are_as_many_as_there_are_lines(void **state)
{
    static const uint8_t macs[2][6] = {{2, 0, 0x5e, 0x10, 0, 2}, {2, 0, 0x5e, 0x10, 0, 3}};
    char text[8192] = "[workstation]\n";
    (void)state;
    assert_int_equal(load("[workstation]\ndhcp_lease = 02:00:5e:10:00:02 10.152.152.20\n"
                          "dhcp = 10.152.152.100-10.152.152.101\n"
                          "dhcp_lease = 02:00:5e:10:00:03 10.152.152.21\n"),
                     0);
    assert_int_equal(config.dhcp_leases.count, 2);
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t address[4] = {10, 152, 152, (uint8_t)(20 + i)};
        assert_memory_equal(config.dhcp_leases.lease[i].mac, macs[i], 6);
        assert_memory_equal(config.dhcp_leases.lease[i].address, address, 4);
    }
    assert_int_equal(be32_load(config.dhcp[0].b + 12), 0x0a989864);
    assert_int_equal(be32_load(config.dhcp[1].b + 12), 0x0a989865);

    expect_refused("[workstation]\ndhcp_lease = 02:00:5e:10:00:02 10.152.152.20\n"
                   "dhcp_lease = 02:00:5e:10:00:02 10.152.152.21\n",
                   3, "workstation.dhcp_lease: ");
    expect_refused("[workstation]\ndhcp_lease = 02:00:5e:10:00:02 10.152.152.20\n"
                   "dhcp_lease = 02:00:5e:10:00:03 10.152.152.20\n",
                   3, "workstation.dhcp_lease: ");
    for (unsigned i = 0; i <= 64; i++) {
        if (i == 64)
            assert_int_equal(load(text), 0);
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 "dhcp_lease = 02:00:5e:10:00:%02x 10.152.152.%u\n", i, 20 + i);
    }
    expect_refused(text, 66, "workstation.dhcp_lease: ");
}

static void stations_are_as_many_as_there_are_lines_of_both_families(void **state)
{
    static const uint8_t mac[6] = {2, 0, 0x5e, 0x10, 0, 2};
    char text[8192] = "[workstation]\n";
    (void)state;
    assert_int_equal(load("[workstation]\naddress6 = fd19:c33d:88bc::10/64\nstations = listed\n"
                          "station = 02:00:5e:10:00:02 10.152.152.20\n"
                          "station = 02:00:5e:10:00:02 fd19:c33d:88bc::20\n"
                          "dhcp_lease = 02:00:5e:10:00:02 10.152.152.20\n"),
                     0);
    assert_int_equal(config.served, CONFIG_SERVED_LISTED);
    assert_int_equal(config.stations.count, 2);
    assert_memory_equal(config.stations.station[1].mac, mac, 6);
    assert_true(ipaddr_is_v4(&config.stations.station[0].addr));
    assert_int_equal(config.stations.station[1].addr.b[15], 0x20);

    expect_refused("[workstation]\nstation = 02:00:5e:10:00:02 10.152.152.20\n"
                   "station = 02:00:5e:10:00:03 10.152.152.20\n",
                   3, "workstation.station: ");
    expect_refused("[workstation]\nstation = 02:00:5e:10:00:02 10.152.152.20\n"
                   "dhcp_lease = 02:00:5e:10:00:03 10.152.152.20\n",
                   2, "workstation.station: ");
    expect_refused("[workstation]\naddress6 = fd19:c33d:88bc::10/64\nstation = 02:00:5e:10:00:02 fd20::20\n", 3,
                   "workstation.station: ");
    expect_refused("[workstation]\nstation = 02:00:5e:10:00:02 10.152.152.20\nstations = listed\n"
                   "dhcp = 10.152.152.100-10.152.152.199\n",
                   3, "workstation.stations: ");
    expect_refused("[limits]\nworkstations = 1\n[workstation]\nstation = 02:00:5e:10:00:02 10.152.152.20\n"
                   "station = 02:00:5e:10:00:02 10.152.152.21\n",
                   5, "workstation.station: ");
    for (unsigned i = 0; i <= 64; i++) {
        if (i == 64)
            assert_int_equal(load(text), 0);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "station = 02:00:5e:10:00:%02x 10.152.152.%u\n",
                 i / 16, 20 + i);
    }
    expect_refused(text, 66, "workstation.station: ");
    strcpy(text, "[workstation]\n");
    for (unsigned i = 0; i < 17; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "station = 02:00:5e:10:00:02 10.152.152.%u\n",
                 20 + i);
    expect_refused(text, 18, "workstation.station: ");
}

static void no_more_is_leased_than_workstations_are_known(void **state)
{
    (void)state;
    expect_refused("[limits]\nworkstations = 99\n[workstation]\ndhcp = 10.152.152.100-10.152.152.199\n", 4,
                   "workstation.dhcp: ");
    assert_int_equal(load("[limits]\nworkstations = 100\n[workstation]\ndhcp = 10.152.152.100-10.152.152.199\n"),
                     0);
}

static void ipv6_needs_a_link_that_carries_it(void **state)
{
    (void)state;
    expect_refused("[workstation]\nmtu = 1279\naddress6 = fd19:c33d:88bc::10/64\n", 3, "workstation.address6: ");
    assert_int_equal(load("[workstation]\nmtu = 1280\naddress6 = fd19:c33d:88bc::10/64\n"), 0);
}

static void the_bridge_is_not_the_device(void **state)
{
    (void)state;
    expect_refused("[workstation]\ndevice = br0\nbridge = br0\n", 3, "workstation.bridge: ");
    expect_refused("[workstation]\nbridge = cloister0\n", 2, "workstation.bridge: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_interfaces_may_be_attached_but_not_to_a_bridge),
        cmocka_unit_test(the_virtual_range_must_not_overlap_the_workstation_network),
        cmocka_unit_test(there_is_no_ipv6_unless_it_is_configured),
        cmocka_unit_test(the_virtual_range6_must_not_overlap_the_workstation_network),
        cmocka_unit_test(advertisements_need_an_address),
        cmocka_unit_test(leases_are_as_many_as_there_are_lines),
        cmocka_unit_test(stations_are_as_many_as_there_are_lines_of_both_families),
        cmocka_unit_test(no_more_is_leased_than_workstations_are_known),
        cmocka_unit_test(ipv6_needs_a_link_that_carries_it),
        cmocka_unit_test(the_bridge_is_not_the_device),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
