/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/segment.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "tun/sysctl.h"

/* Nothing of the kernel's own. In a namespace that was just made, so that "all" and "default" speak for every interface
 * to come. A kernel without IPv6 has no file for it. */
static int keep_kernel_out(const char **step)
{
    static const struct {
        const char *path, *value;
        bool optional;
    } settings[] = {
        {"ipv6/conf/all/disable_ipv6", "1", true},
        {"ipv6/conf/default/disable_ipv6", "1", true},
        {"ipv4/ip_forward", "0", false},
        {"ipv4/conf/all/arp_ignore", "8", false},
        {"ipv4/conf/all/rp_filter", "1", false},
        /* What goes from port to port is nobody's else to look at: br_netfilter would drop what it finds malformed,
         * follow connections, and take its time. Where it is not loaded, there are no such files. */
        {"bridge/bridge-nf-call-iptables", "0", true},
        {"bridge/bridge-nf-call-ip6tables", "0", true},
        {"bridge/bridge-nf-call-arptables", "0", true},
    };
    *step = "keep the kernel's own protocols out of the segment";
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        int status = sysctl_write(settings[i].path, settings[i].value);
        if (status != 0 && !(settings[i].optional && status == -ENOENT))
            return status;
    }
    return 0;
}

static int make_bridge(struct netlink *nl)
{
    struct netlink_request request;
    netlink_begin(&request, 0);
    request.header->nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
    request.info->ifi_flags = IFF_UP;
    request.info->ifi_change = IFF_UP;
    mnl_attr_put_strz(request.header, IFLA_IFNAME, SEGMENT_BRIDGE);
    struct nlattr *link = mnl_attr_nest_start(request.header, IFLA_LINKINFO);
    mnl_attr_put_strz(request.header, IFLA_INFO_KIND, "bridge");
    struct nlattr *data = mnl_attr_nest_start(request.header, IFLA_INFO_DATA);
    /* It knows nothing of who listens to what, and asks nobody. */
    mnl_attr_put_u8(request.header, IFLA_BR_MCAST_SNOOPING, 0);
    mnl_attr_put_u32(request.header, IFLA_BR_STP_STATE, 0);
    mnl_attr_nest_end(request.header, data);
    mnl_attr_nest_end(request.header, link);
    return netlink_ask(nl, &request);
}

int segment_make(struct netlink *nl, const char **step)
{
    int status = keep_kernel_out(step);
    if (status != 0)
        return status;
    *step = "make the segment's bridge";
    return make_bridge(nl);
}

struct search {
    const char *name;
    bool matches; /* this one */
    int index;    /* of the one that did */
};

static int match_attribute(const struct nlattr *attr, void *ctx)
{
    struct search *search = ctx;
    if (mnl_attr_get_type(attr) == IFLA_IFNAME && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
        search->matches = strcmp(mnl_attr_get_str(attr), search->name) == 0;
    return MNL_CB_OK;
}

static int match_link(const struct nlmsghdr *answer, void *ctx)
{
    struct search *search = ctx;
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(answer);
    if (mnl_nlmsg_get_payload_len(answer) < sizeof(*info))
        return -EPROTO;
    search->matches = false;
    if (mnl_attr_parse(answer, sizeof(*info), match_attribute, search) < 0)
        return -EPROTO;
    if (search->matches)
        search->index = info->ifi_index;
    return 0;
}

int segment_find(struct netlink *nl, const char *name)
{
    struct search search = {.name = name, .index = -ENODEV};
    int status = netlink_list(nl, RTM_GETLINK, match_link, &search);
    return status != 0 ? status : search.index;
}

struct port {
    int index;
    bool has_master;
};

static int match_master(const struct nlattr *attr, void *ctx)
{
    struct port *port = ctx;
    if (mnl_attr_get_type(attr) == IFLA_MASTER)
        port->has_master = true;
    return MNL_CB_OK;
}

static int match_port(const struct nlmsghdr *answer, void *ctx)
{
    struct port *port = ctx;
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(answer);
    if (mnl_nlmsg_get_payload_len(answer) < sizeof(*info))
        return -EPROTO;
    if (info->ifi_index != port->index)
        return 0;
    return mnl_attr_parse(answer, sizeof(*info), match_master, port) < 0 ? -EPROTO : 0;
}

int segment_is_port(struct netlink *nl, int index, bool *is)
{
    struct port port = {.index = index};
    int status = netlink_list(nl, RTM_GETLINK, match_port, &port);
    *is = port.has_master;
    return status;
}

struct addresses {
    int index;
    bool any;
};

static int match_index(const struct nlmsghdr *answer, void *ctx)
{
    struct addresses *addresses = ctx;
    const struct ifaddrmsg *address = mnl_nlmsg_get_payload(answer);
    if (mnl_nlmsg_get_payload_len(answer) < sizeof(*address))
        return -EPROTO;
    bool link_local = address->ifa_family == AF_INET6 && address->ifa_scope == RT_SCOPE_LINK;
    if ((int)address->ifa_index == addresses->index && !link_local)
        addresses->any = true;
    return 0;
}

int segment_has_address(struct netlink *nl, int index, bool *has)
{
    struct addresses addresses = {.index = index};
    int status = netlink_list(nl, RTM_GETADDR, match_index, &addresses);
    *has = addresses.any;
    return status;
}

int segment_move(struct netlink *nl, int index, int namespace_fd)
{
    struct netlink_request request;
    netlink_begin(&request, index);
    mnl_attr_put_u32(request.header, IFLA_NET_NS_FD, (uint32_t)namespace_fd);
    return netlink_ask(nl, &request);
}

static int set_isolated(struct netlink *nl, int index)
{
    struct netlink_request request;
    netlink_begin(&request, index);
    request.header->nlmsg_type = RTM_SETLINK;
    request.info->ifi_family = AF_BRIDGE;
    struct nlattr *port = mnl_attr_nest_start(request.header, IFLA_PROTINFO | NLA_F_NESTED);
    mnl_attr_put_u8(request.header, IFLA_BRPORT_ISOLATED, 1);
    mnl_attr_nest_end(request.header, port);
    return netlink_ask(nl, &request);
}

int segment_join(struct netlink *nl, int index, int bridge, bool isolated, const char **step)
{
    struct netlink_request request;
    *step = "join the segment's bridge";
    netlink_begin(&request, index);
    mnl_attr_put_u32(request.header, IFLA_MASTER, (uint32_t)bridge);
    int status = netlink_ask(nl, &request);
    if (status == 0 && isolated) {
        *step = "isolate the ports from one another (workstation.isolate_clients = no goes without)";
        status = set_isolated(nl, index);
    }
    if (status != 0)
        return status;
    *step = "bring the interface up";
    netlink_begin(&request, index);
    request.info->ifi_flags = IFF_UP;
    request.info->ifi_change = IFF_UP;
    return netlink_ask(nl, &request);
}
