/* SPDX-License-Identifier: BSD-3-Clause */
/* The service of the gateway's ports in virtual time, without a Tor behind it: what is bounded, and what ends. The engine
 * knows none of these flows; what it would be told is nothing to it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/port_service.h"
#include "random.h"

#define NOW 1000000000u
#define STREAMS 16u
#define REQUEST "\x05\x01\x00\x05\x01\x00\x01\xc6\x33\x64\x07\x00\x50"

struct scene {
    void *memory;
    struct tcp_engine *engine;
    struct socks_upstream *upstream;
    struct port_service *service;
    struct drops drops;
    uint8_t code; /* what ask() says */
    unsigned asked, joined;
    struct front_request request;
};

static uint8_t ask(void *ctx, struct tcp_flow_id id, const struct local_client *client,
                   const struct socks_port *port, const struct front_request *request)
{
    struct scene *scene = ctx;
    (void)id;
    assert_int_equal(client->tuple.dst_port, port->port);
    scene->asked++;
    scene->request = *request;
    return scene->code;
}

static void joined(void *ctx, struct tcp_flow_id id)
{
    struct scene *scene = ctx;
    assert_int_not_equal(id.index, 0);
    scene->joined++;
}

static bool tells(void *ctx, const struct ipaddr *addr)
{
    (void)ctx;
    return addr->b[12] != 10;
}

static int start(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    const struct tcp_config engine = {.max_flows = STREAMS,
                                      .max_chunks = 8,
                                      .max_hosts = 3,
                                      .max_connecting = STREAMS,
                                      .host_flows = STREAMS,
                                      .host_connecting = STREAMS,
                                      .host_chunks = 8,
                                      .mtu = 1500,
                                      .connect_timeout = 1000,
                                      .half_close_timeout = 1000,
                                      .idle_timeout = 1000};
    const struct tcp_ops ops = {0};
    size_t n = (tcp_engine_size(&engine) + 4095) / 4096 * 4096;
    scene->memory = aligned_alloc(4096, n);
    assert_non_null(scene->memory);
    memset(scene->memory, 0, n);
    scene->engine = tcp_engine_init(scene->memory, &engine, &ops, scene, NOW);
    assert_non_null(scene->engine);
    const struct socks_upstream_config upstream = {.path = "/nobody/listens/here", .max_flows = STREAMS};
    assert_int_equal(socks_upstream_new(&scene->upstream, &upstream), 0);
    const struct port_service_config config = {.ports = {.whonix = true},
                                               .streams = STREAMS,
                                               .stations = 3,
                                               .answer = 7000000,
                                               .drops = &scene->drops,
                                               .ask = ask,
                                               .joined = joined,
                                               .tells = tells,
                                               .ctx = scene};
    assert_int_equal(port_service_new(&scene->service, &config), 0);
    port_service_attach(scene->service, scene->engine, scene->upstream);
    *state = scene;
    return 0;
}

static int stop(void **state)
{
    struct scene *scene = *state;
    port_service_free(scene->service);
    socks_upstream_free(scene->upstream);
    free(scene->memory);
    free(scene);
    return 0;
}

static int open_one(struct scene *scene, uint32_t station, uint16_t port, uint32_t *stream)
{
    static uint32_t index;
    const struct local_client client = {.tuple = {.dst_port = port}, .station = station};
    index = index % STREAMS + 1;
    return port_service_ops.open(scene->service, (struct tcp_flow_id){index, 99}, &client, NOW, stream);
}

static ssize_t write_text(struct scene *scene, uint32_t stream, const char *text, size_t n, uint64_t now)
{
    const struct iovec iov = {(void *)(uintptr_t)text, n};
    size_t room;
    return port_service_ops.write(scene->service, stream, &iov, 1, &room, now);
}

static ssize_t read_some(struct scene *scene, uint32_t stream, uint8_t *out, size_t n, uint64_t now)
{
    const struct iovec iov = {out, n};
    return port_service_ops.read(scene->service, stream, &iov, 1, now);
}

