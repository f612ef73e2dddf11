/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Domain names in their two forms: as they travel (RFC 1035 3.1) and as the text of a host name.
 *
 * The wire form keeps the case in which it was asked, and any byte a label may hold: it is only ever copied back
 * into an answer. The text form is what everything else works on. It holds nothing but the characters of host names, so
 * nothing that needs escaping can get into a log, a table or Tor's hands.
 */
#ifndef CLOISTER_DNS_NAME_H
#define CLOISTER_DNS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define DNS_NAME_MAX 255u  /* bytes of a name's wire form, with the root's empty label (RFC 1035 2.3.4) */
#define DNS_LABEL_MAX 63u  /* bytes of one label */
#define DNS_TEXT_MAX 253u  /* characters of the longest name as text, without a last dot */
#define DNS_TEXT_SIZE 254u /* a buffer for that and a final NUL */

/* A name as it travels: labels with their lengths, ended by an empty one. */
struct dns_name {
    uint8_t len;                /* bytes used, 1 (the root) to 255; 0: no name */
    uint8_t wire[DNS_NAME_MAX]; /* case as it came */
};

/* The lower-case form of a byte of a name. No locale has a say in it. */
static inline uint8_t dns_name_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

/* Read a name that must not be compressed: nothing stands before the question that a pointer could mean. Returns
 * false, and spoils the view, if it ends early, is too long, or uses a pointer or an unknown label type. */
bool dns_name_read(struct bytes *b, struct dns_name *name);

/* Step over a name that may end in a pointer. The pointer is not followed; it must point to before the name itself,
 * `offset` bytes into the message (RFC 1035 4.1.4). Returns false, and spoils the view, if it is malformed. */
bool dns_name_skip(struct bytes *b, size_t offset);

/* The name as text: lower case, labels joined by dots, no dot at the end, NUL at the end. Returns its length, 0 for the
 * root. A byte other than [A-Za-z0-9_-] becomes '?', of which no host name and no name known here has any. *plain tells
 * whether Tor would take it for the name of a host: there was no such byte, and no label begins with '-' or '_'. Label for label, text and wire form begin at the same offset. */
size_t dns_name_to_text(const struct dns_name *name, char text[DNS_TEXT_SIZE], bool *plain);

/* The wire form of such a text. Returns 0, or -EINVAL if a label is empty or too long or the whole is too long. */
int dns_name_from_text(const char *text, size_t len, struct dns_name *name);

/* True if `text` is `zone` or a name below it. Both lower case, without a last dot. */
bool dns_text_within(const char *text, size_t len, const char *zone);

#endif
