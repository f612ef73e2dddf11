/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/tor.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PROCESSES 32u
#define SOCKETS 2048u
#define STATE_ESTABLISHED 1u
#define STATE_SYN_SENT 2u

static int connect_to(const char *socks)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(socks);
    if (n >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, socks, n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    int status = -errno;
    close(fd);
    return status;
}

pid_t tor_listener(const char *socks)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);
    int fd = connect_to(socks);
    if (fd < 0)
        return fd;
    pid_t found = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer.pid : -errno;
    close(fd);
    return found != 0 ? found : -ESRCH; /* 0: in a process namespace that cannot be seen from here */
}

/* Append the descendants of those that are there. The new count. */
static unsigned add_descendants(pid_t pids[PROCESSES], unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char path[64], line[1024], *save = NULL;
        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pids[i], (int)pids[i]);
        FILE *file = fopen(path, "re");
        if (file == NULL)
            continue;
        const char *word = fgets(line, sizeof(line), file) != NULL ? strtok_r(line, " \n", &save) : NULL;
        for (; word != NULL && count < PROCESSES; word = strtok_r(NULL, " \n", &save))
            pids[count++] = (pid_t)strtol(word, NULL, 10);
        fclose(file);
    }
    return count;
}

struct inodes {
    unsigned long each[SOCKETS];
    unsigned count;
};

static int add_sockets(pid_t pid, struct inodes *inodes)
{
    char path[40], target[64];
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *fds = opendir(path);
    if (fds == NULL)
        return -errno;
    for (struct dirent *entry; (entry = readdir(fds)) != NULL;) {
        ssize_t n = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        if (strncmp(target, "socket:[", 8) == 0 && inodes->count < SOCKETS)
            inodes->each[inodes->count++] = strtoul(target + 8, NULL, 10);
    }
    closedir(fds);
    return 0;
}

static bool has(const struct inodes *inodes, unsigned long inode)
{
    for (unsigned i = 0; i < inodes->count; i++) {
        if (inodes->each[i] == inode)
            return true;
    }
    return false;
}

/* /proc/net/tcp prints the words of an address as numbers of this machine. */
static bool parse_address(const char *text, size_t digits, struct ipaddr *out)
{
    uint8_t b[16];
    for (size_t i = 0; i < digits / 8; i++) {
        char word[9] = {0}, *end;
        memcpy(word, text + i * 8, 8);
        uint32_t value = (uint32_t)strtoul(word, &end, 16);
        if (*end != '\0')
            return false;
        memcpy(b + i * 4, &value, 4);
    }
    *out = digits == 8 ? ipaddr_v4(b) : ipaddr_v6(b);
    return true;
}

static bool parse_end(const char *text, struct ipaddr *addr, uint16_t *port)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL || (colon - text != 8 && colon - text != 32))
        return false;
    *port = (uint16_t)strtoul(colon + 1, NULL, 16);
    return parse_address(text, (size_t)(colon - text), addr);
}

static bool is_loopback(const struct ipaddr *a)
{
    static const struct ipaddr one = {{[15] = 1}};
    return (ipaddr_is_v4(a) && a->b[12] == 127) || ipaddr_equal(a, &one);
}

/* A line of /proc/net/tcp: number, both ends, state, queues, timer, retransmissions, user, timeout, inode. */
static bool parse_line(char *line, const struct inodes *inodes, struct tor_connection *c)
{
    const char *words[10];
    char *save = NULL;
    for (unsigned i = 0; i < 10; i++) {
        words[i] = strtok_r(i == 0 ? line : NULL, " \n", &save);
        if (words[i] == NULL)
            return false;
    }
    unsigned long state = strtoul(words[3], NULL, 16);
    return (state == STATE_ESTABLISHED || state == STATE_SYN_SENT) && has(inodes, strtoul(words[9], NULL, 10)) &&
           parse_end(words[1], &c->here, &c->here_port) && parse_end(words[2], &c->there, &c->there_port) &&
           !is_loopback(&c->there);
}

static int read_table(pid_t pid, const char *name, const struct inodes *inodes, struct tor_connections *out)
{
    char path[40], line[512];
    snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return errno == ENOENT ? 0 : -errno; /* a kernel without IPv6 */
    while (fgets(line, sizeof(line), file) != NULL) {
        struct tor_connection c;
        if (out->count < TOR_CONNECTIONS && parse_line(line, inodes, &c))
            out->each[out->count++] = c;
    }
    fclose(file);
    return 0;
}

int tor_look(pid_t pid, struct tor_connections *out)
{
    static struct inodes inodes; /* large, and one thread looks */
    pid_t pids[PROCESSES] = {pid};
    unsigned count = add_descendants(pids, 1);
    out->count = 0;
    inodes.count = 0;
    int status = add_sockets(pid, &inodes);
    for (unsigned i = 1; i < count; i++)
        add_sockets(pids[i], &inodes); /* one may have ended */
    if (status == 0)
        status = read_table(pid, "tcp", &inodes, out);
    return status != 0 ? status : read_table(pid, "tcp6", &inodes, out);
}

int tor_speak(const char *socks)
{
    /* All at once, as the gateway does: method 2, username and password, RESOLVE (Tor's socks-extensions.txt). A
     * password of its own, so that it shares no circuit with anybody. */
    static const char name[] = "www.example.com";
    uint8_t request[96] = {5, 1, 2, 1, 9};
    size_t n = 5;
    uint8_t random[8];
    int fd = connect_to(socks);
    if (fd < 0)
        return fd;
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        memset(random, 0, sizeof(random));
    memcpy(request + n, "<torS0X>0", 9);
    n += 9;
    request[n++] = 16;
    for (size_t i = 0; i < sizeof(random); i++)
        n += (size_t)snprintf((char *)request + n, sizeof(request) - n, "%02x", random[i]);
    const uint8_t resolve[] = {5, 0xf0, 0, 3, sizeof(name) - 1};
    memcpy(request + n, resolve, sizeof(resolve));
    n += sizeof(resolve);
    memcpy(request + n, name, sizeof(name) - 1);
    n += sizeof(name) - 1;
    request[n++] = 0;
    request[n++] = 0;
    if (send(fd, request, n, MSG_NOSIGNAL) == (ssize_t)n)
        return fd;
    int status = -errno;
    close(fd);
    return status;
}
