/* SPDX-License-Identifier: BSD-3-Clause */
/* All that IPv4 and ICMP can be besides TCP and UDP. */
#include <stdio.h>
#include <string.h>

#include "leaktest/matrix_add.h"

void matrix_add_protocols(struct matrix *m)
{
    const struct ground *g = m->ground;
    for (unsigned protocol = 0; protocol < 256; protocol++) {
        if (protocol != FRAME_ICMP && protocol != FRAME_TCP && protocol != FRAME_UDP)
            matrix_add(m, MATRIX_PROTOCOLS, MATRIX_SILENCE, MATRIX_GATEWAY,
                       (struct packet){.to = g->internet, .protocol = (uint8_t)protocol}, MATRIX_PLAIN,
                       "protocol %u to the Internet", protocol);
    }
    static const struct {
        char name[12];
        uint8_t protocol, head_n, head[24];
    } tunnels[] = {
        {"IP in IP", 4, 0, {0}},
        {"GRE", 47, 4, {0, 0, 8, 0}},
        {"ESP", 50, 8, {0}},
        {"AH", 51, 24, {4, 4}},
        {"L2TP", 115, 4, {0}},
        {"IPComp", 108, 4, {4}},
        {"EtherIP", 97, 16, {0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0}},
        {"MPLS in IP", 137, 4, {0, 0, 0x11, 0x40}},
    };
    const struct {
        char name[16];
        struct ipaddr to;
    } places[] = {{"the host", g->host}, {"the gateway", g->network.addr}, {"the Internet", g->internet}};
    for (size_t i = 0; i < COUNT(tunnels); i++) {
        for (size_t k = 0; k < COUNT(places); k++) {
            struct piece inner, body = {0};
            matrix_inner(m, &inner, false);
            piece_add(&body, tunnels[i].head, tunnels[i].head_n);
            piece_add(&body, inner.b, inner.n);
            matrix_add(m, MATRIX_PROTOCOLS, MATRIX_SILENCE, MATRIX_GATEWAY,
                       (struct packet){.to = places[k].to, .protocol = tunnels[i].protocol, .body = &body},
                       MATRIX_PLAIN, "%s to %s", tunnels[i].name, places[k].name);
        }
    }
    struct piece inner;
    matrix_inner(m, &inner, true);
    matrix_add(m, MATRIX_PROTOCOLS, MATRIX_SILENCE, MATRIX_GATEWAY,
               (struct packet){.to = g->host, .protocol = 41, .body = &inner}, MATRIX_PLAIN,
               "IPv6 in IP to the host");
    static const struct {
        char name[12], group[12];
        uint8_t protocol;
    } routing[] = {{"IGMP join", "224.0.0.22", 2},
                   {"OSPF hello", "224.0.0.5", 89},
                   {"PIM hello", "224.0.0.13", 103},
                   {"VRRP", "224.0.0.18", 112},
                   {"EIGRP", "224.0.0.10", 88}};
    for (size_t i = 0; i < COUNT(routing); i++) {
        static const uint8_t head[8] = {0x22};
        struct ipaddr to = frame_ip(routing[i].group);
        const uint8_t target[6] = {1, 0, 0x5e, to.b[13], to.b[14], to.b[15]};
        matrix_add(m, MATRIX_PROTOCOLS, MATRIX_SILENCE, target,
                   (struct packet){.to = to, .protocol = routing[i].protocol},
                   &(struct around){.head = head, .head_n = sizeof(head)}, "%s", routing[i].name);
    }
}

