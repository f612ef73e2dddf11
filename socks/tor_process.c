/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line wins over the torrc: an option that is given here replaces every line of the same name there,
 * and
 * "--/Option" takes all such lines away. (Tor: options_init_from_string() assigns the command line last.) So what
 * must not be left to the torrc is said here, in full, even where it is Tor's default.
 *
 * The SOCKS port. IsolateSOCKSAuth is what isolation.h builds on; ExtendedErrors tells why an onion service could
 * not be reached. KeepAliveIsolateSOCKSAuth: how long an identity lives is decided by its epochs (isolation.h, lasting.h),
 * which Tor sees as other credentials, and not by MaxCircuitDirtiness, which would give it another exit in the middle.
 * That says then how long a circuit is kept after its last use, and what is not used any more does end. There is no IsolateClientAddr on a pathname socket.
 *
 * Onion services are told by their order: a port is the service's whose directory was named last. So they are added to those
 * of the torrc, "--+Option", and do not replace them line by line.
 *
 * The log. Tor warns, at most every five seconds, of each connection that was asked for by address and not by name,
 * and writes its port: the workstation resolves nothing itself, so the warning is beside the point, and the port is
 * nobody's business. Hence [app]err.
 */
#include "socks/tor_process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Copy a word into the arena and put it at the end. */
static int add(struct tor_arguments *out, const char *word)
{
    size_t size = strlen(word) + 1;
    if (size > sizeof(out->text) - out->used || out->count >= (int)TOR_ARGUMENTS_MAX)
        return -ENAMETOOLONG;
    char *copy = out->text + out->used;
    memcpy(copy, word, size);
    out->used += size;
    out->argv[out->count++] = copy;
    out->argv[out->count] = NULL;
    return 0;
}

static int add_option(struct tor_arguments *out, const char *name, const char *value)
{
    int err = add(out, name);
    return err != 0 ? err : add(out, value);
}

/* Paths go into quotes in one place, and are shown in messages in others. */
static bool path_is_plain(const char *path)
{
    if (path[0] != '/')
        return false;
    for (const char *p = path; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '"' || *p == '\\')
            return false;
    return true;
}

/* Said whatever the torrc says. NULL as value: take the torrc's lines away. */
static const struct {
    const char *name;
    const char *value;
} fixed[] = {
    /* No way in but the SOCKS socket and the inherited control connection. (A control listener is the operator's to
     * have, for tools on the host: the gateway process has neither a route nor a path to it.) */
    {"--TransPort", "0"},
    {"--NATDPort", "0"},
    {"--DNSPort", "0"},
    {"--HTTPTunnelPort", "0"},
    {"--/MetricsPort", NULL}, /* "0" would be a port of the kernel's choice */
    {"--ExtORPort", "0"},
    /* Nobody's relay. A Tor without the relay module takes even "0" for a port. */
    {"--ClientOnly", "1"},
    {"--/ORPort", NULL},
    {"--/DirPort", NULL},
    /* Started, watched and unprivileged by our own means. */
    {"--RunAsDaemon", "0"},
    {"--/User", NULL},
    {"--/PidFile", NULL},
    {"--__ReloadTorrcOnSIGHUP", "0"},
    /* Logs to where we are logging, and nothing about the workstation. */
    {"--Log", "[app]err [~app]notice stderr"},
    {"--SafeLogging", "1"},
    {"--AvoidDiskWrites", "1"},
};

static int add_fixed(struct tor_arguments *out)
{
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        int err = fixed[i].value != NULL ? add_option(out, fixed[i].name, fixed[i].value) : add(out, fixed[i].name);
        if (err != 0)
            return err;
    }
    return 0;
}

static int add_more(struct tor_arguments *out, const struct tor_process_config *config)
{
    char name[64];
    int err = 0;
    for (uint32_t i = 0; err == 0 && i < config->more_count; i++) {
        int n = snprintf(name, sizeof(name), "--+%s", config->more[i].name);
        err = n > 0 && (size_t)n < sizeof(name) ? add_option(out, name, config->more[i].value) : -ENAMETOOLONG;
    }
    return err;
}

static int add_socks_port(struct tor_arguments *out, const struct tor_process_config *config)
{
    char value[256];
    int n =
        snprintf(value, sizeof(value), "unix:\"%s\" %sIsolateSOCKSAuth KeepAliveIsolateSOCKSAuth ExtendedErrors",
                 config->socks, config->group ? "GroupWritable " : "");
    if (n < 0 || (size_t)n >= sizeof(value))
        return -ENAMETOOLONG;
    return add_option(out, "--SocksPort", value);
}

int tor_process_arguments(const struct tor_process_config *config, struct tor_arguments *out)
{
    memset(out, 0, sizeof(*out));
    if (!path_is_plain(config->data) || !path_is_plain(config->socks) ||
        (config->torrc != NULL && !path_is_plain(config->torrc)))
        return -EINVAL;

    int err = add(out, "tor");
    /* "-": the torrc is standard input, which tor_process_run() has made empty. */
    if (err == 0)
        err = add_option(out, "-f", config->torrc != NULL ? config->torrc : "-");
    if (err == 0)
        err = add_option(out, "--defaults-torrc", "/dev/null");
    if (err == 0)
        err = add_option(out, "--DataDirectory", config->data);
    if (err == 0)
        err = add_socks_port(out, config);
    if (err == 0 && config->control_fd >= 0) {
        char number[16];
        snprintf(number, sizeof(number), "%d", config->control_fd);
        err = add_option(out, "--__OwningControllerFD", number);
    }
    if (err == 0 && config->disabled)
        err = add_option(out, "--DisableNetwork", "1");
    if (err == 0)
        err = add_option(out, "--Sandbox", config->sandbox ? "1" : "0");
    if (err == 0 && config->geoip != NULL)
        err = add_option(out, "--GeoIPFile", config->geoip);
    if (err == 0 && config->geoip6 != NULL)
        err = add_option(out, "--GeoIPv6File", config->geoip6);
    /* Another Tor with the same torrc has them. */
    static const char *const not_ours[] = {"--/ControlPort", "--/ControlSocket", "--/HiddenServiceDir"};
    for (size_t i = 0; err == 0 && config->further && i < sizeof(not_ours) / sizeof(not_ours[0]); i++)
        err = add(out, not_ours[i]);
    if (err == 0)
        err = add_more(out, config);
    return err != 0 ? err : add_fixed(out);
}
