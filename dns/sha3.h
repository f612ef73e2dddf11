/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SHA3-256 (FIPS 202).
 *
 * For the checksum in onion addresses, which guards against typing errors and keeps no secret. Of our own, because the
 * process that parses packets is to load no cryptographic library: those open files and allocate when first used.
 */
#ifndef CLOISTER_DNS_SHA3_H
#define CLOISTER_DNS_SHA3_H

#include <stddef.h>
#include <stdint.h>

#define SHA3_256_SIZE 32u

void sha3_256(const void *data, size_t n, uint8_t digest[SHA3_256_SIZE]);

#endif
