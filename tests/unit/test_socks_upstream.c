/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The upstream against a SOCKS server in the same process, on a pathname socket. The engine is a list of what it was
 * told. Everything on a UNIX socket happens at once, so that nothing here waits or sleeps.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "random.h"
#include "socks/directory.h"
#include "socks/upstream.h"

#define ANSWER_SHORT "\x01\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
#define ANSWER_FULL "\x05\x02" ANSWER_SHORT
#define ANSWER_V6 "\x01\x00\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ANSWER_NAME                                                                                                \
    "\x05\x02\x01\x00\x05\x00\x00\x03\x05"                                                                         \
    "a.org"                                                                                                        \
    "\x01\xbb"

#define FLOWS_MAX 1024u

/* --- the engine that is none --- */

enum kind { CONNECTED, FAILED, READABLE, WRITABLE, RESET };

static struct told {
    enum kind kind;
    struct tcp_flow_id id;
    size_t room;
    enum tcp_refusal why;
} told[4 * FLOWS_MAX];
static unsigned told_count;
static struct tcp_engine *const engine = (struct tcp_engine *)&told;
static void (*on_readable)(struct tcp_flow_id id); /* what the engine does then, if anything */

static void tell(struct tcp_engine *whose, enum kind kind, struct tcp_flow_id id, size_t room, enum tcp_refusal why)
{
    assert_ptr_equal(whose, engine);
    assert_true(told_count < sizeof(told) / sizeof(*told));
    told[told_count++] = (struct told){kind, id, room, why};
}

void tcp_upstream_connected(struct tcp_engine *whose, struct tcp_flow_id id, size_t room, uint64_t now)
{
    (void)now;
    tell(whose, CONNECTED, id, room, TCP_REFUSAL_RESET);
}

void tcp_upstream_failed(struct tcp_engine *whose, struct tcp_flow_id id, enum tcp_refusal why, uint64_t now)
{
    (void)now;
    tell(whose, FAILED, id, 0, why);
}

void tcp_upstream_readable(struct tcp_engine *whose, struct tcp_flow_id id, uint64_t now)
{
    (void)now;
    tell(whose, READABLE, id, 0, TCP_REFUSAL_RESET);
    if (on_readable != NULL)
        on_readable(id);
}

void tcp_upstream_writable(struct tcp_engine *whose, struct tcp_flow_id id, size_t room, uint64_t now)
{
    (void)now;
    tell(whose, WRITABLE, id, room, TCP_REFUSAL_RESET);
}

void tcp_upstream_reset(struct tcp_engine *whose, struct tcp_flow_id id, uint64_t now)
{
    (void)now;
    tell(whose, RESET, id, 0, TCP_REFUSAL_RESET);
}

/* --- the server --- */

static char directory[64];
static char path[96];
static int listener;

static void server_listen(int backlog)
{
    struct sockaddr_un address;
    assert_int_equal(socks_path_address(path, &address), 0);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, backlog), 0);
}

static void server_end(void)
{
    if (listener >= 0)
        close(listener);
    listener = -1;
    unlink(path);
}

/* A connection that waits, and its request. Returns the descriptor. */
static int server_accept(uint8_t request[SOCKS_REQUEST_MAX], ssize_t *len)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(fd >= 0);
    *len = recv(fd, request, SOCKS_REQUEST_MAX, 0);
    return fd;
}

static int server_take(void)
{
    uint8_t request[SOCKS_REQUEST_MAX];
    ssize_t len;
    int fd = server_accept(request, &len);
    assert_true(len > 0);
    return fd;
}

static void server_say(int fd, const void *data, size_t n)
{
    assert_int_equal(send(fd, data, n, MSG_NOSIGNAL), n);
}
#define SAY(fd, s) server_say((fd), (s), sizeof(s) - 1)

/* Read all there is and give back how much. */
static size_t server_drain(int fd)
{
    static uint8_t data[1 << 16];
    size_t total = 0;
    ssize_t n;
    while ((n = recv(fd, data, sizeof(data), 0)) > 0)
        total += (size_t)n;
    return total;
}

/* --- the upstream under test --- */

static struct socks_upstream *up;
static struct socks_upstream_config config;
static struct drops drops;
static uint64_t now;
static uint32_t done_tags[2 * FLOWS_MAX];
static unsigned done_count;

static void on_done(void *ctx, uint32_t tag)
{
    (void)ctx;
    done_tags[done_count++] = tag;
}

static void start(void)
{
    assert_int_equal(socks_upstream_new(&up, &config), 0);
    socks_upstream_attach(up, engine);
}

static int setup(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/cloister-upstream-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/socks", directory);
    config = (struct socks_upstream_config){
        .path = path,
        .max_flows = FLOWS_MAX,
        .isolation = ISOLATION_WORKSTATION | ISOLATION_SOURCE_ADDRESS | ISOLATION_SOURCE_PORT,
        .secret = "a secret secret",
        .drops = &drops,
        .done = on_done,
    };
    memset(&drops, 0, sizeof(drops));
    told_count = done_count = 0;
    on_readable = NULL;
    now = 1000000;
    server_listen(128);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    socks_upstream_free(up);
    up = NULL;
    server_end();
    return rmdir(directory);
}

