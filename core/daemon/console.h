/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket and the metrics listener, on the supervisor's loop: who runs the host asks, and is answered.
 *
 * Nobody can make it wait, grow or end: there is room for CONSOLE_CLIENTS_MAX at once, a request is one short line, a
 * client that does not read or say anything is closed, and an answer is made piece by piece as the client reads it. What
 * only the gateway knows is asked for a piece at a time (view.h), one question at a time, in turn.
 */
#ifndef CLOISTER_DAEMON_CONSOLE_H
#define CLOISTER_DAEMON_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/console_answer.h"
#include "daemon/console_request.h"
#include "daemon/view.h"

#define CONSOLE_CLIENTS_MAX 8u
#define CONSOLE_SCRAPERS_MAX 4u   /* of them, over HTTP: whoever is on the host may be one, and keep root out */
#define CONSOLE_OUTPUT_MAX 65536u /* bytes of a piece of an answer */
#define CONSOLE_INPUT_MAX 2048u   /* bytes of a request: the head of one over HTTP */

struct console_ops {
    /* Ask the gateway. 0 or negative errno; the answer is to be given to console_take_view(). */
    int (*ask)(void *ctx, const struct view_ask *ask);
    void (*facts)(void *ctx, struct console_facts *out);
    /* Circuits are to be shown, all or those that carry flows: begin to learn what is not known of their relays yet. True if
     * something is to come: console_learnt() says that it has. NULL: nothing can be learnt. */
    bool (*learn)(void *ctx, bool all);
    void *ctx;
};

enum console_state {
    CONSOLE_FREE,
    CONSOLE_LISTENING, /* for its next request */
    CONSOLE_LEARNING,  /* its answer begins when more is known, or soon without that */
    CONSOLE_WANTING,   /* a piece of its answer is to be made */
    CONSOLE_ASKED,     /* the gateway is asked for one */
    CONSOLE_ENDING,    /* closed when what is written has been read */
    CONSOLE_CLOSED,    /* libuv still has its handle */
};

struct console;

struct console_client {
    struct console *console;
    uv_poll_t poll;
    int fd;
    enum console_state state;
    bool http;    /* came by the metrics listener */
    int events;   /* what the poll is started for */
    uint64_t due; /* ms, uv_now(): closed then, unless something happens before */
    struct console_request request;
    uint32_t cursor; /* where the answer goes on */
    uint32_t count;  /* lines of the answer so far */
    size_t in_len, out_len, out_sent;
    char in[CONSOLE_INPUT_MAX];
    char out[CONSOLE_OUTPUT_MAX];
};

struct console {
    struct console_ops ops;
    uv_loop_t *loop;
    uv_poll_t listener[2]; /* the control socket, the metrics listener */
    int listener_fd[2];    /* owned; -1: none */
    bool deaf;             /* out of descriptors: listeners are looked at again when the sweep comes */
    uv_timer_t sweep;
    uv_timer_t patience; /* with what is to be learnt */
    bool asked;          /* the gateway owes an answer ... */
    uint32_t ticket;     /* ... to this question */
    uint32_t asked_kind; /* enum view_kind */
    uint32_t asked_cursor;
    uint64_t asked_due;           /* ms, uv_now(): nothing is awaited any more then */
    unsigned owed;                /* answers that were given up, and may still come */
    struct console_client *asker; /* NULL: it is gone */
    uint32_t turn;                /* the client that is looked at first for the next question */
    struct console_client clients[CONSOLE_CLIENTS_MAX];
};

/* Begin to listen. The descriptors are taken over: listening, non-blocking, or -1. 0 or negative errno. */
int console_start(struct console *console, uv_loop_t *loop, int control, int metrics,
                  const struct console_ops *ops);

/* What console_ops.learn() began is known now, or never will be. */
void console_learnt(struct console *console);

/* The gateway has answered. 0, or -EPROTO if nobody asked that. The view is valid (view_is_valid()). */
int console_take_view(struct console *console, const struct view *view);

#endif
