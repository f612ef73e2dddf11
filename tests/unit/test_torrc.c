/* SPDX-License-Identifier: BSD-3-Clause */
/* What we look for in the user's torrc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "socks/torrc.h"

static char path[] = "/tmp/cloister-test-torrc-XXXXXX";

static bool starts(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return torrc_starts_transports(path);
}

static void a_transport_that_tor_starts_is_seen(void **state)
{
    (void)state;
    assert_true(starts("ClientTransportPlugin obfs4 exec /usr/bin/obfs4proxy\n"));
    assert_true(starts("UseBridges 1\n  clienttransportplugin\tobfs3,obfs4   EXEC /usr/bin/obfs4proxy managed"));
    assert_true(starts("+ClientTransportPlugin snowflake exec /usr/bin/snowflake-client\r\n"));
    assert_true(starts("ClientTransportPlugin obfs4 \\\n  exec \\\r\n /usr/bin/obfs4proxy\nUseBridges 1\n"));
}

static void what_only_looks_like_one_is_not(void **state)
{
    (void)state;
    assert_false(starts(""));
    assert_false(starts("# ClientTransportPlugin obfs4 exec /usr/bin/obfs4proxy\n"));
    assert_false(starts("Nickname x # ClientTransportPlugin obfs4 exec /x\n"));
    assert_false(starts("ClientTransportPlugin obfs4 socks5 127.0.0.1:1080\n"));
    assert_false(starts("ClientTransportPlugin exec\n"));
    assert_false(starts("ClientTransportPluginX obfs4 exec /x\n"));
    assert_false(starts("ServerTransportPlugin obfs4 exec /x\n"));
    assert_false(torrc_starts_transports("/nonexistent"));
}

static bool serves(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return torrc_has_services(path);
}

static void an_onion_service_is_seen(void **state)
{
    (void)state;
    assert_true(serves("HiddenServiceDir /var/lib/tor/blog\nHiddenServicePort 80 127.0.0.1:8080\n"));
    assert_true(serves("UseBridges 0\n +hiddenservicedir \\\n /var/lib/tor/blog # mine"));
    assert_false(serves("# HiddenServiceDir /var/lib/tor/blog\n"));
    assert_false(serves("HiddenServiceDir\nHiddenServiceDirGroupReadable 1\n/HiddenServiceDir x\n"));
    assert_false(serves(""));
    assert_false(torrc_has_services("/nonexistent"));
}

static bool allows(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return torrc_allows_internal(path);
}

static void leave_for_private_addresses_is_seen(void **state)
{
    (void)state;
    assert_true(allows("ClientRejectInternalAddresses 0\n"));
    assert_true(allows("UseBridges 0\n clientrejectinternaladdresses \\\n 0 # the lab\n"));
    assert_true(allows("ClientRejectInternalAddresses 1\nClientRejectInternalAddresses 0\n"));
    assert_false(allows("ClientRejectInternalAddresses 0\nClientRejectInternalAddresses 1\n"));
    assert_false(allows("# ClientRejectInternalAddresses 0\n"));
    assert_false(allows("ClientRejectInternalAddresses\nClientDNSRejectInternalAddresses 0\n"));
    assert_false(allows(""));
    assert_false(torrc_allows_internal("/nonexistent"));
}

static bool says(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return torrc_says(path, "GeoIPFile");
}

static void a_line_is_known_by_its_keyword(void **state)
{
    (void)state;
    assert_true(says("GeoIPFile /usr/share/tor/geoip\n"));
    assert_true(says("UseBridges 1\n  geoipfile\t/x # y"));
    assert_true(says("+GeoIPFile \\\n /x\n"));
    assert_false(says(""));
    assert_false(says("#GeoIPFile /x\n"));
    assert_false(says("GeoIPv6File /x\n"));
    assert_false(says("Nickname GeoIPFile\n"));
    assert_false(says("Nickname \\\nGeoIPFile /x\n"));
    assert_false(torrc_says("/nonexistent", "GeoIPFile"));
}

static int set_up(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transport_that_tor_starts_is_seen),
        cmocka_unit_test(what_only_looks_like_one_is_not),
        cmocka_unit_test(an_onion_service_is_seen),
        cmocka_unit_test(leave_for_private_addresses_is_seen),
        cmocka_unit_test(a_line_is_known_by_its_keyword),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
