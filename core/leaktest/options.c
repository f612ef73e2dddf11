/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATE_MAX 100000u
#define MUTANTS_MAX 10000000u

const char options_usage[] =
    "cloister leaktest - whether anything but Tor gets out, tried\n"
    "\n"
    "usage:\n"
    "    cloister leaktest [--config FILE] [--uplink IFACE]...   beside a running gateway (root)\n"
    "    cloister leaktest --private [--link attach|bridge|device] [--blind]\n"
    "                                           in a network of its own, which has no way out (root)\n"
    "    cloister leaktest --list               what is sent\n"
    "\n"
    "    --uplink IFACE    where Tor's connections leave; default: the interface of the default route\n"
    "    --bridge NAME     be a workstation on this bridge, not where the configuration says\n"
    "    --via IFACE       be a workstation that sends by this interface\n"
    "    --netns NS        the namespace that these are in: a name, a process id or a path\n"
    "    --strict          all on the uplink that is neither Tor's nor the link's own is a leak\n"
    "    --allow ADDRESS[:PORT]   but not this; with --strict\n"
    "    --mutants N       mutated frames (10000)\n"
    "    --seed N          of these; default: drawn, and printed\n"
    "    --rate N          frames a second (4000)\n"
    "    --verbose         a line for each probe; with --list, its bytes, too\n"
    "    --json            the result as JSON\n"
    "    --blind           a forwarding kernel in place of the gateway: there must be leaks\n"
    "\n"
    "exit status: 0 nothing leaked, 1 something did, 2 it could not be tested. See cloister(8).\n";

__attribute__((format(printf, 2, 3))) static int wrong(char *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, OPTIONS_ERROR_MAX, format, args);
    va_end(args);
    return -EINVAL;
}

static bool read_number(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *out <= max;
}

/* 192.0.2.1, 192.0.2.1:443, 2001:db8::1, [2001:db8::1]:443 */
static bool read_peer(const char *text, struct judge_peer *out)
{
    char address[INET6_ADDRSTRLEN];
    uint8_t b[16];
    uint64_t port = 0;
    const char *start = text, *end = text + strlen(text), *colon = strrchr(text, ':');
    bool brackets = text[0] == '[';
    if (brackets) {
        start = text + 1;
        end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return false;
        colon = end[1] == ':' ? end + 1 : NULL;
    } else if (colon != NULL && strchr(text, ':') == colon) {
        end = colon;
    } else {
        colon = NULL;
    }
    if (colon != NULL && (!read_number(colon + 1, 65535, &port) || port == 0))
        return false;
    if (end == start || (size_t)(end - start) >= sizeof(address))
        return false;
    memcpy(address, start, (size_t)(end - start));
    address[end - start] = '\0';
    if (!brackets && inet_pton(AF_INET, address, b) == 1)
        out->addr = ipaddr_v4(b);
    else if (inet_pton(AF_INET6, address, b) == 1)
        out->addr = ipaddr_v6(b);
    else
        return false;
    out->port = (uint16_t)port;
    return true;
}

static int add_uplink(struct options *o, const char *name, char *error)
{
    unsigned n = 0;
    while (o->uplink[n] != NULL)
        n++;
    if (n == OPTIONS_UPLINKS)
        return wrong(error, "at most %u times --uplink", OPTIONS_UPLINKS);
    o->uplink[n] = name;
    return 0;
}

static int read_link(struct options *o, const char *text, char *error)
{
    static const char names[][8] = {"attach", "bridge", "device"};
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            o->link = (enum options_link)i;
            return 0;
        }
    }
    return wrong(error, "--link \"%s\": attach, bridge or device", text);
}

