/* SPDX-License-Identifier: BSD-3-Clause */
/* What the programs of the load bench share. They end with a message when anything goes wrong. */
#ifndef CLOISTER_BENCH_COMMON_H
#define CLOISTER_BENCH_COMMON_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a far port does. Two numbers each: one is served by a server of its own, to which the SOCKS server splices; the
 * other by the SOCKS server itself, which takes a third of the sockets. */
enum service {
    SERVICE_ECHO = 7,
    SERVICE_SINK = 9,
    SERVICE_ANSWER = 13, /* one byte for the first that comes, and the end */
    SERVICE_SOURCE = 19,
    SERVICE_PAGE = 80, /* the same as ANSWER, with PAGE_BYTES */
};
#define PAGE_BYTES 16384u
#define PORT_SERVER 8900 /* the far server's own */
#define PORT_SPLICED 9000
#define PORT_INSIDE 9100

/* Counters of the far end, in a file that both ends map: what arrived is known without a word on the wire. */
struct far_stats {
    uint64_t sunk;  /* bytes that sinks took */
    uint64_t flows; /* flows that were accepted by services */
};

__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

/* `status` if it is not negative; else die, with errno. */
int check(int status, const char *what);

/* Nanoseconds of the monotonic clock. */
uint64_t now_ns(void);

/* Map the file of counters, making it if it is not there. */
struct far_stats *far_stats_map(const char *path);

/* CPU time in nanoseconds that the processes of a list like "12,34" have used up to now. */
uint64_t cpu_ns(const char *pids);

/* Resident memory of this process. */
uint64_t resident_kib(void);

/* Allow `n` descriptors, or as many as the system will give; how many that are. */
uint64_t limit_descriptors(uint64_t n);

/* "address:port" */
struct sockaddr_in parse_address(const char *text);

/* Have a TCP socket use a congestion control of the kernel's, if `name` is not NULL. */
void choose_congestion(int fd, const char *name);

/* A file of `size` zeros in memory, to send from. */
int zero_file(size_t size);

/* The value at `permille` of an array, which is sorted by this. 0 if it is empty. */
uint64_t percentile(uint64_t *values, size_t count, unsigned permille);

#endif
