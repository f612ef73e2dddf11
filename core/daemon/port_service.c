/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/port_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/pool.h"
#include "base/share.h"

#define ROOM 4096u /* bytes that are taken at once; a window to advertise, no buffer */

enum phase {
    PHASE_HANDSHAKE,
    PHASE_ASKED,   /* the upstream has a stream */
    PHASE_JOINING, /* so it has, and it is open */
    PHASE_ENDING,
    PHASES,
};

struct port_stream {
    struct local_client client;
    struct socks_port port;
    uint64_t until;       /* microseconds; then it is reset, or told that it took too long */
    uint32_t next, prior; /* in the queue of its phase; 0: none */
    uint8_t phase;        /* enum phase */
    struct socks_bound bound;
    struct front front;
};

/* Whoever is in the same phase may stay as long as the others: first come, first out. */
struct queue {
    uint32_t first, last;
};

struct port_service {
    struct port_service_config config;
    struct tcp_engine *engine;
    struct socks_upstream *upstream;
    struct local_events events;
    struct pool pool; /* of struct port_stream */
    void *memory;
    void *overhead;
    size_t memory_size;
    uint16_t *held; /* places that each station has */
    struct queue queues[PHASES];
    uint64_t now; /* of the call from outside that is running, microseconds */
};

static struct port_stream *stream_at(const struct port_service *service, uint32_t stream)
{
    return pool_at(&service->pool, stream);
}

static void queue_remove(struct port_service *service, uint32_t stream)
{
    struct port_stream *s = stream_at(service, stream);
    struct queue *q = &service->queues[s->phase];
    if (s->prior != 0)
        stream_at(service, s->prior)->next = s->next;
    else
        q->first = s->next;
    if (s->next != 0)
        stream_at(service, s->next)->prior = s->prior;
    else
        q->last = s->prior;
}

static void queue_append(struct port_service *service, uint32_t stream, enum phase phase)
{
    struct port_stream *s = stream_at(service, stream);
    struct queue *q = &service->queues[phase];
    s->phase = (uint8_t)phase;
    s->until = service->now + (phase == PHASE_ASKED ? service->config.answer : PORT_SERVICE_SPEAK);
    s->next = 0;
    s->prior = q->last;
    if (q->last != 0)
        stream_at(service, q->last)->next = stream;
    else
        q->first = stream;
    q->last = stream;
}

static void go_to(struct port_service *service, uint32_t stream, enum phase phase)
{
    queue_remove(service, stream);
    queue_append(service, stream, phase);
}

/* The client gets what is said to him, then the end; what he still sends is read and forgotten. */
static void end_stream(struct port_service *service, uint32_t stream)
{
    go_to(service, stream, PHASE_ENDING);
    local_events_note(&service->events, stream, LOCAL_READABLE);
    local_events_note(&service->events, stream, LOCAL_WRITABLE);
}

static void forget(struct port_service *service, uint32_t stream)
{
    struct port_stream *s = stream_at(service, stream);
    queue_remove(service, stream);
    service->held[s->client.station]--;
    local_events_end(&service->events, stream);
    /* What a client called himself does not stay in memory. */
    explicit_bzero(&s->front, sizeof(s->front));
    pool_give(&service->pool, stream);
}

/* --- the engine asks --- */

static int port_open(void *ctx, struct tcp_flow_id id, const struct local_client *client, uint64_t now,
                     uint32_t *stream)
{
    struct port_service *service = ctx;
    struct socks_port port;
    if (!socks_ports_find(&service->config.ports, client->tuple.dst_port, &port))
        return -ECONNREFUSED;
    if (!share_has_room(service->held[client->station], service->pool.used, service->config.streams))
        return -EAGAIN;
    *stream = pool_take(&service->pool);
    if (*stream == 0)
        return -EAGAIN;
    struct port_stream *s = stream_at(service, *stream);
    service->now = now;
    service->held[client->station]++;
    s->client = *client;
    s->port = port;
    s->bound = (struct socks_bound){0};
    front_init(&s->front, (enum front_kind)port.kind);
    s->front.extended = port.tor_browser;
    queue_append(service, *stream, PHASE_HANDSHAKE);
    local_events_begin(&service->events, *stream, id);
    local_events_note(&service->events, *stream, LOCAL_CONNECTED);
    return 0;
}

/* The request is there. */
static void ask(struct port_service *service, uint32_t stream)
{
    struct port_stream *s = stream_at(service, stream);
    const struct tcp_flow_id id = local_events_id(&service->events, stream);
    uint8_t code = service->config.ask(service->config.ctx, id, &s->client, &s->port, &s->front.request);
    if (code == SOCKS_SUCCEEDED) {
        go_to(service, stream, PHASE_ASKED);
        return;
    }
    front_answer(&s->front, code, NULL);
    end_stream(service, stream);
}

