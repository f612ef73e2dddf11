/* SPDX-License-Identifier: BSD-3-Clause */
/* The TAP device: made by the supervisor, used by the gateway process through its descriptor. */
#ifndef CLOISTER_TUN_DEVICE_H
#define CLOISTER_TUN_DEVICE_H

#include <net/if.h>
#include <stdbool.h>
#include <sys/uio.h>

/* What the link does for us, and what it expects us to take. */
enum device_offload {
    DEVICE_OFFLOAD_CSUM = 1, /* partial checksums, both ways */
    DEVICE_OFFLOAD_TSO4 = 2, /* merged TCP segments, both ways, IPv4 */
    DEVICE_OFFLOAD_TSO6 = 4, /* the same, IPv6 */
    DEVICE_GATHERS = 8, /* none of these, but segments out wait for the next of their flow, up to one with PSH */
};

struct device {
    int fd;              /* non-blocking, close-on-exec; the device lives as long as it and its copies */
    unsigned offload;    /* enum device_offload, or'ed: what was agreed on */
    char name[IFNAMSIZ]; /* as the kernel has it */
};

/* Create the TAP `name` in the network namespace of the caller; down, not persistent. It must not exist yet. With
 * `offload` false, or on a kernel that refuses, frames carry an offload header all the same, but an empty one. With
 * `offload` false the kernel is asked to gather them (gather.h); that it does not is no error. Needs CAP_NET_ADMIN. 0, or a
 * negative errno with *step set to a static text that says what failed: -EINVAL (name), -ENOENT (no /dev/net/tun), -EPERM
 * or -EACCES, -EBUSY (the name is taken). */
int device_open(struct device *device, const char *name, bool offload, const char **step);

/* What a user can do about an error of device_open(): a static sentence, or NULL if there is none. */
const char *device_advice(int error);

/* Send one frame, offload header first, in one system call. 0, or negative errno: -EAGAIN and -ENOBUFS if the queue
 * is full, -EIO if the interface is down. */
int device_send(int fd, const struct iovec *iov, int count);

#endif
