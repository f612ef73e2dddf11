/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a link takes no super-segments, each frame is a write of its own, and half of what that costs is the way of the
 * frame through the kernel's IP and TCP, up to waking the reader: more than the system call, the memory and the copy
 * together. Every driver of a real card has that way shared by frames that follow one another (GRO), and so can a TAP with
 * IFF_NAPI. It merges segments of one flow that are in order, full and without PSH, and hands on what it has at the first
 * with PSH (or FIN, RST, URG, a gap), so nothing waits for long if the last that is written has it (push_turns in
 * tcp/engine.h). Whatever the merged frame meets next (a bridge, another TAP, a card) cuts it again if it has to. "ethtool
 * -K DEVICE gro off" ends it.
 *
 * A card interrupts once for many frames. Here each write is an interrupt, after which the kernel hands on everything, unless
 * it was told to hold what has just come: gro_flush_timeout, the time after which it does so at the latest. That timer is
 * set anew with every frame. If it comes before the next tick of the scheduler it is the machine's next interrupt, and to
 * set that costs a virtual machine more than all that is won; behind a tick it costs next to nothing.
 *
 * The setting is a file of sysfs, and sysfs shows the network namespace that its mount was made in; the mount at /sys, if
 * there is one, may be another's or read-only. So this makes one for itself, which is attached nowhere and gone with its
 * descriptor.
 */
#include "tun/gather.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char patience[] = "10000000"; /* nanoseconds, a tick of the slowest clock there is (HZ = 100) */

/* Close, and keep what went wrong before. */
static int done_with(int fd, int status)
{
    close(fd);
    return status;
}

/* A descriptor of a sysfs of the caller's network namespace, or negative errno. */
static int mount_sysfs(void)
{
    int context = (int)syscall(SYS_fsopen, "sysfs", FSOPEN_CLOEXEC);
    if (context < 0)
        return -errno;
    if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return done_with(context, -errno);
    int fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSUID);
    return done_with(context, fd < 0 ? -errno : fd);
}

int gather_begin(const char *name)
{
    char path[sizeof("class/net//gro_flush_timeout") + IFNAMSIZ];
    int n = snprintf(path, sizeof(path), "class/net/%s/gro_flush_timeout", name);
    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    int root = mount_sysfs();
    if (root < 0)
        return root;
    int fd = openat(root, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return done_with(root, -errno);
    int status = write(fd, patience, strlen(patience)) < 0 ? -errno : 0;
    close(fd);
    return done_with(root, status);
}
