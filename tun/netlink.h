/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions to the kernel about its network (rtnetlink), on a socket that is opened once: its network namespace is that
 * of the opener, wherever the opener goes. */
#ifndef CLOISTER_TUN_NETLINK_H
#define CLOISTER_TUN_NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#define NETLINK_REQUEST_MAX 512u /* bytes of a request */

struct mnl_socket;

struct netlink {
    struct mnl_socket *socket; /* owned; NULL when closed */
    uint32_t sequence;         /* of the last request */
};

/* A request under construction: `header` first. */
struct netlink_request {
    _Alignas(struct nlmsghdr) char buffer[NETLINK_REQUEST_MAX];
    struct nlmsghdr *header;
    struct ifinfomsg *info;
};

/* Open a socket in the namespace of the caller. 0 or negative errno. */
int netlink_open(struct netlink *nl);

/* The same, for news of the groups RTNLGRP_... listed, ended by 0. It does not block. */
int netlink_open_news(struct netlink *nl, const unsigned *groups);

int netlink_fd(const struct netlink *nl);

void netlink_close(struct netlink *nl);

/* Begin a request of type RTM_NEWLINK about the interface with this index, 0 for a new one. */
void netlink_begin(struct netlink_request *request, int index);

/* Send a request and wait for the kernel's verdict. 0 or negative errno. */
int netlink_ask(struct netlink *nl, struct netlink_request *request);

/* Ask for all objects of a kind (RTM_GETADDR ...), and call `each` for the payload of every answer, until it returns
 * non-zero. 0, or negative errno, or what `each` returned. */
int netlink_list(struct netlink *nl, uint16_t type, int (*each)(const struct nlmsghdr *answer, void *ctx),
                 void *ctx);

/* Take all news that is there and forget it. 0, also if some was lost, or negative errno. */
int netlink_drain(struct netlink *nl);

#endif
