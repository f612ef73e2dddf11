/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/veth.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include "tun/netlink.h"

static int ask(struct netlink_request *request)
{
    struct netlink nl;
    int status = netlink_open(&nl);
    if (status != 0)
        return status;
    status = netlink_ask(&nl, request);
    netlink_close(&nl);
    return status;
}

int veth_make(const char *name, const char *peer, int peer_namespace)
{
    struct netlink_request request;
    netlink_begin(&request, 0);
    request.header->nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
    mnl_attr_put_strz(request.header, IFLA_IFNAME, name);
    struct nlattr *link = mnl_attr_nest_start(request.header, IFLA_LINKINFO);
    mnl_attr_put_strz(request.header, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(request.header, IFLA_INFO_DATA);
    struct nlattr *other = mnl_attr_nest_start(request.header, VETH_INFO_PEER);
    /* The peer is described by a message like this one, its header without attributes of its own. */
    mnl_nlmsg_put_extra_header(request.header, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(request.header, IFLA_IFNAME, peer);
    mnl_attr_put_u32(request.header, IFLA_NET_NS_FD, (uint32_t)peer_namespace);
    mnl_attr_nest_end(request.header, other);
    mnl_attr_nest_end(request.header, data);
    mnl_attr_nest_end(request.header, link);
    return ask(&request);
}

int veth_make_bridge(const char *name)
{
    struct netlink_request request;
    netlink_begin(&request, 0);
    request.header->nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
    mnl_attr_put_strz(request.header, IFLA_IFNAME, name);
    struct nlattr *link = mnl_attr_nest_start(request.header, IFLA_LINKINFO);
    mnl_attr_put_strz(request.header, IFLA_INFO_KIND, "bridge");
    struct nlattr *data = mnl_attr_nest_start(request.header, IFLA_INFO_DATA);
    mnl_attr_put_u8(request.header, IFLA_BR_MCAST_SNOOPING, 0);
    mnl_attr_nest_end(request.header, data);
    mnl_attr_nest_end(request.header, link);
    return ask(&request);
}

int veth_remove(const char *name)
{
    struct netlink_request request;
    unsigned index = if_nametoindex(name);
    if (index == 0)
        return -errno;
    netlink_begin(&request, (int)index);
    request.header->nlmsg_type = RTM_DELLINK;
    return ask(&request);
}
