/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay/script.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "load/common.h"
#include "replay/packet.h"

#define HELD_MAX 4096u /* segments of one direction that wait for an earlier one */

/* A segment that came before its turn. */
struct held {
    struct held *next;
    struct packet packet; /* its payload is what follows the struct */
};

/* One direction of a flow while it is read. */
struct side {
    uint32_t first; /* sequence number of the first byte */
    uint32_t next;  /* after all that was taken */
    uint32_t held_count;
    struct held *held;
    bool begun;
    bool ended; /* by FIN or RST */
};

struct reading {
    struct script script;
    struct ipaddr client;
    uint16_t client_port;
    struct ipaddr server;
    struct side side[2]; /* client, server */
};

/* All flows of a file so far, and where the newest one between two ends is. */
struct readings {
    struct reading *all;
    uint32_t count, room;
    uint32_t *table; /* of indices plus one, 0: free */
    uint32_t table_size;
};

static void *grow(void *at, size_t size)
{
    void *more = realloc(at, size);
    if (more == NULL)
        die("the capture does not fit into memory");
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

/* Bytes of the other side, its end included, that an acknowledgment number covers, of those that the capture has: what
 * it has not cannot be waited for. */
static uint32_t covered(const struct side *other, const struct packet *p)
{
    if (!(p->flags & TCP_ACK) || !other->begun)
        return 0;
    uint32_t bytes = p->ack - other->first, have = other->next - other->first;
    return bytes > INT32_MAX ? 0 : bytes < have ? bytes : have;
}

static void hold(struct side *side, const struct packet *p)
{
    if (side->held_count == HELD_MAX)
        return;
    struct held *h = grow(NULL, sizeof(*h) + p->payload.left);
    h->packet = *p;
    memcpy(h + 1, p->payload.at, p->payload.left);
    h->packet.payload = bytes_of(h + 1, p->payload.left);
    h->next = side->held;
    side->held = h;
    side->held_count++;
}

/* The bytes of a segment from `skip` on; what was not captured of them is zeros. */
static void append(uint8_t **stream, uint32_t *end, const struct packet *p, uint32_t skip)
{
    uint32_t len = p->len - skip;
    *stream = grow(*stream, (size_t)*end + len);
    uint32_t captured = p->payload.left > skip ? (uint32_t)p->payload.left - skip : 0;
    captured = captured < len ? captured : len;
    if (captured > 0)
        memcpy(*stream + *end, p->payload.at + skip, captured);
    memset(*stream + *end + captured, 0, len - captured);
    *end += len;
}

/* A segment that begins where the last one ended, or before. */
static void take_in_order(struct reading *r, unsigned mine, const struct packet *p, uint32_t mss)
{
    struct script *s = &r->script;
    struct side *side = &r->side[mine];
    bool from_client = mine == 0;
    uint32_t need = covered(&r->side[1 - mine], p);
    uint32_t old = side->next - p->seq; /* bytes that were there before */
    if (old > p->len && p->len > 0)
        return; /* all of it sent again */
    if (p->len > old) {
        append(from_client ? &s->up : &s->down, from_client ? &s->up_len : &s->down_len, p, old);
        side->next += p->len - old;
        for (uint32_t left = p->len - old; left > 0;) {
            uint32_t part = from_client && left > mss ? mss : left;
            add_step(s, from_client ? STEP_CLIENT_DATA : STEP_SERVER_DATA, part, need);
            left -= part;
        }
    } else if (from_client && !(p->flags & TCP_FIN)) {
        add_step(s, STEP_CLIENT_ACK, 0, need);
    }
    if (p->flags & TCP_FIN) {
        add_step(s, from_client ? STEP_CLIENT_FIN : STEP_SERVER_FIN, 0, need);
        side->ended = true;
        side->next++;
    }
}

static void take_held(struct reading *r, unsigned mine, uint32_t mss)
{
    struct side *side = &r->side[mine];
    for (struct held **at = &side->held; *at != NULL;) {
        struct held *h = *at;
        if (!side->ended && side->next - h->packet.seq > INT32_MAX) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        side->held_count--;
        if (!side->ended && h->packet.len > side->next - h->packet.seq) {
            take_in_order(r, mine, &h->packet, mss);
            at = &side->held; /* another one may be next now */
        } else if (!side->ended && (h->packet.flags & TCP_FIN) && h->packet.seq + h->packet.len == side->next) {
            take_in_order(r, mine, &h->packet, mss);
        }
        free(h);
    }
}

static void take(struct reading *r, const struct packet *p, uint32_t mss)
{
    struct script *s = &r->script;
    bool from_client = ipaddr_equal(&p->src, &r->client) && p->src_port == r->client_port;
    unsigned mine = from_client ? 0 : 1;
    struct side *side = &r->side[mine];
    struct packet syn;

    if (p->flags & TCP_SYN) {
        if (!side->begun) {
            side->begun = true;
            side->next = side->first = p->seq + 1;
        }
        if (from_client && s->options_len == 0 && p->options.left > 0 && p->options.left <= SCRIPT_OPTIONS_MAX)
            note_options(s, p->options);
        if (p->len == 0 || side->ended)
            return;
        syn = *p; /* TCP Fast Open (RFC 7413): its data goes out after the handshake here */
        syn.seq++;
        syn.flags &= (uint8_t)~TCP_SYN;
        p = &syn;
    }
    if (!side->begun || side->ended)
        return;
    if (p->flags & TCP_RST) {
        if (from_client)
            add_step(s, STEP_CLIENT_RST, 0, covered(&r->side[1], p));
        side->ended = true;
    } else if (side->next - p->seq > INT32_MAX) {
        if (p->len > 0 || (p->flags & TCP_FIN))
            hold(side, p);
    } else {
        take_in_order(r, mine, p, mss);
        take_held(r, mine, mss);
    }
}

/* The place in the table for the flows between two ends, whichever of them sends. */
static uint32_t *slot(struct readings *in, const struct packet *p)
{
    static const struct siphash_key key = {0, 0};
    uint8_t ends[2][18];
    memcpy(ends[0], p->src.b, 16);
    be16_store(ends[0] + 16, p->src_port);
    memcpy(ends[1], p->dst.b, 16);
    be16_store(ends[1] + 16, p->dst_port);
    uint64_t hash = siphash_13(&key, ends[0], 18) ^ siphash_13(&key, ends[1], 18);
    for (uint32_t i = (uint32_t)hash & (in->table_size - 1);; i = (i + 1) & (in->table_size - 1)) {
        if (in->table[i] == 0)
            return &in->table[i];
        const struct reading *r = &in->all[in->table[i] - 1];
        bool there = ipaddr_equal(&r->client, &p->src) && r->client_port == p->src_port &&
                     ipaddr_equal(&r->server, &p->dst) && r->script.port == p->dst_port;
        bool back = ipaddr_equal(&r->client, &p->dst) && r->client_port == p->dst_port &&
                    ipaddr_equal(&r->server, &p->src) && r->script.port == p->src_port;
        if (there || back)
            return &in->table[i];
    }
}

static void grow_table(struct readings *in)
{
    free(in->table);
    in->table_size = in->table_size == 0 ? 1024 : 2 * in->table_size;
    in->table = calloc(in->table_size, sizeof(*in->table));
    if (in->table == NULL)
        die("the capture does not fit into memory");
    for (uint32_t i = 0; i < in->count; i++) {
        const struct reading *r = &in->all[i];
        const struct packet ends = {
            .src = r->client, .dst = r->server, .src_port = r->client_port, .dst_port = r->script.port};
        *slot(in, &ends) = i + 1; /* the newest remains */
    }
}

/* The flow of a segment, made if this is the SYN of one. NULL: its SYN was not captured. */
static struct reading *find(struct readings *in, const struct packet *p)
{
    uint32_t *at = slot(in, p);
    struct reading *r = *at != 0 ? &in->all[*at - 1] : NULL;
    bool first = (p->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
    if (!first || (r != NULL && r->side[0].first == p->seq + 1))
        return r;
    if (in->count == in->room) {
        in->room = in->room == 0 ? 64 : 2 * in->room;
        in->all = grow(in->all, in->room * sizeof(*in->all));
    }
    r = &in->all[in->count++];
    *r = (struct reading){
        .client = p->src, .server = p->dst, .client_port = p->src_port, .script.port = p->dst_port};
    *at = in->count;
    if (2 * in->count > in->table_size)
        grow_table(in);
    return r;
}

static void free_script(struct script *s)
{
    free(s->up);
    free(s->down);
    free(s->steps);
}

/* Whether something of this direction is missing, after which the script ends. */
static bool finish_side(struct side *side)
{
    bool hole = side->held != NULL;
    while (side->held != NULL) {
        struct held *h = side->held;
        side->held = h->next;
        free(h);
    }
    return hole;
}

static int read_packets(struct readings *in, struct capture *capture, pcap_t *pcap, uint32_t mss)
{
    struct pcap_pkthdr *header;
    const u_char *data;
    int status;
    grow_table(in);
    while ((status = pcap_next_ex(pcap, &header, &data)) == 1) {
        struct packet p;
        capture->frames++;
        if (!packet_parse(&p, bytes_of(data, header->caplen), header->len, pcap_datalink(pcap)))
            continue;
        capture->segments++;
        struct reading *r = find(in, &p);
        if (r == NULL) {
            capture->stray++;
            continue;
        }
        take(r, &p, mss);
    }
    return status == PCAP_ERROR_BREAK ? 0 : -1;
}

/* Those flows that were answered become the capture's scripts. */
static void collect(struct readings *in, struct capture *capture)
{
    capture->scripts = grow(NULL, (in->count + 1) * sizeof(*capture->scripts));
    for (uint32_t i = 0; i < in->count; i++) {
        struct reading *r = &in->all[i];
        bool hole = finish_side(&r->side[0]);
        hole |= finish_side(&r->side[1]);
        if (r->side[1].begun && r->script.count > 0) {
            capture->cut_short += hole;
            capture->scripts[capture->count++] = r->script;
        } else {
            capture->unanswered++;
            free_script(&r->script);
        }
    }
}

int capture_read(struct capture *capture, const char *path, uint32_t mss, const char **error)
{
    static char message[PCAP_ERRBUF_SIZE + 64], why[PCAP_ERRBUF_SIZE];
    *error = NULL;
    *capture = (struct capture){0};
    pcap_t *pcap = pcap_open_offline(path, why);
    if (pcap == NULL) {
        /* libpcap's message names the file, if it could not be opened */
        size_t len = strlen(path);
        snprintf(message, sizeof(message), "%s", strncmp(why, path, len) == 0 ? why + len + 2 : why);
        *error = message;
        return -1;
    }
    if (!packet_knows_link(pcap_datalink(pcap))) {
        const char *name = pcap_datalink_val_to_description_or_dlt(pcap_datalink(pcap));
        snprintf(
            message, sizeof(message),
            "captured on a link (%s) that is not known here; known are Ethernet, Linux cooked, loopback and raw IP",
            name);
        *error = message;
        pcap_close(pcap);
        return -1;
    }
    struct readings in = {0};
    if (read_packets(&in, capture, pcap, mss) != 0) {
        snprintf(message, sizeof(message), "breaks off after %lu frames: %s", capture->frames, pcap_geterr(pcap));
        *error = message;
    }
    pcap_close(pcap);
    collect(&in, capture);
    free(in.all);
    free(in.table);
    if (capture->count > 0)
        return 0;
    capture_free(capture);
    if (*error == NULL) {
        snprintf(
            message, sizeof(message),
            "none of its %lu frames begins a TCP connection that is answered (%lu TCP segments, %lu of them of "
            "connections that began before)",
            capture->frames, capture->segments, capture->stray);
        *error = message;
    }
    return -1;
}

void capture_free(struct capture *capture)
{
    for (uint32_t i = 0; i < capture->count; i++)
        free_script(&capture->scripts[i]);
    free(capture->scripts);
    capture->scripts = NULL;
    capture->count = 0;
}
