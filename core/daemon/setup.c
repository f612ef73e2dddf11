/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order is that of the invariants: nothing of a workstation can come in before the TAP is up, and the TAP goes up
 * when everything else stands. The supervisor keeps no copy of the TAP's descriptor: the device dies with the gateway.
 * If set-up ends half-way, so does the process, and the kernel takes the rest down: the device is not persistent, and
 * the children follow their parent.
 *
 * What the supervisor keeps is one capability, CAP_KILL: its children have other users, and the signal that a child
 * gets when its parent dies is sent with the parent's rights.
 */
#include "daemon/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/range.h"
#include "daemon/channel.h"
#include "daemon/console_socket.h"
#include "daemon/hardening.h"
#include "daemon/identity.h"
#include "daemon/log.h"
#include "daemon/onion_listen.h"
#include "daemon/privileges.h"
#include "socks/directory.h"
#include "socks/torrc.h"
#include "tun/alone.h"
#include "tun/bridge_wall.h"
#include "tun/device.h"
#include "tun/link.h"
#include "tun/segment.h"

#define LINK_QUEUE 4096u /* frames: a burst of many flows, each with a small window (core/tcp/receive.c) */
#define LOCK_IN_MS 10000 /* the gateway takes some 20 ms */
#define SOCKET_NAME "socks"
#define NOT_OURS                                                                                                   \
    "what it holds is somebody else's: choose another tor.data, or change the owner of its tor and socks"

_Static_assert(SETUP_CAPABILITIES == 1ull << CAP_KILL, "what setup.h says");

/* While it goes on. */
struct work {
    struct setup *setup;
    const struct config *config;
    struct identities who;
    uint32_t visited; /* of the next: listeners of onion services */
    int visitors[CONFIG_ONION_PORTS_MAX];
    struct device device;
    uint8_t mac[6]; /* the gateway's */
    int host;       /* network namespace that we were started in; -1 without a segment */
    int segment;    /* that of the segment, likewise */
    char *reason;
};

static int fail(struct work *w, int error, const char *step, const char *advice)
{
    snprintf(w->reason, SETUP_REASON_MAX, "%s: %s%s%s", step, strerror(-error), advice != NULL ? "; " : "",
             advice != NULL ? advice : "");
    return error;
}

static int find_users(struct work *w)
{
    char error[CONFIG_ERROR_MAX];
    if (geteuid() != 0) {
        snprintf(w->reason, SETUP_REASON_MAX, "cloister run needs to be started as root");
        return -EPERM;
    }
    int status = identities_find(w->config, &w->who, error);
    if (status != 0)
        snprintf(w->reason, SETUP_REASON_MAX, "%s", error);
    return status;
}

/* "/run/tor/socks" is the socket "socks" in "/run/tor", and all others are there too. */
static int find_external_sockets(struct work *w, struct channel_gateway_config *out)
{
    const struct config *c = w->config;
    char error[CONFIG_ERROR_MAX];
    const char *names[CONFIG_TORS_MAX];
    uint32_t count = 0;
    size_t n = (size_t)(strrchr(c->socks[0], '/') - c->socks[0]);
    memcpy(out->socket_directory, c->socks[0], n);
    out->socket_directory[n] = '\0';
    for (; count < CONFIG_TORS_MAX && c->socks[count][0] != '\0'; count++) {
        names[count] = c->socks[count] + n + 1;
        snprintf(count == 0 ? out->socket_name : out->other_name[count - 1], CONFIG_SOCKET_MAX, "%s", names[count]);
    }
    out->others = count - 1;
    int status = identity_reach_sockets(&w->who.gateway, out->socket_directory, names, count, error);
    if (status != 0)
        snprintf(w->reason, SETUP_REASON_MAX, "%s", error);
    for (uint32_t i = 0; status == 0 && i < count; i++) {
        if (access(c->socks[i], F_OK) != 0)
            log_event(LOG_LEVEL_WARN, "socks", LOG_S("path", c->socks[i]), LOG_E("error", errno),
                      LOG_S("note", "nobody listens there yet: connections are refused until somebody does"));
    }
    return status;
}

