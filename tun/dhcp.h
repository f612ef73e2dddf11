/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A DHCP server for the workstation network (RFC 2131): who gets which address.
 *
 * Sans-IO: a message and the time come in, a message comes out. A client is its MAC address, as everywhere in tun/; all
 * that is kept of one is that, its address and a time. The essay is in dhcp.c.
 */
#ifndef CLOISTER_TUN_DHCP_H
#define CLOISTER_TUN_DHCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "base/ipaddr.h"
#include "base/siphash.h"
#include "tun/dhcp_message.h"
#include "tun/frame.h"

#define DHCP_POOL_MAX 4096u /* addresses */

/* An address that is for one client only. */
struct dhcp_fixed {
    uint8_t mac[FRAME_MAC_LEN];
    uint8_t address[4]; /* IPv4, network order */
};

struct dhcp_config {
    struct ipaddr server;      /* the gateway's own address */
    struct ipnet network;      /* IPv4 */
    struct ipaddr first, last; /* the pool, both included, without the gateway's; first 0.0.0.0: there is none */
    const struct dhcp_fixed *fixed; /* borrowed; no address and no MAC twice */
    uint32_t fixed_count;
    uint32_t lease; /* seconds */
    uint16_t mtu;
    uint8_t secret[16]; /* for the hashes */
};

/* What the server asks of who knows which address is in use. */
struct dhcp_ops {
    /* May `mac` have this address: is it nobody's, or its own? */
    bool (*is_free)(void *ctx, const struct ipaddr *addr, const uint8_t mac[FRAME_MAC_LEN], uint64_t now);
    /* It is its own until the time `until`. False if that cannot be. */
    bool (*hold)(void *ctx, const struct ipaddr *addr, const uint8_t mac[FRAME_MAC_LEN], uint64_t now,
                 uint64_t until);
    /* It gave the address back. */
    void (*release)(void *ctx, const struct ipaddr *addr, const uint8_t mac[FRAME_MAC_LEN]);
};

/* One address of the pool. */
struct dhcp_lease {
    uint64_t until; /* when it is free again, microseconds */
    uint16_t next;  /* next of the same hash of mac, + 1 */
    uint8_t state;  /* enum lease_state */
    uint8_t mac[FRAME_MAC_LEN];
};

struct dhcp {
    struct dhcp_config config;
    struct dhcp_ops ops;
    void *ctx;
    struct dhcp_lease *lease; /* of the pool, in order; `count` of them */
    uint16_t *heads;          /* chains by MAC, + 1 */
    uint32_t count;
    uint32_t mask;       /* heads - 1 */
    uint32_t first;      /* host order, of lease[0] */
    uint64_t full_until; /* nothing is free before this time, microseconds */
    struct siphash_key key;
};

/* Where a reply goes. */
struct dhcp_out {
    size_t n;                   /* bytes of the message; 0: there is none */
    struct ipaddr dst;          /* 255.255.255.255 with the MAC address of all, or the client's */
    uint8_t mac[FRAME_MAC_LEN]; /* of the frame */
    uint8_t message[DHCP_MESSAGE_MAX];
};

/* Set up. `config` and `ops` are copied. 0, -EINVAL (more than DHCP_POOL_MAX addresses, or none) or -ENOMEM. */
int dhcp_init(struct dhcp *dhcp, const struct dhcp_config *config, const struct dhcp_ops *ops, void *ctx);

void dhcp_fini(struct dhcp *dhcp);

/* The payload of a datagram to port 67, from a frame whose source was `mac`. DROP_NONE if it was used, with *out; or
 * DROP_DHCP_BAD; DROP_IP_SOURCE if it speaks for another MAC; DROP_DHCP_OTHER if it is not for this server, or there is no
 * address to give. */
enum drop dhcp_input(struct dhcp *dhcp, struct bytes raw, const uint8_t mac[FRAME_MAC_LEN], uint64_t now,
                     struct dhcp_out *out);

#endif
