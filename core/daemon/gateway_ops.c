/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/gateway_ops.h"

#include <errno.h>

#include "daemon/gateway.h"
#include "daemon/gateway_target.h"
#include "tun/device.h"
#include "tun/output.h"

/* The engine asks the upstream of a flow, which needs to know what time it is: Tor, or for port 53 the gateway itself. */

/* A service of our own that answers at this place, or GATEWAY_SERVICES. */
static enum gateway_service service_at(const struct gateway *g, const struct tcp_tuple *tuple)
{
    if (tuple->dst_port == DNS_PORT)
        return GATEWAY_SERVICE_DNS;
    if (gateway_is_own(g, &tuple->dst) && port_service_has(g->port_service, tuple->dst_port))
        return GATEWAY_SERVICE_PORTS;
    if (g->control_service != NULL && tuple->dst_port == CONTROL_SERVICE_PORT && gateway_is_own(g, &tuple->dst))
        return GATEWAY_SERVICE_CONTROL;
    return GATEWAY_SERVICES;
}

static int open_local(struct gateway *g, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host,
                      enum gateway_service service)
{
    uint32_t stream = 0;
    const struct gateway_local *local = &g->local[service];
    const struct host *workstation = hosts_at(&g->tun.hosts, host);
    if (workstation == NULL)
        return -ECONNREFUSED;
    if (service != GATEWAY_SERVICE_DNS && !gateway_pace(g, workstation->station))
        return -EAGAIN;
    const struct local_client client = {
        .tuple = *tuple, .host = host, .station = workstation->station, .identity = workstation->serial};
    int status = local->ops->open(local->service, id, &client, g->now, &stream);
    if (status == -ECONNREFUSED) {
        drop_count(&g->upstream_drops, DROP_DNS_QUOTA);
        return -EACCES; /* counted */
    }
    if (status == 0)
        gateway_begin_flow(g, id.index,
                           (struct gateway_flow){.host = host, .stream = stream, .local = (uint8_t)service},
                           workstation);
    return status;
}

static int engine_open(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host)
{
    struct gateway *g = ctx;
    enum gateway_service service = service_at(g, tuple);
    if (service != GATEWAY_SERVICES)
        return open_local(g, id, tuple, host, service);
    return socks_upstream_open(g->upstream, id, tuple, host, g->now);
}

static ssize_t engine_write(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count, size_t *room)
{
    struct gateway *g = ctx;
    const struct gateway_flow *flow = &g->flows[id.index];
    if (flow->stream != 0) {
        const struct gateway_local *local = &g->local[flow->local];
        return local->ops->write(local->service, flow->stream, iov, count, room, g->now);
    }
    return socks_upstream_write(g->upstream, id, iov, count, room);
}

static ssize_t engine_read(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count)
{
    struct gateway *g = ctx;
    const struct gateway_flow *flow = &g->flows[id.index];
    if (flow->stream != 0) {
        const struct gateway_local *local = &g->local[flow->local];
        return local->ops->read(local->service, flow->stream, iov, count, g->now);
    }
    return socks_upstream_read(g->upstream, id, iov, count);
}

static void engine_release(void *ctx, struct tcp_flow_id id, enum tcp_release how)
{
    struct gateway *g = ctx;
    const struct gateway_flow *flow = &g->flows[id.index];
    if (flow->stream != 0) {
        const struct gateway_local *local = &g->local[flow->local];
        local->ops->release(local->service, flow->stream, how);
        gateway_end_flow(g, id.index);
    } else {
        socks_upstream_release(g->upstream, id, how);
    }
}

static void engine_closed(void *ctx, struct tcp_flow_id id)
{
    struct gateway *g = ctx;
    const struct gateway_flow *flow = &g->flows[id.index];
    if (flow->stream != 0)
        g->local[flow->local].ops->closed(g->local[flow->local].service, flow->stream);
    else if (g->config->half_close || flow->service != 0)
        socks_upstream_closed(g->upstream, id);
}

static void engine_opened(void *ctx, struct tcp_flow_id id, int status)
{
    gateway_onion_opened(ctx, id, status);
}

static int engine_emit(void *ctx, struct tcp_out *out)
{
    struct gateway *g = ctx;
    return output_segment(&g->tun, out);
}

static void engine_unreachable(void *ctx, const struct tcp_tuple *tuple, uint32_t host, enum tcp_refusal why,
                               const uint8_t tcp_header[8])
{
    struct gateway *g = ctx;
    output_unreachable(&g->tun, tuple, host, why, tcp_header);
}

const struct tcp_ops gateway_tcp_ops = {
    .open = engine_open,
    .write = engine_write,
    .read = engine_read,
    .release = engine_release,
    .closed = engine_closed,
    .opened = engine_opened,
    .emit = engine_emit,
    .unreachable = engine_unreachable,
};

/* The link asks. */

static int link_send(void *ctx, const struct iovec *iov, int count)
{
    struct gateway *g = ctx;
    return device_send(g->tap, iov, count);
}

static enum drop take_datagram(void *ctx, const struct tun_udp *udp)
{
    struct gateway *g = ctx;
    if (udp->dst_port != DNS_PORT)
        return DROP_UDP;
    dns_service_datagram(g->dns_service, udp, g->now);
    return DROP_NONE;
}

static bool host_is_busy(void *ctx, uint32_t host)
{
    struct gateway *g = ctx;
    return g->host_flows[host] > 0;
}

static void station_is_gone(void *ctx, uint32_t station)
{
    struct gateway *g = ctx;
    dns_forget_host(g->dns, station);
}

const struct tun_ops gateway_tun_ops = {
    .send = link_send,
    .udp = take_datagram,
    .host_busy = host_is_busy,
    .station_gone = station_is_gone,
};
