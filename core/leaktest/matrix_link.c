/* SPDX-License-Identifier: BSD-3-Clause */
/* The link itself: other EtherTypes, ARP, and the same few packets to whoever might take them. */
#include <stdio.h>
#include <string.h>

#include "leaktest/matrix_add.h"

static void add_types(struct matrix *m)
{
    static const struct {
        char name[20];
        uint16_t type;
    } types[] = {
        {"length 0", 0},
        {"length 64", 64},
        {"length 1500", 1500},
        {"X.25", 0x0805},
        {"wake on LAN", 0x0842},
        {"TRILL", 0x22f3},
        {"batman", 0x4305},
        {"DECnet", 0x6003},
        {"RARP", 0x8035},
        {"AppleTalk", 0x809b},
        {"AARP", 0x80f3},
        {"IPX", 0x8137},
        {"MPLS", 0x8847},
        {"MPLS multicast", 0x8848},
        {"PPPoE discovery", 0x8863},
        {"PPPoE session", 0x8864},
        {"jumbo", 0x8870},
        {"802.1X", 0x888e},
        {"PROFINET", 0x8892},
        {"AoE", 0x88a2},
        {"local experiment", 0x88b5},
        {"LLDP", 0x88cc},
        {"MACsec", 0x88e5},
        {"PTP", 0x88f7},
        {"CFM", 0x8902},
        {"FCoE", 0x8906},
        {"loopback", 0x9000},
        {"QinQ old", 0x9100},
        {"reserved", 0xffff},
    };
    for (size_t i = 0; i < COUNT(types); i++) {
        struct piece frame, inner;
        matrix_inner(m, &inner, false);
        frame_begin(&frame, m->ground->gateway_mac, m->ground->mine, types[i].type);
        piece_add(&frame, inner.b, inner.n);
        matrix_add_frame(m, MATRIX_LINK, MATRIX_SILENCE, &frame, "%s (0x%04x) with a packet in it", types[i].name,
                         types[i].type);
    }
}

