/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bridge is a port of its own: what is sent to its MAC address, or to everybody, goes up into the host's IP stack. With
 * a bridge in a namespace of its own there is no stack to go to (core/daemon/keeper_role.c). With one of the host's,
 * somebody in the workstation can speak to the host, and only settings are in the way:
 *
 *   no address        Nothing of the host's is to be reached there by its name.
 *   IPv6 off          The kernel gives itself a link-local address else, and answers to it.
 *   forwarding off    What comes in there goes nowhere else, whatever ip_forward says: this one counts of the interface.
 *   rp_filter strict  The kernel takes in a packet to *any* of its addresses on any interface. But not if its source is
 *                     routed elsewhere, and everything is: no route leads to this bridge. Strictness is the greater of
 *                     the interface's value and that of "all", and 2 (loose) is greater than 1.
 *   arp_ignore 8      The kernel answers ARP for any of its addresses, too, and a probe (RFC 5227) does not even have a
 *                     source to be strict about: one could ask through all addresses for the real one.
 *   accept_local, route_localnet off   They are exceptions to the above.
 *
 * All but the address and what "all" says are set here and not only asked for, since the bridge is ours by configuration.
 * But somebody may have named the wrong one, that of his virtual machines or containers, and set up like this it would cut
 * them off: whatever can be asked is asked before anything is set, and if this gateway does not start after all, what was
 * set is put back as it was found.
 *
 * Settings are not enough. Where forwarding is off, the source of a packet to somewhere else is not looked at, but its IP
 * options are: a malformed one is answered by ICMP, to the source that it claims to have, by the uplink and from the
 * host's real address. And a datagram from 0.0.0.0 to 255.255.255.255, as DHCP clients send, has no source to be strict
 * about. So there is a wall as well (bridge_wall.c): the kernel drops what the bridge hands up before any protocol sees
 * it. The settings stay, for the wall belongs to the supervisor and on kernels before 6.9 falls with it.
 *
 * Frames to 01:80:c2:00:00:0X do not come up at the bridge at all but at the port that they came in by, with that port's
 * settings: an echo request in one was answered from the uplink's address. Unless bridge and port are told to pass them
 * on as all others. They are.
 *
 * What remains: a port that joins later does not know it of 01:80:c2:00:00:02, the one group for which the bridge cannot
 * speak, so that by such frames UDP and ICMP reach an address of the host's that is known to the sender, if the port has
 * no strict reverse path (net.ipv4.conf.default.rp_filter). It is one more reason to use workstation.attach where that
 * is possible.
 */
#include "tun/bridge_guard.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tun/bridge_wall.h"
#include "tun/segment.h"
#include "tun/sysctl.h"

/* What a setting of the interface has to be together with that of "all": the kernel takes the greater, or either. */
static const struct {
    const char *family, *key;
    int wanted;
    bool with_all; /* the greater of both must be `wanted` */
} settings[] = {
    {"ipv6", "disable_ipv6", 1, false}, {"ipv4", "forwarding", 0, false},  {"ipv4", "rp_filter", 1, true},
    {"ipv4", "arp_ignore", 8, true},    {"ipv4", "accept_local", 0, true}, {"ipv4", "route_localnet", 0, true},
};

#define PORTS_MAX 1024u /* as many as a bridge can have */

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))
#define UNKNOWN (-1) /* none of the settings is ever that */

/* Descriptors: first of the interface, then of "all" for those who need it. */
_Static_assert(SETTINGS == BRIDGE_GUARD_OWN, "as the header says");
_Static_assert(SETTINGS + 4 == BRIDGE_GUARD_SETTINGS, "one for each, and one more for each with_all");

__attribute__((format(printf, 3, 4))) static int refuse(char *why, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, BRIDGE_GUARD_WHY_MAX, format, args);
    va_end(args);
    return status;
}

static void setting_path(char *out, size_t i, const char *interface)
{
    snprintf(out, SYSCTL_PATH_MAX, "%s/conf/%s/%s", settings[i].family, interface, settings[i].key);
}

static int open_settings(struct bridge_guard *guard, char *why)
{
    size_t all = SETTINGS;
    for (size_t i = 0; i < SETTINGS; i++) {
        char path[SYSCTL_PATH_MAX];
        setting_path(path, i, guard->name);
        int status = guard->setting[i] = sysctl_open(path);
        if (status == -ENOENT && strcmp(settings[i].family, "ipv6") == 0)
            continue; /* a kernel without IPv6 */
        if (status >= 0 && settings[i].with_all) {
            setting_path(path, i, "all");
            status = guard->setting[all++] = sysctl_open(path);
        }
        if (status < 0)
            return refuse(why, status, "workstation.bridge: net/%s: %s", path, strerror(-status));
    }
    return 0;
}

