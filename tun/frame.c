/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/frame.h"

#include <linux/virtio_net.h>
#include <string.h>

static const uint8_t broadcast[FRAME_MAC_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static bool mac_is_group(const uint8_t *mac)
{
    return (mac[0] & 1) != 0;
}

static bool mac_is_zero(const uint8_t *mac)
{
    static const uint8_t zero[FRAME_MAC_LEN];
    return frame_mac_equal(mac, zero);
}

/* Believe an offload header as far as its own fields allow: whether it fits the transport protocol is asked when that is
 * known. */
static bool parse_offload(struct frame_offload *offload, const struct virtio_net_hdr *hdr)
{
    *offload = (struct frame_offload){.gso = FRAME_GSO_NONE};
    /* Nearly every frame without merged segments takes this way. */
    if (hdr->flags == 0 && hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE)
        return true;

    switch (hdr->flags) {
    case VIRTIO_NET_HDR_F_NEEDS_CSUM:
        /* Where the field is must be where the transport protocol has it: frame_offload_fits(). What points into the
         * Ethernet header wraps to where no protocol begins. */
        offload->partial = true;
        offload->csum_start = (uint16_t)(hdr->csum_start - FRAME_ETHERNET_LEN);
        offload->csum_offset = hdr->csum_offset;
        break;
    case VIRTIO_NET_HDR_F_DATA_VALID:
        offload->valid = true;
        break;
    case 0:
        break;
    default:
        return false;
    }

    switch (hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_NONE:
        return hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE;
    case VIRTIO_NET_HDR_GSO_TCPV4:
        offload->gso = FRAME_GSO_TCP4;
        break;
    case VIRTIO_NET_HDR_GSO_TCPV6:
        offload->gso = FRAME_GSO_TCP6;
        break;
    default: /* merged UDP was not agreed on */
        return false;
    }
    /* Whoever merges segments leaves their checksum partial (virtio 1.2, 5.1.6.2). */
    offload->gso_size = hdr->gso_size;
    return offload->gso_size != 0 && offload->partial;
}

enum drop frame_parse(struct frame *frame, struct bytes raw, const uint8_t mac[FRAME_MAC_LEN])
{
    const uint8_t *offload = bytes_take(&raw, FRAME_OFFLOAD_LEN);
    const uint8_t *ethernet = bytes_take(&raw, FRAME_ETHERNET_LEN);
    if (!bytes_ok(&raw))
        return DROP_FRAME_SHORT;

    frame->dst_mac = ethernet;
    frame->src_mac = ethernet + FRAME_MAC_LEN;
    frame->payload = raw;
    frame->group = mac_is_group(frame->dst_mac);
    if (!frame->group && !frame_mac_equal(frame->dst_mac, mac))
        return DROP_FRAME_FOREIGN;
    if (mac_is_group(frame->src_mac) || mac_is_zero(frame->src_mac) || frame_mac_equal(frame->src_mac, mac))
        return DROP_FRAME_SOURCE;

    uint16_t type = be16_load(ethernet + 2 * FRAME_MAC_LEN);
    switch (type) {
    case FRAME_TYPE_IPV4: /* clients of DHCP, and */
    case FRAME_TYPE_ARP:  /* requests are broadcast, and only that */
        if (frame->group && !frame_mac_equal(frame->dst_mac, broadcast))
            return DROP_FRAME_FOREIGN;
        break;
    case FRAME_TYPE_IPV6: /* to the groups that RFC 2464 7 maps IPv6 multicast to */
        if (frame->group && (frame->dst_mac[0] != 0x33 || frame->dst_mac[1] != 0x33))
            return DROP_FRAME_FOREIGN;
        break;
    default:
        return DROP_FRAME_TYPE;
    }
    frame->type = (enum frame_type)type;

    struct virtio_net_hdr hdr;
    _Static_assert(sizeof(hdr) == FRAME_OFFLOAD_LEN, "the legacy header is ten bytes");
    memcpy(&hdr, offload, sizeof(hdr));
    return parse_offload(&frame->offload, &hdr) ? DROP_NONE : DROP_FRAME_OFFLOAD;
}

bool frame_offload_fits(const struct frame_offload *offload, size_t start, size_t field, enum frame_gso gso)
{
    if (offload->gso != FRAME_GSO_NONE && offload->gso != gso)
        return false;
    return !offload->partial || (field != 0 && offload->csum_start == start && offload->csum_offset == field);
}

void frame_build_offload(uint8_t *at, const struct frame_offload *offload, size_t header_len)
{
    struct virtio_net_hdr hdr = {0};
    if (offload->partial) {
        hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        hdr.csum_start = (uint16_t)(offload->csum_start + FRAME_ETHERNET_LEN);
        hdr.csum_offset = offload->csum_offset;
    }
    if (offload->gso != FRAME_GSO_NONE) {
        hdr.gso_type = offload->gso == FRAME_GSO_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
        hdr.gso_size = offload->gso_size;
        hdr.hdr_len = (uint16_t)(header_len + FRAME_ETHERNET_LEN);
    }
    memcpy(at, &hdr, sizeof(hdr));
}
