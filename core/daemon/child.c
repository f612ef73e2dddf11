/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/channel.h"

/* waitid() by pidfd; the C library may not know its name yet. */
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* Where a child logs to. A terminal is open for reading as well, and who takes a child over must not learn what is typed
 * there, so it is opened again, where that is possible. Anything else stays what it is: a file's offset is shared. */
static int open_log(void)
{
    int fd = isatty(STDERR_FILENO) ? open("/proc/self/fd/2", O_WRONLY | O_NOCTTY | O_CLOEXEC) : -1;
    return fd >= 0 ? fd : STDERR_FILENO;
}

/* In the child, until it is another program. What fails is told by the exit status: there is nothing else yet. */
static void become(const char *role, int end)
{
    char role_argument[32];
    char fd_argument[16];
    snprintf(role_argument, sizeof(role_argument), "--role=%s", role);
    snprintf(fd_argument, sizeof(fd_argument), "--fd=%u", (unsigned)CHANNEL_FD);
    char name[] = "cloister";
    char *argv[] = {name, role_argument, fd_argument, NULL};
    /* Nothing of our environment: SSH_CONNECTION, for one, holds the address that nobody shall learn. */
    char *envp[] = {NULL};

    sigset_t none;
    sigemptyset(&none);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    /* Standard output is the log too: it is where Tor complains until its own log is set up. */
    int log = open_log();
    if (null < 0 || setsid() < 0 || chdir("/") != 0 || dup2(null, STDIN_FILENO) < 0 ||
        dup2(log, STDOUT_FILENO) < 0 || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
        _exit(126);
    /* dup2() onto itself would leave the descriptor marked to be closed. */
    if (end == (int)CHANNEL_FD ? fcntl(end, F_SETFD, 0) != 0 : dup2(end, CHANNEL_FD) < 0)
        _exit(126);
    if (syscall(SYS_close_range, CHANNEL_FD + 1, ~0u, 0) != 0 || sigprocmask(SIG_SETMASK, &none, NULL) != 0)
        _exit(126);
    execve("/proc/self/exe", argv, envp);
    _exit(126);
}

int child_start(struct child *child, const char *role, bool alone)
{
    int ends[2];
    int status = channel_pair(ends);
    if (status != 0)
        return status;

    int pidfd = -1;
    struct clone_args args = {
        .flags = CLONE_PIDFD | (alone ? CLONE_NEWPID : 0),
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
    };
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        become(role, ends[1]);
    status = pid > 0 ? 0 : -errno;
    close(ends[1]);
    if (status == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
        status = -errno;
    if (status != 0) {
        close(ends[0]);
        return status;
    }
    *child = (struct child){.role = role, .pid = pid, .pidfd = pidfd, .channel = ends[0]};
    return 0;
}

void child_kill(const struct child *child, int sig)
{
    /* syscalls supervisor: pidfd_send_signal */
    if (child->pid > 0)
        syscall(SYS_pidfd_send_signal, child->pidfd, sig, NULL, 0);
}

bool child_reap(struct child *child)
{
    siginfo_t info = {0};
    if (child->pid == 0)
        return true;
    /* syscalls supervisor: waitid close */
    if (waitid((idtype_t)P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return false;
    child->status = info.si_status;
    child->code = info.si_code;
    child->pid = 0;
    close(child->pidfd);
    child->pidfd = -1;
    return true;
}

bool child_wait(struct child *child, unsigned ms)
{
    if (child->pid == 0)
        return true;
    struct pollfd pfd = {.fd = child->pidfd, .events = POLLIN};
    /* syscalls supervisor: poll */
    while (poll(&pfd, 1, (int)ms) < 0 && errno == EINTR)
        ;
    return child_reap(child);
}

void child_describe(const struct child *child, char *out, size_t size)
{
    if (child->code == CLD_EXITED)
        snprintf(out, size, "%s exited with status %d", child->role, child->status);
    else if (child->code == CLD_KILLED || child->code == CLD_DUMPED)
        snprintf(out, size, "%s was killed by signal %d (%s)", child->role, child->status,
                 strsignal(child->status));
    else
        snprintf(out, size, "%s is gone", child->role);
}