/* Data after the request: Tor takes it along. */
static size_t write_early(struct port_service *service, uint32_t stream, struct bytes data, size_t *room)
{
    const struct tcp_flow_id id = local_events_id(&service->events, stream);
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)data.at, .iov_len = data.left};
    ssize_t n = socks_upstream_write(service->upstream, id, &iov, 1, room);
    return n > 0 ? (size_t)n : 0;
}

/* One piece of what a client sends. Returns the bytes taken. */
static size_t take(struct port_service *service, uint32_t stream, struct bytes data, size_t *room)
{
    struct port_stream *s = stream_at(service, stream);
    const size_t whole = data.left;
    if (s->phase == PHASE_HANDSHAKE) {
        int done = front_feed(&s->front, &data);
        if (s->front.out_len > 0)
            local_events_note(&service->events, stream, LOCAL_READABLE);
        if (done == 1) {
            ask(service, stream);
        } else if (done < 0) {
            drop_count(service->config.drops, DROP_SOCKS_BAD);
            end_stream(service, stream);
        }
    }
    if (s->phase == PHASE_HANDSHAKE || s->phase == PHASE_ENDING) {
        *room = ROOM;
        return whole;
    }
    /* Also without data: for the room. */
    return whole - data.left + write_early(service, stream, data, room);
}

static ssize_t port_write(void *ctx, uint32_t stream, const struct iovec *iov, int count, size_t *room,
                          uint64_t now)
{
    struct port_service *service = ctx;
    const struct port_stream *s = stream_at(service, stream);
    ssize_t taken = 0;
    service->now = now;
    *room = ROOM;
    if (s->phase == PHASE_ASKED || s->phase == PHASE_JOINING)
        return socks_upstream_write(service->upstream, local_events_id(&service->events, stream), iov, count, room);
    for (int i = 0; i < count; i++) {
        size_t n = take(service, stream, bytes_of(iov[i].iov_base, iov[i].iov_len), room);
        taken += (ssize_t)n;
        if (n < iov[i].iov_len)
            break;
    }
    return taken;
}

static ssize_t port_read(void *ctx, uint32_t stream, const struct iovec *iov, int count, uint64_t now)
{
    struct port_service *service = ctx;
    struct port_stream *s = stream_at(service, stream);
    ssize_t n = (ssize_t)front_take(&s->front, iov, count);
    service->now = now;
    if (s->phase == PHASE_ENDING)
        return n;
    if (s->phase == PHASE_JOINING && s->front.out_len == 0) {
        struct tcp_flow_id id = local_events_id(&service->events, stream);
        forget(service, stream);
        service->config.joined(service->config.ctx, id);
    }
    return n > 0 ? n : -EAGAIN;
}

static void port_closed(void *ctx, uint32_t stream)
{
    struct port_service *service = ctx;
    switch ((enum phase)stream_at(service, stream)->phase) {
    case PHASE_HANDSHAKE:
        end_stream(service, stream);
        break;
    case PHASE_ASKED:
    case PHASE_JOINING:
        /* It is said only once, and not again to whoever has the flow from then on. */
        if (service->config.half_close)
            socks_upstream_closed(service->upstream, local_events_id(&service->events, stream));
        break;
    default:
        break;
    }
}

static void port_release(void *ctx, uint32_t stream, enum tcp_release how)
{
    struct port_service *service = ctx;
    const struct port_stream *s = stream_at(service, stream);
    if (s->phase == PHASE_ASKED || s->phase == PHASE_JOINING)
        socks_upstream_release(service->upstream, local_events_id(&service->events, stream), how);
    forget(service, stream);
}

const struct local_ops port_service_ops = {
    .open = port_open,
    .write = port_write,
    .read = port_read,
    .closed = port_closed,
    .release = port_release,
};

/* --- the upstream answers --- */

/* Is what was found for a name an address that the client may have, and what was found for an address a name? */
static bool found_is_good(const struct port_service *service, const struct port_stream *s)
{
    const struct socks_bound *bound = &s->bound;
    char name[sizeof(bound->host) + 1];
    struct ipaddr addr;
    if (s->front.request.command == SOCKS_RESOLVE_PTR) {
        memcpy(name, bound->host, bound->len);
        name[bound->len] = '\0';
        return bound->type == SOCKS_ATYP_NAME && strlen(name) == bound->len && socks_name_valid(name);
    }
    if (bound->type == SOCKS_ATYP_IPV4)
        addr = ipaddr_v4(bound->host);
    else if (bound->type == SOCKS_ATYP_IPV6)
        memcpy(addr.b, bound->host, sizeof(addr.b));
    else
        return false;
    return service->config.tells(service->config.ctx, &addr);
}

