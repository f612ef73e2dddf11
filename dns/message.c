/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading is strict where leniency would let two parsers see two different messages: no pointer in the question, no
 * record that runs past the end, one OPT in its place. It is lenient where others are and nothing hangs on it: bytes
 * after the last record, records that a query has no business to carry, bits that are reserved. The data of records is
 * stepped over and never looked at, but for OPT's, whose options must at least add up.
 *
 * Writing needs no compression table: an answer repeats no name but that in question, which always stands at the same
 * place.
 */
#include "dns/message.h"

#include <assert.h>
#include <errno.h>

#define OPT_SIZE 11u
#define POINTER_TO_QUESTION (0xc000u | DNS_HEADER_SIZE)

/* Read the fixed part and the data of an OPT record, its name and type read already. */
static int opt_read(struct bytes *b, struct dns_query *query)
{
    uint16_t size = bytes_u16(b);
    uint32_t extended = bytes_u32(b);
    struct bytes options = bytes_sub(b, bytes_u16(b));
    while (bytes_ok(&options) && options.left > 0) {
        bytes_u16(&options);
        uint16_t n = bytes_u16(&options);
        bytes_take(&options, n);
    }
    if (!bytes_ok(b) || !bytes_ok(&options))
        return DNS_FORMERR;
    query->edns = true;
    query->udp_size = size > DNS_UDP_MIN ? size : DNS_UDP_MIN; /* RFC 6891 6.2.3 */
    query->dnssec_ok = (extended & DNS_EDNS_DO) != 0;
    return (extended >> 16 & 0xff) == 0 ? DNS_NOERROR : DNS_BADVERS;
}

/* Read all records of the three sections behind the question. */
static int records_read(struct bytes *b, const uint8_t *start, uint32_t before_additional, uint32_t additional,
                        struct dns_query *query)
{
    int result = DNS_NOERROR;
    for (uint32_t i = 0; i < before_additional + additional; i++) {
        size_t offset = (size_t)(b->at - start);
        bool root = b->left > 0 && b->at[0] == 0;
        if (!dns_name_skip(b, offset))
            return DNS_FORMERR;
        if (bytes_u16(b) != DNS_TYPE_OPT) {
            bytes_take(b, 6); /* class and TTL */
            bytes_take(b, bytes_u16(b));
            if (!bytes_ok(b))
                return DNS_FORMERR;
            continue;
        }
        if (i < before_additional || !root || query->edns)
            return DNS_FORMERR; /* RFC 6891 6.1.1 */
        result = opt_read(b, query);
        if (result == DNS_FORMERR)
            return result;
    }
    return result;
}

int dns_query_read(struct bytes message, struct dns_query *query)
{
    struct bytes b = message;
    memset(query, 0, sizeof(*query));
    query->udp_size = DNS_UDP_MIN;

    query->id = bytes_u16(&b);
    query->flags = bytes_u16(&b);
    uint16_t questions = bytes_u16(&b);
    uint16_t answers = bytes_u16(&b);
    uint16_t authorities = bytes_u16(&b);
    uint16_t additional = bytes_u16(&b);
    if (!bytes_ok(&b) || (query->flags & DNS_FLAG_QR) != 0)
        return -EBADMSG;

    int result = (query->flags & DNS_FLAGS_OPCODE) == DNS_OPCODE_QUERY ? DNS_NOERROR : DNS_NOTIMP;
    if (questions != 1) /* RFC 9619; an unknown opcode comes first, its message may look like anything */
        return result != DNS_NOERROR ? result : DNS_FORMERR;
    struct dns_name name;
    bool whole = dns_name_read(&b, &name);
    query->type = bytes_u16(&b);
    query->class = bytes_u16(&b);
    if (whole && bytes_ok(&b))
        query->name = name;
    if (query->name.len == 0)
        return result != DNS_NOERROR ? result : DNS_FORMERR;
    int records = records_read(&b, message.at, (uint32_t)answers + authorities, additional, query);
    return result != DNS_NOERROR ? result : records;
}

static void put_u16(struct dns_reply *reply, uint16_t v)
{
    be16_store(reply->out + reply->used, v);
    reply->used += 2;
}

static void put_u32(struct dns_reply *reply, uint32_t v)
{
    be32_store(reply->out + reply->used, v);
    reply->used += 4;
}

static void put(struct dns_reply *reply, const void *data, size_t n)
{
    memcpy(reply->out + reply->used, data, n);
    reply->used += n;
}

void dns_reply_truncate(struct dns_reply *reply)
{
    reply->flags |= DNS_FLAG_TC;
    reply->used = reply->body;
    reply->answers = 0;
    reply->authorities = 0;
}

