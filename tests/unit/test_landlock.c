/* SPDX-License-Identifier: BSD-3-Clause */
/* Landlock, looked at from inside, by a child for each look. Skipped on a kernel without it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/landlock.h"

#define SKIPPED 77

static char directory[] = "/tmp/cloister-test-landlock-XXXXXX";
static char file[64], path[64];
static long version;

/* Run `look` in a child that has denied itself `deny`; it returns 0, or the line where something was not as it should
 * be. */
static void expect_inside(unsigned deny, int (*look)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || landlock_lock(deny) != 0)
            _exit(255);
        int line = look();
        if (line != 0)
            fprintf(stderr, "line %d: %s\n", line, strerror(errno));
        _exit(line != 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define CHECK(what)                                                                                                \
    do {                                                                                                           \
        if (!(what))                                                                                               \
            return __LINE__;                                                                                       \
    } while (0)

static int files_are_shut(void)
{
    CHECK(open(file, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
    CHECK(open(file, O_WRONLY | O_CLOEXEC) < 0 && errno == EACCES);
    CHECK(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 && errno == EACCES);
    CHECK(unlink(file) < 0 && errno == EACCES);
    CHECK(mkdir(path, 0700) < 0 && errno == EACCES);
    execl("/bin/true", "true", NULL);
    CHECK(errno == EACCES);
    return 0;
}

static void no_file_can_be_opened_made_removed_or_run(void **state)
{
    (void)state;
    expect_inside(LANDLOCK_DENY_READING | LANDLOCK_DENY_WRITING, files_are_shut);
}

static int reading_is_left(void)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(open(file, O_WRONLY | O_CLOEXEC) < 0 && errno == EACCES);
    CHECK(mkdir(path, 0700) < 0 && errno == EACCES);
    return 0;
}

static void reading_can_be_left(void **state)
{
    (void)state;
    expect_inside(LANDLOCK_DENY_WRITING, reading_is_left);
}

static int tcp_is_shut(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(1), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(s >= 0);
    CHECK(bind(s, (struct sockaddr *)&any, sizeof(any)) < 0 && errno == EACCES);
    CHECK(connect(s, (struct sockaddr *)&any, sizeof(any)) < 0 && errno == EACCES);
    return 0;
}

static void no_tcp_socket_can_be_bound_or_connected(void **state)
{
    (void)state;
    if (version < 4)
        skip();
    expect_inside(LANDLOCK_DENY_TCP, tcp_is_shut);
}

static int pathname_sockets_are_open(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
    CHECK(s >= 0 && connect(s, (struct sockaddr *)&address, sizeof(address)) == 0);
    return 0;
}

static void a_pathname_socket_can_still_be_reached(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)state;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s >= 0);
    assert_int_equal(bind(s, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(s, 1), 0);
    expect_inside(LANDLOCK_DENY_READING | LANDLOCK_DENY_WRITING | LANDLOCK_DENY_TCP | LANDLOCK_DENY_OUTSIDE |
                      LANDLOCK_DENY_SIGNALS,
                  pathname_sockets_are_open);
    close(s);
    unlink(address.sun_path);
}

static int others_are_out_of_reach(void)
{
    CHECK(kill(getppid(), 0) < 0 && errno == EPERM);
    CHECK(kill(getpid(), 0) == 0);
    return 0;
}

static void no_process_outside_can_be_sent_a_signal(void **state)
{
    (void)state;
    if (version < 6)
        skip();
    expect_inside(LANDLOCK_DENY_SIGNALS, others_are_out_of_reach);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(file, sizeof(file), "%s/file", directory);
    snprintf(path, sizeof(path), "%s/new", directory);
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_file_can_be_opened_made_removed_or_run),
        cmocka_unit_test(reading_can_be_left),
        cmocka_unit_test(no_tcp_socket_can_be_bound_or_connected),
        cmocka_unit_test(a_pathname_socket_can_still_be_reached),
        cmocka_unit_test(no_process_outside_can_be_sent_a_signal),
    };
    version = syscall(444, NULL, 0, 1u);
    if (version < 0) {
        fprintf(stderr, "skipped: the kernel has no Landlock\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
