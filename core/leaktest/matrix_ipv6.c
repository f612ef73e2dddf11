/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6, ICMPv6 and extension headers. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "leaktest/matrix_add.h"

#define PLACES 24u

struct place {
    char name[16];
    struct ipaddr at;
    bool no_source; /* is no source of a packet that could be wrong */
};

/* Of the form PREFIX with an IPv4 address at the end. */
static struct ipaddr with_ipv4(const char *prefix, const struct ipaddr *four)
{
    struct ipaddr a = {{0}};
    inet_pton(AF_INET6, prefix, a.b);
    memcpy(a.b + 12, four->b + 12, 4);
    return a;
}

static struct ipaddr six(const char *text)
{
    struct ipaddr a = {{0}};
    inet_pton(AF_INET6, text, a.b);
    return a;
}

static struct ipaddr gateway6(const struct ground *g)
{
    return g->network6.len != 0 ? g->network6.addr : six("fd19:c33d:88bc::10");
}

static void places(const struct ground *g, struct place out[PLACES])
{
    const struct place all[PLACES] = {
        {"the Internet", g->internet6, false},
        {"loopback", six("::1"), false},
        {"nobody", six("::"), false},
        {"all nodes", six("ff02::1"), false},
        {"all routers", six("ff02::2"), false},
        {"mDNS", six("ff02::fb"), false},
        {"DHCPv6", six("ff02::1:2"), false},
        {"site group", six("ff05::1:3"), false},
        {"global group", six("ff0e::1"), false},
        {"IPv4-mapped", with_ipv4("::ffff:0:0", &g->internet), false},
        {"IPv4-compatible", with_ipv4("::", &g->internet), false},
        {"mapped loopback", six("::ffff:127.0.0.1"), false},
        {"6to4", six("2002:c633:6407::1"), false},
        {"Teredo", six("2001:0:c633:6407::1"), false},
        {"NAT64", with_ipv4("64:ff9b::", &g->internet), false},
        {"ISATAP", six("fe80::5efe:c633:6407"), true},
        {"link-local", six("fe80::1"), true},
        {"site-local", six("fec0::1"), false},
        {"private", six("fd00::1"), false},
        {"a relay", ipaddr_is_v4(&g->relay) ? six("2001:db8:5e:c0de::9") : g->relay, false},
        {"documentation", six("2001:db8:5e:c0de::1"), false},
        {"discard", six("100::1"), false},
        {"the gateway", gateway6(g), false},
        {"itself", g->me6, true},
    };
    memcpy(out, all, sizeof(all));
}

/* matrix_add() takes an address of zeros for none: here it may be meant. */
static void add_from(struct matrix *m, struct packet p, const char *what, const char *who)
{
    struct piece frame, body;
    struct ipaddr from = p.from;
    matrix_complete(m, &p, &body, NULL);
    p.from = from;
    frame_begin(&frame, m->ground->gateway_mac, m->ground->mine, FRAME_IPV6);
    packet_build(&frame, &p);
    matrix_add_frame(m, MATRIX_IPV6, MATRIX_SILENCE, &frame, "%s from %s", what, who);
}

void matrix_add_ipv6(struct matrix *m)
{
    static const uint16_t ports[] = {53, 123, 443, 547, 5353};
    const struct ground *g = m->ground;
    const struct ipaddr the_gateway = gateway6(g);
    const enum matrix_expected seen = g->network6.len != 0 ? MATRIX_ECHO : MATRIX_SILENCE;
    struct place place[PLACES];
    places(g, place);
    for (size_t i = 0; i < PLACES; i++) {
        struct packet p = {.six = true, .to = place[i].at, .protocol = FRAME_TCP, .port = 80, .flags = FRAME_SYN};
        matrix_add(m, MATRIX_IPV6, MATRIX_ANY, MATRIX_GATEWAY, p, MATRIX_PLAIN, "SYN to %s", place[i].name);
        bool gateway = ipaddr_equal(&place[i].at, &the_gateway);
        p = (struct packet){.six = true, .to = place[i].at, .protocol = FRAME_ICMP6, .kind = 128};
        matrix_add(m, MATRIX_IPV6, gateway ? seen : MATRIX_SILENCE, MATRIX_GATEWAY, p, MATRIX_PLAIN, "echo to %s",
                   place[i].name);
        for (size_t k = 0; k < COUNT(ports); k++) {
            p = (struct packet){.six = true, .to = place[i].at, .protocol = FRAME_UDP, .port = ports[k]};
            matrix_add(m, MATRIX_IPV6, MATRIX_SILENCE, MATRIX_GATEWAY, p, MATRIX_PLAIN, "UDP port %u to %s",
                       ports[k], place[i].name);
        }
    }
    for (size_t i = 0; i < PLACES; i++) {
        struct packet p = {.six = true,
                           .from = place[i].at,
                           .to = g->internet6,
                           .protocol = FRAME_TCP,
                           .port = 80,
                           .flags = FRAME_SYN};
        if (place[i].no_source)
            continue;
        add_from(m, p, "SYN", place[i].name);
        p.protocol = FRAME_UDP;
        p.port = 9;
        add_from(m, p, "UDP", place[i].name);
    }
    const struct {
        char name[20];
        struct packet fields;
    } shapes[] = {
        {"hop limit 0", {.odd = FRAME_ODD_TTL, .ttl = 0}},
        {"hop limit 1", {.odd = FRAME_ODD_TTL, .ttl = 1}},
        {"a flow label", {.label = 0xfffff}},
        {"version 4", {.odd = FRAME_ODD_VERSION, .version = 4}},
        {"version 0", {.odd = FRAME_ODD_VERSION, .version = 0}},
        {"length 0", {.odd = FRAME_ODD_TOTAL, .total = 0}},
        {"length too great", {.odd = FRAME_ODD_TOTAL, .total = 1400}},
        {"length too small", {.odd = FRAME_ODD_TOTAL, .total = 7}},
    };
    for (size_t i = 0; i < COUNT(shapes); i++) {
        struct packet p = shapes[i].fields;
        p.six = true;
        p.to = g->internet6;
        p.protocol = FRAME_UDP;
        p.port = 9;
        matrix_add(m, MATRIX_IPV6, MATRIX_SILENCE, MATRIX_GATEWAY, p, MATRIX_PLAIN, "%s: UDP to the Internet",
                   shapes[i].name);
    }
    static const uint8_t servers[6] = {0x33, 0x33, 0, 1, 0, 2}, solicit[4] = {1, 0, 7, 7};
    matrix_add(m, MATRIX_IPV6, MATRIX_SILENCE, servers,
               (struct packet){.six = true,
                               .from = six("fe80::77"),
                               .to = six("ff02::1:2"),
                               .protocol = FRAME_UDP,
                               .source_port = 546,
                               .port = 547},
               &(struct around){.head = solicit, .head_n = sizeof(solicit)}, "DHCPv6 solicit");
}

