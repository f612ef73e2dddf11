/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP headers as the simulator reads and writes them, from RFC 9293 3.1, 7323 and 2018; nothing shared with core/tcp. */
#ifndef CLOISTER_TESTS_SIM_WIRE_H
#define CLOISTER_TESTS_SIM_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#define WIRE_HEADER_MAX 60u
#define WIRE_SACK_MAX 4u

enum {
    WIRE_FIN = 1,
    WIRE_SYN = 2,
    WIRE_RST = 4,
    WIRE_PSH = 8,
    WIRE_ACK = 16,
};

struct wire_header {
    uint32_t seq, ack;
    uint32_t tsval, tsecr;
    uint32_t sack[WIRE_SACK_MAX][2]; /* left, right */
    uint32_t length;                 /* of the header, bytes; out of wire_parse() */
    uint16_t src_port, dst_port;
    uint16_t window; /* as on the wire */
    uint16_t mss;    /* 0: option absent */
    uint8_t flags;
    uint8_t sack_count;
    int8_t wscale; /* -1: option absent */
    bool has_ts;
    bool sack_permitted;
};

/* Write a header; returns its length. The checksum field is left zero. */
uint32_t wire_build(uint8_t to[WIRE_HEADER_MAX], const struct wire_header *h);

/* Read a header of `length` bytes. NULL, or what is wrong with it: this is about what the engine sends, so whatever
 * is not exactly as it should be is wrong. */
const char *wire_parse(const uint8_t *from, uint32_t length, struct wire_header *h);

#endif
