/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/leaktest.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "leaktest/attack.h"
#include "leaktest/links.h"
#include "leaktest/options.h"
#include "leaktest/private.h"
#include "leaktest/report.h"
#include "leaktest/running.h"
#include "leaktest/station.h"
#include "tun/segment.h"

#define FIRST_PORT 20000u
#define PORT_SHIFTS 16u /* a host that follows connections remembers those of a run just before: take other ports */
#define NETWORK_BITS 4u /* host bits that a network must have for a workstation and a neighbour to be found */
#define ADDRESSES 5     /* that are tried, for some may be somebody's */

static volatile sig_atomic_t stopped;

struct test {
    struct options options;
    struct leaktest_gateway gateway;
    struct private_net net;
    struct running running;
    struct attack *attack;
    struct wire host;
    struct station station;
    int namespace; /* of the place, if it is another; -1 */
    char bridge[IFNAMSIZ], uplink[IFNAMSIZ];
    const char *uplinks[OPTIONS_UPLINKS + 1];
};

static void on_signal(int signum)
{
    (void)signum;
    stopped = 1;
}

__attribute__((format(printf, 1, 2))) static int cannot(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("cloister leaktest: ", stderr);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("\n", stderr);
    return REPORT_BLIND;
}

static void draw(void *out, size_t n)
{
    if (getrandom(out, n, 0) != (ssize_t)n)
        memset(out, 0x5a, n);
}

/* An address in a network, its host bits drawn. */
static struct ipaddr address_in(const struct ipnet *net)
{
    struct ipaddr a = net->addr, random;
    draw(&random, sizeof(random));
    for (unsigned bit = net->len; bit < 128; bit++) {
        uint8_t mask = (uint8_t)(0x80 >> bit % 8);
        a.b[bit / 8] = (uint8_t)((a.b[bit / 8] & ~mask) | (random.b[bit / 8] & mask));
    }
    /* Neither the network's first nor its last, and of no one's with a bit of luck. */
    a.b[15] = (uint8_t)((a.b[15] & 0xf8) | 4 | (a.b[15] & 1));
    return a;
}

/* What is the same whatever the gateway is. */
static void fill_ground(struct ground *g, const struct leaktest_gateway *gateway)
{
    static const struct ipnet without6 = {{{0xfd, 0x19, 0xc3, 0x3d, 0x88, 0xbc}}, 64};
    *g = (struct ground){
        .network = gateway->network,
        .network6 = gateway->network6,
        .internet = frame_ip("198.51.100.7"),
        .internet6 = frame_ip("2001:db8:5e:c0de::7"),
        .resolver = frame_ip("192.0.2.53"),
        .host = frame_ip("192.168.1.2"),
        .router = frame_ip("192.168.1.1"),
        .relay = frame_ip("203.0.113.9"),
        .relay_port = 9001,
        .first_port = (uint16_t)(FIRST_PORT + (unsigned)(time(NULL) / 8) % PORT_SHIFTS * MATRIX_MAX),
        .reject = gateway->reject,
        .dhcp = gateway->dhcp,
    };
    g->virtual = gateway->virtual_net.addr;
    g->virtual.b[15] |= 1;
    g->me6 = address_in(gateway->network6.len != 0 ? &gateway->network6 : &without6);
    draw(g->mine, sizeof(g->mine));
    g->mine[0] = (uint8_t)((g->mine[0] & 0xfc) | 2);
}

static void choose_addresses(struct ground *g)
{
    do {
        g->me = address_in(&g->network);
        g->neighbour = address_in(&g->network);
    } while (ipaddr_equal(&g->me, &g->neighbour) || ipaddr_equal(&g->me, &g->network.addr) ||
             ipaddr_equal(&g->neighbour, &g->network.addr));
}

static void add_other(struct ground *g, const char *name, const uint8_t mac[6])
{
    if (g->other_count == MATRIX_OTHERS)
        return;
    struct matrix_other *other = &g->others[g->other_count++];
    snprintf(other->name, sizeof(other->name), "%s", name);
    memcpy(other->mac, mac, 6);
}

