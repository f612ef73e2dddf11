/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/station.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "leaktest/veth.h"
#include "tun/bridge_wall.h"
#include "tun/link.h"
#include "tun/netlink.h"
#include "tun/segment.h"
#include "tun/sysctl.h"

#define NIC "eth0"

/* The kernel of a place where we add a port has no part in it: what a port of a bridge that workstations are attached to
 * should look like anyhow. The guard of workstation.bridge has done the same for the ports that were there at start. */
static void keep_kernel_out(const char *port)
{
    static const struct {
        char key[28];
        char value[4];
    } settings[] = {
        {"ipv6/conf/%s/disable_ipv6", "1"},
        {"ipv4/conf/%s/forwarding", "0"},
        {"ipv4/conf/%s/rp_filter", "1"},
        {"ipv4/conf/%s/arp_ignore", "8"},
    };
    char path[SYSCTL_PATH_MAX];
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        const char *mark = strstr(settings[i].key, "%s");
        snprintf(path, sizeof(path), "%.*s%s%s", (int)(mark - settings[i].key), settings[i].key, port, mark + 2);
        sysctl_write(path, settings[i].value); /* a kernel without IPv6 has no file for it */
    }
}

static int join(const struct station *s, const struct station_place *place, const char **step)
{
    struct netlink nl;
    const struct link_config link = {.name = s->port};
    int status = link_prepare(&link, step);
    if (status != 0)
        return status;
    keep_kernel_out(s->port);
    *step = "open netlink";
    status = netlink_open(&nl);
    if (status != 0)
        return status;
    *step = "find the bridge";
    int bridge = segment_find(&nl, place->bridge), port = segment_find(&nl, s->port);
    if (bridge < 0 || port < 0)
        status = bridge < 0 ? bridge : port;
    if (status == 0)
        status = segment_join(&nl, port, bridge, place->isolated, step);
    if (status == 0)
        bridge_wall_pass_groups_of_port(&nl, port);
    netlink_close(&nl);
    return status;
}

/* In the namespace of the place. */
static int be_port(struct station *s, const struct station_place *place, const char **step)
{
    *step = "make a network namespace for a workstation";
    int ws = wire_namespace_new();
    if (ws < 0)
        return ws;
    snprintf(s->port, sizeof(s->port), "leaktest%d", (int)getpid() % 100000);
    *step = "make a pair of interfaces";
    int status = veth_make(s->port, NIC, ws);
    if (status != 0)
        s->port[0] = '\0';
    if (status == 0)
        status = join(s, place, step);
    if (status == 0) {
        *step = "open the workstation's interface";
        status = wire_mac(s->port, s->port_mac);
    }
    if (status == 0 && (status = wire_enter(ws)) == 0) {
        sysctl_write("ipv6/conf/all/disable_ipv6", "1");
        status = link_set_up(NIC, true);
        if (status == 0)
            status = wire_mac(NIC, s->nic_mac);
        if (status == 0)
            status = wire_open(&s->wire, if_nametoindex(NIC));
    }
    close(ws);
    return status;
}

int station_open(struct station *s, const struct station_place *place, const char **step)
{
    *s = STATION_NONE;
    *step = "open the network namespace";
    int home = wire_namespace();
    if (home < 0)
        return home;
    s->place = fcntl(place->namespace, F_DUPFD_CLOEXEC, 0);
    int status = s->place < 0 ? -errno : wire_enter(place->namespace);
    if (status == 0 && place->bridge != NULL) {
        status = be_port(s, place, step);
    } else if (status == 0) {
        *step = "open the workstation's interface";
        unsigned index = if_nametoindex(place->via);
        status = index == 0 ? -errno : wire_mac(place->via, s->nic_mac);
        if (status == 0)
            status = wire_open(&s->wire, index);
    }
    int back = wire_enter(home);
    close(home);
    if (status == 0)
        status = back;
    if (status != 0)
        station_close(s);
    return status;
}

void station_close(struct station *s)
{
    wire_close(&s->wire);
    int home = s->port[0] != '\0' ? wire_namespace() : -1;
    if (home >= 0) {
        if (wire_enter(s->place) == 0)
            veth_remove(s->port);
        wire_enter(home);
        close(home);
    }
    s->port[0] = '\0';
    if (s->place >= 0)
        close(s->place);
    s->place = -1;
}