static struct tcp_flow_id flow(uint32_t index)
{
    return (struct tcp_flow_id){index, 70 + index};
}

static struct tcp_tuple tuple_of(uint16_t src_port)
{
    return (struct tcp_tuple){
        .src = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 152, 152, 11}},
        .dst = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 5}},
        .src_port = src_port,
        .dst_port = 443,
    };
}

static int open_flow(uint32_t index)
{
    struct tcp_tuple tuple = tuple_of((uint16_t)(40000 + index));
    return socks_upstream_open(up, flow(index), &tuple, 3, now);
}

static int dispatch(void)
{
    return socks_upstream_dispatch(up, 10000, now);
}

static struct tcp_flow_id id_none(void)
{
    return (struct tcp_flow_id){0, 0};
}

/* Open a flow and have it answered; the engine's list is empty afterwards. Returns the server's descriptor. */
static int open_answered(uint32_t index)
{
    assert_int_equal(open_flow(index), 0);
    int fd = server_take();
    SAY(fd, ANSWER_SHORT);
    dispatch();
    assert_int_equal(told_count, 2);
    assert_int_equal(told[0].kind, CONNECTED);
    assert_int_equal(told[1].kind, READABLE);
    told_count = 0;
    return fd;
}

static ssize_t write_flow(uint32_t index, const void *data, size_t n, size_t *room)
{
    struct iovec iov = {(void *)(uintptr_t)data, n};
    return socks_upstream_write(up, flow(index), &iov, 1, room);
}

static ssize_t read_flow(uint32_t index, void *data, size_t n)
{
    struct iovec iov = {data, n};
    return socks_upstream_read(up, flow(index), &iov, 1);
}

static void assert_told(unsigned i, enum kind kind, uint32_t index)
{
    assert_true(i < told_count);
    assert_int_equal(told[i].kind, kind);
    assert_int_equal(told[i].id.index, index);
    assert_int_equal(told[i].id.generation, flow(index).generation);
}

/* --- opening --- */

