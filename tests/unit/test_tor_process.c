/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "socks/tor_process.h"

static struct tor_arguments arguments;
static struct tor_process_config config;

static int defaults(void **state)
{
    (void)state;
    config = (struct tor_process_config){
        .data = "/var/lib/cloister",
        .socks = "/run/cloister/tor/socks",
        .control_fd = 7,
        .group = true,
    };
    return 0;
}

/* The value of an option that must not be there twice. */
static const char *value_of(const char *option)
{
    const char *value = "(not said)";
    bool found = false;
    for (int i = 1; i < arguments.count; i++)
        if (strcasecmp(arguments.argv[i], option) == 0) {
            assert_false(found);
            found = true;
            assert_true(i + 1 < arguments.count);
            value = arguments.argv[i + 1];
        }
    return value;
}

static bool has(const char *word)
{
    for (int i = 1; i < arguments.count; i++)
        if (strcmp(arguments.argv[i], word) == 0)
            return true;
    return false;
}

static void the_command_line_says_where_and_through_what(void **state)
{
    (void)state;
    assert_int_equal(tor_process_arguments(&config, &arguments), 0);
    assert_string_equal(arguments.argv[0], "tor");
    assert_null(arguments.argv[arguments.count]);
    assert_string_equal(value_of("--DataDirectory"), "/var/lib/cloister");
    assert_string_equal(
        value_of("--SocksPort"),
        "unix:\"/run/cloister/tor/socks\" GroupWritable IsolateSOCKSAuth KeepAliveIsolateSOCKSAuth ExtendedErrors");
    assert_string_equal(value_of("--__OwningControllerFD"), "7");
    assert_string_equal(value_of("-f"), "-");
    assert_string_equal(value_of("--DisableNetwork"), "(not said)");
}

static void no_listener_for_traffic_is_left_to_the_torrc(void **state)
{
    (void)state;
    static const char *const off[] = {"--TransPort", "--NATDPort", "--DNSPort", "--ExtORPort", "--HTTPTunnelPort"};
    static const char *const taken_away[] = {"--/ORPort", "--/DirPort", "--/MetricsPort", "--/User"};
    assert_int_equal(tor_process_arguments(&config, &arguments), 0);
    for (size_t i = 0; i < sizeof(off) / sizeof(*off); i++)
        assert_string_equal(value_of(off[i]), "0");
    for (size_t i = 0; i < sizeof(taken_away) / sizeof(*taken_away); i++)
        assert_true(has(taken_away[i]));
}

static void a_control_listener_is_left_to_the_operator(void **state)
{
    (void)state;
    assert_int_equal(tor_process_arguments(&config, &arguments), 0);
    assert_string_equal(value_of("--ControlPort"), "(not said)");
    assert_false(has("--/ControlPort"));
    assert_false(has("--/ControlSocket"));
}

static void what_is_optional_can_be_left_out_or_given(void **state)
{
    (void)state;
    config.torrc = "/etc/cloister/torrc";
    config.control_fd = -1;
    config.group = false;
    config.disabled = true;
    assert_int_equal(tor_process_arguments(&config, &arguments), 0);
    assert_string_equal(value_of("-f"), "/etc/cloister/torrc");
    assert_string_equal(value_of("--__OwningControllerFD"), "(not said)");
    assert_string_equal(value_of("--DisableNetwork"), "1");
    assert_string_equal(
        value_of("--SocksPort"),
        "unix:\"/run/cloister/tor/socks\" IsolateSOCKSAuth KeepAliveIsolateSOCKSAuth ExtendedErrors");
}

static void the_sandbox_is_not_left_to_the_torrc(void **state)
{
    (void)state;
    assert_int_equal(tor_process_arguments(&config, &arguments), 0);
    assert_string_equal(value_of("--Sandbox"), "0");
    config.sandbox = true;
    assert_int_equal(tor_process_arguments(&config, &arguments), 0);
    assert_string_equal(value_of("--Sandbox"), "1");
}