/* Two on one directory would take each other's SOCKS socket away. The descriptor is kept, and with it the lock, for as
 * long as the supervisor lives; it is closed in the children by exec. */
static int lock_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    int status = -errno;
    close(fd);
    return status;
}

/* The first one has the names that there were before there could be several. */
static int name_tor(struct work *w, uint32_t instance, struct channel_tor_config *tor)
{
    const char *data = w->config->data;
    char number[12] = "";
    if (instance > 0)
        snprintf(number, sizeof(number), "%u", instance);
    int n = snprintf(tor->data, sizeof(tor->data), "%s/tor%s", data, number);
    int m = snprintf(tor->socks, sizeof(tor->socks), "%s/socks/" SOCKET_NAME "%s", data, number);
    if (n < 0 || (size_t)n >= sizeof(tor->data) || m < 0 || (size_t)m >= sizeof(tor->socks))
        return fail(w, -ENAMETOOLONG, "tor.data", NULL);
    tor->instance = instance;
    return 0;
}

static int make_directory_of_data(struct work *w)
{
    const char *data = w->config->data;
    /* One that is there is left as it is: it may be anything. */
    if (mkdir(data, 0755) != 0 && errno != EEXIST)
        return fail(w, -errno, "make the directory of tor.data",
                    errno == ENOENT ? "the directory above it must exist" : NULL);
    int status = lock_directory(data);
    return status == 0
               ? 0
               : fail(w, status, "lock tor.data",
                      status == -EWOULDBLOCK ? "another cloister runs on it: give each a directory of its own"
                                             : NULL);
}

/* All SOCKS sockets are in one directory: it is what the gateway process sees. */
static int make_directories(struct work *w, struct channel_gateway_config *out)
{
    const struct config *c = w->config;
    struct channel_tor_config tor;
    int n = snprintf(out->socket_directory, sizeof(out->socket_directory), "%s/socks", c->data);
    if (n < 0 || (size_t)n >= sizeof(out->socket_directory))
        return fail(w, -ENAMETOOLONG, "tor.data", NULL);
    int status = make_directory_of_data(w);
    if (status != 0)
        return status;
    /* Tor's own first: where they are somebody else's, nothing is left behind. */
    for (uint32_t i = 0; i < c->instances; i++) {
        status = name_tor(w, i, &tor);
        if (status != 0)
            return status;
        snprintf(i == 0 ? out->socket_name : out->other_name[i - 1], CONFIG_SOCKET_MAX, "%s",
                 tor.socks + strlen(out->socket_directory) + 1);
        status = identity_own_directory(tor.data, w->who.tor.uid, w->who.tor.gid, 0700);
        if (status != 0)
            return fail(w, status, "make Tor's data directory (tor.data)", status == -ENOTEMPTY ? NOT_OURS : NULL);
    }
    status = socks_directory_prepare(out->socket_directory, w->who.tor.uid, w->who.gateway.gid);
    for (uint32_t i = 0; status == 0 && i < c->instances; i++) {
        status = name_tor(w, i, &tor);
        if (status == 0)
            status = socks_path_clear(tor.socks);
    }
    if (status != 0)
        return fail(w, status, "make the directory of Tor's SOCKS socket (tor.data)",
                    status == -ENOTEMPTY ? NOT_OURS : NULL);
    out->others = c->instances - 1;
    return 0;
}

/* With an external Tor, whoever it runs as has the directory of its SOCKS socket. */
static int find_tor_uid(const struct work *w, const char *socket_directory, uid_t *out)
{
    struct stat st;
    *out = w->who.tor.uid;
    if (w->config->mode == CONFIG_MODE_EMBEDDED)
        return 0;
    if (stat(socket_directory, &st) != 0)
        return -errno;
    *out = st.st_uid;
    /* Nothing else was kept there so far. */
    if (mkdir(w->config->data, 0755) != 0 && errno != EEXIST)
        return -errno;
    return lock_directory(w->config->data);
}

