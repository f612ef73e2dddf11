/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ports on the gateway's own address: what is spoken at each, and what its flows are kept apart by.
 *
 * Each port is an identity of its own for each workstation, further divided by the credentials that a client says, and by
 * what `fields` adds.
 */
#ifndef CLOISTER_SOCKS_PORTS_H
#define CLOISTER_SOCKS_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "socks/front.h"
#include "socks/isolation.h"

#define SOCKS_PORTS_MAX 64u

struct socks_port {
    uint16_t port;
    uint8_t kind;   /* enum front_kind */
    uint8_t fields; /* set of enum isolation_field */
    /* As Tor Browser expects it: identities with credentials last while they are used (lasting.h), and Tor's own codes for
     * onion services are told. (Tor: KeepAliveIsolateSOCKSAuth ExtendedErrors.) */
    bool tor_browser;
};

struct socks_ports {
    bool whonix;    /* the ports of a Whonix-Gateway, and after them: */
    uint32_t count; /* of the next, which come first where both have one */
    struct socks_port port[SOCKS_PORTS_MAX];
};

/* True and *out if there is such a port. */
bool socks_ports_find(const struct socks_ports *ports, uint16_t port, struct socks_port *out);

/* Read what a port's flows are kept apart by: "none", or fields as isolation_parse() reads them. Where an application
 * writes a name there is no address, so destination-address means the name as well. NULL and *fields, or a static
 * sentence that says what is wrong. */
const char *socks_port_parse_fields(const char *text, uint8_t *fields);

#endif
