/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls, role by role
 * ==========================
 *
 * Where they come from. Nobody keeps a list of all the calls that a program makes; lists that are kept in one place
 * rot. So each is declared beside the code that makes it, in a comment of one line that begins with the word syscalls
 * (cmake/syscalls.cmake has the syntax), and the build collects them into a table per role. Whoever adds a call sees
 * the line above it; whoever removes one takes its line away too.
 *
 * What a declaration cannot see is what libraries do of their own accord. That is declared here for the C library, and
 * beside the loops for libuv. Libraries differ: a C library may take epoll_pwait for epoll_wait, or the call with 64-bit
 * time for the one without. `siblings` has those that do the same; a rule for one is a rule for all of its row. A name
 * that this architecture does not know is no rule.
 *
 * What a violation does. It kills: a process that makes a call it does not know of is not ours any more. Not so with Tor,
 * whose calls depend on its version, its libraries and the transports it starts: there the call fails with ENOSYS, as on
 * a kernel that is older, and programs know how to live with that. Tor's list has what a network client needs, and lacks
 * what leads to other processes' memory, to mounts, namespaces, modules, keys, tracing and the newer ways into the
 * kernel.
 *
 * Tor has a filter of its own, Sandbox 1, which it puts up when it has read its configuration. It is finer than ours, for
 * it knows which files Tor opens, and it works with all that we ask of Tor: a control connection by descriptor, a SOCKS
 * socket in a directory, DisableNetwork taken back later. What it forbids is to start another program, so Tor refuses
 * a configuration with both Sandbox and a transport of its own to start. So it is on (tor.sandbox), unless the torrc
 * starts a transport or there are onion services, whose directories Tor looks at again later; and ours is beneath it in any case, from before Tor's first line runs.
 *
 * Conditions compare 32 bits of an argument, which is all that the kernel looks at in an int. What they guard:
 *
 *   socket   only AF_UNIX and SOCK_STREAM in the gateway: no packet, no netlink, no datagram to another process
 *   mmap, mprotect   never executable: what is injected as data stays data
 *   ioctl    how much a socket holds, and nothing that speaks to a device
 *
 * libuv of some versions sets up io_uring, behind which a filter does not see; it is told not to (UV_USE_IO_URING), and
 * the filter has no call for it.
 */
#include "daemon/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/filter_rules.h"

/* The C library: memory, threads' locks, time, the way out, and an assertion's last words. */
/* syscalls all: brk munmap mremap futex restart_syscall rt_sigreturn exit exit_group getrandom */
/* syscalls all: clock_gettime clock_getres gettimeofday time getpid gettid tgkill rt_sigprocmask rt_sigaction */
/* syscalls gateway: mmap(_,_,PROT_READ|PROT_WRITE) mmap(_,_,PROT_NONE) mprotect(_,_,PROT_READ|PROT_WRITE) */
/* syscalls gateway: madvise(_,_,MADV_DONTNEED) madvise(_,_,MADV_FREE) */
/* syscalls supervisor: mmap(_,_,PROT_READ|PROT_WRITE) mmap(_,_,PROT_NONE) mprotect(_,_,PROT_READ|PROT_WRITE) */
/* syscalls supervisor: madvise(_,_,MADV_DONTNEED) madvise(_,_,MADV_FREE) */
/* syscalls keeper: mmap(_,_,PROT_READ|PROT_WRITE) mmap(_,_,PROT_NONE) mprotect(_,_,PROT_READ|PROT_WRITE) */

/* Of a sanitizer or of coverage, when it reports: its files may not be there. */
/* syscalls extra: open openat readlink readlinkat getdents64 lseek fstat newfstatat stat lstat access mkdir fcntl */
/* syscalls extra: mmap mprotect madvise sigaltstack sched_yield sched_getaffinity getrlimit prlimit64 prctl */
/* syscalls extra: personality uname clone wait4 ptrace process_vm_readv pipe2 ioctl getppid getuid geteuid close */
/* syscalls extra: getcwd unlink ftruncate set_robust_list rseq clock_nanosleep nanosleep read write writev */

