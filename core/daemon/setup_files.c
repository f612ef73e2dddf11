/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/setup_work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/console_socket.h"
#include "daemon/log.h"
#include "daemon/onion_listen.h"
#include "socks/directory.h"

#define SOCKET_NAME "socks"
#define NOT_OURS                                                                                                   \
    "what it holds is somebody else's: choose another tor.data, or change the owner of its tor and socks"

int setup_find_external_sockets(struct setup_work *w, struct channel_gateway_config *out)
{
    const struct config *c = w->config;
    char error[CONFIG_ERROR_MAX];
    const char *names[CONFIG_TORS_MAX];
    uint32_t count = 0;
    size_t n = (size_t)(strrchr(c->socks[0], '/') - c->socks[0]);
    memcpy(out->socket_directory, c->socks[0], n);
    out->socket_directory[n] = '\0';
    for (; count < CONFIG_TORS_MAX && c->socks[count][0] != '\0'; count++) {
        names[count] = c->socks[count] + n + 1;
        snprintf(count == 0 ? out->socket_name : out->other_name[count - 1], CONFIG_SOCKET_MAX, "%s", names[count]);
    }
    out->others = count - 1;
    int status = identity_reach_sockets(&w->who.gateway, out->socket_directory, names, count, error);
    if (status != 0)
        snprintf(w->reason, SETUP_REASON_MAX, "%s", error);
    for (uint32_t i = 0; status == 0 && i < count; i++) {
        if (access(c->socks[i], F_OK) != 0)
            log_event(LOG_LEVEL_WARN, "socks", LOG_S("path", c->socks[i]), LOG_E("error", errno),
                      LOG_S("note", "nobody listens there yet: connections are refused until somebody does"));
    }
    return status;
}

/* Two on one directory would take each other's SOCKS socket away. The descriptor is kept, and with it the lock, for as
 * long as the supervisor lives; it is closed in the children by exec. */
static int lock_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    int status = -errno;
    close(fd);
    return status;
}

/* The first one has the names that there were before there could be several. */
int setup_name_tor(struct setup_work *w, uint32_t instance, struct channel_tor_config *tor)
{
    const char *data = w->config->data;
    char number[12] = "";
    if (instance > 0)
        snprintf(number, sizeof(number), "%u", instance);
    int n = snprintf(tor->data, sizeof(tor->data), "%s/tor%s", data, number);
    int m = snprintf(tor->socks, sizeof(tor->socks), "%s/socks/" SOCKET_NAME "%s", data, number);
    if (n < 0 || (size_t)n >= sizeof(tor->data) || m < 0 || (size_t)m >= sizeof(tor->socks))
        return setup_fail(w, -ENAMETOOLONG, "tor.data", NULL);
    tor->instance = instance;
    return 0;
}

static int make_directory_of_data(struct setup_work *w)
{
    const char *data = w->config->data;
    /* One that is there is left as it is: it may be anything. */
    if (mkdir(data, 0755) != 0 && errno != EEXIST)
        return setup_fail(w, -errno, "make the directory of tor.data",
                          errno == ENOENT ? "the directory above it must exist" : NULL);
    int status = lock_directory(data);
    return status == 0
               ? 0
               : setup_fail(w, status, "lock tor.data",
                            status == -EWOULDBLOCK ? "another cloister runs on it: give each a directory of its own"
                                                   : NULL);
}

int setup_make_directories(struct setup_work *w, struct channel_gateway_config *out)
{
    const struct config *c = w->config;
    struct channel_tor_config tor;
    int n = snprintf(out->socket_directory, sizeof(out->socket_directory), "%s/socks", c->data);
    if (n < 0 || (size_t)n >= sizeof(out->socket_directory))
        return setup_fail(w, -ENAMETOOLONG, "tor.data", NULL);
    int status = make_directory_of_data(w);
    if (status != 0)
        return status;
    /* Tor's own first: where they are somebody else's, nothing is left behind. */
    for (uint32_t i = 0; i < c->instances; i++) {
        status = setup_name_tor(w, i, &tor);
        if (status != 0)
            return status;
        snprintf(i == 0 ? out->socket_name : out->other_name[i - 1], CONFIG_SOCKET_MAX, "%s",
                 tor.socks + strlen(out->socket_directory) + 1);
        status = identity_own_directory(tor.data, w->who.tor.uid, w->who.tor.gid, 0700);
        if (status != 0)
            return setup_fail(w, status, "make Tor's data directory (tor.data)",
                              status == -ENOTEMPTY ? NOT_OURS : NULL);
    }
    status = socks_directory_prepare(out->socket_directory, w->who.tor.uid, w->who.gateway.gid);
    for (uint32_t i = 0; status == 0 && i < c->instances; i++) {
        status = setup_name_tor(w, i, &tor);
        if (status == 0)
            status = socks_path_clear(tor.socks);
    }
    if (status != 0)
        return setup_fail(w, status, "make the directory of Tor's SOCKS socket (tor.data)",
                          status == -ENOTEMPTY ? NOT_OURS : NULL);
    out->others = c->instances - 1;
    return 0;
}

