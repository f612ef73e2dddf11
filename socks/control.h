/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client of Tor's control protocol (control-spec), sans-IO.
 *
 * Bytes of the connection go in, answers and events come out through callbacks; commands are put into an output
 * buffer that the caller sends when it can. Tor is trusted to be Tor, but not to be free of faults: what breaks the
 * framing ends the session. One event that makes no sense is passed over and counted, because a workstation has a
 * say in some of their text.
 */
#ifndef CLOISTER_SOCKS_CONTROL_H
#define CLOISTER_SOCKS_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "socks/control_events.h"

#define CONTROL_LINE_MAX 16384u /* bytes of a line; more is an error */
#define CONTROL_OUTPUT_MAX 4096u
#define CONTROL_PENDING_MAX 16u /* commands that wait for their answer */

enum control_line_kind {
    CONTROL_LINE_END,  /* "250 OK": the last of its reply */
    CONTROL_LINE_MID,  /* "250-...": more follow */
    CONTROL_LINE_PLUS, /* "250+...": data lines follow, then more */
    CONTROL_LINE_DATA, /* one line of data, dots unstuffed */
    CONTROL_LINE_DOT,  /* the end of the data */
};

/* One line, without its end. The text lives until the reader is used again, and may be written to. */
struct control_line {
    enum control_line_kind kind;
    unsigned code; /* 100 to 999; of data and its end, that of the line before it */
    char *text;    /* after the code, NUL-terminated */
    size_t len;
};

struct control_reader {
    unsigned code; /* of the data being read, 0: none */
    size_t len;    /* bytes of `line` */
    char line[CONTROL_LINE_MAX + 1];
};

void control_reader_init(struct control_reader *reader);

/* The next line, taking bytes from `in`: 1 and *out; 0 when `in` is used up and no line is whole; -EPROTO for a
 * malformed line, -EMSGSIZE for one that is too long. After an error the reader is of no more use. */
int control_reader_next(struct control_reader *reader, struct bytes *in, struct control_line *out);

/* What is told. Each may be NULL. The strings live until the callback returns. A callback may give commands. */
struct control_ops {
    void (*event)(void *ctx, struct control_event *event);
    /* The last line of a command's answer; `what` is what the command was given with. Code 250 is success. */
    void (*done)(void *ctx, unsigned what, unsigned code, const char *text);
    /* A line of a GETINFO answer: key=value. Of an answer of several lines, each of them, with an empty key. */
    void (*info)(void *ctx, const char *key, const char *value);
};

struct control {
    struct control_reader reader;
    struct control_ops ops;
    void *ctx;
    unsigned pending[CONTROL_PENDING_MAX]; /* `what` of the commands under way, a ring */
    unsigned first, count;
    char output[CONTROL_OUTPUT_MAX];
    size_t output_len;
    int broken;          /* 0, or the error that ended the session */
    uint64_t bad_events; /* events whose text made no sense; they are passed over */
};

/* Begin a session on a connection that needs no authentication: the descriptor given to Tor as
 * __OwningControllerFD is authenticated and owns Tor from the start (no AUTHENTICATE, no TAKEOWNERSHIP). */
void control_init(struct control *control, const struct control_ops *ops, void *ctx);

/* Take bytes of the connection. 0, or negative errno as control_reader_next(), -EPROTO also for an answer to
 * nothing; said again for ever after. */
int control_input(struct control *control, const void *data, size_t n);

/* Put a command, without line end, into the output. 0; -EINVAL if it holds a line end; -ENOBUFS if too many are
 * under way or the output is full. `what` is given to done(). */
int control_command(struct control *control, unsigned what, const char *command);

/* What to send, and that `n` bytes of it were sent. */
const char *control_output(const struct control *control, size_t *len);
void control_output_sent(struct control *control, size_t n);

/* Commands that the supervisor gives. Tor writes its log to standard error, without the messages that tell where
 * workstations go (tor_process.c); the supervisor asks for warnings only while Tor starts, for what no event tells. */
#define CONTROL_COMMAND_EVENTS "SETEVENTS STATUS_CLIENT STATUS_GENERAL CIRC CIRC_MINOR STREAM ORCONN"
#define CONTROL_COMMAND_EVENTS_STARTING CONTROL_COMMAND_EVENTS " WARN"
#define CONTROL_COMMAND_BOOTSTRAP "GETINFO status/bootstrap-phase"
#define CONTROL_COMMAND_NETWORK "SETCONF DisableNetwork=0"
#define CONTROL_COMMAND_HEARTBEAT "GETINFO uptime"
#define CONTROL_COMMAND_HALT "SIGNAL HALT"         /* ends Tor at once */
#define CONTROL_COMMAND_SHUTDOWN "SIGNAL SHUTDOWN" /* ends a client at once too, a relay after a while */

#endif
