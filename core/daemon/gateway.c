/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/gateway.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/bucket.h"
#include "base/pool.h"
#include "daemon/gateway_target.h"
#include "tun/device.h"
#include "tun/output.h"

#define UPSTREAM_EVENTS 512u /* of one turn at most */
#define CHUNKS_PER_MIB 256u  /* the engine's buffers are of 4 KiB */
#define DHCP_LEASE 3600u     /* seconds */
#define DNS_LOOKUPS 4096u    /* through Tor, those remembered included */
#define UDP_HEADERS 48u      /* bytes of IPv6 and UDP header before a datagram's payload */
#define DNS_STREAMS 1024u    /* flows to port 53 at once, at most */
#define PORT_STREAMS 1024u   /* clients of SOCKS ports that have no stream yet, at most */
#define SEND_BUFFER 212992u  /* bytes, of a stream's socket; the kernel doubles it. Its default net.core.wmem_max */
#define END_WAIT 500000u /* microseconds until the end of a stream is believed; Tor's word takes less than one ms */

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

/* Pages that cost nothing until they are used, and read as zeros. */
static int memory_map(struct gateway_memory *memory, size_t size)
{
    if (size == 0)
        return -EINVAL;
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return -errno;
    *memory = (struct gateway_memory){.at = at, .size = size};
    return 0;
}

static void memory_unmap(struct gateway_memory *memory)
{
    if (memory->at != NULL)
        munmap(memory->at, memory->size);
    *memory = (struct gateway_memory){0};
}

static int draw_secret(uint8_t secret[16])
{
    ssize_t n = getrandom(secret, 16, 0);
    return n == 16 ? 0 : n < 0 ? -errno : -EIO;
}

/* Three quarters: enough for one workstation that is alone, and a rest for a second one that comes later. */
static uint32_t share(uint32_t whole)
{
    return whole - whole / 4;
}

/* The engine cuts super-segments for both families alike. */
static uint32_t gso_max(const struct channel_gateway_config *c)
{
    unsigned needed = DEVICE_OFFLOAD_TSO4 | (c->network6.len != 0 ? DEVICE_OFFLOAD_TSO6 : 0);
    return (c->offload & needed) == needed ? OUTPUT_GSO_MAX : 0;
}

static int init_tors(struct gateway *g)
{
    const struct channel_gateway_config *c = g->config;
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < c->others; i++) {
        char path[2 * CONFIG_SOCKET_MAX];
        snprintf(path, sizeof(path), "%s/%s", c->socket_directory, c->other_name[i]);
        status = socks_tors_add(&g->others, path);
    }
    return status;
}

static void fini_tors(struct gateway *g)
{
    g->others.count = 0;
}

static int init_engine(struct gateway *g)
{
    static const struct tcp_ops ops = {
        .open = engine_open,
        .write = engine_write,
        .read = engine_read,
        .release = engine_release,
        .closed = engine_closed,
        .opened = engine_opened,
        .emit = engine_emit,
        .unreachable = engine_unreachable,
    };
    const struct channel_gateway_config *c = g->config;
    struct tcp_config config = {
        .max_flows = c->flows,
        .max_chunks = c->buffers * CHUNKS_PER_MIB,
        .max_hosts = c->workstations,
        .max_connecting = c->connecting,
        .host_flows = c->workstation_flows,
        .host_connecting = c->workstation_connecting,
        .host_chunks = share(c->buffers * CHUNKS_PER_MIB),
        .mtu = c->mtu,
        .gso_max = gso_max(c),
        .connect_timeout = c->connect_timeout * 1000,
        .half_close_timeout = c->half_close_timeout * 1000,
        .idle_timeout = c->idle_timeout * 1000,
        .optimistic = c->optimistic,
    };
    int status = draw_secret(config.secret);
    if (status == 0)
        status = memory_map(&g->engine_memory, tcp_engine_size(&config));
    if (status != 0)
        return status;
    g->engine = tcp_engine_init(g->engine_memory.at, &config, &ops, g, g->now);
    return g->engine != NULL ? 0 : -EINVAL;
}

