/* SPDX-License-Identifier: BSD-3-Clause */
#include "bed.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../sim/content.h"
#include "../sim/peer.h"
#include "base/checksum.h"
#include "fault.h"
#include "server.h"
#include "tun/device.h"

#define STEP 200u                    /* microseconds of virtual time, when there is something to do */
#define PATIENCE UINT64_C(600000000) /* microseconds in which every flow must have ended */
#define QUIET UINT64_C(200000000)    /* after which nothing may be left of any */
#define ASK_AGAIN UINT64_C(3000000)  /* microseconds until a query is repeated */
#define QUEUE_BYTES (4u << 20)       /* frames on their way, each direction */
#define IPV4_LEN 20u

static const uint8_t gateway_mac[6] = {2, 0, 0, 0, 0, 1};
static char directory[] = "/tmp/cloister-fault-XXXXXX";
static char path[64];

/* Frames that wait, each behind its length. */
struct queue {
    size_t head, tail;
    uint8_t bytes[QUEUE_BYTES];
};

struct query {
    bool answered;
    uint64_t ask_at;
};

struct bed {
    struct gateway gateway;
    struct server server;
    struct queue in, out; /* as the gateway sees it */
    struct peer peer[BED_PEERS];
    struct query query[2];
    unsigned wave; /* 0, 1: number of the part that runs */
    uint64_t now;
    const char *broken;
};

static struct bed bed;

static void breaks(const char *what)
{
    if (bed.broken == NULL)
        bed.broken = what;
}

/* --- the device --- */

static bool queue_put(struct queue *q, const void *frame, size_t n)
{
    if (q->head == q->tail)
        q->head = q->tail = 0;
    if (QUEUE_BYTES - q->tail < n + sizeof(n))
        return false; /* lost on the wire */
    memcpy(q->bytes + q->tail, &n, sizeof(n));
    memcpy(q->bytes + q->tail + sizeof(n), frame, n);
    q->tail += n + sizeof(n);
    return true;
}

static const uint8_t *queue_take(struct queue *q, size_t *n)
{
    if (q->head == q->tail)
        return NULL;
    memcpy(n, q->bytes + q->head, sizeof(*n));
    const uint8_t *frame = q->bytes + q->head + sizeof(*n);
    q->head += sizeof(*n) + *n;
    return frame;
}

static ssize_t device_read(void *ctx, void *to, size_t n)
{
    size_t length;
    (void)ctx;
    const uint8_t *frame = queue_take(&bed.in, &length);
    if (frame == NULL) {
        errno = EAGAIN;
        return -1;
    }
    assert(length <= n);
    memcpy(to, frame, length);
    return (ssize_t)length;
}

static ssize_t device_write(void *ctx, const struct iovec *iov, int count)
{
    static uint8_t frame[FRAME_MAX];
    size_t n = 0;
    (void)ctx;
    for (int i = 0; i < count; i++) {
        assert(n + iov[i].iov_len <= sizeof(frame));
        if (iov[i].iov_len > 0)
            memcpy(frame + n, iov[i].iov_base, iov[i].iov_len);
        n += iov[i].iov_len;
    }
    queue_put(&bed.out, frame, n);
    return (ssize_t)n;
}

/* --- the workstations: peers 0 to 2 are of the first, the rest of the second --- */

static uint8_t station_of(uint32_t peer)
{
    return (uint8_t)(11 + (peer >= BED_PEERS / 2));
}

/* Write the headers before `length` bytes of IP payload at frame + FRAME_HEADER_LEN + IPV4_LEN. */
static void put_headers(uint8_t *frame, uint8_t station, uint8_t protocol, const uint8_t to[4], size_t length)
{
    const uint8_t mac[6] = {2, 0, 0, 0, 1, station};
    uint8_t *ip = frame + FRAME_HEADER_LEN;
    memset(frame, 0, FRAME_OFFLOAD_LEN);
    frame[0] = 2; /* the checksum is known to be right: this wire does not damage */
    frame_build_ethernet(frame + FRAME_OFFLOAD_LEN, gateway_mac, mac, FRAME_TYPE_IPV4);
    memset(ip, 0, IPV4_LEN);
    ip[0] = 0x45;
    be16_store(ip + 2, (uint16_t)(IPV4_LEN + length));
    ip[8] = 64;
    ip[9] = protocol;
    memcpy(ip + 12, (const uint8_t[]){10, 152, 152, station}, 4);
    memcpy(ip + 16, to, 4);
    struct checksum sum = {0};
    checksum_add(&sum, ip, IPV4_LEN);
    be16_store(ip + 10, checksum_finish(&sum));
}

