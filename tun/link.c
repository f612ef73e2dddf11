/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/link.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "tun/netlink.h"

/* False: there is no such interface. */
static bool start(struct netlink_request *request, const char *name)
{
    unsigned index = if_nametoindex(name);
    if (index == 0)
        return false;
    netlink_begin(request, (int)index);
    return true;
}

/* Ask the kernel of the namespace that we are in now. */
static int ask(struct netlink_request *request)
{
    struct netlink nl;
    int err = netlink_open(&nl);
    if (err != 0)
        return err;
    err = netlink_ask(&nl, request);
    netlink_close(&nl);
    return err;
}

static int set_mtu(const char *name, uint32_t mtu)
{
    struct netlink_request request;
    if (!start(&request, name))
        return -ENODEV;
    mnl_attr_put_u32(request.header, IFLA_MTU, mtu);
    return ask(&request);
}

static int set_queue(const char *name, uint32_t frames)
{
    struct netlink_request request;
    if (!start(&request, name))
        return -ENODEV;
    mnl_attr_put_u32(request.header, IFLA_TXQLEN, frames);
    return ask(&request);
}

static int set_no_ipv6_address(const char *name)
{
    struct netlink_request request;
    if (!start(&request, name))
        return -ENODEV;
    struct nlattr *families = mnl_attr_nest_start(request.header, IFLA_AF_SPEC);
    struct nlattr *inet6 = mnl_attr_nest_start(request.header, AF_INET6);
    mnl_attr_put_u8(request.header, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    mnl_attr_nest_end(request.header, inet6);
    mnl_attr_nest_end(request.header, families);
    int err = ask(&request);
    /* A kernel without IPv6, or with IPv6 off for this interface, has no address to make. */
    return err == -EAFNOSUPPORT || err == -EOPNOTSUPP ? 0 : err;
}

static int join(const char *name, const char *bridge)
{
    struct netlink_request request;
    unsigned index = if_nametoindex(bridge);
    if (index == 0)
        return -errno;
    if (!start(&request, name))
        return -ENODEV;
    mnl_attr_put_u32(request.header, IFLA_MASTER, index);
    return ask(&request);
}

int link_prepare(const struct link_config *config, const char **step)
{
    *step = "find the interface";
    if (if_nametoindex(config->name) == 0)
        return -errno;
    int err = 0;
    if (config->mtu != 0) {
        *step = "set the MTU";
        err = set_mtu(config->name, config->mtu);
    }
    if (err == 0 && config->queue != 0) {
        *step = "set the length of the queue";
        err = set_queue(config->name, config->queue);
    }
    if (err == 0) {
        *step = "turn off IPv6 address generation";
        err = set_no_ipv6_address(config->name);
    }
    if (err == 0 && config->bridge != NULL) {
        *step = "join the bridge";
        err = join(config->name, config->bridge);
    }
    if (err == 0)
        *step = "";
    return err;
}

int link_pin_station(const char *port, const uint8_t mac[6])
{
    struct netlink_request request = {0};
    unsigned index = if_nametoindex(port);
    if (index == 0)
        return -errno;
    request.header = mnl_nlmsg_put_header(request.buffer);
    request.header->nlmsg_type = RTM_NEWNEIGH;
    request.header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
    struct ndmsg *entry = mnl_nlmsg_put_extra_header(request.header, sizeof(*entry));
    entry->ndm_family = AF_BRIDGE;
    entry->ndm_ifindex = (int)index;
    entry->ndm_state = NUD_NOARP; /* it does not age, and is not the bridge's own */
    entry->ndm_flags = NTF_MASTER | NTF_STICKY;
    mnl_attr_put(request.header, NDA_LLADDR, 6, mac);
    return ask(&request);
}

int link_set_up(const char *name, bool up)
{
    struct netlink_request request;
    if (!start(&request, name))
        return -ENODEV;
    request.info->ifi_flags = up ? IFF_UP : 0;
    request.info->ifi_change = IFF_UP;
    return ask(&request);
}
