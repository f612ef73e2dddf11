/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_MODE 0750
#define SHORT_NAME 8u /* "/socks" and the final NUL, with a byte to spare */

int socks_path_address(const char *path, struct sockaddr_un *out)
{
    size_t n = strlen(path);
    if (path[0] != '/')
        return -EINVAL;
    if (n >= sizeof(out->sun_path))
        return -ENAMETOOLONG;
    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    memcpy(out->sun_path, path, n + 1);
    return 0;
}

int socks_directory_claim(int fd, uid_t uid)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_uid == uid)
        return 0;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    if (dir == NULL) {
        int err = -errno;
        if (copy >= 0)
            close(copy);
        return err;
    }
    int err = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL && err == 0; entry = readdir(dir))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            err = -ENOTEMPTY;
    closedir(dir);
    return err;
}

/* Owner and mode, by descriptor so that nobody can put something else in the place meanwhile. */
static int own(int fd, uid_t uid, gid_t gid)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if ((st.st_uid != uid || st.st_gid != gid) && fchown(fd, uid, gid) < 0)
        return -errno;
    if ((st.st_mode & 07777) != DIRECTORY_MODE && fchmod(fd, DIRECTORY_MODE) < 0)
        return -errno;
    return 0;
}

int socks_directory_prepare(const char *path, uid_t tor_uid, gid_t gateway_gid)
{
    struct sockaddr_un address;
    int err = socks_path_address(path, &address);
    if (err != 0)
        return err;
    if (strlen(path) + SHORT_NAME > sizeof(address.sun_path))
        return -ENAMETOOLONG;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    err = socks_directory_claim(fd, tor_uid);
    if (err == 0)
        err = own(fd, tor_uid, gateway_gid);
    close(fd);
    return err;
}

int socks_path_clear(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    if (unlink(path) < 0 && errno != ENOENT)
        return -errno;
    return 0;
}
