/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In the program cloister-fault, which is cloister with this linked in (start.py): more calls that may fail, and where
 * the plan comes from. Its processes have neither arguments nor an environment of ours, so the plan is a file beside
 * the program: ROLE KINDS N. Each process reads it before main(), and if it has the role, its N-th call fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "fault.h"

/* --- the plan --- */

static const char *own_role(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--role=", 7) == 0)
            return argv[i] + 7;
    }
    return "supervisor";
}

static void read_plan(int argc, char **argv)
{
    char path[512], role[32];
    struct fault_plan plan = {.tell = true};
    unsigned long long nth = 0;
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("/plan"));
    if (n <= 0)
        return;
    path[n] = '\0';
    memcpy(strrchr(path, '/'), "/plan", sizeof("/plan"));
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    bool whole = fscanf(file, "%31s %u %llu", role, &plan.kinds, &nth) == 3;
    fclose(file);
    if (!whole || strcmp(role, own_role(argc, argv)) != 0)
        return;
    plan.nth = plan.seed = nth;
    fault_begin(&plan);
    fault_switch(true);
}

/* The C library hands these over as it does to main(). */
__attribute__((section(".init_array"), used)) static void (*const before_main)(int, char **) = read_plan;

/* --- what returns -1 and sets errno --- */

#define WRAP(type, name, hard, soft, parameters, arguments)                                                        \
    type __real_##name parameters;                                                                                 \
    type __wrap_##name parameters;                                                                                 \
    type __wrap_##name parameters                                                                                  \
    {                                                                                                              \
        if (fault_fails(#name, (hard), (soft)))                                                                    \
            return -1;                                                                                             \
        return __real_##name arguments;                                                                            \
    }

WRAP(int, socketpair, EMFILE, false, (int family, int type, int protocol, int fds[2]),
     (family, type, protocol, fds))
WRAP(int, mount, ENOMEM, false,
     (const char *from, const char *to, const char *type, unsigned long flags, const void *data),
     (from, to, type, flags, data))
WRAP(int, umount2, EBUSY, false, (const char *at, int flags), (at, flags))
WRAP(int, unshare, ENOSPC, false, (int flags), (flags))
WRAP(int, setns, ENOMEM, false, (int fd, int type), (fd, type))
WRAP(int, setrlimit, EPERM, false, (__rlimit_resource_t what, const struct rlimit *limit), (what, limit))
WRAP(int, setresuid, EAGAIN, false, (uid_t a, uid_t b, uid_t c), (a, b, c))
WRAP(int, setresgid, EPERM, false, (gid_t a, gid_t b, gid_t c), (a, b, c))
WRAP(int, setgroups, ENOMEM, false, (size_t n, const gid_t *groups), (n, groups))
WRAP(int, sethostname, EPERM, false, (const char *name, size_t n), (name, n))
WRAP(int, setdomainname, EPERM, false, (const char *name, size_t n), (name, n))
WRAP(int, mkdir, ENOSPC, false, (const char *path, mode_t mode), (path, mode))
WRAP(int, chdir, ENOMEM, false, (const char *path), (path))
WRAP(int, stat, ENOMEM, false, (const char *path, struct stat *st), (path, st))
WRAP(int, fstat, ENOMEM, false, (int fd, struct stat *st), (fd, st))
WRAP(pid_t, setsid, EPERM, false, (void), ())
WRAP(int, dup2, EMFILE, false, (int from, int to), (from, to))
WRAP(int, poll, ENOMEM, true, (struct pollfd * fds, nfds_t n, int ms), (fds, n, ms))
WRAP(ssize_t, recvmsg, 0, true, (int fd, struct msghdr *message, int flags), (fd, message, flags))
WRAP(ssize_t, pread, ENOMEM, true, (int fd, void *to, size_t n, off_t at), (fd, to, n, at))
WRAP(ssize_t, write, ENOSPC, true, (int fd, const void *from, size_t n), (fd, from, n))

struct mnl_socket;
WRAP(int, mnl_socket_bind, ENOMEM, false, (struct mnl_socket * nl, unsigned groups, pid_t pid), (nl, groups, pid))
WRAP(int, mnl_socket_setsockopt, ENOBUFS, false, (const struct mnl_socket *nl, int type, void *value, socklen_t n),
     (nl, type, value, n))
WRAP(ssize_t, mnl_socket_sendto, ENOBUFS, true, (const struct mnl_socket *nl, const void *from, size_t n),
     (nl, from, n))
WRAP(ssize_t, mnl_socket_recvfrom, ENOBUFS, true, (const struct mnl_socket *nl, void *to, size_t n), (nl, to, n))

/* With more arguments than are declared. */
#define REST(type, from)                                                                                           \
    va_list rest;                                                                                                  \
    va_start(rest, from);                                                                                          \
    type argument = va_arg(rest, type);                                                                            \
    va_end(rest)

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_openat(int at, const char *path, int flags, ...);
int __wrap_openat(int at, const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

int __wrap_open(const char *path, int flags, ...)
{
    REST(mode_t, flags);
    return fault_fails("open", EMFILE, false) ? -1 : __real_open(path, flags, argument);
}

int __wrap_openat(int at, const char *path, int flags, ...)
{
    REST(mode_t, flags);
    return fault_fails("openat", EMFILE, false) ? -1 : __real_openat(at, path, flags, argument);
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    REST(void *, request);
    return fault_fails("ioctl", ENOMEM, false) ? -1 : __real_ioctl(fd, request, argument);
}

int __wrap_fcntl(int fd, int command, ...)
{
    REST(long, command);
    return fault_fails("fcntl", EAGAIN, false) ? -1 : __real_fcntl(fd, command, argument);
}

int __wrap_prctl(int option, ...)
{
    unsigned long a[4];
    va_list rest;
    va_start(rest, option);
    for (unsigned i = 0; i < 4; i++)
        a[i] = va_arg(rest, unsigned long);
    va_end(rest);
    /* Of each loop over all capabilities, the first ones. */
    bool counts = (option != PR_CAPBSET_READ && option != PR_CAPBSET_DROP) || a[0] < 2;
    return counts && fault_fails("prctl", EPERM, false) ? -1 : __real_prctl(option, a[0], a[1], a[2], a[3]);
}

long __wrap_syscall(long number, ...)
{
    long a[6];
    va_list rest;
    va_start(rest, number);
    for (unsigned i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
    return fault_fails("syscall", ENOMEM, false) ? -1 : __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* --- what returns a negative errno, or NULL --- */

#define WRAP_STATUS(name, error, parameters, arguments)                                                            \
    int __real_##name parameters;                                                                                  \
    int __wrap_##name parameters;                                                                                  \
    int __wrap_##name parameters                                                                                   \
    {                                                                                                              \
        if (fault_fails(#name, -(error), false))                                                                   \
            return (error);                                                                                        \
        return __real_##name arguments;                                                                            \
    }

WRAP_STATUS(uv_loop_init, UV_EMFILE, (uv_loop_t * loop), (loop))
WRAP_STATUS(uv_poll_init, UV_EMFILE, (uv_loop_t * loop, uv_poll_t *handle, int fd), (loop, handle, fd))
WRAP_STATUS(uv_poll_start, UV_ENOMEM, (uv_poll_t * handle, int events, uv_poll_cb cb), (handle, events, cb))
WRAP_STATUS(uv_signal_init, UV_EMFILE, (uv_loop_t * loop, uv_signal_t *handle), (loop, handle))
WRAP_STATUS(uv_signal_start, UV_ENOMEM, (uv_signal_t * handle, uv_signal_cb cb, int signum), (handle, cb, signum))
WRAP_STATUS(seccomp_attr_set, -ENOMEM, (scmp_filter_ctx ctx, enum scmp_filter_attr what, uint32_t value),
            (ctx, what, value))
WRAP_STATUS(seccomp_load, -ENOMEM, (scmp_filter_ctx ctx), (ctx))

int __real_seccomp_rule_add_array(scmp_filter_ctx ctx, uint32_t action, int call, unsigned n,
                                  const struct scmp_arg_cmp *compare);
int __wrap_seccomp_rule_add_array(scmp_filter_ctx ctx, uint32_t action, int call, unsigned n,
                                  const struct scmp_arg_cmp *compare);

int __wrap_seccomp_rule_add_array(scmp_filter_ctx ctx, uint32_t action, int call, unsigned n,
                                  const struct scmp_arg_cmp *compare)
{
    static unsigned calls; /* of the loop over all rules, the first ones */
    return calls++ < 3 && fault_fails("seccomp_rule_add_array", ENOMEM, false)
               ? -ENOMEM
               : __real_seccomp_rule_add_array(ctx, action, call, n, compare);
}

struct mnl_socket *__real_mnl_socket_open2(int bus, int flags);
struct mnl_socket *__wrap_mnl_socket_open2(int bus, int flags);

struct mnl_socket *__wrap_mnl_socket_open2(int bus, int flags)
{
    return fault_fails("mnl_socket_open2", EMFILE, false) ? NULL : __real_mnl_socket_open2(bus, flags);
}

scmp_filter_ctx __real_seccomp_init(uint32_t action);
scmp_filter_ctx __wrap_seccomp_init(uint32_t action);

scmp_filter_ctx __wrap_seccomp_init(uint32_t action)
{
    return fault_fails("seccomp_init", ENOMEM, false) ? NULL : __real_seccomp_init(action);
}
