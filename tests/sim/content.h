/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the streams carry: each byte follows from the stream's phase and its own offset, so that nothing needs to be
 * kept to know what must arrive, and a byte at a wrong place or from another stream shows.
 */
#ifndef CLOISTER_TESTS_SIM_CONTENT_H
#define CLOISTER_TESTS_SIM_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTENT_PERIOD                                                                                             \
    65521u /* bytes after which a stream repeats itself; a prime, so no power of two hides a shift */

/* Once, before anything else. */
void content_init(void);

/* Write bytes [offset, offset + n) of the stream with this phase. */
void content_fill(void *to, uint32_t phase, int64_t offset, size_t n);

/* True if these are bytes [offset, offset + n). */
bool content_matches(const void *data, uint32_t phase, int64_t offset, size_t n);

#endif
