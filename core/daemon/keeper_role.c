/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A segment with no host in it
 * ============================
 *
 * An interface that workstations are attached to belongs to some network namespace, and whatever comes in there that is
 * not for the gateway is looked at by the kernel's own IP stack in that namespace. In the host's, addresses, forwarding,
 * NAT, reverse path and ARP settings decide what becomes of it, and each of them can be wrong. So with
 * workstation.attach the interfaces are moved to a namespace that has nothing else:
 *
 *      host's namespace             the segment                              gateway's namespace
 *      uplink, addresses,           bridge ---- eth1, eth2, vm taps          (empty)
 *      routes, services                '------- TAP . . . . descriptor . . . . gateway process
 *
 * There is no address, no route, no IPv6, no other way out, and nobody listens: frames to the bridge's own MAC address end
 * there whatever the host's ip_forward and iptables say, for those of this namespace are its own.
 *
 * Moving in is done by root, before anything runs. Moving out is what needs a thought, since a namespace that ends takes
 * with it what is still in it: the kernel sends hardware back to its first namespace, and destroys what is only
 * software, veth pairs and taps of virtual machines among them. So somebody has to be there until the end who may move
 * them, and it cannot be the supervisor: it may be killed. It is this process. It does nothing but wait for its channel
 * to say that it is time, or to close because the supervisor is gone, however that came to be; then it hands every
 * interface back and ends. It keeps CAP_NET_ADMIN for that, a netlink socket of the segment and a descriptor of the
 * host's namespace; it reads nothing of strangers. If it is killed itself, all end, and the kernel does as above.
 *
 * What is handed back is down. It was up with a bridge around it; up without one, the host's kernel would begin to speak
 * on it, and to listen.
 */
#include "daemon/keeper_role.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/channel.h"
#include "daemon/filter.h"
#include "daemon/hardening.h"
#include "daemon/landlock.h"
#include "daemon/log.h"
#include "daemon/privileges.h"
#include "tun/segment.h"

#define CAPABILITIES (1ull << CAP_NET_ADMIN)

struct keeper {
    const struct channel_keeper_config *config;
    int host;                     /* namespace that the interfaces come from */
    int segment;                  /* the new one */
    struct netlink here;          /* socket in the segment */
    int index[CONFIG_ATTACH_MAX]; /* of the interfaces in the segment, 0: not there */
};

static int fail(const char *interface, const char *step, int status)
{
    log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("interface", interface), LOG_S("step", step), LOG_E("error", status));
    return status;
}

/* Take one interface out of the host's namespace. */
static int fetch(struct keeper *k, struct netlink *host, unsigned i)
{
    const char *name = k->config->attach[i];
    bool has = false;
    int index = segment_find(host, name);
    if (index < 0)
        return fail(name, "find the interface of workstation.attach", index);
    int status = segment_has_address(host, index, &has);
    if (status != 0)
        return fail(name, "ask for its addresses", status);
    if (has)
        return fail(name, "see that it has no address: is it the uplink? Remove the address, or the line",
                    -EADDRINUSE);
    status = segment_is_port(host, index, &has);
    if (status != 0)
        return fail(name, "ask whether it is in a bridge", status);
    if (has)
        return fail(
            name,
            "see that it is in no bridge: it would be taken out of it and not be put back. Take it out (ip link "
            "set dev PORT nomaster), or name the bridge in workstation.bridge instead",
            -EBUSY);
    status = segment_move(host, index, k->segment);
    if (status != 0)
        return fail(name, "move it to the segment: not every kind of interface can be moved", status);
    k->index[i] = segment_find(&k->here, name);
    return k->index[i] > 0 ? 0 : fail(name, "find it in the segment", k->index[i]);
}

