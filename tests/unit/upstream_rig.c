/* SPDX-License-Identifier: BSD-3-Clause */
#include "upstream_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "socks/directory.h"

struct told told[4 * FLOWS_MAX];
unsigned told_count;
void (*on_readable)(struct tcp_flow_id id);
static struct tcp_engine *const engine = (struct tcp_engine *)&told;

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
char socket_path[96];
int listener;

void server_listen(int backlog)
{
    struct sockaddr_un address;
    assert_int_equal(socks_path_address(socket_path, &address), 0);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, backlog), 0);
}

void server_end(void)
{
    if (listener >= 0)
        close(listener);
    listener = -1;
    unlink(socket_path);
}

int server_accept(uint8_t request[SOCKS_REQUEST_MAX], ssize_t *len)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(fd >= 0);
    *len = recv(fd, request, SOCKS_REQUEST_MAX, 0);
    return fd;
}

int server_take(void)
{
    uint8_t request[SOCKS_REQUEST_MAX];
    ssize_t len;
    int fd = server_accept(request, &len);
    assert_true(len > 0);
    return fd;
}

void server_say(int fd, const void *data, size_t n)
{
    assert_int_equal(send(fd, data, n, MSG_NOSIGNAL), n);
}

size_t server_drain(int fd)
{
    static uint8_t data[1 << 16];
    size_t total = 0;
    ssize_t n;
    while ((n = recv(fd, data, sizeof(data), 0)) > 0)
        total += (size_t)n;
    return total;
}

/* --- the upstream under test --- */

struct socks_upstream *up;
struct socks_upstream_config config;
struct drops drops;
uint64_t clock_now;
uint32_t done_tags[2 * FLOWS_MAX];
unsigned done_count;

static void on_done(void *ctx, uint32_t tag)
{
    (void)ctx;
    done_tags[done_count++] = tag;
}

void rig_start(void)
{
    assert_int_equal(socks_upstream_new(&up, &config), 0);
    socks_upstream_attach(up, engine);
}

int rig_setup(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/cloister-upstream-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(socket_path, sizeof(socket_path), "%s/socks", directory);
    config = (struct socks_upstream_config){
        .path = socket_path,
        .max_flows = FLOWS_MAX,
        .isolation = ISOLATION_WORKSTATION | ISOLATION_SOURCE_ADDRESS | ISOLATION_SOURCE_PORT,
        .secret = "a secret secret",
        .drops = &drops,
        .done = on_done,
    };
    memset(&drops, 0, sizeof(drops));
    told_count = done_count = 0;
    on_readable = NULL;
    clock_now = 1000000;
    server_listen(128);
    return 0;
}

int rig_teardown(void **state)
{
    (void)state;
    socks_upstream_free(up);
    up = NULL;
    server_end();
    return rmdir(directory);
}

struct tcp_flow_id flow(uint32_t index)
{
    return (struct tcp_flow_id){index, 70 + index};
}

struct tcp_tuple tuple_of(uint16_t src_port)
{
    return (struct tcp_tuple){
        .src = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 152, 152, 11}},
        .dst = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 5}},
        .src_port = src_port,
        .dst_port = 443,
    };
}

int open_flow(uint32_t index)
{
    struct tcp_tuple tuple = tuple_of((uint16_t)(40000 + index));
    return socks_upstream_open(up, flow(index), &tuple, 3, clock_now);
}

int dispatch(void)
{
    return socks_upstream_dispatch(up, 10000, clock_now);
}

int open_answered(uint32_t index)
{
    assert_int_equal(open_flow(index), 0);
    int fd = server_take();
    SAY(fd, ANSWER_SHORT);
    dispatch();
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0].kind, CONNECTED);
    told_count = 0;
    return fd;
}

ssize_t write_flow(uint32_t index, const void *data, size_t n, size_t *room)
{
    struct iovec iov = {(void *)(uintptr_t)data, n};
    return socks_upstream_write(up, flow(index), &iov, 1, room);
}

ssize_t read_flow(uint32_t index, void *data, size_t n)
{
    struct iovec iov = {data, n};
    return socks_upstream_read(up, flow(index), &iov, 1);
}

ssize_t read_until(uint32_t index, void *data, size_t size, size_t piece, size_t *n)
{
    ssize_t got = 1;
    for (*n = 0; got > 0 && *n<size; *n += got> 0 ? (size_t)got : 0)
        got = read_flow(index, (uint8_t *)data + *n, piece < size - *n ? piece : size - *n);
    return got > 0 ? 1 : got;
}

void assert_told(unsigned i, enum kind kind, uint32_t index)
{
    assert_true(i < told_count);
    assert_int_equal(told[i].kind, kind);
    assert_int_equal(told[i].id.index, index);
    assert_int_equal(told[i].id.generation, flow(index).generation);
}

void allow_descriptors(unsigned n)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < n) {
        limit.rlim_cur = n < limit.rlim_max ? n : limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
}
