/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/identity.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config_value.h"
#include "socks/directory.h"

struct who {
    int line;               /* of the key, for messages, as are the next two */
    const char *key;        /* in [process], for messages */
    const char *configured; /* or empty */
    const char *name;       /* if not configured */
    uint32_t fallback;      /* if there is none of that name */
};

static int find(const struct config *config, const struct who *who, struct channel_identity *out, char *error)
{
    const char *name = who->configured[0] != '\0' ? who->configured : who->name;
    uint32_t number = who->fallback;
    bool numeric = config_value_number(name, &number);
    errno = 0;
    const struct passwd *pw = numeric ? getpwuid((uid_t)number) : getpwnam(name);
    *out = (struct channel_identity){.uid = (uid_t)number, .gid = (gid_t)number};
    if (pw != NULL) {
        out->uid = pw->pw_uid;
        out->gid = pw->pw_gid;
    } else if (who->configured[0] != '\0' && !numeric) {
        config_say(config, who->line, error, "process.%s: there is no user \"%s\"; create it, or remove the line",
                   who->key, name);
        return -ENOENT;
    }
    if (out->uid == 0 || out->gid == 0) {
        config_say(config, who->line, error,
                   "process.%s: user \"%s\" is root or has root's group; give it a user without privileges",
                   who->key, name);
        return -EINVAL;
    }
    return 0;
}

static int find_control_group(const struct config *config, struct identities *out, char *error)
{
    const char *name = config->control_group;
    uint32_t number = 0;
    out->control_group = 0;
    if (name[0] == '\0')
        return 0;
    bool numeric = config_value_number(name, &number);
    const struct group *group = numeric ? NULL : getgrnam(name);
    if (!numeric && group == NULL) {
        config_say(config, config->line.control_group, error,
                   "process.control_group: there is no group \"%s\"; create it, or remove the line", name);
        return -ENOENT;
    }
    out->control_group = numeric ? (gid_t)number : group->gr_gid;
    if (out->control_group != out->gateway.gid && out->control_group != out->supervisor.gid)
        return 0;
    config_say(config, config->line.control_group, error,
               "process.control_group: \"%s\" is the group of one of our own processes; choose another", name);
    return -EINVAL;
}

int identities_find(const struct config *config, struct identities *out, char *error)
{
    const struct who supervisor = {config->line.user, "user", config->user, "cloister",
                                   IDENTITY_FALLBACK_SUPERVISOR};
    const struct who tor = {config->line.tor_user, "tor_user", config->tor_user, "cloister-tor",
                            IDENTITY_FALLBACK_TOR};
    const struct who gateway = {config->line.gateway_user, "gateway_user", config->gateway_user, "cloister-gateway",
                                IDENTITY_FALLBACK_GATEWAY};
    int status = find(config, &supervisor, &out->supervisor, error);
    if (status == 0)
        status = find(config, &tor, &out->tor, error);
    if (status == 0)
        status = find(config, &gateway, &out->gateway, error);
    if (status != 0)
        return status;
    if (out->supervisor.uid == out->tor.uid || out->tor.uid == out->gateway.uid ||
        out->gateway.uid == out->supervisor.uid) {
        int line = config->line.user > 0       ? config->line.user
                   : config->line.tor_user > 0 ? config->line.tor_user
                                               : config->line.gateway_user;
        config_say(config, line, error, "process: user, tor_user and gateway_user must be three different users");
        return -EINVAL;
    }
    out->tor.gid = out->gateway.gid;
    return find_control_group(config, out, error);
}

/* One file on the way: is it open to others, or else to a group? `others` and `group` are permission bits. */
static int reach(struct channel_identity *identity, const struct stat *st, mode_t others, mode_t group)
{
    if (st->st_gid != identity->gid && (st->st_mode & others) == others)
        return 0;
    if (st->st_gid == identity->gid && (st->st_mode & group) == group)
        return 0;
    if ((st->st_mode & group) != group || st->st_gid == 0)
        return -EACCES;
    for (uint32_t i = 0; i < identity->group_count; i++) {
        if (identity->groups[i] == st->st_gid)
            return 0;
    }
    if (identity->group_count == CHANNEL_GROUPS_MAX)
        return -EACCES;
    identity->groups[identity->group_count++] = st->st_gid;
    return 0;
}

/* May somebody who is this identity connect to such a socket? As the kernel decides it. */
static bool may_connect(const struct channel_identity *identity, const struct stat *st)
{
    bool member = st->st_gid == identity->gid;
    for (uint32_t i = 0; i < identity->group_count; i++)
        member = member || st->st_gid == identity->groups[i];
    mode_t needed = st->st_uid == identity->uid ? S_IWUSR : member ? S_IWGRP : S_IWOTH;
    return (st->st_mode & needed) != 0;
}

/* Any other socket in the directory would be in the gateway's cell: Tor's control socket tells the real address. */
static int refuse_others(const struct channel_identity *identity, const char *directory, const char *const *names,
                         uint32_t count, char *error)
{
    DIR *dir = opendir(directory);
    int status = dir != NULL ? 0 : -errno;
    if (dir == NULL) {
        snprintf(error, CONFIG_ERROR_MAX, "tor.socks: %s: %s", directory, strerror(-status));
        return status;
    }
    const struct dirent *entry;
    const char *missing = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct stat own;
        if (fstatat(dirfd(dir), names[i], &own, 0) != 0)
            missing = names[i];
    }
    while (status == 0 && (entry = readdir(dir)) != NULL) {
        struct stat st;
        bool known = false;
        for (uint32_t i = 0; i < count; i++)
            known = known || strcmp(entry->d_name, names[i]) == 0;
        if (known || fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISSOCK(st.st_mode) ||
            !may_connect(identity, &st))
            continue;
        snprintf(error, CONFIG_ERROR_MAX,
                 "tor.socks: the gateway process could connect to %s/%.64s as well%s%s%s; give the SOCKS socket a "
                 "directory of its own",
                 directory, entry->d_name, missing != NULL ? ", and the configured " : "",
                 missing != NULL ? missing : "",
                 missing != NULL ? " is not there: is it that one, by another name?" : "");
        status = -EEXIST;
    }
    closedir(dir);
    return status;
}

int identity_reach_sockets(struct channel_identity *identity, const char *directory, const char *const *names,
                           uint32_t count, char *error)
{
    char path[2 * CONFIG_SOCKET_MAX] = "";
    struct stat st;
    int status = stat(directory, &st) != 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    if (status != 0) {
        snprintf(error, CONFIG_ERROR_MAX, "tor.socks: %s: no such directory; start Tor first, or correct the path",
                 directory);
        return status;
    }
    status = reach(identity, &st, S_IXOTH, S_IXGRP);
    for (uint32_t i = 0; i < count && (i == 0 || status == 0); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        if (status == 0 && stat(path, &st) == 0)
            status = reach(identity, &st, S_IWOTH, S_IWGRP);
    }
    if (status == 0)
        return refuse_others(identity, directory, names, count, error);
    snprintf(error, CONFIG_ERROR_MAX,
             "tor.socks: %s is for its owner or for root only; let a group enter the directory and write to the "
             "socket (Tor: SocksPort unix:... GroupWritable)",
             path);
    return status;
}

int identity_own_directory(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return -errno;
    /* By descriptor, so that nobody can put something else in its place meanwhile. */
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int status = socks_directory_claim(fd, uid);
    if (status == 0 && (fchown(fd, uid, gid) != 0 || fchmod(fd, mode) != 0))
        status = -errno;
    close(fd);
    return status;
}
