/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/console_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "socks/directory.h"

#define BACKLOG 16
/* A second, in all. */
#define LOCK_TRIES 100
#define LOCK_PAUSE_NS 10000000L

/* Two that start at the same time look and bind one after the other. That takes no time; whoever holds the lock for
 * longer has it for good, as a cloister has that of its tor.data, and may be ourselves. */
static int lock_directory(const char *path)
{
    char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    const char *slash = strrchr(path, '/');
    size_t n = slash > path ? (size_t)(slash - path) : 1;
    memcpy(directory, path, n);
    directory[n] = '\0';
    if (mkdir(directory, 0755) != 0 && errno != EEXIST)
        return -errno;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    int status = flock(fd, LOCK_EX | LOCK_NB);
    for (int i = 0; status != 0 && (errno == EINTR || errno == EWOULDBLOCK) && i < LOCK_TRIES; i++) {
        nanosleep(&pause, NULL);
        status = flock(fd, LOCK_EX | LOCK_NB);
    }
    if (status == 0)
        return fd;
    status = -errno;
    close(fd);
    return status;
}

/* Remove what nobody listens on any more. 0, -EADDRINUSE or another negative errno. */
static int clear(const char *path, const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int status = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : -errno;
    close(fd);
    if (status == 0 || status == -EAGAIN)
        return -EADDRINUSE;
    return status == -ENOENT ? 0 : socks_path_clear(path);
}

static int bind_here(const char *path, const struct sockaddr_un *address, gid_t group)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* Nobody can connect before it listens, and then its permissions are right. */
    mode_t mask = umask(0177);
    int status = bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : -errno;
    umask(mask);
    if (status == 0 && group != 0 && (chown(path, (uid_t)-1, group) != 0 || chmod(path, 0660) != 0))
        status = -errno;
    if (status == 0 && listen(fd, BACKLOG) != 0)
        status = -errno;
    if (status == 0)
        return fd;
    close(fd);
    return status;
}

int console_socket_listen(const char *path, gid_t group)
{
    struct sockaddr_un address;
    int status = socks_path_address(path, &address);
    if (status != 0)
        return status;
    int directory = lock_directory(path);
    if (directory < 0)
        return directory;
    status = clear(path, &address);
    if (status == 0)
        status = bind_here(path, &address, group);
    close(directory);
    return status;
}

/* Returns the length of the address, 0 if the text is none of loopback. */
static socklen_t loopback(const char *text, struct sockaddr_storage *out)
{
    char host[INET6_ADDRSTRLEN + 2];
    const char *colon = strrchr(text, ':');
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof(*out));
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host) ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) || strlen(colon + 1) > 5)
        return 0;
    unsigned long port = strtoul(colon + 1, NULL, 10);
    if (port == 0 || port > 65535)
        return 0;
    size_t n = (size_t)(colon - text);
    memcpy(host, text, n);
    host[n] = '\0';
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return (ntohl(v4->sin_addr.s_addr) >> 24) == 127 ? sizeof(*v4) : 0;
    }
    if (n < 3 || host[0] != '[' || host[n - 1] != ']')
        return 0;
    host[n - 1] = '\0';
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    return inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ? sizeof(*v6)
                                                                                                      : 0;
}

bool console_socket_is_loopback(const char *address)
{
    struct sockaddr_storage out;
    return loopback(address, &out) > 0;
}

int console_socket_listen_tcp(const char *text)
{
    struct sockaddr_storage address;
    socklen_t len = loopback(text, &address);
    const int yes = 1;
    if (len == 0)
        return -EINVAL;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int status = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 ? 0 : -errno;
    if (status == 0 && bind(fd, (const struct sockaddr *)&address, len) != 0)
        status = -errno;
    if (status == 0 && listen(fd, BACKLOG) != 0)
        status = -errno;
    if (status == 0)
        return fd;
    close(fd);
    return status;
}

int console_socket_connect(const char *path)
{
    struct sockaddr_un address;
    struct ucred peer;
    socklen_t len = sizeof(peer);
    int status = socks_path_address(path, &address);
    if (status != 0)
        return status;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        status = -errno;
    else if (peer.uid != 0 && peer.uid != geteuid())
        status = -EPERM; /* as it was when it began to listen */
    if (status == 0)
        return fd;
    close(fd);
    return status;
}
