/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the gateway process locks itself in
 * =======================================
 *
 * The gateway parses what strangers send. If one of them takes it over, what he has must be of no use to him: he shall
 * neither learn the real address nor send a packet. So, right after exec, with nothing of a stranger read yet:
 *
 *   namespaces   Network, mount, IPC, UTS and cgroup of its own. The network namespace is new and stays as it is: it
 *                has a loopback interface that is down, no address, no route. The TAP lives elsewhere; what is held of
 *                it is a descriptor. (The process namespace comes from the supervisor, for it takes a fork.)
 *   host name    The UTS namespace starts with the host's name, so it is overwritten.
 *   root         A tmpfs of one page with one empty directory, on which Tor's socket directory is bind-mounted. All of
 *                it read-only: that keeps nobody from *connecting* to a socket, for which the kernel asks about
 *                the socket's own mode and not about the mount. Then pivot_root(2), and the old tree is let go of.
 *                There is no /proc, no /dev, no /etc.
 *   descriptors  Only standard input (/dev/null), standard output and error (the log, not to be read if it is a
 *                terminal), the channel and the TAP. The supervisor closed everything else before exec.
 *   identity     A user of its own. Groups: its own, which Tor's socket is for, and with an external Tor the socket's
 *                if need be. No capability in any set, the bounding set included; no new privileges; not dumpable,
 *                so that even a process of the same user may not trace it.
 *   limits       As many descriptors as there may be flows, and some; no core; no fork; no locked memory, no message
 *                queue, no better priority than it was given.
 *   parent       It dies with the supervisor (privileges_follow_parent).
 *   Landlock     No file may be opened, made or run, no TCP socket bound or connected, no process outside reached by signal
 *                or abstract socket. All of it is impossible already, for two reasons or three; this is another that
 *                does not depend on them.
 *   calls        Of the kernel's 400 system calls those that it makes, with conditions; any other kills it (filter.c).
 *
 * The order matters: mounts and namespaces need CAP_SYS_ADMIN, and the identity goes last. Whatever fails is fatal.
 * Between sandbox_enter() and sandbox_lock() the gateway opens what it needs to run; sandbox_lock() is the one place
 * where the door falls shut. Before it does, it looks whether all of the above holds: what was done is one thing, what
 * is so another. It says that it is ready only after that, and the TAP comes up only after it said so.
 *
 * A kernel may lack some of it: Landlock is young, and small systems do without IPC namespaces. Then the gateway does not
 * start, unless process.hardening says that best effort is enough, and then it says what is missing. Without namespaces
 * for network, mounts and processes, or without a user of its own, there is no gateway.
 *
 * It has no user namespace of its own. In one it would be root of that namespace: with capabilities over its network
 * and mount namespaces, which are the kernel's largest surface; as it is, nobody in its cell has any, and the filter
 * keeps it from making one.
 */
#include "daemon/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/filter.h"
#include "daemon/hardening.h"
#include "daemon/landlock.h"
#include "daemon/privileges.h"

/* The new root is mounted here until it is the root. Seen by this process only; and /proc is there, or there would have
 * been no /proc/self/exe to start from. */
#define STAGE "/proc"

#define MOUNT_FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static int enter_namespaces(const char **step)
{
    static const char name[] = "cloister";
    int status;
    *step = "make namespaces";
    if (unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS) != 0)
        return -errno;
    *step = "make an IPC namespace";
    status = hardening_result(HARDENING_IPC, unshare(CLONE_NEWIPC) == 0 ? 0 : -errno);
    if (status != 0)
        return status;
    *step = "make a cgroup namespace";
    status = hardening_result(HARDENING_CGROUP, unshare(CLONE_NEWCGROUP) == 0 ? 0 : -errno);
    if (status != 0)
        return status;
    *step = "hide the host's name";
    if (sethostname(name, sizeof(name) - 1) != 0 || setdomainname("", 0) != 0)
        return -errno;
    return 0;
}

/* A new network namespace is empty but for interfaces of the kernel's own making. None of them may be up. */
static int check_network(const char **step)
{
    *step = "see that the network namespace is empty";
    struct if_nameindex *list = if_nameindex();
    if (list == NULL)
        return -errno;
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int status = s >= 0 ? 0 : -errno;
    for (struct if_nameindex *at = list; status == 0 && at->if_index != 0; at++) {
        struct ifreq ifr = {0};
        snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", at->if_name);
        if (ioctl(s, SIOCGIFFLAGS, &ifr) != 0)
            status = -errno;
        else if ((ifr.ifr_flags & IFF_UP) != 0)
            status = -EEXIST;
    }
    if (s >= 0)
        close(s);
    if_freenameindex(list);
    return status;
}

