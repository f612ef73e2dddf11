/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay/script.h"

#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

#define IPV4_MIN 20u
#define TCP_MIN 20u

/* One direction of a flow while it is read. */
struct side {
    uint32_t next; /* sequence number after all that was seen */
    bool begun;
    bool ended; /* by FIN */
};

struct reading {
    struct script script;
    uint32_t client, server; /* addresses */
    uint16_t client_port, server_port;
    uint32_t first[2]; /* sequence number of the first byte: client, server */
    struct side side[2];
    bool hole; /* something was not captured, or came out of order */
};

struct packet {
    uint32_t src, dst, seq, ack;
    uint16_t src_port, dst_port;
    uint8_t flags;
    struct bytes options, payload;
};

static bool parse(struct packet *p, struct bytes frame, int link)
{
    size_t skip = link == DLT_EN10MB ? 14 : link == DLT_LINUX_SLL ? 16 : link == DLT_LINUX_SLL2 ? 20 : 0;
    bytes_take(&frame, skip);
    const uint8_t *ip = frame.at;
    if (!bytes_ok(&frame) || frame.left < IPV4_MIN || ip[0] >> 4 != 4 || ip[9] != 6)
        return false;
    size_t header = (ip[0] & 15u) * 4u, total = be16_load(ip + 2);
    /* A merged segment as the kernel hands it over may say zero. */
    if (total == 0 || total > frame.left)
        total = frame.left;
    if (header < IPV4_MIN || total < header + TCP_MIN)
        return false;
    const uint8_t *tcp = ip + header;
    size_t tcp_len = (tcp[12] >> 4) * 4u;
    if (tcp_len < TCP_MIN || header + tcp_len > total)
        return false;
    *p = (struct packet){
        .src = be32_load(ip + 12),
        .dst = be32_load(ip + 16),
        .src_port = be16_load(tcp),
        .dst_port = be16_load(tcp + 2),
        .seq = be32_load(tcp + 4),
        .ack = be32_load(tcp + 8),
        .flags = tcp[13],
        .options = bytes_of(tcp + TCP_MIN, tcp_len - TCP_MIN),
        .payload = bytes_of(tcp + tcp_len, total - header - tcp_len),
    };
    return true;
}

static void *grow(void *at, size_t size)
{
    void *more = realloc(at, size);
    if (more == NULL)
        abort();
    return more;
}

static void add_step(struct script *s, enum step_kind kind, uint32_t len, uint32_t need)
{
    if ((s->count & (s->count - 1)) == 0)
        s->steps = grow(s->steps, (s->count == 0 ? 1 : 2 * s->count) * sizeof(*s->steps));
    s->steps[s->count++] = (struct step){.kind = kind, .len = len, .need = need};
}

static void note_options(struct script *s, struct bytes options)
{
    const uint8_t *start = options.at;
    memcpy(s->options, start, options.left);
    s->options_len = (uint8_t)options.left;
    while (options.left > 0) {
        uint8_t kind = bytes_u8(&options);
        if (kind == 0)
            return;
        if (kind == 1)
            continue;
        uint8_t len = bytes_u8(&options);
        struct bytes body = bytes_sub(&options, len < 2 ? 0 : len - 2u);
        if (!bytes_ok(&body) || len < 2)
            return;
        if (kind == 3)
            s->wscale = bytes_u8(&body);
        if (kind == 8)
            s->timestamp_at = (uint8_t)(body.at - start);
    }
}

/* Bytes of the other side, its end included, that an acknowledgment number covers. */
static uint32_t covered(const struct reading *r, unsigned other, const struct packet *p)
{
    if (!(p->flags & ACK) || !r->side[other].begun)
        return 0;
    uint32_t bytes = p->ack - r->first[other];
    return bytes > INT32_MAX ? 0 : bytes;
}

