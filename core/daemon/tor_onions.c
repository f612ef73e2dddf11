/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A service's key is Tor's: made by it, kept in DATA/onion/NAME, read by nobody else. So is its name, in the file `hostname`
 * there, which exists only once Tor runs; what tells it to the log is a process that Tor does not know of.
 */
#include "daemon/tor_onions.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/onion_listen.h"

#define CLIENTS "authorized_clients"
#define SUFFIX ".auth"
#define HOST_NAME_MAX_BYTES 64u /* 56 characters and ".onion" */
#define LOOK_EVERY_NS 50000000l
#define LOOKS 600u /* half a minute; Tor takes well below one second */

static int make_directory(const char *path)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

static bool is_client(const struct config_onions *onions, uint32_t onion, const char *file)
{
    size_t n = strlen(file), suffix = sizeof(SUFFIX) - 1;
    for (uint32_t i = 0; i < onions->clients; i++) {
        const struct config_onion_client *c = &onions->client[i];
        if (c->onion == onion && n == strlen(c->name) + suffix && memcmp(file, c->name, n - suffix) == 0)
            return true;
    }
    return false;
}

/* Whoever is not in the configuration has no file. */
static int remove_others(int directory, const struct config_onions *onions, uint32_t onion)
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    if (dir == NULL) {
        int status = -errno;
        if (copy >= 0)
            close(copy);
        return status;
    }
    int status = 0;
    for (const struct dirent *entry; status == 0 && (entry = readdir(dir)) != NULL;) {
        size_t n = strlen(entry->d_name), suffix = sizeof(SUFFIX) - 1;
        if (n > suffix && strcmp(entry->d_name + n - suffix, SUFFIX) == 0 &&
            !is_client(onions, onion, entry->d_name) && unlinkat(directory, entry->d_name, 0) != 0)
            status = -errno;
    }
    closedir(dir);
    return status;
}

/* Anew, so that nothing is left of an old file's owner and mode: Tor leaves out a file that it cannot read, and of a service
 * without a single client everybody is one. */
static int write_client(int directory, const struct config_onion_client *client)
{
    char file[CONFIG_ONION_NAME_MAX + sizeof(SUFFIX)];
    char line[CONFIG_ONION_KEY_MAX + 32];
    snprintf(file, sizeof(file), "%s" SUFFIX, client->name);
    int n = snprintf(line, sizeof(line), "descriptor:x25519:%s\n", client->key);
    if (unlinkat(directory, file, 0) != 0 && errno != ENOENT)
        return -errno;
    int fd = openat(directory, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    ssize_t written = write(fd, line, (size_t)n);
    int status = written < 0 ? -errno : written != n ? -ENOSPC : 0;
    close(fd);
    return status;
}

static int prepare_clients(const char *path, const struct config_onions *onions, uint32_t onion)
{
    int status = make_directory(path);
    int directory = status == 0 ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (status == 0 && directory < 0)
        status = -errno;
    if (status == 0)
        status = remove_others(directory, onions, onion);
    for (uint32_t i = 0; status == 0 && i < onions->clients; i++) {
        if (onions->client[i].onion == onion)
            status = write_client(directory, &onions->client[i]);
    }
    if (directory >= 0)
        close(directory);
    return status;
}

static int service_path(const struct channel_tor_config *config, uint32_t onion, const char *rest, char *out,
                        size_t size)
{
    int n = snprintf(out, size, "%s/onion/%s%s", config->data, config->onions.onion[onion].name, rest);
    return n > 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

int tor_onions_prepare(const struct channel_tor_config *config)
{
    char path[CONFIG_PATH_MAX + 80];
    if (config->onions.count == 0)
        return 0;
    snprintf(path, sizeof(path), "%s/onion", config->data);
    int status = make_directory(path);
    for (uint32_t i = 0; status == 0 && i < config->onions.count; i++) {
        status = service_path(config, i, "", path, sizeof(path));
        if (status == 0)
            status = make_directory(path);
        if (status == 0)
            status = service_path(config, i, "/" CLIENTS, path, sizeof(path));
        if (status == 0)
            status = prepare_clients(path, &config->onions, i);
    }
    return status;
}

/* The place of the next option's value. */
static char *next_value(struct tor_onions_options *out, const char *name)
{
    char *value = out->text[out->count];
    out->option[out->count++] = (struct tor_process_option){.name = name, .value = value};
    return value;
}

static int write_port(const struct channel_tor_config *config, uint32_t port, struct tor_onions_options *out)
{
    char path[CONFIG_SOCKET_MAX];
    int status = onion_listen_path(config->onion_directory, &config->onions, port, path, sizeof(path));
    snprintf(next_value(out, "HiddenServicePort"), sizeof(out->text[0]), "%u unix:\"%s\"",
             config->onions.port[port].port, path);
    return status;
}

/* Each service's lines follow its HiddenServiceDir. */
int tor_onions_write(const struct channel_tor_config *config, struct tor_onions_options *out)
{
    const struct config_onions *onions = &config->onions;
    int status = 0;
    out->count = 0;
    for (uint32_t i = 0; status == 0 && i < onions->count; i++) {
        status = service_path(config, i, "", next_value(out, "HiddenServiceDir"), sizeof(out->text[0]));
        if (onions->onion[i].circuit)
            snprintf(next_value(out, "HiddenServiceExportCircuitID"), sizeof(out->text[0]), "haproxy");
        for (uint32_t k = 0; status == 0 && k < onions->ports; k++) {
            if (onions->port[k].onion == i)
                status = write_port(config, k, out);
        }
    }
    return status;
}

/* True if the name is there, and was logged. */
static bool log_name(const struct channel_tor_config *config, uint32_t onion)
{
    char path[CONFIG_PATH_MAX + 80], name[HOST_NAME_MAX_BYTES + 2];
    if (service_path(config, onion, "/hostname", path, sizeof(path)) != 0)
        return true;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, name, sizeof(name) - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0 || name[n - 1] != '\n')
        return false;
    name[n - 1] = '\0';
    log_event(LOG_LEVEL_INFO, "onion", LOG_S("name", config->onions.onion[onion].name), LOG_S("address", name));
    return true;
}

static void log_names(const struct channel_tor_config *config, pid_t tor)
{
    const struct timespec pause = {.tv_nsec = LOOK_EVERY_NS};
    bool logged[CONFIG_ONIONS_MAX] = {false};
    for (uint32_t look = 0; look < LOOKS && getppid() == tor; look++) {
        bool all = true;
        for (uint32_t i = 0; i < config->onions.count; i++) {
            logged[i] = logged[i] || log_name(config, i);
            all = all && logged[i];
        }
        if (all)
            return;
        nanosleep(&pause, NULL);
    }
}

void tor_onions_announce(const struct channel_tor_config *config)
{
    if (config->onions.count == 0)
        return;
    const pid_t tor = getpid();
    pid_t pid = fork();
    if (pid < 0)
        log_event(LOG_LEVEL_WARN, "onion",
                  LOG_S("note", "the names cannot be logged; they are in the files hostname"),
                  LOG_E("error", errno));
    if (pid != 0)
        return;
    /* Tor's connections are not ours. */
    for (int fd = STDERR_FILENO + 1; fd < 16; fd++)
        close(fd);
    log_names(config, tor);
    _exit(0);
}
