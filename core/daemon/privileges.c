/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's own interface: libcap would need an allocation and text for the same, and capset() is all there is. */
static int capabilities_set(uint64_t permitted)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)permitted, .permitted = (uint32_t)permitted, .inheritable = 0},
        {.effective = (uint32_t)(permitted >> 32), .permitted = (uint32_t)(permitted >> 32), .inheritable = 0},
    };
    return syscall(SYS_capset, &header, data) == 0 ? 0 : -errno;
}

static int capabilities_get(uint64_t *any)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) != 0)
        return -errno;
    *any = 0;
    for (int i = 0; i < 2; i++)
        *any |= (uint64_t)(data[i].effective | data[i].permitted | data[i].inheritable) << 32 * i;
    return 0;
}

/* The kernel may know more capabilities than the header we were built with: it says where they end. */
static int bounding_set_empty(void)
{
    for (unsigned long cap = 0; cap < 64; cap++) {
        int is = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
        if (is < 0)
            return cap > 0 ? 0 : -errno;
        if (is > 0 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
            return -errno;
    }
    return 0;
}

static int rlimit_set_core(void)
{
    struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_CORE, &none) == 0 ? 0 : -errno;
}

int privileges_drop(const struct channel_identity *identity, uint64_t keep, const char **step)
{
    int status;

    *step = "set the groups";
    if (setgroups(identity->group_count, identity->groups) != 0)
        return -errno;
    *step = "empty the capability bounding set";
    if ((status = bounding_set_empty()) != 0)
        return status;
    *step = "empty the ambient capabilities";
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return -errno;
    *step = "keep capabilities over the change of user";
    if (prctl(PR_SET_KEEPCAPS, keep != 0, 0, 0, 0) != 0)
        return -errno;
    *step = "change the group";
    if (setresgid(identity->gid, identity->gid, identity->gid) != 0)
        return -errno;
    *step = "change the user";
    if (setresuid(identity->uid, identity->uid, identity->uid) != 0)
        return -errno;
    *step = "drop capabilities";
    if ((status = capabilities_set(keep)) != 0)
        return status;
    *step = "forbid new privileges";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    *step = "forbid core dumps";
    if ((status = rlimit_set_core()) != 0)
        return status;
    *step = "forbid tracing";
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return -errno;
    *step = "see that the old user is out of reach";
    if (identity->uid != 0 && (setuid(0) == 0 || setgid(0) == 0))
        return -EPERM;
    return 0;
}

int privileges_keep(uint64_t keep)
{
    return capabilities_set(keep);
}

bool privileges_are_none(void)
{
    return privileges_are(0);
}

bool privileges_are(uint64_t keep)
{
    uint64_t any = 0;
    if (capabilities_get(&any) != 0 || any != keep)
        return false;
    for (unsigned long cap = 0; cap < 64; cap++) {
        int is = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
        if (is > 0)
            return false;
        if (is < 0)
            break;
    }
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
}

int privileges_follow_parent(int end)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return -errno;
    /* getppid() is of no use in a process namespace of our own; a parent that died before has closed its end. */
    struct pollfd pfd = {.fd = end, .events = 0};
    while (poll(&pfd, 1, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return (pfd.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0 ? -ESRCH : 0;
}
