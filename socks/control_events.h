/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events of Tor's control protocol (control-spec 4.1), from one line of text to a struct.
 *
 * Parsing happens in place: the strings of an event point into the line, are NUL-terminated, and live as long as it
 * does. A field that the line does not have is the empty string.
 */
#ifndef CLOISTER_SOCKS_CONTROL_EVENTS_H
#define CLOISTER_SOCKS_CONTROL_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTROL_PATH_MAX 16u

/* CONTROL_EVENT_STATUS is what STATUS_CLIENT and STATUS_GENERAL say besides, but for what tells of a single
 * request, such as DANGEROUS_SOCKS with its address: that is not looked into. */
enum control_event_kind {
    CONTROL_EVENT_OTHER,     /* one that is not looked into; `name` tells which */
    CONTROL_EVENT_BOOTSTRAP, /* STATUS_CLIENT ... BOOTSTRAP */
    CONTROL_EVENT_STATUS,
    CONTROL_EVENT_CIRC,
    CONTROL_EVENT_STREAM,
    CONTROL_EVENT_ORCONN,
    CONTROL_EVENT_LOG, /* DEBUG, INFO, NOTICE, WARN, ERR */
};

/* How far Tor is. */
struct control_bootstrap {
    const char *severity; /* "NOTICE", or "WARN" when it is stuck */
    unsigned progress;    /* percent, 0 to 100 */
    const char *tag;      /* "conn_done", "done" ... */
    const char *summary;  /* for people */
    const char *warning;  /* with WARN: what is wrong */
    const char *reason;   /* with WARN: an OR connection's reason, "TIMEOUT" ... */
};

struct control_status {
    const char *severity;
    const char *action; /* "CIRCUIT_ESTABLISHED", "ENOUGH_DIR_INFO", "CLOCK_SKEW" ... */
    const char *arguments;
};

/* One relay of a path. */
struct control_hop {
    const char *fingerprint; /* 40 hex digits, without "$" */
    const char *nickname;    /* may be empty */
};

struct control_circuit {
    uint64_t id;
    const char *status; /* LAUNCHED, BUILT, GUARD_WAIT, EXTENDED, FAILED, CLOSED; PURPOSE_CHANGED, CANNIBALIZED */
    unsigned hops;
    struct control_hop path[CONTROL_PATH_MAX];
    const char *purpose;
    const char *conflux_id; /* circuits with the same one are legs of one set */
    const char *socks_username;
    const char *socks_password;
    const char *reason;
    const char *remote_reason;
};

struct control_stream {
    uint64_t id;
    const char *status; /* NEW, SENTCONNECT, REMAP, SUCCEEDED, FAILED, CLOSED, DETACHED ... */
    uint64_t circuit;   /* 0: none yet */
    const char *target; /* host:port */
    const char *reason;
    const char *remote_reason;
    const char *source;
    const char *purpose;
    const char *socks_username;
    const char *socks_password;
};

struct control_orconn {
    const char *target; /* the relay */
    const char *status; /* LAUNCHED, CONNECTED, FAILED, CLOSED ... */
};

struct control_log {
    const char *severity;
    const char *text;
};

struct control_event {
    enum control_event_kind kind;
    const char *name; /* "CIRC" ... */
    union {
        struct control_bootstrap bootstrap;
        struct control_status status;
        struct control_circuit circuit;
        struct control_stream stream;
        struct control_orconn orconn;
        struct control_log log;
    };
};

/* Parse the text of a 650 line (without the code), NUL-terminated, in place. 0 or -EPROTO. */
int control_event_parse(char *text, struct control_event *out);

/* Parse what GETINFO status/bootstrap-phase answers: "NOTICE BOOTSTRAP PROGRESS=...". 0 or -EPROTO. */
int control_bootstrap_parse(char *text, struct control_bootstrap *out);

#endif
