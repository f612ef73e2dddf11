/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For a bridge, one table of nf_tables with one chain without a rule, at the ingress of the bridge device, whose policy is
 * to drop. For a device that somebody may yet put into a bridge of his own, which an ingress chain would keep from
 * working, the chain is where packets enter IPv4 and IPv6, before their options are looked at, and has a rule.
 *
 * nf_tables takes requests in batches: all of it or nothing. Each request is acknowledged by itself; the answer to the
 * last, or an error, ends the reading.
 */
#include "tun/bridge_wall.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH_MAX 1024u
#define CHAIN "ingress"
#define TABLE_NAME_MAX (sizeof("cloister_") + IFNAMSIZ)
#define BEFORE_ALL (-500)    /* priority: before anything else that looks at this device's ingress */
#define TABLE_F_OWNER 0x2u   /* Linux 5.12; headers may be older */
#define TABLE_F_PERSIST 0x4u /* Linux 6.9 */
/* Of the groups 00 to 0f: the kernel lets a bridge say nothing of 00, 01 and 02, and a port nothing of 01. 00 goes from
 * port to port if STP is off, 01 (PAUSE) is dropped by every bridge. */
#define GROUPS_OF_BRIDGE 0xfff8u
#define GROUPS_OF_PORT 0xfffdu

static struct nlmsghdr *put(struct mnl_nlmsg_batch *batch, uint16_t type, uint16_t flags, uint8_t family,
                            uint16_t resource, uint32_t sequence)
{
    struct nlmsghdr *header = mnl_nlmsg_put_header(mnl_nlmsg_batch_current(batch));
    header->nlmsg_type = type;
    header->nlmsg_flags = NLM_F_REQUEST | flags;
    header->nlmsg_seq = sequence;
    struct nfgenmsg *generic = mnl_nlmsg_put_extra_header(header, sizeof(*generic));
    generic->nfgen_family = family;
    generic->version = NFNETLINK_V0;
    generic->res_id = htons(resource);
    return header;
}

/* Where it stands. */
struct place {
    uint8_t family; /* NFPROTO_NETDEV: at the ingress of the device; NFPROTO_INET: in front of the IP stack */
    const char *device;
    uint32_t index; /* of the device */
};

static struct nlmsghdr *put_request(struct mnl_nlmsg_batch *batch, const struct place *place, uint16_t what,
                                    uint16_t flags, uint32_t sequence)
{
    return put(batch, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | what), NLM_F_ACK | flags, place->family, 0, sequence);
}

static void put_chain(struct nlmsghdr *header, const char *table, const struct place *place)
{
    const bool ingress = place->family == NFPROTO_NETDEV;
    mnl_attr_put_strz(header, NFTA_CHAIN_TABLE, table);
    mnl_attr_put_strz(header, NFTA_CHAIN_NAME, CHAIN);
    mnl_attr_put_strz(header, NFTA_CHAIN_TYPE, "filter");
    mnl_attr_put_u32(header, NFTA_CHAIN_POLICY, htonl(ingress ? NF_DROP : NF_ACCEPT));
    struct nlattr *hook = mnl_attr_nest_start(header, NFTA_CHAIN_HOOK);
    mnl_attr_put_u32(header, NFTA_HOOK_HOOKNUM, htonl(ingress ? NF_NETDEV_INGRESS : NF_INET_PRE_ROUTING));
    mnl_attr_put_u32(header, NFTA_HOOK_PRIORITY, htonl((uint32_t)BEFORE_ALL));
    if (ingress)
        mnl_attr_put_strz(header, NFTA_HOOK_DEV, place->device);
    mnl_attr_nest_end(header, hook);
}

static struct nlattr *begin_expression(struct nlmsghdr *header, const char *name, struct nlattr **data)
{
    struct nlattr *element = mnl_attr_nest_start(header, NFTA_LIST_ELEM);
    mnl_attr_put_strz(header, NFTA_EXPR_NAME, name);
    *data = mnl_attr_nest_start(header, NFTA_EXPR_DATA);
    return element;
}

