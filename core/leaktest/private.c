/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "leaktest/fake_tor.h"
#include "leaktest/links.h"
#include "leaktest/veth.h"
#include "leaktest/wire.h"
#include "tun/link.h"
#include "tun/netlink.h"
#include "tun/segment.h"
#include "tun/sysctl.h"

#define HOST_NAME "leaktest-host-7f3a"
#define UPLINK_MTU 1387u /* nobody has that by accident */
#define HOST "198.18.1.2"
#define ROUTER "198.18.1.1"
#define HOST6 "2001:db8:1::2"
#define ROUTER6 "2001:db8:1::1"
#define GATEWAY "10.152.152.10"
#define GATEWAY6 "fd19:c33d:88bc::10"
#define TMPDIR_MAX 40u /* bytes: what is below it has to fit the path of a socket */
#define READY_MS 10000
#define END_MS 3000

__attribute__((format(printf, 3, 4))) static int fail(char *why, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(why, PRIVATE_WHY_MAX, format, args);
    va_end(args);
    if (status < 0 && n >= 0 && (unsigned)n < PRIVATE_WHY_MAX)
        snprintf(why + n, PRIVATE_WHY_MAX - (unsigned)n, ": %s", strerror(-status));
    return status;
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* Everything that a host should not do. Some of it cloister run refuses to start with, on a bridge (tun/bridge_guard.c). */
static void be_hostile(bool bridge)
{
    static const struct {
        char key[24];
        bool spared; /* with a bridge */
    } settings[] = {
        {"accept_local", true},      {"route_localnet", true},  {"accept_source_route", false},
        {"accept_redirects", false}, {"send_redirects", false}, {"proxy_arp", false},
        {"forwarding", false},
    };
    static const char interfaces[][8] = {"all", "default", PRIVATE_UPLINK};
    char path[SYSCTL_PATH_MAX];
    sysctl_write("ipv4/ip_forward", "1");
    sysctl_write("ipv6/conf/all/forwarding", "1");
    sysctl_write("ipv4/icmp_echo_ignore_broadcasts", "0");
    for (size_t i = 0; i < sizeof(interfaces) / sizeof(interfaces[0]); i++) {
        for (size_t k = 0; k < sizeof(settings) / sizeof(settings[0]); k++) {
            snprintf(path, sizeof(path), "ipv4/conf/%.8s/%.24s", interfaces[i], settings[k].key);
            if (!(bridge && settings[k].spared))
                sysctl_write(path, "1");
        }
        snprintf(path, sizeof(path), "ipv4/conf/%.8s/rp_filter", interfaces[i]);
        sysctl_write(path, "0");
    }
}

/* Translate what is forwarded, where there is a program to say so. */
static void masquerade(void)
{
    static const char rules[] = "table ip leaktest {\n chain postrouting {\n"
                                "  type nat hook postrouting priority 100\n"
                                "  oifname \"" PRIVATE_UPLINK "\" masquerade\n }\n}\n";
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execlp("nft", "nft", rules, (char *)NULL);
        _exit(127);
    }
    if (pid > 0)
        waitpid(pid, NULL, 0);
}

static int make_far(struct private_net *p)
{
    p->far = wire_namespace_new();
    if (p->far < 0)
        return p->far;
    int home = wire_namespace();
    int status = home < 0 ? home : veth_make(PRIVATE_UPLINK, "far0", p->far);
    if (status == 0 && (status = wire_enter(p->far)) == 0) {
        const char *step;
        status = link_prepare(&(struct link_config){.name = "far0", .mtu = UPLINK_MTU}, &step);
        if (status == 0)
            status = links_set_address("far0", ROUTER, 24);
        if (status == 0)
            status = link_set_up("far0", true);
        if (status == 0 && links_set_address("far0", ROUTER6, 64) == 0) /* a kernel may be without IPv6 */
            links_set_address("far0", "fe80::1", 64);
        p->relay = status == 0 ? fake_tor_start_relay(ROUTER) : 0;
        if (p->relay < 0) {
            status = p->relay;
            p->relay = 0;
        }
        int back = wire_enter(home);
        status = status != 0 ? status : back;
    }
    if (home >= 0)
        close(home);
    return status;
}