static int init_dns(struct gateway *g)
{
    const struct channel_gateway_config *c = g->config;
    struct dns_config config;
    dns_config_defaults(&config);
    config.virtual4 = c->virtual_net;
    config.virtual6 = c->virtual_net6;
    config.slots = c->names;
    config.max_hosts = c->workstations;
    config.ttl = c->virtual_ttl;
    config.host_rate = c->queries;
    config.host_burst = c->queries;
    if (c->mtu - UDP_HEADERS < config.udp_max)
        config.udp_max = c->mtu - UDP_HEADERS;
    config.lookups = DNS_LOOKUPS;
    config.resolve_all = c->answers == CONFIG_ANSWERS_RESOLVE;
    _Static_assert(sizeof(config.resolve) == sizeof(c->resolve), "a list of names fits");
    memcpy(config.resolve, c->resolve, sizeof(config.resolve));
    config.upstreams = c->resolvers.count;
    int status = draw_secret(config.secret);
    if (status == 0)
        status = memory_map(&g->dns_memory, dns_size(&config));
    if (status != 0)
        return status;
    g->dns = dns_init(g->dns_memory.at, &config);
    return g->dns != NULL ? 0 : -EINVAL;
}

static int init_dns_service(struct gateway *g)
{
    const struct channel_gateway_config *c = g->config;
    char path[2 * CONFIG_SOCKET_MAX];
    snprintf(path, sizeof(path), "%s/%s", c->socket_directory, c->socket_name);
    struct dns_service_config config = {
        .streams = c->flows < DNS_STREAMS ? c->flows : DNS_STREAMS,
        .max_hosts = c->workstations,
        .allow_private = c->allow_private,
        .asker = {.path = path,
                  .others = &g->others,
                  .handles = DNS_LOOKUPS,
                  .calls = GATEWAY_DNS_CALLS,
                  .isolation = c->isolation,
                  .isolation_lifetime = c->isolation_lifetime,
                  .budget = socks_upstream_budget(g->upstream)},
        .nym = gateway_nym,
        .ctx = g,
    };
    _Static_assert(sizeof(config.asker.upstreams) == sizeof(c->resolvers.addr), "as many resolvers");
    memcpy(config.asker.upstreams, c->resolvers.addr, sizeof(config.asker.upstreams));
    int status = draw_secret(config.asker.secret);
    if (status != 0)
        return status;
    status = dns_service_new(&g->dns_service, &config, g->dns);
    if (status == 0)
        dns_service_attach(g->dns_service, g->engine, &g->tun);
    return status;
}

static int init_tables(struct gateway *g)
{
    int status = memory_map(&g->flow_memory, ((size_t)g->config->flows + 1) * sizeof(struct gateway_flow));
    if (status == 0)
        status = memory_map(&g->host_memory, (size_t)g->config->workstations * sizeof(uint32_t));
    if (status == 0)
        status = memory_map(&g->station_memory, (size_t)g->config->workstations * sizeof(uint32_t));
    if (status == 0)
        status = memory_map(&g->syn_memory, (size_t)g->config->workstations * sizeof(struct bucket));
    if (status == 0)
        status = memory_map(&g->nym_memory, (size_t)g->config->workstations * sizeof(uint32_t));
    if (status == 0)
        status = memory_map(&g->port_memory, port_use_size(g->config->flows));
    if (status == 0)
        port_use_init(&g->ports, g->port_memory.at, g->config->flows);
    g->flows = g->flow_memory.at;
    g->host_flows = g->host_memory.at;
    g->station_flows = g->station_memory.at;
    g->host_syns = g->syn_memory.at;
    g->station_nyms = g->nym_memory.at;
    return status;
}

static int init_upstream(struct gateway *g)
{
    const struct channel_gateway_config *c = g->config;
    char path[2 * CONFIG_SOCKET_MAX];
    snprintf(path, sizeof(path), "%s/%s", c->socket_directory, c->socket_name);
    struct socks_upstream_config config = {
        .path = path,
        .others = &g->others,
        .max_flows = c->flows,
        .optimistic = c->optimistic,
        .isolation = c->isolation,
        .isolation_lifetime = c->isolation_lifetime,
        .end_wait = c->judged ? END_WAIT : 0,
        .budget = {.rate = c->identity_rate, .burst = c->identity_burst, .stations = c->workstations},
        .send_buffer = SEND_BUFFER,
        .drops = &g->upstream_drops,
        .target = gateway_choose_target,
        .answered = gateway_target_answered,
        .asked = gateway_target_asked,
        .bound = gateway_target_bound,
        .done = gateway_target_done,
        .ctx = g,
    };
    int status = draw_secret(config.secret);
    if (status != 0)
        return status;
    status = socks_upstream_new(&g->upstream, &config);
    if (status == 0)
        socks_upstream_attach(g->upstream, g->engine);
    if (status == 0)
        socks_upstream_hold(g->upstream, true); /* gateway_set_ready() */
    return status;
}

