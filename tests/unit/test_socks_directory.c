/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "socks/directory.h"

static char base[64];
static char path[200];

static int make_base(void **state)
{
    (void)state;
    strcpy(base, "/tmp/cloister-directory-XXXXXX");
    return mkdtemp(base) != NULL ? 0 : -1;
}

static int remove_base(void **state)
{
    (void)state;
    return rmdir(base);
}

static const char *in_base(const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", base, name);
    return path;
}

static void assert_mode(const char *of, mode_t mode)
{
    struct stat st;
    assert_int_equal(lstat(of, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(st.st_gid, getegid());
}

static void a_directory_is_made_for_its_owner_and_group_only(void **state)
{
    (void)state;
    const char *made = in_base("socks");
    mode_t mask = umask(0);
    assert_int_equal(socks_directory_prepare(made, geteuid(), getegid()), 0);
    umask(mask);
    assert_mode(made, 0750);
    rmdir(made);
}

static void a_directory_that_is_open_to_all_is_closed(void **state)
{
    (void)state;
    const char *made = in_base("socks");
    assert_int_equal(mkdir(made, 0700), 0);
    assert_int_equal(chmod(made, 01777), 0);
    assert_int_equal(socks_directory_prepare(made, geteuid(), getegid()), 0);
    assert_mode(made, 0750);
    assert_int_equal(socks_directory_prepare(made, geteuid(), getegid()), 0);
    assert_mode(made, 0750);
    rmdir(made);
}

static void the_owners_are_set(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct stat st;
    const char *made = in_base("socks");
    assert_int_equal(socks_directory_prepare(made, 12345, 23456), 0);
    assert_int_equal(stat(made, &st), 0);
    assert_int_equal(st.st_uid, 12345);
    assert_int_equal(st.st_gid, 23456);
    assert_int_equal(st.st_mode & 07777, 0750);
    rmdir(made);
}

static void a_full_directory_of_somebody_else_is_left_alone(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct stat st;
    const char *made = in_base("socks");
    char inside[256];
    snprintf(inside, sizeof(inside), "%s/inside", made);
    assert_int_equal(mkdir(made, 0755), 0);
    assert_int_equal(mkdir(inside, 0755), 0);
    assert_int_equal(socks_directory_prepare(made, 12345, 23456), -ENOTEMPTY);
    assert_int_equal(stat(made, &st), 0);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    /* It is ours once it has our owner, full or not. */
    assert_int_equal(chown(made, 12345, 0), 0);
    assert_int_equal(socks_directory_prepare(made, 12345, 23456), 0);
    rmdir(inside);
    rmdir(made);
}

static void a_link_is_not_followed(void **state)
{
    (void)state;
    char target[80];
    struct stat st;
    snprintf(target, sizeof(target), "%s/target", base);
    assert_int_equal(mkdir(target, 0700), 0);
    const char *made = in_base("socks");
    assert_int_equal(symlink(target, made), 0);
    int err = socks_directory_prepare(made, geteuid(), getegid());
    assert_true(err == -ELOOP || err == -ENOTDIR);
    assert_int_equal(stat(target, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    unlink(made);
    rmdir(target);
}

static void a_file_is_not_taken_for_a_directory(void **state)
{
    (void)state;
    const char *made = in_base("socks");
    fclose(fopen(made, "w"));
    assert_int_equal(socks_directory_prepare(made, geteuid(), getegid()), -ENOTDIR);
    assert_int_equal(socks_path_clear(made), -EEXIST);
    assert_int_equal(access(made, F_OK), 0);
    unlink(made);
}

static void a_parent_that_is_missing_is_said(void **state)
{
    (void)state;
    assert_int_equal(socks_directory_prepare(in_base("no/socks"), geteuid(), getegid()), -ENOENT);
}

static void a_path_too_long_for_a_socket_inside_is_refused_before_anything_is_made(void **state)
{
    (void)state;
    char name[120];
    size_t room = 108 - 8 - strlen(base) - 1; /* for the directory's name, with "/socks" after it */
    memset(name, 'd', sizeof(name));
    name[room + 1] = '\0';
    assert_int_equal(socks_directory_prepare(in_base(name), geteuid(), getegid()), -ENAMETOOLONG);
    assert_int_equal(access(path, F_OK), -1);
    name[room] = '\0';
    assert_int_equal(socks_directory_prepare(in_base(name), geteuid(), getegid()), 0);

    struct sockaddr_un address;
    char inside[256];
    snprintf(inside, sizeof(inside), "%s/socks", path);
    assert_int_equal(socks_path_address(inside, &address), 0);
    rmdir(path);
}

static void an_address_holds_107_bytes_and_no_more(void **state)
{
    (void)state;
    char name[120];
    struct sockaddr_un address;
    memset(name, 'a', sizeof(name));
    name[0] = '/';
    name[107] = '\0';
    assert_int_equal(socks_path_address(name, &address), 0);
    assert_int_equal(address.sun_family, AF_UNIX);
    assert_string_equal(address.sun_path, name);
    name[107] = 'a';
    name[108] = '\0';
    assert_int_equal(socks_path_address(name, &address), -ENAMETOOLONG);
    assert_int_equal(socks_path_address("tor/socks", &address), -EINVAL);
    assert_int_equal(socks_path_address("", &address), -EINVAL);
}

static void a_socket_left_behind_is_removed(void **state)
{
    (void)state;
    struct sockaddr_un address;
    const char *left = in_base("socks");
    assert_int_equal(socks_path_clear(left), 0);
    assert_int_equal(socks_path_address(left, &address), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    assert_int_equal(access(left, F_OK), 0);
    assert_int_equal(socks_path_clear(left), 0);
    assert_int_equal(access(left, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_is_made_for_its_owner_and_group_only),
        cmocka_unit_test(a_directory_that_is_open_to_all_is_closed),
        cmocka_unit_test(the_owners_are_set),
        cmocka_unit_test(a_full_directory_of_somebody_else_is_left_alone),
        cmocka_unit_test(a_link_is_not_followed),
        cmocka_unit_test(a_file_is_not_taken_for_a_directory),
        cmocka_unit_test(a_parent_that_is_missing_is_said),
        cmocka_unit_test(a_path_too_long_for_a_socket_inside_is_refused_before_anything_is_made),
        cmocka_unit_test(an_address_holds_107_bytes_and_no_more),
        cmocka_unit_test(a_socket_left_behind_is_removed),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}
