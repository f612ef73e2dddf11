/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of set-up share, and nobody else sees. One heading per file; setup.c has the order. Each step returns 0,
 * or negative errno with the reason in w->reason.
 */
#ifndef CLOISTER_DAEMON_SETUP_WORK_H
#define CLOISTER_DAEMON_SETUP_WORK_H

#include "daemon/channel.h"
#include "daemon/identity.h"
#include "daemon/setup.h"
#include "tun/device.h"

/* While it goes on. */
struct setup_work {
    struct setup *setup;
    const struct config *config;
    struct identities who;
    uint32_t visited; /* of the next: listeners of onion services */
    int visitors[CONFIG_ONION_PORTS_MAX];
    struct device device;
    uint8_t mac[6]; /* the gateway's */
    int host;       /* network namespace that we were started in; -1 without a segment */
    int segment;    /* that of the segment, likewise */
    char *reason;
};

/* --- setup.c --- */

/* The reason why a step failed, with `advice` or NULL. Returns `error`. */
int setup_fail(struct setup_work *w, int error, const char *step, const char *advice);

/* --- setup_files.c --- */

/* Where an embedded Tor has its directory and its SOCKS socket. */
int setup_name_tor(struct setup_work *w, uint32_t instance, struct channel_tor_config *tor);

/* The sockets of an external Tor: "/run/tor/socks" is "socks" in "/run/tor", and all others are there too. */
int setup_find_external_sockets(struct setup_work *w, struct channel_gateway_config *out);

/* The directories of the embedded Tor. All SOCKS sockets are in one: it is what the gateway process sees. */
int setup_make_directories(struct setup_work *w, struct channel_gateway_config *out);

/* The listeners for visitors of onion services. */
int setup_make_onions(struct setup_work *w, struct channel_tor_config *tor, const char *socket_directory);

/* The control socket and the metrics listener, here, where the host is. One at the default place that cannot be is no
 * reason not to start: another gateway may have it. `cell` is the directory that the gateway process sees. */
int setup_make_listeners(struct setup_work *w, const char *cell);

/* --- setup_link.c --- */

/* A station's own, locally administered address (IEEE 802c), if none is configured. */
int setup_choose_mac(struct setup_work *w);

/* The TAP and what it is joined to; it stays down. */
int setup_make_tap(struct setup_work *w);

/* The last look before the first frame can come. */
int setup_raise_link(struct setup_work *w);

/* --- setup_children.c --- */

/* Wait for the first message of a child, which is to be of this type. */
int setup_await_message(struct setup_work *w, struct child *child, enum channel_type type,
                        struct channel_message *message);

/* Every embedded Tor. Onion services are the first one's. */
int setup_start_tors(struct setup_work *w, struct channel_tor_config *tor);

int setup_start_gateway(struct setup_work *w, struct channel_gateway_config *out);

int setup_await_lock_in(struct setup_work *w);

/* End whatever was started, and close what set-up leaves behind. */
void setup_end_children(struct setup *setup);

#endif