static int make_onions(struct work *w, struct channel_tor_config *tor, const char *socket_directory)
{
    const struct config *c = w->config;
    uid_t uid = 0;
    if (c->onions.count == 0)
        return 0;
    int n = snprintf(tor->onion_directory, sizeof(tor->onion_directory), "%s/onion", c->data);
    int status = n > 0 && (size_t)n < sizeof(tor->onion_directory) ? 0 : -ENAMETOOLONG;
    if (status == 0)
        status = find_tor_uid(w, socket_directory, &uid);
    if (status == 0)
        status = onion_listen(tor->onion_directory, &c->onions, uid, w->visitors);
    if (status != 0)
        return fail(w, status, "make the sockets of onion services (tor.data)",
                    status == -ENAMETOOLONG  ? "choose a shorter path"
                    : status == -EWOULDBLOCK ? "another cloister runs on it: give each a directory of its own"
                                             : NULL);
    w->visited = c->onions.ports;
    tor->onions = c->onions;
    return 0;
}

/* Wait for a message of the child, or for the wish to end. As poll(): 0 if neither came in time; -1 if one cannot wait. */
static int await(struct work *w, const struct child *child)
{
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigaddset(&end, SIGINT);
    struct pollfd fds[] = {{.fd = signalfd(-1, &end, SFD_CLOEXEC), .events = POLLIN},
                           {.fd = child->channel, .events = POLLIN}};
    int n;
    do
        n = fds[0].fd >= 0 ? poll(fds, 2, LOCK_IN_MS) : -1;
    while (n < 0 && errno == EINTR);
    int status = n < 0 ? -errno : n;
    if (fds[0].fd >= 0)
        close(fds[0].fd);
    if (n > 0 && fds[0].revents != 0) {
        snprintf(w->reason, SETUP_REASON_MAX, "a signal to end, before it had started");
        return -ECANCELED;
    }
    return status < 0 ? fail(w, status, "wait for a process", NULL) : status;
}

static int await_message(struct work *w, struct child *child, enum channel_type type,
                         struct channel_message *message)
{
    int n = await(w, child);
    if (n < 0)
        return n;
    if (n == 0) {
        snprintf(w->reason, SETUP_REASON_MAX, "%s did not lock itself in within %u s", child->role,
                 LOCK_IN_MS / 1000u);
        return -ETIMEDOUT;
    }
    n = channel_receive(child->channel, message);
    if (n == 1 && message->type == type)
        return 0;
    if (n == 1 && message->fd >= 0)
        close(message->fd);
    if (n == 0 && child_wait(child, 1000)) {
        child_describe(child, w->reason, SETUP_REASON_MAX);
        return -ECHILD;
    }
    snprintf(w->reason, SETUP_REASON_MAX, "%s sent another first message than it should", child->role);
    return n < 0 ? n : -EPROTO;
}

/* Have the interfaces of workstation.attach moved to a segment, by a process that will bring them back. */
static int start_keeper(struct work *w)
{
    const struct config *c = w->config;
    struct channel_message message;
    struct channel_keeper_config keeper = {
        .identity = w->who.supervisor,
        .log_level = c->level,
        .best_effort = c->hardening == CONFIG_HARDENING_BEST_EFFORT,
        .isolate_clients = c->isolate_clients,
    };
    memcpy(keeper.attach, c->attach, sizeof(keeper.attach));
    while (keeper.attach_count < CONFIG_ATTACH_MAX && keeper.attach[keeper.attach_count][0] != '\0')
        keeper.attach_count++;
    w->host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (w->host < 0)
        return fail(w, -errno, "open our network namespace", NULL);
    int status = child_start(&w->setup->keeper, "keeper", false);
    if (status == 0)
        status = channel_send(w->setup->keeper.channel, CHANNEL_KEEPER_CONFIG, &keeper, w->host);
    if (status != 0)
        return fail(w, status, "start the process keeper", NULL);
    status = await_message(w, &w->setup->keeper, CHANNEL_SEGMENT, &message);
    if (status == 0)
        w->segment = message.fd;
    return status;
}

