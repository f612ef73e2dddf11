/* SPDX-License-Identifier: BSD-3-Clause */
/* The SOCKS side: does what the script told it to, and insists on the contract of struct tcp_ops. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static struct peer *peer_of(struct rig *rig, struct tcp_flow_id id, const char *what)
{
    for (unsigned k = 0; k < rig->peers; k++) {
        struct upstream *u = &rig->peer[k].up;
        if (u->open && u->id.index == id.index && u->id.generation == id.generation)
            return &rig->peer[k];
    }
    fail_at(rig->where, "%s for flow %u.%u, whose upstream is not open", what, id.index, id.generation);
}

int upstream_open(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host)
{
    struct rig *rig = ctx;
    struct peer *peer = rig_find(rig, tuple);
    if (peer == NULL || peer->host != host)
        fail_at(rig->where, "open() for a flow of nobody");
    struct upstream *u = &peer->up;
    if (u->open)
        fail_at(rig->where, "open() for %s, whose upstream is open", peer->name);
    u->opens++;
    if (rig->open_error != 0)
        return rig->open_error;
    upstream_begin(rig, peer, id);
    return 0;
}

void upstream_begin(struct rig *rig, struct peer *peer, struct tcp_flow_id id)
{
    struct upstream *u = &peer->up;
    if (id.index < 1 || id.index > rig->config.max_flows)
        fail_at(rig->where, "flow number %u", id.index);
    free(u->taken);
    *u = (struct upstream){.id = id,
                           .open = true,
                           .opens = u->opens,
                           .releases = u->releases,
                           .how = u->how,
                           .drains = u->drains,
                           .room = u->room,
                           .connected = peer->active,
                           .again = peer->active};
}

void upstream_opened(void *ctx, struct tcp_flow_id id, int status)
{
    struct rig *rig = ctx;
    struct peer *peer = peer_of(rig, id, "opened()");
    if (!peer->active || status > 0)
        fail_at(rig->where, "opened() of %s, with %d", peer->name, status);
    peer->up.answers++;
    peer->up.answer = status;
}

ssize_t upstream_write(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count, size_t *room)
{
    struct rig *rig = ctx;
    struct upstream *u = &peer_of(rig, id, "write()")->up;
    size_t taken = 0;
    if (u->closed)
        fail_at(rig->where, "write() after closed()");
    if (u->write_error != 0)
        return u->write_error;
    for (int k = 0; k < count; k++) {
        size_t n = iov[k].iov_len;
        if (n == 0)
            fail_at(rig->where, "write() with an empty piece");
        if (!u->drains && n > u->room)
            n = u->room;
        if (u->taken_len + n > u->taken_size) {
            u->taken_size = 2 * (u->taken_len + n);
            u->taken = realloc(u->taken, u->taken_size);
            if (u->taken == NULL)
                fail_at(rig->where, "out of memory");
        }
        if (n > 0)
            memcpy(u->taken + u->taken_len, iov[k].iov_base, n);
        u->taken_len += n;
        taken += n;
        if (!u->drains)
            u->room -= n;
        if (n < iov[k].iov_len)
            break;
    }
    *room = u->room;
    return (ssize_t)taken;
}

ssize_t upstream_read(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count)
{
    struct rig *rig = ctx;
    struct peer *peer = peer_of(rig, id, "read()");
    struct upstream *u = &peer->up;
    size_t got = 0;
    if (!u->connected)
        fail_at(rig->where, "read() before the upstream of %s is connected", peer->name);
    for (int k = 0; k < count; k++) {
        if (iov[k].iov_len == 0)
            fail_at(rig->where, "read() into an empty piece");
        for (size_t n = 0; n < iov[k].iov_len && u->read < u->offered; n++, got++, u->read++)
            ((uint8_t *)iov[k].iov_base)[n] = packet_stream_byte(false, (uint32_t)u->read + 1);
    }
    if (got > 0)
        return (ssize_t)got;
    if (u->read_over)
        fail_at(rig->where, "read() behind the end of %s", peer->name);
    u->read_over = u->read_error != 0 || u->eof;
    if (u->read_over)
        return u->read_error;
    u->again = true;
    return -EAGAIN;
}

void upstream_release(void *ctx, struct tcp_flow_id id, enum tcp_release how)
{
    struct rig *rig = ctx;
    struct upstream *u = &peer_of(rig, id, "release()")->up;
    u->open = false;
    u->connected = false;
    u->releases++;
    u->how = how;
}

void upstream_closed(void *ctx, struct tcp_flow_id id)
{
    struct rig *rig = ctx;
    struct peer *peer = peer_of(rig, id, "closed()");
    if (peer->up.closed)
        fail_at(rig->where, "closed() twice for %s", peer->name);
    peer->up.closed = true;
    peer->up.closes++;
}

void upstream_unreachable(void *ctx, const struct tcp_tuple *tuple, uint32_t host, enum tcp_refusal why,
                          const uint8_t tcp_header[8])
{
    struct rig *rig = ctx;
    struct peer *peer = rig_find(rig, tuple);
    if (peer == NULL || peer->host != host)
        fail_at(rig->where, "unreachable() for a flow of nobody");
    const uint8_t quote[8] = {
        (uint8_t)(tuple->src_port >> 8), (uint8_t)tuple->src_port,   (uint8_t)(tuple->dst_port >> 8),
        (uint8_t)tuple->dst_port,        (uint8_t)(peer->isn >> 24), (uint8_t)(peer->isn >> 16),
        (uint8_t)(peer->isn >> 8),       (uint8_t)peer->isn,
    };
    if (memcmp(quote, tcp_header, 8) != 0)
        fail_at(rig->where, "unreachable() does not quote the SYN");
    peer->up.refusals++;
    peer->up.why = why;
}

void upstream_edge(struct rig *rig, struct peer *peer)
{
    if (!peer->up.open || !peer->up.again)
        return;
    peer->up.again = false;
    tcp_upstream_readable(rig->engine, peer->up.id, rig->now);
    rig_flush(rig);
}