void matrix_add_icmp(struct matrix *m)
{
    const struct ground *g = m->ground;
    for (unsigned kind = 0; kind < 256; kind++)
        matrix_add(m, MATRIX_ICMP, MATRIX_SILENCE, MATRIX_GATEWAY,
                   (struct packet){.to = g->internet, .protocol = FRAME_ICMP, .kind = (uint8_t)kind}, MATRIX_PLAIN,
                   "type %u to the Internet", kind);
    matrix_add(m, MATRIX_ICMP, MATRIX_ECHO, MATRIX_GATEWAY,
               (struct packet){.to = g->network.addr, .protocol = FRAME_ICMP, .kind = 8}, MATRIX_PLAIN,
               "echo to the gateway");
    const struct {
        char name[20];
        struct ipaddr to;
    } places[] = {
        {"the host", g->host},
        {"a relay", ipaddr_is_v4(&g->relay) ? g->relay : g->resolver},
        {"everybody", frame_ip("255.255.255.255")},
        {"the segment", matrix_broadcast(g)},
        {"a group", frame_ip("224.0.0.1")},
        {"loopback", frame_ip("127.0.0.1")},
        {"a private network", frame_ip("192.168.1.1")},
        {"a virtual address", g->virtual},
    };
    for (size_t i = 0; i < COUNT(places); i++)
        matrix_add(m, MATRIX_ICMP, MATRIX_SILENCE, MATRIX_GATEWAY,
                   (struct packet){.to = places[i].to, .protocol = FRAME_ICMP, .kind = 8}, MATRIX_PLAIN,
                   "echo to %s", places[i].name);
    static const struct {
        char name[20];
        uint8_t kind;
    } requests[] = {{"timestamp", 13},
                    {"information", 15},
                    {"address mask", 17},
                    {"router solicitation", 10},
                    {"extended echo", 42}};
    for (size_t i = 0; i < COUNT(requests); i++)
        matrix_add(m, MATRIX_ICMP, MATRIX_SILENCE, MATRIX_GATEWAY,
                   (struct packet){.to = g->network.addr, .protocol = FRAME_ICMP, .kind = requests[i].kind},
                   MATRIX_PLAIN, "%s request to the gateway", requests[i].name);
}

void matrix_add_forged(struct matrix *m)
{
    const struct ground *g = m->ground;
    static const uint8_t kinds[][2] = {
        {3, 0}, {3, 1},  {3, 2},  {3, 3},  {3, 4},  {3, 5},  {3, 6},  {3, 7}, {3, 8},
        {3, 9}, {3, 10}, {3, 11}, {3, 12}, {3, 13}, {3, 14}, {3, 15}, {4, 0}, {5, 0},
        {5, 1}, {5, 2},  {5, 3},  {11, 0}, {11, 1}, {12, 0}, {12, 1},
    };
    struct ipaddr relay = ipaddr_is_v4(&g->relay) ? g->relay : g->resolver;
    const struct {
        char name[36];
        struct ipaddr from, to;
    } ways[] = {{"of the workstation", g->me, g->host},
                {"of the relay", relay, g->host},
                {"of the workstation to the gateway", g->me, g->network.addr}};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        for (size_t k = 0; k < COUNT(ways); k++) {
            /* The head of a packet that Tor sent, as an error on its way would quote it. */
            struct piece quoted = {0}, body;
            struct packet sent = {.from = g->host,
                                  .to = relay,
                                  .protocol = FRAME_TCP,
                                  .source_port = g->tor_port,
                                  .port = g->relay_port,
                                  .flags = FRAME_ACK,
                                  .id = 1};
            matrix_complete(m, &sent, &body, NULL);
            packet_build(&quoted, &sent);
            uint32_t rest = 0xffff0000u; /* unused, but not an identifier */
            if (kinds[i][0] == 3 && kinds[i][1] == 4)
                rest = 68;
            else if (kinds[i][0] == 5)
                memcpy(&rest, g->me.b + 12, sizeof(rest));
            matrix_add(m, MATRIX_FORGED, MATRIX_SILENCE, MATRIX_GATEWAY,
                       (struct packet){.from = ways[k].from,
                                       .to = ways[k].to,
                                       .protocol = FRAME_ICMP,
                                       .kind = kinds[i][0],
                                       .code = kinds[i][1],
                                       .rest = rest,
                                       .body = &quoted},
                       MATRIX_PLAIN, "ICMP %u/%u %s, quoting Tor's connection", kinds[i][0], kinds[i][1],
                       ways[k].name);
        }
    }
}