void matrix_add_icmp6(struct matrix *m)
{
    const struct ground *g = m->ground;
    const struct ipaddr gateway = gateway6(g);
    for (unsigned kind = 0; kind < 256; kind++)
        matrix_add(m, MATRIX_ICMP6, MATRIX_SILENCE, MATRIX_GATEWAY,
                   (struct packet){.six = true, .to = g->internet6, .protocol = FRAME_ICMP6, .kind = (uint8_t)kind},
                   MATRIX_PLAIN, "type %u to the Internet", kind);

    struct piece heads[7] = {{0}};
    static const uint8_t mtu[8] = {5, 1, 0, 0, 0, 0, 5, 0}, report[4] = {4};
    const uint8_t source[8] = {1, 1, g->mine[0], g->mine[1], g->mine[2], g->mine[3], g->mine[4], g->mine[5]};
    piece_add(&heads[0], source, sizeof(source));
    piece_zeros(&heads[1], 8);
    piece_add(&heads[1], source, sizeof(source));
    piece_add(&heads[1], mtu, sizeof(mtu));
    piece_add(&heads[2], gateway.b, 16);
    piece_u8(&heads[2], 2);
    piece_add(&heads[2], source + 1, sizeof(source) - 1);
    piece_add(&heads[3], six("fe80::77").b, 16);
    piece_add(&heads[3], g->internet6.b, 16);
    piece_add(&heads[4], report, sizeof(report));
    piece_add(&heads[4], six("ff0e::1").b, 16);
    piece_zeros(&heads[5], 8);
    piece_add(&heads[5], gateway.b, 16);
    const struct {
        char name[52];
        struct ipaddr to;
        uint8_t kind;
        uint32_t rest;
    } messages[7] = {
        {"router solicitation", six("ff02::2"), 133, 0xffff0000},
        {"router advertisement", six("ff02::1"), 134, 0x40000708},
        {"neighbour advertisement of the gateway's address", six("ff02::1"), 136, 0x20000000},
        {"redirect", gateway, 137, 0xffff0000},
        {"MLD report", six("ff02::16"), 143, 1},
        {"node information query", gateway, 139, 2},
        {"mobile prefix solicitation", gateway, 146, 0xffff0000},
    };
    for (size_t i = 0; i < COUNT(messages); i++)
        matrix_add(m, MATRIX_ICMP6, MATRIX_ANY, MATRIX_GATEWAY,
                   (struct packet){.six = true,
                                   .from = six("fe80::77"),
                                   .to = messages[i].to,
                                   .protocol = FRAME_ICMP6,
                                   .kind = messages[i].kind,
                                   .rest = messages[i].rest,
                                   .odd = FRAME_ODD_TTL,
                                   .ttl = 255},
                   &(struct around){.head = heads[i].b, .head_n = heads[i].n}, "%s", messages[i].name);

    static const uint8_t errors[][2] = {{1, 0}, {1, 4}, {2, 0}, {3, 0}, {4, 0}, {137, 0}};
    for (size_t i = 0; i < COUNT(errors); i++) {
        struct piece quoted = {0}, body;
        matrix_body(m, &body, &(struct around){.zeros = 20});
        packet_build(&quoted, &(struct packet){.six = true,
                                               .from = ipaddr_is_v4(&g->relay) ? g->internet6 : g->relay,
                                               .to = g->internet6,
                                               .protocol = 59,
                                               .body = &body});
        quoted.b[6] = FRAME_TCP;
        matrix_add(m, MATRIX_ICMP6, MATRIX_SILENCE, MATRIX_GATEWAY,
                   (struct packet){.six = true,
                                   .to = gateway,
                                   .protocol = FRAME_ICMP6,
                                   .kind = errors[i][0],
                                   .code = errors[i][1],
                                   .rest = errors[i][0] == 2 ? 1280 : 0xffff0000,
                                   .body = &quoted},
                   MATRIX_PLAIN, "error %u/%u quoting a relay's packet", errors[i][0], errors[i][1]);
    }
}

