/* SPDX-License-Identifier: BSD-3-Clause */
/* The servers of a replay through a device: what is behind the SOCKS end of the gateway. */
#ifndef CLOISTER_BENCH_FAR_H
#define CLOISTER_BENCH_FAR_H

#include <stdint.h>

#include "replay/options.h"
#include "replay/player.h"

struct far {
    int epoll;              /* of the listeners and all streams; readable if there is something to do */
    struct player *players; /* by number */
    uint32_t player_count;  /* */
    uint32_t first;         /* address of the first player's server */
    void *ctx;              /* of the callbacks */
    /* The player's server got bytes, or its stream is open: it may go on. */
    void (*moved)(void *ctx, struct player *p);
    uint64_t streams; /* that were opened */
};

/* Listen where the options say. The other fields are the caller's, and filled in before. */
void far_open(struct far *far, const struct replay_options *options);

/* Do what is to be done. False if nothing was. */
bool far_run(struct far *far);

/* The player's server has written, or closed: on with it to the gateway. */
void far_push(struct far *far, struct player *p);

/* The player is done. */
void far_close(struct far *far, struct player *p);

#endif
