/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS from frame to frame: datagrams and TCP connections to port 53 through the link, the engine, the DNS service and its
 * lookups, and a SOCKS server whose words are the fuzzer's too.
 *
 * An input is a list of records: a byte that says what happens, two bytes of length (little-endian), that many bytes.
 * Held to, beside what the sanitizers see: whatever comes back is a message, on a stream with its length before it; and
 * every datagram that is a query has been answered in the end, exactly once.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/checksum.h"
#include "daemon/dns_service.h"
#include "dns/answer.h"
#include "dns/forward.h"
#include "tcp/engine.h"
#include "tun/output.h"
#include "tun/tun.h"

#define HOLDS(what)                                                                                                \
    do {                                                                                                           \
        if (!(what))                                                                                               \
            abort();                                                                                               \
    } while (0)

#define BUFFER_SIZE 2048u
#define CALLS_MAX 64u
#define FIRST_PORT 20000u
#define STREAM_PORT 10000u

enum record_kind {
    RECORD_DATAGRAM, /* a datagram with these bytes, from a port of its own */
    RECORD_STREAM,   /* these bytes over TCP, in one segment; the connection is opened if there is none */
    RECORD_PIECES,   /* the same, in two segments, the second first */
    RECORD_SAY,      /* the SOCKS server says these bytes on its oldest connection */
    RECORD_ADDRESS,  /* it says success and the first four or sixteen of these as address */
    RECORD_MESSAGE,  /* it says success and these as a message with its length */
    RECORD_HANG_UP,  /* it closes its oldest connection */
    RECORD_TIME,     /* seconds pass, as many as there are bytes */
    RECORD_CLOSE,    /* the client closes its connection */
    RECORD_KINDS,
};

static const uint8_t station[4] = {10, 152, 152, 11};

struct world {
    struct tun tun;
    struct tcp_engine *engine;
    struct dns *dns;
    struct dns_service *service;
    uint32_t streams[17]; /* by flow */
    uint64_t now;
    uint16_t next_port;       /* of the next datagram */
    unsigned expected;        /* queries that came by datagram */
    uint8_t answered[4096];   /* how often each of their ports was answered */
    uint16_t stream_port;     /* of the connection; 0: none was begun */
    bool established, closed; /* the connection */
    uint32_t seq, ack;        /* what the client says next, what it has got */
    uint8_t got[DNS_TCP_MAX + 2];
    size_t got_len; /* of it: the beginning of a message */
    int calls[CALLS_MAX];
    unsigned call_count;
};

/* --- the SOCKS server --- */

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static int listener = -1;

static void server_listen(void)
{
    char directory[] = "/tmp/cloister-fuzz-XXXXXX";
    HOLDS(mkdtemp(directory) != NULL);
    strcpy(address.sun_path, directory);
    strcat(address.sun_path, "/s");
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    HOLDS(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    HOLDS(listen(listener, 128) == 0);
}

static void server_accept(struct world *world)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (world->call_count == CALLS_MAX)
            close(fd);
        else
            world->calls[world->call_count++] = fd;
    }
}

static void server_hang_up(struct world *world)
{
    if (world->call_count == 0)
        return;
    close(world->calls[0]);
    memmove(world->calls, world->calls + 1, --world->call_count * sizeof(*world->calls));
}

