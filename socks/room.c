/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks/room.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int socks_room_resize(int fd, uint32_t bytes)
{
    /* syscalls gateway: setsockopt(_,SOL_SOCKET,SO_SNDBUF) */
    int size = (int)bytes;
    return setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0 ? -errno : 0;
}

int socks_room_capacity(int fd, uint32_t *bytes)
{
    int size = 0;
    socklen_t len = sizeof(size);
    *bytes = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) < 0)
        return -errno;
    *bytes = (uint32_t)size;
    return 0;
}

/* What writing `n` bytes can cost at most. A small message is rounded up to a power of two, its head included; a
 * large one is cut into pieces of no less than 32 KiB, each with a head of its own and whole pages. */
static uint32_t cost_of(size_t n)
{
    size_t cost = n < 3072 ? 2 * n + 1024 : n + (n / 32768 + 1) * 8704;
    return cost < UINT32_MAX / 2 ? (uint32_t)cost : UINT32_MAX / 2;
}

size_t socks_room_left(const struct socks_room *room, uint32_t capacity)
{
    return room->used < capacity ? (capacity - room->used) / 2 : 0;
}

void socks_room_ask(struct socks_room *room, int fd)
{
    int charged = 0;
    /* syscalls gateway: ioctl(_,SIOCOUTQ) */
    if (ioctl(fd, SIOCOUTQ, &charged) == 0 && charged >= 0)
        room->used = (uint32_t)charged;
}

void socks_room_wrote(struct socks_room *room, uint32_t capacity, int fd, size_t n)
{
    uint32_t cost = cost_of(n);
    room->used = room->used < UINT32_MAX - cost ? room->used + cost : UINT32_MAX;
    if (room->used <= capacity / 2)
        return;
    socks_room_ask(room, fd);
    room->low = room->used > capacity / 4;
}

void socks_room_filled(struct socks_room *room, uint32_t capacity)
{
    room->used = capacity;
    room->low = true;
}

bool socks_room_drained(struct socks_room *room, uint32_t capacity)
{
    bool waited = room->low;
    if (room->used > capacity / 4)
        room->used = capacity / 4;
    room->low = false;
    return waited;
}
