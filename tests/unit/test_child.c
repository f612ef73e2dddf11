/* SPDX-License-Identifier: BSD-3-Clause */
/* What a child of the supervisor is born with. The child is this program, executed again with --role. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/channel.h"
#include "daemon/child.h"

#define WAIT_MS 10000u
#define FDS 256

extern char **environ;

/* --- in the child: 0, or the line that did not hold --- */

static int look_at_descriptors(void)
{
    struct stat st;
    if (fstat(CHANNEL_FD, &st) != 0 || !S_ISSOCK(st.st_mode))
        return __LINE__;
    for (int fd = CHANNEL_FD + 1; fd < FDS; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            return __LINE__;
    }
    return environ[0] == NULL ? 0 : __LINE__;
}

static int look_at_terminal(void)
{
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (!isatty(fd) || (fcntl(fd, F_GETFL) & O_ACCMODE) != O_WRONLY)
            return __LINE__;
    }
    return 0;
}

static int write_to_log(void)
{
    return write(STDOUT_FILENO, "b", 1) == 1 && write(STDERR_FILENO, "c", 1) == 1 ? 0 : __LINE__;
}

static const struct {
    const char *role;
    int (*look)(void);
} looks[] = {
    {"descriptors", look_at_descriptors},
    {"terminal", look_at_terminal},
    {"log", write_to_log},
};

static int run_role(const char *role)
{
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        if (strcmp(looks[i].role, role) == 0)
            return looks[i].look();
    }
    return __LINE__;
}

/* --- outside --- */

/* Run a role to its end with `log` as standard error. Its exit status is 0 if all held, else a line modulo 256. */
static void expect_child(const char *role, int log)
{
    struct child child = CHILD_NONE;
    int own = dup(STDERR_FILENO);
    assert_true(own > STDERR_FILENO);
    fflush(NULL);
    assert_int_equal(dup2(log, STDERR_FILENO), STDERR_FILENO);
    int status = child_start(&child, role, false);
    assert_int_equal(dup2(own, STDERR_FILENO), STDERR_FILENO);
    close(own);
    assert_int_equal(status, 0);
    assert_true(child_wait(&child, WAIT_MS));
    assert_int_equal(child.code, CLD_EXITED);
    assert_int_equal(child.status, 0);
    close(child.channel);
}

static void a_child_inherits_its_channel_and_no_other_descriptor_or_environment(void **state)
{
    (void)state;
    int other = open("/dev/null", O_RDONLY); /* to be inherited */
    assert_true(other > STDERR_FILENO);
    assert_int_equal(setenv("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22", 1), 0);
    expect_child("descriptors", STDERR_FILENO);
    close(other);
}

static void a_child_cannot_read_the_terminal_it_logs_to(void **state)
{
    (void)state;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal >= 0);
    expect_child("terminal", terminal);
    close(terminal);
    close(master);
}

static void a_child_goes_on_where_the_log_file_ended(void **state)
{
    (void)state;
    char path[] = "/tmp/cloister-test-child-XXXXXX";
    char text[8] = "";
    int file = mkostemp(path, O_CLOEXEC);
    assert_true(file >= 0);
    unlink(path);
    assert_int_equal(write(file, "a", 1), 1);
    expect_child("log", file);
    assert_int_equal(write(file, "d", 1), 1);
    assert_int_equal(pread(file, text, sizeof(text) - 1, 0), 4);
    assert_string_equal(text, "abcd");
    close(file);
}

int main(int argc, char **argv)
{
    static const char role[] = "--role=";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_inherits_its_channel_and_no_other_descriptor_or_environment),
        cmocka_unit_test(a_child_cannot_read_the_terminal_it_logs_to),
        cmocka_unit_test(a_child_goes_on_where_the_log_file_ended),
    };
    if (argc > 1 && strncmp(argv[1], role, sizeof(role) - 1) == 0)
        return run_role(argv[1] + sizeof(role) - 1) & 0xff;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