static void take(struct reading *r, const struct packet *p, uint32_t mss)
{
    struct script *s = &r->script;
    bool from_client = p->src == r->client && p->src_port == r->client_port;
    unsigned mine = from_client ? 0 : 1;
    struct side *side = &r->side[mine];
    uint32_t need = covered(r, 1 - mine, p);

    if (p->flags & SYN) {
        if (!side->begun) {
            side->begun = true;
            side->next = r->first[mine] = p->seq + 1;
        }
        if (from_client && s->options_len == 0 && p->options.left <= SCRIPT_OPTIONS_MAX)
            note_options(s, p->options);
        return;
    }
    if (!side->begun || side->ended)
        return;
    if (p->flags & RST) {
        if (from_client)
            add_step(s, STEP_CLIENT_RST, 0, need);
        side->ended = true;
        return;
    }
    uint32_t old = side->next - p->seq; /* bytes that were there before */
    uint32_t len = (uint32_t)p->payload.left;
    if (old > INT32_MAX) {
        r->hole = true;
        return;
    }
    if (old > len && len > 0)
        return; /* all of it sent again */
    if (len > old) {
        uint8_t **stream = from_client ? &s->up : &s->down;
        uint32_t *end = from_client ? &s->up_len : &s->down_len;
        *stream = grow(*stream, *end + len - old);
        memcpy(*stream + *end, p->payload.at + old, len - old);
        *end += len - old;
        side->next += len - old;
        for (uint32_t left = len - old; left > 0;) {
            uint32_t part = from_client && left > mss ? mss : left;
            add_step(s, from_client ? STEP_CLIENT_DATA : STEP_SERVER_DATA, part, need);
            left -= part;
        }
    } else if (from_client && !(p->flags & FIN)) {
        add_step(s, STEP_CLIENT_ACK, 0, need);
    }
    if (p->flags & FIN) {
        add_step(s, from_client ? STEP_CLIENT_FIN : STEP_SERVER_FIN, 0, need);
        side->ended = true;
        side->next++;
    }
}

static struct reading *find(struct reading *all, uint32_t count, const struct packet *p)
{
    for (uint32_t i = count; i > 0; i--) {
        struct reading *r = &all[i - 1];
        if ((p->src == r->client && p->dst == r->server && p->src_port == r->client_port &&
             p->dst_port == r->server_port) ||
            (p->dst == r->client && p->src == r->server && p->dst_port == r->client_port &&
             p->src_port == r->server_port))
            return r;
    }
    return NULL;
}

static void free_script(struct script *s)
{
    free(s->up);
    free(s->down);
    free(s->steps);
}

int capture_read(struct capture *capture, const char *path, uint32_t mss, const char **error)
{
    static char message[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = pcap_open_offline(path, message);
    *error = message;
    *capture = (struct capture){0};
    if (pcap == NULL)
        return -1;
    struct reading *all = NULL;
    uint32_t count = 0;
    struct pcap_pkthdr *header;
    const u_char *data;
    while (pcap_next_ex(pcap, &header, &data) == 1) {
        struct packet p;
        if (!parse(&p, bytes_of(data, header->caplen), pcap_datalink(pcap)))
            continue;
        struct reading *r = find(all, count, &p);
        if (r == NULL) {
            if ((p.flags & (SYN | ACK)) != SYN)
                continue;
            all = grow(all, (count + 1) * sizeof(*all));
            r = &all[count++];
            *r = (struct reading){.client = p.src,
                                  .server = p.dst,
                                  .client_port = p.src_port,
                                  .server_port = p.dst_port,
                                  .script.port = p.dst_port};
        }
        take(r, &p, mss);
    }
    pcap_close(pcap);
    capture->scripts = grow(NULL, (count + 1) * sizeof(*capture->scripts));
    for (uint32_t i = 0; i < count; i++) {
        if (all[i].hole)
            free_script(&all[i].script);
        else
            capture->scripts[capture->count++] = all[i].script;
    }
    free(all);
    if (capture->count > 0)
        return 0;
    capture_free(capture);
    *error = "no whole TCP flow over IPv4, from its SYN on, is in it";
    return -1;
}

void capture_free(struct capture *capture)
{
    for (uint32_t i = 0; i < capture->count; i++)
        free_script(&capture->scripts[i]);
    free(capture->scripts);
    *capture = (struct capture){0};
}
