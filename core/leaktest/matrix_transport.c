/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP and UDP to everywhere, and from everywhere. */
#include "leaktest/matrix_add.h"

#define TCP(...) ((struct packet){.protocol = FRAME_TCP, .flags = FRAME_SYN, __VA_ARGS__})
#define UDP(...) ((struct packet){.protocol = FRAME_UDP, __VA_ARGS__})

static const uint16_t host_ports[] = {22, 80, 443, 9030, 9040, 9050, 9051, 9150, MATRIX_HOST_PORT};

static void add_syns(struct matrix *m)
{
    static const uint16_t internet_ports[] = {80, 25, 443, 81, 853};
    static const uint8_t timestamp[] = {8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1};
    const struct ground *g = m->ground;
    for (size_t i = 0; i < COUNT(internet_ports); i++)
        matrix_add(m, MATRIX_TCP, MATRIX_ANY, MATRIX_GATEWAY, TCP(.to = g->internet, .port = internet_ports[i]),
                   MATRIX_PLAIN, "SYN to the Internet, port %u", internet_ports[i]);
    matrix_add(m, MATRIX_TCP, MATRIX_SYN_ACK, MATRIX_GATEWAY, TCP(.to = g->resolver, .port = 53), MATRIX_PLAIN,
               "SYN to any resolver, port 53");
    for (unsigned i = 0; i < 8; i++)
        matrix_add(m, MATRIX_TCP, MATRIX_SYN_ACK, MATRIX_GATEWAY,
                   TCP(.to = g->resolver, .port = 53, .tcp_options = timestamp, .tcp_options_n = sizeof(timestamp)),
                   MATRIX_PLAIN, "SYN with a timestamp, flow %u", i);
    for (size_t i = 0; i < COUNT(host_ports); i++) {
        /* Tor's own ports may be open to workstations. */
        bool may = host_ports[i] == 9050 || host_ports[i] == 9150;
        matrix_add(m, MATRIX_TCP, may ? MATRIX_ANY : MATRIX_RST, MATRIX_GATEWAY,
                   TCP(.to = g->network.addr, .port = host_ports[i]), MATRIX_PLAIN,
                   "SYN to the gateway's inner address, port %u", host_ports[i]);
        matrix_add(m, MATRIX_TCP, MATRIX_ANY, MATRIX_GATEWAY, TCP(.to = g->host, .port = host_ports[i]),
                   MATRIX_PLAIN, "SYN to the host's outer address, port %u", host_ports[i]);
    }
    matrix_add(m, MATRIX_TCP, MATRIX_ANY, MATRIX_GATEWAY, TCP(.to = g->router, .port = 80), MATRIX_PLAIN,
               "SYN to the router behind the uplink");
    if (ipaddr_is_v4(&g->relay)) {
        matrix_add(m, MATRIX_TCP, MATRIX_ANY, MATRIX_GATEWAY, TCP(.to = g->relay, .port = g->relay_port),
                   MATRIX_PLAIN, "SYN to the relay's own port");
        matrix_add(m, MATRIX_TCP, MATRIX_ANY, MATRIX_GATEWAY, TCP(.to = g->relay, .port = 80), MATRIX_PLAIN,
                   "SYN to the relay, port 80");
    }
}

static void add_places(struct matrix *m)
{
    static const char silent[][16] = {"127.0.0.1",       "127.1.2.3", "0.0.0.0",    "0.0.0.1",
                                      "255.255.255.255", "224.0.0.1", "224.0.0.22", "239.255.255.250"};
    static const char others[][16] = {"169.254.169.254", "169.254.1.1",    "10.0.0.1",
                                      "172.16.0.1",      "192.168.1.1",    "100.64.0.1",
                                      "192.0.0.8",       "10.255.255.255", "240.0.0.1"};
    const struct ground *g = m->ground;
    for (size_t i = 0; i < COUNT(silent); i++)
        matrix_add(m, MATRIX_TCP, MATRIX_SILENCE, MATRIX_GATEWAY, TCP(.to = frame_ip(silent[i]), .port = 80),
                   MATRIX_PLAIN, "SYN to %s", silent[i]);
    for (size_t i = 0; i < COUNT(others); i++)
        matrix_add(m, MATRIX_TCP, MATRIX_ANY, MATRIX_GATEWAY, TCP(.to = frame_ip(others[i]), .port = 80),
                   MATRIX_PLAIN, "SYN to %s", others[i]);
    matrix_add(m, MATRIX_TCP, MATRIX_ANY, MATRIX_GATEWAY, TCP(.to = matrix_broadcast(g), .port = 80), MATRIX_PLAIN,
               "SYN to the segment's last address");
    matrix_add(m, MATRIX_TCP, MATRIX_ANY, MATRIX_GATEWAY, TCP(.to = g->virtual, .port = 80), MATRIX_PLAIN,
               "SYN to a virtual address of no name");
    matrix_add(m, MATRIX_TCP, MATRIX_ANY, MATRIX_GATEWAY, TCP(.to = g->neighbour, .port = 80), MATRIX_PLAIN,
               "SYN to a neighbour");
    matrix_add(m, MATRIX_TCP, MATRIX_ANY, MATRIX_GATEWAY, TCP(.to = g->me, .port = 80), MATRIX_PLAIN,
               "SYN to itself");
}