static int write_setting(const struct bridge_guard *guard, size_t i, long number)
{
    char path[SYSCTL_PATH_MAX], value[24];
    setting_path(path, i, guard->name);
    snprintf(value, sizeof(value), "%ld", number);
    return sysctl_write(path, value);
}

static int write_settings(struct bridge_guard *guard, char *why)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        if (guard->setting[i] < 0)
            continue;
        int status = sysctl_read(guard->setting[i], &guard->was[i]);
        if (status == 0)
            status = write_setting(guard, i, settings[i].wanted);
        if (status != 0)
            return refuse(why, status, "workstation.bridge: set net.%s.conf.%s.%s to %d: %s", settings[i].family,
                          guard->name, settings[i].key, settings[i].wanted, strerror(-status));
    }
    return 0;
}

static int build_wall(struct bridge_guard *guard, char *why)
{
    int status = bridge_wall_pass_groups(&guard->questions, guard->index);
    if (status != 0)
        return refuse(why, status, "workstation.bridge: have %s pass on the reserved groups: %s", guard->name,
                      strerror(-status));
    status = bridge_wall_build(&guard->wall, guard->name, &guard->wall_stays, &guard->was_walled);
    return status == 0 ? 0
                       : refuse(why, status,
                                "workstation.bridge: drop what %s hands to this host: %s; it takes a kernel with "
                                "nf_tables and its netdev family, or use workstation.attach",
                                guard->name, strerror(-status));
}

static int check_all(const struct bridge_guard *guard, char *why)
{
    size_t all = SETTINGS;
    for (size_t i = 0; i < SETTINGS; i++) {
        long of_all;
        if (guard->setting[i] < 0 || !settings[i].with_all)
            continue;
        int status = sysctl_read(guard->setting[all++], &of_all);
        if (status != 0)
            return refuse(why, status, "workstation.bridge: net.%s.conf.all.%s cannot be read any more",
                          settings[i].family, settings[i].key);
        if (of_all > settings[i].wanted)
            return refuse(
                why, -EPERM,
                "workstation.bridge: net.%s.conf.all.%s is %ld and overrides that of the bridge; set it to %d "
                "or less, or use workstation.attach",
                settings[i].family, settings[i].key, of_all, settings[i].wanted);
    }
    return 0;
}

static int check_own(const struct bridge_guard *guard, char *why)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        long own;
        if (guard->setting[i] < 0)
            continue;
        int status = sysctl_read(guard->setting[i], &own);
        if (status != 0)
            return refuse(why, status, "workstation.bridge: %s is gone, or its %s cannot be read any more",
                          guard->name, settings[i].key);
        if (own != settings[i].wanted)
            return refuse(why, -EPERM,
                          "workstation.bridge: somebody set net.%s.conf.%s.%s to %ld; it has to be %d, or "
                          "workstations reach this host",
                          settings[i].family, guard->name, settings[i].key, own, settings[i].wanted);
    }
    return 0;
}

static int check_address(struct bridge_guard *guard, char *why)
{
    bool has = false;
    int status = segment_has_address(&guard->questions, guard->index, &has);
    if (status != 0)
        return refuse(why, status, "workstation.bridge: ask for the addresses of %s: %s", guard->name,
                      strerror(-status));
    return !has ? 0
                : refuse(why, -EADDRINUSE,
                         "workstation.bridge: %s has an address, so workstations could reach this host; make a "
                         "bridge of their own (ip link add NAME type bridge), or attach their interfaces with "
                         "workstation.attach",
                         guard->name);
}

/* All that can be asked before anything is set. */
static int check_before(struct bridge_guard *guard, char *why)
{
    int status = check_address(guard, why);
    return status == 0 ? check_all(guard, why) : status;
}

