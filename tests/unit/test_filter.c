/* SPDX-License-Identifier: BSD-3-Clause */
/* Each role's system calls: what was not declared kills, what was declared works, and conditions hold. Every look is
 * from a child of its own, for a filter is for ever. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/filter.h"

#define PASSED 0
#define KILLED SIGSYS
#define REFUSED 100 /* went on, with ENOSYS */
#define NO_FILTER 101

struct probe {
    const char *what;
    long number;
    long args[6];
};

/* What becomes of a child in `role` that makes a call: KILLED, REFUSED, PASSED. */
static int try(enum filter_role role, const struct probe *p)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || filter_load(role) != 0)
            _exit(NO_FILTER);
        long n = syscall(p->number, p->args[0], p->args[1], p->args[2], p->args[3], p->args[4], p->args[5]);
        syscall(SYS_exit_group, n < 0 && errno == ENOSYS ? REFUSED : PASSED);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    int result = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    assert_int_not_equal(result, NO_FILTER);
    return result;
}

static void expect(enum filter_role role, int result, const struct probe *probes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int got = try(role, &probes[i]);
        if (got != result)
            fail_msg("%s: %d, not %d", probes[i].what, got, result);
    }
}

#define EXPECT(role, result, probes) expect(role, result, probes, sizeof(probes) / sizeof((probes)[0]))

/* What somebody would want who has taken a process over. */
static const struct probe wanted[] = {
    {"socket(AF_INET)", SYS_socket, {AF_INET, SOCK_STREAM, 0}},
    {"socket(AF_INET6)", SYS_socket, {AF_INET6, SOCK_DGRAM, 0}},
    {"socket(AF_NETLINK)", SYS_socket, {AF_NETLINK, SOCK_RAW, 0}},
    {"socket(AF_PACKET)", SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
    {"socket(AF_VSOCK)", SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}},
    {"socket(AF_ALG)", SYS_socket, {AF_ALG, SOCK_SEQPACKET, 0}},
    {"socket(AF_UNIX, SOCK_DGRAM)", SYS_socket, {AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0}},
    {"bind", SYS_bind, {-1, 0, 0}},
    {"listen", SYS_listen, {-1, 0}},
    {"execve", SYS_execve, {0, 0, 0}},
    {"execveat", SYS_execveat, {-1, 0, 0, 0, 0}},
    {"clone3", SYS_clone3, {0, 0}},
    {"kill", SYS_kill, {1, 0}},
    {"unshare", SYS_unshare, {0}},
    {"setns", SYS_setns, {-1, 0}},
    {"mount", SYS_mount, {0, 0, 0, 0, 0}},
    {"chroot", SYS_chroot, {0}},
    {"setuid", SYS_setuid, {0}},
    {"capset", SYS_capset, {0, 0}},
    {"bpf", SYS_bpf, {0, 0, 0}},
    {"io_uring_setup", SYS_io_uring_setup, {1, 0}},
    {"userfaultfd", SYS_userfaultfd, {0}},
    {"perf_event_open", SYS_perf_event_open, {0, 0, 0, 0, 0}},
    {"keyctl", SYS_keyctl, {0, 0}},
    {"memfd_create", SYS_memfd_create, {0, 0}},
    {"pidfd_getfd", SYS_pidfd_getfd, {-1, 0, 0}},
    {"sethostname", SYS_sethostname, {0, 0}},
    {"a call that is yet to be invented", 9999, {0}},
};

#ifndef CLOISTER_FILTER_EXTRA
/* The same, but sanitizers may make these. */
static const struct probe wanted_but_for_sanitizers[] = {
    {"ptrace", SYS_ptrace, {0, 1, 0, 0}},
    {"process_vm_readv", SYS_process_vm_readv, {1, 0, 0, 0, 0, 0}},
    {"openat", SYS_openat, {AT_FDCWD, 0, 0}},
    {"getdents64", SYS_getdents64, {-1, 0, 0}},
    {"uname", SYS_uname, {0}},
    {"ioctl(TUNSETIFF)", SYS_ioctl, {-1, 0x400454ca, 0}},
    {"mmap(PROT_EXEC)", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
    {"mprotect(PROT_EXEC)", SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}},
    {"prctl", SYS_prctl, {PR_SET_DUMPABLE, 1, 0, 0, 0}},
    {"clone", SYS_clone, {CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0}},
};
#endif

