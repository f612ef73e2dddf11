/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much more a UNIX stream socket will take, without asking the kernel each time.
 *
 * The kernel accepts a send while the memory charged to the socket (payload, plus about 1 KiB for each message, in
 * whole pages when large) is below SO_SNDBUF, and the last message may go beyond it. So an upper bound of that
 * memory is kept: what each write can have cost at most is added, and the kernel is asked (SIOCOUTQ) only when the
 * bound passes half of the buffer. What is promised is half of what is left, because a message can cost twice its
 * payload.
 *
 * That room has come back is told by an edge of epoll (EPOLLOUT): the kernel wakes writers when it frees memory and
 * at most a quarter of the buffer is in use. After an answer that found more in use than that, an edge is sure to
 * come; only then is it waited for (`low`).
 */
#ifndef CLOISTER_SOCKS_ROOM_H
#define CLOISTER_SOCKS_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Have a socket hold about `bytes`, as far as net.core.wmem_max allows. 0 or negative errno. */
int socks_room_resize(int fd, uint32_t bytes);

/* What it holds: SO_SNDBUF as getsockopt() tells it. 0 or negative errno. */
int socks_room_capacity(int fd, uint32_t *bytes);

/* Zeroed for a new socket. */
struct socks_room {
    uint32_t used; /* upper bound of the memory charged to the socket, bytes */
    bool low;      /* an edge will come, and the owner waits for it */
};

/* Bytes that a write could take now. `capacity` is what socks_room_capacity() says, here and below. */
size_t socks_room_left(const struct socks_room *room, uint32_t capacity);

/* Let the kernel say how much is in use. */
void socks_room_ask(struct socks_room *room, int fd);

/* `n` bytes were written to `fd`, all that were offered. */
void socks_room_wrote(struct socks_room *room, uint32_t capacity, int fd, size_t n);

/* Less was taken than was offered: nothing more goes until the edge. */
void socks_room_filled(struct socks_room *room, uint32_t capacity);

/* The edge came. True if it was waited for. */
bool socks_room_drained(struct socks_room *room, uint32_t capacity);

#endif
