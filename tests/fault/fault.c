/* SPDX-License-Identifier: BSD-3-Clause */
#include "fault.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../unit/random.h"

#define WATCHED_MAX 65536 /* descriptors */
#define VECTORS_MAX 128

static struct fault_plan plan;
static struct random dice;
static bool on;
static uint64_t struck, passed;
static int64_t memory;
static char last[64];
static const struct fault_device *device;

/* Where each descriptor is watched edge-triggered. */
static struct watched {
    int epoll; /* + 1; 0: nowhere */
    struct epoll_event event;
} watched[WATCHED_MAX];

void fault_begin(const struct fault_plan *p)
{
    plan = *p;
    dice = (struct random){p->seed};
    on = false;
    struck = passed = 0;
    last[0] = '\0';
}

void fault_switch(bool state)
{
    on = state;
}

uint64_t fault_struck(void)
{
    return struck;
}

uint64_t fault_passed(void)
{
    return passed;
}

const char *fault_last(void)
{
    return last;
}

void fault_set_device(const struct fault_device *d)
{
    device = d;
}

int64_t fault_memory(void)
{
    return memory;
}

/* In the program of start_calls.c, write() is one that may fail. */
static bool telling;

/* Does this call fail, given that it could in one of these ways? */
static bool strikes(const char *call, unsigned kinds)
{
    if (!on || telling || (plan.kinds & kinds) == 0)
        return false;
    passed++;
    bool hit = plan.nth != 0 ? passed == plan.nth : random_below(&dice, 1000000) < plan.chance;
    if (hit) {
        struck++;
        int n = snprintf(last, sizeof(last), "fault: %s, %llu\n", call, (unsigned long long)passed);
        telling = true;
        if (plan.tell)
            (void)!write(STDERR_FILENO, last, (size_t)n);
        telling = false;
        last[n - 1] = '\0';
    }
    return hit;
}

/* A call that fails for want of something, or is interrupted. */
bool fault_fails(const char *call, int hard, bool interruptible)
{
    if (!strikes(call, (hard != 0 ? FAULT_HARD : 0u) | (interruptible ? FAULT_SOFT : 0u)))
        return false;
    bool soft = interruptible && (plan.kinds & FAULT_SOFT) != 0 &&
                (hard == 0 || (plan.kinds & FAULT_HARD) == 0 || random_below(&dice, 2) == 0);
    errno = soft ? EINTR : hard;
    return true;
}

/* What becomes of a transfer of `want` bytes on a stream: true if it fails with errno; else *take bytes may go. */
static bool transfer_fails(const char *call, int fd, int hard, size_t want, size_t *take)
{
    *take = want;
    if (!strikes(call, FAULT_SOFT | (hard != 0 ? FAULT_HARD : 0u)))
        return false;
    if (hard != 0 && (plan.kinds & FAULT_HARD) != 0 &&
        ((plan.kinds & FAULT_SOFT) == 0 || random_below(&dice, 2) == 0)) {
        errno = hard;
        return true;
    }
    if (random_below(&dice, 3) == 0) {
        errno = EINTR;
        return true;
    }
    struct watched *w = fd < WATCHED_MAX ? &watched[fd] : NULL;
    if (w == NULL || w->epoll == 0) {
        errno = EINTR; /* no stream of that kind */
        return true;
    }
    (void)!epoll_ctl(w->epoll - 1, EPOLL_CTL_MOD, fd, &w->event);
    if (want > 1 && random_below(&dice, 2) == 0) {
        *take = 1 + random_below(&dice, (uint32_t)(want - 1));
        return false;
    }
    errno = EAGAIN;
    return true;
}

/* --- memory --- */

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t n);

void *__wrap_malloc(size_t n)
{
    void *p = NULL;
    if (strikes("malloc", FAULT_MEMORY))
        errno = ENOMEM;
    else
        p = __real_malloc(n);
    memory += p != NULL;
    return p;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *p = NULL;
    if (strikes("calloc", FAULT_MEMORY))
        errno = ENOMEM;
    else
        p = __real_calloc(count, size);
    memory += p != NULL;
    return p;
}

void *__wrap_realloc(void *old, size_t n)
{
    if (strikes("realloc", FAULT_MEMORY)) {
        errno = ENOMEM;
        return NULL;
    }
    void *p = __real_realloc(old, n);
    memory += old == NULL && p != NULL;
    return p;
}

void __wrap_free(void *p)
{
    memory -= p != NULL;
    __real_free(p);
}

void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
    if (strikes("mmap", FAULT_MEMORY)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *p = __real_mmap(at, n, prot, flags, fd, offset);
    memory += p != MAP_FAILED;
    return p;
}

int __wrap_munmap(void *at, size_t n)
{
    int status = __real_munmap(at, n);
    memory -= status == 0;
    return status;
}

/* --- descriptors --- */