static void the_whole_request_arrives_in_one_piece(void **state)
{
    (void)state;
    start();
    assert_int_equal(open_flow(1), 0);
    uint8_t request[SOCKS_REQUEST_MAX];
    ssize_t len;
    int fd = server_accept(request, &len);
    assert_int_equal(len, 3 + 1 + 1 + 9 + 1 + 32 + 10);
    assert_memory_equal(request, "\x05\x01\x02\x01\x09<torS0X>0\x20", 15);
    assert_memory_equal(request + 47, "\x05\x01\x00\x01\xcb\x00\x71\x05\x01\xbb", 10);
    assert_int_equal(recv(fd, request, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(socks_upstream_counters(up)->opened, 1);
    close(fd);
}

static void opening_tells_the_engine_nothing_by_itself(void **state)
{
    (void)state;
    start();
    assert_int_equal(open_flow(1), 0);
    dispatch();
    assert_int_equal(told_count, 0);
    char byte;
    assert_int_equal(read_flow(1, &byte, 1), -EAGAIN);
}

static int take_virtual(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host,
                        struct socks_target *target)
{
    (void)ctx;
    assert_int_equal(host, 3);
    assert_int_equal(target->port, 443);
    assert_int_equal(target->workstation, 3);
    assert_int_equal(target->isolation, config.isolation);
    assert_true(ipaddr_equal(&target->addr, &tuple->dst));
    if (id.index == 9) {
        target->why = DROP_DESTINATION_UNKNOWN;
        return -ENETUNREACH;
    }
    strcpy(target->name, "example.onion");
    target->port = 80;
    target->tag = 500 + id.index;
    return 0;
}

static void the_target_may_be_a_name(void **state)
{
    (void)state;
    config.target = take_virtual;
    start();
    assert_int_equal(open_flow(1), 0);
    uint8_t request[SOCKS_REQUEST_MAX];
    ssize_t len;
    int fd = server_accept(request, &len);
    assert_int_equal(len, 47 + 4 + 1 + 13 + 2);
    assert_memory_equal(request + 47,
                        "\x05\x01\x00\x03\x0d"
                        "example.onion\x00\x50",
                        20);
    close(fd);
}

static void a_target_that_is_refused_is_counted_and_not_opened(void **state)
{
    (void)state;
    config.target = take_virtual;
    start();
    assert_int_equal(open_flow(9), -ENETUNREACH);
    assert_int_equal(drops.by[DROP_DESTINATION_UNKNOWN], 1);
    assert_int_equal(accept(listener, NULL, NULL), -1);
    assert_int_equal(done_count, 0);
    assert_int_equal(open_flow(9), -ENETUNREACH); /* the slot is free */
}

static void the_owner_of_a_target_learns_when_it_is_over(void **state)
{
    (void)state;
    config.target = take_virtual;
    start();
    for (uint32_t i = 1; i <= 3; i++)
        assert_int_equal(open_flow(i), 0);
    int fds[3];
    for (unsigned i = 0; i < 3; i++)
        fds[i] = server_take();
    assert_int_equal(done_count, 0);
    socks_upstream_release(up, flow(1), TCP_RELEASE_ABORT);
    assert_int_equal(done_count, 1);
    assert_int_equal(done_tags[0], 501);
    SAY(fds[1], "\x01\x00\x05\x05\x00");
    dispatch();
    assert_int_equal(done_count, 2);
    assert_int_equal(done_tags[1], 502);
    socks_upstream_free(up);
    up = NULL;
    assert_int_equal(done_count, 3);
    assert_int_equal(done_tags[2], 503);
    for (unsigned i = 0; i < 3; i++)
        close(fds[i]);
}

static void password_of(uint32_t index, uint16_t src_port, char out[33])
{
    struct tcp_tuple tuple = tuple_of(src_port);
    uint8_t request[SOCKS_REQUEST_MAX];
    ssize_t len;
    assert_int_equal(socks_upstream_open(up, flow(index), &tuple, 3, now), 0);
    close(server_accept(request, &len));
    memcpy(out, request + 15, 32);
    out[32] = '\0';
    struct socks_stream_info info;
    assert_true(socks_upstream_look(up, flow(index), &info));
    assert_memory_equal(info.tag, out, 8);
    assert_int_equal(strlen(info.tag), 8);
    socks_upstream_release(up, flow(index), TCP_RELEASE_CLOSE);
}

static void each_source_port_is_an_identity_for_a_while(void **state)
{
    (void)state;
    config.isolation_lifetime = 600;
    start();
    char a[33], b[33], again[33], later[33];
    password_of(1, 5000, a);
    password_of(2, 5001, b);
    password_of(3, 5000, again);
    now += 600 * (uint64_t)1000000;
    password_of(4, 5000, later);
    assert_string_not_equal(a, b);
    assert_string_equal(a, again);
    assert_string_not_equal(a, later);
}

static void a_missing_listener_is_said_at_once(void **state)
{
    (void)state;
    start();
    close(listener); /* the socket file stays */
    listener = -1;
    assert_int_equal(open_flow(1), -ECONNREFUSED);
    unlink(path);
    assert_int_equal(open_flow(1), -ENOENT);
    assert_int_equal(socks_upstream_counters(up)->local, 2);
    assert_int_equal(told_count, 0);
}

static void a_bad_configuration_is_refused(void **state)
{
    (void)state;
    char longer[200];
    memset(longer, 'x', sizeof(longer));
    longer[0] = '/';
    longer[108] = '\0';
    config.path = longer;
    assert_int_equal(socks_upstream_new(&up, &config), -ENAMETOOLONG);
    assert_null(up);
    config.path = "socks";
    assert_int_equal(socks_upstream_new(&up, &config), -EINVAL);
    config.path = path;
    config.max_flows = 0;
    assert_int_equal(socks_upstream_new(&up, &config), -EINVAL);
}

static void running_out_of_descriptors_is_no_room(void **state)
{
    (void)state;
    start();
    struct rlimit old, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int probe = dup(listener);
    close(probe);
    none = old;
    none.rlim_cur = (rlim_t)probe;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int err = open_flow(1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(err, -ENOBUFS);
    assert_int_equal(open_flow(1), 0);
}

/* --- the answer --- */

static void assert_answer_then_stream(const char *answer, size_t n)
{
    char data[64];
    told_count = 0;
    assert_int_equal(open_flow(1), 0);
    int fd = server_take();
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(told_count, 0);
        server_say(fd, answer + i, 1);
        dispatch();
    }
    assert_int_equal(told_count, 2);
    assert_told(0, CONNECTED, 1);
    assert_true(told[0].room > 10000);
    assert_told(1, READABLE, 1);
    assert_int_equal(read_flow(1, data, sizeof(data)), -EAGAIN);
    SAY(fd, "stream");
    dispatch();
    assert_int_equal(told_count, 3);
    assert_told(2, READABLE, 1);
    assert_int_equal(read_flow(1, data, sizeof(data)), 6);
    assert_memory_equal(data, "stream", 6);
    socks_upstream_release(up, flow(1), TCP_RELEASE_CLOSE);
    close(fd);
}

static void an_answer_may_come_byte_by_byte(void **state)
{
    (void)state;
    start();
    assert_answer_then_stream(ANSWER_FULL, sizeof(ANSWER_FULL) - 1);
    assert_answer_then_stream(ANSWER_SHORT, sizeof(ANSWER_SHORT) - 1);
    assert_answer_then_stream(ANSWER_V6, sizeof(ANSWER_V6) - 1);
    assert_answer_then_stream(ANSWER_NAME, sizeof(ANSWER_NAME) - 1);
}

static void assert_glued(const char *all, size_t n, size_t stream, bool then_end)
{
    char data[64];
    told_count = 0;
    assert_int_equal(open_flow(1), 0);
    int fd = server_take();
    server_say(fd, all, n);
    if (then_end)
        close(fd);
    dispatch();
    assert_int_equal(told_count, 2);
    assert_told(0, CONNECTED, 1);
    assert_told(1, READABLE, 1);
    assert_int_equal(read_flow(1, data, sizeof(data)), stream);
    assert_memory_equal(data, all + n - stream, stream);
    assert_int_equal(read_flow(1, data, sizeof(data)), then_end ? 0 : -EAGAIN);
    socks_upstream_release(up, flow(1), TCP_RELEASE_CLOSE);
    if (!then_end)
        close(fd);
}

static void what_comes_in_one_piece_with_the_answer_belongs_to_the_stream(void **state)
{
    (void)state;
    start();
    for (int then_end = 0; then_end < 2; then_end++) {
        assert_glued(ANSWER_FULL "banner\r\n", sizeof(ANSWER_FULL) + 7, 8, then_end);
        assert_glued(ANSWER_SHORT "banner\r\n", sizeof(ANSWER_SHORT) + 7, 8, then_end);
        assert_glued(ANSWER_SHORT "b", sizeof(ANSWER_SHORT), 1, then_end);
        assert_glued(ANSWER_V6 "banner\r\n", sizeof(ANSWER_V6) + 7, 8, then_end);
        assert_glued(ANSWER_NAME "banner\r\n", sizeof(ANSWER_NAME) + 7, 8, then_end);
    }
}

static void every_code_refuses_the_flow_as_the_table_says(void **state)
{
    (void)state;
    start();
    for (unsigned code = 1; code < 256; code++) {
        char answer[] = ANSWER_FULL;
        answer[5] = (char)code;
        told_count = 0;
        assert_int_equal(open_flow(1), 0);
        int fd = server_take();
        server_say(fd, answer, sizeof(answer) - 1);
        close(fd);
        dispatch();
        assert_int_equal(told_count, 1);
        assert_told(0, FAILED, 1);
        assert_int_equal(told[0].why, socks_code_refusal((uint8_t)code));
        assert_false(socks_upstream_look(up, flow(1), &(struct socks_stream_info){0}));
    }
    const struct socks_counters *counters = socks_upstream_counters(up);
    assert_int_equal(counters->refused, 255);
    assert_int_equal(counters->connected, 0);
    uint64_t sum = 0;
    for (unsigned i = 0; i < SOCKS_CODE_COUNT; i++)
        sum += counters->by_code[i];
    assert_int_equal(sum, 255);
    assert_int_equal(counters->by_code[socks_code_index(SOCKS_TTL_EXPIRED)], 1);
}

static void an_end_before_the_answer_is_complete_fails_the_flow(void **state)
{
    (void)state;
    start();
    static const char answer[] = ANSWER_FULL;
    unsigned tries = 0;
    for (size_t some = 0; some < sizeof(answer) - 1; some++)
        for (int apart = 0; apart < 2; apart++) {
            told_count = 0;
            assert_int_equal(open_flow(1), 0);
            int fd = server_take();
            if (some > 0)
                server_say(fd, answer, some);
            if (apart) /* the end in a turn of its own */
                dispatch();
            assert_int_equal(told_count, 0);
            close(fd);
            dispatch();
            assert_int_equal(told_count, 1);
            assert_told(0, FAILED, 1);
            assert_int_equal(told[0].why, TCP_REFUSAL_NET);
            tries++;
        }
    assert_int_equal(socks_upstream_counters(up)->broken, tries);
}

static void nonsense_fails_the_flow(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        enum tcp_refusal why;
    } cases[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", 28, TCP_REFUSAL_NET},
        {"\x05\x00\x05\x00", 4, TCP_REFUSAL_NET},
        {"\x05\xff", 2, TCP_REFUSAL_PROHIBITED},
        {"\x05\x02\x01\x01", 4, TCP_REFUSAL_PROHIBITED},
        {"\x05\x02\x01\x00\x04\x00", 6, TCP_REFUSAL_NET},
    };
    start();
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        told_count = 0;
        assert_int_equal(open_flow(1), 0);
        int fd = server_take();
        server_say(fd, cases[i].text, cases[i].n);
        dispatch();
        assert_int_equal(told_count, 1);
        assert_told(0, FAILED, 1);
        assert_int_equal(told[0].why, cases[i].why);
        close(fd);
    }
}