static void server_say(const struct world *world, const void *data, size_t n)
{
    if (world->call_count > 0)
        (void)!send(world->calls[0], data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* --- what comes back --- */

static void check_message(const uint8_t *message, size_t n)
{
    HOLDS(n >= DNS_HEADER_SIZE && (message[2] & 0x80) != 0);
}

static void take_stream(struct world *world, const struct tcp_out *out)
{
    const uint8_t *tcp = out->head + TCP_HEADROOM;
    if (be16_load(tcp + 2) != world->stream_port)
        return;
    uint32_t seq = be32_load(tcp + 4);
    if ((tcp[13] & 4) != 0) {
        world->closed = true;
        return;
    }
    if ((tcp[13] & 2) != 0) {
        world->established = true;
        world->ack = seq + 1;
        return;
    }
    if (seq != world->ack)
        return; /* sent again */
    for (uint32_t i = 1; i < out->iov_count; i++) {
        const uint8_t *p = out->iov[i].iov_base;
        for (size_t k = 0; k < out->iov[i].iov_len; k++) {
            world->got[world->got_len++] = p[k];
            if (world->got_len >= 2 && world->got_len == 2u + be16_load(world->got)) {
                check_message(world->got + 2, world->got_len - 2);
                world->got_len = 0;
            }
        }
    }
    world->ack += out->payload_len + (tcp[13] & 1);
    if ((tcp[13] & 1) != 0)
        world->closed = true;
}

static int send_frame(void *ctx, const struct iovec *iov, int count)
{
    struct world *world = ctx;
    uint8_t frame[BUFFER_SIZE];
    size_t n = 0;
    for (int i = 0; i < count && n + iov[i].iov_len <= sizeof(frame); i++) {
        memcpy(frame + n, iov[i].iov_base, iov[i].iov_len);
        n += iov[i].iov_len;
    }
    const uint8_t *ip = frame + FRAME_HEADER_LEN;
    if (n < FRAME_HEADER_LEN + 28 || frame[22] != 8 || frame[23] != 0 || ip[9] != 17)
        return 0;
    uint16_t port = be16_load(ip + 22);
    HOLDS(be16_load(ip + 20) == DNS_PORT && port >= FIRST_PORT && port < world->next_port);
    check_message(ip + 28, n - FRAME_HEADER_LEN - 28);
    HOLDS(n - FRAME_HEADER_LEN - 28 <= DNS_UDP_MAX);
    HOLDS(world->answered[port - FIRST_PORT]++ == 0);
    return 0;
}

/* --- what the gateway joins --- */

static int engine_open(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host)
{
    struct world *world = ctx;
    if (tuple->dst_port != DNS_PORT)
        return -ECONNREFUSED;
    const struct host *h = hosts_at(&world->tun.hosts, host);
    const struct local_client client = {
        .tuple = *tuple, .host = host, .station = h->station, .identity = h->serial};
    return dns_service_open(world->service, id, &client, world->now, &world->streams[id.index]);
}

static ssize_t engine_write(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count, size_t *room)
{
    struct world *world = ctx;
    return dns_service_write(world->service, world->streams[id.index], iov, count, room, world->now);
}

static ssize_t engine_read(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count)
{
    struct world *world = ctx;
    return dns_service_read(world->service, world->streams[id.index], iov, count, world->now);
}

static void engine_release(void *ctx, struct tcp_flow_id id, enum tcp_release how)
{
    struct world *world = ctx;
    (void)how;
    dns_service_release(world->service, world->streams[id.index]);
    world->streams[id.index] = 0;
}

static int engine_emit(void *ctx, struct tcp_out *out)
{
    take_stream(ctx, out);
    return output_segment(&((struct world *)ctx)->tun, out);
}

static void engine_unreachable(void *ctx, const struct tcp_tuple *tuple, uint32_t host, enum tcp_refusal why,
                               const uint8_t tcp_header[8])
{
    output_unreachable(&((struct world *)ctx)->tun, tuple, host, why, tcp_header);
}

static enum drop link_udp(void *ctx, const struct tun_udp *udp)
{
    struct world *world = ctx;
    if (udp->dst_port != DNS_PORT)
        return DROP_UDP;
    dns_service_datagram(world->service, udp, world->now);
    return DROP_NONE;
}

static bool link_host_busy(void *ctx, uint32_t host)
{
    (void)ctx, (void)host;
    return true;
}

static const struct tun_config tun_config = {
    .mac = {2, 0, 0, 0, 0, 1},
    .address = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 152, 152, 10}},
    .network = {.addr = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 152, 128, 0}}, .len = 96 + 18},
    .mtu = 1500,
    .max_hosts = 4,
    .max_per_mac = 3,
    .host_idle = 3600000000,
    .secret = {1},
};

static const struct tcp_config tcp_config = {
    .max_flows = 16,
    .max_chunks = 64,
    .max_hosts = 4,
    .max_connecting = 8,
    .host_flows = 16,
    .host_connecting = 8,
    .host_chunks = 64,
    .mtu = 1500,
    .connect_timeout = 10000,
    .half_close_timeout = 10000,
    .idle_timeout = 600000,
    .secret = {1},
};

static const struct tun_ops tun_ops = {.send = send_frame, .udp = link_udp, .host_busy = link_host_busy};
static const struct tcp_ops tcp_ops = {
    .open = engine_open,
    .write = engine_write,
    .read = engine_read,
    .release = engine_release,
    .emit = engine_emit,
    .unreachable = engine_unreachable,
};

