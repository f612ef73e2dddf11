/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURNS_MAX 100000u /* without the clock moving: more is an engine that spins */

void rig_init(struct rig *rig, struct where *where, bool v6)
{
    memset(rig, 0, sizeof(*rig));
    rig->where = where;
    rig->v6 = v6;
    rig->start = 1000000000;
    rig->now = rig->start;
    rig->last = &rig->first;
    rig->config = (struct tcp_config){
        .max_flows = 64,
        .max_chunks = 1024,
        .max_hosts = 16,
        .max_connecting = 64,
        .host_flows = 64,
        .host_connecting = 64,
        .host_chunks = 1024,
        /* With twenty bytes more, IPv6 carries the same payload, and one script serves for both. */
        .mtu = v6 ? 1520 : 1500,
        .gso_max = 0,
        .connect_timeout = 120000,
        .half_close_timeout = 60000,
        .idle_timeout = 3600000,
        .secret = {0x43, 0x6c, 0x6f, 0x69, 0x73, 0x74, 0x65, 0x72, 1, 2, 3, 4, 5, 6, 7, 8},
    };
}

void rig_address(const struct rig *rig, struct peer *peer, uint32_t host, uint32_t far, uint16_t src_port,
                 uint16_t dst_port)
{
    const uint8_t src4[4] = {10, 152, 152, (uint8_t)(11 + host)};
    const uint8_t dst4[4] = {198, 51, 100, (uint8_t)(1 + far)};
    const uint8_t src6[16] = {0xfd, 0x19, [15] = (uint8_t)(11 + host)};
    const uint8_t dst6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)(1 + far)};
    peer->host = host;
    peer->tuple = (struct tcp_tuple){
        .src = rig->v6 ? ipaddr_v6(src6) : ipaddr_v4(src4),
        .dst = rig->v6 ? ipaddr_v6(dst6) : ipaddr_v4(dst4),
        .src_port = src_port,
        .dst_port = dst_port,
    };
}

struct peer *rig_peer(struct rig *rig, const char *name)
{
    for (unsigned k = 0; k < rig->peers; k++)
        if (strcmp(rig->peer[k].name, name) == 0)
            return &rig->peer[k];
    if (rig->peers == RIG_PEERS || strlen(name) >= sizeof(rig->peer[0].name))
        fail_at(rig->where, "too many flows, or a name too long: %s", name);
    struct peer *peer = &rig->peer[rig->peers];
    memcpy(peer->name, name, strlen(name) + 1);
    peer->isn = 1000000;
    peer->ts_own = 5000;
    peer->up.drains = true;
    peer->up.room = 262144;
    rig_address(rig, peer, 0, 0, (uint16_t)(40000 + rig->peers), 80);
    rig->peers++;
    return peer;
}

struct peer *rig_find(struct rig *rig, const struct tcp_tuple *tuple)
{
    /* A port that the engine has just picked. */
    for (unsigned k = 0; k < rig->peers; k++)
        if (rig->peer[k].tuple.dst_port == 0 && rig->peer[k].tuple.src_port == tuple->src_port)
            rig->peer[k].tuple.dst_port = tuple->dst_port;
    for (unsigned k = 0; k < rig->peers; k++)
        if (memcmp(&rig->peer[k].tuple, tuple, sizeof(*tuple)) == 0)
            return &rig->peer[k];
    return NULL;
}

/* What the SYN-ACK agreed to, and the bases of the script's relative numbers. */
static void note_syn_ack(struct peer *peer, const struct packet *p)
{
    if (!peer->far_isn_known) {
        peer->far_isn = p->seq;
        peer->ts_base = p->tsval;
    }
    peer->far_isn_known = true;
    peer->scaled = packet_has(p, PACKET_WS);
    peer->ws = p->ws;
    peer->ts = packet_has(p, PACKET_TS);
}