/* --- the listener's backlog --- */

static void a_full_backlog_makes_flows_wait_in_order(void **state)
{
    (void)state;
    server_end();
    server_listen(1); /* the kernel lets two wait */
    start();
    uint64_t at;
    assert_false(socks_upstream_next(up, &at));
    for (uint32_t i = 1; i <= 5; i++)
        assert_int_equal(open_flow(i), 0);
    assert_int_equal(socks_upstream_counters(up)->opened, 2);
    assert_true(socks_upstream_next(up, &at));
    assert_true(at > now && at <= now + 10000);

    struct socks_stream_info info;
    assert_true(socks_upstream_look(up, flow(5), &info));
    assert_string_equal(info.state, "queued");
    socks_upstream_release(up, flow(4), TCP_RELEASE_ABORT); /* one changes its mind */

    socks_upstream_poll(up, at - 1); /* not yet */
    int fds[4];
    fds[0] = server_take();
    fds[1] = server_take();
    assert_int_equal(accept(listener, NULL, NULL), -1);
    socks_upstream_poll(up, at);
    assert_int_equal(socks_upstream_counters(up)->opened, 4);
    assert_int_equal(socks_upstream_counters(up)->queued, 2);
    assert_false(socks_upstream_next(up, &at));
    fds[2] = server_take();
    fds[3] = server_take();
    assert_int_equal(told_count, 0);
    static const uint32_t order[] = {1, 2, 3, 5};
    for (unsigned i = 0; i < 4; i++) {
        SAY(fds[i], ANSWER_SHORT);
        dispatch();
        assert_told(2 * i, CONNECTED, order[i]);
    }
    for (unsigned i = 0; i < 4; i++)
        close(fds[i]);
}