static void neither_one_workstation_nor_two_have_all_places(void **state)
{
    struct scene *scene = *state;
    uint32_t stream, first = 0;
    assert_int_equal(open_one(scene, 0, 9049, &stream), -ECONNREFUSED);
    for (unsigned i = 0; i < STREAMS / 4 * 3; i++) {
        assert_int_equal(open_one(scene, 0, 9050, &stream), 0);
        first = first == 0 ? stream : first;
    }
    assert_int_equal(open_one(scene, 0, 9050, &stream), -EAGAIN);
    for (unsigned i = 0; i < STREAMS / 4 - 1; i++)
        assert_int_equal(open_one(scene, 1, 9050, &stream), 0);
    assert_int_equal(open_one(scene, 1, 9050, &stream), -EAGAIN);
    assert_int_equal(open_one(scene, 2, 9050, &stream), 0);
    assert_int_equal(port_service_count(scene->service), STREAMS);
    assert_int_equal(open_one(scene, 2, 9050, &stream), -EAGAIN);
    /* What is given back is for who has little. */
    port_service_ops.release(scene->service, first, TCP_RELEASE_ABORT);
    assert_int_equal(open_one(scene, 0, 9050, &stream), -EAGAIN);
    assert_int_equal(open_one(scene, 2, 9050, &stream), 0);
    assert_int_equal(stream, first);
}

static void one_that_says_nothing_is_ended_in_time_and_counted_once(void **state)
{
    struct scene *scene = *state;
    uint32_t stream;
    uint64_t at;
    assert_false(port_service_next(scene->service, &at));
    assert_int_equal(open_one(scene, 0, 9050, &stream), 0);
    assert_true(port_service_next(scene->service, &at));
    assert_int_equal(at, 0); /* that it is connected */
    assert_int_equal(port_service_dispatch(scene->service, NOW), 1);
    assert_true(port_service_next(scene->service, &at));
    assert_int_equal(at, NOW + PORT_SERVICE_SPEAK);
    assert_int_equal(port_service_dispatch(scene->service, at - 1), 0);
    assert_int_equal(write_text(scene, stream, "\x05", 1, at - 1), 1); /* a byte buys no time */
    assert_int_equal(port_service_dispatch(scene->service, at), 1);
    assert_int_equal(scene->drops.by[DROP_SOCKS_LATE], 1);
    assert_int_equal(port_service_dispatch(scene->service, at), 0);
    port_service_ops.release(scene->service, stream, TCP_RELEASE_ABORT);
    assert_false(port_service_next(scene->service, &at));
}

static void who_waits_too_long_for_tor_is_told(void **state)
{
    struct scene *scene = *state;
    uint32_t stream;
    uint8_t out[64];
    assert_int_equal(open_one(scene, 0, 9050, &stream), 0);
    assert_int_equal(write_text(scene, stream, REQUEST, sizeof(REQUEST) - 1, NOW), sizeof(REQUEST) - 1);
    assert_int_equal(scene->asked, 1);
    assert_int_equal(scene->request.port, 80);
    assert_int_equal(read_some(scene, stream, out, sizeof(out), NOW), 2);
    assert_int_equal(read_some(scene, stream, out, sizeof(out), NOW), -EAGAIN);
    port_service_dispatch(scene->service, NOW + 6999999);
    assert_int_equal(read_some(scene, stream, out, sizeof(out), NOW), -EAGAIN);
    port_service_dispatch(scene->service, NOW + 7000000);
    assert_int_equal(read_some(scene, stream, out, sizeof(out), NOW), 10);
    assert_int_equal(out[1], SOCKS_TTL_EXPIRED);
    assert_int_equal(read_some(scene, stream, out, sizeof(out), NOW), 0);
    assert_int_equal(write_text(scene, stream, "more", 4, NOW), 4); /* read and forgotten */
}

static void an_answer_is_read_before_the_flow_is_the_streams(void **state)
{
    struct scene *scene = *state;
    uint32_t stream;
    uint8_t out[64];
    assert_int_equal(open_one(scene, 0, 9050, &stream), 0);
    write_text(scene, stream, REQUEST, sizeof(REQUEST) - 1, NOW);
    assert_int_equal(read_some(scene, stream, out, 2, NOW), 2);
    *port_service_bound(scene->service, stream) = (struct socks_bound){.type = 4, .len = 16}; /* as Tor says it */
    assert_true(port_service_asked(scene->service, stream, SOCKS_SUCCEEDED, NOW));
    assert_int_equal(read_some(scene, stream, out, 9, NOW), 9);
    assert_int_equal(scene->joined, 0);
    assert_int_equal(port_service_count(scene->service), 1);
    assert_int_equal(read_some(scene, stream, out + 9, 50, NOW), 1);
    assert_int_equal(scene->joined, 1);
    assert_int_equal(port_service_count(scene->service), 0);
    assert_memory_equal(out, "\x05\0\0\x01\0\0\0\0\0\0", 10);
}

