/* SPDX-License-Identifier: BSD-3-Clause */
/* The gateway's cell, looked at from inside. Needs root; without it, skipped. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/channel.h"
#include "daemon/privileges.h"
#include "daemon/sandbox.h"

#define SKIPPED 77
#define UID 60899u
#define GID 60898u
#define FLOWS 100u

static char directory[] = "/tmp/cloister-test-sandbox-XXXXXX";
static int listener = -1;

/* Run `look` inside of a cell, in a child. It returns 0, or the number of the line that failed. */
static void expect_inside(int (*look)(void))
{
    int ends[2];
    assert_int_equal(channel_pair(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const char *step = "";
        struct sandbox_config config = {
            .identity = {.uid = UID, .gid = GID},
            .directory = directory,
            .descriptors = FLOWS,
            .channel = ends[1],
        };
        close(ends[0]);
        int status = sandbox_enter(&config, &step);
        if (status == 0)
            status = sandbox_check(&step); /* sandbox_lock() would leave us no calls to look around with */
        if (status != 0) {
            fprintf(stderr, "%s: %s\n", step, strerror(-status));
            _exit(255);
        }
        int line = look();
        if (line != 0)
            fprintf(stderr, "line %d: %s\n", line, strerror(errno));
        _exit(line != 0);
    }
    close(ends[1]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(ends[0]);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define CHECK(what)                                                                                                \
    do {                                                                                                           \
        if (!(what))                                                                                               \
            return __LINE__;                                                                                       \
    } while (0)

static int look_for_network(void)
{
    struct if_nameindex *list = if_nameindex();
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(list != NULL && s >= 0);
    for (; list->if_index != 0; list++) {
        struct ifreq ifr = {0};
        strncpy(ifr.ifr_name, list->if_name, IFNAMSIZ - 1);
        CHECK(ioctl(s, SIOCGIFFLAGS, &ifr) == 0);
        CHECK((ifr.ifr_flags & IFF_UP) == 0);
        ifr.ifr_flags |= IFF_UP;
        CHECK(ioctl(s, SIOCSIFFLAGS, &ifr) != 0 && errno == EPERM);
    }
    CHECK(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
    CHECK(socket(AF_INET, SOCK_RAW, 1) < 0 && errno == EPERM);
    return 0;
}

static void there_is_no_interface_that_is_up_or_could_be(void **state)
{
    (void)state;
    expect_inside(look_for_network);
}

static int look_at_root(void)
{
    struct stat st;
    DIR *root = opendir("/");
    CHECK(root != NULL);
    unsigned entries = 0;
    for (struct dirent *e; (e = readdir(root)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        CHECK(strcmp(e->d_name, "socks") == 0);
        entries++;
    }
    CHECK(entries == 1);
    CHECK(stat("/proc/self", &st) != 0 && stat("/etc/passwd", &st) != 0 && stat("/dev/null", &st) != 0);
    CHECK(stat("/../etc", &st) != 0 && stat(directory, &st) != 0);
    CHECK(mkdir("/x", 0700) != 0 && errno == EROFS);
    CHECK(open(SANDBOX_DIRECTORY "/file", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS);
    CHECK(unlink(SANDBOX_DIRECTORY "/socks") != 0);
    char cwd[64];
    CHECK(getcwd(cwd, sizeof(cwd)) != NULL && strcmp(cwd, "/") == 0);
    return 0;
}

static void the_root_is_empty_but_for_the_socket_directory_and_read_only(void **state)
{
    (void)state;
    expect_inside(look_at_root);
}

static int reach_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SANDBOX_DIRECTORY "/socks"};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(s >= 0);
    CHECK(connect(s, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(write(s, "x", 1) == 1);
    return 0;
}

static void the_socket_can_be_reached(void **state)
{
    char c = 0;
    (void)state;
    expect_inside(reach_socket);
    int s = accept(listener, NULL, NULL);
    assert_true(s >= 0);
    assert_int_equal(read(s, &c, 1), 1);
    assert_int_equal(c, 'x');
    close(s);
}

static int look_at_privileges(void)
{
    uid_t r, e, s;
    gid_t groups[8];
    CHECK(getresuid(&r, &e, &s) == 0 && r == UID && e == UID && s == UID);
    CHECK(getresgid(&r, &e, &s) == 0 && r == GID && e == GID && s == GID);
    CHECK(getgroups(8, groups) == 0);
    CHECK(privileges_are_none());
    CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    CHECK(setuid(0) != 0 && setgid(0) != 0);
    int signal = 0;
    CHECK(prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0) == 0 && signal == SIGKILL);
    CHECK(unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWNS) != 0);
    CHECK(mount("x", "/", "tmpfs", 0, NULL) != 0 && errno == EPERM);
    CHECK(umount2(SANDBOX_DIRECTORY, MNT_DETACH) != 0 && errno == EPERM);
    CHECK(chroot("/socks") != 0 && errno == EPERM);
    return 0;
}

static void no_privilege_is_left_and_none_can_be_had(void **state)
{
    (void)state;
    expect_inside(look_at_privileges);
}

static int look_at_limits(void)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);
    CHECK(getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_max == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= FLOWS && limit.rlim_cur < FLOWS + 64);
    CHECK(fork() < 0 && errno == EAGAIN);
    unsigned open_ones = 0;
    while (dup(STDIN_FILENO) >= 0)
        open_ones++;
    CHECK(errno == EMFILE && open_ones >= FLOWS);
    return 0;
}

static void descriptors_are_bounded_and_processes_are_none(void **state)
{
    (void)state;
    expect_inside(look_at_limits);
}

static int look_at_name(void)
{
    struct utsname uts;
    CHECK(uname(&uts) == 0 && strcmp(uts.nodename, "cloister") == 0);
    return 0;
}

static void the_host_name_is_not_to_be_seen(void **state)
{
    (void)state;
    expect_inside(look_at_name);
}

/* The whole of it: the key turned, the socket reached, and then a call that was not declared. */
static void behind_the_locked_door_only_the_socket_can_be_opened(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(channel_pair(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const char *step = "";
        struct sandbox_config config = {
            .identity = {.uid = UID, .gid = GID},
            .directory = directory,
            .descriptors = FLOWS,
            .channel = ends[1],
        };
        close(ends[0]);
        if (sandbox_enter(&config, &step) != 0 || sandbox_lock(&step) != 0)
            _exit(255);
        struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SANDBOX_DIRECTORY "/socks"};
        int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (s < 0 || connect(s, (struct sockaddr *)&address, sizeof(address)) != 0 || send(s, "y", 1, 0) != 1)
            _exit(254);
        socket(AF_INET, SOCK_STREAM, 0);
        _exit(0);
    }
    close(ends[1]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(ends[0]);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
    int s = accept(listener, NULL, NULL);
    char c = 0;
    assert_true(s >= 0);
    assert_int_equal(read(s, &c, 1), 1);
    assert_int_equal(c, 'y');
    close(s);
}

/* Something in the root, a door that is open: what the check is there to see. */
static void what_should_not_be_there_is_seen(void **state)
{
    (void)state;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const char *step = "";
        int first = sandbox_check(&step); /* of this process as it is: loopback is up, or the root is full */
        _exit(first < 0 && strlen(step) > 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_directory_that_is_not_there_is_an_error(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(channel_pair(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const char *step = "";
        struct sandbox_config config = {
            .identity = {.uid = UID, .gid = GID}, .directory = "/nonexistent", .channel = ends[1]};
        int status = sandbox_enter(&config, &step);
        _exit(status == -ENOENT && strcmp(step, "enter the socket directory") == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(ends[0]);
    close(ends[1]);
}

static void a_supervisor_that_is_gone_already_is_an_error(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(channel_pair(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const char *step = "";
        struct sandbox_config config = {
            .identity = {.uid = UID, .gid = GID}, .directory = directory, .channel = ends[1]};
        close(ends[0]);
        _exit(sandbox_enter(&config, &step) == -ESRCH ? 0 : 1);
    }
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(ends[1]);
}

static int set_up(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)state;
    if (mkdtemp(directory) == NULL || chmod(directory, 0755) != 0)
        return -1;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socks", directory);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, 8) != 0 ||
           chmod(address.sun_path, 0666) != 0;
}

static int tear_down(void **state)
{
    char path[64];
    (void)state;
    snprintf(path, sizeof(path), "%s/socks", directory);
    close(listener);
    unlink(path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_no_interface_that_is_up_or_could_be),
        cmocka_unit_test(the_root_is_empty_but_for_the_socket_directory_and_read_only),
        cmocka_unit_test(the_socket_can_be_reached),
        cmocka_unit_test(no_privilege_is_left_and_none_can_be_had),
        cmocka_unit_test(descriptors_are_bounded_and_processes_are_none),
        cmocka_unit_test(the_host_name_is_not_to_be_seen),
        cmocka_unit_test(behind_the_locked_door_only_the_socket_can_be_opened),
        cmocka_unit_test(what_should_not_be_there_is_seen),
        cmocka_unit_test(a_directory_that_is_not_there_is_an_error),
        cmocka_unit_test(a_supervisor_that_is_gone_already_is_an_error),
    };
    if (geteuid() != 0) {
        fprintf(stderr, "skipped: needs root\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