static struct server_flow *flow_of(uint32_t peer)
{
    return &bed.server.flow[bed.wave * BED_PEERS + peer];
}

static void peer_sends(void *ctx, struct peer *p, const struct wire_header *h, int64_t offset, uint32_t payload,
                       uint16_t gso)
{
    static uint8_t frame[FRAME_MAX];
    static const uint8_t far[4] = {203, 0, 113, 5};
    uint8_t *tcp = frame + FRAME_HEADER_LEN + IPV4_LEN;
    uint32_t length = wire_build(tcp, h);
    (void)ctx;
    content_fill(tcp + length, flow_of(p->number)->up_phase, offset, payload);
    put_headers(frame, station_of(p->number), 6, far, length + payload);
    if (gso != 0) {
        const struct frame_offload offload = {
            .gso = FRAME_GSO_TCP4, .gso_size = gso, .partial = true, .csum_start = IPV4_LEN, .csum_offset = 16};
        frame_build_offload(frame, &offload, IPV4_LEN + length);
    }
    queue_put(&bed.in, frame, FRAME_HEADER_LEN + IPV4_LEN + length + payload);
}

static void peer_gets(struct peer *p, struct bytes segment)
{
    uint8_t header[WIRE_HEADER_MAX];
    struct wire_header h;
    uint32_t length = segment.left >= 20 ? (segment.at[12] >> 4) * 4u : 0;
    if (length < 20 || length > segment.left) {
        breaks("a segment without a header");
        return;
    }
    memcpy(header, segment.at, length);
    const char *wrong = wire_parse(header, length, &h);
    if (wrong != NULL)
        breaks(wrong);
    uint32_t payload = (uint32_t)segment.left - length;
    if (payload > 0 && p->state >= PEER_ESTABLISHED) {
        int64_t offset = peer_offset(p->rcv_nxt, p->irs, h.seq) - 1;
        const struct server_flow *f = flow_of(p->number);
        if (offset < 0 || offset + payload > f->down_total ||
            !content_matches(segment.at + length, f->down_phase, offset, payload))
            breaks("a wrong byte on its way down");
    }
    peer_input(p, &h, payload, bed.now);
}

static struct peer *peer_at(uint16_t port)
{
    uint32_t k = (uint32_t)port - (40000u + bed.wave * BED_PEERS);
    return k < BED_PEERS ? &bed.peer[k] : NULL;
}

static void ask(uint16_t id)
{
    static uint8_t frame[512];
    static const uint8_t gateway[4] = {10, 152, 152, 10};
    /* "a.example" for its address, "b.example" for its mail servers, of this part. */
    uint8_t name[] = {2, 'a', '0', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1};
    uint8_t *udp = frame + FRAME_HEADER_LEN + IPV4_LEN;
    name[1] = (uint8_t)(name[1] + id);
    name[2] = (uint8_t)(name[2] + bed.wave);
    name[13] = id == 0 ? 1 : 15;
    memset(udp, 0, 20);
    be16_store(udp, 50000);
    be16_store(udp + 2, 53);
    be16_store(udp + 4, 8 + 12 + sizeof(name));
    be16_store(udp + 8, (uint16_t)(bed.wave * 2u + id));
    udp[10] = 1; /* recursion desired */
    udp[13] = 1; /* one question */
    memcpy(udp + 20, name, sizeof(name));
    put_headers(frame, 11, 17, gateway, 8 + 12 + sizeof(name));
    queue_put(&bed.in, frame, FRAME_HEADER_LEN + IPV4_LEN + 20 + sizeof(name));
}

static void take_answer(struct bytes udp)
{
    static const uint8_t found[4] = {198, 51, 100, 7};
    if (udp.left < 20)
        return;
    unsigned number = be16_load(udp.at + 8) - bed.wave * 2u;
    if (number > 1 || (udp.at[11] & 15) != 0)
        return; /* of the other part; or a failure: it asks again */
    if (number == 0 && memcmp(udp.at + udp.left - 4, found, 4) != 0)
        breaks("a wrong address");
    bed.query[number].answered = true;
}

static void take_frame(struct bytes frame)
{
    if (frame.left < FRAME_HEADER_LEN + IPV4_LEN || be16_load(frame.at + FRAME_OFFLOAD_LEN + 12) != FRAME_TYPE_IPV4)
        return;
    bytes_take(&frame, FRAME_HEADER_LEN);
    const uint8_t *ip = bytes_take(&frame, IPV4_LEN);
    if (ip[9] == 6 && frame.left >= 20) {
        struct peer *p = peer_at(be16_load(frame.at + 2));
        if (p != NULL && ip[19] == station_of(p->number))
            peer_gets(p, frame);
    } else if (ip[9] == 17) {
        take_answer(frame);
    } else if (ip[9] == 1 && frame.left >= 8 + IPV4_LEN + 8 && frame.at[0] == 3) {
        struct peer *p = peer_at(be16_load(frame.at + 8 + IPV4_LEN));
        if (p != NULL)
            peer_unreachable(p, bed.now);
    }
}