/* Ask by `command` for what `text` says, and have `bound` found. The answer's code, and its length in *len. */
static uint8_t found(struct scene *scene, uint8_t command, const struct socks_bound *bound, ssize_t *len)
{
    const char ask5[] = {5, 1, 0, 5, (char)command, 0, 1, (char)198, 51, 100, 7, 0, 80};
    uint32_t stream;
    uint8_t out[300];
    assert_int_equal(open_one(scene, 0, 9050, &stream), 0);
    write_text(scene, stream, ask5, sizeof(ask5), NOW);
    assert_int_equal(read_some(scene, stream, out, 2, NOW), 2);
    *port_service_bound(scene->service, stream) = *bound;
    assert_false(port_service_asked(scene->service, stream, SOCKS_SUCCEEDED, NOW));
    *len = read_some(scene, stream, out, sizeof(out), NOW);
    port_service_ops.release(scene->service, stream, TCP_RELEASE_CLOSE);
    return out[1];
}

static void no_exit_tells_of_an_address_of_ours(void **state)
{
    struct scene *scene = *state;
    const struct {
        uint8_t command, code;
        ssize_t len;
        struct socks_bound bound;
    } cases[] = {
        {SOCKS_RESOLVE, 0, 10, {.type = 1, .len = 4, .host = {192, 0, 2, 1}}},
        {SOCKS_RESOLVE, 4, 10, {.type = 1, .len = 4, .host = {10, 152, 152, 10}}},
        {SOCKS_RESOLVE, 0, 22, {.type = 4, .len = 16, .host = {0x20, 1, 0xd, 0xb8}}},
        {SOCKS_RESOLVE, 4, 10, {.type = 4, .len = 16, .host = {[10] = 0xff, 0xff, 10, 0, 0, 1}}},
        {SOCKS_RESOLVE, 4, 10, {.type = 3, .len = 1, .host = "a"}},
        {SOCKS_RESOLVE, 4, 10, {.type = 0}},
        {SOCKS_RESOLVE_PTR, 0, 4 + 1 + 3 + 2, {.type = 3, .len = 3, .host = "a.b"}},
        {SOCKS_RESOLVE_PTR, 4, 10, {.type = 3, .len = 3, .host = "a\nb"}},
        {SOCKS_RESOLVE_PTR, 4, 10, {.type = 3, .len = 3, .host = "a\0b"}},
        {SOCKS_RESOLVE_PTR, 4, 10, {.type = 3, .len = 0}},
        {SOCKS_RESOLVE_PTR, 4, 10, {.type = 1, .len = 4, .host = {192, 0, 2, 1}}},
    };
    unsigned refused = 0;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ssize_t len;
        assert_int_equal(found(scene, cases[i].command, &cases[i].bound, &len), cases[i].code);
        assert_int_equal(len, cases[i].len);
        refused += cases[i].code != 0;
    }
    assert_int_equal(scene->drops.by[DROP_DESTINATION_REFUSED], refused);
}

static void a_refusal_of_ours_is_an_answer_and_an_end(void **state)
{
    struct scene *scene = *state;
    uint32_t stream;
    uint8_t out[64];
    scene->code = SOCKS_NOT_ALLOWED;
    assert_int_equal(open_one(scene, 0, 9050, &stream), 0);
    assert_int_equal(write_text(scene, stream, REQUEST "data", sizeof(REQUEST) + 3, NOW), sizeof(REQUEST) + 3);
    assert_int_equal(read_some(scene, stream, out, sizeof(out), NOW), 12);
    assert_int_equal(out[3], SOCKS_NOT_ALLOWED);
    assert_int_equal(read_some(scene, stream, out, sizeof(out), NOW), 0);
    /* It is not left lying. */
    port_service_dispatch(scene->service, NOW);
    assert_int_equal(port_service_dispatch(scene->service, NOW + PORT_SERVICE_SPEAK), 1);
}

static void a_client_that_closes_unasked_is_ended(void **state)
{
    struct scene *scene = *state;
    uint32_t stream;
    uint8_t out[8];
    assert_int_equal(open_one(scene, 0, 9190, &stream), 0);
    write_text(scene, stream, "CONN", 4, NOW);
    assert_int_equal(read_some(scene, stream, out, sizeof(out), NOW), -EAGAIN);
    port_service_ops.closed(scene->service, stream);
    assert_int_equal(read_some(scene, stream, out, sizeof(out), NOW), 0);
    assert_int_equal(scene->asked, 0);
}

/* What random clients, engine and server do, each as its contract lets it. */
struct crowd {
    struct {
        uint32_t stream;
        bool closed, asked;
    } one[STREAMS];
    unsigned open;
    uint64_t now;
};