int bridge_guard_open(struct bridge_guard *guard, const char *name, char why[BRIDGE_GUARD_WHY_MAX])
{
    static const unsigned groups[] = {RTNLGRP_LINK,         RTNLGRP_IPV4_IFADDR,  RTNLGRP_IPV6_IFADDR,
                                      RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, 0};
    *guard = (struct bridge_guard){.was_told.stp = UINT32_MAX};
    for (size_t i = 0; i < SETTINGS; i++)
        guard->was[i] = UNKNOWN;
    snprintf(guard->name, sizeof(guard->name), "%s", name);
    for (size_t i = 0; i < BRIDGE_GUARD_SETTINGS; i++)
        guard->setting[i] = -1;
    int status = netlink_open(&guard->questions);
    if (status == 0)
        status = netlink_open_news(&guard->news, groups);
    if (status != 0)
        refuse(why, status, "workstation.bridge: netlink: %s", strerror(-status));
    if (status == 0) {
        guard->index = segment_find(&guard->questions, name);
        if (guard->index < 0)
            status = refuse(why, guard->index, "workstation.bridge: %s: %s; create it first", name,
                            strerror(-guard->index));
    }
    if (status == 0) {
        status = bridge_wall_look_at_groups(&guard->questions, guard->index, &guard->was_told);
        if (status != 0)
            guard->was_told.stp = UINT32_MAX;
        if (status == -EOPNOTSUPP)
            refuse(why, status,
                   "workstation.bridge: %s is not a bridge; make one (ip link add NAME type bridge) that the "
                   "workstations' interfaces join, or name those in workstation.attach",
                   name);
        else if (status != 0)
            refuse(why, status, "workstation.bridge: look at %s: %s", name, strerror(-status));
    }
    if (status == 0)
        status = open_settings(guard, why);
    if (status == 0)
        status = check_before(guard, why);
    if (status == 0)
        status = write_settings(guard, why);
    if (status == 0)
        status = build_wall(guard, why);
    if (status != 0)
        bridge_guard_undo(guard);
    return status;
}

void bridge_guard_undo(struct bridge_guard *guard)
{
    if (guard->wall.socket != NULL && !guard->was_walled)
        bridge_wall_take_down(&guard->wall, guard->name);
    if (guard->was_told.stp != UINT32_MAX)
        bridge_wall_set_groups(&guard->questions, guard->index, &guard->was_told);
    for (size_t i = 0; i < SETTINGS; i++) {
        if (guard->was[i] != UNKNOWN)
            write_setting(guard, i, guard->was[i]);
    }
    bridge_guard_close(guard);
}

/* Ports that are there; the TAP is one. */
struct ports {
    int bridge;
    int index[PORTS_MAX];
    size_t count;
};

static int match_master(const struct nlattr *attr, void *ctx)
{
    if (mnl_attr_get_type(attr) == IFLA_MASTER && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
        *(int *)ctx = (int)mnl_attr_get_u32(attr);
    return MNL_CB_OK;
}

static int match_port(const struct nlmsghdr *answer, void *ctx)
{
    struct ports *ports = ctx;
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(answer);
    int master = 0;
    if (mnl_nlmsg_get_payload_len(answer) < sizeof(*info) ||
        mnl_attr_parse(answer, sizeof(*info), match_master, &master) < 0)
        return -EPROTO;
    if (master != ports->bridge)
        return 0;
    if (ports->count == PORTS_MAX)
        return -E2BIG;
    ports->index[ports->count++] = info->ifi_index;
    return 0;
}

int bridge_guard_take_ports(struct bridge_guard *guard, char why[BRIDGE_GUARD_WHY_MAX])
{
    static struct ports ports;
    ports = (struct ports){.bridge = guard->index};
    int status = netlink_list(&guard->questions, RTM_GETLINK, match_port, &ports);
    for (size_t i = 0; status == 0 && i < ports.count; i++) {
        status = bridge_wall_pass_groups_of_port(&guard->questions, ports.index[i]);
        if (status == -ENODEV)
            status = 0; /* gone since */
    }
    return status == 0 ? 0
                       : refuse(why, status, "workstation.bridge: set up the ports of %s: %s", guard->name,
                                strerror(-status));
}

int bridge_guard_check(struct bridge_guard *guard, char why[BRIDGE_GUARD_WHY_MAX])
{
    int status = check_address(guard, why);
    if (status == 0)
        status = check_own(guard, why);
    return status == 0 ? check_all(guard, why) : status;
}

int bridge_guard_fd(const struct bridge_guard *guard)
{
    return netlink_fd(&guard->news);
}

int bridge_guard_look(struct bridge_guard *guard, char why[BRIDGE_GUARD_WHY_MAX])
{
    int status = netlink_drain(&guard->news);
    if (status != 0)
        return refuse(why, status, "workstation.bridge: watch %s: %s", guard->name, strerror(-status));
    return bridge_guard_check(guard, why);
}

void bridge_guard_close(struct bridge_guard *guard)
{
    for (size_t i = 0; i < BRIDGE_GUARD_SETTINGS; i++) {
        if (guard->setting[i] >= 0)
            close(guard->setting[i]);
        guard->setting[i] = -1;
    }
    bridge_wall_close(&guard->wall);
    netlink_close(&guard->news);
    netlink_close(&guard->questions);
}