/* Go to the segment, if there is one, and come back. */
static int enter(struct work *w, int namespace)
{
    if (namespace < 0 || setns(namespace, CLONE_NEWNET) == 0)
        return 0;
    return fail(w, -errno, "change the network namespace", NULL);
}

/* A station's own, locally administered address (IEEE 802c), if none is configured. */
static int choose_mac(struct work *w)
{
    static const uint8_t none[6];
    memcpy(w->mac, w->config->mac, sizeof(w->mac));
    if (memcmp(w->mac, none, sizeof(none)) != 0)
        return 0;
    ssize_t n = getrandom(w->mac, sizeof(w->mac), 0);
    w->mac[0] = (uint8_t)((w->mac[0] & ~1u) | 2u);
    return n == (ssize_t)sizeof(w->mac) ? 0 : fail(w, n < 0 ? -errno : -EIO, "draw a MAC address", NULL);
}

/* With an external Tor the namespace may be a workstation's own, and the addresses of the TAP as well. */
static int keep_host_out(struct work *w)
{
    const char *step = NULL;
    if (w->config->mode != CONFIG_MODE_EMBEDDED)
        return 0;
    int status = alone_set_up(w->device.name, &step);
    if (status != 0)
        return fail(w, status, step, NULL);
    status = hardening_result(HARDENING_WALL, bridge_wall_build_behind(&w->setup->wall, w->device.name));
    return status == 0 ? 0
                       : fail(w, status, "drop what the TAP hands to this host",
                              "it takes a kernel with nf_tables (process.hardening = best-effort goes without), or "
                              "workstation.attach");
}

static int make_tap_here(struct work *w)
{
    const struct config *c = w->config;
    const char *step = NULL;
    const char *bridge = w->segment >= 0 ? SEGMENT_BRIDGE : c->bridge[0] != '\0' ? c->bridge : NULL;
    int status = device_open(&w->device, c->device, c->offload, &step);
    if (status != 0)
        return fail(w, status, step, device_advice(status));
    struct link_config link = {.name = w->device.name, .mtu = c->mtu, .queue = LINK_QUEUE, .bridge = bridge};
    status = link_prepare(&link, &step);
    if (status == 0 && bridge != NULL) {
        /* Who says that he is the gateway shall not get what others send to it. */
        step = "have the bridge send what is for the gateway to the gateway";
        status = link_pin_station(w->device.name, w->mac);
    }
    if (status != 0)
        return fail(w, status, step, NULL);
    return bridge == NULL ? keep_host_out(w) : 0;
}

static int guard_bridge(struct work *w)
{
    struct setup *setup = w->setup;
    char why[BRIDGE_GUARD_WHY_MAX];
    int status = bridge_guard_open(&setup->guard, w->config->bridge, why);
    setup->guarded = status == 0;
    if (status == 0)
        status = bridge_guard_check(&setup->guard, why);
    if (status != 0)
        snprintf(w->reason, SETUP_REASON_MAX, "%s", why);
    else if (!setup->guard.wall_stays)
        log_event(
            LOG_LEVEL_WARN, "wall", LOG_S("bridge", w->config->bridge),
            LOG_S("note",
                  "before Linux 6.9 it falls with this process: after a crash the bridge's settings alone keep "
                  "workstations from this host until the next start"));
    return status;
}

static int make_tap(struct work *w)
{
    int status = 0;
    if (w->config->attach[0][0] != '\0')
        status = start_keeper(w);
    else if (w->config->bridge[0] != '\0')
        status = guard_bridge(w);
    if (status == 0)
        status = enter(w, w->segment);
    if (status != 0)
        return status;
    status = make_tap_here(w);
    int back = enter(w, w->host);
    return status != 0 ? status : back;
}

/* In a process namespace, so that no transport that it started outlives it. */
static int start_tor(struct work *w, const struct channel_tor_config *tor)
{
    struct setup_tor *place = &w->setup->tor[w->setup->tors++];
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return fail(w, -errno, "make Tor's control connection", NULL);
    place->control = ends[0];
    int status = child_start(&place->child, "tor", true);
    if (status == 0)
        status = channel_send(place->child.channel, CHANNEL_TOR_CONFIG, tor, ends[1]);
    close(ends[1]);
    return status == 0 ? 0 : fail(w, status, "start the process tor", NULL);
}

