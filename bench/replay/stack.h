/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A TCP stack of a gateway in this process, with a fake device on one side and fake upstreams on the other: what the
 * replay needs to know of ours and of its peers.
 *
 * A turn takes frames in and news of upstreams, and puts frames out in the order in which they leave. What it costs is
 * the stack's own work and one copy of each byte on either side, as a system call would make it.
 */
#ifndef CLOISTER_BENCH_STACK_H
#define CLOISTER_BENCH_STACK_H

#include "base/bytes.h"
#include "replay/player.h"

#define STACK_BATCH 64u /* frames of one turn at most */

/* What upstreams were given in a turn; looked at after it. */
struct stack_written {
    uint32_t player;
    uint32_t len;
    uint8_t *at;
};

/* The world around a stack, as both see it. */
struct stack_world {
    struct player *players; /* numbered as their flows are */
    uint32_t player_count;
    struct player_link link;

    /* In: of this turn. */
    struct bytes in[STACK_BATCH]; /* frames */
    uint32_t in_count;
    uint32_t *opened; /* players whose upstream was asked for in the turn before, and is open now */
    uint32_t opened_count;
    uint32_t *news; /* players whose server wrote or closed */
    uint32_t news_count;

    /* Out: grown by the stack. */
    uint32_t *asked; /* players whose upstream is asked for */
    uint32_t asked_count;
    uint8_t *out;        /* frames, each after its length in 32 bits */
    size_t out_used;     /* bytes */
    size_t out_size;     /* bytes */
    uint8_t *up;         /* bytes of clients */
    size_t up_used;      /* bytes */
    size_t up_size;      /* bytes */
    uint64_t frames_out; /* since the start */
    struct stack_written *written;
    uint32_t written_count, written_room;
};

struct stack {
    const char *name;
    uint32_t out_skip; /* bytes before the IP header of a frame that it puts out */
    /* Set up for at most so many flows at once. */
    void (*start)(struct stack_world *world, uint32_t flows);
    void (*turn)(struct stack_world *world, uint64_t now_us);
    /* When a turn is needed though nothing happens; false: never. */
    bool (*deadline)(uint64_t now_us, uint64_t *at_us);
    /* Flows that it holds. */
    uint32_t (*flows)(void);
};

/* The one that is linked in: they name their functions alike. */
extern const struct stack stack;

/* Room for a frame of `len` bytes to be put out. */
static inline uint8_t *stack_out(struct stack_world *world, uint32_t len)
{
    if (world->out_size - world->out_used < len + sizeof(len))
        return NULL; /* the device's queue is full: the frame is lost */
    uint8_t *at = world->out + world->out_used;
    memcpy(at, &len, sizeof(len));
    world->out_used += len + sizeof(len);
    world->frames_out++;
    return at + sizeof(len);
}

/* Room for at most `len` bytes of a client: as many as can be taken now in *room. */
static inline uint8_t *stack_up(struct stack_world *world, uint32_t player, uint32_t len, uint32_t *room)
{
    size_t left = world->up_size - world->up_used;
    *room = left < len ? (uint32_t)left : len;
    if (*room == 0 || world->written_count == world->written_room) {
        *room = 0;
        return NULL;
    }
    uint8_t *at = world->up + world->up_used;
    world->written[world->written_count++] = (struct stack_written){.player = player, .len = *room, .at = at};
    world->up_used += *room;
    return at;
}

#endif