void matrix_add_fragments(struct matrix *m)
{
    const struct ground *g = m->ground;
    const struct {
        char name[8];
        struct packet packet;
        size_t zeros;
    } whole[] = {
        {"TCP", {.to = g->internet, .protocol = FRAME_TCP, .port = 80, .flags = FRAME_SYN}, 0},
        {"UDP", {.to = g->internet, .protocol = FRAME_UDP, .port = 9}, 8},
        {"ICMP", {.to = g->internet, .protocol = FRAME_ICMP, .kind = 8}, 8},
    };
    static const struct {
        char name[24];
        uint8_t flags;
        uint16_t offset;
    } shapes[] = {
        {"first", 1, 0},    {"middle", 1, 3},
        {"last", 0, 3},     {"first, may not be split", 3, 0},
        {"far", 0, 8191},   {"just behind the ports", 0, 1},
        {"evil bit", 4, 0}, {"evil bit, first", 5, 0},
    };
    for (size_t i = 0; i < COUNT(whole); i++) {
        struct packet p = whole[i].packet;
        const struct around around = {.zeros = whole[i].zeros};
        for (size_t k = 0; k < COUNT(shapes); k++) {
            p.ip_flags = shapes[k].flags;
            p.offset = shapes[k].offset;
            /* The evil bit alone makes no fragment. */
            bool may = shapes[k].flags == 4 && p.protocol == FRAME_TCP;
            matrix_add(m, MATRIX_FRAGMENTS, may ? MATRIX_ANY : MATRIX_SILENCE, MATRIX_GATEWAY, p, &around, "%s: %s",
                       whole[i].name, shapes[k].name);
        }
        p.ip_flags = 1;
        p.offset = 0;
        p.odd = FRAME_ODD_TOTAL;
        p.total = 28;
        matrix_add(m, MATRIX_FRAGMENTS, MATRIX_SILENCE, MATRIX_GATEWAY, p, &around,
                   "%s: tiny first, the rest overlaps it", whole[i].name);
    }
}

void matrix_add_options(struct matrix *m)
{
    static const uint8_t kinds[] = {0,   1,   7,   10,  11,  12,  15,  25,  30,  68,  82,  94,  130, 131, 133,
                                    134, 136, 137, 142, 144, 145, 147, 148, 149, 150, 151, 152, 158, 205, 222};
    const struct ground *g = m->ground;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const uint8_t option[8] = {kinds[i], 8, 5};
        size_t n = kinds[i] < 2 ? 1 : sizeof(option);
        matrix_add(
            m, MATRIX_OPTIONS, MATRIX_SILENCE, MATRIX_GATEWAY,
            (struct packet){
                .to = g->internet, .protocol = FRAME_UDP, .port = 9, .ip_options = option, .ip_options_n = n},
            MATRIX_PLAIN, "option %u, UDP to the Internet", kinds[i]);
        matrix_add(
            m, MATRIX_OPTIONS, MATRIX_ANY, MATRIX_GATEWAY,
            (struct packet){
                .to = g->network.addr, .protocol = FRAME_ICMP, .kind = 8, .ip_options = option, .ip_options_n = n},
            MATRIX_PLAIN, "option %u, echo to the gateway", kinds[i]);
    }
    const struct {
        char name[12];
        struct ipaddr by;
    } vias[] = {{"the host", g->host},
                {"the gateway", g->network.addr},
                {"a relay", ipaddr_is_v4(&g->relay) ? g->relay : g->resolver}};
    for (unsigned strict = 0; strict < 2; strict++) {
        uint8_t option[7] = {strict ? 137 : 131, 7, 4};
        memcpy(option + 3, g->internet.b + 12, 4);
        for (size_t i = 0; i < COUNT(vias); i++) {
            struct packet p = {.to = vias[i].by, .port = 80, .ip_options = option, .ip_options_n = sizeof(option)};
            const char *name = strict ? "strict" : "loose";
            p.protocol = FRAME_UDP;
            matrix_add(m, MATRIX_OPTIONS, MATRIX_SILENCE, MATRIX_GATEWAY, p, MATRIX_PLAIN,
                       "%s source route by way of %s, UDP", name, vias[i].name);
            p.protocol = FRAME_TCP;
            p.flags = FRAME_SYN;
            matrix_add(m, MATRIX_OPTIONS, MATRIX_SILENCE, MATRIX_GATEWAY, p, MATRIX_PLAIN,
                       "%s source route by way of %s, SYN", name, vias[i].name);
        }
    }
    static const struct {
        char name[12];
        uint8_t n, option[8];
    } broken[] = {{"too long", 8, {7, 0x28, 4}},
                  {"of length 0", 4, {7, 0, 4}},
                  {"of length 1", 4, {0x44, 1, 5}},
                  {"cut off", 4, {1, 1, 1, 7}}};
    for (size_t i = 0; i < COUNT(broken); i++)
        matrix_add(m, MATRIX_OPTIONS, MATRIX_SILENCE, MATRIX_GATEWAY,
                   (struct packet){.to = g->internet,
                                   .protocol = FRAME_UDP,
                                   .port = 9,
                                   .ip_options = broken[i].option,
                                   .ip_options_n = broken[i].n},
                   MATRIX_PLAIN, "an option %s", broken[i].name);
}

