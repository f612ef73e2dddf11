/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line. What a user can give is in cloister(8); --role is for the supervisor, which executes this program
 * again for each of its children. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/channel.h"
#include "daemon/config.h"
#include "daemon/config_value.h"
#include "daemon/console_socket.h"
#include "daemon/gateway_role.h"
#include "daemon/identity.h"
#include "daemon/keeper_role.h"
#include "daemon/leaktest_config.h"
#include "daemon/show.h"
#include "daemon/supervisor.h"
#include "daemon/tor_role.h"
#include "daemon/watch.h"
#include "leaktest/leaktest.h"

#define EXIT_USAGE 2 /* the command line or the configuration is wrong: trying again is of no use */

static const char usage[] =
    "cloister - a gateway that gives a workstation network nothing but Tor\n"
    "\n"
    "usage:\n"
    "    cloister run --config FILE     start the gateway (as root), until SIGTERM or Ctrl-C\n"
    "    cloister check --config FILE   check the configuration only\n"
    "    cloister show [status|flows|circuits|workstations|drops] [--json]\n"
    "                                   what a running gateway does\n"
    "    cloister watch                 the same live, with the throughput of each workstation\n"
    "    cloister metrics               its counters, for Prometheus\n"
    "    cloister newnym [ADDRESS]      new identities from now on, for all workstations or for one\n"
    "    cloister leaktest [OPTION]...  try whether anything but Tor gets out (--help says more)\n"
    "    cloister version\n"
    "    cloister --help\n"
    "\n"
    "show, watch, metrics and newnym ask at the control socket, of which --control PATH or --config FILE tells "
    "where it "
    "is,\n"
    "if it is not /run/cloister/control.\n"
    "A running gateway logs its counters on SIGUSR1. See cloister(8), cloister.conf(5).\n";

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
/* To look for leaks at the end it would trace this process, which has made sure that nobody can. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

__attribute__((format(printf, 1, 2))) static int usage_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("cloister: ", stderr);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("; see cloister --help\n", stderr);
    return EXIT_USAGE;
}

/* The supervisor's own call: --role=NAME --fd=N, where N is a channel. */
static int run_role(const char *role, const char *fd)
{
    uint32_t channel = 0;
    struct stat st;
    if (fd == NULL || !config_value_number(fd, &channel) || channel != CHANNEL_FD ||
        fstat((int)channel, &st) != 0 || !S_ISSOCK(st.st_mode))
        return usage_error("--role is for cloister itself");
    if (strcmp(role, "gateway") == 0)
        return gateway_role_run((int)channel);
    if (strcmp(role, "keeper") == 0)
        return keeper_role_run((int)channel);
    if (strcmp(role, "tor") == 0)
        return tor_role_run((int)channel);
    return usage_error("--role is for cloister itself");
}

static int load(struct config *config, const char *file)
{
    char error[CONFIG_ERROR_MAX];
    struct identities who;
    int status = config_load(config, file, error);
    if (status == 0)
        status = config_check_files(config, error);
    if (status == 0)
        status = identities_find(config, &who, error);
    if (status != 0)
        fprintf(stderr, "%s\n", error);
    return status;
}

static int command_check(const char *file)
{
    struct config config;
    if (load(&config, file) != 0)
        return EXIT_USAGE;
    printf("%s: ok\n", file);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int command_run(const char *file)
{
    static struct config config;
    if (load(&config, file) != 0)
        return EXIT_USAGE;
    return supervisor_run(&config);
}

/* The control socket's path: what was said, what the configuration says, or the usual one. NULL if there is none. */
static const char *find_control(const char *control, const char *file)
{
    static struct config config;
    char error[CONFIG_ERROR_MAX];
    if (control != NULL)
        return control;
    if (file == NULL)
        return CONSOLE_DEFAULT;
    if (config_load(&config, file, error) != 0)
        fprintf(stderr, "%s\n", error);
    else if (config.control[0] == '\0')
        fprintf(stderr, "%s: process.control is none: nobody can be asked\n", file);
    else
        return config.control;
    return NULL;
}

static int command_look(const char *command, const char *what, const char *control, bool json)
{
    if (strcmp(command, "metrics") == 0)
        return show_metrics(control);
    if (strcmp(command, "watch") == 0)
        return watch_run(control);
    if (strcmp(command, "newnym") == 0)
        return show_newnym(control, what);
    return show_run(control, what, json);
}

static int command_version(void)
{
    printf("cloister %s (Tor %s)\n", CLOISTER_VERSION, CLOISTER_TOR_VERSION);
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},  {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},       {"role", required_argument, NULL, 'r'},
        {"fd", required_argument, NULL, 'f'},      {"json", no_argument, NULL, 'j'},
        {"control", required_argument, NULL, 's'}, {NULL, 0, NULL, 0},
    };
    const char *config = NULL, *role = NULL, *fd = NULL, *control = NULL;
    bool json = false;
    int c;
    if (argc > 1 && strcmp(argv[1], "leaktest") == 0)
        return leaktest_main(argc - 1, argv + 1, leaktest_config_load);
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":c:hV", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            config = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return fflush(stdout) == 0 ? 0 : 1;
        case 'V':
            return command_version();
        case 'r':
            role = optarg;
            break;
        case 'f':
            fd = optarg;
            break;
        case 'j':
            json = true;
            break;
        case 's':
            control = optarg;
            break;
        case ':':
            return usage_error("%s needs a value", argv[optind - 1]);
        default:
            return usage_error("unknown option %s", argv[optind - 1]);
        }
    }
    if (role != NULL)
        return run_role(role, fd);
    if (optind == argc)
        return usage_error("no command given");
    const char *command = argv[optind];
    const bool shows = strcmp(command, "show") == 0;
    const bool renews = strcmp(command, "newnym") == 0;
    const char *what = (shows || renews) && optind + 1 < argc ? argv[++optind] : NULL;
    if (optind + 1 < argc)
        return usage_error("unexpected argument \"%s\"", argv[optind + 1]);
    if (shows && what == NULL)
        what = "status";
    if (shows && !show_knows(what))
        return usage_error("there is no \"%s\" to show", what);
    if (json && !shows)
        return usage_error("--json is for show");
    if (shows || renews || strcmp(command, "watch") == 0 || strcmp(command, "metrics") == 0) {
        control = find_control(control, config);
        return control != NULL ? command_look(command, what, control, json) : EXIT_USAGE;
    }
    if (control != NULL)
        return usage_error("--control is for show, watch, metrics and newnym");
    if (strcmp(command, "version") == 0)
        return command_version();
    if (strcmp(command, "help") == 0) {
        fputs(usage, stdout);
        return fflush(stdout) == 0 ? 0 : 1;
    }
    if (strcmp(command, "run") != 0 && strcmp(command, "check") != 0)
        return usage_error("unknown command \"%s\"", command);
    if (config == NULL)
        return usage_error("%s needs --config FILE", command);
    return strcmp(command, "run") == 0 ? command_run(config) : command_check(config);
}