static int make_uplink(void)
{
    const char *step;
    int status = link_prepare(&(struct link_config){.name = PRIVATE_UPLINK, .mtu = UPLINK_MTU}, &step);
    if (status == 0)
        status = links_set_address(PRIVATE_UPLINK, HOST, 24);
    if (status == 0)
        status = link_set_up(PRIVATE_UPLINK, true);
    if (status == 0)
        status = links_set_default(PRIVATE_UPLINK, ROUTER);
    if (status == 0 && links_set_address(PRIVATE_UPLINK, HOST6, 64) == 0) {
        links_set_address(PRIVATE_UPLINK, "fe80::2", 64); /* by which it asks for neighbours */
        links_set_default(PRIVATE_UPLINK, ROUTER6);
    }
    return status;
}

/* The cable between workstation and host, unless it is the TAP itself. */
static int make_cable(struct private_net *p)
{
    p->ws = wire_namespace_new();
    if (p->ws < 0 || (p->link == OPTIONS_LINK_DEVICE && !p->blind))
        return p->ws < 0 ? p->ws : 0;
    const char *step;
    int home = wire_namespace();
    int status = home < 0 ? home : veth_make(PRIVATE_PORT, "eth0", p->ws);
    if (status == 0 && p->link == OPTIONS_LINK_BRIDGE && !p->blind) {
        status = veth_make_bridge(PRIVATE_BRIDGE);
        /* Its reports of what it listens to would still be under way when the test begins. */
        sysctl_write("ipv6/conf/" PRIVATE_BRIDGE "/disable_ipv6", "1");
        sysctl_write("ipv6/conf/" PRIVATE_PORT "/disable_ipv6", "1");
        if (status == 0)
            status = link_prepare(&(struct link_config){.name = PRIVATE_BRIDGE}, &step);
        if (status == 0)
            status = link_prepare(&(struct link_config){.name = PRIVATE_PORT, .bridge = PRIVATE_BRIDGE}, &step);
        if (status == 0)
            status = link_set_up(PRIVATE_BRIDGE, true);
    }
    if (status == 0 && p->blind) {
        status = links_set_address(PRIVATE_PORT, GATEWAY, 18);
        if (status == 0)
            status = link_set_up(PRIVATE_PORT, true);
        links_set_address(PRIVATE_PORT, GATEWAY6, 64);
    } else if (status == 0) {
        status = link_set_up(PRIVATE_PORT, true);
    }
    if (status == 0 && (status = wire_enter(p->ws)) == 0) {
        sysctl_write("ipv6/conf/all/disable_ipv6", "1");
        status = link_set_up("eth0", true);
        int back = wire_enter(home);
        status = status != 0 ? status : back;
    }
    if (home >= 0)
        close(home);
    return status;
}

static int open_door(int family, int type)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(MATRIX_HOST_PORT)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(MATRIX_HOST_PORT)};
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof(yes));
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
    int status = family == AF_INET ? bind(fd, (struct sockaddr *)&in, sizeof(in))
                                   : bind(fd, (struct sockaddr *)&in6, sizeof(in6));
    if (status == 0 && type == SOCK_STREAM)
        status = listen(fd, 64);
    if (status == 0)
        return fd;
    close(fd);
    return -1;
}

static void open_doors(struct private_net *p)
{
    p->doors[0] = open_door(AF_INET, SOCK_STREAM);
    p->doors[1] = open_door(AF_INET, SOCK_DGRAM);
    p->doors[2] = open_door(AF_INET6, SOCK_STREAM);
    p->doors[3] = open_door(AF_INET6, SOCK_DGRAM);
}

