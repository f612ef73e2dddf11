/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "leaktest/frame.h"

#define ROOM (64 << 20) /* bytes that may wait to be read */

int wire_open(struct wire *w, unsigned interface)
{
    struct sockaddr_ll where = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)interface};
    int room = ROOM, send = 1 << 20;
    *w = (struct wire){.fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (w->fd < 0)
        return -errno;
    setsockopt(w->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
    setsockopt(w->fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof(send));
    if (bind(w->fd, (const struct sockaddr *)&where, sizeof(where)) == 0)
        return 0;
    int status = -errno;
    wire_close(w);
    return status;
}

void wire_close(struct wire *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

int wire_read(struct wire *w, uint8_t *out, struct wire_frame *frame)
{
    struct sockaddr_ll from = {0};
    socklen_t length = sizeof(from);
    ssize_t n = recvfrom(w->fd, out, WIRE_MAX, 0, (struct sockaddr *)&from, &length);
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return 0;
        /* An interface that goes down says so once, and others go on. */
        return errno == ENETDOWN ? 0 : -errno;
    }
    frame->interface = (unsigned)from.sll_ifindex;
    frame->outgoing = from.sll_pkttype == PACKET_OUTGOING;
    frame->ethernet =
        (from.sll_hatype == ARPHRD_ETHER || from.sll_hatype == ARPHRD_LOOPBACK) && n >= (ssize_t)FRAME_HEAD;
    frame->type = ntohs(from.sll_protocol);
    frame->n = (size_t)n;
    return 1;
}

int wire_send(struct wire *w, const uint8_t *frame, size_t n)
{
    if (send(w->fd, frame, n, 0) >= 0)
        return 0;
    return errno == ENOBUFS || errno == EINTR ? -EAGAIN : -errno;
}

void wire_count(struct wire *w)
{
    struct tpacket_stats stats;
    socklen_t length = sizeof(stats);
    if (getsockopt(w->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &length) == 0)
        w->missed += stats.tp_drops;
}

static int open_namespace(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int wire_namespace(void)
{
    return open_namespace("/proc/self/ns/net");
}

int wire_namespace_of(pid_t pid)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
    return open_namespace(path);
}

int wire_namespace_new(void)
{
    int home = wire_namespace();
    if (home < 0)
        return home;
    int made = unshare(CLONE_NEWNET) == 0 ? wire_namespace() : -errno;
    int status = wire_enter(home);
    close(home);
    if (status == 0 || made < 0)
        return made;
    close(made);
    return status;
}

int wire_enter(int namespace)
{
    return setns(namespace, CLONE_NEWNET) == 0 ? 0 : -errno;
}

static int ask(const char *interface, unsigned long what, struct ifreq *request)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", interface);
    int status = ioctl(fd, what, request) == 0 ? 0 : -errno;
    close(fd);
    return status;
}

int wire_mac(const char *interface, uint8_t mac[6])
{
    struct ifreq request = {0};
    int status = ask(interface, SIOCGIFHWADDR, &request);
    if (status == 0)
        memcpy(mac, request.ifr_hwaddr.sa_data, 6);
    return status;
}

int wire_mtu(const char *interface, uint32_t *mtu)
{
    struct ifreq request = {0};
    int status = ask(interface, SIOCGIFMTU, &request);
    if (status == 0)
        *mtu = (uint32_t)request.ifr_mtu;
    return status;
}