/* --- frames in --- */

/* The turn of a gateway. */
static void turn(struct world *world)
{
    server_accept(world);
    HOLDS(dns_service_hear(world->service, world->now) == 0);
    dns_service_dispatch(world->service, world->now);
    tcp_advance(world->engine, world->now);
    bool again = true;
    for (unsigned i = 0; i < 100 && again; i++) {
        again = tcp_flush(world->engine, world->now);
        again = dns_service_dispatch(world->service, world->now) > 0 || again;
    }
    server_accept(world);
}

static void frame_in(struct world *world, uint8_t protocol, const uint8_t *header, size_t header_len,
                     const uint8_t *data, size_t n)
{
    uint8_t *frame = calloc(1, FRAME_HEADER_LEN + 20 + header_len + n);
    HOLDS(frame != NULL);
    uint8_t *ip = frame + FRAME_HEADER_LEN;
    struct checksum sum = {0};
    frame[0] = 2; /* the transport checksum is right */
    memcpy(frame + 10, tun_config.mac, 6);
    memcpy(frame + 16, "\2\0\0\0\0\2\x08\0", 8);
    ip[0] = 0x45;
    be16_store(ip + 2, (uint16_t)(20 + header_len + n));
    ip[8] = 64;
    ip[9] = protocol;
    memcpy(ip + 12, station, 4);
    memcpy(ip + 16, tun_config.address.b + 12, 4);
    checksum_add(&sum, ip, 20);
    be16_store(ip + 10, checksum_finish(&sum));
    memcpy(ip + 20, header, header_len);
    if (n > 0)
        memcpy(ip + 20 + header_len, data, n);
    tun_input(&world->tun, bytes_of(frame, FRAME_HEADER_LEN + 20 + header_len + n), world->now);
    turn(world);
    free(frame);
}

static void datagram_in(struct world *world, const uint8_t *data, size_t n)
{
    uint8_t udp[8] = {0};
    if (world->next_port - FIRST_PORT == sizeof(world->answered))
        return;
    be16_store(udp, world->next_port++);
    be16_store(udp + 2, DNS_PORT);
    be16_store(udp + 4, (uint16_t)(8 + n));
    be16_store(udp + 6, 1);
    bool query = n >= DNS_HEADER_SIZE && (data[2] & 0x80) == 0;
    if (query)
        world->expected++;
    else
        world->answered[world->next_port - 1 - FIRST_PORT] = 1; /* must not be answered at all */
    frame_in(world, 17, udp, sizeof(udp), data, n);
}

/* A segment of the connection, `offset` bytes beyond what was said last. */
static void segment_in(struct world *world, uint32_t offset, uint8_t flags, const uint8_t *data, size_t n)
{
    uint8_t tcp[20] = {0};
    be16_store(tcp, world->stream_port);
    be16_store(tcp + 2, DNS_PORT);
    be32_store(tcp + 4, world->seq + offset);
    be32_store(tcp + 8, world->ack);
    tcp[12] = 5 << 4;
    tcp[13] = flags;
    be16_store(tcp + 14, 65535);
    frame_in(world, 6, tcp, sizeof(tcp), data, n);
}

static void stream_in(struct world *world, const uint8_t *data, size_t n, bool pieces)
{
    if (world->stream_port == 0 || world->closed) {
        world->stream_port = world->stream_port == 0 ? STREAM_PORT : (uint16_t)(world->stream_port + 1);
        world->established = world->closed = false;
        world->got_len = 0;
        world->seq = 1;
        segment_in(world, 0, 2, NULL, 0);
        world->seq++;
    }
    if (!world->established || world->closed)
        return;
    size_t first = pieces ? n / 2 : n;
    if (pieces)
        segment_in(world, (uint32_t)first, 0x18, data + first, n - first);
    segment_in(world, 0, 0x18, data, first);
    world->seq += (uint32_t)n;
    segment_in(world, 0, 0x10, NULL, 0);
}

static void time_passes(struct world *world, size_t seconds)
{
    for (size_t i = 0; i < seconds && i < 128; i++) {
        world->now += 1000000;
        turn(world);
    }
}