void matrix_add_headers6(struct matrix *m)
{
    static const struct {
        char name[20];
        uint8_t following, head_n, head[24];
    } headers[] = {
        {"hop by hop", 0, 8, {17, 0, 1, 4}},
        {"router alert", 0, 8, {17, 0, 5, 2, 0, 0, 1, 0}},
        {"jumbogram", 0, 8, {17, 0, 0xc2, 4, 0, 1, 0, 0}},
        {"fragment, whole", 44, 8, {17, 0, 0, 0, 0, 0, 0, 1}},
        {"fragment, first", 44, 8, {17, 0, 0, 1, 0, 0, 0, 1}},
        {"fragment, later", 44, 8, {17, 0, 0, 8, 0, 0, 0, 1}},
        {"destination options", 60, 8, {17, 0, 1, 4}},
        {"home address", 60, 24, {17,   2, 0xc9, 16, 0x20, 1, 0xd, 0xb8, 0, 0x5e, 0xc0,
                                  0xde, 0, 0,    0,  0,    0, 0,   0,    7, 1,    2}},
        {"authentication", 51, 24, {17, 4}},
        {"ESP", 50, 8, {0}},
        {"mobility", 135, 8, {59}},
        {"HIP", 139, 8, {59}},
        {"shim6", 140, 8, {59}},
        {"none", 59, 0, {0}},
        {"experiment", 253, 8, {17}},
        {"unknown", 200, 0, {0}},
        {"cut off", 0, 8, {17, 255, 1, 4}},
        {"hop by hop twice", 0, 16, {0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4}},
        {"routing type 0", 43, 24, {17, 2,    0,    1,    0, 0, 0, 0, 0x20, 1, 0xd, 0xb8,
                                    0,  0x5e, 0xc0, 0xde, 0, 0, 0, 0, 0,    0, 0,   7}},
        {"routing type 1", 43, 24, {17, 2,    1,    1,    0, 0, 0, 0, 0x20, 1, 0xd, 0xb8,
                                    0,  0x5e, 0xc0, 0xde, 0, 0, 0, 0, 0,    0, 0,   7}},
        {"routing type 2", 43, 24, {17, 2,    2,    1,    0, 0, 0, 0, 0x20, 1, 0xd, 0xb8,
                                    0,  0x5e, 0xc0, 0xde, 0, 0, 0, 0, 0,    0, 0,   7}},
        {"routing type 3", 43, 24, {17, 2,    3,    1,    0, 0, 0, 0, 0x20, 1, 0xd, 0xb8,
                                    0,  0x5e, 0xc0, 0xde, 0, 0, 0, 0, 0,    0, 0,   7}},
        {"routing type 4", 43, 24, {17, 2,    4,    1,    0, 0, 0, 0, 0x20, 1, 0xd, 0xb8,
                                    0,  0x5e, 0xc0, 0xde, 0, 0, 0, 0, 0,    0, 0,   7}},
        {"routing type 253", 43, 24, {17, 2,    253,  1,    0, 0, 0, 0, 0x20, 1, 0xd, 0xb8,
                                      0,  0x5e, 0xc0, 0xde, 0, 0, 0, 0, 0,    0, 0,   7}},
        {"forty of options", 60, 0, {0}},
    };
    const struct ground *g = m->ground;
    const struct {
        char name[16];
        struct ipaddr to;
    } places6[] = {{"the Internet", g->internet6}, {"the gateway", gateway6(g)}};
    for (size_t i = 0; i < COUNT(headers); i++) {
        for (size_t k = 0; k < COUNT(places6); k++) {
            struct piece inner, body = {0};
            static const uint8_t pad[8] = {60, 0, 1, 4};
            matrix_inner(m, &inner, true);
            piece_add(&body, headers[i].head, headers[i].head_n);
            for (unsigned more = i + 1 == COUNT(headers) ? 40 : 0; more > 0; more--) {
                piece_add(&body, pad, sizeof(pad));
                if (more == 1)
                    body.b[body.n - sizeof(pad)] = FRAME_UDP;
            }
            piece_add(&body, inner.b + 40, inner.n - 40); /* the datagram without its header */
            matrix_add(
                m, MATRIX_HEADERS6, MATRIX_SILENCE, MATRIX_GATEWAY,
                (struct packet){.six = true, .to = places6[k].to, .protocol = headers[i].following, .body = &body},
                MATRIX_PLAIN, "%s, to %s", headers[i].name, places6[k].name);
        }
    }
}
