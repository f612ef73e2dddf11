/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socks/room.h"

static int pair[2];
static uint32_t capacity;

static int open_pair(void **state)
{
    (void)state;
    int size = 0;
    socklen_t len = sizeof(size);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0 ||
        getsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, &len) < 0)
        return -1;
    capacity = (uint32_t)size;
    return 0;
}

static int close_pair(void **state)
{
    (void)state;
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static uint32_t charged(void)
{
    int n = 0;
    assert_int_equal(ioctl(pair[0], SIOCOUTQ, &n), 0);
    return (uint32_t)n;
}

static void put(size_t n)
{
    static const uint8_t data[1 << 17];
    assert_int_equal(send(pair[0], data, n, MSG_NOSIGNAL), n);
}

static void drain(void)
{
    static uint8_t sink[1 << 17];
    while (recv(pair[1], sink, sizeof(sink), 0) > 0)
        ;
}

/* With a capacity that is never half used the kernel is never asked, and the estimate must stand by itself. */
static void the_estimate_is_never_below_what_the_kernel_charges(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 120000; n = n < 9000 ? n + 1 : n + 997) {
        struct socks_room room = {0};
        put(n);
        socks_room_wrote(&room, UINT32_MAX, pair[0], n);
        if (room.used < charged())
            fail_msg("%zu bytes cost %u, thought %u", n, charged(), room.used);
        drain();
    }
}

static void the_estimate_is_not_far_above_it_either(void **state)
{
    (void)state;
    static const size_t sizes[] = {536, 1448, 2896, 16384, 65160, 120000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct socks_room room = {0};
        put(sizes[i]);
        socks_room_wrote(&room, UINT32_MAX, pair[0], sizes[i]);
        assert_true(room.used <= 2 * charged());
        drain();
    }
}

static void the_kernel_is_asked_when_half_is_used(void **state)
{
    (void)state;
    struct socks_room room = {0};
    while (room.used <= capacity / 2) {
        put(1);
        uint32_t before = room.used;
        socks_room_wrote(&room, capacity, pair[0], 1);
        if (room.used < before + 1024) /* it was: the truth is less than the estimate */
            break;
    }
    assert_int_equal(room.used, charged());
    assert_int_equal(room.low, room.used > capacity / 4);
}

static void an_edge_is_waited_for_only_if_it_is_sure_to_come(void **state)
{
    (void)state;
    struct socks_room room = {0};
    assert_false(socks_room_drained(&room, capacity));
    put(1000);
    socks_room_wrote(&room, capacity, pair[0], 1000);
    assert_false(room.low);
    assert_false(socks_room_drained(&room, capacity));
    socks_room_filled(&room, capacity);
    assert_true(room.low);
    assert_int_equal(socks_room_left(&room, capacity), 0);
    assert_true(socks_room_drained(&room, capacity));
    assert_false(room.low);
    assert_int_equal(socks_room_left(&room, capacity), (capacity - capacity / 4) / 2);
}

/* The other end drained the socket since: what was asked for shows that, and no edge would come any more. */
static void a_socket_that_was_drained_meanwhile_is_not_low(void **state)
{
    (void)state;
    struct socks_room room = {.used = capacity / 2, .low = true};
    put(1000);
    socks_room_wrote(&room, capacity, pair[0], 1000);
    assert_false(room.low);
    assert_int_equal(room.used, charged());
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
    const struct CMUnitTest tests[] = {
        T(the_estimate_is_never_below_what_the_kernel_charges),
        T(the_estimate_is_not_far_above_it_either),
        T(the_kernel_is_asked_when_half_is_used),
        T(an_edge_is_waited_for_only_if_it_is_sure_to_come),
        T(a_socket_that_was_drained_meanwhile_is_not_low),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