static void run_record(struct world *world, unsigned kind, const uint8_t *data, size_t n)
{
    static const uint8_t v4[] = {1, 0, 5, 0, 0, 1}, v6[] = {1, 0, 5, 0, 0, 4};
    static const uint8_t connected[] = {1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    uint8_t buffer[BUFFER_SIZE] = {0};
    switch (kind % RECORD_KINDS) {
    case RECORD_DATAGRAM:
        datagram_in(world, data, n < 1400 ? n : 1400);
        break;
    case RECORD_STREAM:
    case RECORD_PIECES:
        stream_in(world, data, n < 1400 ? n : 1400, kind % RECORD_KINDS == RECORD_PIECES);
        break;
    case RECORD_SAY:
        server_say(world, data, n);
        break;
    case RECORD_ADDRESS:
        memcpy(buffer, n < 16 ? v4 : v6, 6);
        memcpy(buffer + 6, data, n < 16 ? n : 16);
        server_say(world, buffer, 6 + (n < 16 ? 4 : 16) + 2);
        server_hang_up(world);
        break;
    case RECORD_MESSAGE:
        server_say(world, connected, sizeof(connected));
        be16_store(buffer, (uint16_t)n);
        server_say(world, buffer, 2);
        server_say(world, data, n);
        server_hang_up(world);
        break;
    case RECORD_HANG_UP:
        server_hang_up(world);
        break;
    case RECORD_TIME:
        time_passes(world, n);
        break;
    case RECORD_CLOSE:
        if (world->established && !world->closed)
            segment_in(world, 0, 0x11, NULL, 0);
        break;
    default:
        break;
    }
    turn(world);
}

/* --- the world --- */

static void *zeroed(size_t n)
{
    n = (n + 4095) & ~(size_t)4095;
    void *memory = aligned_alloc(4096, n);
    HOLDS(memory != NULL);
    memset(memory, 0, n);
    return memory;
}

static void set_up(struct world *world, unsigned flags, void **engine, void **dns)
{
    struct dns_config dns_config;
    memset(&dns_config, 0, sizeof(dns_config));
    dns_config_defaults(&dns_config);
    dns_config.slots = 64;
    dns_config.max_hosts = tun_config.max_hosts;
    dns_config.host_rate = 0;
    dns_config.lookups = 64;
    dns_config.resolve_all = (flags & 1) != 0;
    dns_config.upstreams = flags >> 1 & 3;
    if (dns_config.upstreams > 2)
        dns_config.upstreams = 0;
    struct dns_service_config config = {
        .streams = 8,
        .max_hosts = tun_config.max_hosts,
        .asker = {.path = address.sun_path, .handles = 64, .calls = 8},
    };
    *engine = zeroed(tcp_engine_size(&tcp_config));
    *dns = zeroed(dns_size(&dns_config));
    world->engine = tcp_engine_init(*engine, &tcp_config, &tcp_ops, world, world->now);
    world->dns = dns_init(*dns, &dns_config);
    dns_set_ready(world->dns, true);
    HOLDS(tun_init(&world->tun, &tun_config, &tun_ops, world, world->engine) == 0);
    HOLDS(dns_service_new(&world->service, &config, world->dns) == 0);
    dns_service_attach(world->service, world->engine, &world->tun);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    struct world *world = calloc(1, sizeof(*world));
    void *engine, *dns;
    HOLDS(world != NULL);
    if (listener < 0)
        server_listen();
    world->now = 1000000;
    world->next_port = FIRST_PORT;
    set_up(world, bytes_u8(&input), &engine, &dns);

    for (unsigned records = 0; input.left > 0 && records < 200; records++) {
        unsigned kind = bytes_u8(&input);
        size_t n = bytes_u8(&input);
        n |= (size_t)bytes_u8(&input) << 8;
        n = n < input.left ? n : input.left;
        /* Memory of its own, so that reading past it is seen. */
        uint8_t *copy = malloc(n + 1);
        HOLDS(copy != NULL);
        if (n > 0)
            memcpy(copy, input.at, n);
        bytes_take(&input, n);
        run_record(world, kind, copy, n);
        free(copy);
    }
    time_passes(world, 10); /* nobody waits longer */
    for (uint16_t port = FIRST_PORT; port < world->next_port; port++)
        HOLDS(world->answered[port - FIRST_PORT] == 1);

    tcp_engine_reset_all(world->engine, world->now);
    turn(world);
    while (world->call_count > 0)
        server_hang_up(world);
    dns_service_free(world->service);
    server_accept(world);
    while (world->call_count > 0)
        server_hang_up(world);
    tun_fini(&world->tun);
    free(dns);
    free(engine);
    free(world);
    return 0;
}