#define SIBLINGS_MAX 4u

static const char *const siblings[][SIBLINGS_MAX] = {
    {"epoll_wait", "epoll_pwait", "epoll_pwait2"},
    {"poll", "ppoll", "ppoll_time64"},
    {"select", "pselect6", "pselect6_time64", "_newselect"},
    {"tgkill", "tkill"},
    {"mmap", "mmap2"},
    {"fcntl", "fcntl64"},
    {"fstat", "fstat64"},
    {"clock_gettime", "clock_gettime64"},
    {"clock_getres", "clock_getres_time64"},
    {"clock_nanosleep", "clock_nanosleep_time64"},
    {"futex", "futex_time64"},
    {"sendto", "send"},
    {"recvfrom", "recv"},
    {"getrlimit", "ugetrlimit"},
    {"sigreturn", "rt_sigreturn"},
    {"stat", "stat64"},
};

static const struct filter_rule *const tables[FILTER_ROLES] = {
    [FILTER_GATEWAY] = filter_rules_gateway,
    [FILTER_SUPERVISOR] = filter_rules_supervisor,
    [FILTER_KEEPER] = filter_rules_keeper,
    [FILTER_TOR] = filter_rules_tor,
};

static int add_call(scmp_filter_ctx ctx, const char *call, const struct filter_rule *rule)
{
    struct scmp_arg_cmp compare[FILTER_CONDITIONS_MAX];
    int number = seccomp_syscall_resolve_name(call);
    if (number == __NR_SCMP_ERROR)
        return 0; /* older or newer than the library */
    for (unsigned i = 0; i < rule->count; i++)
        compare[i] = SCMP_CMP64(rule->condition[i].index, SCMP_CMP_MASKED_EQ, rule->condition[i].mask,
                                rule->condition[i].value);
    return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, number, rule->count, compare);
}

static int add_rule(scmp_filter_ctx ctx, const struct filter_rule *rule)
{
    int status = add_call(ctx, rule->call, rule);
    for (size_t i = 0; status == 0 && i < sizeof(siblings) / sizeof(siblings[0]); i++) {
        bool in = false;
        for (size_t k = 0; k < SIBLINGS_MAX && siblings[i][k] != NULL; k++)
            in = in || strcmp(siblings[i][k], rule->call) == 0;
        for (size_t k = 0; in && status == 0 && k < SIBLINGS_MAX && siblings[i][k] != NULL; k++) {
            if (strcmp(siblings[i][k], rule->call) != 0)
                status = add_call(ctx, siblings[i][k], rule);
        }
    }
    return status;
}

/* Since Linux 4.14. libseccomp would only say that something is wrong. */
static int kernel_can_kill(void)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 ? 0 : -errno;
}

int filter_load(enum filter_role role)
{
    int status = kernel_can_kill();
    if (status != 0)
        return status;
    scmp_filter_ctx ctx = seccomp_init(role == FILTER_TOR ? SCMP_ACT_ERRNO(ENOSYS) : SCMP_ACT_KILL_PROCESS);
    if (ctx == NULL)
        return -ENOMEM;
    /* A call of another architecture kills always: that is libseccomp's default. */
    status = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (status == 0)
        status = seccomp_attr_set(ctx, SCMP_FLTATR_API_SYSRAWRC, 1); /* the kernel's own errno */
    for (const struct filter_rule *rule = tables[role]; status == 0 && rule->call != NULL; rule++)
        status = add_rule(ctx, rule);
    if (status == 0)
        status = seccomp_load(ctx);
    seccomp_release(ctx);
    return status;
}

bool filter_allows(enum filter_role role, const char *call)
{
    for (const struct filter_rule *rule = tables[role]; rule->call != NULL; rule++) {
        if (strcmp(rule->call, call) == 0)
            return true;
    }
    return false;
}
