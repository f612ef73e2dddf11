/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A capture as scripts, one for each TCP flow: what the client sent and what the server sent, in the order in which it
 * happened, and how much of the other side's bytes each of them had seen by then. Addresses, sequence numbers and times
 * are gone; whoever plays a script puts in his own.
 */
#ifndef CLOISTER_BENCH_SCRIPT_H
#define CLOISTER_BENCH_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRIPT_OPTIONS_MAX 40u

enum step_kind {
    STEP_CLIENT_DATA, /* a segment with payload */
    STEP_CLIENT_ACK,  /* a segment without */
    STEP_CLIENT_FIN,
    STEP_CLIENT_RST,
    STEP_SERVER_DATA, /* bytes that the server writes */
    STEP_SERVER_FIN,  /* the server closes */
};

struct step {
    enum step_kind kind;
    uint32_t len;  /* of the data, bytes */
    uint32_t need; /* bytes of the other side that came before, the end of its stream counting as one */
};

struct script {
    uint8_t *up;       /* all that the client sent */
    uint8_t *down;     /* all that the server sent */
    uint32_t up_len;   /* bytes of `up` */
    uint32_t down_len; /* bytes of `down` */
    struct step *steps;
    uint32_t count;                      /* of steps */
    uint8_t options[SCRIPT_OPTIONS_MAX]; /* of the client's SYN, as they were */
    uint8_t options_len;                 /* bytes of options */
    uint8_t wscale;                      /* the window scale among them, 0 if none */
    uint8_t timestamp_at;                /* where the option's value is among them, 0 if there is none */
    uint16_t port;                       /* of the server */
};

struct capture {
    struct script *scripts;
    uint32_t count;
    /* What was found in the file, for messages. */
    uint64_t frames;
    uint64_t segments;   /* of these, TCP */
    uint64_t stray;      /* of these, of flows whose SYN is not in the file */
    uint32_t unanswered; /* flows that were not accepted, and so are no scripts */
    uint32_t cut_short;  /* scripts that end early, where something was not captured */
};

/* Read a capture file, pcap or pcapng; segments of the client longer than `mss` are cut. Segments out of order are put
 * in order; payload that was not captured (a snapshot length) is zeros. 0, with *error NULL or, if the file breaks off,
 * a message; or -1 with a message. The message lasts until the next call and does not name the file. */
int capture_read(struct capture *capture, const char *path, uint32_t mss, const char **error);

void capture_free(struct capture *capture);

#endif