static int read_value(struct options *o, int option, const char *value, char *error)
{
    uint64_t n;
    switch (option) {
    case 'u':
        return add_uplink(o, value, error);
    case 'l':
        return read_link(o, value, error);
    case 's':
        o->seeded = true;
        return read_number(value, UINT64_MAX, &o->seed) ? 0 : wrong(error, "--seed \"%s\": a number", value);
    case 'm':
        if (!read_number(value, MUTANTS_MAX, &n))
            return wrong(error, "--mutants \"%s\": a number up to %u", value, MUTANTS_MAX);
        o->mutants = (uint32_t)n;
        return 0;
    case 'r':
        if (!read_number(value, RATE_MAX, &n) || n == 0)
            return wrong(error, "--rate \"%s\": frames a second, 1 to %u", value, RATE_MAX);
        o->rate = (uint32_t)n;
        return 0;
    case 'a':
        if (o->allowed_count == OPTIONS_ALLOWED)
            return wrong(error, "at most %u times --allow", OPTIONS_ALLOWED);
        if (!read_peer(value, &o->allowed[o->allowed_count]))
            return wrong(error, "--allow \"%s\": ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT", value);
        o->allowed_count++;
        return 0;
    default:
        return wrong(error, "no such option");
    }
}

static int check(const struct options *o, char *error)
{
    if (o->private_network && (o->config != NULL || o->uplink[0] != NULL || o->netns != NULL || o->bridge != NULL ||
                               o->via != NULL || o->allowed_count > 0))
        return wrong(error,
                     "--private makes all of its network itself: it goes without --config, --uplink, --bridge, "
                     "--via, --netns and --allow");
    if (o->blind && !o->private_network)
        return wrong(error, "--blind is for --private: a real network is not to be leaked into");
    if (o->link != OPTIONS_LINK_ATTACH && !o->private_network)
        return wrong(error, "--link is for --private; beside a running gateway the configuration says it");
    if (o->bridge != NULL && o->via != NULL)
        return wrong(error, "--bridge or --via, not both");
    if (o->netns != NULL && o->bridge == NULL && o->via == NULL)
        return wrong(error, "--netns needs --bridge or --via");
    return 0;
}

int options_read(struct options *o, int argc, char **argv, char error[OPTIONS_ERROR_MAX])
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'}, {"uplink", required_argument, NULL, 'u'},
        {"netns", required_argument, NULL, 'n'},  {"bridge", required_argument, NULL, 'b'},
        {"via", required_argument, NULL, 'v'},    {"link", required_argument, NULL, 'l'},
        {"seed", required_argument, NULL, 's'},   {"mutants", required_argument, NULL, 'm'},
        {"rate", required_argument, NULL, 'r'},   {"allow", required_argument, NULL, 'a'},
        {"private", no_argument, NULL, 'p'},      {"blind", no_argument, NULL, 'B'},
        {"list", no_argument, NULL, 'L'},         {"json", no_argument, NULL, 'j'},
        {"verbose", no_argument, NULL, 'V'},      {"strict", no_argument, NULL, 'S'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int c, status = 0;
    *o = (struct options){.mutants = OPTIONS_MUTANTS, .rate = OPTIONS_RATE};
    opterr = 0;
    optind = 0;
    while (status == 0 && (c = getopt_long(argc, argv, ":c:h", known, NULL)) != -1) {
        switch (c) {
        case 'c':
            o->config = optarg;
            break;
        case 'n':
            o->netns = optarg;
            break;
        case 'b':
            o->bridge = optarg;
            break;
        case 'v':
            o->via = optarg;
            break;
        case 'p':
            o->private_network = true;
            break;
        case 'B':
            o->blind = true;
            break;
        case 'L':
            o->list = true;
            break;
        case 'j':
            o->json = true;
            break;
        case 'V':
            o->verbose = true;
            break;
        case 'S':
            o->strict = true;
            break;
        case 'h':
            o->help = true;
            break;
        case ':':
            return wrong(error, "%s needs a value", argv[optind - 1]);
        case '?':
            return wrong(error, "unknown option %s", argv[optind - 1]);
        default:
            status = read_value(o, c, optarg, error);
        }
    }
    if (status == 0 && optind < argc)
        return wrong(error, "unexpected argument \"%s\"", argv[optind]);
    return status != 0 ? status : check(o, error);
}