static void add_interface(struct ground *g, const char *name, const char *interface)
{
    uint8_t mac[6];
    if (interface[0] != '\0' && wire_mac(interface, mac) == 0)
        add_other(g, name, mac);
}

static int open_namespace(const char *name)
{
    char path[LEAKTEST_PATH_MAX];
    bool number = name[0] != '\0';
    for (const char *c = name; *c != '\0'; c++)
        number = number && isdigit((unsigned char)*c);
    if (number)
        snprintf(path, sizeof(path), "/proc/%s/ns/net", name);
    else
        snprintf(path, sizeof(path), "%s%s", strchr(name, '/') != NULL ? "" : "/run/netns/", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Where the workstations' link is. 0, or the exit status. */
static int find_place(struct test *t, struct station_place *place)
{
    const struct options *o = &t->options;
    const struct leaktest_gateway *g = &t->gateway;
    int (*const here)(void) = wire_namespace;
    if (o->private_network) {
        *place = (struct station_place){.namespace = t->net.ws, .via = t->net.via};
        return 0;
    }
    if (o->bridge != NULL || o->via != NULL) {
        t->namespace = o->netns != NULL ? open_namespace(o->netns) : here();
        *place = (struct station_place){.namespace = t->namespace, .bridge = o->bridge, .via = o->via};
        return t->namespace >= 0 ? 0 : cannot("--netns %s: %s", o->netns, strerror(-t->namespace));
    }
    if (g->attach) {
        if (t->running.keeper == 0)
            return cannot(
                "the gateway that runs has no segment, but its configuration has workstation.attach: was it "
                "changed since the start?");
        t->namespace = wire_namespace_of(t->running.keeper);
        *place = (struct station_place){
            .namespace = t->namespace, .bridge = SEGMENT_BRIDGE, .isolated = g->isolate_clients};
        return t->namespace >= 0 ? 0 : cannot("the segment: %s", strerror(-t->namespace));
    }
    t->namespace = here();
    if (t->namespace < 0)
        return cannot("this network namespace: %s", strerror(-t->namespace));
    snprintf(t->bridge, sizeof(t->bridge), "%s", g->bridge);
    if (g->bridge[0] == '\0') {
        unsigned master = links_master(g->device);
        if (if_nametoindex(g->device) == 0)
            return cannot(
                "the TAP %s is not in this network namespace; say with --netns and --bridge or --via where "
                "workstations are attached",
                g->device);
        if (master != 0)
            if_indextoname(master, t->bridge);
    }
    *place = (struct station_place){.namespace = t->namespace, .bridge = t->bridge, .via = NULL};
    if (t->bridge[0] == '\0')
        *place = (struct station_place){.namespace = t->namespace, .via = g->device};
    return 0;
}

static int find_uplinks(struct test *t)
{
    struct ground *g = &t->attack->ground;
    struct ipaddr router;
    unsigned n = 0;
    static const struct ipaddr none = {{0}};
    bool routed = links_default_route(t->uplink, &router) == 0;
    for (; t->options.uplink[n] != NULL; n++)
        t->uplinks[n] = t->options.uplink[n];
    if (t->options.private_network)
        t->uplinks[n++] = PRIVATE_UPLINK;
    if (n == 0 && !routed)
        return cannot("there is no default route; say with --uplink where Tor's connections leave");
    if (n == 0)
        t->uplinks[n++] = t->uplink;
    for (unsigned i = 0; i < n; i++) {
        t->attack->uplink[i < 7 ? i : 7] = if_nametoindex(t->uplinks[i]);
        if (if_nametoindex(t->uplinks[i]) == 0)
            return cannot("--uplink %s: there is no such interface", t->uplinks[i]);
    }
    if (routed && !ipaddr_equal(&router, &none))
        g->router = router;
    links_address(t->uplinks[0], &g->host);
    add_interface(g, "the uplink", t->uplinks[0]);
    if (wire_mtu(t->uplinks[0], &t->attack->secrets.uplink_mtu) != 0)
        t->attack->secrets.uplink_mtu = t->gateway.mtu;
    t->attack->secrets.link_mtu = t->gateway.mtu;
    return 0;
}

/* Which process is Tor, and which of its connections are there. */
static int find_tor(struct test *t)
{
    struct attack *a = t->attack;
    pid_t tor = t->options.private_network ? t->net.tor : t->running.tor;
    if (tor == 0)
        tor = tor_listener(t->gateway.socks);
    if (tor < 0)
        return cannot("nobody listens on Tor's SOCKS socket %s: %s", t->gateway.socks, strerror(-tor));
    a->tor = tor;
    a->socks = t->gateway.socks;
    int status = attack_look_at_tor(a);
    return status == 0 ? 0 : cannot("ask for Tor's connections (process %d): %s", (int)tor, strerror(-status));
}

/* The gateway that runs, and its configuration. */
static int find_gateway(struct test *t, leaktest_load load)
{
    const struct options *o = &t->options;
    if (o->private_network)
        return load(&t->gateway, t->net.config) == 0 ? 0 : REPORT_BLIND;
    int status = running_find(&t->running, o->config);
    if (status == -ENOTUNIQ)
        return cannot("several gateways run here; say with --config which is meant");
    if (status == -ESRCH && o->config != NULL)
        return cannot("no gateway runs here with the configuration %s; start it, or see --private", o->config);
    if (status != 0)
        return cannot("no gateway runs here; start it, or see --private");
    return load(&t->gateway, o->config != NULL ? o->config : t->running.config) == 0 ? 0 : REPORT_BLIND;
}

static int look_around(struct test *t)
{
    struct attack *a = t->attack;
    add_other(&a->ground, "the NIC itself", t->station.nic_mac);
    if (t->station.port[0] != '\0')
        add_other(&a->ground, "the other end", t->station.port_mac);
    else if (t->options.private_network)
        add_interface(&a->ground, "the other end", PRIVATE_PORT);
    const char *bridge = t->options.private_network && t->options.link == OPTIONS_LINK_BRIDGE ? PRIVATE_BRIDGE
                         : t->options.bridge != NULL                                          ? t->options.bridge
                                                                                              : t->bridge;
    add_interface(&a->ground, "the bridge", bridge);
    add_interface(&a->ground, "the TAP", t->gateway.device);

    const char *own[] = {bridge, t->gateway.device, t->station.port, t->options.via,
                         t->options.private_network ? PRIVATE_PORT : NULL};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (own[i] != NULL && own[i][0] != '\0' && t->options.netns == NULL)
            a->own_count = links_with_ports(own[i], a->own, a->own_count, ATTACK_INTERFACES);
    }
    /* A bridge reports on its own wire which groups it listens to. Its address is no secret there; that its kernel answers
     * would be, and is seen as an answer. */
    const char *spared[] = {t->gateway.device, t->station.port, bridge, NULL};
    int status = secrets_gather(&a->secrets, &a->ground, spared);
    return status == 0 ? 0 : cannot("ask for this host's addresses: %s", strerror(-status));
}

static int meet(struct test *t)
{
    struct attack *a = t->attack;
    int status = -EHOSTUNREACH;
    for (int i = 0; i < ADDRESSES && status == -EHOSTUNREACH; i++) {
        choose_addresses(&a->ground);
        status = attack_meet(a);
    }
    if (status == -EHOSTUNREACH)
        return cannot("the gateway does not answer on the workstations' link");
    return status == 0 ? 0 : cannot("%s", status == -EINTR ? "interrupted" : strerror(-status));
}

static int prepare(struct test *t, leaktest_load load)
{
    struct station_place place;
    const char *step = "";
    struct attack *a = t->attack;
    int status = find_gateway(t, load);
    if (status != 0)
        return status;
    if (t->gateway.network.len > 128 - NETWORK_BITS)
        return cannot("the workstations' network is too small for the test to find an address in it");
    fill_ground(&a->ground, &t->gateway);
    status = find_uplinks(t);
    if (status == 0)
        status = find_place(t, &place);
    if (status != 0)
        return status;
    int opened = wire_open(&t->host, 0);
    if (opened != 0)
        return cannot("watch this host's network: %s", strerror(-opened));
    opened = station_open(&t->station, &place, &step);
    if (opened != 0)
        return cannot("%s: %s", step, strerror(-opened));
    status = look_around(t);
    if (status != 0)
        return status;
    judge_init(&a->judge, &a->ground, t->options.strict || t->options.private_network);
    for (unsigned i = 0; i < t->options.allowed_count; i++)
        judge_add_peer(&a->judge, &t->options.allowed[i]);
    a->host = &t->host;
    a->station = &t->station.wire;
    a->considerate = !t->options.private_network;
    a->rate = t->options.rate;
    a->mutants = t->options.mutants;
    a->stop = &stopped;
    for (unsigned i = 0; i < ATTACK_DOORS; i++)
        a->doors[i] = t->options.private_network ? t->net.doors[i] : -1;
    status = find_tor(t);
    return status == 0 ? meet(t) : status;
}

static int run(struct test *t, leaktest_load load)
{
    struct attack *a = t->attack;
    const char *step = "";
    int status = prepare(t, load);
    if (status != 0)
        return status;
    if (!t->options.seeded)
        draw(&t->options.seed, sizeof(uint32_t));
    a->seed = t->options.seed;
    uint64_t before = t->options.private_network ? private_forwarded() : 0;
    int ran = attack_run(a, &step);
    if (ran != 0)
        return cannot("%s: %s", step, ran == -EINTR ? "interrupted" : strerror(-ran));
    secrets_settle(&a->secrets);
    const struct report report = {
        .attack = a,
        .uplinks = t->uplinks,
        .verbose = t->options.verbose,
        .json = t->options.json,
        .private_network = t->options.private_network,
        .forwarded = t->options.private_network ? private_forwarded() - before : 0,
        .ended = t->options.private_network && private_ended(&t->net),
    };
    return report_print(&report);
}

static int list(const struct options *o)
{
    struct leaktest_gateway gateway = {.network = {frame_ip("10.152.152.10"), 96 + 18},
                                       .network6 = {frame_ip("fd19:c33d:88bc::10"), 64},
                                       .virtual_net = {frame_ip("10.192.0.0"), 96 + 10}};
    struct ground ground;
    struct matrix matrix;
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
    fill_ground(&ground, &gateway);
    ground.me = frame_ip("10.152.152.77");
    ground.neighbour = frame_ip("10.152.152.11");
    memcpy(ground.gateway_mac, mac, 6);
    memcpy(ground.mine, "\2\0\0\0\0\2", 6);
    add_other(&ground, "the bridge", (const uint8_t *)"\2\0\0\0\0\3");
    if (matrix_make(&matrix, &ground) != 0)
        return cannot("%s", strerror(ENOMEM));
    report_list(&matrix, o->verbose, o->json);
    matrix_free(&matrix);
    return fflush(stdout) == 0 ? REPORT_NONE : REPORT_BLIND;
}

static void hear_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    const struct sigaction action = {.sa_handler = on_signal};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int leaktest_main(int argc, char **argv, leaktest_load load)
{
    static struct test t = {.host = {.fd = -1}, .namespace = -1}; /* large, and there is one */
    char error[OPTIONS_ERROR_MAX], why[PRIVATE_WHY_MAX];
    int status = REPORT_BLIND;
    if (options_read(&t.options, argc, argv, error) != 0)
        return cannot("%s; see cloister leaktest --help", error);
    if (t.options.help) {
        fputs(options_usage, stdout);
        return fflush(stdout) == 0 ? REPORT_NONE : REPORT_BLIND;
    }
    if (t.options.list)
        return list(&t.options);
    if (geteuid() != 0)
        return cannot("needs to be started as root, for packet sockets and network namespaces");
    t.station = STATION_NONE;
    t.attack = calloc(1, sizeof(*t.attack));
    if (t.attack == NULL)
        return cannot("%s", strerror(ENOMEM));
    hear_signals();
    if (!t.options.private_network) {
        status = run(&t, load);
    } else {
        if (private_open(&t.net, t.options.link, t.options.blind, why) != 0)
            cannot("%s", why);
        else
            status = run(&t, load);
    }
    station_close(&t.station);
    wire_close(&t.host);
    if (t.namespace >= 0)
        close(t.namespace);
    if (t.options.private_network)
        private_close(&t.net);
    attack_free(t.attack);
    free(t.attack);
    return status;
}
