/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses of onion services, version 3 (rend-spec-v3, "Encoding onion addresses").
 */
#ifndef CLOISTER_DNS_ONION_H
#define CLOISTER_DNS_ONION_H

#include <stdbool.h>
#include <stddef.h>

/* True if `text`, a lower-case name without a last dot, ends in "<56 characters>.onion" with the right version and
 * checksum. Labels before it do not matter to Tor. */
bool dns_onion_is_valid(const char *text, size_t len);

#endif