static void end_expression(struct nlmsghdr *header, struct nlattr *element, struct nlattr *data)
{
    mnl_attr_nest_end(header, data);
    mnl_attr_nest_end(header, element);
}

/* "iif INDEX drop" */
static void put_rule(struct nlmsghdr *header, const char *table, uint32_t index)
{
    struct nlattr *element, *data;
    mnl_attr_put_strz(header, NFTA_RULE_TABLE, table);
    mnl_attr_put_strz(header, NFTA_RULE_CHAIN, CHAIN);
    struct nlattr *list = mnl_attr_nest_start(header, NFTA_RULE_EXPRESSIONS);
    element = begin_expression(header, "meta", &data);
    mnl_attr_put_u32(header, NFTA_META_DREG, htonl(NFT_REG_1));
    mnl_attr_put_u32(header, NFTA_META_KEY, htonl(NFT_META_IIF));
    end_expression(header, element, data);
    element = begin_expression(header, "cmp", &data);
    mnl_attr_put_u32(header, NFTA_CMP_SREG, htonl(NFT_REG_1));
    mnl_attr_put_u32(header, NFTA_CMP_OP, htonl(NFT_CMP_EQ));
    struct nlattr *value = mnl_attr_nest_start(header, NFTA_CMP_DATA);
    mnl_attr_put_u32(header, NFTA_DATA_VALUE, index);
    mnl_attr_nest_end(header, value);
    end_expression(header, element, data);
    element = begin_expression(header, "immediate", &data);
    mnl_attr_put_u32(header, NFTA_IMMEDIATE_DREG, htonl(NFT_REG_VERDICT));
    value = mnl_attr_nest_start(header, NFTA_IMMEDIATE_DATA);
    struct nlattr *verdict = mnl_attr_nest_start(header, NFTA_DATA_VERDICT);
    mnl_attr_put_u32(header, NFTA_VERDICT_CODE, htonl(NF_DROP));
    mnl_attr_nest_end(header, verdict);
    mnl_attr_nest_end(header, value);
    end_expression(header, element, data);
    mnl_attr_nest_end(header, list);
}

/* Read one answer after the other until that of request `last`. Those before `first` are of an earlier batch. */
static int read_acks(struct netlink *wall, uint32_t first, uint32_t last)
{
    char buffer[4096];
    for (;;) {
        ssize_t n = mnl_socket_recvfrom(wall->socket, buffer, sizeof(buffer));
        if (n < 0)
            return -errno;
        int left = (int)n;
        for (struct nlmsghdr *at = (struct nlmsghdr *)(void *)buffer; mnl_nlmsg_ok(at, left);
             at = mnl_nlmsg_next(at, &left)) {
            const struct nlmsgerr *said = mnl_nlmsg_get_payload(at);
            if (at->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(at) < sizeof(*said) ||
                at->nlmsg_seq < first)
                continue;
            if (said->error != 0 || at->nlmsg_seq == last)
                return said->error;
        }
    }
}

/* End the batch, whose last request has the number `last`, send it, and free it. */
static int finish(struct netlink *wall, struct mnl_nlmsg_batch *batch, uint32_t first, uint32_t last)
{
    int status = 0;
    wall->sequence = last + 1;
    put(batch, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, wall->sequence);
    mnl_nlmsg_batch_next(batch);
    if (mnl_socket_sendto(wall->socket, mnl_nlmsg_batch_head(batch), mnl_nlmsg_batch_size(batch)) < 0)
        status = -errno;
    mnl_nlmsg_batch_stop(batch);
    return status != 0 ? status : read_acks(wall, first, last);
}

static void name_table(char out[TABLE_NAME_MAX], const char *bridge)
{
    snprintf(out, TABLE_NAME_MAX, "cloister_%.*s", (int)IFNAMSIZ - 1, bridge);
}

/* A batch that makes the table, with these flags, and takes one that is there away in the same moment if it is to
 * `replace` it: between two batches, frames would come through. */