static void add_flags(struct matrix *m)
{
    static const struct {
        char name[12];
        uint8_t flags;
    } shapes[] = {
        {"no flag", 0}, {"FIN", 0x01},     {"RST", 0x04},       {"RST ACK", 0x14},
        {"ACK", 0x10},  {"SYN ACK", 0x12}, {"FIN ACK", 0x11},   {"SYN FIN", 3},
        {"SYN RST", 6}, {"Xmas", 0x29},    {"all flags", 0xff}, {"SYN ECE CWR", 0xc2},
    };
    const struct ground *g = m->ground;
    bool four = ipaddr_is_v4(&g->relay);
    for (size_t i = 0; i < COUNT(shapes); i++) {
        struct packet p = {.to = g->internet, .protocol = FRAME_TCP, .port = 80, .flags = shapes[i].flags};
        matrix_add(m, MATRIX_TCP, MATRIX_ANY, MATRIX_GATEWAY, p, MATRIX_PLAIN, "%s to the Internet",
                   shapes[i].name);
        p.to = g->relay;
        p.port = g->relay_port;
        if (four)
            matrix_add(m, MATRIX_TCP, MATRIX_ANY, MATRIX_GATEWAY, p, MATRIX_PLAIN, "%s to the relay",
                       shapes[i].name);
    }
    if (!four)
        return;
    matrix_add(m, MATRIX_TCP, MATRIX_SILENCE, MATRIX_GATEWAY,
               (struct packet){.from = g->host,
                               .to = g->relay,
                               .protocol = FRAME_TCP,
                               .source_port = g->tor_port,
                               .port = g->relay_port,
                               .flags = FRAME_RST},
               MATRIX_PLAIN, "RST from Tor's own socket to its relay");
    matrix_add(m, MATRIX_TCP, MATRIX_SILENCE, MATRIX_GATEWAY,
               (struct packet){.from = g->relay,
                               .to = g->host,
                               .protocol = FRAME_TCP,
                               .source_port = g->relay_port,
                               .port = g->tor_port,
                               .flags = FRAME_RST},
               MATRIX_PLAIN, "RST from the relay to Tor's own socket");
}

void matrix_add_tcp(struct matrix *m)
{
    add_syns(m);
    add_places(m);
    add_flags(m);
}

void matrix_add_udp(struct matrix *m)
{
    static const uint16_t ports[] = {53,   67,   68,   69,   123,   137,   138,
                                     161,  443,  500,  514,  1194,  1701,  1900,
                                     3478, 4500, 5353, 5355, 33434, 51820, MATRIX_HOST_PORT};
    const struct ground *g = m->ground;
    struct {
        char name[20];
        struct ipaddr to;
    } places[] = {
        {"the Internet", g->internet},
        {"the gateway", g->network.addr},
        {"the host", g->host},
        {"a relay", ipaddr_is_v4(&g->relay) ? g->relay : g->resolver},
        {"a private network", frame_ip("192.168.1.1")},
        {"everybody", frame_ip("255.255.255.255")},
        {"the segment", matrix_broadcast(g)},
        {"a group", frame_ip("224.0.0.1")},
    };
    for (size_t i = 0; i < COUNT(ports); i++) {
        places[7].to = frame_ip(ports[i] == 5353   ? "224.0.0.251"
                                : ports[i] == 5355 ? "224.0.0.252"
                                : ports[i] == 1900 ? "239.255.255.250"
                                                   : "224.0.0.1");
        for (size_t k = 0; k < COUNT(places); k++)
            matrix_add(m, MATRIX_UDP, MATRIX_SILENCE, MATRIX_GATEWAY, UDP(.to = places[k].to, .port = ports[i]),
                       MATRIX_PLAIN, "port %u to %s", ports[i], places[k].name);
    }
    struct piece body = {0}, token;
    static const uint8_t head[] = {1, 1, 6, 0}, end[] = {0x63, 0x82, 0x53, 0x63, 0x35, 1, 1, 0xff};
    matrix_body(m, &token, NULL);
    piece_add(&body, head, sizeof(head));
    piece_u32(&body, m->count);
    piece_u16(&body, 0);
    piece_u16(&body, 0x8000);
    piece_zeros(&body, 16);
    piece_add(&body, g->mine, 6);
    piece_zeros(&body, 10);
    piece_add(&body, token.b, token.n);
    piece_zeros(&body, 192 - token.n);
    piece_add(&body, end, sizeof(end));
    matrix_add(m, MATRIX_UDP, g->dhcp ? MATRIX_ANY : MATRIX_SILENCE, matrix_everybody,
               UDP(.from = frame_ip("0.0.0.0"), .to = frame_ip("255.255.255.255"), .source_port = 68, .port = 67,
                   .body = &body),
               MATRIX_PLAIN, "DHCP discover");
}

