/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory in several pieces, as readv() has it. */
#ifndef CLOISTER_BASE_IOV_H
#define CLOISTER_BASE_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

/* Copy the first of `n` bytes at `from` into the pieces, as many as fit. Returns how many. */
static inline size_t iov_scatter(const struct iovec *iov, int count, const uint8_t *from, size_t n)
{
    size_t done = 0;
    for (int i = 0; i < count && done < n; i++) {
        size_t part = n - done < iov[i].iov_len ? n - done : iov[i].iov_len;
        memcpy(iov[i].iov_base, from + done, part);
        done += part;
    }
    return done;
}

#endif