static int ask(struct netlink *wall, const struct place *place, bool replace, uint32_t flags)
{
    char buffer[BATCH_MAX], table[TABLE_NAME_MAX];
    uint32_t sequence = wall->sequence;
    name_table(table, place->device);
    struct mnl_nlmsg_batch *batch = mnl_nlmsg_batch_start(buffer, sizeof(buffer));
    if (batch == NULL)
        return -ENOMEM;
    put(batch, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, ++sequence);
    mnl_nlmsg_batch_next(batch);
    const uint32_t first = sequence;
    if (replace) {
        mnl_attr_put_strz(put_request(batch, place, NFT_MSG_DELTABLE, 0, ++sequence), NFTA_TABLE_NAME, table);
        mnl_nlmsg_batch_next(batch);
    }
    struct nlmsghdr *header = put_request(batch, place, NFT_MSG_NEWTABLE, NLM_F_CREATE, ++sequence);
    mnl_attr_put_strz(header, NFTA_TABLE_NAME, table);
    mnl_attr_put_u32(header, NFTA_TABLE_FLAGS, htonl(flags));
    mnl_nlmsg_batch_next(batch);
    put_chain(put_request(batch, place, NFT_MSG_NEWCHAIN, NLM_F_CREATE, ++sequence), table, place);
    mnl_nlmsg_batch_next(batch);
    if (place->family == NFPROTO_INET) {
        put_rule(put_request(batch, place, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, ++sequence), table,
                 place->index);
        mnl_nlmsg_batch_next(batch);
    }
    return finish(wall, batch, first, sequence);
}

/* The same, whether an earlier run left one or not. */
static int build(struct netlink *wall, const struct place *place, uint32_t flags, bool *found)
{
    int status = ask(wall, place, true, flags);
    *found = status != -ENOENT;
    return status == -ENOENT ? ask(wall, place, false, flags) : status;
}

static int open_wall(struct netlink *wall)
{
    *wall = (struct netlink){.socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC)};
    if (wall->socket == NULL)
        return errno == EPROTONOSUPPORT ? -EOPNOTSUPP : -errno;
    return mnl_socket_bind(wall->socket, 0, MNL_SOCKET_AUTOPID) == 0 ? 0 : -errno;
}

int bridge_wall_build(struct netlink *wall, const char *bridge, bool *stays, bool *found)
{
    const struct place place = {.family = NFPROTO_NETDEV, .device = bridge};
    int status = open_wall(wall);
    if (status == 0)
        status = build(wall, &place, TABLE_F_OWNER | TABLE_F_PERSIST, found);
    *stays = status == 0;
    if (status == -EOPNOTSUPP || status == -EINVAL)
        status = build(wall, &place, TABLE_F_OWNER, found);
    if (status != 0)
        bridge_wall_close(wall);
    return status;
}

int bridge_wall_build_behind(struct netlink *wall, const char *device)
{
    const struct place place = {.family = NFPROTO_INET, .device = device, .index = if_nametoindex(device)};
    bool found;
    if (place.index == 0)
        return -errno;
    int status = open_wall(wall);
    if (status == 0)
        status = build(wall, &place, TABLE_F_OWNER, &found);
    if (status != 0)
        bridge_wall_close(wall);
    return status;
}

void bridge_wall_take_down(struct netlink *wall, const char *bridge)
{
    const struct place place = {.family = NFPROTO_NETDEV, .device = bridge};
    char buffer[BATCH_MAX], table[TABLE_NAME_MAX];
    uint32_t sequence = wall->sequence;
    name_table(table, bridge);
    struct mnl_nlmsg_batch *batch = mnl_nlmsg_batch_start(buffer, sizeof(buffer));
    if (batch == NULL)
        return;
    put(batch, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, ++sequence);
    mnl_nlmsg_batch_next(batch);
    mnl_attr_put_strz(put_request(batch, &place, NFT_MSG_DELTABLE, 0, ++sequence), NFTA_TABLE_NAME, table);
    mnl_nlmsg_batch_next(batch);
    finish(wall, batch, sequence, sequence);
}

