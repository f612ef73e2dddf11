/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order is that of the invariants: nothing of a workstation can come in before the TAP is up, and the TAP goes up
 * when everything else stands. The supervisor keeps no copy of the TAP's descriptor: the device dies with the gateway.
 * If set-up ends half-way, so does the process, and the kernel takes the rest down: the device is not persistent, and
 * the children follow their parent.
 *
 * What the supervisor keeps is one capability, CAP_KILL: its children have other users, and the signal that a child
 * gets when its parent dies is sent with the parent's rights.
 *
 * Here is the order; the steps are in setup_files.c (directories and sockets), setup_link.c (the TAP) and
 * setup_children.c (the processes).
 */
#include "daemon/setup.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/range.h"
#include "daemon/log.h"
#include "daemon/privileges.h"
#include "daemon/setup_work.h"
#include "socks/torrc.h"

_Static_assert(SETUP_CAPABILITIES == 1ull << CAP_KILL, "what setup.h says");

int setup_fail(struct setup_work *w, int error, const char *step, const char *advice)
{
    snprintf(w->reason, SETUP_REASON_MAX, "%s: %s%s%s", step, strerror(-error), advice != NULL ? "; " : "",
             advice != NULL ? advice : "");
    return error;
}

static int find_users(struct setup_work *w)
{
    char error[CONFIG_ERROR_MAX];
    if (geteuid() != 0) {
        snprintf(w->reason, SETUP_REASON_MAX, "cloister run needs to be started as root");
        return -EPERM;
    }
    int status = identities_find(w->config, &w->who, error);
    if (status != 0)
        snprintf(w->reason, SETUP_REASON_MAX, "%s", error);
    return status;
}

/* Both have to be asked: leave from Tor alone could come with a torrc that somebody copied. */
static void note_private(const struct config *c)
{
    if (c->mode == CONFIG_MODE_EMBEDDED && !c->allow_private && c->torrc[0] != '\0' &&
        torrc_allows_internal(c->torrc))
        log_event(LOG_LEVEL_INFO, "private", LOG_S("torrc", c->torrc),
                  LOG_S("note",
                        "ClientRejectInternalAddresses 0 is of no effect for workstations: private addresses "
                        "are refused unless tor.allow_private = yes"));
}

/* Workstations see these addresses, and those of a network that is routed to this place would tell where it is. */
static void note_public(const struct config *c)
{
    bool public4 = range_is_internet(&c->network.addr);
    bool public6 = c->network6.len != 0 && range_is_internet(&c->network6.addr);
    if (public4 || public6)
        log_event(LOG_LEVEL_WARN, "public", LOG_S("key", public4 ? "workstation.address" : "workstation.address6"),
                  LOG_S("note",
                        "no private network: if its addresses are routed to you, they tell workstations who "
                        "you are; and what else has addresses of it cannot be reached"));
}

static int drop_privileges(struct setup_work *w)
{
    const char *step = NULL;
    int status = privileges_drop(&w->who.supervisor, SETUP_CAPABILITIES, &step);
    return status == 0 ? 0 : setup_fail(w, status, step, NULL);
}

int setup_run(struct setup *setup, const struct config *config, char reason[SETUP_REASON_MAX])
{
    *setup = (struct setup){.gateway = CHILD_NONE, .keeper = CHILD_NONE, .control = -1, .metrics = -1};
    for (uint32_t i = 0; i < CONFIG_TORS_MAX; i++)
        setup->tor[i] = (struct setup_tor){.child = CHILD_NONE, .control = -1};
    struct setup_work w = {
        .setup = setup, .config = config, .device = {.fd = -1}, .host = -1, .segment = -1, .reason = reason};
    struct channel_tor_config tor = {0};
    struct channel_gateway_config gateway = {0};
    const bool embedded = config->mode == CONFIG_MODE_EMBEDDED;

    note_private(config);
    note_public(config);
    int status = find_users(&w);
    if (status == 0)
        status = embedded ? setup_make_directories(&w, &gateway) : setup_find_external_sockets(&w, &gateway);
    if (status == 0)
        status = setup_make_onions(&w, &tor, gateway.socket_directory);
    if (status == 0)
        status = setup_make_listeners(&w, gateway.socket_directory);
    if (status == 0)
        status = setup_choose_mac(&w);
    if (status == 0)
        status = setup_make_tap(&w);
    if (status == 0 && embedded)
        status = setup_start_tors(&w, &tor);
    if (status == 0)
        status = setup_start_gateway(&w, &gateway);
    if (status == 0)
        status = setup_await_lock_in(&w);
    if (status == 0)
        status = setup_raise_link(&w);
    if (status == 0)
        status = drop_privileges(&w);
    if (status != 0) {
        if (w.device.fd >= 0)
            close(w.device.fd);
        setup_end_children(setup);
        if (setup->guarded)
            bridge_guard_undo(&setup->guard);
        setup->guarded = false;
    }
    while (w.visited > 0)
        close(w.visitors[--w.visited]);
    if (w.segment >= 0)
        close(w.segment);
    if (w.host >= 0)
        close(w.host);
    return status;
}