/* Onion services are the first one's. */
static int start_tors(struct work *w, struct channel_tor_config *tor)
{
    tor->identity = w->who.tor;
    tor->log_level = w->config->level;
    tor->sandbox = w->config->sandbox;
    tor->best_effort = w->config->hardening == CONFIG_HARDENING_BEST_EFFORT;
    memcpy(tor->torrc, w->config->torrc, sizeof(tor->torrc));
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < w->config->instances; i++) {
        status = name_tor(w, i, tor);
        if (status == 0)
            status = start_tor(w, tor);
        tor->onions = (struct config_onions){0};
    }
    return status;
}

/* Both have to be asked: leave from Tor alone could come with a torrc that somebody copied. */
static void note_private(const struct config *c)
{
    if (c->mode == CONFIG_MODE_EMBEDDED && !c->allow_private && c->torrc[0] != '\0' &&
        torrc_allows_internal(c->torrc))
        log_event(LOG_LEVEL_INFO, "private", LOG_S("torrc", c->torrc),
                  LOG_S("note",
                        "ClientRejectInternalAddresses 0 is of no effect for workstations: private addresses "
                        "are refused unless tor.allow_private = yes"));
}

/* Workstations see these addresses, and those of a network that is routed to this place would tell where it is. */
static void note_public(const struct config *c)
{
    bool public4 = range_is_internet(&c->network.addr);
    bool public6 = c->network6.len != 0 && range_is_internet(&c->network6.addr);
    if (public4 || public6)
        log_event(LOG_LEVEL_WARN, "public", LOG_S("key", public4 ? "workstation.address" : "workstation.address6"),
                  LOG_S("note",
                        "no private network: if its addresses are routed to you, they tell workstations who "
                        "you are; and what else has addresses of it cannot be reached"));
}

static int send_onions(struct work *w)
{
    const struct config_onions *onions = &w->config->onions;
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < w->visited; i++) {
        const struct config_onion_port *port = &onions->port[i];
        const struct channel_onion_port message = {
            .onion = port->onion,
            .flows = onions->onion[port->onion].flows,
            .to = port->to,
            .to_port = port->to_port,
            .circuit = onions->onion[port->onion].circuit,
        };
        status = channel_send(w->setup->gateway.channel, CHANNEL_ONION_PORT, &message, w->visitors[i]);
    }
    return status;
}