/* With an external Tor, whoever it runs as has the directory of its SOCKS socket. */
static int find_tor_uid(const struct setup_work *w, const char *socket_directory, uid_t *out)
{
    struct stat st;
    *out = w->who.tor.uid;
    if (w->config->mode == CONFIG_MODE_EMBEDDED)
        return 0;
    if (stat(socket_directory, &st) != 0)
        return -errno;
    *out = st.st_uid;
    /* Nothing else was kept there so far. */
    if (mkdir(w->config->data, 0755) != 0 && errno != EEXIST)
        return -errno;
    return lock_directory(w->config->data);
}

int setup_make_onions(struct setup_work *w, struct channel_tor_config *tor, const char *socket_directory)
{
    const struct config *c = w->config;
    uid_t uid = 0;
    if (c->onions.count == 0)
        return 0;
    int n = snprintf(tor->onion_directory, sizeof(tor->onion_directory), "%s/onion", c->data);
    int status = n > 0 && (size_t)n < sizeof(tor->onion_directory) ? 0 : -ENAMETOOLONG;
    if (status == 0)
        status = find_tor_uid(w, socket_directory, &uid);
    if (status == 0)
        status = onion_listen(tor->onion_directory, &c->onions, uid, w->visitors);
    if (status != 0)
        return setup_fail(w, status, "make the sockets of onion services (tor.data)",
                          status == -ENAMETOOLONG  ? "choose a shorter path"
                          : status == -EWOULDBLOCK ? "another cloister runs on it: give each a directory of its own"
                                                   : NULL);
    w->visited = c->onions.ports;
    tor->onions = c->onions;
    return 0;
}

/* Is `path` a socket in the directory that the gateway process sees? */
static bool is_in_cell(const char *path, const char *directory)
{
    char parent[CONFIG_SOCKET_MAX];
    struct stat a, b;
    snprintf(parent, sizeof(parent), "%s", path);
    *strrchr(parent, '/') = '\0';
    return stat(parent[0] != '\0' ? parent : "/", &a) == 0 && stat(directory, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* What to do about it, for somebody who configured the socket; NULL if the error says it all. */
static const char *listen_advice(int status)
{
    return status == -EADDRINUSE ? "another cloister or program has it: give each its own"
           : status == -EWOULDBLOCK
               ? "its directory is tor.data, ours or another cloister's: choose another directory"
           : status == -EEXIST ? "there is something that is no socket: choose another path"
           : status == -ENOENT ? "the directory above its own must exist"
                               : NULL;
}

int setup_make_listeners(struct setup_work *w, const char *cell)
{
    const struct config *c = w->config;
    const gid_t group = w->who.control_group;
    const bool path = c->metrics[0] == '/';
    if ((c->control[0] != '\0' && is_in_cell(c->control, cell)) || (path && is_in_cell(c->metrics, cell))) {
        snprintf(
            w->reason, SETUP_REASON_MAX,
            "process.control and process.metrics must not be in the directory of Tor's SOCKS socket: the gateway "
            "process sees that");
        return -EINVAL;
    }
    int fd = c->control[0] != '\0' ? console_socket_listen(c->control, group) : -1;
    if (c->control[0] != '\0' && fd < 0 && strcmp(c->control, CONSOLE_DEFAULT) != 0)
        return setup_fail(w, fd, "make the control socket (process.control)", listen_advice(fd));
    if (c->control[0] != '\0' && fd < 0)
        log_event(
            LOG_LEVEL_WARN, "control", LOG_S("path", c->control), LOG_E("error", fd),
            LOG_S("note", "there is no control socket; give each cloister its own, or say process.control = none"));
    w->setup->control = fd >= 0 ? fd : -1;
    if (c->metrics[0] == '\0')
        return 0;
    fd = path ? console_socket_listen(c->metrics, group) : console_socket_listen_tcp(c->metrics);
    w->setup->metrics = fd >= 0 ? fd : -1;
    return fd >= 0 ? 0 : setup_fail(w, fd, "listen for metrics (process.metrics)", listen_advice(fd));
}