static void add_wraps(struct matrix *m)
{
    static const struct {
        char name[20];
        uint16_t type;
        uint8_t head_n, head[10];
    } wraps[] = {
        {"VLAN 1", 0x8100, 4, {0, 1, 8, 0}},
        {"VLAN 0, priority 7", 0x8100, 4, {0xe0, 0, 8, 0}},
        {"VLAN 4095", 0x8100, 4, {0x0f, 0xff, 8, 0}},
        {"VLAN in VLAN", 0x8100, 8, {0, 1, 0x81, 0, 0, 2, 8, 0}},
        {"QinQ", 0x88a8, 8, {0, 1, 0x81, 0, 0, 2, 8, 0}},
        {"MPLS label", 0x8847, 4, {0, 1, 1, 0x40}},
        {"PPPoE session", 0x8864, 8, {0x11, 0, 0, 1, 0, 0x40, 0, 0x21}},
        {"PPPoE discovery", 0x8863, 6, {0x11, 9}},
        {"EAPOL start", 0x888e, 4, {1, 1}},
        {"LLDP", 0x88cc, 3, {2, 7, 4}},
        {"SNAP", 0x0100, 8, {0xaa, 0xaa, 3, 0, 0, 0, 8, 0}},
        {"spanning tree", 0x0026, 8, {0x42, 0x42, 3}},
        {"CDP", 0x0064, 8, {0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0}},
        {"loopback, forward", 0x9000, 10, {0, 0, 2, 0, 2, 0, 0, 0, 0, 1}},
        {"NSH", 0x894f, 8, {0}},
    };
    const struct ground *g = m->ground;
    const struct {
        char name[12];
        uint8_t mac[6];
    } targets[] = {
        {"everybody", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
        {"STP", {1, 0x80, 0xc2, 0, 0, 0}},
        {"LLDP", {1, 0x80, 0xc2, 0, 0, 0x0e}},
        {"802.1X", {1, 0x80, 0xc2, 0, 0, 3}},
        {"CDP", {1, 0, 0x0c, 0xcc, 0xcc, 0xcc}},
        {"the gateway",
         {g->gateway_mac[0], g->gateway_mac[1], g->gateway_mac[2], g->gateway_mac[3], g->gateway_mac[4],
          g->gateway_mac[5]}},
    };
    for (size_t i = 0; i < COUNT(wraps); i++) {
        for (size_t k = 0; k < COUNT(targets); k++) {
            struct piece frame, inner;
            matrix_inner(m, &inner, false);
            frame_begin(&frame, targets[k].mac, g->mine, wraps[i].type);
            piece_add(&frame, wraps[i].head, wraps[i].head_n);
            piece_add(&frame, inner.b, inner.n);
            matrix_add_frame(m, MATRIX_LINK, MATRIX_SILENCE, &frame, "%s to %s", wraps[i].name, targets[k].name);
        }
    }
}

void matrix_add_link(struct matrix *m)
{
    struct piece frame, inner;
    add_types(m);
    add_wraps(m);
    matrix_inner(m, &inner, false);
    frame_begin(&frame, m->ground->gateway_mac, m->ground->mine, FRAME_IPV6);
    piece_add(&frame, inner.b, inner.n);
    matrix_add_frame(m, MATRIX_LINK, MATRIX_SILENCE, &frame, "IPv4 said to be IPv6");
    matrix_inner(m, &inner, true);
    frame_begin(&frame, m->ground->gateway_mac, m->ground->mine, FRAME_IPV4);
    piece_add(&frame, inner.b, inner.n);
    matrix_add_frame(m, MATRIX_LINK, MATRIX_SILENCE, &frame, "IPv6 said to be IPv4");
    matrix_body(m, &inner, NULL);
    frame_begin(&frame, m->ground->gateway_mac, m->ground->mine, FRAME_IPV4);
    piece_add(&frame, inner.b, inner.n);
    matrix_add_frame(m, MATRIX_LINK, MATRIX_SILENCE, &frame, "a header and hardly more");
}

static void arp_frame(const struct matrix *m, struct piece *frame, const uint8_t *to, uint16_t operation,
                      const struct ipaddr *sender, const uint8_t *target_mac, const struct ipaddr *target)
{
    struct piece token;
    matrix_body(m, &token, NULL);
    frame_begin(frame, to, m->ground->mine, FRAME_ARP);
    frame_arp(frame, operation, m->ground->mine, sender, target_mac, target);
    piece_add(frame, token.b, token.n);
}

static void add_solicitation(struct matrix *m)
{
    const struct ground *g = m->ground;
    const struct ipaddr gateway = g->network6.len != 0 ? g->network6.addr : frame_ip("fd19:c33d:88bc::10");
    struct ipaddr group = frame_ip("ff02::1:ff00:0");
    memcpy(group.b + 13, gateway.b + 13, 3);
    const uint8_t target[6] = {0x33, 0x33, 0xff, gateway.b[13], gateway.b[14], gateway.b[15]};
    struct piece head = {0};
    piece_add(&head, gateway.b, 16);
    piece_u16(&head, 0x0101);
    piece_add(&head, g->mine, 6);
    piece_u16(&head, 0x0e03); /* a nonce (RFC 3971), and what is left of its 24 bytes */
    matrix_add(m, MATRIX_ARP, MATRIX_ANY, target,
               (struct packet){.six = true,
                               .to = group,
                               .protocol = FRAME_ICMP6,
                               .kind = 135,
                               .rest = 0xffff0000,
                               .odd = FRAME_ODD_TTL,
                               .ttl = 255},
               &(struct around){.head = head.b, .head_n = head.n, .zeros = 22 - MATRIX_MARK},
               "neighbour solicitation for the gateway");
}

void matrix_add_arp(struct matrix *m)
{
    static const uint16_t operations[] = {0, 3, 4, 5, 8, 9, 23, 65535};
    const struct ground *g = m->ground;
    struct piece frame;
    const struct {
        char name[16];
        struct ipaddr at;
    } who[] = {
        {"the gateway", g->network.addr},
        {"the host", g->host},
        {"the router", g->router},
        {"the Internet", g->internet},
        {"loopback", frame_ip("127.0.0.1")},
        {"nobody", frame_ip("0.0.0.0")},
        {"everybody", frame_ip("255.255.255.255")},
        {"itself", g->me},
        {"a neighbour", g->neighbour},
    };
    for (size_t i = 0; i < COUNT(who); i++) {
        arp_frame(m, &frame, matrix_everybody, 1, &g->me, matrix_nobody, &who[i].at);
        matrix_add_frame(m, MATRIX_ARP, i == 0 ? MATRIX_ARP_REPLY : MATRIX_SILENCE, &frame, "who has %s?",
                         who[i].name);
        arp_frame(m, &frame, g->gateway_mac, 2, &who[i].at, g->gateway_mac, &g->network.addr);
        matrix_add_frame(m, MATRIX_ARP, MATRIX_SILENCE, &frame, "%s is at me", who[i].name);
        /* Asking under the gateway's own address is a conflict, which it defends (RFC 5227). */
        arp_frame(m, &frame, matrix_everybody, 1, &who[i].at, matrix_nobody, &who[i].at);
        matrix_add_frame(m, MATRIX_ARP, i == 0 ? MATRIX_ANY : MATRIX_SILENCE, &frame, "gratuitous for %s",
                         who[i].name);
    }
    arp_frame(m, &frame, matrix_everybody, 1, &who[5].at, matrix_nobody, &g->network.addr);
    matrix_add_frame(m, MATRIX_ARP, MATRIX_ANY, &frame, "probe for the gateway's address (RFC 5227)");
    for (size_t i = 0; i < COUNT(operations); i++) {
        arp_frame(m, &frame, matrix_everybody, operations[i], &g->me, matrix_nobody, &g->network.addr);
        matrix_add_frame(m, MATRIX_ARP, MATRIX_SILENCE, &frame, "operation %u", operations[i]);
    }
    add_solicitation(m);
}

/* Packets that reach a bridge's own stack, or a host that listens, if anything does. */
#define PACKETS 48u

struct sample {
    struct packet packet;
    bool reserved; /* sent to the reserved groups, too */
    char name[44];
};

static void sample_set(struct sample *s, struct packet packet, bool reserved, const char *what, const char *where)
{
    *s = (struct sample){.packet = packet, .reserved = reserved};
    snprintf(s->name, sizeof(s->name), "%.21s to %.16s", what, where);
}

static size_t samples(const struct matrix *m, struct sample out[PACKETS])
{
    static const uint8_t bad[][8] = {{7, 0x28, 4}, {1, 1, 1, 7}, {0x83, 7, 2}, {0x86, 3, 0, 0}};
    static const uint8_t bad_n[] = {8, 4, 8, 4};
    static const char bad_name[][24] = {"a bad option", "a cut option", "a bad route", "a bad security label"};
    const struct ground *g = m->ground;
    size_t n = 0;
    const struct {
        char name[16];
        struct ipaddr to;
    } places[] = {
        {"the Internet", g->internet},
        {"the host", g->host},
        {"a relay", ipaddr_is_v4(&g->relay) ? g->relay : g->resolver},
        {"the router", g->router},
        {"the gateway", g->network.addr},
        {"loopback", frame_ip("127.0.0.1")},
        {"everybody", frame_ip("255.255.255.255")},
    };
    for (size_t i = 0; i < COUNT(places); i++) {
        const char *where = places[i].name;
        const bool host = i == 1;
        struct packet p = {
            .to = places[i].to, .protocol = FRAME_TCP, .flags = FRAME_SYN, .port = host ? MATRIX_HOST_PORT : 80};
        sample_set(&out[n++], p, host, "SYN", where);
        p = (struct packet){.to = places[i].to, .protocol = FRAME_UDP, .port = MATRIX_HOST_PORT};
        sample_set(&out[n++], p, i < 2, "UDP", where);
        p.port = 53;
        sample_set(&out[n++], p, false, "DNS query", where);
        p = (struct packet){.to = places[i].to, .protocol = FRAME_ICMP, .kind = 8};
        sample_set(&out[n++], p, host, "echo", where);
    }
    if (ipaddr_is_v4(&g->relay))
        sample_set(
            &out[n++],
            (struct packet){.to = g->relay, .protocol = FRAME_TCP, .flags = FRAME_SYN, .port = g->relay_port},
            false, "SYN", "a relay's port");
    sample_set(&out[n++],
               (struct packet){.from = g->internet,
                               .to = g->host,
                               .protocol = FRAME_TCP,
                               .flags = FRAME_SYN,
                               .port = MATRIX_HOST_PORT},
               false, "spoofed SYN", "the host");
    sample_set(&out[n++],
               (struct packet){.from = frame_ip("0.0.0.0"),
                               .to = frame_ip("255.255.255.255"),
                               .protocol = FRAME_UDP,
                               .port = MATRIX_HOST_PORT},
               false, "UDP from nobody", "everybody");
    sample_set(&out[n++], (struct packet){.six = true, .to = g->internet6, .protocol = FRAME_UDP, .port = 9}, false,
               "UDP6", "the Internet");
    struct packet local = {.six = true,
                           .from = frame_ip("fe80::77"),
                           .to = frame_ip("ff02::1"),
                           .protocol = FRAME_UDP,
                           .port = MATRIX_HOST_PORT};
    sample_set(&out[n++], local, true, "UDP6", "all nodes");
    local.protocol = FRAME_ICMP6;
    local.kind = 128;
    local.odd = FRAME_ODD_TTL;
    local.ttl = 255;
    sample_set(&out[n++], local, false, "echo6", "all nodes");
    /* What is not for the host it does not look at closely enough to see that the source is wrong, but it looks at
     * options. */
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct packet p = {
            .to = g->internet, .protocol = FRAME_UDP, .port = 9, .ip_options = bad[i], .ip_options_n = bad_n[i]};
        sample_set(&out[n++], p, i == 0, bad_name[i], "the Internet");
        p.from = g->internet;
        p.to = g->resolver;
        sample_set(&out[n++], p, false, bad_name[i], "it, from itself");
        p = (struct packet){
            .to = g->host, .protocol = FRAME_ICMP, .kind = 8, .ip_options = bad[i], .ip_options_n = bad_n[i]};
        sample_set(&out[n++], p, false, bad_name[i], "the host");
    }
    return n;
}

