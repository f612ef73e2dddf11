/* SPDX-License-Identifier: BSD-3-Clause */
#include "dns/onion.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>

#include "dns/name.h"

#define ONION_CHARS 56u                            /* base32 of: */
#define ONION_KEY 32u                              /* bytes of public key, */
#define ONION_CHECK 2u                             /* bytes of checksum, */
#define ONION_BYTES (ONION_KEY + ONION_CHECK + 1u) /* and a version */
#define ONION_VERSION 3u
#define DIGEST_SIZE 32u

/* libcrypto is in this binary for Tor's sake. It must not look for its configuration file, which is not there where names
 * are answered, and would be a system call that is not allowed; what it needs it allocates at the first onion address. */
static bool sha3_256(const void *data, size_t n, uint8_t digest[DIGEST_SIZE])
{
    unsigned size = 0;
    return OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) == 1 &&
           EVP_Digest(data, n, digest, &size, EVP_sha3_256(), NULL) == 1 && size == DIGEST_SIZE;
}

static int base32_value(char c)
{
    if (c >= 'a' && c <= 'z')
        return c - 'a';
    if (c >= '2' && c <= '7')
        return c - '2' + 26;
    return -1;
}

static bool decode(const char *text, uint8_t out[ONION_BYTES])
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t used = 0;
    for (size_t i = 0; i < ONION_CHARS; i++) {
        int v = base32_value(text[i]);
        if (v < 0)
            return false;
        bits = bits << 5 | (uint32_t)v;
        have += 5;
        if (have >= 8) {
            have -= 8;
            out[used++] = (uint8_t)(bits >> have);
        }
    }
    return true;
}

bool dns_onion_is_valid(const char *text, size_t len)
{
    static const char tail[] = ".onion";
    const size_t tail_len = sizeof(tail) - 1;
    if (len < ONION_CHARS + tail_len || !dns_text_within(text, len, tail + 1))
        return false;
    size_t start = len - tail_len - ONION_CHARS;
    if (start > 0 && text[start - 1] != '.')
        return false;

    uint8_t address[ONION_BYTES];
    if (!decode(text + start, address) || address[ONION_BYTES - 1] != ONION_VERSION)
        return false;

    static const char prefix[] = ".onion checksum";
    uint8_t input[sizeof(prefix) - 1 + ONION_KEY + 1];
    memcpy(input, prefix, sizeof(prefix) - 1);
    memcpy(input + sizeof(prefix) - 1, address, ONION_KEY);
    input[sizeof(input) - 1] = ONION_VERSION;
    uint8_t digest[DIGEST_SIZE];
    return sha3_256(input, sizeof(input), digest) && memcmp(digest, address + ONION_KEY, ONION_CHECK) == 0;
}
