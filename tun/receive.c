/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/receive.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tun/frame.h"

#define FRAME_ALIGN 64u /* frames begin at cache lines, so that their IP header is aligned to eight bytes */

int receive_init(struct receive *receive, size_t size)
{
    if (size < FRAME_MAX)
        return -EINVAL;
    void *buffer = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (buffer == MAP_FAILED)
        return -errno;
    receive->buffer = buffer;
    receive->size = size;
    receive->high = 0;
    receive->count = 0;
    return 0;
}

void receive_fini(struct receive *receive)
{
    munmap(receive->buffer, receive->size);
    receive->buffer = NULL;
    receive->count = 0;
}

int receive_batch(struct receive *receive, int fd)
{
    size_t used = 0;
    receive->count = 0;
    /* syscalls gateway: read */
    while (receive->count < RECEIVE_FRAMES && receive->size - used >= FRAME_MAX) {
        ssize_t n = read(fd, receive->buffer + used, FRAME_MAX);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && receive->count == 0)
            return -errno;
        if (n <= 0)
            break;
        receive->frame[receive->count++] = bytes_of(receive->buffer + used, (size_t)n);
        used += ((size_t)n + FRAME_ALIGN - 1) & ~(size_t)(FRAME_ALIGN - 1);
    }
    if (used > receive->high)
        receive->high = used;
    return (int)receive->count;
}

void receive_settle(struct receive *receive)
{
    if (receive->high == 0)
        return;
    madvise(receive->buffer, receive->high, MADV_DONTNEED);
    receive->high = 0;
    receive->count = 0;
}
