/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client's view of DNS, for tests: makes queries, and reads answers with a parser that shares no code with the one
 * under test and trusts nothing.
 */
#ifndef CLOISTER_TESTS_DNS_CHECK_H
#define CLOISTER_TESTS_DNS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* One record of an answer. */
struct seen_record {
    char owner[260]; /* as text, with the case it has on the wire; "." is the root */
    uint16_t type, class;
    uint32_t ttl;
    size_t data; /* offset of its data in the message */
    size_t len;
};

struct seen {
    uint16_t id, flags;
    uint16_t questions, answers, authorities, additional;
    char name[260]; /* of the question */
    uint16_t type, class;
    struct seen_record answer[4], authority[2];
    bool edns;
    uint16_t edns_size;
    uint32_t edns_ttl; /* extended rcode, version, flags */
    unsigned rcode;    /* all twelve bits */
};

static inline bool check_u16(const uint8_t *p, size_t n, size_t *at, uint16_t *v)
{
    if (*at + 2 > n)
        return false;
    *v = (uint16_t)(p[*at] * 256 + p[*at + 1]);
    *at += 2;
    return true;
}

static inline bool check_u32(const uint8_t *p, size_t n, size_t *at, uint32_t *v)
{
    uint16_t high, low;
    if (!check_u16(p, n, at, &high) || !check_u16(p, n, at, &low))
        return false;
    *v = (uint32_t)high << 16 | low;
    return true;
}

/* Read a name at *at and step over it; pointers must go backwards. Bytes that are not printable become '?'. */
static inline bool check_name(const uint8_t *p, size_t n, size_t *at, char text[260])
{
    size_t i = *at, used = 0, wire = 1, limit = n;
    bool jumped = false;
    for (;;) {
        if (i >= n)
            return false;
        size_t len = p[i];
        if (len >= 192) {
            if (i + 2 > n)
                return false;
            size_t to = (len - 192) * 256 + p[i + 1];
            if (!jumped)
                *at = i + 2;
            if (to >= i || to >= limit)
                return false;
            limit = to;
            jumped = true;
            i = to;
            continue;
        }
        if (len > 63 || i + 1 + len > n)
            return false;
        i++;
        if (len == 0)
            break;
        wire += len + 1;
        if (wire > 255)
            return false;
        for (size_t k = 0; k < len; k++)
            text[used++] = p[i + k] > ' ' && p[i + k] < 127 ? (char)p[i + k] : '?';
        text[used++] = '.';
        i += len;
    }
    if (!jumped)
        *at = i;
    if (used == 0)
        text[used++] = '.';
    text[used] = '\0';
    return true;
}

static inline bool check_record(const uint8_t *p, size_t n, size_t *at, struct seen_record *r)
{
    uint16_t len;
    if (!check_name(p, n, at, r->owner) || !check_u16(p, n, at, &r->type) || !check_u16(p, n, at, &r->class) ||
        !check_u32(p, n, at, &r->ttl) || !check_u16(p, n, at, &len) || *at + len > n)
        return false;
    r->data = *at;
    r->len = len;
    *at += len;
    return true;
}

/* True if `p` is a well-formed answer, to its last byte, of no more records than there is room for in `seen`. */
static inline bool check_answer(const uint8_t *p, size_t n, struct seen *seen)
{
    size_t at = 0;
    memset(seen, 0, sizeof(*seen));
    if (!check_u16(p, n, &at, &seen->id) || !check_u16(p, n, &at, &seen->flags) ||
        !check_u16(p, n, &at, &seen->questions) || !check_u16(p, n, &at, &seen->answers) ||
        !check_u16(p, n, &at, &seen->authorities) || !check_u16(p, n, &at, &seen->additional))
        return false;
    if ((seen->flags & 0x8000) == 0 || seen->questions > 1 || seen->answers > 4 || seen->authorities > 2 ||
        seen->additional > 1)
        return false;
    if (seen->questions == 1 && (!check_name(p, n, &at, seen->name) || !check_u16(p, n, &at, &seen->type) ||
                                 !check_u16(p, n, &at, &seen->class)))
        return false;
    for (unsigned i = 0; i < seen->answers; i++) {
        if (!check_record(p, n, &at, &seen->answer[i]))
            return false;
    }
    for (unsigned i = 0; i < seen->authorities; i++) {
        if (!check_record(p, n, &at, &seen->authority[i]))
            return false;
    }
    seen->rcode = seen->flags & 15;
    if (seen->additional == 1) {
        struct seen_record opt;
        if (!check_record(p, n, &at, &opt) || opt.type != 41 || strcmp(opt.owner, ".") != 0)
            return false;
        seen->edns = true;
        seen->edns_size = opt.class;
        seen->edns_ttl = opt.ttl;
        seen->rcode |= opt.ttl >> 24 << 4;
    }
    return at == n;
}

/* A query with RD for `name` ("a.b" or "a.b.", "" for the root) in `out` of at least 300 bytes. Returns its length. */
static inline size_t make_query(uint8_t *out, uint16_t id, const char *name, uint16_t type)
{
    const uint8_t header[12] = {(uint8_t)(id >> 8), (uint8_t)id, 1, 0, 0, 1};
    memcpy(out, header, sizeof(header));
    size_t at = sizeof(header);
    while (*name != '\0') {
        size_t len = strcspn(name, ".");
        out[at++] = (uint8_t)len;
        memcpy(out + at, name, len);
        at += len;
        name += len + (name[len] == '.');
    }
    const uint8_t rest[5] = {0, (uint8_t)(type >> 8), (uint8_t)type, 0, 1};
    memcpy(out + at, rest, sizeof(rest));
    return at + sizeof(rest);
}

/* Add an OPT record to a query of `n` bytes. Returns the new length. */
static inline size_t add_opt(uint8_t *out, size_t n, uint16_t size, uint8_t version, bool dnssec_ok)
{
    const uint8_t opt[11] = {0, 0, 41, (uint8_t)(size >> 8), (uint8_t)size, 0, version, dnssec_ok ? 0x80 : 0};
    memcpy(out + n, opt, sizeof(opt));
    out[11]++;
    return n + sizeof(opt);
}

#endif
