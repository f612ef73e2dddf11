/* SPDX-License-Identifier: BSD-3-Clause */
/* What answer.c, decide.c and result.c share, and nobody else sees. */
#ifndef CLOISTER_DNS_INTERNAL_H
#define CLOISTER_DNS_INTERNAL_H

#include "dns/answer.h"
#include "dns/special.h"

#define SPECIAL_TTL 10800u /* s, of what never changes (RFC 6303 3) */

struct dns {
    struct dns_config config;
    struct dns_ops ops;
    void *ctx;
    struct dns_virtual *table;
    struct dns_lookups *lookups;
    uint64_t *full_at;    /* per host: when its bucket of queries will be full again, ns */
    uint64_t interval_ns; /* between two queries at the permitted rate; 0: no limit */
    bool ready;
    struct dns_counters counters;
    struct drops drops;
    uint8_t *message; /* DNS_TCP_MAX bytes, where answers that come later are written */
};

/* What is true about the name in question. */
struct verdict {
    enum dns_rcode rcode;
    bool negative;          /* says so with an SOA: NXDOMAIN, or NODATA */
    size_t zone;            /* of that SOA: offset within the name */
    uint32_t ttl;           /* s, of the records or the SOA */
    struct ipaddr addrs[2]; /* answers, as many as: */
    unsigned addr_count;
    struct dns_name target;      /* answer to PTR; len 0: none */
    bool any;                    /* answer to ANY */
    enum dns_lookup_kind lookup; /* not known here: look it up */
};

/* A query with its name as text. */
struct question {
    const struct dns_query *query;
    uint32_t host;
    uint32_t now_s;
    struct dns_special special;
    char text[DNS_TEXT_SIZE];
    size_t len;
    bool plain; /* the name can be that of a host */
};

/* --- decide.c --- */

void question_read(struct question *q, const struct dns_query *query, uint32_t host, uint64_t now);

/* What is true, as far as it is known here. */
struct verdict verdict_decide(struct dns *dns, const struct question *q);

/* What is true now that a lookup has ended. */
struct verdict verdict_of_result(const struct question *q, const struct dns_lookup_result *result, uint32_t ttl);

/* True if the configuration lists the name, or one above it, as one that is resolved. */
bool dns_is_listed(const struct dns *dns, const char *text, size_t len);

struct verdict verdict_only(enum dns_rcode rcode);

/* --- answer.c --- */

/* Put a verdict down as an answer, and count it. Returns its length. */
size_t answer_write(struct dns *dns, const struct dns_query *query, const struct verdict *v,
                    const struct dns_client *client, uint8_t *out, size_t size);

/* --- result.c --- */

/* Forget all lookups of a workstation. */
void result_forget_host(struct dns *dns, uint32_t host);

/* Let a query wait for a lookup, begun if need be; or find that the answer is there, in *v. 0, or -EINPROGRESS. */
int result_await(struct dns *dns, const struct question *q, const struct dns_client *client, struct verdict *v,
                 uint64_t now);

#endif