/* What is asked of a name server, with the mark as the first label of the name. */
static void add_question(struct piece *out, const struct matrix *m)
{
    static const uint8_t name[] = "\3www\3lab\4test\0\0\1\0";
    piece_u16(out, (uint16_t)m->count);
    piece_u16(out, 0x0100);
    piece_u16(out, 1);
    piece_zeros(out, 6);
    piece_add(out, name, sizeof(name));
    out->b[out->n - 1] = 1; /* class IN: its last byte is where the text has its NUL */
}

void matrix_add_spoofed(struct matrix *m)
{
    const struct ground *g = m->ground;
    struct ipaddr network = g->network.addr;
    for (unsigned bit = g->network.len; bit < 128; bit++)
        network.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    const struct {
        char name[20];
        struct ipaddr from;
    } sources[] = {
        {"the host", g->host},
        {"loopback", frame_ip("127.0.0.1")},
        {"the gateway", g->network.addr},
        {"the Internet", g->internet},
        {"nobody", frame_ip("0.0.0.0")},
        {"a group", frame_ip("224.0.0.1")},
        {"everybody", frame_ip("255.255.255.255")},
        {"a relay", ipaddr_is_v4(&g->relay) ? g->relay : g->resolver},
        {"the router", g->router},
        {"link-local", frame_ip("169.254.7.7")},
        {"a private network", frame_ip("192.168.1.1")},
        {"a virtual address", g->virtual},
        {"the segment", matrix_broadcast(g)},
        {"the network", network},
        {"class E", frame_ip("240.0.0.1")},
    };
    for (size_t i = 0; i < COUNT(sources); i++) {
        struct ipaddr from = sources[i].from;
        const char *who = sources[i].name;
        struct piece question = {0};
        add_question(&question, m);
        const struct around asks = {.head = question.b, .head_n = question.n};
        matrix_add(m, MATRIX_SPOOFED, MATRIX_SILENCE, MATRIX_GATEWAY,
                   TCP(.from = from, .to = g->internet, .port = 80), MATRIX_PLAIN, "SYN from %s", who);
        matrix_add(m, MATRIX_SPOOFED, MATRIX_SILENCE, MATRIX_GATEWAY,
                   TCP(.from = from, .to = g->host, .port = MATRIX_HOST_PORT), MATRIX_PLAIN,
                   "SYN to the host from %s", who);
        matrix_add(m, MATRIX_SPOOFED, MATRIX_SILENCE, MATRIX_GATEWAY,
                   UDP(.from = from, .to = g->network.addr, .port = 53), &asks, "DNS query from %s", who);
        matrix_add(m, MATRIX_SPOOFED, MATRIX_SILENCE, MATRIX_GATEWAY,
                   (struct packet){.from = from, .to = g->network.addr, .protocol = FRAME_ICMP, .kind = 8},
                   MATRIX_PLAIN, "echo to the gateway from %s", who);
        matrix_add(m, MATRIX_SPOOFED, MATRIX_SILENCE, MATRIX_GATEWAY,
                   UDP(.from = from, .to = g->internet, .port = 9), MATRIX_PLAIN, "UDP to the Internet from %s",
                   who);
    }
    matrix_add(m, MATRIX_SPOOFED, MATRIX_SILENCE, MATRIX_GATEWAY,
               (struct packet){.from = g->neighbour, .to = g->network.addr, .protocol = FRAME_ICMP, .kind = 8},
               MATRIX_PLAIN, "echo from another workstation's address");
}

/* As the last ones: a bridge that believes them sends what is for the gateway elsewhere, until the gateway speaks. */
void matrix_add_stolen(struct matrix *m)
{
    const struct ground *g = m->ground;
    static const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 1};
    const struct {
        char name[12];
        const uint8_t *mac;
    } stations[] = {{"a group", group}, {"everybody", matrix_everybody}, {"the gateway", g->gateway_mac}};
    for (size_t i = 0; i < COUNT(stations); i++) {
        struct piece frame, body;
        struct packet p = {.to = g->network.addr, .protocol = FRAME_ICMP, .kind = 8};
        matrix_complete(m, &p, &body, NULL);
        frame_begin(&frame, g->gateway_mac, stations[i].mac, FRAME_IPV4);
        packet_build(&frame, &p);
        matrix_add_frame(m, MATRIX_SPOOFED, MATRIX_SILENCE, &frame, "echo with the MAC address of %s",
                         stations[i].name);
    }
}
