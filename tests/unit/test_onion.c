/* SPDX-License-Identifier: BSD-3-Clause */
/* Visitors of onion services, from the connection to whoever opens a flow for them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "socks/onion.h"

#define PORTS 3u
#define SECOND UINT64_C(1000000)
#define LINE "PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 2 80\r\n"

static struct onion *onion;
static char directory[] = "/tmp/cloister-test-onion-XXXXXX";
static uint64_t now;

/* What visit() was told, and what it says. */
static struct onion_visitor visitors[1024];
static unsigned visits;
static int answer;

static int visit(void *ctx, const struct onion_visitor *visitor, uint64_t at)
{
    assert_ptr_equal(ctx, &visits);
    assert_int_equal(at, now);
    assert_true(visits < 1024);
    visitors[visits++] = *visitor;
    return answer;
}

static void path_of(uint32_t port, struct sockaddr_un *out)
{
    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    snprintf(out->sun_path, sizeof(out->sun_path), "%s/%u", directory, port);
}

/* Three ports; the last has circuits. */
static int start(void **state)
{
    (void)state;
    struct onion_config config = {.ports = PORTS, .visit = visit, .ctx = &visits};
    for (uint32_t i = 0; i < PORTS; i++) {
        struct sockaddr_un address;
        path_of(i, &address);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(fd, 1024), 0);
        config.port[i].listener = fd;
        config.port[i].circuits = i == PORTS - 1;
    }
    visits = 0;
    answer = 0;
    now = SECOND;
    return onion_new(&onion, &config);
}

static int stop(void **state)
{
    (void)state;
    onion_free(onion);
    for (uint32_t i = 0; i < PORTS; i++) {
        struct sockaddr_un address;
        path_of(i, &address);
        unlink(address.sun_path);
    }
    return 0;
}

