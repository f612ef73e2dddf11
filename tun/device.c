/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tun/frame.h"
#include "tun/gather.h"

static const char device_path[] = "/dev/net/tun";

/* A name that the kernel takes as it is: not empty, not too long, no pattern ("tap%d") and no path. */
static bool name_is_good(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n < IFNAMSIZ && strpbrk(name, "%/: \t\n") == NULL && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

/* The most that the kernel agrees to, tried from the best down. Failure is not an error: 0 means plain frames. */
static unsigned agree_offload(int fd)
{
    static const struct {
        unsigned ours, kernels;
    } wishes[] = {
        {DEVICE_OFFLOAD_CSUM | DEVICE_OFFLOAD_TSO4 | DEVICE_OFFLOAD_TSO6, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6},
        {DEVICE_OFFLOAD_CSUM | DEVICE_OFFLOAD_TSO4, TUN_F_CSUM | TUN_F_TSO4},
        {DEVICE_OFFLOAD_CSUM, TUN_F_CSUM},
    };
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)wishes[i].kernels) == 0)
            return wishes[i].ours;
    }
    return 0;
}

/* A TAP with this name and, beside what all have, these flags. */
static int make_tap(struct device *device, const char *name, int flags, const char **step)
{
    int header_len = FRAME_OFFLOAD_LEN;
    *step = "open /dev/net/tun";
    int fd = open(device_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;

    /* EXCL: never attach to a device that somebody else made and may keep open. */
    *step = "create the TAP device";
    struct ifreq request = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL | flags)};
    memcpy(request.ifr_name, name, strlen(name));
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        goto fail;

    *step = "set the length of the TAP device's offload header";
    if (ioctl(fd, TUNSETVNETHDRSZ, &header_len) < 0)
        goto fail;

    *step = "";
    device->fd = fd;
    memcpy(device->name, request.ifr_name, IFNAMSIZ);
    return 0;

fail:;
    int err = -errno;
    close(fd);
    return err;
}

/* One that gathers. Without what gather_begin() sets, IFF_NAPI would be a cost without a gain. */
static bool make_gathering(struct device *device, const char *name)
{
    const char *step;
    if (make_tap(device, name, IFF_NAPI, &step) != 0)
        return false;
    if (gather_begin(name) == 0)
        return true;
    close(device->fd); /* the name is free again */
    device->fd = -1;
    return false;
}

int device_open(struct device *device, const char *name, bool offload, const char **step)
{
    *device = (struct device){.fd = -1};
    *step = "check the name of the device";
    if (!name_is_good(name))
        return -EINVAL;
    if (!offload && make_gathering(device, name)) {
        *step = "";
        device->offload = DEVICE_GATHERS;
        return 0;
    }
    int status = make_tap(device, name, 0, step);
    if (status == 0 && offload)
        device->offload = agree_offload(device->fd);
    return status;
}

const char *device_advice(int error)
{
    switch (error) {
    case -EINVAL:
        return "a name has 1 to 15 letters, digits, '-', '_' or '.'";
    case -ENOENT:
    case -ENODEV:
    case -ENXIO:
        return "the kernel has no TUN/TAP driver: modprobe tun";
    case -EPERM:
    case -EACCES:
        return "it takes root, or CAP_NET_ADMIN in this network namespace";
    case -EBUSY:
        return "an interface of that name exists: choose another, or remove it with ip link del";
    default:
        return NULL;
    }
}

int device_send(int fd, const struct iovec *iov, int count)
{
    /* syscalls gateway: writev */
    while (writev(fd, iov, count) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}
