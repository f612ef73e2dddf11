/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int open_setting(const char *path, int flags)
{
    char whole[sizeof("/proc/sys/net/") + SYSCTL_PATH_MAX];
    int n = snprintf(whole, sizeof(whole), "/proc/sys/net/%s", path);
    if (n < 0 || (size_t)n >= sizeof(whole))
        return -ENAMETOOLONG;
    int fd = open(whole, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* 1 if the setting has this value already. */
static int has_value(const char *path, const char *value)
{
    char text[32];
    int fd = open_setting(path, O_RDONLY);
    if (fd < 0)
        return fd;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    int status = n < 0 ? -errno : 0;
    close(fd);
    if (status != 0)
        return status;
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return strcmp(text, value) == 0;
}

int sysctl_write(const char *path, const char *value)
{
    int status = has_value(path, value);
    if (status != 0)
        return status < 0 ? status : 0;
    int fd = open_setting(path, O_WRONLY);
    if (fd < 0)
        return fd;
    status = write(fd, value, strlen(value)) < 0 ? -errno : 0;
    close(fd);
    return status;
}

int sysctl_open(const char *path)
{
    return open_setting(path, O_RDONLY);
}

int sysctl_read(int fd, long *value)
{
    char text[32];
    /* syscalls supervisor: pread64 */
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    char *end;
    *value = strtol(text, &end, 10);
    return end == text ? -EINVAL : 0;
}
