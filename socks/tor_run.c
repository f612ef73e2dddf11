/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs the Tor that is linked in. In a file of its own, so that what only builds command lines does not link it.
 *
 * tor_main_configuration_free() is not called: Tor closes the control descriptor itself, and freeing would close
 * the number a second time, whatever it names by then. Nor is tor_main_configuration_setup_control_socket() used:
 * it makes the socket pair inside this process, and ours comes from the supervisor.
 */
/* Tor, its libraries, and the transports that it starts. */
/* syscalls tor: read write readv writev pread64 pwrite64 open openat close lseek stat lstat fstat newfstatat statx */
/* syscalls tor: access faccessat faccessat2 readlink readlinkat getdents64 getcwd chdir fchdir umask statfs fstatfs */
/* syscalls tor: mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 chmod fchmod fchmodat chown fchown */
/* syscalls tor: fchownat link symlink utimensat ftruncate fallocate fadvise64 fsync fdatasync flock fcntl ioctl */
/* syscalls tor: socket(AF_UNIX) socket(AF_INET) socket(AF_INET6) socket(AF_NETLINK,_,NETLINK_ROUTE) socketpair */
/* syscalls tor: bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt */
/* syscalls tor: sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg sendfile splice */
/* syscalls tor: epoll_create epoll_create1 epoll_ctl epoll_wait poll select eventfd eventfd2 pipe pipe2 dup dup2 dup3 */
/* syscalls tor: timerfd_create timerfd_settime timerfd_gettime nanosleep clock_nanosleep times alarm */
/* syscalls tor: setitimer getitimer timer_create timer_settime timer_gettime timer_delete */
/* syscalls tor: mmap mprotect madvise mlock munlock mincore msync */
/* syscalls tor: clone(!CLONE_NEWUSER|CLONE_NEWNS|CLONE_NEWNET|CLONE_NEWPID|CLONE_NEWIPC|CLONE_NEWUTS) fork vfork */
/* syscalls tor: execve wait4 waitid kill pidfd_open pidfd_send_signal set_tid_address set_robust_list rseq */
/* syscalls tor: arch_prctl prctl sigaltstack rt_sigsuspend rt_sigtimedwait rt_sigpending pause getrlimit setrlimit */
/* syscalls tor: prlimit64 getrusage sysinfo uname getuid geteuid getgid getegid getgroups getresuid getresgid */
/* syscalls tor: getppid getpgrp getpgid getsid setsid setpgid sched_yield sched_getaffinity sched_getparam */
/* syscalls tor: sched_getscheduler getpriority setpriority getcpu capget seccomp */
#include "socks/tor_process.h"

#include <errno.h>
#include <fcntl.h>
#include <tor_api.h>
#include <unistd.h>

/* An empty standard input, which is the torrc if there is no other. */
static int empty_input(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = 0;
    if (fd != STDIN_FILENO) {
        if (dup2(fd, STDIN_FILENO) < 0)
            err = -errno;
        close(fd);
    }
    return err;
}

int tor_process_run(const struct tor_process_config *config)
{
    static struct tor_arguments arguments; /* Tor keeps pointers to it */
    int err = tor_process_arguments(config, &arguments);
    if (err == 0)
        err = empty_input();
    if (err != 0)
        return err;
    tor_main_configuration_t *tor = tor_main_configuration_new();
    if (tor == NULL)
        return -ENOMEM;
    if (tor_main_configuration_set_command_line(tor, arguments.count, arguments.argv) < 0)
        return -EINVAL;
    /* -1 is Tor's word for what it has logged itself, and no errno. */
    int status = tor_run_main(tor);
    return status < 0 ? 1 : status;
}