static int write_files(struct private_net *p)
{
    char socks[80];
    const char *base = getenv("TMPDIR");
    snprintf(p->directory, sizeof(p->directory), "%s/cloister-leaktest.XXXXXX",
             base != NULL && strlen(base) < TMPDIR_MAX && base[0] == '/' ? base : "/tmp");
    if (mkdtemp(p->directory) == NULL) {
        p->directory[0] = '\0';
        return -errno;
    }
    snprintf(socks, sizeof(socks), "%s/s", p->directory);
    snprintf(p->socks, sizeof(p->socks), "%s/socks", socks);
    snprintf(p->config, sizeof(p->config), "%s/conf", p->directory);
    snprintf(p->log, sizeof(p->log), "%s/log", p->directory);
    /* The gateway's user has to reach the socket. */
    if (chmod(p->directory, 0755) != 0 || mkdir(socks, 0755) != 0 || chmod(socks, 0755) != 0)
        return -errno;
    FILE *file = fopen(p->config, "we");
    if (file == NULL)
        return -errno;
    fprintf(file,
            "[workstation]\ndevice = " PRIVATE_DEVICE "\naddress = " GATEWAY "/18\naddress6 = " GATEWAY6 "/64\n");
    if (p->link == OPTIONS_LINK_ATTACH)
        fprintf(file, "attach = " PRIVATE_PORT "\n");
    else if (p->link == OPTIONS_LINK_BRIDGE)
        fprintf(file, "bridge = " PRIVATE_BRIDGE "\n");
    fprintf(file, "[tor]\nmode = external\nsocks = unix:%s\n", p->socks);
    return fclose(file) == 0 ? 0 : -errno;
}

/* The gateway ends with this process, also when that is killed. It changes its user, and the kernel forgets then whom it
 * was to follow; so somebody waits for the end of a pipe. */
static int watch_over(struct private_net *p)
{
    int ends[2];
    uint8_t byte;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        setsid();
        while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
            continue;
        kill(p->gateway, SIGTERM);
        _exit(0);
    }
    close(ends[0]);
    if (pid < 0)
        return -errno;
    p->watcher = pid;
    return 0; /* the other end stays open as long as this process lives */
}

