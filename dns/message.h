/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The message codec: a query in (RFC 1035 4.1, RFC 6891, RFC 9619), an answer out.
 *
 * Parsing says at once which answer a message that cannot be served deserves. Building keeps to a size limit: what
 * does not fit is left out and TC is set.
 */
#ifndef CLOISTER_DNS_MESSAGE_H
#define CLOISTER_DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ipaddr.h"
#include "dns/name.h"

#define DNS_HEADER_SIZE 12u
#define DNS_UDP_MIN 512u   /* bytes every client takes over UDP (RFC 1035 4.2.1) */
#define DNS_UDP_MAX 1232u  /* bytes we send over UDP at most, and say we take: no fragment on any link */
#define DNS_TCP_MAX 65535u /* bytes of a message over TCP */

/* The second word of the header (RFC 1035 4.1.1, RFC 4035 3.2). */
#define DNS_FLAG_QR 0x8000u /* an answer */
#define DNS_FLAG_TC 0x0200u /* cut short */
#define DNS_FLAG_RD 0x0100u /* ask others, too */
#define DNS_FLAG_RA 0x0080u /* others are asked */
#define DNS_FLAG_AD 0x0020u /* its data are authentic */
#define DNS_FLAG_CD 0x0010u /* do not check that */
#define DNS_FLAGS_OPCODE 0x7800u
#define DNS_OPCODE_QUERY 0u

#define DNS_EDNS_DO 0x8000u /* of the low half of OPT's TTL: DNSSEC's records are welcome (RFC 3225) */

/* Types, classes and codes of the IANA registry, as far as they are known here. */
enum dns_type {
    DNS_TYPE_A = 1,
    DNS_TYPE_SOA = 6,
    DNS_TYPE_PTR = 12,
    DNS_TYPE_HINFO = 13,
    DNS_TYPE_AAAA = 28,
    DNS_TYPE_OPT = 41,
    DNS_TYPE_SVCB = 64,
    DNS_TYPE_HTTPS = 65,
    DNS_TYPE_IXFR = 251,
    DNS_TYPE_AXFR = 252,
    DNS_TYPE_ANY = 255,
};

enum dns_class {
    DNS_CLASS_IN = 1,
};

enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
    DNS_BADVERS = 16, /* needs EDNS, as all above 15 */
};

/* What is kept of a query. */
struct dns_query {
    uint16_t id;          /* copied into the answer */
    uint16_t flags;       /* second word of the header */
    struct dns_name name; /* of the question; len 0 if the message has no readable question */
    uint16_t type;        /* of the question; any value, see enum dns_type */
    uint16_t class;       /* of the question */
    bool edns;            /* there is an OPT record, so the answer has one (RFC 6891 6.1.1) */
    bool dnssec_ok;       /* its DO bit, copied (RFC 3225) */
    uint16_t udp_size;    /* bytes the client takes over UDP, at least 512 */
};

/* Read a query. Returns DNS_NOERROR; or another rcode with which it is to be answered (FORMERR, NOTIMP, BADVERS), for
 * which `query` is filled as far as the message was understood; or -EBADMSG if there is to be no answer: too short
 * for a header, or an answer itself (QR set), which is never answered so that two servers cannot play ping-pong. */
int dns_query_read(struct bytes message, struct dns_query *query);

/* An answer under construction. */
struct dns_reply {
    uint8_t *out;     /* the caller's memory */
    size_t limit;     /* bytes the message may have, without the OPT record that is kept room for */
    size_t used;      /* bytes so far */
    size_t body;      /* bytes of header and question, what remains when it is truncated */
    uint16_t flags;   /* second word of the header */
    uint16_t rcode;   /* an enum dns_rcode */
    uint16_t answers; /* records per section */
    uint16_t authorities;
    bool edns;
    bool dnssec_ok;
};

/* Begin the answer to `query` in `out`: header, and the question as it was asked, if there is one. `size` is how many
 * bytes the answer may have (at least DNS_UDP_MIN); over UDP the client's own limit applies as well. ID, opcode, RD
 * and CD are copied (RFC 1035 4.1.1, RFC 4035 3.2.2). */
void dns_reply_begin(struct dns_reply *reply, const struct dns_query *query, enum dns_rcode rcode, uint8_t *out,
                     size_t size, bool udp);

/* Add an answer record about the name in question; `ttl` in seconds. The type follows from the address. */
void dns_reply_address(struct dns_reply *reply, const struct ipaddr *addr, uint32_t ttl);
void dns_reply_ptr(struct dns_reply *reply, const struct dns_name *target, uint32_t ttl);

/* The one answer to ANY: HINFO "RFC8482" "" (RFC 8482 4.2). */
void dns_reply_any(struct dns_reply *reply, uint32_t ttl);

/* Add the SOA that makes a negative answer cacheable for `ttl` seconds (RFC 2308 3 and 5). Its zone is the part of the
 * name in question that begins `zone` bytes into it, at the start of a label. */
void dns_reply_soa(struct dns_reply *reply, size_t zone, uint32_t ttl);

/* Leave everything out and say so by TC: the client asks again over TCP. */
void dns_reply_truncate(struct dns_reply *reply);

/* Complete the message. Returns its length in bytes. */
size_t dns_reply_end(struct dns_reply *reply);

#endif
