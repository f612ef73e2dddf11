/* SPDX-License-Identifier: BSD-3-Clause */
/* What many flows of one workstation share: the memory of their send queues, and the windows that they are given. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "tcp/engine.h"

#define FLOWS 1024u
#define CHUNKS 256u
#define ROOM (512u << 10)
#define FIRST_PORT 1000u
#define ISS 5000u

enum { SYN = 2, ACK = 16 };

static struct tcp_engine *engine;
static size_t engine_size;
static uint64_t now = 1000000;
static struct tcp_flow_id id_of[FLOWS];
static bool pours[FLOWS];        /* the upstream never runs dry */
static unsigned starves;         /* so many reads find that the kernel has no memory */
static uint32_t irs[FLOWS];      /* of the gateway's SYN */
static uint32_t received[FLOWS]; /* bytes that the workstation was sent, in order */
static uint32_t uploaded[FLOWS]; /* bytes that it sent */
static uint16_t window[FLOWS];   /* as the last segment said */
static uint32_t opening;
static uint32_t host; /* that speaks */

static int open_upstream(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host_number)
{
    (void)ctx;
    (void)tuple;
    (void)host_number;
    id_of[opening] = id;
    return 0;
}

static ssize_t write_upstream(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count, size_t *room)
{
    (void)ctx;
    (void)id;
    ssize_t n = 0;
    for (int i = 0; i < count; i++)
        n += (ssize_t)iov[i].iov_len;
    *room = ROOM;
    return n;
}

static ssize_t read_upstream(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count)
{
    (void)ctx;
    ssize_t n = 0;
    if (starves > 0) {
        starves--;
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < FLOWS; i++)
        if (id_of[i].index == id.index && !pours[i])
            return -EAGAIN;
    for (int i = 0; i < count; i++)
        n += (ssize_t)iov[i].iov_len;
    return n;
}

static void release_upstream(void *ctx, struct tcp_flow_id id, enum tcp_release how)
{
    (void)ctx;
    (void)id;
    (void)how;
}

static int emit(void *ctx, struct tcp_out *out)
{
    (void)ctx;
    const uint8_t *tcp = out->head + TCP_HEADROOM;
    uint32_t i = be16_load(tcp + 2) - FIRST_PORT;
    window[i] = be16_load(tcp + 14);
    if (tcp[13] & SYN)
        irs[i] = be32_load(tcp + 4);
    else if (be32_load(tcp + 4) == irs[i] + 1 + received[i])
        received[i] += out->payload_len;
    return 0;
}

static void unreachable(void *ctx, const struct tcp_tuple *tuple, uint32_t host_number, enum tcp_refusal why,
                        const uint8_t tcp_header[8])
{
    (void)ctx;
    (void)tuple;
    (void)host_number;
    (void)why;
    (void)tcp_header;
}

/* A segment of flow i: SYN with MSS 1460 and window scale 7, or an ACK of all there is, with a window of 8 MiB. */
static void say(uint32_t i, bool syn)
{
    uint8_t seg[28] = {0};
    static const uint8_t options[8] = {2, 4, 5, 180, 1, 3, 3, 7};
    be16_store(seg, (uint16_t)(FIRST_PORT + i));
    be16_store(seg + 2, 80);
    be32_store(seg + 4, syn ? ISS : ISS + 1 + uploaded[i]);
    be32_store(seg + 8, syn ? 0 : irs[i] + 1 + received[i]);
    seg[12] = syn ? 7 << 4 : 5 << 4;
    seg[13] = syn ? SYN : ACK;
    be16_store(seg + 14, 65535);
    memcpy(seg + 20, options, sizeof(options));
    const struct tcp_in in = {.src = ipaddr_v4((const uint8_t[]){10, 0, 0, 2}),
                              .dst = ipaddr_v4((const uint8_t[]){198, 51, 100, 1}),
                              .host = host,
                              .seg = bytes_of(seg, syn ? 28 : 20)};
    tcp_input(engine, &in, now);
}

static void flush(void)
{
    tcp_advance(engine, now);
    while (tcp_flush(engine, now))
        ;
    now += 10000;
}

static void open_flow(uint32_t i, bool pour)
{
    opening = i;
    pours[i] = pour;
    say(i, true);
    tcp_upstream_connected(engine, id_of[i], ROOM, now);
    flush();
    say(i, false);
    flush();
}

static int setup_with(uint32_t host_flows)
{
    static const struct tcp_ops ops = {.open = open_upstream,
                                       .write = write_upstream,
                                       .read = read_upstream,
                                       .release = release_upstream,
                                       .emit = emit,
                                       .unreachable = unreachable};
    const struct tcp_config config = {.max_flows = FLOWS,
                                      .max_chunks = CHUNKS,
                                      .max_hosts = 4,
                                      .max_connecting = FLOWS,
                                      .host_flows = host_flows,
                                      .host_connecting = FLOWS,
                                      .host_chunks = CHUNKS,
                                      .mtu = 1500,
                                      .gso_max = 60000,
                                      .connect_timeout = 60000,
                                      .half_close_timeout = 60000,
                                      .idle_timeout = 600000};
    engine_size = tcp_engine_size(&config);
    void *memory = mmap(NULL, engine_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -1;
    engine = tcp_engine_init(memory, &config, &ops, NULL, now);
    memset(received, 0, sizeof(received));
    memset(uploaded, 0, sizeof(uploaded));
    memset(id_of, 0, sizeof(id_of));
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_with(FLOWS);
}

static int setup_few(void **state)
{
    (void)state;
    return setup_with(2);
}

static int teardown(void **state)
{
    (void)state;
    return munmap(engine, engine_size);
}

/* Eight flows with large congestion windows would take all memory there is; it was so, and the ninth got nothing until
 * one of them ended. */
static void flows_that_came_first_leave_memory_to_those_that_come_later(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 8; i++)
        open_flow(i, true);
    for (int round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < 8; i++)
            say(i, false);
        flush();
    }
    assert_true(received[0] > 20 * 1448 * 10); /* they did grow */
    for (uint32_t i = 8; i < 16; i++)
        open_flow(i, true);
    for (int round = 0; round < 10; round++) {
        for (uint32_t i = 0; i < 16; i++)
            say(i, false);
        flush();
    }
    for (uint32_t i = 8; i < 16; i++)
        assert_in_range(received[i], 20 * 1448, UINT32_MAX);
    assert_true(tcp_engine_counters(engine)->chunks <= CHUNKS);
}

