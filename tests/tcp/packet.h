/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A TCP segment as the tests see it: read from the bytes of RFC 9293 3.1 without any code of the engine, so that a
 * mistake there cannot hide here.
 */
#ifndef CLOISTER_TESTS_TCP_PACKET_H
#define CLOISTER_TESTS_TCP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_OPTIONS_MAX 40u
#define PACKET_SACK_MAX 4u

enum packet_option {
    PACKET_MSS = 2,
    PACKET_WS = 3,
    PACKET_SACKOK = 4,
    PACKET_SACK = 5,
    PACKET_TS = 8,
};

struct packet {
    uint16_t src_port, dst_port;
    uint32_t seq, ack;
    uint8_t flags; /* FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128 */
    uint16_t window;
    uint16_t urgent;
    uint16_t mss;
    uint8_t ws;
    uint32_t tsval, tsecr;
    uint32_t sack[PACKET_SACK_MAX][2];
    uint32_t sack_count;
    uint8_t kind[PACKET_OPTIONS_MAX]; /* kinds of the options in their order, padding left out */
    uint32_t kind_count;
    uint32_t header_len;
    const uint8_t *payload;
    uint32_t len;
};

/* What the script says in letters: "FSRP.UEW". */
#define PACKET_FLAG_LETTERS "FSRP.UEW"

/* Read `n` bytes. Returns NULL, or a sentence on what is wrong with them: besides lengths, reserved bits that are
 * set, unknown, repeated or unaligned options, and padding that is neither NOP nor zero, none of which we may send. */
const char *packet_read(const uint8_t *bytes, size_t n, struct packet *packet);

bool packet_has(const struct packet *packet, enum packet_option kind);

/* Write a segment's header with `option_len` bytes of options as they stand (padded here with zeros to a multiple of
 * four) to `to`, of 60 bytes. The checksum stays zero: the engine is given segments whose checksum was checked.
 * Returns the header's length. */
uint32_t packet_write(uint8_t *to, const struct packet *packet, const uint8_t *options, uint32_t option_len);

/* The byte at relative sequence number `at` of the stream from the workstation (up) or to it. */
uint8_t packet_stream_byte(bool up, uint32_t at);

/* The segment in the script's own notation, numbers relative to the given bases. `room` bytes at `text`. */
void packet_say(const struct packet *packet, uint32_t seq_base, uint32_t ack_base, uint32_t ts_base, char *text,
                size_t room);

#endif