static void what_a_gateway_did_not_declare_kills_it(void **state)
{
    (void)state;
    EXPECT(FILTER_GATEWAY, KILLED, wanted);
#ifndef CLOISTER_FILTER_EXTRA
    EXPECT(FILTER_GATEWAY, KILLED, wanted_but_for_sanitizers);
#endif
}

static void what_a_supervisor_did_not_declare_kills_it(void **state)
{
    (void)state;
    EXPECT(FILTER_SUPERVISOR, KILLED, wanted);
#ifndef CLOISTER_FILTER_EXTRA
    EXPECT(FILTER_SUPERVISOR, KILLED, wanted_but_for_sanitizers);
#endif
}

static void what_a_gateway_needs_it_has(void **state)
{
    static const struct probe needed[] = {
        {"socket(AF_UNIX)", SYS_socket, {AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0}},
        /* Only 32 bits of an int are looked at, by the kernel and by the filter. */
        {"socket(AF_UNIX) with more bits",
         SYS_socket,
         {AF_UNIX | 1L << 32, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0}},
        {"connect", SYS_connect, {-1, 0, 0}},
        {"read", SYS_read, {-1, 0, 0}},
        {"writev", SYS_writev, {-1, 0, 0}},
        {"ioctl(SIOCOUTQ)", SYS_ioctl, {-1, TIOCOUTQ, 0}},
        {"epoll_pwait", SYS_epoll_pwait, {-1, 0, 1, 0, 0, 8}},
        {"mmap", SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
        {"madvise", SYS_madvise, {0, 0, MADV_DONTNEED}},
    };
    (void)state;
    EXPECT(FILTER_GATEWAY, PASSED, needed);
}

static void to_tor_the_kernel_seems_old(void **state)
{
    static const struct probe refused[] = {
        {"mount", SYS_mount, {0, 0, 0, 0, 0}},
        {"bpf", SYS_bpf, {0, 0, 0}},
        {"io_uring_setup", SYS_io_uring_setup, {1, 0}},
        {"clone3", SYS_clone3, {0, 0}},
        {"unshare", SYS_unshare, {0}},
        {"setns", SYS_setns, {-1, 0}},
        {"keyctl", SYS_keyctl, {0, 0}},
        {"socket(AF_PACKET)", SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
        {"socket(NETLINK_NETFILTER)", SYS_socket, {AF_NETLINK, SOCK_RAW, 12}},
        {"a call that is yet to be invented", 9999, {0}},
    };
    static const struct probe needed[] = {
        {"socket(AF_INET)", SYS_socket, {AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0}},
        {"openat", SYS_openat, {AT_FDCWD, 0, 0}},
        {"bind", SYS_bind, {-1, 0, 0}},
        {"execve", SYS_execve, {0, 0, 0}},
    };
    (void)state;
    EXPECT(FILTER_TOR, REFUSED, refused);
    EXPECT(FILTER_TOR, PASSED, needed);
#ifndef CLOISTER_FILTER_EXTRA
    static const struct probe traced[] = {
        {"ptrace", SYS_ptrace, {0, 1, 0, 0}},
        {"clone(CLONE_NEWUSER)", SYS_clone, {CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0}},
    };
    EXPECT(FILTER_TOR, REFUSED, traced);
#endif
}

static void a_list_can_be_asked(void **state)
{
    (void)state;
    assert_true(filter_allows(FILTER_GATEWAY, "socket"));
    assert_true(filter_allows(FILTER_TOR, "execve"));
    assert_false(filter_allows(FILTER_GATEWAY, "execve"));
    assert_false(filter_allows(FILTER_SUPERVISOR, "socket"));
    for (int role = 0; role < FILTER_ROLES; role++) {
        assert_true(filter_allows((enum filter_role)role, "exit_group"));
        assert_false(filter_allows((enum filter_role)role, "io_uring_enter"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_gateway_did_not_declare_kills_it),
        cmocka_unit_test(what_a_supervisor_did_not_declare_kills_it),
        cmocka_unit_test(what_a_gateway_needs_it_has),
        cmocka_unit_test(to_tor_the_kernel_seems_old),
        cmocka_unit_test(a_list_can_be_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
