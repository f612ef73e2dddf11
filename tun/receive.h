/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading frames in batches.
 *
 * Frames are laid one behind the other in one buffer, each as long as it came: small ones share pages and cache lines
 * evenly, and a buffer for whole super-frames costs nothing where they do not occur. The bytes stay as they are until
 * the next receive_batch(), which is what tcp_input() asks for.
 */
#ifndef CLOISTER_TUN_RECEIVE_H
#define CLOISTER_TUN_RECEIVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define RECEIVE_FRAMES 128u        /* frames of a batch at most */
#define RECEIVE_BYTES (512u << 10) /* default size of the buffer, bytes */

struct receive {
    uint8_t *buffer;                    /* mapped; pages not yet written cost nothing */
    size_t size;                        /* of it, bytes */
    size_t high;                        /* bytes of it that were written since the last receive_settle() */
    unsigned count;                     /* frames of this batch */
    struct bytes frame[RECEIVE_FRAMES]; /* each with its offload header first */
};

/* Map a buffer of `size` bytes, at least that of one frame. 0 or negative errno. */
int receive_init(struct receive *receive, size_t size);

void receive_fini(struct receive *receive);

/* Read frames from `fd` (non-blocking) until there are no more or the batch is full. The number of frames, also in
 * receive->count; 0 if there was none; negative errno if the device is gone. A full batch (RECEIVE_FRAMES, or no room
 * for one more of full length) is no promise of more: poll again. */
int receive_batch(struct receive *receive, int fd);

/* Give the pages of the buffer back to the system. The last batch is gone with them. */
void receive_settle(struct receive *receive);

#endif
