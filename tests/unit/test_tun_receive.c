/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading frames in batches, from a datagram socket in place of a TAP. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tun/device.h"
#include "tun/frame.h"
#include "tun/receive.h"

struct scene {
    struct receive receive;
    int ours, theirs;
};

static int start(void **state)
{
    static struct scene scene;
    int fd[2];
    int room = 4 << 20;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    scene.ours = fd[0];
    scene.theirs = fd[1];
    setsockopt(scene.theirs, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    assert_int_equal(receive_init(&scene.receive, RECEIVE_BYTES), 0);
    *state = &scene;
    return 0;
}

static int stop(void **state)
{
    struct scene *scene = *state;
    receive_fini(&scene->receive);
    close(scene->ours);
    if (scene->theirs >= 0)
        close(scene->theirs);
    return 0;
}

/* Send a frame of `n` bytes, all of them `mark`. */
static int send_marked(struct scene *scene, size_t n, uint8_t mark)
{
    static uint8_t data[FRAME_MAX];
    memset(data, mark, n);
    const struct iovec iov[2] = {{data, n / 2}, {data + n / 2, n - n / 2}};
    return device_send(scene->theirs, iov, 2);
}

static void expect_marked(const struct bytes *frame, size_t n, uint8_t mark)
{
    assert_int_equal(frame->left, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(frame->at[i], mark);
}

static void nothing_to_read_is_an_empty_batch(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(receive_batch(&scene->receive, scene->ours), 0);
    assert_int_equal(scene->receive.count, 0);
}

static void frames_of_a_batch_lie_side_by_side_untouched(void **state)
{
    struct scene *scene = *state;
    static const size_t lengths[] = {60, 1514, 65559, 1, 24, 63, 64, 65};
    for (uint8_t i = 0; i < 8; i++)
        assert_int_equal(send_marked(scene, lengths[i], (uint8_t)(i + 1)), 0);
    assert_int_equal(receive_batch(&scene->receive, scene->ours), 8);
    for (uint8_t i = 0; i < 8; i++) {
        expect_marked(&scene->receive.frame[i], lengths[i], (uint8_t)(i + 1));
        assert_int_equal((uintptr_t)scene->receive.frame[i].at % 64, 0);
    }
    assert_int_equal(receive_batch(&scene->receive, scene->ours), 0);
}

static void a_batch_ends_where_the_buffer_might_not_hold_one_more(void **state)
{
    struct scene *scene = *state;
    unsigned sent = 0;
    while (sent < 20 && send_marked(scene, FRAME_MAX, 7) == 0)
        sent++;
    assert_true(sent > RECEIVE_BYTES / FRAME_MAX);
    int first = receive_batch(&scene->receive, scene->ours);
    assert_int_equal(first, RECEIVE_BYTES / FRAME_MAX);
    expect_marked(&scene->receive.frame[first - 1], FRAME_MAX, 7);
    unsigned got = (unsigned)first;
    int n;
    while ((n = receive_batch(&scene->receive, scene->ours)) > 0)
        got += (unsigned)n;
    assert_int_equal(got, sent);
}

static void a_batch_has_a_greatest_number_of_frames(void **state)
{
    struct scene *scene = *state;
    int fd[2];
    const struct iovec iov = {"frame", 5};
    assert_int_equal(pipe2(fd, O_DIRECT | O_NONBLOCK | O_CLOEXEC), 0); /* one read, one write's bytes */
    assert_true(fcntl(fd[1], F_SETPIPE_SZ, 1 << 20) > 0);
    for (unsigned i = 0; i < RECEIVE_FRAMES + 10; i++)
        assert_int_equal(device_send(fd[1], &iov, 1), 0);
    assert_int_equal(receive_batch(&scene->receive, fd[0]), RECEIVE_FRAMES);
    assert_int_equal(receive_batch(&scene->receive, fd[0]), 10);
    close(fd[0]);
    close(fd[1]);
}

static void a_device_that_is_gone_is_an_error(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(receive_batch(&scene->receive, -1), -EBADF);
}

static void a_buffer_too_small_for_one_frame_is_refused(void **state)
{
    (void)state;
    struct receive receive;
    assert_int_equal(receive_init(&receive, FRAME_MAX - 1), -EINVAL);
    assert_int_equal(receive_init(&receive, FRAME_MAX), 0);
    receive_fini(&receive);
}

static void settling_gives_the_pages_back(void **state)
{
    struct scene *scene = *state;
    send_marked(scene, 5000, 9);
    assert_int_equal(receive_batch(&scene->receive, scene->ours), 1);
    const uint8_t *at = scene->receive.frame[0].at;
    assert_int_equal(at[0], 9);
    receive_settle(&scene->receive);
    assert_int_equal(scene->receive.count, 0);
    assert_int_equal(at[0], 0); /* a page that was given back reads as zeros */
    assert_int_equal(at[4999], 0);
}

static void a_full_queue_is_reported_to_the_sender(void **state)
{
    struct scene *scene = *state;
    int err;
    unsigned sent = 0;
    while ((err = send_marked(scene, 60, 1)) == 0)
        assert_true(++sent < 1000000);
    assert_int_equal(err, -EAGAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_to_read_is_an_empty_batch, start, stop),
        cmocka_unit_test_setup_teardown(frames_of_a_batch_lie_side_by_side_untouched, start, stop),
        cmocka_unit_test_setup_teardown(a_batch_ends_where_the_buffer_might_not_hold_one_more, start, stop),
        cmocka_unit_test_setup_teardown(a_batch_has_a_greatest_number_of_frames, start, stop),
        cmocka_unit_test_setup_teardown(a_device_that_is_gone_is_an_error, start, stop),
        cmocka_unit_test(a_buffer_too_small_for_one_frame_is_refused),
        cmocka_unit_test_setup_teardown(settling_gives_the_pages_back, start, stop),
        cmocka_unit_test_setup_teardown(a_full_queue_is_reported_to_the_sender, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