static int start_gateway(struct private_net *p)
{
    pid_t parent = getpid();
    p->gateway = fork();
    if (p->gateway < 0) {
        p->gateway = 0;
        return -errno;
    }
    if (p->gateway > 0)
        return watch_over(p);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* until it changes its user */
    int log = open(p->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (getppid() != parent || log < 0 || dup2(log, STDERR_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0)
        _exit(127);
    setsid(); /* Ctrl-C is for the test, which ends it */
    execl("/proc/self/exe", "cloister", "run", "--config", p->config, (char *)NULL);
    _exit(127);
}

static size_t read_log(const struct private_net *p, char *out, size_t size)
{
    int fd = open(p->log, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

bool private_ended(struct private_net *p)
{
    if (p->gateway > 0 && waitpid(p->gateway, NULL, WNOHANG) == p->gateway)
        p->gateway = 0;
    return !p->blind && p->gateway == 0;
}

static int await_ready(struct private_net *p, char *why)
{
    char log[PRIVATE_WHY_MAX - 64];
    for (int waited = 0; waited < READY_MS; waited += 20) {
        bool ended = private_ended(p);
        read_log(p, log, sizeof(log));
        if (strstr(log, "event=ready") != NULL)
            return 0;
        if (ended)
            return fail(why, -ECHILD, "the gateway did not start:\n%s", log);
        sleep_ms(20);
    }
    return fail(why, -ETIMEDOUT, "the gateway is not ready:\n%s", log);
}

/* The TAP goes to the workstation, as its own interface. */
static int move_tap(struct private_net *p)
{
    struct netlink nl;
    int home = wire_namespace(), status = home < 0 ? home : netlink_open(&nl);
    if (status != 0)
        return status;
    int index = segment_find(&nl, PRIVATE_DEVICE);
    status = index < 0 ? index : segment_move(&nl, index, p->ws);
    netlink_close(&nl);
    if (status == 0 && (status = wire_enter(p->ws)) == 0) {
        sysctl_write("ipv6/conf/all/disable_ipv6", "1");
        status = link_set_up(PRIVATE_DEVICE, true);
        int back = wire_enter(home);
        status = status != 0 ? status : back;
    }
    close(home);
    return status;
}

int private_open(struct private_net *p, enum options_link link, bool blind, char why[PRIVATE_WHY_MAX])
{
    bool tap = link == OPTIONS_LINK_DEVICE && !blind;
    *p = (struct private_net){
        .link = link, .blind = blind, .far = -1, .ws = -1, .via = tap ? PRIVATE_DEVICE : "eth0"};
    for (unsigned i = 0; i < ATTACK_DOORS; i++)
        p->doors[i] = -1;
    if (unshare(CLONE_NEWNET | CLONE_NEWUTS) != 0)
        return fail(why, -errno, "make a network of its own");
    if (sethostname(HOST_NAME, strlen(HOST_NAME)) != 0)
        return fail(why, -errno, "give it a name");
    be_hostile(link == OPTIONS_LINK_BRIDGE && !blind);
    int status = link_set_up("lo", true);
    if (status == 0)
        status = make_far(p);
    if (status == 0)
        status = make_uplink();
    if (status == 0)
        status = make_cable(p);
    if (status != 0)
        return fail(why, status, "make a private network");
    be_hostile(link == OPTIONS_LINK_BRIDGE && !blind);
    masquerade();
    open_doors(p);
    status = write_files(p);
    if (status != 0)
        return fail(why, status, "write the gateway's configuration");
    p->tor = fake_tor_start(p->socks, ROUTER);
    if (p->tor < 0) {
        status = p->tor;
        p->tor = 0;
        return fail(why, status, "start what stands for Tor");
    }
    if (blind)
        return 0;
    status = start_gateway(p);
    if (status != 0)
        return fail(why, status, "start the gateway");
    status = await_ready(p, why);
    if (status == 0 && tap && (status = move_tap(p)) != 0)
        return fail(why, status, "give the TAP to the workstation");
    if (status == 0 && link != OPTIONS_LINK_BRIDGE)
        be_hostile(false); /* an administrator may turn it on at any time */
    return status;
}

/* The number that stands `words` words behind `prefix`, of all lines that begin so. */
static uint64_t count_in(const char *path, const char *prefix, unsigned words)
{
    char line[1024];
    uint64_t found = 0;
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        char *save = NULL;
        if (strncmp(line, prefix, strlen(prefix)) != 0)
            continue;
        const char *word = strtok_r(line + strlen(prefix), " \t\n", &save);
        for (unsigned i = 0; i < words && word != NULL; i++)
            word = strtok_r(NULL, " \t\n", &save);
        if (word != NULL)
            found += strtoull(word, NULL, 10); /* a line of names counts for nothing */
    }
    if (file != NULL)
        fclose(file);
    return found;
}

uint64_t private_forwarded(void)
{
    /* Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams */
    return count_in("/proc/thread-self/net/snmp", "Ip:", 5) +
           count_in("/proc/thread-self/net/snmp6", "Ip6OutForwDatagrams", 0);
}

static void end_child(pid_t *pid, int signal, int wait_ms)
{
    if (*pid <= 0)
        return;
    kill(*pid, signal);
    for (int waited = 0; waited < wait_ms; waited += 10) {
        if (waitpid(*pid, NULL, WNOHANG) == *pid) {
            *pid = 0;
            return;
        }
        sleep_ms(10);
    }
    kill(*pid, SIGKILL);
    waitpid(*pid, NULL, 0);
    *pid = 0;
}

void private_close(struct private_net *p)
{
    end_child(&p->watcher, SIGKILL, END_MS); /* first: it must not take another's process for the gateway */
    end_child(&p->gateway, SIGTERM, END_MS);
    end_child(&p->tor, SIGKILL, END_MS);
    end_child(&p->relay, SIGKILL, END_MS);
    for (unsigned i = 0; i < ATTACK_DOORS; i++) {
        if (p->doors[i] >= 0)
            close(p->doors[i]);
    }
    if (p->far >= 0)
        close(p->far);
    if (p->ws >= 0)
        close(p->ws);
    if (p->directory[0] != '\0') {
        char socks[80];
        snprintf(socks, sizeof(socks), "%s/s", p->directory);
        unlink(p->socks);
        rmdir(socks);
        unlink(p->config);
        unlink(p->log);
        rmdir(p->directory);
    }
    p->directory[0] = '\0';
}
