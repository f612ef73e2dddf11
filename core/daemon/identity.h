/* SPDX-License-Identifier: BSD-3-Clause */
/* Who the three processes run as, and the directories that belong to them. */
#ifndef CLOISTER_DAEMON_IDENTITY_H
#define CLOISTER_DAEMON_IDENTITY_H

#include <stddef.h>
#include <sys/types.h>

#include "daemon/channel.h"
#include "daemon/config.h"

/* The users if neither configured nor there by name: numbers that no distribution and no service manager gives away. */
#define IDENTITY_FALLBACK_SUPERVISOR 60801u
#define IDENTITY_FALLBACK_TOR 60802u
#define IDENTITY_FALLBACK_GATEWAY 60803u

struct identities {
    struct channel_identity supervisor; /* after set-up */
    struct channel_identity tor;        /* its group is the gateway's, so that its socket can be for the gateway */
    struct channel_identity gateway;
    gid_t control_group; /* of the control socket; 0 = root alone */
};

/* Find the users of `config`, and the group. All three differ, none is root, and the group is none of theirs. 0, or negative errno with a message in `error`
 * (CONFIG_ERROR_MAX bytes). */
int identities_find(const struct config *config, struct identities *out, char *error);

/* Give `identity` the groups it needs to connect to the sockets with these names in `directory`, if those are not open to
 * everybody. The sockets need not be there yet. 0, or negative errno with a message in `error`: -EACCES if only a user, or only the
 * group root, may connect; -EEXIST if `identity` could connect to another socket in `directory` as well. */
int identity_reach_sockets(struct channel_identity *identity, const char *directory, const char *const *names,
                           uint32_t count, char *error);

/* Make `path` a directory that belongs to the user and group, with `mode`. Its parent must be there; a symbolic link is
 * refused. 0 or negative errno. */
int identity_own_directory(const char *path, uid_t uid, gid_t gid, mode_t mode);

#endif
