/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/setup_work.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon/hardening.h"
#include "daemon/log.h"
#include "tun/alone.h"
#include "tun/bridge_wall.h"
#include "tun/link.h"
#include "tun/segment.h"

/* Frames: a burst of many flows, each with a small window (core/tcp/receive.c). If each is one segment, more of them. */
#define LINK_QUEUE 4096u
#define LINK_QUEUE_SINGLE 8192u

/* Have the interfaces of workstation.attach moved to a segment, by a process that will bring them back. */
static int start_keeper(struct setup_work *w)
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
        return setup_fail(w, -errno, "open our network namespace", NULL);
    int status = child_start(&w->setup->keeper, "keeper", false);
    if (status == 0)
        status = channel_send(w->setup->keeper.channel, CHANNEL_KEEPER_CONFIG, &keeper, w->host);
    if (status != 0)
        return setup_fail(w, status, "start the process keeper", NULL);
    status = setup_await_message(w, &w->setup->keeper, CHANNEL_SEGMENT, &message);
    if (status == 0)
        w->segment = message.fd;
    return status;
}

/* Go to the segment, if there is one, and come back. */
static int enter(struct setup_work *w, int namespace)
{
    if (namespace < 0 || setns(namespace, CLONE_NEWNET) == 0)
        return 0;
    return setup_fail(w, -errno, "change the network namespace", NULL);
}

int setup_choose_mac(struct setup_work *w)
{
    static const uint8_t none[6];
    memcpy(w->mac, w->config->mac, sizeof(w->mac));
    if (memcmp(w->mac, none, sizeof(none)) != 0)
        return 0;
    ssize_t n = getrandom(w->mac, sizeof(w->mac), 0);
    w->mac[0] = (uint8_t)((w->mac[0] & ~1u) | 2u);
    return n == (ssize_t)sizeof(w->mac) ? 0 : setup_fail(w, n < 0 ? -errno : -EIO, "draw a MAC address", NULL);
}

/* With an external Tor the namespace may be a workstation's own, and the addresses of the TAP as well. */
static int keep_host_out(struct setup_work *w)
{
    const char *step = NULL;
    if (w->config->mode != CONFIG_MODE_EMBEDDED)
        return 0;
    int status = alone_set_up(w->device.name, &step);
    if (status != 0)
        return setup_fail(w, status, step, NULL);
    status = hardening_result(HARDENING_WALL, bridge_wall_build_behind(&w->setup->wall, w->device.name));
    return status == 0
               ? 0
               : setup_fail(w, status, "drop what the TAP hands to this host",
                            "it takes a kernel with nf_tables (process.hardening = best-effort goes without), or "
                            "workstation.attach");
}

static int make_tap_here(struct setup_work *w)
{
    const struct config *c = w->config;
    const char *step = NULL;
    const char *bridge = w->segment >= 0 ? SEGMENT_BRIDGE : c->bridge[0] != '\0' ? c->bridge : NULL;
    int status = device_open(&w->device, c->device, c->offload, &step);
    if (status != 0)
        return setup_fail(w, status, step, device_advice(status));
    bool merged = (w->device.offload & DEVICE_OFFLOAD_TSO4) != 0;
    struct link_config link = {
        .name = w->device.name, .mtu = c->mtu, .queue = merged ? LINK_QUEUE : LINK_QUEUE_SINGLE, .bridge = bridge};
    status = link_prepare(&link, &step);
    if (status == 0 && bridge != NULL) {
        /* Who says that he is the gateway shall not get what others send to it. */
        step = "have the bridge send what is for the gateway to the gateway";
        status = link_pin_station(w->device.name, w->mac);
    }
    if (status != 0)
        return setup_fail(w, status, step, NULL);
    return bridge == NULL ? keep_host_out(w) : 0;
}

static int guard_bridge(struct setup_work *w)
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

int setup_make_tap(struct setup_work *w)
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

int setup_raise_link(struct setup_work *w)
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
        return setup_fail(w, status, "bring the TAP up", NULL);
    status = channel_send(w->setup->gateway.channel, CHANNEL_LINK_UP, NULL, -1);
    return status == 0 ? 0 : setup_fail(w, status, "tell the gateway that the TAP is up", NULL);
}
