/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queries for other types, as they go to a resolver through Tor, and its answers, as they go back.
 *
 * Nothing of the client goes with such a query but the name, the type and four flags: no option, no case, no number.
 * The records of the answer are passed on as they are, byte for byte, signatures too; what surrounds them is put right
 * for the client. That an answer is authentic is never claimed (AD is cleared): the way to the resolver is not.
 */
#ifndef CLOISTER_DNS_FORWARD_H
#define CLOISTER_DNS_FORWARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "dns/lookup.h"
#include "dns/message.h"

#define DNS_FORWARD_QUERY_MAX (DNS_HEADER_SIZE + DNS_NAME_MAX + 4u + 11u) /* bytes */

/* Write the query for `key`. Returns its length. */
size_t dns_forward_query(const struct dns_lookup_key *key, uint16_t id, uint8_t out[DNS_FORWARD_QUERY_MAX]);

/* See that `answer` is a well-formed answer to it. 0 and *opt: where its OPT record begins, 0 if it has none; or
 * -EBADMSG. */
int dns_forward_check(struct bytes answer, const struct dns_lookup_key *key, uint16_t id, size_t *opt);

/* Turn an answer that was checked into one for `query`. `out` has `size` bytes, at least DNS_UDP_MIN; what does not fit, or
 * over UDP is more than the client takes, becomes an empty answer with TC. Returns the length. */
size_t dns_forward_reply(struct bytes answer, size_t opt, const struct dns_query *query, uint8_t *out, size_t size,
                         bool udp);

#endif
