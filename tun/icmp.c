/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/icmp.h"

#include <string.h>

#include "base/checksum.h"
#include "tun/ipv4.h"
#include "tun/packet.h"

#define QUOTED_TCP_LEN                                                                                             \
    8u /* what RFC 792 promises of the quoted packet's payload: both ports and the sequence number */

enum drop icmp_parse(struct icmp *icmp, struct bytes raw)
{
    struct checksum sum = {0};
    checksum_add(&sum, raw.at, raw.left);
    icmp->type = bytes_u8(&raw);
    icmp->code = bytes_u8(&raw);
    bytes_take(&raw, 2);
    icmp->rest = bytes_u32(&raw);
    icmp->body = raw;
    return bytes_ok(&raw) && checksum_fold(&sum) == 0xffff ? DROP_NONE : DROP_ICMP;
}

bool icmp_parse_quote(struct icmp_quote *quote, struct bytes body)
{
    if (body.left < IPV4_HEADER_LEN)
        return false;
    const uint8_t *ip = body.at;
    size_t header_len = (size_t)(ip[0] & 0x0f) * 4;
    /* A fragment other than the first has no ports; we send none, so that is a forgery anyway. */
    if (ip[0] >> 4 != 4 || header_len < IPV4_HEADER_LEN || ip[9] != PACKET_TCP || (be16_load(ip + 6) & 0x1fff) != 0)
        return false;
    quote->src = ipaddr_v4(ip + 12);
    quote->dst = ipaddr_v4(ip + 16);
    bytes_take(&body, header_len);
    quote->src_port = bytes_u16(&body);
    quote->dst_port = bytes_u16(&body);
    quote->seq = bytes_u32(&body);
    return bytes_ok(&body);
}

void icmp_build(uint8_t *at, enum icmp_type type, uint8_t code, uint32_t rest, const void *body, size_t n)
{
    at[0] = (uint8_t)type;
    at[1] = code;
    be16_store(at + 2, 0);
    be32_store(at + 4, rest);
    struct checksum sum = {0};
    checksum_add(&sum, at, ICMP_HEADER_LEN);
    checksum_add(&sum, body, n);
    be16_store(at + 2, checksum_finish(&sum));
}

void icmp_build_unreachable(uint8_t *at, enum icmp_unreachable_code code, const struct ipaddr *src,
                            const struct ipaddr *dst, const uint8_t tcp_header[8])
{
    uint8_t *quoted = at + ICMP_HEADER_LEN;
    /* The rest of the SYN is gone; its length was that of a TCP header at least. */
    ipv4_build(quoted, src, dst, PACKET_TCP, 20);
    memcpy(quoted + IPV4_HEADER_LEN, tcp_header, QUOTED_TCP_LEN);
    icmp_build(at, ICMP_UNREACHABLE, (uint8_t)code, 0, quoted, IPV4_HEADER_LEN + QUOTED_TCP_LEN);
}