static int init_port_service(struct gateway *g)
{
    const struct channel_gateway_config *c = g->config;
    struct port_service_config config = {
        .ports = c->ports,
        .streams = c->flows < PORT_STREAMS ? c->flows : PORT_STREAMS,
        .stations = c->workstations,
        .answer = c->connect_timeout * UINT64_C(1000000),
        .drops = &g->upstream_drops,
        .ask = gateway_ask,
        .joined = gateway_joined,
        .ctx = g,
    };
    int status = port_service_new(&g->port_service, &config);
    if (status == 0)
        port_service_attach(g->port_service, g->engine, g->upstream);
    return status;
}

static void want_newnym(void *ctx, uint32_t station)
{
    struct gateway *g = ctx;
    g->station_nyms[station]++;
}

/* Those that an application may look for first. */
static void list_listeners(const struct gateway *g, char *out, size_t size)
{
    static const uint16_t likely[] = {9150, 9050};
    const struct socks_ports *ports = &g->config->ports;
    const uint8_t *a = g->config->network.addr.b + 12;
    size_t n = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < 2 + ports->count && size - n > 32; i++) {
        struct socks_port port;
        if (socks_ports_find(ports, i < 2 ? likely[i] : ports->port[i - 2].port, &port) && port.kind == FRONT_SOCKS)
            n += (size_t)snprintf(out + n, size - n, "%s\"%u.%u.%u.%u:%u\"", n > 0 ? " " : "", a[0], a[1], a[2],
                                  a[3], port.port);
    }
}

static int init_control_service(struct gateway *g)
{
    if (!g->config->control_port)
        return 0;
    struct control_service_config config = {
        .stations = g->config->workstations,
        .facts = {.version = CLOISTER_TOR_VERSION},
        .drops = &g->upstream_drops,
        .newnym = want_newnym,
        .ctx = g,
    };
    list_listeners(g, config.facts.listeners, sizeof(config.facts.listeners));
    return control_service_new(&g->control_service, &config);
}

static int init_services(struct gateway *g)
{
    int status = init_dns_service(g);
    if (status == 0)
        status = init_port_service(g);
    if (status == 0)
        status = init_control_service(g);
    g->local[GATEWAY_SERVICE_CONTROL] = (struct gateway_local){&control_service_ops, g->control_service};
    g->local[GATEWAY_SERVICE_DNS] = (struct gateway_local){&dns_service_ops, g->dns_service};
    g->local[GATEWAY_SERVICE_PORTS] = (struct gateway_local){&port_service_ops, g->port_service};
    return status;
}

static int init_tun(struct gateway *g)
{
    static const struct tun_ops ops = {
        .send = link_send,
        .udp = take_datagram,
        .host_busy = host_is_busy,
        .station_gone = station_is_gone,
    };
    const struct channel_gateway_config *c = g->config;
    struct tun_config config = {
        .address = c->network.addr,
        .network = c->network,
        .dhcp_first = c->dhcp[0],
        .dhcp_last = c->dhcp[1],
        .dhcp_lease = DHCP_LEASE,
        .reject = c->reject,
        .mtu = c->mtu,
        .offload = c->offload,
        .max_hosts = c->workstations,
        .max_per_mac = CONFIG_ADDRESSES_OF_MAC,
        .host_idle = c->workstation_idle * UINT64_C(1000000),
    };
    int status = draw_secret(config.secret);
    if (status != 0)
        return status;
    memcpy(config.mac, c->mac, sizeof(config.mac));
    config.stations = c->stations.station;
    config.station_count = c->stations.count;
    config.stations_only = c->stations_only;
    config.dhcp_fixed = c->dhcp_leases.lease;
    config.dhcp_fixed_count = c->dhcp_leases.count;
    config.dhcp = c->dhcp_leases.count > 0 || !dhcp_is_none(&c->dhcp[0]);
    if (c->network6.len != 0) {
        config.ipv6 = true;
        config.address6 = c->network6.addr;
        config.network6 = c->network6;
        config.ra = c->ra;
        config.link_local6 = ipv6_link_local_of(&c->network6.addr);
    }
    return tun_init(&g->tun, &config, &ops, g, g->engine);
}