/* One odd header around each of three payloads. */
static void add_header(struct matrix *m, struct packet p, const char *shape)
{
    p.to = m->ground->internet;
    p.protocol = FRAME_UDP;
    p.port = 9;
    matrix_add(m, MATRIX_HEADERS, MATRIX_SILENCE, MATRIX_GATEWAY, p, MATRIX_PLAIN, "%s: UDP to the Internet",
               shape);
    p.protocol = FRAME_ICMP;
    p.kind = 8;
    matrix_add(m, MATRIX_HEADERS, MATRIX_SILENCE, MATRIX_GATEWAY, p, MATRIX_PLAIN, "%s: echo to the Internet",
               shape);
    p.protocol = FRAME_TCP;
    p.port = 80;
    p.flags = FRAME_SYN;
    matrix_add(m, MATRIX_HEADERS, MATRIX_ANY, MATRIX_GATEWAY, p, MATRIX_PLAIN, "%s: SYN to the Internet", shape);
}

void matrix_add_headers(struct matrix *m)
{
    static const uint8_t ttls[] = {0, 1, 2, 255}, words[] = {0, 1, 4, 6, 15};
    static const uint16_t totals[] = {0, 1, 19, 20, 21, 27, 1500, 65535};
    const struct ground *g = m->ground;
    char shape[40];
    for (size_t i = 0; i < COUNT(ttls); i++) {
        snprintf(shape, sizeof(shape), "TTL %u", ttls[i]);
        add_header(m, (struct packet){.odd = FRAME_ODD_TTL, .ttl = ttls[i]}, shape);
    }
    for (unsigned version = 0; version < 16; version++) {
        snprintf(shape, sizeof(shape), "version %u", version);
        if (version != 4)
            add_header(m, (struct packet){.odd = FRAME_ODD_VERSION, .version = (uint8_t)version}, shape);
    }
    for (size_t i = 0; i < COUNT(words); i++) {
        snprintf(shape, sizeof(shape), "header of %u words", words[i]);
        add_header(m, (struct packet){.odd = FRAME_ODD_WORDS, .words = words[i]}, shape);
    }
    for (size_t i = 0; i < COUNT(totals); i++) {
        snprintf(shape, sizeof(shape), "total length %u", totals[i]);
        add_header(m, (struct packet){.odd = FRAME_ODD_TOTAL, .total = totals[i]}, shape);
    }
    add_header(m, (struct packet){.odd = FRAME_ODD_CHECKSUM}, "wrong checksum");
    add_header(m, (struct packet){.tos = 0xfc}, "every DSCP");
    add_header(m, (struct packet){.tos = 3}, "ECN CE");

    /* Whoever passes these on has to say why he cannot, and names the uplink's MTU. */
    static const uint8_t much[1440];
    const struct around before = {.head = much, .head_n = sizeof(much)};
    matrix_add(m, MATRIX_HEADERS, MATRIX_SILENCE, MATRIX_GATEWAY,
               (struct packet){.to = g->internet, .protocol = FRAME_UDP, .port = 9, .ip_flags = 2}, &before,
               "1480 bytes that may not be split: UDP to the Internet");
    matrix_add(m, MATRIX_HEADERS, MATRIX_SILENCE, MATRIX_GATEWAY,
               (struct packet){.to = g->host, .protocol = FRAME_UDP, .port = 9, .ip_flags = 2}, &before,
               "1480 bytes that may not be split: UDP to the host");
    matrix_add(m, MATRIX_HEADERS, MATRIX_SILENCE, MATRIX_GATEWAY,
               (struct packet){.six = true, .to = g->internet6, .protocol = FRAME_UDP, .port = 9},
               &(struct around){.zeros = 1430}, "1490 bytes of IPv6: UDP to the Internet");
}
