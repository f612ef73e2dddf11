/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client that has closed its side and has got all its answers is done: so are we. Whoever waits for a client's last
 * answer, or for its reading it, looks whether that was the last.
 */
#include "daemon/dns_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/range.h"
#include "tun/output.h"

#define ROOM 16384u  /* bytes that a stream takes at once; a window to advertise, no buffer */
#define BLOCKS 1024u /* 4 KiB each: answers of all streams that were not read yet */

struct service_stream {
    uint32_t station;
    uint64_t identity;
    uint8_t policy;
    bool stalled; /* a write was not taken whole: tell when there is room */
    bool closed;  /* the client has closed: no more queries come */
    bool ended;   /* we have closed: reads find the end */
};

struct dns_service {
    struct dns_service_config config;
    struct dns *dns;
    struct dns_asker *asker;
    uint64_t now; /* of the call from outside that is running, microseconds */
    struct tcp_engine *engine;
    struct tun *tun;
    struct dns_streams *streams;
    void *memory; /* of `streams` */
    size_t memory_size;
    struct service_stream *table; /* by stream number, from 1 */
    struct local_events events;
};

static void note_room(struct dns_service *service, uint32_t stream);

/* --- the answerer asks --- */

static int answerer_ask(void *ctx, const struct dns_ask *ask)
{
    struct dns_service *service = ctx;
    return dns_asker_ask(service->asker, ask, service->now);
}

static void answerer_forget(void *ctx, uint32_t handle)
{
    struct dns_service *service = ctx;
    dns_asker_forget(service->asker, handle);
}

static void reply_datagram(struct dns_service *service, const struct dns_client *client, const uint8_t *message,
                           size_t len)
{
    struct tun_udp reply = {
        .src = client->asked,
        .dst = client->addr,
        .src_port = DNS_PORT,
        .dst_port = client->port,
        .host = client->number,
        .payload = bytes_of(message, len),
    };
    output_udp(service->tun, &reply);
}

static void answerer_reply(void *ctx, const struct dns_client *client, const uint8_t *message, size_t len)
{
    struct dns_service *service = ctx;
    if (client->transport == DNS_UDP) {
        reply_datagram(service, client, message, len);
        return;
    }
    const struct service_stream *s = &service->table[client->number];
    const struct tcp_flow_id id = local_events_id(&service->events, client->number);
    if (id.index == 0 || id.generation != client->generation || s->ended)
        return; /* who asked is gone */
    if (dns_stream_put(service->streams, client->number, message, len, service->now) != 0)
        local_events_note(&service->events, client->number, LOCAL_RESET);
    else
        local_events_note(&service->events, client->number, LOCAL_READABLE);
    note_room(service, client->number);
}

static bool answerer_is_refused(void *ctx, const struct ipaddr *addr)
{
    const struct dns_service *service = ctx;
    return tun_is_local(service->tun, addr) || (!service->config.allow_private && !range_is_internet(addr));
}

static const struct dns_ops ops = {
    .ask = answerer_ask,
    .forget = answerer_forget,
    .reply = answerer_reply,
    .is_refused = answerer_is_refused,
};

/* --- making and unmaking --- */

int dns_service_new(struct dns_service **out, const struct dns_service_config *config, struct dns *dns)
{
    *out = NULL;
    struct dns_streams_config streams = {
        .streams = config->streams,
        .blocks = BLOCKS,
        .max_hosts = config->max_hosts,
    };
    size_t size = dns_streams_size(&streams);
    if (size == 0)
        return -EINVAL;
    struct dns_service *service = calloc(1, sizeof(*service));
    if (service == NULL)
        return -ENOMEM;
    *service = (struct dns_service){.config = *config, .dns = dns, .memory_size = size};
    service->table = calloc((size_t)config->streams + 1, sizeof(*service->table));
    int status = local_events_init(&service->events, config->streams);
    /* Pages that cost nothing until they are used, and read as zeros. */
    service->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (service->memory == MAP_FAILED)
        service->memory = NULL;
    if (service->table == NULL || status != 0 || service->memory == NULL) {
        dns_service_free(service);
        return -ENOMEM;
    }
    service->streams = dns_streams_init(service->memory, &streams);
    status = dns_asker_new(&service->asker, &config->asker, dns);
    memset(&service->config.asker, 0, sizeof(service->config.asker));
    if (status != 0) {
        dns_service_free(service);
        return status;
    }
    dns_attach(dns, &ops, service);
    *out = service;
    return 0;
}