static void one_comes(struct scene *scene, struct crowd *crowd, struct random *random)
{
    static const uint16_t ports[] = {9050, 9190, 9180};
    uint32_t stream;
    const struct local_client client = {.tuple = {.dst_port = ports[random_u64(random) % 3]},
                                        .station = (uint32_t)(random_u64(random) % 3)};
    const struct tcp_flow_id id = {(uint32_t)(random_u64(random) % STREAMS) + 1, 99};
    if (port_service_ops.open(scene->service, id, &client, crowd->now, &stream) != 0)
        return;
    crowd->one[crowd->open].stream = stream;
    crowd->one[crowd->open].closed = crowd->one[crowd->open].asked = false;
    crowd->open++;
}

static void one_goes(struct crowd *crowd, unsigned i)
{
    crowd->one[i] = crowd->one[--crowd->open];
}

static void one_says_something(struct scene *scene, struct crowd *crowd, unsigned i, struct random *random)
{
    static const char *const texts[] = {REQUEST, "CONNECT a.example:1 HTTP/1.1\r\n\r\n",
                                        "\x04\xf0\0\x50\1\2\3\4\0"};
    static const size_t lengths[] = {sizeof(REQUEST) - 1, 32, 9};
    unsigned asked = scene->asked;
    size_t which = random_u64(random) % 3, from = random_u64(random) % 3 == 0 ? random_u64(random) % 9 : 0;
    scene->code = random_u64(random) % 4 == 0 ? SOCKS_NOT_ALLOWED : SOCKS_SUCCEEDED;
    write_text(scene, crowd->one[i].stream, texts[which] + from, lengths[which] - from, crowd->now);
    if (scene->asked > asked)
        crowd->one[i].asked = scene->code == SOCKS_SUCCEEDED;
}

static void one_does_something(struct scene *scene, struct crowd *crowd, struct random *random)
{
    unsigned i = (unsigned)(random_u64(random) % crowd->open), joined = scene->joined;
    const uint32_t stream = crowd->one[i].stream;
    uint8_t out[300];
    switch (random_u64(random) % 6) {
    case 0:
    case 1:
        if (!crowd->one[i].closed)
            one_says_something(scene, crowd, i, random);
        break;
    case 2:
        read_some(scene, stream, out, random_u64(random) % sizeof(out) + 1, crowd->now);
        if (scene->joined > joined)
            one_goes(crowd, i);
        break;
    case 3:
        if (!crowd->one[i].closed)
            port_service_ops.closed(scene->service, stream);
        crowd->one[i].closed = true;
        break;
    case 4:
        port_service_ops.release(scene->service, stream, TCP_RELEASE_ABORT);
        one_goes(crowd, i);
        break;
    default:
        if (!crowd->one[i].asked)
            break;
        crowd->one[i].asked = false;
        *port_service_bound(scene->service, stream) =
            (struct socks_bound){.type = 1, .len = 4, .host = {192, 0, 2, 1}};
        port_service_asked(scene->service, stream, (uint8_t)(random_u64(random) % 3), crowd->now);
        break;
    }
}

static void whatever_happens_every_place_comes_back(void **state)
{
    struct scene *scene = *state;
    struct random random = random_start();
    struct crowd crowd = {.now = NOW};
    uint32_t stream;
    for (unsigned round = 0; round < 200000; round++) {
        crowd.now += random_u64(&random) % 1000;
        if (crowd.open == 0 || random_u64(&random) % 8 == 0)
            one_comes(scene, &crowd, &random);
        else
            one_does_something(scene, &crowd, &random);
        if (random_u64(&random) % 64 == 0)
            port_service_dispatch(scene->service, crowd.now);
        assert_int_equal(port_service_count(scene->service), crowd.open);
    }
    assert_true(scene->joined > 100 && scene->asked > 100);
    while (crowd.open > 0) {
        port_service_ops.release(scene->service, crowd.one[0].stream, TCP_RELEASE_CLOSE);
        one_goes(&crowd, 0);
    }
    port_service_dispatch(scene->service, crowd.now);
    uint64_t at;
    assert_false(port_service_next(scene->service, &at));
    for (unsigned i = 0; i < STREAMS / 4 * 3; i++) /* its share is what it was at first */
        assert_int_equal(open_one(scene, 0, 9050, &stream), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        CASE(neither_one_workstation_nor_two_have_all_places),
        CASE(one_that_says_nothing_is_ended_in_time_and_counted_once),
        CASE(who_waits_too_long_for_tor_is_told),
        CASE(an_answer_is_read_before_the_flow_is_the_streams),
        CASE(no_exit_tells_of_an_address_of_ours),
        CASE(a_refusal_of_ours_is_an_answer_and_an_end),
        CASE(a_client_that_closes_unasked_is_ended),
        CASE(whatever_happens_every_place_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
