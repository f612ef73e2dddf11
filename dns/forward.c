/* SPDX-License-Identifier: BSD-3-Clause */
#include "dns/forward.h"

#include <errno.h>
#include <string.h>

size_t dns_forward_query(const struct dns_lookup_key *key, uint16_t id, uint8_t out[DNS_FORWARD_QUERY_MAX])
{
    uint16_t flags = 0;
    if ((key->flags & DNS_LOOKUP_RD) != 0)
        flags |= DNS_FLAG_RD;
    if ((key->flags & DNS_LOOKUP_CD) != 0)
        flags |= DNS_FLAG_CD;
    memset(out, 0, DNS_HEADER_SIZE);
    be16_store(out, id);
    be16_store(out + 2, flags);
    be16_store(out + 4, 1);
    size_t n = DNS_HEADER_SIZE;
    memcpy(out + n, key->name.wire, key->name.len);
    n += key->name.len;
    be16_store(out + n, key->type);
    be16_store(out + n + 2, DNS_CLASS_IN);
    n += 4;
    if ((key->flags & DNS_LOOKUP_EDNS) == 0)
        return n;
    be16_store(out + 10, 1);
    out[n] = 0;
    be16_store(out + n + 1, DNS_TYPE_OPT);
    be16_store(out + n + 3, DNS_UDP_MAX);
    be32_store(out + n + 5, (key->flags & DNS_LOOKUP_DO) != 0 ? DNS_EDNS_DO : 0);
    be16_store(out + n + 9, 0);
    return n + 11;
}

/* `name` is in lower case. */
static bool same_name(const struct dns_name *answered, const struct dns_name *name)
{
    if (answered->len != name->len)
        return false;
    for (size_t i = 0; i < name->len; i++) {
        if (dns_name_lower(answered->wire[i]) != name->wire[i])
            return false;
    }
    return true;
}

int dns_forward_check(struct bytes answer, const struct dns_lookup_key *key, uint16_t id, size_t *opt)
{
    struct bytes b = answer;
    struct dns_name name;
    uint16_t got_id = bytes_u16(&b);
    uint16_t flags = bytes_u16(&b);
    uint16_t questions = bytes_u16(&b);
    uint32_t before = bytes_u16(&b);
    before += bytes_u16(&b);
    uint32_t records = before + bytes_u16(&b);
    *opt = 0;
    if (!bytes_ok(&b) || got_id != id || (flags & (DNS_FLAG_QR | DNS_FLAGS_OPCODE | DNS_FLAG_TC)) != DNS_FLAG_QR ||
        questions != 1)
        return -EBADMSG;
    if (!dns_name_read(&b, &name) || bytes_u16(&b) != key->type || bytes_u16(&b) != DNS_CLASS_IN || !bytes_ok(&b) ||
        !same_name(&name, &key->name))
        return -EBADMSG;
    for (uint32_t i = 0; i < records; i++) {
        size_t at = (size_t)(b.at - answer.at);
        bool root = b.left > 0 && b.at[0] == 0;
        if (!dns_name_skip(&b, at))
            return -EBADMSG;
        if (bytes_u16(&b) == DNS_TYPE_OPT) {
            if (!root || i < before || *opt != 0 || (key->flags & DNS_LOOKUP_EDNS) == 0)
                return -EBADMSG;
            *opt = at;
        }
        bytes_take(&b, 6); /* class and TTL */
        bytes_take(&b, bytes_u16(&b));
        if (!bytes_ok(&b))
            return -EBADMSG;
    }
    return b.left == 0 ? 0 : -EBADMSG;
}

size_t dns_forward_reply(struct bytes answer, size_t opt, const struct dns_query *query, uint8_t *out, size_t size,
                         bool udp)
{
    size_t most = size;
    if (udp && most > DNS_UDP_MAX)
        most = DNS_UDP_MAX;
    if (udp && most > query->udp_size)
        most = query->udp_size;
    if (answer.left > most || answer.left < DNS_HEADER_SIZE + query->name.len) {
        struct dns_reply reply;
        dns_reply_begin(&reply, query, DNS_NOERROR, out, size, udp);
        dns_reply_truncate(&reply);
        return dns_reply_end(&reply);
    }
    memcpy(out, answer.at, answer.left);
    uint16_t flags = be16_load(out + 2);
    flags = (uint16_t)((flags & ~(DNS_FLAG_AD | DNS_FLAG_RD | DNS_FLAG_CD)) | DNS_FLAG_RA |
                       (query->flags & (DNS_FLAG_RD | DNS_FLAG_CD)));
    be16_store(out, query->id);
    be16_store(out + 2, flags);
    memcpy(out + DNS_HEADER_SIZE, query->name.wire, query->name.len); /* in the client's case */
    if (opt != 0)
        be16_store(out + opt + 3, DNS_UDP_MAX);
    return answer.left;
}
