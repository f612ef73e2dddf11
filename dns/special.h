/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names that are answered here and never leave, not even through Tor.
 */
#ifndef CLOISTER_DNS_SPECIAL_H
#define CLOISTER_DNS_SPECIAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"

enum dns_special_kind {
    DNS_SPECIAL_NO,          /* an ordinary name */
    DNS_SPECIAL_LOCALHOST,   /* 127.0.0.1 and ::1 (RFC 6761 6.3) */
    DNS_SPECIAL_NONEXISTENT, /* does not exist, whatever type is asked */
    DNS_SPECIAL_EMPTY,       /* exists, with no record that we would give */
    DNS_SPECIAL_SINGLE,      /* one label, or none: no host of that name is reached through Tor */
    DNS_SPECIAL_ONION,       /* a well-formed onion address: has an address, and nothing else (RFC 7686) */
    DNS_SPECIAL_IPV4ONLY,    /* ipv4only.arpa (RFC 8880) */
    DNS_SPECIAL_REVERSE,     /* the reverse name of a whole address that is in no private range */
    DNS_SPECIAL_PRIVATE, /* the reverse name of a whole address in a private range, or of part of one (RFC 6303) */
};

struct dns_special {
    enum dns_special_kind kind;
    struct ipaddr addr; /* for a whole reverse name: its address */
    uint8_t addr_bits;  /* how many leading bits of `addr` the name gives, in 128; 128: a whole address */
    size_t zone;        /* where in the text the zone begins that answers, for the SOA */
};

/* What kind of name `text` is: lower case, without a last dot, as dns_name_to_text() makes it. */
struct dns_special dns_special_find(const char *text, size_t len);

#endif