static void a_newcomer_does_not_overtake_who_waits(void **state)
{
    (void)state;
    server_end();
    server_listen(0);
    start();
    assert_int_equal(open_flow(1), 0);
    assert_int_equal(open_flow(2), 0); /* waits */
    int first = server_take();
    assert_int_equal(open_flow(3), 0); /* there would be room */
    assert_int_equal(accept(listener, NULL, NULL), -1);
    socks_upstream_poll(up, now + 10000);
    int second = server_take();
    SAY(second, ANSWER_SHORT);
    dispatch();
    assert_told(0, CONNECTED, 2);
    close(first);
    close(second);
}

static void no_more_flows_wait_than_there_is_room_for(void **state)
{
    (void)state;
    server_end();
    server_listen(0);
    start();
    uint32_t n = 1;
    int err;
    while ((err = open_flow(n)) == 0)
        n++;
    assert_int_equal(err, -EAGAIN);
    assert_in_range(n, 100, 400);
    assert_int_equal(socks_upstream_counters(up)->opened, 1);
    assert_int_equal(socks_upstream_counters(up)->local, 1);
    /* All of them get through when the server wakes up. */
    for (uint32_t i = 1; i < n; i++) {
        int fd = server_take();
        SAY(fd, ANSWER_SHORT);
        now += 10000;
        socks_upstream_poll(up, now);
        dispatch();
        close(fd);
    }
    assert_int_equal(socks_upstream_counters(up)->connected, n - 1);
    uint64_t at;
    assert_false(socks_upstream_next(up, &at));
}

static void who_waits_for_a_listener_that_goes_away_fails(void **state)
{
    (void)state;
    server_end();
    server_listen(0);
    start();
    assert_int_equal(open_flow(1), 0);
    assert_int_equal(open_flow(2), 0);
    assert_int_equal(open_flow(3), 0);
    server_end();
    socks_upstream_poll(up, now + 10000);
    assert_int_equal(told_count, 2);
    assert_told(0, FAILED, 2);
    assert_told(1, FAILED, 3);
    assert_int_equal(told[0].why, TCP_REFUSAL_NET);
    dispatch();
    assert_told(2, FAILED, 1);
}

/* --- optimistic data --- */

static void early_data_follows_the_request_before_there_is_an_answer(void **state)
{
    (void)state;
    config.optimistic = true;
    start();
    size_t room;
    assert_int_equal(open_flow(1), 0);
    assert_int_equal(write_flow(1, "GET / HTTP/1.0\r\n\r\n", 18, &room), 18);
    assert_true(room > 10000);
    int fd = accept(listener, NULL, NULL);
    uint8_t all[256];
    assert_int_equal(recv(fd, all, sizeof(all), 0), 57 + 18);
    assert_memory_equal(all + 57, "GET / HTTP/1.0\r\n\r\n", 18);
    SAY(fd, ANSWER_SHORT "HTTP/1.0 200 OK");
    dispatch();
    assert_told(0, CONNECTED, 1);
    char data[64];
    assert_int_equal(read_flow(1, data, sizeof(data)), 15);
    close(fd);
}

static void early_data_of_a_flow_that_waits_is_asked_for_later(void **state)
{
    (void)state;
    server_end();
    server_listen(0);
    config.optimistic = true;
    start();
    size_t room = 1;
    assert_int_equal(open_flow(1), 0);
    assert_int_equal(open_flow(2), 0);
    assert_int_equal(write_flow(2, "early", 5, &room), 0);
    assert_int_equal(room, 0);
    close(server_take());
    socks_upstream_poll(up, now + 10000);
    assert_told(0, WRITABLE, 2);
    assert_true(told[0].room > 10000);
    assert_int_equal(write_flow(2, "early", 5, &room), 5);
}

/* --- data --- */

