/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay/perf.h"

#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fd = -1;

void perf_open(void)
{
    struct perf_event_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.type = PERF_TYPE_HARDWARE;
    attr.size = sizeof(attr);
    attr.config = PERF_COUNT_HW_INSTRUCTIONS;
    attr.disabled = 1;
    attr.exclude_kernel = 1;
    attr.exclude_hv = 1;
    fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

void perf_go_on(void)
{
    if (fd >= 0)
        ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
}

void perf_pause(void)
{
    if (fd >= 0)
        ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
}

uint64_t perf_instructions(void)
{
    uint64_t count = 0;
    if (fd < 0 || read(fd, &count, sizeof(count)) != sizeof(count))
        return 0;
    return count;
}
