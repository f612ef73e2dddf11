/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The least that a program on a TAP can do: copy frames from one to another and back. It is the bound for every
 * gateway that reads and writes frames with one system call each.
 *
 *     copier [--tso] NAME NAME     both are made in the namespace it is started in, to be moved where they are needed
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common.h"

#define BATCH 64

static int open_tap(const char *name, bool tso)
{
    int fd = check(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "/dev/net/tun");
    struct ifreq request = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (tso ? IFF_VNET_HDR : 0))};
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    check(ioctl(fd, TUNSETIFF, &request), name);
    if (tso)
        check(ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6), "TUNSETOFFLOAD");
    return fd;
}

/* Copy at most BATCH frames. False if the first one could not be had. */
static bool copy(int from, int to)
{
    static char frame[sizeof(struct virtio_net_hdr) + 65536 + 64];
    for (int i = 0; i < BATCH; i++) {
        ssize_t n = read(from, frame, sizeof(frame));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return i > 0;
        check((int)n, "read from a TAP");
        if (write(to, frame, (size_t)n) < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EIO)
            check(-1, "write to a TAP");
    }
    return true;
}

int main(int argc, char **argv)
{
    bool tso = argc > 1 && strcmp(argv[1], "--tso") == 0;
    if (argc != 3 + (tso ? 1 : 0))
        die("usage: copier [--tso] NAME NAME");
    struct pollfd ends[2];
    for (int i = 0; i < 2; i++)
        ends[i] = (struct pollfd){.fd = open_tap(argv[argc - 2 + i], tso), .events = POLLIN};
    puts("ready");
    fflush(stdout);
    for (;;) {
        check(poll(ends, 2, -1), "poll");
        bool more = true;
        while (more) {
            more = copy(ends[0].fd, ends[1].fd);
            more |= copy(ends[1].fd, ends[0].fd);
        }
    }
}
