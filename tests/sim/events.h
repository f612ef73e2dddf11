/* SPDX-License-Identifier: BSD-3-Clause */
/* What is to happen, by time; at the same time, by order of creation. */
#ifndef CLOISTER_TESTS_SIM_EVENTS_H
#define CLOISTER_TESTS_SIM_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

enum event_kind {
    EVENT_UP,          /* a packet reaches the engine */
    EVENT_DOWN,        /* a packet reaches a workstation */
    EVENT_PEER,        /* a timer of a peer */
    EVENT_UPSTREAM,    /* a timer of an upstream */
    EVENT_UNREACHABLE, /* an ICMP message reaches a workstation */
    EVENT_TOO_BIG,     /* an ICMP message about a packet reaches the engine */
    EVENT_MEDDLE,      /* something else happens to the engine */
};

/* A packet under way: its header, and where in its stream the payload stands. */
struct packet {
    struct packet *next;
    int64_t offset;   /* in the stream, of the first byte of payload */
    uint32_t payload; /* bytes */
    uint32_t length;  /* of the header */
    uint32_t phase;   /* of the stream it belongs to */
    uint16_t gso;
    bool damaged;
    uint8_t header[WIRE_HEADER_MAX];
};

struct event {
    uint64_t at;
    uint64_t order;
    struct packet *packet; /* EVENT_UP and EVENT_DOWN */
    uint32_t who;          /* number of the peer or of the upstream */
    enum event_kind kind;
};

struct events {
    struct event *heap;
    uint32_t count, room;
    uint64_t order;
    struct packet *spare;
};

void events_add(struct events *events, uint64_t at, enum event_kind kind, uint32_t who, struct packet *packet);

/* When the next is due, or UINT64_MAX; and that one, taken out. */
uint64_t events_next_at(const struct events *events);
struct event events_take(struct events *events);

/* A packet, zeroed; and give one back, NULL is allowed. */
struct packet *events_packet(struct events *events);
void events_release(struct events *events, struct packet *packet);

void events_free(struct events *events);

#endif
