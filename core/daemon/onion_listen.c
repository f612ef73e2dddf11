/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/onion_listen.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/identity.h"
#include "socks/directory.h"

#define BACKLOG 256 /* of a full one Tor refuses the visitor */

int onion_listen_path(const char *directory, const struct config_onions *onions, uint32_t port, char *out,
                      size_t size)
{
    const struct config_onion_port *p = &onions->port[port];
    int n = snprintf(out, size, "%s/%s.%u", directory, onions->onion[p->onion].name, p->port);
    return n > 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

/* In a directory that is root's, nobody puts something else in the place of what is there. */
static int clear_directory(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return -errno;
    int status = 0;
    for (const struct dirent *entry; status == 0 && (entry = readdir(dir)) != NULL;) {
        struct stat st;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode) &&
            unlinkat(dirfd(dir), entry->d_name, 0) != 0)
            status = -errno;
    }
    closedir(dir);
    return status;
}

static int listen_at(const char *path, uid_t tor)
{
    struct sockaddr_un address;
    int status = socks_path_address(path, &address);
    if (status != 0)
        return status;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    mode_t mask = umask(0177);
    status = bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : -errno;
    umask(mask);
    if (status == 0 && (lchown(path, tor, (gid_t)-1) != 0 || listen(fd, BACKLOG) != 0))
        status = -errno;
    if (status == 0)
        return fd;
    close(fd);
    return status;
}

int onion_listen(const char *directory, const struct config_onions *onions, uid_t tor,
                 int fds[CONFIG_ONION_PORTS_MAX])
{
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    int status = identity_own_directory(directory, 0, 0, 0711);
    if (status == 0)
        status = clear_directory(directory);
    uint32_t made = 0;
    while (status == 0 && made < onions->ports) {
        status = onion_listen_path(directory, onions, made, path, sizeof(path));
        if (status == 0 && (fds[made] = listen_at(path, tor)) < 0)
            status = fds[made];
        made += status == 0;
    }
    while (status != 0 && made > 0)
        close(fds[--made]);
    return status;
}