static void the_end_of_the_stream_comes_after_its_data(void **state)
{
    (void)state;
    start();
    int fd = open_answered(1);
    char data[64];
    SAY(fd, "last words");
    close(fd);
    dispatch();
    assert_told(0, READABLE, 1);
    assert_int_equal(read_flow(1, data, sizeof(data)), 10);
    assert_int_equal(read_flow(1, data, sizeof(data)), 0);
}

static void an_end_that_comes_after_the_data_was_read_is_told(void **state)
{
    (void)state;
    start();
    int fd = open_answered(1);
    char data[64];
    SAY(fd, "last words");
    dispatch();
    assert_int_equal(read_flow(1, data, sizeof(data)), 10);
    assert_int_equal(read_flow(1, data, sizeof(data)), -EAGAIN);
    close(fd);
    assert_int_equal(told_count, 1);
    dispatch();
    assert_int_equal(told_count, 2);
    assert_told(1, READABLE, 1);
    assert_int_equal(read_flow(1, data, sizeof(data)), 0);
}

/* Between the event and the read: the read takes all, comes back short, and the socket counts as dry. */
static void what_comes_between_two_reads_is_not_lost(void **state)
{
    (void)state;
    start();
    int fd = open_answered(1);
    char data[64];
    SAY(fd, "one");
    dispatch();
    assert_int_equal(read_flow(1, data, sizeof(data)), 3);
    SAY(fd, "two");
    ssize_t n = read_flow(1, data, sizeof(data));
    assert_true(n == -EAGAIN || n == 3);
    if (n == -EAGAIN) {
        told_count = 0;
        dispatch();
        assert_told(0, READABLE, 1);
        assert_int_equal(read_flow(1, data, sizeof(data)), 3);
    }
    assert_memory_equal(data, "two", 3);
    assert_int_equal(read_flow(1, data, sizeof(data)), -EAGAIN);
    close(fd);
}

static void a_read_of_less_than_there_is_leaves_the_rest(void **state)
{
    (void)state;
    start();
    int fd = open_answered(1);
    char a[4], b[64];
    struct iovec iov[2] = {{a, 4}, {b, 2}};
    SAY(fd, "abcdefghij");
    dispatch();
    assert_int_equal(socks_upstream_read(up, flow(1), iov, 2), 6);
    assert_memory_equal(a, "abcd", 4);
    assert_memory_equal(b, "ef", 2);
    assert_int_equal(read_flow(1, b, sizeof(b)), 4);
    close(fd);
}

static void a_reset_comes_after_the_data(void **state)
{
    (void)state;
    start();
    int fd = open_answered(1);
    char data[64];
    size_t room;
    assert_int_equal(write_flow(1, "never read", 10, &room), 10);
    SAY(fd, "some");
    close(fd);
    dispatch();
    assert_told(0, READABLE, 1);
    assert_int_equal(read_flow(1, data, sizeof(data)), 4);
    assert_int_equal(read_flow(1, data, sizeof(data)), -ECONNRESET);
}

/* Without the flag this would end the test by SIGPIPE. */
static void writing_to_a_stream_that_ended_is_an_error(void **state)
{
    (void)state;
    start();
    size_t room = 1;
    close(open_answered(1));
    assert_int_equal(write_flow(1, "x", 1, &room), -EPIPE);
    assert_int_equal(room, 0);
}

static void a_full_stream_says_so_and_tells_when_it_has_room_again(void **state)
{
    (void)state;
    start();
    int fd = open_answered(1);
    static const uint8_t data[40000];
    size_t total = 0, room = 0;
    ssize_t n;
    while ((n = write_flow(1, data, sizeof(data), &room)) == (ssize_t)sizeof(data))
        total += (size_t)n;
    assert_true(n >= 0 && n < (ssize_t)sizeof(data));
    assert_int_equal(room, 0);
    total += (size_t)n;
    dispatch();
    assert_int_equal(told_count, 0);
    assert_int_equal(server_drain(fd), total);
    dispatch();
    assert_int_equal(told_count, 1);
    assert_told(0, WRITABLE, 1);
    assert_true(told[0].room > 10000);
    dispatch();
    assert_int_equal(told_count, 1);
    close(fd);
}

/* The engine's window follows the promise. If all of it is used without a short write, the window is shut, and nothing
 * but an event opens it again. */
static void a_promise_used_up_is_renewed_by_an_event(void **state)
{
    (void)state;
    start();
    int fd = open_answered(1);
    static const uint8_t data[1 << 20];
    size_t room;
    size_t total = 3000;
    assert_int_equal(write_flow(1, data, 3000, &room), 3000);
    for (unsigned i = 0; i < 64 && room > 0; i++) {
        size_t n = room;
        assert_int_equal(write_flow(1, data, n, &room), n);
        total += n;
    }
    assert_true(room < 2000);
    dispatch();
    assert_int_equal(told_count, 0);
    assert_int_equal(server_drain(fd), total);
    dispatch();
    assert_int_equal(told_count, 1);
    assert_told(0, WRITABLE, 1);
    assert_true(told[0].room > 10000);
    close(fd);
}

