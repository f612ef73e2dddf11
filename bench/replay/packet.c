/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay/packet.h"

#include <pcap/pcap.h>

#define IPV4_MIN 20u
#define IPV6_MIN 40u
#define TCP_MIN 20u
#define TCP_PROTOCOL 6u

enum { TYPE_IPV4 = 0x0800, TYPE_IPV6 = 0x86dd, TYPE_PPPOE = 0x8864 };

/* Where the type of what follows is, and how long the header is; type_at == 0: there is none, the IP header tells. */
static const struct link {
    int link;
    uint8_t type_at, len;
} links[] = {
    {DLT_EN10MB, 12, 14}, {DLT_LINUX_SLL, 14, 16}, {DLT_LINUX_SLL2, 0, 20}, {DLT_RAW, 0, 0},
    {DLT_IPV4, 0, 0},     {DLT_IPV6, 0, 0},        {DLT_NULL, 0, 4},        {DLT_LOOP, 0, 4},
#ifdef LINKTYPE_RAW
    {LINKTYPE_RAW, 0, 0},
#endif
};

static const struct link *find_link(int link)
{
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        if (links[i].link == link)
            return &links[i];
    }
    return NULL;
}

bool packet_knows_link(int link)
{
    return find_link(link) != NULL;
}

/* Take tags and whatever else is between a link's header and IP. */
static void skip_tags(struct bytes *frame, uint16_t type)
{
    while (type == 0x8100 || type == 0x88a8 || type == 0x9100) {
        bytes_u16(frame);
        type = bytes_u16(frame);
        if (!bytes_ok(frame))
            return;
    }
    if (type == TYPE_PPPOE)
        bytes_take(frame, 8); /* its header and PPP's two bytes */
    else if (type != TYPE_IPV4 && type != TYPE_IPV6)
        bytes_take(frame, frame->left + 1); /* nothing for us */
}

/* What is behind IPv6's extension headers: true if it is TCP, whole. */
static bool skip_extensions(struct bytes *in, uint8_t next)
{
    while (next == 0 || next == 43 || next == 60) { /* hop-by-hop, routing, destination options */
        next = bytes_u8(in);
        uint8_t len = bytes_u8(in);
        bytes_take(in, 8u * len + 6u);
        if (!bytes_ok(in))
            return false;
    }
    return next == TCP_PROTOCOL;
}

/* Take the IP header. *len: bytes of TCP on the wire. */
static bool take_ip(struct packet *p, struct bytes *in, uint32_t wire_len, uint32_t *len)
{
    const struct bytes start = *in;
    const uint8_t *ip = in->at;
    if (in->left < IPV4_MIN)
        return false;
    uint32_t total;
    if (ip[0] >> 4 == 4) {
        size_t header = (ip[0] & 15u) * 4u;
        total = be16_load(ip + 2);
        if (ip[9] != TCP_PROTOCOL || header < IPV4_MIN || (be16_load(ip + 6) & 0x3fffu) != 0)
            return false;
        p->src = ipaddr_v4(ip + 12);
        p->dst = ipaddr_v4(ip + 16);
        bytes_take(in, header);
    } else if (ip[0] >> 4 == 6 && in->left >= IPV6_MIN) {
        total = be16_load(ip + 4) == 0 ? 0 : IPV6_MIN + be16_load(ip + 4);
        p->src = ipaddr_v6(ip + 8);
        p->dst = ipaddr_v6(ip + 24);
        bytes_take(in, IPV6_MIN);
        if (!skip_extensions(in, ip[6]))
            return false;
    } else {
        return false;
    }
    /* A merged segment may say zero; a frame padded to its least length is longer than the packet. */
    if (total == 0 || total > wire_len)
        total = wire_len;
    uint32_t before = (uint32_t)(in->at - start.at);
    if (!bytes_ok(in) || total < before)
        return false;
    *len = total - before;
    if (in->left > *len)
        in->left = *len;
    return true;
}

bool packet_parse(struct packet *p, struct bytes frame, uint32_t wire_len, int link)
{
    const struct link *of = find_link(link);
    const size_t captured = frame.left;
    const uint8_t *start = bytes_take(&frame, of != NULL ? of->len : 0);
    if (of == NULL || start == NULL)
        return false;
    if (of->type_at != 0)
        skip_tags(&frame, be16_load(start + of->type_at));
    else if (link == DLT_LINUX_SLL2)
        skip_tags(&frame, be16_load(start));
    uint32_t len;
    uint32_t skipped = (uint32_t)(captured - frame.left);
    if (!bytes_ok(&frame) || wire_len < skipped || !take_ip(p, &frame, wire_len - skipped, &len))
        return false;
    const uint8_t *tcp = bytes_take(&frame, TCP_MIN);
    if (tcp == NULL)
        return false;
    size_t header = (tcp[12] >> 4) * 4u;
    if (header < TCP_MIN || header > len)
        return false;
    p->options = bytes_sub(&frame, header - TCP_MIN);
    if (!bytes_ok(&frame)) /* they were not captured, nor was what follows */
        p->options = frame = bytes_of(tcp, 0);
    p->src_port = be16_load(tcp);
    p->dst_port = be16_load(tcp + 2);
    p->seq = be32_load(tcp + 4);
    p->ack = be32_load(tcp + 8);
    p->flags = tcp[13];
    p->payload = frame;
    p->len = len - (uint32_t)header;
    return true;
}
