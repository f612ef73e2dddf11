/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/packet.h"

#include "base/checksum.h"

#define TCP_HEADER_MIN 20u
#define TCP_CHECKSUM_FIELD 16u
#define UDP_HEADER_LEN 8u
#define UDP_CHECKSUM_FIELD 6u

static bool sums_up(const struct packet *packet, const uint8_t *data, size_t n)
{
    struct checksum sum = {0};
    checksum_add_pseudo(&sum, &packet->src, &packet->dst, packet->protocol, (uint32_t)n);
    checksum_add(&sum, data, n);
    return checksum_fold(&sum) == 0xffff;
}

enum drop packet_check_tcp(const struct packet *packet, const struct frame_offload *offload)
{
    const struct bytes *segment = &packet->payload;
    if (segment->left < TCP_HEADER_MIN)
        return DROP_TCP_BAD;
    size_t header_len = (size_t)(segment->at[12] >> 4) * 4;
    if (header_len < TCP_HEADER_MIN || header_len > segment->left)
        return DROP_TCP_BAD;

    enum frame_gso gso = ipaddr_is_v4(&packet->src) ? FRAME_GSO_TCP4 : FRAME_GSO_TCP6;
    if (!frame_offload_fits(offload, packet->header_len, TCP_CHECKSUM_FIELD, gso))
        return DROP_FRAME_OFFLOAD;
    if (!offload->partial && !offload->valid && !sums_up(packet, segment->at, segment->left))
        return DROP_TCP_CHECKSUM;
    return DROP_NONE;
}

enum drop packet_parse_udp(struct packet_udp *udp, const struct packet *packet, const struct frame_offload *offload)
{
    struct bytes b = packet->payload;
    const uint8_t *datagram = b.at;
    udp->src_port = bytes_u16(&b);
    udp->dst_port = bytes_u16(&b);
    uint16_t len = bytes_u16(&b);
    uint16_t sum = bytes_u16(&b);
    if (!bytes_ok(&b) || len < UDP_HEADER_LEN || len > packet->payload.left || udp->src_port == 0)
        return DROP_UDP_BAD;
    udp->data = bytes_sub(&b, len - UDP_HEADER_LEN);

    if (!frame_offload_fits(offload, packet->header_len, UDP_CHECKSUM_FIELD, FRAME_GSO_NONE))
        return DROP_FRAME_OFFLOAD;
    if (offload->partial || offload->valid)
        return DROP_NONE;
    if (sum == 0) /* "none": RFC 768 allows it, RFC 8200 8.1 does not */
        return ipaddr_is_v4(&packet->src) ? DROP_NONE : DROP_UDP_BAD;
    return sums_up(packet, datagram, len) ? DROP_NONE : DROP_UDP_BAD;
}