static void what_is_promised_is_taken(void **state)
{
    (void)state;
    static const size_t sizes[] = {536, 1448, 4096, 65160, 262144};
    static const uint8_t data[262144];
    struct random random = random_start();
    start();
    for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
        int fd = open_answered(1);
        size_t room = 4096, written = 0, taken = 0;
        for (unsigned i = 0; i < 2000; i++) {
            size_t n = sizes[k] < room ? sizes[k] : room;
            if (n > 0) {
                assert_int_equal(write_flow(1, data, n, &room), n);
                written += n;
            }
            if (n == 0 || random_below(&random, 3) == 0) {
                static uint8_t sink[1 << 16];
                ssize_t got = recv(fd, sink, 1 + random_below(&random, sizeof(sink)), 0);
                taken += got > 0 ? (size_t)got : 0;
            }
            told_count = 0;
            dispatch();
            if (told_count > 0) {
                assert_told(0, WRITABLE, 1);
                room = told[0].room;
            }
        }
        assert_int_equal(written, taken + server_drain(fd));
        assert_true(written > 200000);
        socks_upstream_release(up, flow(1), TCP_RELEASE_CLOSE);
        told_count = 0;
        close(fd);
    }
}

static void the_send_buffer_can_be_chosen(void **state)
{
    (void)state;
    config.send_buffer = 16384;
    start();
    int small = open_answered(1);
    size_t small_room, room;
    write_flow(1, "x", 1, &small_room);
    socks_upstream_free(up);
    config.send_buffer = 100000;
    start();
    int large = open_answered(2);
    write_flow(2, "x", 1, &room);
    assert_in_range(small_room, 8000, 16384);
    assert_in_range(room, 80000, 100000);
    close(small);
    close(large);
}

/* --- many, and late --- */

static void allow_descriptors(rlim_t n)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < n) {
        limit.rlim_cur = n < limit.rlim_max ? n : limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
}

static void a_thousand_flows_are_kept_apart(void **state)
{
    (void)state;
    enum { FLOWS = 1000 };
    static int fds[FLOWS + 1];
    allow_descriptors(2 * FLOWS + 64);
    start();
    for (uint32_t i = 1; i <= FLOWS; i++) {
        assert_int_equal(open_flow(i), 0);
        fds[i] = server_take();
    }
    for (uint32_t i = 1; i <= FLOWS; i++)
        SAY(fds[i], ANSWER_SHORT);
    assert_int_equal(dispatch(), FLOWS);
    assert_int_equal(told_count, 2 * FLOWS);
    assert_int_equal(socks_upstream_counters(up)->connected, FLOWS);
    for (uint32_t i = 1; i <= FLOWS; i++) {
        char text[16];
        size_t room;
        int n = snprintf(text, sizeof(text), "down %u", i);
        server_say(fds[i], text, (size_t)n);
        n = snprintf(text, sizeof(text), "up %u", i);
        assert_int_equal(write_flow(i, text, (size_t)n, &room), n);
    }
    told_count = 0;
    dispatch();
    assert_int_equal(told_count, FLOWS);
    for (uint32_t i = 1; i <= FLOWS; i++) {
        char want[16], got[16] = "";
        snprintf(want, sizeof(want), "down %u", i);
        assert_int_equal(read_flow(i, got, sizeof(got)), strlen(want));
        assert_string_equal(got, want);
        memset(got, 0, sizeof(got));
        snprintf(want, sizeof(want), "up %u", i);
        assert_int_equal(recv(fds[i], got, sizeof(got), 0), strlen(want));
        assert_string_equal(got, want);
        socks_upstream_release(up, flow(i), TCP_RELEASE_CLOSE);
        assert_int_equal(recv(fds[i], got, 1, 0), 0);
        close(fds[i]);
    }
}

static void a_dispatch_keeps_to_its_budget(void **state)
{
    (void)state;
    int fds[10];
    start();
    for (uint32_t i = 0; i < 10; i++)
        fds[i] = open_answered(i + 1);
    dispatch();
    for (uint32_t i = 0; i < 10; i++)
        SAY(fds[i], "x");
    assert_int_equal(socks_upstream_dispatch(up, 4, now), 4);
    assert_int_equal(told_count, 4);
    assert_int_equal(socks_upstream_dispatch(up, 4, now), 4);
    assert_int_equal(socks_upstream_dispatch(up, 4, now), 2);
    assert_int_equal(told_count, 10);
    for (unsigned i = 0; i < 10; i++)
        close(fds[i]);
}

static struct tcp_flow_id reborn;

/* On the first event, both flows end, and their slots are taken by new ones. */
static void replace_both(struct tcp_flow_id id)
{
    (void)id;
    on_readable = NULL;
    for (uint32_t i = 1; i <= 2; i++) {
        struct tcp_tuple tuple = tuple_of(7000);
        socks_upstream_release(up, flow(i), TCP_RELEASE_ABORT);
        reborn = (struct tcp_flow_id){i, 9000 + i};
        assert_int_equal(socks_upstream_open(up, reborn, &tuple, 3, now), 0);
    }
}

