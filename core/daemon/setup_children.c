/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/setup_work.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOCK_IN_MS 10000 /* the gateway takes some 20 ms */

/* Wait for a message of the child, or for the wish to end. As poll(): 0 if neither came in time; -1 if one cannot wait. */
static int await(struct setup_work *w, const struct child *child)
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
    return status < 0 ? setup_fail(w, status, "wait for a process", NULL) : status;
}

int setup_await_message(struct setup_work *w, struct child *child, enum channel_type type,
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

/* In a process namespace, so that no transport that it started outlives it. */
static int start_tor(struct setup_work *w, const struct channel_tor_config *tor)
{
    struct setup_tor *place = &w->setup->tor[w->setup->tors++];
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return setup_fail(w, -errno, "make Tor's control connection", NULL);
    place->control = ends[0];
    int status = child_start(&place->child, "tor", true);
    if (status == 0)
        status = channel_send(place->child.channel, CHANNEL_TOR_CONFIG, tor, ends[1]);
    close(ends[1]);
    return status == 0 ? 0 : setup_fail(w, status, "start the process tor", NULL);
}

int setup_start_tors(struct setup_work *w, struct channel_tor_config *tor)
{
    tor->identity = w->who.tor;
    tor->log_level = w->config->level;
    tor->sandbox = w->config->sandbox;
    tor->best_effort = w->config->hardening == CONFIG_HARDENING_BEST_EFFORT;
    memcpy(tor->torrc, w->config->torrc, sizeof(tor->torrc));
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < w->config->instances; i++) {
        status = setup_name_tor(w, i, tor);
        if (status == 0)
            status = start_tor(w, tor);
        tor->onions = (struct config_onions){0};
    }
    return status;
}

static int send_onions(struct setup_work *w)
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

int setup_start_gateway(struct setup_work *w, struct channel_gateway_config *out)
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
    return status == 0 ? 0 : setup_fail(w, status, "start the process gateway", NULL);
}

int setup_await_lock_in(struct setup_work *w)
{
    struct channel_message message;
    return setup_await_message(w, &w->setup->gateway, CHANNEL_READY, &message);
}

static void end_child(struct child *child)
{
    child_kill(child, SIGKILL);
    child_wait(child, 1000);
    if (child->channel >= 0)
        close(child->channel);
}

void setup_end_children(struct setup *setup)
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
