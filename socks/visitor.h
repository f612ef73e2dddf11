/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses by which an onion service tells its visitors apart. */
#ifndef CLOISTER_SOCKS_VISITOR_H
#define CLOISTER_SOCKS_VISITOR_H

#include <stdint.h>

#include "base/ipaddr.h"
#include "base/siphash.h"

/* The address of `range` for the visitors of a circuit: always the same for the same circuit, another for each other one, as
 * long as there are no more circuits than addresses (of 32 bits at most are used). Tor numbers circuits as they come, all that it
 * builds: through the key that number is nobody's to read. `range` leaves at least 8 bits. */
struct ipaddr visitor_address(const struct siphash_key *key, const struct ipnet *range, uint32_t circuit);

#endif
