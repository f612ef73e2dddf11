/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/icmpv6.h"

#include <string.h>

#include "base/checksum.h"
#include "tun/ipv6.h"

#define QUOTED_TCP_LEN 8u /* both ports and the sequence number */

enum drop icmpv6_parse(struct icmp *icmp, const struct packet *packet)
{
    struct bytes b = packet->payload;
    struct checksum sum = {0};
    checksum_add_pseudo(&sum, &packet->src, &packet->dst, PACKET_ICMPV6, (uint32_t)b.left);
    checksum_add(&sum, b.at, b.left);
    icmp->type = bytes_u8(&b);
    icmp->code = bytes_u8(&b);
    bytes_take(&b, 2);
    icmp->rest = bytes_u32(&b);
    icmp->body = b;
    return bytes_ok(&b) && checksum_fold(&sum) == 0xffff ? DROP_NONE : DROP_ICMP;
}

bool icmpv6_parse_quote(struct icmp_quote *quote, struct bytes body)
{
    const uint8_t *ip = bytes_take(&body, IPV6_HEADER_LEN);
    if (ip == NULL || ip[0] >> 4 != 6 || ip[6] != PACKET_TCP)
        return false;
    quote->src = ipaddr_v6(ip + 8);
    quote->dst = ipaddr_v6(ip + 24);
    quote->src_port = bytes_u16(&body);
    quote->dst_port = bytes_u16(&body);
    quote->seq = bytes_u32(&body);
    return bytes_ok(&body);
}

void icmpv6_build(uint8_t *at, const struct ipaddr *src, const struct ipaddr *dst, uint8_t type, uint8_t code,
                  uint32_t rest, const void *body, size_t n)
{
    at[0] = type;
    at[1] = code;
    be16_store(at + 2, 0);
    be32_store(at + 4, rest);
    struct checksum sum = {0};
    checksum_add_pseudo(&sum, src, dst, PACKET_ICMPV6, (uint32_t)(ICMP_HEADER_LEN + n));
    checksum_add(&sum, at, ICMP_HEADER_LEN);
    checksum_add(&sum, body, n);
    be16_store(at + 2, checksum_finish(&sum));
}

void icmpv6_build_unreachable(uint8_t *at, const struct ipaddr *from, enum icmpv6_unreachable_code code,
                              const struct ipaddr *src, const struct ipaddr *dst, const uint8_t tcp_header[8])
{
    uint8_t *quoted = at + ICMP_HEADER_LEN;
    ipv6_build(quoted, src, dst, PACKET_TCP, 64, 20); /* a TCP header at least */
    memcpy(quoted + IPV6_HEADER_LEN, tcp_header, QUOTED_TCP_LEN);
    icmpv6_build(at, from, src, ICMPV6_UNREACHABLE, (uint8_t)code, 0, quoted, IPV6_HEADER_LEN + QUOTED_TCP_LEN);
}