static int init_receive(struct gateway *g)
{
    return receive_init(&g->receive, RECEIVE_BYTES);
}

static int init_onion(struct gateway *g)
{
    const struct gateway_onion_ports *ports = g->onion_ports;
    g->onion_ports = NULL;
    return ports != NULL && ports->count > 0 ? gateway_onion_init(g, ports) : 0;
}

static void fini_engine(struct gateway *g)
{
    memory_unmap(&g->engine_memory);
}

static void fini_dns(struct gateway *g)
{
    memory_unmap(&g->dns_memory);
}

static void fini_services(struct gateway *g)
{
    control_service_free(g->control_service);
    port_service_free(g->port_service);
    dns_service_free(g->dns_service);
}

static void fini_tables(struct gateway *g)
{
    memory_unmap(&g->port_memory);
    memory_unmap(&g->nym_memory);
    memory_unmap(&g->syn_memory);
    memory_unmap(&g->station_memory);
    memory_unmap(&g->host_memory);
    memory_unmap(&g->flow_memory);
}

static void fini_upstream(struct gateway *g)
{
    socks_upstream_free(g->upstream);
}

static void fini_tun(struct gateway *g)
{
    tun_fini(&g->tun);
}

static void fini_receive(struct gateway *g)
{
    if (g->receive.buffer != NULL)
        receive_fini(&g->receive);
}

/* In the order in which they are built; taken down the other way round. One that could not be built is taken down as well:
 * what is not there is left alone. */
static const struct part {
    const char *step;
    int (*init)(struct gateway *g);
    void (*fini)(struct gateway *g);
} parts[] = {
    {"find the SOCKS sockets", init_tors, fini_tors},
    {"make the tables", init_tables, fini_tables},
    {"make the TCP engine", init_engine, fini_engine},
    {"make the DNS answerer", init_dns, fini_dns},
    {"make the SOCKS upstream", init_upstream, fini_upstream},
    {"make the services", init_services, fini_services},
    {"make the link", init_tun, fini_tun},
    {"make the receive buffer", init_receive, fini_receive},
    {"listen for visitors of onion services", init_onion, gateway_onion_fini},
};

#define PARTS (sizeof(parts) / sizeof(parts[0]))

static void fini_parts(struct gateway *g, size_t count)
{
    while (count > 0)
        parts[--count].fini(g);
    for (uint32_t i = 0; g->onion_ports != NULL && i < g->onion_ports->count; i++)
        close(g->onion_ports->listener[i]);
    close(g->tap);
}

int gateway_init(struct gateway *g, const struct channel_gateway_config *config, int tap,
                 const struct gateway_onion_ports *onions, uint64_t now, const char **step)
{
    *g = (struct gateway){.config = config, .tap = tap, .onion_ports = onions, .now = now};
    for (size_t i = 0; i < PARTS; i++) {
        *step = parts[i].step;
        int status = parts[i].init(g);
        if (status != 0) {
            fini_parts(g, i + 1);
            return status;
        }
    }
    return 0;
}

void gateway_fini(struct gateway *g)
{
    fini_parts(g, PARTS);
}

static unsigned dispatch_services(struct gateway *g, uint64_t now)
{
    unsigned told = dns_service_dispatch(g->dns_service, now);
    told += port_service_dispatch(g->port_service, now);
    return told + (g->control_service != NULL ? control_service_dispatch(g->control_service, g->engine, now) : 0);
}