static int start_gateway(struct work *w, struct channel_gateway_config *out)
{
    const struct config *c = w->config;
    out->identity = w->who.gateway;
    out->log_level = c->level;
    out->log_identities = c->identities;
    out->best_effort = c->hardening == CONFIG_HARDENING_BEST_EFFORT;
    out->network = c->network;
    out->network6 = c->network6;
    out->ra = c->ra;
    memcpy(out->dhcp, c->dhcp, sizeof(out->dhcp));
    out->dhcp_leases = c->dhcp_leases;
    out->stations = c->stations;
    out->stations_only = c->served == CONFIG_SERVED_LISTED;
    out->reject = c->reject;
    out->mtu = c->mtu;
    memcpy(out->mac, w->mac, sizeof(out->mac));
    out->offload = w->device.offload;
    out->isolation = c->isolation;
    out->isolation_rules = c->isolation_rules;
    out->isolation_lifetime = c->isolation_lifetime;
    out->identity_rate = c->identity_rate;
    if (c->identity_rate == CONFIG_RATE_AUTO) /* another SOCKS server is not known to mind */
        out->identity_rate = c->mode == CONFIG_MODE_EMBEDDED ? CONFIG_RATE_EMBEDDED * c->instances : 0;
    out->identity_burst = c->identity_burst;
    out->ports = c->ports;
    out->control_port = c->control_port;
    out->ports.whonix = c->socks_ports == CONFIG_PORTS_WHONIX;
    out->transparent = c->transparent;
    out->transparent_except = c->transparent_except;
    out->virtual_net = c->virtual_net;
    out->virtual_net6 = c->virtual_net6;
    out->virtual_ttl = c->virtual_ttl;
    out->answers = c->answers;
    memcpy(out->resolve, c->resolve, sizeof(out->resolve));
    out->resolvers = c->resolvers;
    out->allow_private = c->allow_private;
    out->judged = c->mode == CONFIG_MODE_EMBEDDED;
    out->optimistic = c->accept == CONFIG_ACCEPT_OPTIMISTIC;
    out->connect_timeout = c->connect_timeout;
    out->half_close = c->half_close == CONFIG_HALF_CLOSE_FORWARD;
    out->half_close_timeout = c->half_close_timeout;
    out->idle_timeout = c->idle_timeout;
    out->flows = c->flows;
    out->workstation_flows = c->workstation_flows;
    out->connecting = c->connecting;
    out->workstation_syns = c->workstation_syns;
    out->hold_until_ready = c->until_ready == CONFIG_UNTIL_READY_HOLD;
    out->workstation_connecting = c->workstation_connecting;
    out->buffers = c->buffers;
    out->workstations = c->workstations;
    out->workstation_idle = c->workstation_idle;
    out->names = c->names;
    out->queries = c->queries;
    out->visitors = c->visitors;
    out->visitors6 = c->visitors6;
    out->onion_ports = w->visited;

    int status = child_start(&w->setup->gateway, "gateway", true);
    if (status == 0)
        status = channel_send(w->setup->gateway.channel, CHANNEL_GATEWAY_CONFIG, out, w->device.fd);
    if (status == 0)
        status = send_onions(w);
    close(w->device.fd);
    w->device.fd = -1;
    return status == 0 ? 0 : fail(w, status, "start the process gateway", NULL);
}

static int await_lock_in(struct work *w)
{
    struct channel_message message;
    return await_message(w, &w->setup->gateway, CHANNEL_READY, &message);
}

/* The last look before the first frame can come. */
static int raise_link(struct work *w)
{
    char why[BRIDGE_GUARD_WHY_MAX];
    if (w->setup->guarded &&
        (bridge_guard_take_ports(&w->setup->guard, why) != 0 || bridge_guard_look(&w->setup->guard, why) != 0)) {
        snprintf(w->reason, SETUP_REASON_MAX, "%s", why);
        return -EPERM;
    }
    int status = enter(w, w->segment);
    if (status != 0)
        return status;
    status = link_set_up(w->device.name, true);
    if (enter(w, w->host) != 0)
        return -EPERM;
    if (status == -ENODEV && w->segment < 0) {
        /* Whoever took it to another namespace brings it up there. */
        log_event(LOG_LEVEL_WARN, "link", LOG_S("device", w->device.name),
                  LOG_S("note", "moved to another network namespace before it was up; bring it up there"));
        status = 0;
    }
    if (status != 0)
        return fail(w, status, "bring the TAP up", NULL);
    status = channel_send(w->setup->gateway.channel, CHANNEL_LINK_UP, NULL, -1);
    return status == 0 ? 0 : fail(w, status, "tell the gateway that the TAP is up", NULL);
}

