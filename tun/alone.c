/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A TAP has two ends. What the gateway process writes to its descriptor comes in at the device, as from a cable, and as
 * long as the device stands in the host's namespace, it is the host's kernel that looks at it: it would forward it where
 * ip_forward is on, answer an echo request by the uplink to whatever source it claims to have, and answer ARP for each of
 * its addresses on the TAP itself. The gateway does nothing of the kind; but if a stranger takes its process over, a
 * frame is all that it takes to learn the real address, whatever else locks the process in.
 *
 * Nobody wants an IP packet from there. Whoever moves the device to a namespace of the workstation's, or puts it into a
 * bridge or under a macvtap, takes frames before they come that far, and the settings do not follow it to another
 * namespace. So the device forwards nothing, answers no ARP, believes no source and has no IPv6, and since settings are
 * not all (bridge_guard.c tells of options), IPv4 and IPv6 get to see
 * nothing of it at all (bridge_wall_build_behind()).
 */
#include "tun/alone.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tun/sysctl.h"

int alone_set_up(const char *device, const char **step)
{
    static const struct {
        const char *family, *key, *value;
    } settings[] = {
        {"ipv6", "disable_ipv6", "1"}, {"ipv4", "forwarding", "0"},   {"ipv4", "rp_filter", "1"},
        {"ipv4", "arp_ignore", "8"},   {"ipv4", "accept_local", "0"}, {"ipv4", "route_localnet", "0"},
    };
    *step = "keep the host's own protocols away from the TAP";
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        char path[SYSCTL_PATH_MAX];
        snprintf(path, sizeof(path), "%s/conf/%s/%s", settings[i].family, device, settings[i].key);
        int status = sysctl_write(path, settings[i].value);
        if (status != 0 &&
            (status != -ENOENT || strcmp(settings[i].family, "ipv6") != 0)) /* it may be built without */
            return status;
    }
    return 0;
}
