/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order of things: be told, step into the cell, open what is needed, turn the key, say so, serve. No byte of a
 * stranger is read before the key is turned, and nothing is opened after but sockets to Tor.
 */
#include "daemon/gateway_role.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "daemon/channel.h"
#include "daemon/event_loop.h"
#include "daemon/fit.h"
#include "daemon/gateway.h"
#include "daemon/hardening.h"
#include "daemon/log.h"
#include "daemon/sandbox.h"
#include "daemon/trim.h"
#include "socks/onion.h"

/* The supervisor ends us, over the channel or by SIGKILL, and nobody else: a signal to every process of a service is
 * meant for the supervisor. */
static void ignore_signals(void)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        signal(signals[i], SIG_IGN);
}

static int fail(const char *step, int status)
{
    log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("step", step), LOG_E("error", status));
    return 1;
}

/* What follows the configuration. 0, or negative errno; what came is then left to the end of the process. */
static int receive_onions(int channel, uint32_t count, struct gateway_onion_ports *ports)
{
    struct channel_message message;
    while (ports->count < count) {
        int status = channel_receive(channel, &message);
        if (status <= 0 || message.type != CHANNEL_ONION_PORT)
            return status < 0 ? status : -EPROTO;
        ports->listener[ports->count] = message.fd;
        ports->port[ports->count++] = message.onion_port;
    }
    return 0;
}

int gateway_role_run(int channel)
{
    struct gateway_onion_ports onions = {0};
    struct channel_message message;
    log_setup(LOG_LEVEL_INFO, "gateway", false);
    ignore_signals();
    int status = channel_receive(channel, &message);
    if (status == 1 && message.type != CHANNEL_GATEWAY_CONFIG)
        status = -EPROTO;
    if (status <= 0)
        return fail("receive the configuration", status);
    struct channel_gateway_config config = message.gateway_config;
    const int tap = message.fd;
    log_setup(config.log_level, "gateway", config.log_identities);
    status = receive_onions(channel, config.onion_ports, &onions);
    if (status != 0)
        return fail("receive the onion services", status);

    hardening_setup(config.best_effort);
    const char *step = NULL;
    struct sandbox_config sandbox = {
        .identity = config.identity,
        .directory = config.socket_directory,
        .descriptors = fit_descriptors(config.flows, onions.count),
        .channel = channel,
    };
    status = sandbox_enter(&sandbox, &step);
    if (status != 0)
        return fail(step, status);
    snprintf(config.socket_directory, sizeof(config.socket_directory), "%s", SANDBOX_DIRECTORY);

    struct gateway gateway;
    status = gateway_init(&gateway, &config, tap, &onions, event_loop_now(), &step);
    if (status != 0)
        return fail(step, status);
    struct event_loop *loop;
    status = event_loop_new(&loop, &gateway, channel);
    if (status != 0) {
        fail("make the event loop", status);
        goto out_gateway;
    }

    status = sandbox_lock(&step);
    trim_process();
    if (status == 0) {
        step = "tell the supervisor";
        status = channel_send(channel, CHANNEL_READY, NULL, -1);
    }
    status = status != 0 ? fail(step, status) : event_loop_run(loop);
    event_loop_free(loop);
out_gateway:
    gateway_fini(&gateway);
    return status != 0 ? 1 : 0;
}
