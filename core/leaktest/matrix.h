/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The attack matrix: what root in a workstation can put on the wire to get around the gateway.
 *
 * Every probe has a number. It is its mark, which stands in clear in what it carries, so that wherever a frame of it
 * surfaces, whoever forwarded, answered, translated or wrapped it, it is found. It is also its source port, IP
 * identification and ICMP identifier, so that answers find back. What may appear on the uplink is always the same:
 * nothing.
 */
#ifndef CLOISTER_LEAKTEST_MATRIX_H
#define CLOISTER_LEAKTEST_MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "leaktest/frame.h"

#define MATRIX_MAX 2600u /* probes */
#define MATRIX_MARK 11u  /* bytes of a mark: C1 0C, "LEAK", five digits of the number */
#define MATRIX_NAME 80u  /* bytes of a name, NUL included */
#define MATRIX_OTHERS 6u
#define MATRIX_HOST_PORT 2222u /* where the host of a private network listens, TCP and UDP */

enum matrix_group {
    MATRIX_TCP,
    MATRIX_UDP,
    MATRIX_PROTOCOLS,
    MATRIX_ICMP,
    MATRIX_FORGED,
    MATRIX_SPOOFED,
    MATRIX_FRAGMENTS,
    MATRIX_OPTIONS,
    MATRIX_HEADERS,
    MATRIX_IPV6,
    MATRIX_ICMP6,
    MATRIX_HEADERS6,
    MATRIX_LINK,
    MATRIX_ARP,
    MATRIX_RESERVED,
    MATRIX_ADDRESSED,
    MATRIX_NAMES,
    MATRIX_GROUPS,
};

/* What may come back to the workstation. */
enum matrix_expected {
    MATRIX_SILENCE,
    MATRIX_ANY, /* Tor decides, or either is right */
    MATRIX_SYN_ACK,
    MATRIX_RST,
    MATRIX_ECHO,
    MATRIX_ARP_REPLY,
};

/* Somebody else who may take a frame. */
struct matrix_other {
    char name[24];
    uint8_t mac[6];
};

/* What an attacker may know of where he stands, and more than he should. */
struct ground {
    uint8_t gateway_mac[6];
    uint8_t mine[6];                           /* MAC address that the probes come from */
    struct matrix_other others[MATRIX_OTHERS]; /* bridge, NIC, uplink */
    unsigned other_count;
    struct ipnet network;                        /* of the workstations; the gateway's address */
    struct ipnet network6;                       /* the same; len 0: the gateway drops IPv6 */
    struct ipaddr me, me6;                       /* in these; always set */
    struct ipaddr neighbour;                     /* an address in there that another MAC address had first */
    struct ipaddr virtual;                       /* an address of the range that names get theirs from */
    struct ipaddr internet, internet6, resolver; /* of nobody (RFC 5737, RFC 3849) */
    struct ipaddr host, router;                  /* IPv4 addresses of and behind the uplink */
    struct ipaddr relay;                         /* the far end of a connection of Tor's, of either family */
    uint16_t relay_port, tor_port;               /* its ports: there, and here */
    uint16_t first_port;                         /* source port of probe 0 */
    bool reject;                                 /* the gateway tells workstations what it drops */
    bool dhcp;                                   /* it leases addresses */
};

struct probe {
    char name[MATRIX_NAME];
    uint8_t *frame;   /* owned by the matrix */
    uint16_t n;       /* its bytes */
    uint8_t group;    /* enum matrix_group */
    uint8_t expected; /* enum matrix_expected */
};

struct matrix {
    const struct ground *ground; /* borrowed */
    struct probe *probe;         /* owned; the index is the number */
    unsigned count;
};

/* Make all probes. 0 or -ENOMEM. The ground must outlive it. */
int matrix_make(struct matrix *m, const struct ground *ground);
void matrix_free(struct matrix *m);

const char *matrix_group_name(unsigned group);
const char *matrix_expected_name(unsigned expected);

/* The mark of a probe. */
void matrix_mark(uint8_t out[MATRIX_MARK], unsigned number);

/* The number of the first mark in `data`; -1: there is none. */
int matrix_find_mark(const void *data, size_t n);

#endif