/* Is `path` a socket in the directory that the gateway process sees? */
static bool is_in_cell(const char *path, const char *directory)
{
    char parent[CONFIG_SOCKET_MAX];
    struct stat a, b;
    snprintf(parent, sizeof(parent), "%s", path);
    *strrchr(parent, '/') = '\0';
    return stat(parent[0] != '\0' ? parent : "/", &a) == 0 && stat(directory, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* The control socket and the metrics listener, here, where the host is. One at the default place that cannot be is no
 * reason not to start: another gateway may have it. */
static int make_listeners(struct work *w, const char *cell)
{
    const struct config *c = w->config;
    const gid_t group = w->who.control_group;
    const bool path = c->metrics[0] == '/';
    if ((c->control[0] != '\0' && is_in_cell(c->control, cell)) || (path && is_in_cell(c->metrics, cell))) {
        snprintf(
            w->reason, SETUP_REASON_MAX,
            "process.control and process.metrics must not be in the directory of Tor's SOCKS socket: the gateway "
            "process sees that");
        return -EINVAL;
    }
    int fd = c->control[0] != '\0' ? console_socket_listen(c->control, group) : -1;
    if (c->control[0] != '\0' && fd < 0 && strcmp(c->control, CONSOLE_DEFAULT) != 0)
        return fail(w, fd, "make the control socket (process.control)",
                    fd == -EADDRINUSE ? "another cloister has it: give each its own" : NULL);
    if (c->control[0] != '\0' && fd < 0)
        log_event(
            LOG_LEVEL_WARN, "control", LOG_S("path", c->control), LOG_E("error", fd),
            LOG_S("note", "there is no control socket; give each cloister its own, or say process.control = none"));
    w->setup->control = fd >= 0 ? fd : -1;
    if (c->metrics[0] == '\0')
        return 0;
    fd = path ? console_socket_listen(c->metrics, group) : console_socket_listen_tcp(c->metrics);
    w->setup->metrics = fd >= 0 ? fd : -1;
    return fd >= 0 ? 0 : fail(w, fd, "listen for metrics (process.metrics)", NULL);
}

static int drop_privileges(struct work *w)
{
    const char *step = NULL;
    int status = privileges_drop(&w->who.supervisor, SETUP_CAPABILITIES, &step);
    return status == 0 ? 0 : fail(w, status, step, NULL);
}

static void end_child(struct child *child)
{
    child_kill(child, SIGKILL);
    child_wait(child, 1000);
    if (child->channel >= 0)
        close(child->channel);
}

static void end_children(struct setup *setup)
{
    /* The keeper gives back what it has when its channel closes. */
    if (setup->keeper.channel >= 0)
        close(setup->keeper.channel);
    setup->keeper.channel = -1;
    child_wait(&setup->keeper, 1000);

    end_child(&setup->gateway);
    end_child(&setup->keeper);
    for (uint32_t i = 0; i < setup->tors; i++)
        end_child(&setup->tor[i].child);
    for (uint32_t i = 0; i < setup->tors; i++) {
        if (setup->tor[i].control >= 0)
            close(setup->tor[i].control);
    }
    int *fds[] = {&setup->control, &setup->metrics};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
    }
}

int setup_run(struct setup *setup, const struct config *config, char reason[SETUP_REASON_MAX])
{
    *setup = (struct setup){.gateway = CHILD_NONE, .keeper = CHILD_NONE, .control = -1, .metrics = -1};
    for (uint32_t i = 0; i < CONFIG_TORS_MAX; i++)
        setup->tor[i] = (struct setup_tor){.child = CHILD_NONE, .control = -1};
    struct work w = {
        .setup = setup, .config = config, .device = {.fd = -1}, .host = -1, .segment = -1, .reason = reason};
    struct channel_tor_config tor = {0};
    struct channel_gateway_config gateway = {0};
    const bool embedded = config->mode == CONFIG_MODE_EMBEDDED;

    note_private(config);
    note_public(config);
    int status = find_users(&w);
    if (status == 0)
        status = embedded ? make_directories(&w, &gateway) : find_external_sockets(&w, &gateway);
    if (status == 0)
        status = make_onions(&w, &tor, gateway.socket_directory);
    if (status == 0)
        status = make_listeners(&w, gateway.socket_directory);
    if (status == 0)
        status = choose_mac(&w);
    if (status == 0)
        status = make_tap(&w);
    if (status == 0 && embedded)
        status = start_tors(&w, &tor);
    if (status == 0)
        status = start_gateway(&w, &gateway);
    if (status == 0)
        status = await_lock_in(&w);
    if (status == 0)
        status = raise_link(&w);
    if (status == 0)
        status = drop_privileges(&w);
    if (status != 0) {
        if (w.device.fd >= 0)
            close(w.device.fd);
        end_children(setup);
        if (setup->guarded)
            bridge_guard_undo(&setup->guard);
        setup->guarded = false;
    }
    while (w.visited > 0)
        close(w.visitors[--w.visited]);
    if (w.segment >= 0)
        close(w.segment);
    if (w.host >= 0)
        close(w.host);
    return status;
}
