/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/landlock.h"

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The numbers are the same on every architecture. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif
#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446
#endif

#define CREATE_RULESET_VERSION 1u

/* struct landlock_ruleset_attr as it has grown: an older kernel is given no more than it knows. */
struct ruleset {
    uint64_t access_fs;
    uint64_t access_net; /* since version 4 */
    uint64_t scoped;     /* since version 6 */
};

/* Bits of access_fs. */
#define FS_EXECUTE (1u << 0)
#define FS_WRITE_FILE (1u << 1)
#define FS_READ (3u << 2) /* files and directories */
#define FS_MAKE_OR_REMOVE (0x1ffu << 4)
#define FS_REFER (1u << 13)        /* since version 2 */
#define FS_TRUNCATE (1u << 14)     /* since version 3 */
#define FS_IOCTL_DEVICE (1u << 15) /* since version 5 */

#define NET_BIND_CONNECT_TCP 3u

#define SCOPE_ABSTRACT_SOCKET (1u << 0)
#define SCOPE_SIGNAL (1u << 1)

static uint64_t files(unsigned deny, long version)
{
    uint64_t access = 0;
    if ((deny & LANDLOCK_DENY_READING) != 0)
        access |= FS_READ;
    if ((deny & LANDLOCK_DENY_WRITING) != 0) {
        access |= FS_EXECUTE | FS_WRITE_FILE | FS_MAKE_OR_REMOVE;
        access |= version >= 2 ? FS_REFER : 0;
        access |= version >= 3 ? FS_TRUNCATE : 0;
        access |= version >= 5 ? FS_IOCTL_DEVICE : 0;
    }
    return access;
}

int landlock_lock(unsigned deny)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    if (version < 0)
        return -errno;
    struct ruleset ruleset = {.access_fs = files(deny, version)};
    size_t size = sizeof(ruleset.access_fs);
    if (version >= 4) {
        size += sizeof(ruleset.access_net);
        ruleset.access_net = (deny & LANDLOCK_DENY_TCP) != 0 ? NET_BIND_CONNECT_TCP : 0;
    }
    if (version >= 6) {
        size += sizeof(ruleset.scoped);
        ruleset.scoped = ((deny & LANDLOCK_DENY_OUTSIDE) != 0 ? SCOPE_ABSTRACT_SOCKET : 0) |
                         ((deny & LANDLOCK_DENY_SIGNALS) != 0 ? SCOPE_SIGNAL : 0);
    }
    if ((ruleset.access_fs | ruleset.access_net | ruleset.scoped) == 0)
        return 0; /* it knows nothing of what is wished for */

    /* A set of rules without a rule: nothing of what it handles is allowed. */
    long fd = syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
    if (fd < 0)
        return -errno;
    int status = syscall(SYS_landlock_restrict_self, fd, 0) == 0 ? 0 : -errno;
    close((int)fd);
    return status;
}
