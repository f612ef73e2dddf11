/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls that fail on purpose.
 *
 * The linker puts these in the place of allocations and system calls (--wrap, see CMakeLists.txt) of everything that is
 * linked into a test program, libraries of the system aside. While a plan is on, one call, or some by chance, fail as
 * the kernel could have let them fail.
 *
 * What is said of a stream that is watched edge-triggered must stay true: the kernel never says EAGAIN while there is
 * something, nor takes less than there is room for, without telling of it later. So after such a lie the descriptor
 * is armed again in its epoll, and an event follows.
 */
#ifndef CLOISTER_TESTS_FAULT_H
#define CLOISTER_TESTS_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What may fail, or'ed. */
enum fault_kind {
    FAULT_MEMORY = 1 << 0, /* an allocation: ENOMEM */
    FAULT_HARD = 1 << 1,   /* a system call, for want of descriptors, buffers or memory */
    FAULT_SOFT = 1 << 2,   /* a system call, so that it is to be done again: EINTR, EAGAIN, half of it */
};

struct fault_plan {
    unsigned kinds;  /* set of enum fault_kind */
    uint64_t nth;    /* the n-th call that could fail in one of these ways does, from 1; 0: by chance */
    uint32_t chance; /* of each call, per million */
    uint64_t seed;   /* of that */
    bool tell;       /* say on standard error which call failed */
};

/* Calls fail by this plan from now on; counting begins anew. */
void fault_begin(const struct fault_plan *plan);

/* While this is off, calls neither fail nor count. It is off at first, and after fault_begin(). */
void fault_switch(bool on);

/* How many calls failed since fault_begin(), and how many could have. */
uint64_t fault_struck(void);
uint64_t fault_passed(void);

/* The name of the call that failed last, and how; static. */
const char *fault_last(void);

/* What reads and writes whole frames in the place of a TAP: as read(2) and writev(2), with errno. */
struct fault_device {
    int fd;
    ssize_t (*read)(void *ctx, void *to, size_t n);
    ssize_t (*write)(void *ctx, const struct iovec *iov, int count);
    void *ctx;
};

/* Ask `device` instead of the kernel about its descriptor. NULL: no more. Borrowed. */
void fault_set_device(const struct fault_device *device);

/* For what stands in the place of more calls (start_calls.c): does this one fail, with errno set? `hard` is the errno for
 * want of something, or 0; `soft`: it may be interrupted. */
bool fault_fails(const char *call, int hard, bool soft);

/* Allocations and mappings that were made and not given back, by what is linked in. */
int64_t fault_memory(void);

#endif
