/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DHCP messages (RFC 2131, 2132): read from a client, built for one.
 *
 * Of what a client says only what is needed to answer it is read. Host name, vendor class, user class and the like are
 * passed over, and a client identifier lives no longer than the message.
 */
#ifndef CLOISTER_TUN_DHCP_MESSAGE_H
#define CLOISTER_TUN_DHCP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "base/ipaddr.h"
#include "tun/frame.h"

#define DHCP_SERVER_PORT 67u
#define DHCP_CLIENT_PORT 68u
#define DHCP_MESSAGE_MAX 548u /* bytes: of the 576 that every client takes (RFC 2131 2), less IP and UDP headers */

enum dhcp_type {
    DHCP_DISCOVER = 1,
    DHCP_OFFER = 2,
    DHCP_REQUEST = 3,
    DHCP_DECLINE = 4,
    DHCP_ACK = 5,
    DHCP_NAK = 6,
    DHCP_RELEASE = 7,
    DHCP_INFORM = 8,
};

/* A client's message. Addresses are IPv4; 0.0.0.0 stands for one that was not given. */
struct dhcp_request {
    uint8_t type; /* enum dhcp_type, or anything else */
    uint32_t xid;
    uint16_t flags;             /* as they came */
    uint8_t mac[FRAME_MAC_LEN]; /* of the client */
    struct ipaddr ciaddr;       /* the address that it uses */
    struct ipaddr requested;    /* the one that it wants (option 50) */
    struct ipaddr server;       /* whom it speaks to (option 54) */
    struct bytes client_id;     /* option 61, to be sent back (RFC 6842); borrowed, empty if there was none */
};

/* What a reply says beside what it repeats. */
struct dhcp_reply {
    enum dhcp_type type;   /* DHCP_OFFER, DHCP_ACK or DHCP_NAK, which has no more than `server` */
    struct ipaddr server;  /* the gateway's own address: server, router and resolver */
    struct ipaddr address; /* the client's, or 0.0.0.0 */
    struct ipnet network;
    uint32_t lease; /* seconds; 0: none (an answer to DHCP_INFORM) */
    uint16_t mtu;
};

/* True for 0.0.0.0. */
bool dhcp_is_none(const struct ipaddr *addr);

/* Parse a datagram's payload. DROP_NONE, or DROP_DHCP_BAD: too short, a reply, hardware other than Ethernet, from a relay,
 * no message type, options that do not parse. */
enum drop dhcp_parse(struct dhcp_request *request, struct bytes raw);

/* True if the client asked for a broadcast. */
bool dhcp_wants_broadcast(const struct dhcp_request *request);

/* Write a reply of at most DHCP_MESSAGE_MAX bytes at `at`. Returns its length. */
size_t dhcp_build(uint8_t *at, const struct dhcp_request *request, const struct dhcp_reply *reply);

#endif