/* WRAP(what it returns, its name, errno for want of something or 0, may it be interrupted?, parameters, arguments) */
#define WRAP(type, name, hard, interruptible, parameters, arguments)                                               \
    type __real_##name parameters;                                                                                 \
    type __wrap_##name parameters;                                                                                 \
    type __wrap_##name parameters                                                                                  \
    {                                                                                                              \
        if (fault_fails(#name, (hard), (interruptible)))                                                           \
            return -1;                                                                                             \
        return __real_##name arguments;                                                                            \
    }

WRAP(int, socket, EMFILE, false, (int family, int type, int protocol), (family, type, protocol))
WRAP(int, setsockopt, ENOBUFS, false, (int fd, int level, int name, const void *value, socklen_t n),
     (fd, level, name, value, n))
WRAP(int, getsockopt, ENOBUFS, false, (int fd, int level, int name, void *value, socklen_t *n),
     (fd, level, name, value, n))
WRAP(int, connect, ENOBUFS, false, (int fd, const struct sockaddr *to, socklen_t n), (fd, to, n))
WRAP(int, accept4, EMFILE, true, (int fd, struct sockaddr *from, socklen_t *n, int flags), (fd, from, n, flags))
WRAP(int, epoll_create1, EMFILE, false, (int flags), (flags))
WRAP(ssize_t, getrandom, 0, true, (void *to, size_t n, unsigned flags), (to, n, flags))
WRAP(int, epoll_wait, 0, true, (int fd, struct epoll_event *events, int n, int ms), (fd, events, n, ms))

int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    /* Only one more costs anything. */
    if (op == EPOLL_CTL_ADD && fault_fails("epoll_ctl", ENOSPC, false))
        return -1;
    int status = __real_epoll_ctl(epoll, op, fd, event);
    if (status == 0 && op != EPOLL_CTL_DEL && fd < WATCHED_MAX && ((uint32_t)event->events & EPOLLET) != 0)
        watched[fd] = (struct watched){.epoll = epoll + 1, .event = *event};
    return status;
}

int __wrap_close(int fd)
{
    if (fd >= 0 && fd < WATCHED_MAX)
        watched[fd].epoll = 0;
    return __real_close(fd);
}

/* --- the TAP: it takes a frame, or it does not, and gives whole ones --- */

ssize_t __real_writev(int fd, const struct iovec *iov, int count);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int count);
ssize_t __real_read(int fd, void *to, size_t n);
ssize_t __wrap_read(int fd, void *to, size_t n);
ssize_t __wrap___read_chk(int fd, void *to, size_t n, size_t size);

ssize_t __wrap_writev(int fd, const struct iovec *iov, int count)
{
    if (fault_fails("writev", ENOBUFS, true))
        return -1;
    return device != NULL && fd == device->fd ? device->write(device->ctx, iov, count)
                                              : __real_writev(fd, iov, count);
}

ssize_t __wrap_read(int fd, void *to, size_t n)
{
    if (fault_fails("read", 0, true))
        return -1;
    return device != NULL && fd == device->fd ? device->read(device->ctx, to, n) : __real_read(fd, to, n);
}

ssize_t __wrap___read_chk(int fd, void *to, size_t n, size_t size)
{
    if (n > size)
        abort();
    return __wrap_read(fd, to, n);
}

/* --- streams --- */

ssize_t __real_send(int fd, const void *from, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *from, size_t n, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __real_recv(int fd, void *to, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t n, int flags);
ssize_t __real___recv_chk(int fd, void *to, size_t n, size_t size, int flags);
ssize_t __wrap___recv_chk(int fd, void *to, size_t n, size_t size, int flags);
ssize_t __real_readv(int fd, const struct iovec *iov, int count);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int count);

ssize_t __wrap_send(int fd, const void *from, size_t n, int flags)
{
    /* What is sent so is a request, into the buffer of a new socket: there is room, but there may be no memory. */
    if (fault_fails("send", ENOBUFS, false))
        return -1;
    return __real_send(fd, from, n, flags);
}

ssize_t __wrap_recv(int fd, void *to, size_t n, int flags)
{
    size_t take;
    if (transfer_fails("recv", fd, 0, n, &take))
        return -1;
    return __real_recv(fd, to, take, flags);
}

ssize_t __wrap___recv_chk(int fd, void *to, size_t n, size_t size, int flags)
{
    size_t take;
    if (transfer_fails("recv", fd, 0, n, &take))
        return -1;
    return __real___recv_chk(fd, to, take, size, flags);
}

static size_t total(const struct iovec *iov, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += iov[i].iov_len;
    return n;
}

/* The first `take` bytes of a list of buffers. Returns how many buffers that is. */
static size_t cut(const struct iovec *iov, size_t count, size_t take, struct iovec out[VECTORS_MAX])
{
    size_t k = 0;
    for (; k < count && k < VECTORS_MAX && take > 0; k++) {
        out[k] = iov[k];
        if (out[k].iov_len > take)
            out[k].iov_len = take;
        take -= out[k].iov_len;
    }
    return k;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct iovec some[VECTORS_MAX];
    struct msghdr less = *message;
    size_t take, want = total(message->msg_iov, message->msg_iovlen);
    if (transfer_fails("sendmsg", fd, ENOBUFS, want, &take))
        return -1;
    if (take < want) {
        less.msg_iov = some;
        less.msg_iovlen = cut(message->msg_iov, message->msg_iovlen, take, some);
    }
    return __real_sendmsg(fd, &less, flags);
}

ssize_t __wrap_readv(int fd, const struct iovec *iov, int count)
{
    struct iovec some[VECTORS_MAX];
    size_t take, want = total(iov, (size_t)count);
    if (transfer_fails("readv", fd, 0, want, &take))
        return -1;
    if (take < want)
        return __real_readv(fd, some, (int)cut(iov, (size_t)count, take, some));
    return __real_readv(fd, iov, count);
}
