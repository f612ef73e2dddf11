/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The steps of tun_input(), for the sources of tun/ only. Each returns DROP_NONE if the frame was used, or the reason to
 * count.
 */
#ifndef CLOISTER_TUN_INPUT_H
#define CLOISTER_TUN_INPUT_H

#include <stdint.h>

#include "base/drop.h"
#include "tun/icmp.h"
#include "tun/output.h"
#include "tun/packet.h"
#include "tun/tun.h"

enum drop input_arp(struct tun *tun, const struct frame *frame, uint64_t now);
enum drop input_ipv4(struct tun *tun, const struct frame *frame, uint64_t now);
enum drop input_ipv6(struct tun *tun, const struct frame *frame, uint64_t now);

/* A frame goes the long way, and is counted as used or dropped. fast.c has tun_input(). */
void input_frame(struct tun *tun, const struct bytes *raw, uint64_t now);

/* A packet of the workstation `host`, whose addresses were checked: to the engine, or to the `udp` callback. */
enum drop input_tcp(struct tun *tun, const struct packet *packet, const struct frame *frame, uint32_t host,
                    uint64_t now);
enum drop input_udp(struct tun *tun, const struct packet *packet, const struct frame *frame, uint32_t host);

/* A message to the DHCP server, if there is one. */
enum drop input_dhcp(struct tun *tun, const struct bytes *message, const struct frame *frame);

/* A packet of the workstation `host` is dropped: tell it, if that is wanted and its allowance is not used up. Not for
 * packets to a group: those end before their sender is bound. Returns what is to be returned in the packet's case. */
enum drop input_refuse(struct tun *tun, const struct packet *packet, uint32_t host, enum output_refusal how,
                       enum drop why);

/* "Fragmentation needed" or "packet too big" about a segment of ours (RFC 1191 4, 8201 4): to the engine. */
enum drop input_too_big(struct tun *tun, const struct packet *packet, const struct frame *frame,
                        const struct icmp_quote *quote, uint32_t mtu, uint64_t now);

/* "Destination unreachable" about a segment of ours, for good (`hard`) or for now (RFC 792, 4443 3.1): to the engine, which
 * asks it of a SYN only. */
enum drop input_unreachable(struct tun *tun, const struct packet *packet, const struct frame *frame,
                            const struct icmp_quote *quote, bool hard, uint64_t now);

#endif