static int enter_root(const char *directory, const char **step)
{
    *step = "make mounts private";
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return -errno;
    /* From inside of it, so that it does not matter if it lies below STAGE. */
    *step = "enter the socket directory";
    if (chdir(directory) != 0)
        return -errno;
    *step = "mount an empty root";
    if (mount("cloister", STAGE, "tmpfs", MOUNT_FLAGS, "size=4k,nr_inodes=4,mode=0755") != 0)
        return -errno;
    *step = "make room for the socket directory";
    if (mkdir(STAGE SANDBOX_DIRECTORY, 0755) != 0)
        return -errno;
    *step = "mount the socket directory";
    if (mount(".", STAGE SANDBOX_DIRECTORY, NULL, MS_BIND, NULL) != 0 ||
        mount(NULL, STAGE SANDBOX_DIRECTORY, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MOUNT_FLAGS, NULL) != 0)
        return -errno;
    *step = "make the root read-only";
    if (mount(NULL, STAGE, NULL, MS_REMOUNT | MS_RDONLY | MOUNT_FLAGS, NULL) != 0)
        return -errno;
    *step = "change the root";
    if (chdir(STAGE) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
        return -errno;
    *step = "let go of the old root";
    if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
        return -errno;
    *step = "see that the old root is gone";
    if (access("/proc", F_OK) == 0 || access("/etc", F_OK) == 0)
        return -EEXIST;
    return 0;
}

static int set_limits(uint32_t descriptors, const char **step)
{
    struct rlimit files = {descriptors + SANDBOX_DESCRIPTORS, descriptors + SANDBOX_DESCRIPTORS};
    static const struct {
        int resource;
        const char *step;
    } nothing[] = {
        {RLIMIT_NPROC, "forbid new processes"},     {RLIMIT_MEMLOCK, "forbid locked memory"},
        {RLIMIT_MSGQUEUE, "forbid message queues"}, {RLIMIT_RTPRIO, "forbid real-time priority"},
        {RLIMIT_NICE, "forbid a higher priority"},
    };
    struct rlimit none = {0, 0};
    *step = "raise the limit of descriptors (lower limits.flows, or raise fs.nr_open)";
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        return -errno;
    for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
        *step = nothing[i].step;
        if (setrlimit((__rlimit_resource_t)nothing[i].resource, &none) != 0)
            return -errno;
    }
    return 0;
}

int sandbox_enter(const struct sandbox_config *config, const char **step)
{
    int status;
    umask(077);
    if ((status = enter_namespaces(step)) != 0 || (status = check_network(step)) != 0 ||
        (status = enter_root(config->directory, step)) != 0 ||
        (status = set_limits(config->descriptors, step)) != 0)
        return status;
    if ((status = privileges_drop(&config->identity, 0, step)) != 0)
        return status;
    *step = "follow the supervisor";
    return privileges_follow_parent(config->channel);
}

/* By looking, and not by trusting what was done to make it so. */
static int check_root(const char **step)
{
    static const char *const entries[] = {".", "..", &SANDBOX_DIRECTORY[1]};
    int status = 0;
    *step = "see that the root is empty";
    DIR *root = opendir("/");
    if (root == NULL)
        return -errno;
    for (const struct dirent *entry; status == 0 && (entry = readdir(root)) != NULL;) {
        bool known = false;
        for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
            known = known || strcmp(entry->d_name, entries[i]) == 0;
        if (!known)
            status = -EEXIST;
    }
    closedir(root);
    if (status == 0 && access("/", W_OK) == 0)
        status = -EPERM;
    return status;
}

int sandbox_check(const char **step)
{
    int status;
    if ((status = check_network(step)) != 0 || (status = check_root(step)) != 0)
        return status;
    *step = "see that no privilege is left, and that nobody may look in";
    return privileges_are_none() ? 0 : -EPERM;
}

int sandbox_lock(const char **step)
{
    int status = sandbox_check(step);
    if (status != 0)
        return status;
    *step = "deny all files by Landlock (process.hardening = best-effort goes without)";
    status = hardening_result(HARDENING_LANDLOCK,
                              landlock_lock(LANDLOCK_DENY_READING | LANDLOCK_DENY_WRITING | LANDLOCK_DENY_TCP |
                                            LANDLOCK_DENY_OUTSIDE | LANDLOCK_DENY_SIGNALS));
    if (status != 0)
        return status;
    *step = "filter system calls (process.hardening = best-effort goes without)";
    status = hardening_result(HARDENING_FILTER, filter_load(FILTER_GATEWAY));
    if (status == 0)
        hardening_report();
    return status;
}
