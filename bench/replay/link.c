/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load/common.h"

#define OFFLOAD 10u
#define ETHERNET 14u
#define ARP_FRAME 42u
#define FRAME_MAX (65536u + 64u)
#define RECEIVE_BUFFER (64 << 20)
#define DEVICE_WAIT_NS 30000000000ull
#define ARP_TRIES 50

static uint8_t frames_in[LINK_BATCH][FRAME_MAX];

static int open_in(const char *netns)
{
    int here = -1;
    if (netns != NULL) {
        here = check(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), "/proc/self/ns/net");
        int there = check(open(netns, O_RDONLY | O_CLOEXEC), netns);
        check(setns(there, CLONE_NEWNET), netns);
        close(there);
    }
    int fd = check(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "a packet socket");
    if (netns != NULL) {
        check(setns(here, CLONE_NEWNET), "back to the first network namespace");
        close(here);
    }
    return fd;
}

/* Index and kind of the device, once it is up. */
static void find_device(struct link *link, const char *name)
{
    struct ifreq request = {0};
    uint64_t end = now_ns() + DEVICE_WAIT_NS;
    if (strlen(name) >= sizeof(request.ifr_name))
        die("%s: too long for the name of a device", name);
    strcpy(request.ifr_name, name);
    while (ioctl(link->fd, SIOCGIFFLAGS, &request) != 0 || (request.ifr_flags & IFF_UP) == 0) {
        if (now_ns() > end)
            die("%s: no such device, or it is down", name);
        usleep(10000);
    }
    check(ioctl(link->fd, SIOCGIFINDEX, &request), name);
    link->ifindex = request.ifr_ifindex;
    check(ioctl(link->fd, SIOCGIFHWADDR, &request), name);
    link->ethernet = request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
    if (!link->ethernet && request.ifr_hwaddr.sa_family != ARPHRD_NONE)
        die("%s: neither TUN nor TAP", name);
    memcpy(link->mac, request.ifr_hwaddr.sa_data, 6);
}

static void send_arp(const struct link *link, uint16_t operation, const uint8_t to_mac[6], uint32_t to)
{
    uint8_t frame[ARP_FRAME] = {0};
    memcpy(frame, to_mac, 6);
    memcpy(frame + 6, link->mac, 6);
    be16_store(frame + 12, ETHERTYPE_ARP);
    memcpy(frame + 14, (uint8_t[]){0, 1, 8, 0, 6, 4}, 6);
    be16_store(frame + 20, operation);
    memcpy(frame + 22, link->mac, 6);
    be32_store(frame + 28, link->client);
    if (operation == ARPOP_REPLY)
        memcpy(frame + 32, to_mac, 6);
    be32_store(frame + 38, to);
    if (send(link->fd, frame, sizeof(frame), 0) < 0 && errno != ENOBUFS)
        check(-1, "send an ARP packet");
}

/* True if it tells the gateway's MAC address. */
static bool take_arp(struct link *link, struct bytes frame)
{
    const uint8_t *p = bytes_take(&frame, ARP_FRAME);
    if (p == NULL)
        return false;
    uint32_t sender = be32_load(p + 28), target = be32_load(p + 38);
    if (be16_load(p + 20) == ARPOP_REQUEST && target == link->client)
        send_arp(link, ARPOP_REPLY, p + 22, sender);
    if (sender != link->gateway)
        return false;
    memcpy(link->peer, p + 22, 6);
    return true;
}

static uint32_t receive_frames(const struct link *link, struct bytes *frames)
{
    static struct mmsghdr messages[LINK_BATCH];
    static struct iovec iov[LINK_BATCH];
    for (uint32_t i = 0; i < LINK_BATCH; i++) {
        iov[i] = (struct iovec){.iov_base = frames_in[i], .iov_len = FRAME_MAX};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    int n = recvmmsg(link->fd, messages, LINK_BATCH, MSG_DONTWAIT, NULL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        check(n, "the device");
    for (int i = 0; i < n; i++)
        frames[i] = bytes_of(frames_in[i], messages[i].msg_len);
    return n > 0 ? (uint32_t)n : 0;
}

static void ask_for_gateway(struct link *link)
{
    static const uint8_t everybody[6] = {255, 255, 255, 255, 255, 255};
    struct bytes frames[LINK_BATCH];
    for (int i = 0; i < ARP_TRIES; i++) {
        struct pollfd wait = {.fd = link->fd, .events = POLLIN};
        send_arp(link, ARPOP_REQUEST, everybody, link->gateway);
        for (uint64_t end = now_ns() + 100000000; now_ns() < end;) {
            poll(&wait, 1, 10);
            uint32_t n = receive_frames(link, frames);
            for (uint32_t k = 0; k < n; k++) {
                if (frames[k].left >= ETHERNET && be16_load(frames[k].at + 12) == ETHERTYPE_ARP &&
                    take_arp(link, frames[k]))
                    return;
            }
        }
    }
    die("the gateway did not answer ARP for its address");
}

void link_open(struct link *link, const struct replay_options *options)
{
    int size = RECEIVE_BUFFER, yes = 1;
    *link = (struct link){.fd = open_in(options->netns), .client = options->client, .gateway = options->gateway};
    find_device(link, options->device);
    if (setsockopt(link->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
        setsockopt(link->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    check(setsockopt(link->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)), "PACKET_IGNORE_OUTGOING");
    struct sockaddr_ll at = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = link->ifindex};
    check(bind(link->fd, (struct sockaddr *)&at, sizeof(at)), options->device);
    if (link->ethernet)
        ask_for_gateway(link);
}

/* Whether this is a whole packet of TCP over IPv4. */
static bool is_ours(const struct bytes *ip)
{
    if (ip->left < 40 || ip->at[0] >> 4 != 4 || ip->at[9] != IPPROTO_TCP)
        return false;
    size_t header = (ip->at[0] & 15u) * 4u, total = be16_load(ip->at + 2);
    if (header < 20 || total > ip->left || total < header + 20)
        return false;
    size_t tcp = (ip->at[header + 12] >> 4) * 4u;
    return tcp >= 20 && header + tcp <= total;
}

uint32_t link_receive(struct link *link, struct bytes *ip)
{
    struct bytes frames[LINK_BATCH];
    uint32_t n = receive_frames(link, frames), count = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct bytes frame = frames[i];
        if (link->ethernet) {
            const uint8_t *header = bytes_take(&frame, ETHERNET);
            if (header == NULL)
                continue;
            if (be16_load(header + 12) == ETHERTYPE_ARP)
                take_arp(link, frames[i]);
            if (be16_load(header + 12) != ETHERTYPE_IP)
                continue;
        }
        if (is_ours(&frame))
            ip[count++] = frame;
    }
    return count;
}

uint32_t link_send(struct link *link, const struct bytes *frames, uint32_t count)
{
    static struct mmsghdr messages[LINK_BATCH];
    static struct iovec iov[LINK_BATCH];
    const size_t skip = OFFLOAD + (link->ethernet ? 0 : ETHERNET);
    for (uint32_t i = 0; i < count; i++) {
        iov[i] =
            (struct iovec){.iov_base = (void *)(uintptr_t)(frames[i].at + skip), .iov_len = frames[i].left - skip};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    int n = sendmmsg(link->fd, messages, count, MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
        check(n, "the device");
    return n > 0 ? (uint32_t)n : 0;
}