static void the_lists_of_countries_are_named_if_they_are_ours_to_name(void **state)
{
    (void)state;
    assert_int_equal(tor_process_arguments(&config, &arguments), 0);
    assert_string_equal(value_of("--GeoIPFile"), "(not said)");
    assert_string_equal(value_of("--GeoIPv6File"), "(not said)");
    config.geoip = "/usr/share/tor/geoip";
    config.geoip6 = "/dev/null";
    assert_int_equal(tor_process_arguments(&config, &arguments), 0);
    assert_string_equal(value_of("--GeoIPFile"), "/usr/share/tor/geoip");
    assert_string_equal(value_of("--GeoIPv6File"), "/dev/null");
}

static void a_path_that_could_break_out_of_its_place_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"relative", "", "/a\"b", "/a\\b", "/a\nb", "/a\x7f"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const char **places[] = {&config.data, &config.socks, &config.torrc};
        for (size_t k = 0; k < 3; k++) {
            defaults(NULL);
            *places[k] = bad[i];
            assert_int_equal(tor_process_arguments(&config, &arguments), -EINVAL);
        }
    }
    defaults(NULL);
    config.socks = "/with a space/socks";
    assert_int_equal(tor_process_arguments(&config, &arguments), 0);
}

static void further_options_add_to_those_of_the_torrc_in_their_order(void **state)
{
    (void)state;
    static const struct tor_process_option more[] = {{"HiddenServiceDir", "/d"},
                                                     {"HiddenServicePort", "80 unix:\"/s\""}};
    config.more = more;
    config.more_count = 2;
    assert_int_equal(tor_process_arguments(&config, &arguments), 0);
    assert_string_equal(value_of("--+HiddenServiceDir"), "/d");
    int at = 0;
    while (strcmp(arguments.argv[at], "--+HiddenServiceDir") != 0)
        at++;
    assert_string_equal(arguments.argv[at + 2], "--+HiddenServicePort");
    assert_string_equal(arguments.argv[at + 3], "80 unix:\"/s\"");
}

static void what_only_one_can_have_is_the_first_ones(void **state)
{
    (void)state;
    assert_int_equal(tor_process_arguments(&config, &arguments), 0);
    assert_false(has("--/ControlPort"));
    assert_false(has("--/HiddenServiceDir"));
    config.further = true;
    assert_int_equal(tor_process_arguments(&config, &arguments), 0);
    assert_true(has("--/ControlPort"));
    assert_true(has("--/ControlSocket"));
    assert_true(has("--/HiddenServiceDir"));
}

static void a_path_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    static char longer[sizeof(arguments.text) + 1000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[0] = '/';
    config.data = longer;
    assert_int_equal(tor_process_arguments(&config, &arguments), -ENAMETOOLONG);
    defaults(NULL);
    config.socks = longer;
    assert_int_equal(tor_process_arguments(&config, &arguments), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_command_line_says_where_and_through_what, defaults),
        cmocka_unit_test_setup(no_listener_for_traffic_is_left_to_the_torrc, defaults),
        cmocka_unit_test_setup(a_control_listener_is_left_to_the_operator, defaults),
        cmocka_unit_test_setup(the_sandbox_is_not_left_to_the_torrc, defaults),
        cmocka_unit_test_setup(the_lists_of_countries_are_named_if_they_are_ours_to_name, defaults),
        cmocka_unit_test_setup(what_is_optional_can_be_left_out_or_given, defaults),
        cmocka_unit_test_setup(a_path_that_could_break_out_of_its_place_is_refused, defaults),
        cmocka_unit_test_setup(further_options_add_to_those_of_the_torrc_in_their_order, defaults),
        cmocka_unit_test_setup(what_only_one_can_have_is_the_first_ones, defaults),
        cmocka_unit_test_setup(a_path_that_does_not_fit_is_refused, defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