static void start_peer(uint32_t k)
{
    static const int64_t up[BED_PEERS] = {150000, 0, 40000, 1, 90000, 20000};
    static const int64_t down[BED_PEERS] = {2000, 150000, 40000, 60000, 0, 100000};
    *flow_of(k) = (struct server_flow){
        .up_phase = 1000 * k + 17 * bed.wave,
        .down_phase = 30000 + 1000 * k + 17 * bed.wave,
        .up_total = up[k],
        .down_total = down[k],
    };
    peer_free(&bed.peer[k]);
    bed.peer[k] = (struct peer){
        .s = {.start_at = bed.now + (uint64_t)k * 700,
              .up_total = up[k],
              .write_size = 20000,
              .write_every = 500,
              .close = k % 2 == 0 ? CLOSE_WHEN_SENT : CLOSE_LAST,
              .abort_at = NEVER,
              .vanish_at = NEVER,
              .iss = 0xfffff000u + k * 77777u,
              .ts_base = k * 1000003u,
              .buffer = k == 5 ? 9000 : 60000,
              .delayed_ack = k % 3 == 0 ? 0 : 40000,
              .gso = k == 0 ? 40000 : 0,
              .rto_min = 200000,
              .mss = 1460,
              .link = 1460,
              .wscale = 2,
              .ts = k % 2 == 0,
              .sack = k != 3,
              .src_port = (uint16_t)(40000u + bed.wave * BED_PEERS + k),
              .dst_port = (uint16_t)(SERVER_PORT + bed.wave * BED_PEERS + k)},
        .number = k,
        .send = peer_sends,
        .random = {k + 1},
    };
    peer_init(&bed.peer[k]);
}

/* --- turns --- */

/* Everything once. True if anything moved. */
static bool turn(void)
{
    bool again = false, moved = server_step(&bed.server);
    size_t n;
    for (uint32_t k = 0; k < BED_PEERS; k++) {
        if (peer_next(&bed.peer[k]) <= bed.now)
            peer_wake(&bed.peer[k], bed.now);
    }
    for (uint16_t id = 0; id < 2; id++) {
        if (!bed.query[id].answered && bed.now >= bed.query[id].ask_at) {
            bed.query[id].ask_at = bed.now + ASK_AGAIN;
            ask(id);
        }
    }
    moved = moved || bed.in.head != bed.in.tail;
    fault_switch(true);
    int status = gateway_turn(&bed.gateway, GATEWAY_READY_LINK | GATEWAY_READY_DNS, bed.now, &again);
    fault_switch(false);
    if (status != 0)
        breaks("the gateway gave up");
    for (const uint8_t *frame; (frame = queue_take(&bed.out, &n)) != NULL;) {
        moved = true;
        take_frame(bytes_of(frame, n));
    }
    return moved || again;
}

static uint64_t next_of_all(void)
{
    uint64_t at = bed.now + 60000000, own;
    if (gateway_next_deadline(&bed.gateway, &own) && own < at)
        at = own;
    for (uint32_t k = 0; k < BED_PEERS; k++) {
        if (peer_next(&bed.peer[k]) < at)
            at = peer_next(&bed.peer[k]);
    }
    for (unsigned id = 0; id < 2; id++) {
        if (!bed.query[id].answered && bed.query[id].ask_at < at)
            at = bed.query[id].ask_at;
    }
    return at > bed.now + STEP ? at : bed.now + STEP;
}

static bool all_over(void)
{
    for (uint32_t k = 0; k < BED_PEERS; k++) {
        if (bed.peer[k].end == END_NONE)
            return false;
    }
    return bed.query[0].answered && bed.query[1].answered;
}

static void run_until(uint64_t end, bool stop_when_over)
{
    while (bed.broken == NULL && bed.now < end && !(stop_when_over && all_over()))
        bed.now = turn() ? bed.now + STEP : next_of_all();
}

