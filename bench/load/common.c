/* SPDX-License-Identifier: BSD-3-Clause */
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

int check(int status, const char *what)
{
    if (status < 0)
        die("%s: %s", what, strerror(errno));
    return status;
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct far_stats *far_stats_map(const char *path)
{
    int fd = check(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), path);
    check(ftruncate(fd, sizeof(struct far_stats)), path);
    void *at = mmap(NULL, sizeof(struct far_stats), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        check(-1, path);
    close(fd);
    return at;
}

uint64_t cpu_ns(const char *pids)
{
    uint64_t sum = 0;
    while (pids != NULL && *pids != '\0') {
        char *end;
        clockid_t clock;
        struct timespec t;
        long pid = strtol(pids, &end, 10);
        if (end == pids || pid <= 0 || clock_getcpuclockid((pid_t)pid, &clock) != 0 ||
            clock_gettime(clock, &t) != 0)
            die("no process %s", pids);
        sum += (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
        pids = *end == ',' ? end + 1 : end;
    }
    return sum;
}

uint64_t resident_kib(void)
{
    static int fd = -1;
    char text[128];
    if (fd < 0)
        fd = check(open("/proc/self/statm", O_RDONLY | O_CLOEXEC), "/proc/self/statm");
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    check(n > 0 ? 0 : -1, "/proc/self/statm");
    text[n] = '\0';
    const char *second = strchr(text, ' ');
    return second == NULL ? 0 : strtoul(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

uint64_t limit_descriptors(uint64_t n)
{
    struct rlimit limit = {n, n};
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return n;
    check(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    if (limit.rlim_max < n)
        n = limit.rlim_max;
    limit.rlim_cur = n;
    check(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    return n;
}

struct sockaddr_in parse_address(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
        die("%s: not an address:port", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        die("%s: not an IPv4 address", host);
    address.sin_port = htons((uint16_t)atoi(colon + 1));
    return address;
}

void choose_congestion(int fd, const char *name)
{
    if (name != NULL)
        check(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)), name);
}

int zero_file(size_t size)
{
    int fd = check(memfd_create("zeros", MFD_CLOEXEC), "memfd_create");
    check(ftruncate(fd, (off_t)size), "ftruncate");
    /* Written once, so that each page is one of its own and no hole. */
    static char block[65536];
    for (size_t at = 0; at < size; at += sizeof(block)) {
        if (pwrite(fd, block, sizeof(block), (off_t)at) < 0)
            check(-1, "pwrite");
    }
    return fd;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

uint64_t percentile(uint64_t *values, size_t count, unsigned permille)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof(*values), compare);
    return values[(count - 1) * permille / 1000];
}