static int come(uint32_t port)
{
    struct sockaddr_un address;
    path_of(port, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void hear(void)
{
    assert_int_equal(onion_hear(onion, now), 0);
}

static bool is_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void a_visitor_is_told_with_its_port(void **state)
{
    (void)state;
    int fd = come(1);
    hear();
    assert_int_equal(visits, 1);
    assert_int_equal(visitors[0].port, 1);
    assert_int_equal(visitors[0].circuit, 0);
    assert_int_equal(send(visitors[0].fd, "hi", 2, 0), 2);
    char word[4];
    assert_int_equal(recv(fd, word, sizeof(word), 0), 2);
    close(visitors[0].fd); /* it was taken over */
    uint64_t at;
    assert_false(onion_next(onion, &at));
    close(fd);
}

static void one_whose_workstation_is_not_there_yet_waits(void **state)
{
    (void)state;
    answer = -EAGAIN;
    int fd = come(0);
    hear();
    assert_int_equal(visits, 1);
    uint64_t at;
    assert_true(onion_next(onion, &at));
    assert_true(at > now && at <= now + SECOND);
    now = at;
    onion_poll(onion, now);
    assert_int_equal(visits, 2);
    assert_int_equal(visitors[1].fd, visitors[0].fd);
    assert_false(is_closed(fd));
    answer = 0;
    onion_poll(onion, now);
    onion_poll(onion, now);
    assert_int_equal(visits, 3);
    close(visitors[0].fd);
    close(fd);
}

static void one_who_is_not_wanted_is_turned_away_at_once(void **state)
{
    (void)state;
    answer = -EHOSTUNREACH;
    int fd = come(0);
    hear();
    assert_true(is_closed(fd));
    close(fd);
}

static void a_circuits_number_comes_first(void **state)
{
    (void)state;
    int fd = come(2);
    hear();
    assert_int_equal(visits, 0);
    for (size_t i = 0; i < sizeof(LINE) - 1; i++) {
        assert_int_equal(visits, 0);
        assert_int_equal(send(fd, &LINE[i], 1, 0), 1);
        hear();
    }
    assert_int_equal(visits, 1);
    assert_int_equal(visitors[0].circuit, 0x10002);
    close(visitors[0].fd);
    close(fd);
}

static void the_stream_begins_behind_the_line(void **state)
{
    (void)state;
    int fd = come(2);
    assert_int_equal(send(fd, LINE "payload", sizeof(LINE) + 6, 0), sizeof(LINE) + 6);
    hear(); /* the connection */
    hear(); /* the line */
    assert_int_equal(visits, 1);
    char data[16];
    assert_int_equal(recv(visitors[0].fd, data, sizeof(data), 0), 7);
    assert_memory_equal(data, "payload", 7);
    close(visitors[0].fd);
    close(fd);
}

static void what_is_no_line_and_what_does_not_come_are_turned_away(void **state)
{
    (void)state;
    int wrong = come(2), gone = come(2), silent = come(2);
    assert_int_equal(send(wrong, "GET /", 5, 0), 5);
    close(gone);
    hear();
    hear();
    assert_true(is_closed(wrong));
    assert_int_equal(onion_counters(onion)->malformed, 2);
    assert_false(is_closed(silent));
    uint64_t at;
    assert_true(onion_next(onion, &at));
    now = at - 1;
    onion_poll(onion, now);
    assert_false(is_closed(silent));
    now = at;
    onion_poll(onion, now);
    assert_true(is_closed(silent));
    assert_int_equal(onion_counters(onion)->malformed, 3);
    assert_int_equal(visits, 0);
    assert_false(onion_next(onion, &at));
    close(wrong);
    close(silent);
}

static void no_port_takes_all_the_room(void **state)
{
    (void)state;
    static int fds[ONION_WAITING_MAX];
    answer = -EAGAIN;
    for (uint32_t i = 0; i < ONION_WAITING_MAX; i++)
        fds[i] = come(0);
    for (unsigned i = 0; i < 8; i++)
        hear();
    assert_int_equal(onion_counters(onion)->accepted, ONION_WAITING_MAX);
    assert_int_equal(onion_counters(onion)->crowded, ONION_WAITING_MAX / 2);
    assert_false(is_closed(fds[ONION_WAITING_MAX / 2 - 1]));
    assert_true(is_closed(fds[ONION_WAITING_MAX / 2]));
    int other = come(1);
    hear();
    assert_false(is_closed(other));
    /* All of them are let go of. */
    answer = -ECONNREFUSED;
    onion_poll(onion, now);
    assert_true(is_closed(fds[0]));
    assert_true(is_closed(other));
    for (uint32_t i = 0; i < ONION_WAITING_MAX; i++)
        close(fds[i]);
    close(other);
}

static void ports_that_are_flooded_leave_room_for_another(void **state)
{
    (void)state;
    static int fds[2][ONION_WAITING_MAX];
    answer = -EAGAIN;
    for (uint32_t i = 0; i < ONION_WAITING_MAX; i++) {
        fds[0][i] = come(0);
        fds[1][i] = come(1);
    }
    for (unsigned i = 0; i < 8; i++)
        hear();
    assert_int_equal(onion_counters(onion)->accepted, 2 * ONION_WAITING_MAX);
    int other = come(2);
    hear();
    assert_false(is_closed(other));
    /* When one of them is let go of, so is its room. */
    answer = -ECONNREFUSED;
    onion_poll(onion, now);
    answer = -EAGAIN;
    for (uint32_t i = 0; i < ONION_WAITING_MAX; i++) {
        close(fds[0][i]);
        close(fds[1][i]);
    }
    int last = come(0);
    hear();
    assert_false(is_closed(last));
    close(last);
    close(other);
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(void)
{
#define ONION_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        ONION_TEST(a_visitor_is_told_with_its_port),
        ONION_TEST(one_whose_workstation_is_not_there_yet_waits),
        ONION_TEST(one_who_is_not_wanted_is_turned_away_at_once),
        ONION_TEST(a_circuits_number_comes_first),
        ONION_TEST(the_stream_begins_behind_the_line),
        ONION_TEST(what_is_no_line_and_what_does_not_come_are_turned_away),
        ONION_TEST(no_port_takes_all_the_room),
        ONION_TEST(ports_that_are_flooded_leave_room_for_another),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