static void run_part(unsigned wave, struct bed_result *result)
{
    uint64_t began = bed.now;
    bed.wave = wave;
    for (uint32_t k = 0; k < BED_PEERS; k++)
        start_peer(k);
    bed.query[0] = bed.query[1] = (struct query){.ask_at = bed.now};
    run_until(bed.now + PATIENCE, true);
    *result = (struct bed_result){.seconds = (bed.now - began) / 1000000, .calls = fault_passed()};
    for (uint32_t k = 0; k < BED_PEERS; k++) {
        const struct peer *p = &bed.peer[k];
        const struct server_flow *f = flow_of(k);
        if (p->end == END_NONE)
            breaks("a flow that does not end");
        if (p->end == END_CLEAN && peer_received(p) != f->down_total)
            breaks("a good end before all bytes were down");
        result->clean += p->end == END_CLEAN && f->up == f->up_total;
    }
    result->answered = (unsigned)bed.query[0].answered + bed.query[1].answered;
    if (bed.server.broken != NULL)
        breaks(bed.server.broken);
    result->broken = bed.broken;
}

/* What may be left of flows that have ended: nothing. */
static void look_for_remains(unsigned descriptors)
{
    struct counters counters;
    const struct tcp_counters *tcp = tcp_engine_counters(bed.gateway.engine);
    gateway_count(&bed.gateway, &counters);
    if (tcp->flows != 0 || counters.active != 0)
        breaks("a flow that stays");
    if (tcp->chunks != 0)
        breaks("buffers that stay");
    for (uint32_t i = 0; i < bed_config()->workstations; i++) {
        if (bed.gateway.host_flows[i] != 0 || bed.gateway.station_flows[i] != 0)
            breaks("a quota that stays taken");
    }
    if (bed_descriptors() != descriptors)
        breaks("a descriptor that stays open");
}

void bed_run(struct bed_result *first, struct bed_result *second)
{
    const struct fault_plan none = {0};
    const char *step;
    bed.now = 1000000;
    bed.broken = NULL;
    bed.in.head = bed.in.tail = bed.out.head = bed.out.tail = 0;
    server_open(&bed.server, path);
    int tap = open("/dev/null", O_RDWR | O_CLOEXEC);
    const struct fault_device device = {.fd = tap, .read = device_read, .write = device_write};
    fault_set_device(&device);
    if (gateway_init(&bed.gateway, bed_config(), tap, NULL, bed.now, &step) != 0) {
        *first = *second = (struct bed_result){.broken = "no gateway"};
        return;
    }
    unsigned descriptors = bed_descriptors();
    gateway_set_ready(&bed.gateway, true);
    tun_link_up(&bed.gateway.tun, bed.now);
    run_part(0, first);
    fault_begin(&none);
    run_part(1, second);
    run_until(bed.now + QUIET, false);
    look_for_remains(descriptors);
    gateway_stop(&bed.gateway, bed.now);
    gateway_fini(&bed.gateway);
    fault_set_device(NULL);
    server_close(&bed.server);
    unlink(path);
    for (uint32_t k = 0; k < BED_PEERS; k++)
        peer_free(&bed.peer[k]);
    second->broken = bed.broken;
}

/* --- around all runs --- */

void bed_open(void)
{
    content_init();
    if (mkdtemp(directory) == NULL)
        abort();
    snprintf(path, sizeof(path), "%s/socks", directory);
}

void bed_close(void)
{
    rmdir(directory);
}

unsigned bed_descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

const struct channel_gateway_config *bed_config(void)
{
    static struct channel_gateway_config c;
    c = (struct channel_gateway_config){
        .transparent = true,
        .socket_name = "socks",
        .network = {.addr = ipaddr_v4((const uint8_t[]){10, 152, 152, 10}), .len = 96 + 18},
        .mtu = 1500,
        .mac = {2, 0, 0, 0, 0, 1},
        .offload = DEVICE_OFFLOAD_CSUM | DEVICE_OFFLOAD_TSO4 | DEVICE_OFFLOAD_TSO6,
        .isolation = ISOLATION_WORKSTATION | ISOLATION_SOURCE_PORT,
        .isolation_lifetime = 600,
        .virtual_net = {.addr = ipaddr_v4((const uint8_t[]){10, 192, 0, 0}), .len = 96 + 10},
        .virtual_ttl = 60,
        .answers = CONFIG_ANSWERS_RESOLVE,
        .resolvers = {.count = 1, .addr = {ipaddr_v4((const uint8_t[]){9, 9, 9, 9})}},
        .allow_private = true,
        .connect_timeout = 10,
        .half_close_timeout = 5,
        .idle_timeout = 60,
        .flows = 64,
        .workstation_flows = 32,
        .connecting = 32,
        .workstation_connecting = 16,
        .workstation_syns = 1000,
        .buffers = 2,
        .workstations = 8,
        .workstation_idle = 300,
        .names = 64,
        .queries = 1000,
    };
    snprintf(c.socket_directory, sizeof(c.socket_directory), "%s", directory);
    return &c;
}
