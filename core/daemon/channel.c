/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Leads every message. */
struct header {
    uint32_t magic;
    uint32_t type;
};

#define MAGIC 0x636c7374u

/* More than any type has, so that a message with too many is seen as such. */
#define FDS_MAX 4u

static const struct {
    size_t length; /* of the body */
    bool fd;       /* a descriptor comes with it */
} layout[CHANNEL_TYPE_END] = {
    [CHANNEL_GATEWAY_CONFIG] = {sizeof(struct channel_gateway_config), true},
    [CHANNEL_ONION_PORT] = {sizeof(struct channel_onion_port), true},
    [CHANNEL_TOR_CONFIG] = {sizeof(struct channel_tor_config), true},
    [CHANNEL_KEEPER_CONFIG] = {sizeof(struct channel_keeper_config), true},
    [CHANNEL_SEGMENT] = {0, true},
    [CHANNEL_TOR_STATE] = {sizeof(struct channel_tor_state), false},
    [CHANNEL_TOR_LOAD] = {sizeof(struct channel_tor_load), false},
    [CHANNEL_STREAMS_ENDED] = {sizeof(struct channel_streams_ended), false},
    [CHANNEL_ASK_VIEW] = {sizeof(struct view_ask), false},
    [CHANNEL_VIEW] = {sizeof(struct view), false},
    [CHANNEL_COUNTERS] = {sizeof(struct counters), false},
};

_Static_assert(sizeof(((struct channel_message *)NULL)->bytes) >= sizeof(struct channel_gateway_config), "fits");
_Static_assert(sizeof(((struct channel_message *)NULL)->bytes) >= sizeof(struct channel_tor_config), "fits");
_Static_assert(sizeof(((struct channel_message *)NULL)->bytes) >= sizeof(struct counters), "fits");
_Static_assert(sizeof(((struct channel_message *)NULL)->bytes) >= sizeof(struct view), "fits");

int channel_pair(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0 ? 0 : -errno;
}

int channel_send(int end, enum channel_type type, const void *body, int fd)
{
    if (type < CHANNEL_GATEWAY_CONFIG || type >= CHANNEL_TYPE_END || (body != NULL) != (layout[type].length > 0) ||
        (fd >= 0) != layout[type].fd)
        return -EINVAL;

    struct header header = {.magic = MAGIC, .type = (uint32_t)type};
    struct iovec iov[2] = {{&header, sizeof(header)}, {(void *)(uintptr_t)body, layout[type].length}};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.space = {0}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = body != NULL ? 2 : 1};
    if (fd >= 0) {
        msg.msg_control = control.space;
        msg.msg_controllen = sizeof(control.space);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
    }
    ssize_t n;
    /* syscalls gateway: sendmsg */
    /* syscalls supervisor: sendmsg */
    do
        n = sendmsg(end, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == sizeof(header) + layout[type].length ? 0 : -EPROTO;
}

/* The descriptors of a message, so that none is lost whatever came. */
static unsigned take_descriptors(struct msghdr *msg, int fds[FDS_MAX])
{
    unsigned count = 0;
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL; cmsg = CMSG_NXTHDR(msg, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS || cmsg->cmsg_len < CMSG_LEN(0))
            continue;
        size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n && count < FDS_MAX; i++)
            memcpy(&fds[count++], CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
    }
    return count;
}

#define ENDS(array) (memchr((array), '\0', sizeof(array)) != NULL)

static bool onions_are_valid(const struct config_onions *onions)
{
    bool valid = onions->count <= CONFIG_ONIONS_MAX && onions->ports <= CONFIG_ONION_PORTS_MAX &&
                 onions->clients <= CONFIG_ONION_CLIENTS_MAX;
    for (uint32_t i = 0; valid && i < onions->count; i++)
        valid = ENDS(onions->onion[i].name);
    for (uint32_t i = 0; valid && i < onions->ports; i++)
        valid = onions->port[i].onion < onions->count;
    for (uint32_t i = 0; valid && i < onions->clients; i++)
        valid =
            onions->client[i].onion < onions->count && ENDS(onions->client[i].name) && ENDS(onions->client[i].key);
    return valid;
}

static bool others_are_valid(const struct channel_gateway_config *config)
{
    bool valid = config->others < CONFIG_TORS_MAX;
    for (uint32_t i = 0; valid && i < config->others; i++)
        valid = ENDS(config->other_name[i]);
    return valid;
}

static bool body_is_valid(const struct channel_message *m)
{
    switch (m->type) {
    case CHANNEL_GATEWAY_CONFIG:
        return ENDS(m->gateway_config.socket_directory) && ENDS(m->gateway_config.socket_name) &&
               others_are_valid(&m->gateway_config) &&
               m->gateway_config.identity.group_count <= CHANNEL_GROUPS_MAX &&
               m->gateway_config.dhcp_leases.count <= CONFIG_LEASES_MAX &&
               m->gateway_config.stations.count <= CONFIG_STATIONS_MAX &&
               m->gateway_config.onion_ports <= CONFIG_ONION_PORTS_MAX;
    case CHANNEL_ONION_PORT:
        return m->onion_port.onion < CONFIG_ONIONS_MAX;
    case CHANNEL_TOR_CONFIG:
        return ENDS(m->tor_config.data) && ENDS(m->tor_config.socks) && ENDS(m->tor_config.torrc) &&
               ENDS(m->tor_config.onion_directory) && onions_are_valid(&m->tor_config.onions) &&
               m->tor_config.identity.group_count <= CHANNEL_GROUPS_MAX;
    case CHANNEL_KEEPER_CONFIG:
        for (uint32_t i = 0; i < CONFIG_ATTACH_MAX; i++) {
            if (!ENDS(m->keeper_config.attach[i]))
                return false;
        }
        return m->keeper_config.attach_count <= CONFIG_ATTACH_MAX &&
               m->keeper_config.identity.group_count <= CHANNEL_GROUPS_MAX;
    case CHANNEL_VIEW:
        return view_is_valid(&m->view);
    case CHANNEL_STREAMS_ENDED:
        return m->streams_ended.count > 0 && m->streams_ended.count <= CHANNEL_ENDED_MAX;
    default:
        return true;
    }
}

int channel_receive(int end, struct channel_message *message)
{
    struct header header = {0};
    struct iovec iov[2] = {{&header, sizeof(header)}, {message->bytes, sizeof(message->bytes)}};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct msghdr msg = {
        .msg_iov = iov, .msg_iovlen = 2, .msg_control = control.space, .msg_controllen = sizeof(control.space)};
    ssize_t n;
    /* syscalls gateway: recvmsg close */
    /* syscalls supervisor: recvmsg close */
    do
        n = recvmsg(end, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == ECONNRESET ? 0 : -errno;

    int fds[FDS_MAX];
    unsigned count = take_descriptors(&msg, fds);
    if (n == 0 && count == 0)
        return 0;
    message->type = (enum channel_type)header.type;
    message->length = (size_t)n >= sizeof(header) ? (size_t)n - sizeof(header) : 0;
    message->fd = count == 1 ? fds[0] : -1;
    if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 && (size_t)n >= sizeof(header) && header.magic == MAGIC &&
        header.type >= CHANNEL_GATEWAY_CONFIG && header.type < CHANNEL_TYPE_END &&
        message->length == layout[header.type].length && count == (layout[header.type].fd ? 1u : 0u) &&
        body_is_valid(message))
        return 1;

    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    message->fd = -1;
    return -EPROTO;
}
