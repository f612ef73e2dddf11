/* SPDX-License-Identifier: BSD-3-Clause */
#include "dns/name.h"

#include <errno.h>

/* The two high bits of a length byte say what it is (RFC 1035 4.1.4; the other two values were never put to use). */
#define KIND_MASK 0xc0u
#define KIND_LABEL 0x00u
#define KIND_POINTER 0xc0u

static bool spoil(struct bytes *b)
{
    b->spoilt = true;
    b->left = 0;
    return false;
}

bool dns_name_read(struct bytes *b, struct dns_name *name)
{
    size_t used = 0;
    name->len = 0;
    for (;;) {
        uint8_t n = bytes_u8(b);
        if (!bytes_ok(b))
            return false;
        if ((n & KIND_MASK) != KIND_LABEL || used + 1 + n > DNS_NAME_MAX)
            return spoil(b);
        name->wire[used++] = n;
        if (n == 0)
            break;
        const uint8_t *label = bytes_take(b, n);
        if (label == NULL)
            return false;
        memcpy(name->wire + used, label, n);
        used += n;
    }
    name->len = (uint8_t)used;
    return true;
}

bool dns_name_skip(struct bytes *b, size_t offset)
{
    size_t used = 0;
    for (;;) {
        uint8_t n = bytes_u8(b);
        if (!bytes_ok(b))
            return false;
        if ((n & KIND_MASK) == KIND_POINTER) {
            size_t to = (size_t)(n & ~KIND_MASK) << 8 | bytes_u8(b);
            if (!bytes_ok(b))
                return false;
            return to < offset ? true : spoil(b);
        }
        used += 1u + n;
        if ((n & KIND_MASK) != KIND_LABEL || used > DNS_NAME_MAX)
            return spoil(b);
        if (n == 0)
            return true;
        bytes_take(b, n);
    }
}

/* The lower-case form of a host name's byte, or '?' if it can be in none. */
static char plain_char(uint8_t c)
{
    c = dns_name_lower(c);
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
        return (char)c;
    return '?';
}

size_t dns_name_to_text(const struct dns_name *name, char text[DNS_TEXT_SIZE], bool *plain)
{
    struct bytes b = bytes_of(name->wire, name->len);
    size_t len = 0;
    *plain = true;
    for (uint8_t n = bytes_u8(&b); n > 0; n = bytes_u8(&b)) {
        struct bytes label = bytes_sub(&b, n);
        if (len + 1 + label.left >= DNS_TEXT_SIZE)
            break; /* no name that was read is that long */
        if (len > 0)
            text[len++] = '.';
        size_t start = len;
        while (label.left > 0) {
            char c = plain_char(bytes_u8(&label));
            bool in_place = len > start || (c != '-' && c != '_'); /* Tor takes no label that begins so */
            *plain = *plain && in_place && c != '?';
            text[len++] = c;
        }
    }
    text[len] = '\0';
    return len;
}

int dns_name_from_text(const char *text, size_t len, struct dns_name *name)
{
    name->len = 0;
    if (len > DNS_TEXT_MAX)
        return -EINVAL;
    size_t used = 0;
    while (len > 0) {
        const char *dot = memchr(text, '.', len);
        size_t n = dot != NULL ? (size_t)(dot - text) : len;
        if (n == 0 || n > DNS_LABEL_MAX || (dot != NULL && n + 1 == len))
            return -EINVAL;
        name->wire[used++] = (uint8_t)n;
        memcpy(name->wire + used, text, n);
        used += n;
        text += dot != NULL ? n + 1 : n;
        len -= dot != NULL ? n + 1 : n;
    }
    name->wire[used++] = 0;
    name->len = (uint8_t)used;
    return 0;
}

bool dns_text_within(const char *text, size_t len, const char *zone)
{
    size_t n = strlen(zone);
    if (len < n || memcmp(text + len - n, zone, n) != 0)
        return false;
    return len == n || text[len - n - 1] == '.';
}
