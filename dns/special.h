/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names that are answered here and never leave, not even through Tor.
 */
#ifndef CLOISTER_DNS_SPECIAL_H
#define CLOISTER_DNS_SPECIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"

enum dns_special_kind {
    DNS_SPECIAL_NO,          /* an ordinary name */
    DNS_SPECIAL_LOCALHOST,   /* 127.0.0.1 and ::1 (RFC 6761 6.3) */
    DNS_SPECIAL_NONEXISTENT, /* does not exist, whatever type is asked */
    DNS_SPECIAL_EMPTY,       /* exists, and has no record that we would give */
    DNS_SPECIAL_SINGLE,      /* one label, or none: not the name of a host, though perhaps of a zone */
    DNS_SPECIAL_ONION,       /* a well-formed onion address: has an address, and nothing else (RFC 7686) */
    DNS_SPECIAL_IPV4ONLY,    /* ipv4only.arpa (RFC 8880) */
    DNS_SPECIAL_REVERSE,     /* in the reverse tree, of no private range */
    DNS_SPECIAL_PRIVATE,     /* in the reverse tree, below or at a zone of a private range (RFC 6303) */
};

struct dns_special {
    enum dns_special_kind kind;
    size_t zone;        /* where in the text the zone begins that answers, for the SOA */
    bool has_addr;      /* it is the reverse name of exactly one address: */
    struct ipaddr addr; /* this one */
};

/* What kind of name `text` is: lower case, without a last dot, as dns_name_to_text() makes it. */
struct dns_special dns_special_find(const char *text, size_t len);

#endif