/* Begin a record of the section counted by *count, with `len` bytes of data to follow. If it does not fit, nothing after
 * the question remains and TC says so: part of a record set would be taken for all of it (RFC 2181 9). */
static bool record(struct dns_reply *reply, uint16_t *count, uint16_t owner, uint16_t type, uint32_t ttl,
                   size_t len)
{
    if ((reply->flags & DNS_FLAG_TC) != 0)
        return false;
    if (reply->limit - reply->used < 12 + len) {
        dns_reply_truncate(reply);
        return false;
    }
    put_u16(reply, owner);
    put_u16(reply, type);
    put_u16(reply, DNS_CLASS_IN);
    put_u32(reply, ttl);
    put_u16(reply, (uint16_t)len);
    (*count)++;
    return true;
}

void dns_reply_begin(struct dns_reply *reply, const struct dns_query *query, enum dns_rcode rcode, uint8_t *out,
                     size_t size, bool udp)
{
    assert(size >= DNS_UDP_MIN);
    size_t most = udp ? DNS_UDP_MAX : DNS_TCP_MAX;
    if (udp && query->udp_size < most)
        most = query->udp_size;
    if (size < most)
        most = size;

    *reply = (struct dns_reply){.out = out, .limit = most, .rcode = (uint16_t)rcode, .edns = query->edns};
    if (reply->edns)
        reply->limit -= OPT_SIZE;
    reply->dnssec_ok = query->dnssec_ok;
    reply->flags =
        (uint16_t)(DNS_FLAG_QR | DNS_FLAG_RA | (query->flags & (DNS_FLAGS_OPCODE | DNS_FLAG_RD | DNS_FLAG_CD)));

    put_u16(reply, query->id);
    reply->used = DNS_HEADER_SIZE; /* the rest of the header comes at the end, when it is known */
    if (query->name.len > 0) {
        put(reply, query->name.wire, query->name.len);
        put_u16(reply, query->type);
        put_u16(reply, query->class);
    }
    reply->body = reply->used;
}

void dns_reply_address(struct dns_reply *reply, const struct ipaddr *addr, uint32_t ttl)
{
    bool v4 = ipaddr_is_v4(addr);
    size_t len = v4 ? 4 : 16;
    if (record(reply, &reply->answers, POINTER_TO_QUESTION, v4 ? DNS_TYPE_A : DNS_TYPE_AAAA, ttl, len))
        put(reply, addr->b + 16 - len, len);
}

void dns_reply_ptr(struct dns_reply *reply, const struct dns_name *target, uint32_t ttl)
{
    if (record(reply, &reply->answers, POINTER_TO_QUESTION, DNS_TYPE_PTR, ttl, target->len))
        put(reply, target->wire, target->len);
}

void dns_reply_any(struct dns_reply *reply, uint32_t ttl)
{
    static const char hinfo[] = "\7RFC8482"; /* and an empty string, which the final NUL is */
    if (record(reply, &reply->answers, POINTER_TO_QUESTION, DNS_TYPE_HINFO, ttl, sizeof(hinfo)))
        put(reply, hinfo, sizeof(hinfo));
}

void dns_reply_soa(struct dns_reply *reply, size_t zone, uint32_t ttl)
{
    static const char contact[] = "\6nobody\7invalid"; /* RFC 6303 3 */
    uint16_t owner = (uint16_t)(POINTER_TO_QUESTION + zone);
    size_t len = 2 + sizeof(contact) + 5 * 4;
    if (!record(reply, &reply->authorities, owner, DNS_TYPE_SOA, ttl, len))
        return;
    put_u16(reply, owner); /* the primary server: the zone itself, as RFC 6303 3 has it */
    put(reply, contact, sizeof(contact));
    put_u32(reply, 1);      /* serial */
    put_u32(reply, 3600);   /* refresh */
    put_u32(reply, 1200);   /* retry */
    put_u32(reply, 604800); /* expire */
    put_u32(reply, ttl);    /* minimum, which is what negative caches use */
}

size_t dns_reply_end(struct dns_reply *reply)
{
    uint8_t *out = reply->out;
    be16_store(out + 2, (uint16_t)(reply->flags | (reply->rcode & 15)));
    be16_store(out + 4, reply->body > DNS_HEADER_SIZE);
    be16_store(out + 6, reply->answers);
    be16_store(out + 8, reply->authorities);
    be16_store(out + 10, reply->edns);
    if (reply->edns) {
        out[reply->used++] = 0; /* the root's name */
        put_u16(reply, DNS_TYPE_OPT);
        put_u16(reply, DNS_UDP_MAX);
        put_u32(reply, (uint32_t)(reply->rcode >> 4) << 24 | (reply->dnssec_ok ? DNS_EDNS_DO : 0));
        put_u16(reply, 0);
    }
    return reply->used;
}