/* What must hold for every segment, whatever the script expects. */
static void check_always(const struct rig *rig, struct peer *peer, const struct tcp_out *out,
                         const struct packet *p)
{
    char text[256];
    packet_say(p, peer->far_isn, peer->isn, peer->ts_base, text, sizeof(text));
    if (out->host != peer->host)
        fail_at(rig->where, "a segment for workstation %u was sent to %u: %s", peer->host, out->host, text);
    if (p->header_len != out->header_len)
        fail_at(rig->where, "header_len is %u, the data offset says %u: %s", out->header_len, p->header_len, text);
    if (p->urgent != 0 || (p->flags & 0xe0) != 0)
        fail_at(rig->where, "an urgent pointer, or URG, ECE or CWR: %s", text);
    bool opening = peer->active && p->flags == 0x02;
    if ((p->flags & 0x10) == 0 && (p->flags & 0x04) == 0 && !opening)
        fail_at(rig->where, "a segment without ACK that is no RST: %s", text);

    uint32_t ip = rig->v6 ? 40 : 20;
    uint32_t whole = ip + p->header_len + p->len;
    if (out->gso_size == 0 ? whole > rig->config.mtu : ip + p->header_len + out->gso_size > rig->config.mtu)
        fail_at(rig->where, "a packet of %u bytes is larger than the MTU: %s", whole, text);
    if (out->gso_size != 0 && (p->len <= out->gso_size || p->len > rig->config.gso_max))
        fail_at(rig->where, "a super-segment of %u bytes in pieces of %u: %s", p->len, out->gso_size, text);
    for (uint32_t k = 0; k < p->len; k++)
        if (p->payload[k] != packet_stream_byte(false, p->seq - peer->far_isn + k))
            fail_at(rig->where, "byte %u of the stream is wrong: %s", p->seq - peer->far_isn + k, text);

    if (p->flags & 0x04)
        return;
    uint32_t end = p->seq - peer->far_isn + p->len + ((p->flags & 0x01) != 0) + ((p->flags & 0x02) != 0);
    peer->top = (int32_t)(end - peer->top) > 0 ? end : peer->top;
    if (packet_has(p, PACKET_TS) != peer->ts)
        fail_at(rig->where, "timestamps were %sagreed: %s", peer->ts ? "" : "not ", text);
    peer->ts_seen = p->tsval;
    uint32_t window = (uint32_t)p->window << (peer->scaled && !(p->flags & 0x02) ? peer->ws : 0);
    if (peer->edge_known && !opening && (int32_t)(p->ack + window - peer->edge) < 0)
        fail_at(rig->where, "the window shrinks by %u: %s", peer->edge - (p->ack + window), text);
    peer->edge = (opening ? peer->isn + 1 : p->ack) + window;
    peer->edge_known = true;
}

static int rig_emit(void *ctx, struct tcp_out *out)
{
    struct rig *rig = ctx;
    if (out->iov_count < 1 || out->iov_count > TCP_OUT_IOV || out->header_len > TCP_HEADER_MAX)
        fail_at(rig->where, "emit: iov_count %u, header_len %u", out->iov_count, out->header_len);
    size_t n = (size_t)out->header_len + out->payload_len;
    struct sent *sent = calloc(1, sizeof(*sent) + n);
    if (sent == NULL)
        fail_at(rig->where, "out of memory");
    memcpy(sent->bytes, out->head + TCP_HEADROOM, out->header_len);
    size_t at = out->header_len;
    for (uint32_t k = 1; k < out->iov_count; k++) {
        if (out->iov[k].iov_len == 0 || at + out->iov[k].iov_len > n)
            fail_at(rig->where, "emit: the pieces do not add up to payload_len %u", out->payload_len);
        memcpy(sent->bytes + at, out->iov[k].iov_base, out->iov[k].iov_len);
        at += out->iov[k].iov_len;
    }
    if (at != n)
        fail_at(rig->where, "emit: the pieces do not add up to payload_len %u", out->payload_len);
    const char *wrong = packet_read(sent->bytes, n, &sent->packet);
    if (wrong != NULL)
        fail_at(rig->where, "a segment was sent with a bad header: %s", wrong);
    const struct tcp_tuple tuple = {
        .src = out->dst, .dst = out->src, .src_port = sent->packet.dst_port, .dst_port = sent->packet.src_port};
    struct peer *peer = rig_find(rig, &tuple);
    if (peer == NULL)
        fail_at(rig->where, "a segment was sent to nobody, port %u", tuple.src_port);
    if (sent->packet.flags & 0x02)
        note_syn_ack(peer, &sent->packet);
    check_always(rig, peer, out, &sent->packet);
    sent->peer = peer;
    sent->at = rig->now;
    sent->gso_size = out->gso_size;
    if (rig->link_down) {
        free(sent);
        return -ENOBUFS;
    }
    *rig->last = sent;
    rig->last = &sent->next;
    return 0;
}