void dns_service_attach(struct dns_service *service, struct tcp_engine *engine, struct tun *tun)
{
    service->engine = engine;
    service->tun = tun;
}

void dns_service_free(struct dns_service *service)
{
    if (service == NULL)
        return;
    dns_asker_free(service->asker);
    if (service->memory != NULL)
        munmap(service->memory, service->memory_size);
    local_events_fini(&service->events);
    free(service->table);
    free(service);
}

int dns_service_fd(const struct dns_service *service)
{
    return dns_asker_fd(service->asker);
}

int dns_service_hear(struct dns_service *service, uint64_t now)
{
    service->now = now;
    return dns_asker_dispatch(service->asker, now);
}

static uint64_t nym_of(const struct dns_service *service, uint32_t station)
{
    return service->config.nym != NULL ? service->config.nym(service->config.ctx, station) : 0;
}

static uint8_t policy_of(const struct dns_service *service, const struct ipaddr *src)
{
    return service->config.policy != NULL ? service->config.policy(service->config.ctx, src) : 0;
}

void dns_service_datagram(struct dns_service *service, const struct tun_udp *udp, uint64_t now)
{
    uint8_t answer[DNS_UDP_MAX];
    const struct host *workstation = hosts_at(&service->tun->hosts, udp->host);
    if (workstation == NULL)
        return; /* cannot be: it was bound when the datagram came */
    struct dns_client client = {
        .identity = workstation->serial,
        .nym = nym_of(service, udp->station),
        .host = udp->station,
        .policy = policy_of(service, &udp->src),
        .transport = DNS_UDP,
        .addr = udp->src,
        .asked = udp->dst,
        .port = udp->src_port,
        .number = udp->host,
    };
    service->now = now;
    ssize_t n = dns_answer(service->dns, udp->payload, &client, answer, sizeof(answer), now);
    if (n > 0)
        reply_datagram(service, &client, answer, (size_t)n);
}

/* --- flows --- */

/* There may be room again for a client that had to wait. */
static void note_room(struct dns_service *service, uint32_t stream)
{
    struct service_stream *s = &service->table[stream];
    if (!s->stalled || !dns_stream_is_ready(service->streams, stream))
        return;
    s->stalled = false;
    local_events_note(&service->events, stream, LOCAL_WRITABLE);
}

/* We close: in good order if nothing is owed, else by a reset. */
static void end_stream(struct dns_service *service, uint32_t stream)
{
    struct service_stream *s = &service->table[stream];
    bool idle = dns_stream_is_idle(service->streams, stream);
    dns_stream_retire(service->streams, stream);
    s->ended = true;
    local_events_note(&service->events, stream, idle ? LOCAL_READABLE : LOCAL_RESET);
}

/* What waits for nothing any more ends when its client has closed. */
static void end_if_done(struct dns_service *service, uint32_t stream)
{
    const struct service_stream *s = &service->table[stream];
    if (s->closed && !s->ended && dns_stream_is_idle(service->streams, stream))
        end_stream(service, stream);
}

int dns_service_open(struct dns_service *service, struct tcp_flow_id id, const struct local_client *client,
                     uint64_t now, uint32_t *stream)
{
    *stream = dns_stream_open(service->streams, client->station, now);
    if (*stream == 0)
        return -ECONNREFUSED;
    struct service_stream *s = &service->table[*stream];
    *s = (struct service_stream){
        .station = client->station, .identity = client->identity, .policy = policy_of(service, &client->tuple.src)};
    local_events_begin(&service->events, *stream, id);
    local_events_note(&service->events, *stream, LOCAL_CONNECTED);
    return 0;
}

