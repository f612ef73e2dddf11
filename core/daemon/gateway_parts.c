/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/gateway_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/bucket.h"
#include "daemon/gateway.h"
#include "daemon/gateway_ops.h"
#include "daemon/gateway_target.h"
#include "tun/device.h"
#include "tun/output.h"

#define CHUNKS_PER_MIB 256u /* the engine's buffers are of 4 KiB */
#define DHCP_LEASE 3600u    /* seconds */
#define DNS_LOOKUPS 4096u   /* through Tor, those remembered included */
#define UDP_HEADERS 48u     /* bytes of IPv6 and UDP header before a datagram's payload */
#define DNS_STREAMS 1024u   /* flows to port 53 at once, at most */
#define PORT_STREAMS 1024u  /* clients of SOCKS ports that have no stream yet, at most */
#define SEND_BUFFER 212992u /* bytes, of a stream's socket; the kernel doubles it. Its default net.core.wmem_max */
#define END_WAIT 500000u /* microseconds until the end of a stream is believed; Tor's word takes less than one ms */

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
        .push_turns = (c->offload & DEVICE_GATHERS) != 0,
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
    g->engine = tcp_engine_init(g->engine_memory.at, &config, &gateway_tcp_ops, g, g->now);
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
                  .isolation_lifetime = c->isolation_lifetime,
                  .budget = socks_upstream_budget(g->upstream)},
        .nym = gateway_nym,
        .policy = gateway_lookup_policy,
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
    if (status == 0 && g->config->log_identities)
        status = memory_map(&g->asked_memory, ((size_t)g->config->flows + 1) * sizeof(struct gateway_asked));
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
    g->asked = g->asked_memory.at;
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
        .half_close = c->half_close,
        .drops = &g->upstream_drops,
        .ask = gateway_ask,
        .joined = gateway_joined,
        .tells = gateway_tells,
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
        uint16_t number = i < 2 ? likely[i] : ports->port[i - 2].port;
        bool again = i >= 2 && (number == likely[0] || number == likely[1]);
        if (!again && socks_ports_find(ports, number, &port) && port.kind == FRONT_SOCKS)
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
    return tun_init(&g->tun, &config, &gateway_tun_ops, g, g->engine);
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
    memory_unmap(&g->asked_memory);
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

static void fini_first(struct gateway *g, size_t count)
{
    while (count > 0)
        parts[--count].fini(g);
    for (uint32_t i = 0; g->onion_ports != NULL && i < g->onion_ports->count; i++)
        close(g->onion_ports->listener[i]);
    close(g->tap);
}

int gateway_parts_init(struct gateway *g, const char **step)
{
    for (size_t i = 0; i < PARTS; i++) {
        *step = parts[i].step;
        int status = parts[i].init(g);
        if (status != 0) {
            fini_first(g, i + 1);
            return status;
        }
    }
    return 0;
}

void gateway_parts_fini(struct gateway *g)
{
    fini_first(g, PARTS);
}
