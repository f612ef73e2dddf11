/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A frame as it comes from the TAP: offload header, Ethernet header, payload.
 *
 * The offload header is `struct virtio_net_hdr` (ten bytes, in the machine's byte order: what a TAP speaks unless
 * told otherwise). It says what the sender left undone: a checksum that holds the pseudo-header sum only, or a
 * segment that is really many. It is data of a stranger like all the rest and is checked like it.
 */
#ifndef CLOISTER_TUN_FRAME_H
#define CLOISTER_TUN_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/drop.h"

#define FRAME_OFFLOAD_LEN 10u                                     /* bytes of offload header */
#define FRAME_ETHERNET_LEN 14u                                    /* bytes of Ethernet header */
#define FRAME_HEADER_LEN (FRAME_OFFLOAD_LEN + FRAME_ETHERNET_LEN) /* bytes before the IP header */
#define FRAME_MAX (FRAME_HEADER_LEN + 65535u)                     /* bytes of the longest frame */
#define FRAME_MAC_LEN 6u                                          /* bytes of a MAC address */

/* EtherTypes that get past frame_parse(). */
enum frame_type {
    FRAME_TYPE_IPV4 = 0x0800,
    FRAME_TYPE_ARP = 0x0806,
    FRAME_TYPE_IPV6 = 0x86dd,
};

/* True if the six bytes at `a` and `b` are the same MAC address. Two loads each: a call would cost more. */
static inline bool frame_mac_equal(const uint8_t *a, const uint8_t *b)
{
    uint32_t a4, b4;
    uint16_t a2, b2;
    memcpy(&a4, a, 4);
    memcpy(&b4, b, 4);
    memcpy(&a2, a + 4, 2);
    memcpy(&b2, b + 4, 2);
    return ((a4 ^ b4) | (uint32_t)(a2 ^ b2)) == 0;
}

enum frame_gso {
    FRAME_GSO_NONE, /* one packet */
    FRAME_GSO_TCP4, /* several TCP segments merged, IPv4 */
    FRAME_GSO_TCP6, /* the same, IPv6 */
};

/* What the offload header said. */
struct frame_offload {
    enum frame_gso gso;
    uint16_t gso_size;   /* payload bytes per segment; 0 if gso is FRAME_GSO_NONE */
    bool partial;        /* the transport checksum is the pseudo-header sum only; the payload was never on a wire */
    bool valid;          /* somebody checked the transport checksum already */
    uint16_t csum_start; /* if partial: where summing begins, bytes from the start of the Ethernet payload */
    uint16_t csum_offset; /* if partial: where the checksum field is, bytes from csum_start */
};

/* A parsed frame. The pointers go into the bytes that were parsed. */
struct frame {
    const uint8_t *dst_mac; /* six bytes */
    const uint8_t *src_mac; /* six bytes */
    enum frame_type type;
    bool group; /* the destination is a group address, not our own */
    struct frame_offload offload;
    struct bytes payload; /* what follows the Ethernet header, with any padding */
};

/* Parse `raw` (offload header first) for a gateway whose address is `mac`. DROP_NONE and *frame filled, or why it
 * is dropped: FRAME_SHORT, FRAME_FOREIGN (unicast to somebody else), FRAME_SOURCE, FRAME_TYPE, FRAME_OFFLOAD. */
enum drop frame_parse(struct frame *frame, struct bytes raw, const uint8_t mac[FRAME_MAC_LEN]);

/* Check an offload header against the transport protocol that was found: `start` is where its header begins, bytes
 * from the start of the Ethernet payload; `field` where its checksum is in there; `gso` which merging fits it. A
 * protocol without partial checksums says field = 0. False: they contradict (DROP_FRAME_OFFLOAD). */
bool frame_offload_fits(const struct frame_offload *offload, size_t start, size_t field, enum frame_gso gso);

/* Write an offload header (FRAME_OFFLOAD_LEN bytes) at `at`. For a partial checksum or merged segments, `csum_start`
 * counts from the start of the Ethernet payload; `header_len` is the length of all headers from there to the
 * payload of the transport protocol. */
void frame_build_offload(uint8_t *at, const struct frame_offload *offload, size_t header_len);

/* Write an Ethernet header (FRAME_ETHERNET_LEN bytes) at `at`. */
static inline void frame_build_ethernet(uint8_t *at, const uint8_t dst[FRAME_MAC_LEN],
                                        const uint8_t src[FRAME_MAC_LEN], enum frame_type type)
{
    memcpy(at, dst, FRAME_MAC_LEN);
    memcpy(at + FRAME_MAC_LEN, src, FRAME_MAC_LEN);
    be16_store(at + 2 * FRAME_MAC_LEN, (uint16_t)type);
}

#endif