int gateway_turn(struct gateway *g, unsigned ready, uint64_t now, bool *again)
{
    g->now = now;
    if ((ready & GATEWAY_READY_LINK) != 0) {
        int frames = receive_batch(&g->receive, g->tap);
        if (frames < 0)
            return frames;
        for (int i = 0; i < frames; i++)
            tun_input(&g->tun, g->receive.frame[i], now);
    }
    tun_advance(&g->tun, now);
    int status = gateway_onion_turn(g, (ready & GATEWAY_READY_ONION) != 0, now);
    if (status != 0)
        return status;
    int n = socks_upstream_dispatch(g->upstream, UPSTREAM_EVENTS, now);
    if (n < 0)
        return n;
    socks_upstream_poll(g->upstream, now);
    if ((ready & GATEWAY_READY_DNS) != 0 && (n = dns_service_hear(g->dns_service, now)) != 0)
        return n;
    dispatch_services(g, now);
    tcp_advance(g->engine, now);
    *again = tcp_flush(g->engine, now);
    /* What was written to the services just now is answered already, most of it. */
    if (dispatch_services(g, now) > 0)
        *again = tcp_flush(g->engine, now) || *again;
    return 0;
}

bool gateway_next_deadline(const struct gateway *g, uint64_t *at)
{
    uint64_t each[6];
    if (g->control_service != NULL && control_service_waits(g->control_service)) {
        *at = 0;
        return true;
    }
    const bool waits[6] = {
        tcp_next_deadline(g->engine, &each[0]),
        socks_upstream_next(g->upstream, &each[1]),
        dns_service_next(g->dns_service, &each[2]),
        tun_next_deadline(&g->tun, &each[3]),
        gateway_onion_next(g, &each[4]),
        port_service_next(g->port_service, &each[5]),
    };
    bool any = false;
    for (unsigned i = 0; i < 6; i++) {
        if (waits[i] && (!any || each[i] < *at))
            *at = each[i];
        any = any || waits[i];
    }
    return any;
}

void gateway_set_ready(struct gateway *g, bool ready)
{
    g->ready = ready;
    dns_set_ready(g->dns, ready);
    socks_upstream_hold(g->upstream, !ready);
    if (g->control_service != NULL)
        control_service_set_ready(g->control_service, ready);
}

void gateway_tor_load(struct gateway *g, uint32_t building, bool refused, uint64_t now)
{
    socks_budget_learn(socks_upstream_budget(g->upstream), building, refused, now);
}

void gateway_streams_ended(struct gateway *g, const struct channel_streams_ended *ended, uint64_t now)
{
    g->now = now;
    for (uint32_t i = 0; i < ended->count; i++)
        socks_upstream_judge(g->upstream, ended->key[i], ended->clean[i], now);
}

int gateway_newnym(struct gateway *g, const struct ipaddr *workstation)
{
    if (workstation == NULL) {
        g->nym++;
        return 0;
    }
    uint32_t number = hosts_find(&g->tun.hosts, workstation);
    const struct host *host = hosts_at(&g->tun.hosts, number);
    if (host == NULL)
        return -ENOENT;
    g->station_nyms[host->station]++;
    return 0;
}

void gateway_stop(struct gateway *g, uint64_t now)
{
    g->now = now;
    tun_link_down(&g->tun);
    tcp_engine_reset_all(g->engine, now);
    for (int i = 0; i < 64 && tcp_flush(g->engine, now); i++)
        ;
}

void gateway_settle(struct gateway *g)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *start;
    size_t n;
    while ((n = tcp_engine_settle(g->engine, &start)) > 0) {
        uintptr_t from = ((uintptr_t)start + page - 1) & ~(page - 1);
        uintptr_t to = ((uintptr_t)start + n) & ~(page - 1);
        if (from < to)
            madvise((void *)from, to - from, MADV_DONTNEED);
    }
    receive_settle(&g->receive);
}

uint64_t gateway_load(const struct gateway *g)
{
    const struct tcp_counters *tcp = tcp_engine_counters(g->engine);
    return (uint64_t)tcp->flows + tcp->chunks;
}

void gateway_count(const struct gateway *g, struct counters *counters)
{
    const struct tcp_counters *tcp = tcp_engine_counters(g->engine);
    *counters = (struct counters){
        .flows = tcp->flows_opened,
        .active = g->active,
        .up_bytes = tcp->up_bytes,
        .down_bytes = tcp->down_bytes,
    };
    counters_add_drops(counters, &g->tun.drops);
    counters_add_drops(counters, tcp_engine_drops(g->engine));
    counters_add_drops(counters, dns_drops(g->dns));
    counters_add_drops(counters, &g->upstream_drops);
}