static void add_to_station(struct matrix *m, const char *who, const uint8_t mac[6], const struct sample *sample,
                           size_t count)
{
    const struct ground *g = m->ground;
    struct piece frame, inner;
    for (size_t i = 0; i < count; i++)
        matrix_add(m, MATRIX_ADDRESSED, MATRIX_SILENCE, mac, sample[i].packet, MATRIX_PLAIN, "%s, in a frame to %s",
                   sample[i].name, who);
    arp_frame(m, &frame, mac, 1, &g->me, matrix_nobody, &g->host);
    matrix_add_frame(m, MATRIX_ADDRESSED, MATRIX_SILENCE, &frame, "ARP for the host, in a frame to %s", who);
    matrix_inner(m, &inner, true);
    matrix_add(m, MATRIX_ADDRESSED, MATRIX_SILENCE, mac,
               (struct packet){.to = g->host, .protocol = 41, .body = &inner}, MATRIX_PLAIN,
               "protocol 41 to the host, in a frame to %s", who);
}

void matrix_add_addressed(struct matrix *m)
{
    static const struct matrix_other always[] = {
        {"everybody", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
        {"an IPv4 group", {1, 0, 0x5e, 0, 0, 1}},
        {"an IPv6 group", {0x33, 0x33, 0, 0, 0, 1}},
        {"nobody", {2, 0xde, 0xad, 0xbe, 0xef, 1}},
        {"zero", {0}},
    };
    struct sample sample[PACKETS];
    size_t count = samples(m, sample);
    for (unsigned group = 0; group < 16; group++) {
        const uint8_t mac[6] = {1, 0x80, 0xc2, 0, 0, (uint8_t)group};
        for (size_t i = 0; i < count; i++) {
            if (sample[i].reserved)
                matrix_add(m, MATRIX_RESERVED, MATRIX_SILENCE, mac, sample[i].packet, MATRIX_PLAIN,
                           "%s, in a frame to reserved group %02x", sample[i].name, group);
        }
    }
    for (unsigned i = 0; i < m->ground->other_count; i++)
        add_to_station(m, m->ground->others[i].name, m->ground->others[i].mac, sample, count);
    for (size_t i = 0; i < COUNT(always); i++)
        add_to_station(m, always[i].name, always[i].mac, sample, count);
}

/* A question with the mark behind the message and in the name; what is asked stays in the gateway. */
static void add_question(struct matrix *m, const char *name, uint16_t kind, uint16_t klass, const struct ipaddr *of,
                         const char *where)
{
    uint8_t mark[MATRIX_MARK];
    struct piece body = {0};
    matrix_mark(mark, m->count);
    piece_u16(&body, (uint16_t)m->count);
    piece_u16(&body, 0x0100);
    piece_u16(&body, 1);
    piece_zeros(&body, 6);
    piece_u8(&body, MATRIX_MARK - 2);
    piece_add(&body, mark + 2, MATRIX_MARK - 2);
    for (const char *label = name; *label != '\0';) {
        size_t n = strcspn(label, ".");
        piece_u8(&body, (uint8_t)n);
        piece_add(&body, label, n);
        label += n + (label[n] == '.');
    }
    piece_u8(&body, 0);
    piece_u16(&body, kind);
    piece_u16(&body, klass);
    piece_add(&body, mark, sizeof(mark));
    matrix_add(m, MATRIX_NAMES, MATRIX_ANY, MATRIX_GATEWAY,
               (struct packet){.to = *of, .protocol = FRAME_UDP, .port = 53, .body = &body}, MATRIX_PLAIN,
               "%s type %u class %u of %s", name, kind, klass, where);
}

void matrix_add_names(struct matrix *m)
{
    static const struct {
        char name[28];
        uint16_t kind, klass;
    } questions[] = {
        {"www.example.test", 1, 1},
        {"www.example.test", 28, 1},
        {"www.example.test", 16, 1},
        {"www.example.test", 255, 1},
        {"version.bind", 16, 3},
        {"hostname.bind", 16, 3},
        {"id.server", 16, 3},
        {"localhost", 1, 1},
        {"1.0.0.127.in-addr.arpa", 12, 1},
        {"7.100.51.198.in-addr.arpa", 12, 1},
        {"a.root-servers.test", 252, 1},
        {"router.local", 1, 1},
        {"use-application-dns.net", 1, 1},
        {"wpad", 1, 1},
    };
    for (size_t i = 0; i < COUNT(questions); i++) {
        add_question(m, questions[i].name, questions[i].kind, questions[i].klass, &m->ground->network.addr,
                     "the gateway");
        add_question(m, questions[i].name, questions[i].kind, questions[i].klass, &m->ground->resolver,
                     "any resolver");
    }
}