bool port_service_asked(struct port_service *service, uint32_t stream, uint8_t code, uint64_t now)
{
    struct port_stream *s = stream_at(service, stream);
    service->now = now;
    if (code == SOCKS_SUCCEEDED && s->front.request.command != SOCKS_CONNECT && !found_is_good(service, s)) {
        drop_count(service->config.drops, DROP_DESTINATION_REFUSED);
        code = SOCKS_HOST_UNREACHABLE;
    }
    /* Of a connection there is no address to tell: Tor says "::" on a pathname socket, where over IPv4 it says "0.0.0.0", and
     * clients (torsocks) count on its length. */
    front_answer(&s->front, code, s->front.request.command == SOCKS_CONNECT ? NULL : &s->bound);
    if (code == SOCKS_SUCCEEDED && s->front.request.command == SOCKS_CONNECT) {
        go_to(service, stream, PHASE_JOINING);
        return true;
    }
    end_stream(service, stream);
    return false;
}

struct socks_bound *port_service_bound(struct port_service *service, uint32_t stream)
{
    return &stream_at(service, stream)->bound;
}

/* --- time --- */

static void too_late(struct port_service *service, uint32_t stream)
{
    struct port_stream *s = stream_at(service, stream);
    if (s->phase == PHASE_ASKED) {
        socks_upstream_release(service->upstream, local_events_id(&service->events, stream), TCP_RELEASE_ABORT);
        front_answer(&s->front, SOCKS_TTL_EXPIRED, NULL);
        end_stream(service, stream);
        return;
    }
    drop_count(service->config.drops, DROP_SOCKS_LATE);
    go_to(service, stream, (enum phase)s->phase); /* once is enough */
    local_events_note(&service->events, stream, LOCAL_RESET);
}

unsigned port_service_dispatch(struct port_service *service, uint64_t now)
{
    service->now = now;
    for (unsigned phase = 0; phase < PHASES; phase++) {
        const struct queue *q = &service->queues[phase];
        while (q->first != 0 && stream_at(service, q->first)->until <= now)
            too_late(service, q->first);
    }
    return local_events_tell(&service->events, service->engine, ROOM, now);
}

bool port_service_next(const struct port_service *service, uint64_t *at)
{
    bool any = false;
    if (service->events.count > 0) { /* told of room by the flush that followed the last dispatch */
        *at = 0;
        return true;
    }
    for (unsigned phase = 0; phase < PHASES; phase++) {
        uint32_t first = service->queues[phase].first;
        if (first == 0)
            continue;
        uint64_t until = stream_at(service, first)->until;
        *at = any && *at < until ? *at : until;
        any = true;
    }
    return any;
}

/* --- making and unmaking --- */

int port_service_new(struct port_service **out, const struct port_service_config *config)
{
    *out = NULL;
    if (config->streams == 0 || config->streams > POOL_MAX_SLOTS || config->streams > UINT16_MAX)
        return -EINVAL;
    struct port_service *service = calloc(1, sizeof(*service));
    if (service == NULL)
        return -ENOMEM;
    service->config = *config;
    service->memory_size = (size_t)config->streams * sizeof(struct port_stream);
    int status = local_events_init(&service->events, config->streams);
    service->held = calloc(config->stations, sizeof(*service->held));
    service->overhead = calloc(1, pool_overhead(config->streams));
    /* Pages that cost nothing until they are used. */
    service->memory = mmap(NULL, service->memory_size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (service->memory == MAP_FAILED)
        service->memory = NULL;
    if (status != 0 || service->held == NULL || service->overhead == NULL || service->memory == NULL) {
        port_service_free(service);
        return -ENOMEM;
    }
    pool_init(&service->pool, service->memory, sizeof(struct port_stream), config->streams, service->overhead);
    *out = service;
    return 0;
}

void port_service_attach(struct port_service *service, struct tcp_engine *engine, struct socks_upstream *upstream)
{
    service->engine = engine;
    service->upstream = upstream;
}

void port_service_free(struct port_service *service)
{
    if (service == NULL)
        return;
    if (service->memory != NULL)
        munmap(service->memory, service->memory_size);
    free(service->overhead);
    free(service->held);
    local_events_fini(&service->events);
    free(service);
}

bool port_service_has(const struct port_service *service, uint16_t port)
{
    struct socks_port found;
    return socks_ports_find(&service->config.ports, port, &found);
}

uint32_t port_service_count(const struct port_service *service)
{
    return service->pool.used;
}
