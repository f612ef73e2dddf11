/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The short way of a frame in tun_input(): the next TCP segment of a workstation whose frames were found good before.
 *
 * What does not change from one frame of a workstation to the next (both MAC addresses, the type, the IP version and
 * length of its header, the source address, and that they belong together) is compared with what the last frame that went the
 * long way looked like, in a few words. What does change is checked as the long way checks it. A frame that does not
 * pass is not dropped here: it goes the long way, which has the reason.
 */
#ifndef CLOISTER_TUN_FAST_H
#define CLOISTER_TUN_FAST_H

#include <stdint.h>

#include "tcp/engine.h"

struct tun;
struct frame;
struct packet;

#define FAST_KNOWN 16u /* workstations that are remembered for each family, by the last bits of their address */

/* How frames of a workstation begin, and what that was found to mean. It holds as long as `serial` is the serial of the
 * binding in.host: a binding never gets another address or MAC address. */
struct fast_known {
    uint64_t begin[2]; /* Ethernet header and the first two bytes of the IP header, the second of these as zero */
    uint64_t serial;   /* of the binding; 0: nothing is known */
    struct tcp_in in;  /* for the engine: only the segment, its size, and perhaps the destination change */
};

/* A TCP segment of the workstation `host` came the long way and was found good. */
void fast_learn(struct tun *tun, const struct frame *frame, const struct packet *packet, uint32_t host);

#endif