struct look {
    int index;
    bool is_bridge;
    struct bridge_groups groups;
};

static int take_data(const struct nlattr *attr, void *ctx)
{
    struct look *look = ctx;
    if (mnl_attr_get_type(attr) == IFLA_BR_GROUP_FWD_MASK && mnl_attr_validate(attr, MNL_TYPE_U16) >= 0)
        look->groups.forwarded = mnl_attr_get_u16(attr);
    if (mnl_attr_get_type(attr) == IFLA_BR_STP_STATE && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
        look->groups.stp = mnl_attr_get_u32(attr);
    return MNL_CB_OK;
}

/* The kind comes before its data. */
static int take_kind(const struct nlattr *attr, void *ctx)
{
    struct look *look = ctx;
    if (mnl_attr_get_type(attr) == IFLA_INFO_KIND && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
        look->is_bridge = strcmp(mnl_attr_get_str(attr), "bridge") == 0;
    if (mnl_attr_get_type(attr) == IFLA_INFO_DATA && look->is_bridge)
        return mnl_attr_parse_nested(attr, take_data, look);
    return MNL_CB_OK;
}

static int take_link(const struct nlattr *attr, void *ctx)
{
    return mnl_attr_get_type(attr) == IFLA_LINKINFO ? mnl_attr_parse_nested(attr, take_kind, ctx) : MNL_CB_OK;
}

static int look_at_link(const struct nlmsghdr *answer, void *ctx)
{
    struct look *look = ctx;
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(answer);
    if (mnl_nlmsg_get_payload_len(answer) < sizeof(*info))
        return -EPROTO;
    if (info->ifi_index != look->index)
        return 0;
    return mnl_attr_parse(answer, sizeof(*info), take_link, look) < 0 ? -EPROTO : 0;
}

int bridge_wall_look_at_groups(struct netlink *route, int bridge, struct bridge_groups *out)
{
    struct look look = {.index = bridge};
    int status = netlink_list(route, RTM_GETLINK, look_at_link, &look);
    *out = look.groups;
    return status == 0 && !look.is_bridge ? -EOPNOTSUPP : status;
}

int bridge_wall_pass_groups(struct netlink *route, int bridge)
{
    return bridge_wall_set_groups(route, bridge, &(struct bridge_groups){.forwarded = GROUPS_OF_BRIDGE});
}

int bridge_wall_set_groups(struct netlink *route, int bridge, const struct bridge_groups *groups)
{
    struct netlink_request request;
    netlink_begin(&request, bridge);
    struct nlattr *link = mnl_attr_nest_start(request.header, IFLA_LINKINFO);
    mnl_attr_put_strz(request.header, IFLA_INFO_KIND, "bridge");
    struct nlattr *data = mnl_attr_nest_start(request.header, IFLA_INFO_DATA);
    mnl_attr_put_u16(request.header, IFLA_BR_GROUP_FWD_MASK, groups->forwarded);
    mnl_attr_put_u32(request.header, IFLA_BR_STP_STATE, groups->stp != 0);
    mnl_attr_nest_end(request.header, data);
    mnl_attr_nest_end(request.header, link);
    return netlink_ask(route, &request);
}

int bridge_wall_pass_groups_of_port(struct netlink *route, int port)
{
    struct netlink_request request;
    netlink_begin(&request, port);
    request.header->nlmsg_type = RTM_SETLINK;
    request.info->ifi_family = AF_BRIDGE;
    struct nlattr *attributes = mnl_attr_nest_start(request.header, IFLA_PROTINFO | NLA_F_NESTED);
    mnl_attr_put_u16(request.header, IFLA_BRPORT_GROUP_FWD_MASK, GROUPS_OF_PORT);
    mnl_attr_nest_end(request.header, attributes);
    return netlink_ask(route, &request);
}

void bridge_wall_close(struct netlink *wall)
{
    netlink_close(wall);
}