static int make_segment(struct keeper *k)
{
    const char *step = "open netlink";
    struct netlink host;
    int status = netlink_open(&host);
    if (status != 0)
        return fail(NULL, step, status);
    step = "make a network namespace";
    status = unshare(CLONE_NEWNET) == 0 ? 0 : -errno;
    if (status == 0) {
        step = "open it";
        k->segment = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        status = k->segment < 0 ? -errno : netlink_open(&k->here);
    }
    if (status == 0)
        status = segment_make(&k->here, &step);
    int bridge = status == 0 ? segment_find(&k->here, SEGMENT_BRIDGE) : 0;
    if (status != 0 || bridge < 0)
        fail(NULL, step, status != 0 ? status : bridge);
    for (unsigned i = 0; status == 0 && i < k->config->attach_count; i++) {
        status = fetch(k, &host, i);
        if (status == 0) {
            status = segment_join(&k->here, k->index[i], bridge, k->config->isolate_clients, &step);
            if (status != 0)
                fail(k->config->attach[i], step, status);
        }
    }
    netlink_close(&host);
    return status;
}

static int give_back(struct keeper *k)
{
    int worst = 0;
    for (unsigned i = 0; i < k->config->attach_count; i++) {
        if (k->index[i] <= 0)
            continue;
        int status = segment_move(&k->here, k->index[i], k->host);
        if (status == -ENODEV)
            log_event(LOG_LEVEL_WARN, "given-back", LOG_S("interface", k->config->attach[i]),
                      LOG_S("note", "it is gone"));
        else if (status != 0)
            worst = fail(k->config->attach[i], "give the interface back", status);
    }
    return worst;
}

static int lock_in(const struct keeper *k)
{
    const char *step = NULL;
    int status = privileges_drop(&k->config->identity, CAPABILITIES, &step);
    if (status != 0)
        return fail(NULL, step, status);
    if (!privileges_are(CAPABILITIES))
        return fail(NULL, "see that no other privilege is left", -EPERM);
    status = hardening_result(HARDENING_LANDLOCK,
                              landlock_lock(LANDLOCK_DENY_READING | LANDLOCK_DENY_WRITING | LANDLOCK_DENY_TCP |
                                            LANDLOCK_DENY_OUTSIDE | LANDLOCK_DENY_SIGNALS));
    if (status != 0)
        return fail(NULL, "deny all files by Landlock (process.hardening = best-effort goes without)", status);
    status = hardening_result(HARDENING_FILTER, filter_load(FILTER_KEEPER));
    if (status != 0)
        return fail(NULL, "filter system calls (process.hardening = best-effort goes without)", status);
    hardening_report();
    return 0;
}

/* A signal to every process of a service is meant for the supervisor, and the end of a terminal too. */
static void ignore_signals(void)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        signal(signals[i], SIG_IGN);
}

int keeper_role_run(int channel)
{
    struct channel_message message;
    log_setup(LOG_LEVEL_INFO, "keeper", false);
    ignore_signals();
    int status = channel_receive(channel, &message);
    if (status == 1 && message.type != CHANNEL_KEEPER_CONFIG)
        status = -EPROTO;
    if (status <= 0)
        return fail(NULL, "receive the configuration", status) != 0 ? 1 : 1;
    const struct channel_keeper_config config = message.keeper_config;
    log_setup(config.log_level, "keeper", false);
    hardening_setup(config.best_effort);

    struct keeper k = {.config = &config, .host = message.fd, .segment = -1};
    status = make_segment(&k);
    if (status == 0)
        status = lock_in(&k);
    if (status == 0 && (status = channel_send(channel, CHANNEL_SEGMENT, NULL, k.segment)) != 0)
        fail(NULL, "tell the supervisor", status);
    if (k.segment >= 0)
        close(k.segment);
    /* Whatever comes now, or that nothing can come any more, means the same. */
    /* syscalls keeper: recvmsg sendmsg close */
    if (status == 0)
        channel_receive(channel, &message);
    int returned = give_back(&k);
    return status != 0 || returned != 0 ? 1 : 0;
}
