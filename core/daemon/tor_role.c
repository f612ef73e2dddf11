/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/tor_role.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/channel.h"
#include "daemon/filter.h"
#include "daemon/hardening.h"
#include "daemon/landlock.h"
#include "daemon/log.h"
#include "daemon/privileges.h"
#include "daemon/tor_onions.h"
#include "socks/tor_process.h"
#include "socks/torrc.h"

#define ROOM_BYTES (8l << 20) /* of a consensus and its descriptors, and for their next edition */

/* It is the supervisor who decides when Tor ends. A signal to all processes of a service would end Tor first, and that
 * would look like a crash. Tor leaves the mask as it finds it. */
static void hold_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* See that there is room for what Tor keeps: it would go on without, and fail later for other reasons. 0 or negative
 * errno. */
static int check_room(const char *data)
{
    char path[CONFIG_PATH_MAX + 8];
    snprintf(path, sizeof(path), "%s/room", data);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST && unlink(path) == 0)
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int status = -posix_fallocate(fd, 0, ROOM_BYTES);
    close(fd);
    unlink(path);
    return status == -EOPNOTSUPP || status == -EINVAL ? 0 : status;
}

/* Where systems have Tor's list of countries (Debian's tor-geoipdb); Tor itself looks below the prefix it was built for. */
static const char *const geoip_files[] = {"/usr/share/tor/geoip", "/usr/local/share/tor/geoip"};

/* The lists of countries. What the torrc says of them is left to it. There is none of IPv6 addresses to look for: Tor knows
 * relays by their IPv4 address, and the list would cost some MB. Tor reads a list before it turns its sandbox on, and one
 * that it could not read it looks for again later, where the sandbox does not let it, and calls that a bug of its own: then
 * it is given an empty one. */
static void choose_geoip(struct tor_process_config *tor)
{
    static const char empty[] = "/dev/null";
    if (tor->torrc == NULL || !torrc_says(tor->torrc, "GeoIPFile")) {
        for (size_t i = 0; tor->geoip == NULL && i < sizeof(geoip_files) / sizeof(geoip_files[0]); i++)
            tor->geoip = access(geoip_files[i], R_OK) == 0 ? geoip_files[i] : NULL;
        if (tor->geoip == NULL && tor->sandbox)
            tor->geoip = empty;
    }
    if (tor->sandbox && (tor->torrc == NULL || !torrc_says(tor->torrc, "GeoIPv6File")))
        tor->geoip6 = empty;
}

/* As far as Tor can be, which has a network, files, and perhaps transports to start: filter.c says what is left of the
 * kernel. Its files are kept from others by its user; others' from it, too. */
static int lock_in(bool best_effort, const char **step)
{
    hardening_setup(best_effort);
    *step = "see that no privilege is left";
    if (!privileges_are_none())
        return -EPERM;
    *step = "keep to itself by Landlock (process.hardening = best-effort goes without)";
    int status = hardening_result(HARDENING_LANDLOCK, landlock_lock(LANDLOCK_DENY_OUTSIDE | LANDLOCK_DENY_SIGNALS));
    if (status != 0)
        return status;
    *step = "filter system calls (process.hardening = best-effort goes without)";
    status = hardening_result(HARDENING_FILTER, filter_load(FILTER_TOR));
    if (status == 0)
        hardening_report();
    return status;
}

/* May Tor filter its own system calls, too? Its filter lets it start no program. And told to open its network, it looks
 * at its services' directories again, which that filter does not let it, and ends. */
static bool sandbox_fits(const struct channel_tor_config *config)
{
    const char *torrc = config->torrc[0] != '\0' ? config->torrc : NULL;
    const char *why = NULL;
    if (torrc != NULL && torrc_starts_transports(torrc))
        why = "the torrc has Tor start a transport, which its own sandbox does not allow: it is off";
    else if (config->onions.count > 0)
        why = "there are onion services, which Tor's own sandbox does not allow: it is off";
    else if (torrc != NULL && config->instance == 0 && torrc_has_services(torrc)) /* the others do without */
        why = "the torrc has onion services, which Tor's own sandbox does not allow: it is off";
    if (why != NULL)
        log_event(LOG_LEVEL_INFO, "sandbox", LOG_S("note", why));
    return why == NULL;
}

int tor_role_run(int channel)
{
    struct channel_message message;
    log_setup(LOG_LEVEL_INFO, "tor", false);
    hold_signals();
    int status = channel_receive(channel, &message);
    if (status == 1 && message.type != CHANNEL_TOR_CONFIG)
        status = -EPROTO;
    if (status <= 0) {
        log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("step", "receive the configuration"), LOG_E("error", status));
        return 1;
    }
    static struct channel_tor_config config; /* Tor may keep pointers into it */
    config = message.tor_config;
    log_setup(config.log_level, "tor", false);

    const char *step = "give up privileges";
    status = privileges_drop(&config.identity, 0, &step);
    if (status == 0) {
        step = "follow the supervisor";
        status = privileges_follow_parent(channel);
    }
    if (status != 0) {
        log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("step", step), LOG_E("error", status));
        return 1;
    }
    umask(077);
    if (config.torrc[0] != '\0' && access(config.torrc, R_OK) != 0) {
        log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("step", "read tor.torrc"), LOG_S("file", config.torrc),
                  LOG_E("error", errno), LOG_U("user", config.identity.uid),
                  LOG_S("advice", "let the user that runs Tor read the file"));
        return 1;
    }

    status = check_room(config.data);
    if (status != 0) {
        log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("step", "write to Tor's data directory (tor.data)"),
                  LOG_S("directory", config.data), LOG_E("error", status));
        return 1;
    }
    static struct tor_onions_options onions; /* as above */
    status = tor_onions_prepare(&config);
    if (status == 0)
        status = tor_onions_write(&config, &onions);
    if (status != 0) {
        log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("step", "make the directories of onion services (tor.data)"),
                  LOG_S("directory", config.data), LOG_E("error", status));
        return 1;
    }
    status = lock_in(config.best_effort, &step);
    if (status != 0) {
        log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("step", step), LOG_E("error", status));
        return 1;
    }

    const bool sandbox = config.sandbox && sandbox_fits(&config);
    struct tor_process_config tor = {
        .data = config.data,
        .socks = config.socks,
        .torrc = config.torrc[0] != '\0' ? config.torrc : NULL,
        .control_fd = message.fd,
        .group = true,
        .sandbox = sandbox,
        .further = config.instance > 0,
        .more = onions.option,
        .more_count = onions.count,
        .disabled = true,
    };
    choose_geoip(&tor);
    tor_onions_announce(&config);
    status = tor_process_run(&tor);
    if (status < 0) {
        log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("step", "start Tor"), LOG_E("error", status));
        return 1;
    }
    if (status > 0)
        log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("step", "run Tor"), LOG_I("status", status),
                  LOG_S("note",
                        "Tor gave up: what it said stands above; if it is about a line of tor.torrc, correct it"));
    return status;
}
