/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A machine whose clock is far off. Linked around the calls that tell the time of day, those of the embedded Tor
 * included, into programs of the tests (the linker's --wrap), and into nothing else. What only runs on and on is true.
 */
#include <stddef.h>
#include <sys/time.h>
#include <time.h>

int __real_gettimeofday(struct timeval *tv, void *zone);
int __real_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_gettimeofday(struct timeval *tv, void *zone);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);
time_t __wrap_time(time_t *out);

int __wrap_gettimeofday(struct timeval *tv, void *zone)
{
    int status = __real_gettimeofday(tv, zone);
    tv->tv_sec += CLOCK_IS_OFF;
    return status;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
    int status = __real_clock_gettime(clock, ts);
    if (clock == CLOCK_REALTIME)
        ts->tv_sec += CLOCK_IS_OFF;
    return status;
}

time_t __wrap_time(time_t *out)
{
    struct timeval now;
    __wrap_gettimeofday(&now, NULL);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}
