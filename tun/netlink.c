/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER_MAX 32768u /* bytes of one part of a list, as the kernel makes them */

static int open_socket(struct netlink *nl, int flags)
{
    *nl = (struct netlink){.socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags)};
    if (nl->socket == NULL)
        return -errno;
    if (mnl_socket_bind(nl->socket, 0, MNL_SOCKET_AUTOPID) == 0)
        return 0;
    int status = -errno;
    netlink_close(nl);
    return status;
}

int netlink_open(struct netlink *nl)
{
    return open_socket(nl, 0);
}

int netlink_open_news(struct netlink *nl, const unsigned *groups)
{
    int status = open_socket(nl, SOCK_NONBLOCK);
    for (; status == 0 && *groups != 0; groups++) {
        int group = (int)*groups;
        if (mnl_socket_setsockopt(nl->socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
            status = -errno;
    }
    if (status != 0)
        netlink_close(nl);
    return status;
}

int netlink_fd(const struct netlink *nl)
{
    return mnl_socket_get_fd(nl->socket);
}

void netlink_close(struct netlink *nl)
{
    if (nl->socket != NULL)
        mnl_socket_close(nl->socket);
    nl->socket = NULL;
}

void netlink_begin(struct netlink_request *request, int index)
{
    memset(request, 0, sizeof(*request));
    request->header = mnl_nlmsg_put_header(request->buffer);
    request->header->nlmsg_type = RTM_NEWLINK;
    request->header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    request->info = mnl_nlmsg_put_extra_header(request->header, sizeof(*request->info));
    request->info->ifi_family = AF_UNSPEC;
    request->info->ifi_index = index;
}

/* Read answers to the last request until the kernel has said all. */
static int read_answers(struct netlink *nl, mnl_cb_t each, void *ctx)
{
    static char buffer[ANSWER_MAX];
    int status;
    /* syscalls supervisor: recvmsg */
    /* syscalls keeper: recvmsg */
    do {
        ssize_t n = mnl_socket_recvfrom(nl->socket, buffer, sizeof(buffer));
        if (n < 0 && errno == EINTR) {
            status = MNL_CB_OK;
            continue;
        }
        if (n < 0)
            return -errno;
        status = mnl_cb_run(buffer, (size_t)n, nl->sequence, mnl_socket_get_portid(nl->socket), each, ctx);
    } while (status > MNL_CB_STOP);
    return status < 0 ? -errno : 0;
}

static int send_request(struct netlink *nl, struct nlmsghdr *header)
{
    header->nlmsg_seq = ++nl->sequence;
    /* syscalls supervisor: sendto */
    /* syscalls keeper: sendto */
    while (mnl_socket_sendto(nl->socket, header, header->nlmsg_len) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

int netlink_ask(struct netlink *nl, struct netlink_request *request)
{
    int status = send_request(nl, request->header);
    return status != 0 ? status : read_answers(nl, NULL, NULL);
}

struct listing {
    int (*each)(const struct nlmsghdr *answer, void *ctx);
    void *ctx;
    int status;
};

static int take_answer(const struct nlmsghdr *answer, void *ctx)
{
    struct listing *listing = ctx;
    if (listing->status == 0)
        listing->status = listing->each(answer, listing->ctx);
    return MNL_CB_OK; /* to the end, or the rest would answer the next request */
}

int netlink_list(struct netlink *nl, uint16_t type, int (*each)(const struct nlmsghdr *answer, void *ctx),
                 void *ctx)
{
    struct netlink_request request;
    struct listing listing = {.each = each, .ctx = ctx};
    netlink_begin(&request, 0);
    request.header->nlmsg_type = type;
    request.header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    int status = send_request(nl, request.header);
    if (status == 0)
        status = read_answers(nl, take_answer, &listing);
    return status != 0 ? status : listing.status;
}

int netlink_drain(struct netlink *nl)
{
    static char buffer[ANSWER_MAX];
    for (;;) {
        ssize_t n = mnl_socket_recvfrom(nl->socket, buffer, sizeof(buffer));
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (n < 0 && errno != EINTR && errno != ENOBUFS && errno != ENOSPC)
            return -errno;
    }
}