void rig_start(struct rig *rig)
{
    if (rig->engine != NULL)
        return;
    const struct tcp_ops ops = {
        .open = upstream_open,
        .write = upstream_write,
        .read = upstream_read,
        .opened = upstream_opened,
        .release = upstream_release,
        .closed = upstream_closed,
        .emit = rig_emit,
        .unreachable = upstream_unreachable,
    };
    size_t size = tcp_engine_size(&rig->config);
    void *memory = size != 0 ? aligned_alloc(4096, (size + 4095) & ~(size_t)4095) : NULL;
    if (memory == NULL)
        fail_at(rig->where, "the engine does not accept this configuration");
    memset(memory, 0, size);
    rig->engine = tcp_engine_init(memory, &rig->config, &ops, rig, rig->now);
}

void rig_flush(struct rig *rig)
{
    rig_start(rig);
    if (rig->batch)
        return;
    unsigned turns = 0;
    while (tcp_flush(rig->engine, rig->now))
        if (++turns > TURNS_MAX)
            fail_at(rig->where, "tcp_flush() always has more to do");
    while (rig->lent != NULL) {
        struct lent *lent = rig->lent;
        rig->lent = lent->next;
        free(lent);
    }
}

void rig_inject(struct rig *rig, const struct peer *peer, const uint8_t *bytes, size_t n, uint16_t gso)
{
    rig_start(rig);
    /* A copy of exactly its size, so that the sanitizer sees the first byte read past it. */
    struct lent *lent = malloc(sizeof(*lent) + n);
    if (lent == NULL)
        fail_at(rig->where, "out of memory");
    memcpy(lent->bytes, bytes, n);
    lent->next = rig->lent;
    rig->lent = lent;
    const struct tcp_in in = {
        .src = peer->tuple.src,
        .dst = peer->tuple.dst,
        .host = peer->host,
        .seg = bytes_of(lent->bytes, n),
        .gso_size = gso,
    };
    tcp_input(rig->engine, &in, rig->now);
    rig_flush(rig);
}

void rig_advance(struct rig *rig, uint64_t until, bool stop_on_segment)
{
    rig_start(rig);
    unsigned turns = 0;
    uint64_t at;
    while (!(stop_on_segment && rig->first != NULL) && tcp_next_deadline(rig->engine, &at) && at <= until) {
        if (at > rig->now) {
            rig->now = at;
            turns = 0;
        }
        if (++turns > TURNS_MAX)
            fail_at(rig->where, "a deadline stays due however often tcp_advance() runs");
        tcp_advance(rig->engine, rig->now);
        rig->wakes++;
        rig_flush(rig);
    }
    if (!(stop_on_segment && rig->first != NULL) && rig->now < until)
        rig->now = until;
}

void rig_forget(struct rig *rig)
{
    struct sent *sent = rig->first;
    rig->first = sent->next;
    if (rig->first == NULL)
        rig->last = &rig->first;
    free(sent);
}

void rig_fini(struct rig *rig)
{
    rig_start(rig);
    rig->batch = false;
    tcp_engine_reset_all(rig->engine, rig->now);
    rig_flush(rig);
    const struct tcp_counters *c = tcp_engine_counters(rig->engine);
    if (c->flows != 0 || c->connecting != 0 || c->chunks != 0)
        fail_at(rig->where, "after a reset of all there are still %u flows, %u connecting, %u chunks", c->flows,
                c->connecting, c->chunks);
    uint64_t at;
    if (tcp_next_deadline(rig->engine, &at))
        fail_at(rig->where, "after a reset of all a timer is still set");
    for (unsigned k = 0; k < rig->peers; k++) {
        if (rig->peer[k].up.open)
            fail_at(rig->where, "the upstream of %s was never released", rig->peer[k].name);
        free(rig->peer[k].up.taken);
    }
    while (rig->first != NULL)
        rig_forget(rig);
    free(rig->engine);
}
