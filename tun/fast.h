/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The short way of a frame: the next TCP segment over IPv4 of a workstation whose frames were found good before.
 *
 * What does not change from one frame of a workstation to the next (both MAC addresses, the type, the IP version and
 * header length, the source address, and that they belong together) is compared with what the last frame that went the
 * long way looked like, in a few words. What does change is checked as the long way checks it. A frame that does not
 * pass is not dropped here: it goes the long way, which has the reason.
 */
#ifndef CLOISTER_TUN_FAST_H
#define CLOISTER_TUN_FAST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct tun;
struct frame;
struct packet;

#define FAST_KNOWN 16u /* workstations that are remembered, by the last bits of their address */

/* How frames of a workstation begin, and what that was found to mean. It holds as long as `serial` is the serial of the
 * binding `host`: a binding never gets another address or MAC address. */
struct fast_known {
    uint64_t begin[2]; /* Ethernet header and the first two bytes of the IP header, the type of service as zero */
    uint64_t serial;   /* of the binding; 0: nothing is known */
    uint32_t src;      /* the workstation's address, as it lies in the header */
    uint32_t dst;      /* the last destination, found to be one */
    uint32_t host;     /* number of the binding */
};

/* Take the frame, all the way to the engine, if it is what is expected. False: nothing was done. */
bool fast_input(struct tun *tun, struct bytes raw, uint64_t now);

/* A TCP segment over IPv4 of the workstation `host` came the long way and was found good. */
void fast_learn(struct tun *tun, const struct frame *frame, const struct packet *packet, uint32_t host);

#endif
