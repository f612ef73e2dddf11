/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lacking CALL[,CALL...] COMMAND [ARGUMENT ...]: run a command as on a kernel that lacks some system calls. `ipc` and
 * `cgroup` stand for unshare() of these namespaces, which such a kernel answers with EINVAL; `netfilter` for the sockets by
 * which nf_tables is spoken to.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int lack(scmp_filter_ctx ctx, const char *call)
{
    unsigned flag = strcmp(call, "ipc") == 0 ? CLONE_NEWIPC : strcmp(call, "cgroup") == 0 ? CLONE_NEWCGROUP : 0;
    if (flag != 0)
        return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(unshare), 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
    if (strcmp(call, "netfilter") == 0)
        return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPROTONOSUPPORT), SCMP_SYS(socket), 2,
                                SCMP_A0(SCMP_CMP_EQ, AF_NETLINK), SCMP_A2(SCMP_CMP_EQ, NETLINK_NETFILTER));
    /* libseccomp has two ways to ask for a filter. */
    if (strcmp(call, "seccomp") == 0 && seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1,
                                                         SCMP_A0(SCMP_CMP_MASKED_EQ, ~0u, PR_SET_SECCOMP)) != 0)
        return -EINVAL;
    int number = seccomp_syscall_resolve_name(call);
    return number == __NR_SCMP_ERROR ? -EINVAL : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), number, 0);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 125;
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    if (ctx == NULL || seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0) != 0)
        return 125;
    for (char *call = strtok(argv[1], ","); call != NULL; call = strtok(NULL, ",")) {
        if (lack(ctx, call) != 0) {
            fprintf(stderr, "lacking: %s\n", call);
            return 125;
        }
    }
    if (seccomp_load(ctx) != 0)
        return 125;
    execv(argv[2], argv + 2);
    perror(argv[2]);
    return 125;
}