static void an_event_of_a_flow_that_is_gone_does_not_reach_the_next_in_its_slot(void **state)
{
    (void)state;
    start();
    int fds[2] = {open_answered(1), open_answered(2)};
    dispatch();
    SAY(fds[0], "x");
    SAY(fds[1], "x");
    on_readable = replace_both;
    dispatch();
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0].kind, READABLE);

    /* The old id means nothing any more, the new one everything. */
    char byte;
    size_t room;
    struct iovec iov = {&byte, 1};
    assert_int_equal(read_flow(2, &byte, 1), -EBADF);
    assert_int_equal(write_flow(2, "x", 1, &room), -EBADF);
    socks_upstream_release(up, flow(2), TCP_RELEASE_ABORT);
    assert_int_equal(socks_upstream_read(up, reborn, &iov, 1), -EAGAIN);
    close(fds[0]);
    close(fds[1]);
}

static void after_release_nothing_is_told(void **state)
{
    (void)state;
    start();
    int fd = open_answered(1);
    SAY(fd, "x");
    socks_upstream_release(up, flow(1), TCP_RELEASE_CLOSE);
    assert_int_equal(dispatch(), 0);
    assert_int_equal(told_count, 0);
    char data[8];
    assert_true(recv(fd, data, sizeof(data), 0) <= 0);
    close(fd);
}

static void an_id_that_names_nothing_is_harmless(void **state)
{
    (void)state;
    start();
    size_t room;
    struct iovec iov = {&room, 1};
    static const struct tcp_flow_id odd[] = {{0, 0}, {1, 1}, {FLOWS_MAX + 1, 1}, {UINT32_MAX, 1}};
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        assert_int_equal(socks_upstream_read(up, odd[i], &iov, 1), -EBADF);
        assert_int_equal(socks_upstream_write(up, odd[i], &iov, 1, &room), -EBADF);
        socks_upstream_release(up, odd[i], TCP_RELEASE_CLOSE);
    }
    struct tcp_tuple tuple = tuple_of(1);
    assert_int_equal(socks_upstream_open(up, id_none(), &tuple, 0, now), -EINVAL);
    assert_int_equal(done_count, 0);
}

static void the_state_of_a_stream_can_be_looked_at(void **state)
{
    (void)state;
    start();
    struct socks_stream_info info;
    assert_false(socks_upstream_look(up, flow(1), &info));
    assert_int_equal(open_flow(1), 0);
    assert_true(socks_upstream_look(up, flow(1), &info));
    assert_string_equal(info.state, "waiting");
    int fd = server_take();
    SAY(fd, ANSWER_SHORT);
    dispatch();
    assert_true(socks_upstream_look(up, flow(1), &info));
    assert_string_equal(info.state, "open");
    close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_whole_request_arrives_in_one_piece),
        T(opening_tells_the_engine_nothing_by_itself),
        T(the_target_may_be_a_name),
        T(a_target_that_is_refused_is_counted_and_not_opened),
        T(the_owner_of_a_target_learns_when_it_is_over),
        T(each_source_port_is_an_identity_for_a_while),
        T(a_missing_listener_is_said_at_once),
        T(a_bad_configuration_is_refused),
        T(running_out_of_descriptors_is_no_room),
        T(an_answer_may_come_byte_by_byte),
        T(what_comes_in_one_piece_with_the_answer_belongs_to_the_stream),
        T(every_code_refuses_the_flow_as_the_table_says),
        T(an_end_before_the_answer_is_complete_fails_the_flow),
        T(nonsense_fails_the_flow),
        T(a_full_backlog_makes_flows_wait_in_order),
        T(a_newcomer_does_not_overtake_who_waits),
        T(no_more_flows_wait_than_there_is_room_for),
        T(who_waits_for_a_listener_that_goes_away_fails),
        T(early_data_follows_the_request_before_there_is_an_answer),
        T(early_data_of_a_flow_that_waits_is_asked_for_later),
        T(the_end_of_the_stream_comes_after_its_data),
        T(an_end_that_comes_after_the_data_was_read_is_told),
        T(what_comes_between_two_reads_is_not_lost),
        T(a_read_of_less_than_there_is_leaves_the_rest),
        T(a_reset_comes_after_the_data),
        T(writing_to_a_stream_that_ended_is_an_error),
        T(a_full_stream_says_so_and_tells_when_it_has_room_again),
        T(a_promise_used_up_is_renewed_by_an_event),
        T(what_is_promised_is_taken),
        T(the_send_buffer_can_be_chosen),
        T(a_thousand_flows_are_kept_apart),
        T(a_dispatch_keeps_to_its_budget),
        T(an_event_of_a_flow_that_is_gone_does_not_reach_the_next_in_its_slot),
        T(after_release_nothing_is_told),
        T(an_id_that_names_nothing_is_harmless),
        T(the_state_of_a_stream_can_be_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
