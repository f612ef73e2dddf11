/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of tun/ share: a gateway without a device or an engine, frames made byte by byte, and a checksum that
 * is not the one under test.
 *
 * The rig stands in for the engine (it defines tcp_input() and what else tun/ calls of it) and keeps what it was given.
 */
#ifndef CLOISTER_TESTS_TUN_RIG_H
#define CLOISTER_TESTS_TUN_RIG_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tun/device.h"
#include "tun/tun.h"

#define RIG_SENT_MAX 8u
#define RIG_HOSTS 64u /* the most that a test configures */
#define RIG_OFFLOAD (DEVICE_OFFLOAD_CSUM | DEVICE_OFFLOAD_TSO4 | DEVICE_OFFLOAD_TSO6)

/* Bytes of a frame, or of a part of one. */
struct wire {
    uint8_t b[70000];
    size_t n;
};

struct rig {
    struct tun tun;
    const struct tun *fed; /* the one that is given a frame, if it is not `tun` */
    uint64_t now;          /* microseconds */

    struct wire sent[RIG_SENT_MAX]; /* frames that left, in order */
    unsigned sent_count;
    int send_result; /* what the link says next */

    struct tcp_in tcp; /* the last segment given to the engine */
    unsigned tcp_count;
    struct tcp_tuple too_big_tuple; /* the last tcp_packet_too_big() */
    uint32_t too_big_seq, too_big_mtu;
    unsigned too_big_count;
    struct tcp_tuple unreachable_tuple; /* the last tcp_unreachable() */
    uint32_t unreachable_seq;
    bool unreachable_hard;
    unsigned unreachable_count;
    uint32_t reset_host; /* the last tcp_engine_reset_host() */
    unsigned reset_count;
    uint32_t account[RIG_HOSTS]; /* of each host, as tcp_engine_charge() says */

    struct tun_udp udp; /* the last datagram */
    uint8_t udp_data[65535];
    unsigned udp_count;
    enum drop udp_result; /* what the callback says next */

    uint32_t busy_host; /* the one host that has flows; UINT32_MAX = none */
    unsigned gone_count;
};

/* The two ends, as the tests name them. */
extern const uint8_t rig_gateway_mac[6];
extern const uint8_t rig_station_mac[6];
extern const uint8_t rig_other_mac[6];
#define RIG_GATEWAY "10.152.152.10"
#define RIG_STATION "10.152.152.11"
#define RIG_OTHER "10.152.152.12"
#define RIG_FAR "93.184.216.34"
#define RIG_GATEWAY6 "fd19:c33d:88bc::10"
#define RIG_STATION6 "fd19:c33d:88bc::11"
#define RIG_OTHER6 "fd19:c33d:88bc::12"
#define RIG_FAR6 "2606:2800:220:1::1946"

/* The configuration that rig_start() uses: 10.152.152.10/18, MTU 1500, every offload, no IPv6. */
struct tun_config rig_config(void);
/* The same, with IPv6: fd19:c33d:88bc::10/64 and fe80::10. */
struct tun_config rig_config6(void);
/* A new rig, or exit. Only one at a time. */
struct rig *rig_start(const struct tun_config *config);
void rig_stop(struct rig *rig);

/* An address from text, or exit. */
struct ipaddr rig_addr(const char *text);

/* Sum over `n` bytes as RFC 1071 4.1 writes it down, plus `start`; not folded, not complemented. */
uint32_t ref_sum(uint32_t start, const uint8_t *p, size_t n);
uint16_t ref_fold(uint32_t sum);
/* Sum of the pseudo header. */
uint32_t ref_pseudo(const struct ipaddr *src, const struct ipaddr *dst, uint8_t protocol, uint32_t len);

/* How a frame is to be made. Zero means the sane choice, which rig_spec() fills in. */
struct spec {
    struct virtio_net_hdr offload;
    uint8_t dst_mac[6], src_mac[6];
    uint16_t type;
    const char *src, *dst; /* addresses */
    uint8_t protocol;
    uint8_t tos;
    uint16_t fragment;   /* that field of the IPv4 header */
    uint8_t options[40]; /* IPv4 options, or a chain of IPv6 extension headers (with `protocol` the first's) */
    size_t options_len;  /* a multiple of 4 (8) */
    int total_len_add;   /* a lie about the length */
    uint16_t sum_xor;    /* a lie about the header checksum */
    uint8_t version_ihl; /* a lie about the first byte, if not 0 */
    size_t padding;      /* bytes after the packet */
    uint8_t hop_limit;   /* 0 = 64 */
};

/* A good frame from the workstation to the far end, without a payload yet. */
struct spec rig_spec(uint8_t protocol);
/* The same over IPv6. */
struct spec rig_spec6(uint8_t protocol);
/* Build the frame of `spec` around `payload`. */
void rig_frame(struct wire *wire, const struct spec *spec, const struct wire *payload);
/* A TCP segment of `n` bytes of payload, with a right checksum for the addresses of `spec`. */
void rig_tcp(struct wire *wire, const struct spec *spec, size_t n);
/* A UDP datagram to `port`. */
void rig_udp(struct wire *wire, const struct spec *spec, uint16_t port, size_t n);
/* An ICMP message. */
void rig_icmp(struct wire *wire, uint8_t type, uint8_t code, uint32_t rest, const void *body, size_t n);
/* An ICMPv6 message, with a right checksum for the addresses of `spec`. */
void rig_icmpv6(struct wire *wire, const struct spec *spec, uint8_t type, uint8_t code, uint32_t rest,
                const void *body, size_t n);
/* An ARP message, as a whole frame. */
void rig_arp(struct wire *wire, const uint8_t dst_mac[6], const uint8_t src_mac[6], uint16_t operation,
             const uint8_t sender_mac[6], const char *sender, const uint8_t target_mac[6], const char *target);

/* Feed a frame. The bytes are copied to a block of exactly their size, so that a sanitizer sees a read past it. */
void rig_feed(struct rig *rig, const struct wire *wire);

/* Feed and insist that the frame was dropped for `why` and for nothing else, once, unanswered and unused. */
void rig_expect_drop(struct rig *rig, const struct wire *wire, enum drop why);
/* Feed and insist that the frame was used. */
void rig_expect_use(struct rig *rig, const struct wire *wire);
/* Insist that the `i`th frame sent is `wire`, byte for byte. */
void rig_expect_sent(const struct rig *rig, unsigned i, const struct wire *wire);

#endif