/* One query of a stream. */
static void take_message(struct dns_service *service, uint32_t stream, struct bytes message, uint64_t now)
{
    uint8_t answer[DNS_UDP_MAX];
    const struct service_stream *s = &service->table[stream];
    struct dns_client client = {
        .identity = s->identity,
        .nym = nym_of(service, s->station),
        .host = s->station,
        .policy = s->policy,
        .transport = DNS_TCP,
        .number = stream,
        .generation = local_events_id(&service->events, stream).generation,
    };
    ssize_t n = dns_answer(service->dns, message, &client, answer, sizeof(answer), now);
    if (n == -EINPROGRESS)
        return;
    if (n <= 0)
        dns_stream_skip(service->streams, stream);
    else if (dns_stream_put(service->streams, stream, answer, (size_t)n, now) != 0)
        local_events_note(&service->events, stream, LOCAL_RESET);
    else
        local_events_note(&service->events, stream, LOCAL_READABLE);
}

ssize_t dns_service_write(struct dns_service *service, uint32_t stream, const struct iovec *iov, int count,
                          size_t *room, uint64_t now)
{
    size_t taken = 0;
    *room = 0;
    service->now = now;
    for (int i = 0; i < count; i++) {
        struct bytes in = bytes_of(iov[i].iov_base, iov[i].iov_len), message;
        while (dns_stream_feed(service->streams, stream, &in, &message, now))
            take_message(service, stream, message, now);
        taken += iov[i].iov_len - in.left;
        if (in.left > 0)
            break;
    }
    if (dns_stream_is_ready(service->streams, stream))
        *room = ROOM;
    else
        service->table[stream].stalled = true;
    return (ssize_t)taken;
}

ssize_t dns_service_read(struct dns_service *service, uint32_t stream, const struct iovec *iov, int count,
                         uint64_t now)
{
    size_t n = dns_stream_get(service->streams, stream, iov, count, now);
    note_room(service, stream);
    end_if_done(service, stream);
    if (n > 0)
        return (ssize_t)n;
    return service->table[stream].ended ? 0 : -EAGAIN;
}

void dns_service_closed(struct dns_service *service, uint32_t stream)
{
    service->table[stream].closed = true;
    end_if_done(service, stream);
}

void dns_service_release(struct dns_service *service, uint32_t stream)
{
    dns_stream_close(service->streams, stream);
    service->table[stream] = (struct service_stream){0};
    local_events_end(&service->events, stream);
}

static int local_open(void *service, struct tcp_flow_id id, const struct local_client *client, uint64_t now,
                      uint32_t *stream)
{
    return dns_service_open(service, id, client, now, stream);
}

static ssize_t local_write(void *service, uint32_t stream, const struct iovec *iov, int count, size_t *room,
                           uint64_t now)
{
    return dns_service_write(service, stream, iov, count, room, now);
}

static ssize_t local_read(void *service, uint32_t stream, const struct iovec *iov, int count, uint64_t now)
{
    return dns_service_read(service, stream, iov, count, now);
}

static void local_closed(void *service, uint32_t stream)
{
    dns_service_closed(service, stream);
}

static void local_release(void *service, uint32_t stream, enum tcp_release how)
{
    (void)how;
    dns_service_release(service, stream);
}

const struct local_ops dns_service_ops = {
    .open = local_open,
    .write = local_write,
    .read = local_read,
    .closed = local_closed,
    .release = local_release,
};

/* --- events --- */

unsigned dns_service_dispatch(struct dns_service *service, uint64_t now)
{
    uint32_t stream;
    service->now = now;
    dns_asker_poll(service->asker, now);
    dns_poll(service->dns, now);
    while ((stream = dns_streams_overdue(service->streams, now)) != 0)
        end_stream(service, stream);
    return local_events_tell(&service->events, service->engine, ROOM, now);
}

bool dns_service_next(const struct dns_service *service, uint64_t *at)
{
    uint64_t each[3] = {0};
    const bool waits[3] = {
        dns_streams_next(service->streams, &each[0]),
        dns_next(service->dns, &each[1]),
        dns_asker_next(service->asker, &each[2]),
    };
    if (service->events.count > 0) { /* told of room by the flush that followed the last dispatch */
        *at = 0;
        return true;
    }
    bool any = false;
    for (unsigned i = 0; i < 3; i++) {
        if (waits[i] && (!any || each[i] < *at))
            *at = each[i];
        any = any || waits[i];
    }
    return any;
}
