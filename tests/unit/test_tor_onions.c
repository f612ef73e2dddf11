/* SPDX-License-Identifier: BSD-3-Clause */
/* Onion services in Tor's process: what is on its disk, and what it is told. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/tor_onions.h"

#define KEY "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOPQRST"

static struct channel_tor_config config;

static int start(void **state)
{
    (void)state;
    config = (struct channel_tor_config){.data = "/tmp/cloister-test-XXXXXX", .onion_directory = "/data/onion"};
    config.onions.count = 2;
    strcpy(config.onions.onion[0].name, "blog");
    strcpy(config.onions.onion[1].name, "shop");
    config.onions.onion[1].circuit = true;
    config.onions.ports = 3;
    config.onions.port[0] = (struct config_onion_port){.onion = 0, .port = 80};
    config.onions.port[1] = (struct config_onion_port){.onion = 1, .port = 443};
    config.onions.port[2] = (struct config_onion_port){.onion = 0, .port = 22};
    config.onions.clients = 1;
    config.onions.client[0] = (struct config_onion_client){.onion = 1, .name = "alice", .key = KEY};
    return mkdtemp(config.data) != NULL ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    char command[CONFIG_PATH_MAX + 16];
    snprintf(command, sizeof(command), "rm -r %s", config.data);
    return system(command);
}

/* What a file below the data directory holds; NULL if it is not there. */
static const char *content(const char *name)
{
    static char text[256];
    char path[CONFIG_PATH_MAX + 80];
    snprintf(path, sizeof(path), "%s/onion/%s", config.data, name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return NULL;
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void clients_have_files_and_nobody_else_has(void **state)
{
    (void)state;
    assert_int_equal(tor_onions_prepare(&config), 0);
    assert_string_equal(content("shop/authorized_clients/alice.auth"), "descriptor:x25519:" KEY "\n");
    assert_null(content("blog/authorized_clients/alice.auth"));
    /* It is another's turn. */
    strcpy(config.onions.client[0].name, "bob");
    assert_int_equal(tor_onions_prepare(&config), 0);
    assert_null(content("shop/authorized_clients/alice.auth"));
    assert_non_null(content("shop/authorized_clients/bob.auth"));
    config.onions.clients = 0;
    assert_int_equal(tor_onions_prepare(&config), 0);
    assert_null(content("shop/authorized_clients/bob.auth"));
}

/* Tor reads what it can, and of a service without a client everybody is one. */
static void a_clients_old_file_keeps_nobody_from_reading_the_new_one(void **state)
{
    (void)state;
    char path[CONFIG_PATH_MAX + 80], other[CONFIG_PATH_MAX + 80];
    struct stat st;
    assert_int_equal(tor_onions_prepare(&config), 0);
    snprintf(path, sizeof(path), "%s/onion/shop/authorized_clients/alice.auth", config.data);
    assert_int_equal(chmod(path, 0222), 0);
    assert_int_equal(tor_onions_prepare(&config), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_string_equal(content("shop/authorized_clients/alice.auth"), "descriptor:x25519:" KEY "\n");

    /* Nor is anything written that the name leads to. */
    snprintf(other, sizeof(other), "%s/other", config.data);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(tor_onions_prepare(&config), 0);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(access(other, F_OK), -1);
}

static void directories_are_nobody_elses(void **state)
{
    (void)state;
    static const char *const names[] = {"", "/blog", "/shop", "/shop/authorized_clients"};
    umask(022);
    assert_int_equal(tor_onions_prepare(&config), 0);
    for (size_t i = 0; i < 4; i++) {
        char path[CONFIG_PATH_MAX + 80];
        struct stat st;
        snprintf(path, sizeof(path), "%s/onion%s", config.data, names[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
    }
}

static void ports_follow_the_directory_of_their_service(void **state)
{
    (void)state;
    static struct tor_onions_options options;
    char first[CONFIG_PATH_MAX + 16], second[CONFIG_PATH_MAX + 16];
    snprintf(first, sizeof(first), "%s/onion/blog", config.data);
    snprintf(second, sizeof(second), "%s/onion/shop", config.data);
    const struct tor_process_option expected[] = {
        {"HiddenServiceDir", first},
        {"HiddenServicePort", "80 unix:\"/data/onion/blog.80\""},
        {"HiddenServicePort", "22 unix:\"/data/onion/blog.22\""},
        {"HiddenServiceDir", second},
        {"HiddenServiceExportCircuitID", "haproxy"},
        {"HiddenServicePort", "443 unix:\"/data/onion/shop.443\""},
    };
    assert_int_equal(tor_onions_write(&config, &options), 0);
    assert_int_equal(options.count, 6);
    for (uint32_t i = 0; i < 6; i++) {
        assert_string_equal(options.option[i].name, expected[i].name);
        assert_string_equal(options.option[i].value, expected[i].value);
    }
}

static void the_most_there_can_be_fits_tors_command_line(void **state)
{
    (void)state;
    static struct tor_onions_options options;
    static struct tor_arguments arguments;
    config.onions.count = CONFIG_ONIONS_MAX;
    config.onions.ports = CONFIG_ONION_PORTS_MAX;
    for (uint32_t i = 0; i < CONFIG_ONIONS_MAX; i++) {
        snprintf(config.onions.onion[i].name, CONFIG_ONION_NAME_MAX, "a-name-of-twenty-four-%02u", i);
        config.onions.onion[i].circuit = true;
    }
    for (uint32_t i = 0; i < CONFIG_ONION_PORTS_MAX; i++)
        config.onions.port[i] =
            (struct config_onion_port){.onion = i % CONFIG_ONIONS_MAX, .port = (uint16_t)(65000 + i)};
    assert_int_equal(tor_onions_write(&config, &options), 0);
    assert_int_equal(options.count, TOR_ONIONS_OPTIONS_MAX);
    const struct tor_process_config tor = {
        .data = config.data, .socks = "/s", .control_fd = -1, .more = options.option, .more_count = options.count};
    assert_int_equal(tor_process_arguments(&tor, &arguments), 0);
    unsigned found = 0;
    for (int i = 0; i < arguments.count; i++)
        found += strncmp(arguments.argv[i], "--+HiddenService", 16) == 0;
    assert_int_equal(found, TOR_ONIONS_OPTIONS_MAX);
}

int main(void)
{
#define ONIONS_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        ONIONS_TEST(clients_have_files_and_nobody_else_has),
        ONIONS_TEST(a_clients_old_file_keeps_nobody_from_reading_the_new_one),
        ONIONS_TEST(directories_are_nobody_elses),
        ONIONS_TEST(ports_follow_the_directory_of_their_service),
        ONIONS_TEST(the_most_there_can_be_fits_tors_command_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
