/* SPDX-License-Identifier: BSD-3-Clause */
/* The workstation's end of a TUN or TAP device, by a packet socket: an IPv4 host that answers ARP and nothing else. */
#ifndef CLOISTER_BENCH_LINK_H
#define CLOISTER_BENCH_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "replay/options.h"

#define LINK_BATCH 64u /* frames that are sent or received at once, at most */

struct link {
    int fd;           /* packet socket */
    int ifindex;      /* of the device */
    bool ethernet;    /* a TAP */
    uint8_t mac[6];   /* the device's, which is the client's */
    uint8_t peer[6];  /* the gateway's */
    uint32_t client;  /* addresses */
    uint32_t gateway; /* */
};

/* Wait for the device, open it, and find the gateway's MAC address. Ends the program if that fails. */
void link_open(struct link *link, const struct replay_options *options);

/* Whole IPv4 packets with TCP that came, at most LINK_BATCH, good until the next call. */
uint32_t link_receive(struct link *link, struct bytes *ip);

/* Send frames, as player_next() makes them. How many of them were taken. */
uint32_t link_send(struct link *link, const struct bytes *frames, uint32_t count);

#endif