static void a_lone_flow_has_most_of_the_memory(void **state)
{
    (void)state;
    open_flow(0, true);
    uint32_t before = 0;
    for (int round = 0; round < 12; round++) {
        before = received[0];
        say(0, false);
        flush();
    }
    assert_true(received[0] - before >= CHUNKS * 4096 / 4); /* under way at once */
}

static void windows_are_smaller_when_there_are_many_flows(void **state)
{
    (void)state;
    open_flow(0, false);
    assert_int_equal(window[0], 65535);
    for (uint32_t i = 1; i < 700; i++)
        open_flow(i, false);
    assert_int_equal(window[699], 16384);
}

/* A workstation with many addresses has one share of everything. */
static void hosts_of_one_account_share_its_quota(void **state)
{
    (void)state;
    tcp_engine_charge(engine, 1, 3);
    tcp_engine_charge(engine, 2, 3);
    for (uint32_t i = 0; i < 4; i++) {
        host = 1 + i % 2;
        opening = i;
        say(i, true);
        flush();
    }
    assert_int_equal(tcp_engine_counters(engine)->flows, 2);
    host = 0; /* its own account */
    for (uint32_t i = 4; i < 8; i++) {
        opening = i;
        say(i, true);
        flush();
    }
    assert_int_equal(tcp_engine_counters(engine)->flows, 4);
    tcp_engine_reset_host(engine, 1, now);
    host = 2;
    opening = 8;
    say(8, true);
    flush();
    assert_int_equal(tcp_engine_counters(engine)->flows, 4);
    assert_int_equal(tcp_engine_drops(engine)->by[DROP_TCP_QUOTA], 4);
    host = 0;
}

/* 1000 bytes of flow i, again and again. Returns the window that it has in the end, bytes. */
static uint32_t upload(uint32_t i, unsigned times)
{
    static uint8_t seg[20 + 1000];
    for (; times > 0; times--) {
        be16_store(seg, (uint16_t)(FIRST_PORT + i));
        be16_store(seg + 2, 80);
        be32_store(seg + 4, ISS + 1 + uploaded[i]);
        be32_store(seg + 8, irs[i] + 1 + received[i]);
        seg[12] = 5 << 4;
        seg[13] = ACK;
        be16_store(seg + 14, 65535);
        const struct tcp_in in = {.src = ipaddr_v4((const uint8_t[]){10, 0, 0, 2}),
                                  .dst = ipaddr_v4((const uint8_t[]){198, 51, 100, 1}),
                                  .seg = bytes_of(seg, sizeof(seg))};
        tcp_input(engine, &in, now);
        uploaded[i] += 1000;
        while (tcp_flush(engine, now))
            ;
    }
    return (uint32_t)window[i] << 3;
}

/* It was so that each flow of the table took its part of the windows, whether it sent or not. */
static void idle_flows_take_no_part_of_the_windows(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 700; i++)
        open_flow(i, false);
    assert_true(upload(699, 64) >= 400u << 10);
    /* Others begin to send. What was promised is kept; what comes after is less. */
    for (uint32_t i = 0; i < 600; i++)
        assert_true(upload(i, 2) >= 15u << 10);
    assert_true(upload(699, 600) <= 17u << 10);
    /* And end: it grows again within seconds. */
    for (unsigned k = 0; k < 30; k++) {
        now += 100000;
        upload(699, 2);
    }
    assert_true(upload(699, 64) >= 400u << 10);
}

/* No chunk that comes back would tell of it, so it is a matter of time. */
static void a_read_that_the_kernel_has_no_memory_for_is_tried_again(void **state)
{
    (void)state;
    open_flow(0, false);
    pours[0] = true;
    starves = 3;
    tcp_upstream_readable(engine, id_of[0], now);
    flush();
    assert_int_equal(starves, 2); /* once, and not as fast as turns follow one another */
    assert_int_equal(received[0], 0);
    for (int k = 0; k < 200; k++)
        flush();
    assert_int_equal(starves, 0);
    assert_true(received[0] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(flows_that_came_first_leave_memory_to_those_that_come_later, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_read_that_the_kernel_has_no_memory_for_is_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lone_flow_has_most_of_the_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(hosts_of_one_account_share_its_quota, setup_few, teardown),
        cmocka_unit_test_setup_teardown(idle_flows_take_no_part_of_the_windows, setup, teardown),
        cmocka_unit_test_setup_teardown(windows_are_smaller_when_there_are_many_flows, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
