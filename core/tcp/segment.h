/* SPDX-License-Identifier: BSD-3-Clause */
/* A TCP header with its options, as fields (RFC 9293 3.1, 3.2; RFC 7323; RFC 2018). */
#ifndef CLOISTER_TCP_SEGMENT_H
#define CLOISTER_TCP_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    TCP_FIN = 0x01,
    TCP_SYN = 0x02,
    TCP_RST = 0x04,
    TCP_PSH = 0x08,
    TCP_ACK = 0x10,
    TCP_URG = 0x20,
    TCP_ECE = 0x40,
    TCP_CWR = 0x80,
};

#define TCP_HEADER_MIN 20u
#define SEGMENT_SACK_MAX 4u
#define TCP_OPTION_TS_SIZE 12u /* NOP NOP timestamps, as everybody lays it out */

/* Bytes [left, right) that a SACK block reports. */
struct sack_block {
    uint32_t left, right;
};

struct segment {
    const uint8_t *payload;
    uint32_t len; /* payload bytes; SYN and FIN not counted */
    uint32_t seq, ack;
    uint32_t tsval, tsecr;
    uint16_t src_port, dst_port;
    uint16_t window; /* as on the wire, not scaled */
    uint16_t mss;    /* 0 if the option was absent or malformed */
    uint8_t flags;
    bool has_ts;
    bool has_wscale;
    bool sack_permitted;
    uint8_t wscale; /* 0 to 14 (RFC 7323 2.3: larger values count as 14) */
    uint8_t sack_count;
    struct sack_block sack[SEGMENT_SACK_MAX];
};

/* Read a segment. Returns 0, or -EINVAL if the header does not fit in its bytes. Options with a bad length end the
 * option list; unknown ones are skipped (RFC 9293 3.1, MUST-6, MUST-7). The payload stays where it is. */
int segment_parse(struct bytes bytes, struct segment *segment);

/* Sequence space the segment covers. */
static inline uint32_t segment_space(const struct segment *s)
{
    return s->len + ((s->flags & TCP_SYN) != 0) + ((s->flags & TCP_FIN) != 0);
}

/* Write a header with the options that are set in `segment` (mss != 0, has_ts, has_wscale, sack_permitted,
 * sack_count; SACK blocks as many as fit) to `to`, of TCP_HEADER_MAX bytes. The checksum is left zero. Returns the
 * header's length, a multiple of 4. */
uint32_t segment_build(uint8_t *to, const struct segment *segment);

#endif
