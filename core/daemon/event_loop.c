/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packet's way has an epoll of its own: the upstream's, with every stream in it edge-triggered, which watches the
 * TAP as well. So one system call waits for all there is, and what came from both sides meets in one turn: one gathered
 * send per flow, one ACK per batch. The next deadline of whoever has one is the time-out of that wait. If a turn leaves
 * work behind, the wait does not sleep.
 *
 * Everything that is not a packet (the supervisor's channel, housekeeping timers) is libuv's. Its loop is one more
 * descriptor in the epoll, and is run without waiting when that is readable or one of its timers is due.
 *
 * Memory that became free is given back a while after the load fell, not in the middle of it.
 */
#include "daemon/event_loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/channel.h"
#include "daemon/gateway_view.h"
#include "daemon/log.h"
#include "tun/output.h"

#define READY_LOOP (1u << 31)   /* libuv's loop has something, beside enum gateway_ready */
#define SETTLE_AFTER_MS 2000u   /* from a fall of the load until memory is given back */
#define ANNOUNCE_AGAIN_MS 2000u /* RFC 5227 2.3, ANNOUNCE_INTERVAL */

struct event_loop {
    uv_loop_t uv;
    uv_poll_t channel;
    uv_timer_t settle;
    uv_timer_t announce;
    struct gateway *gateway;
    int channel_fd;
    bool again;    /* the last turn left work behind */
    uint64_t load; /* gateway_load() after the last turn */
    bool ended;
    int exit_status; /* of the process, once `ended` */
};

uint64_t event_loop_now(void)
{
    return uv_hrtime() / 1000;
}

static void loop_end(struct event_loop *loop, int exit_status)
{
    loop->exit_status = exit_status;
    loop->ended = true;
}

/* How long there is nothing to do unless something happens: ms, rounded up; -1: for ever. */
static int time_to_wait(struct event_loop *loop)
{
    if (loop->again)
        return 0;
    uv_update_time(&loop->uv);
    int wait = uv_backend_timeout(&loop->uv);
    uint64_t at;
    if (gateway_next_deadline(loop->gateway, &at)) {
        uint64_t now = event_loop_now();
        uint64_t ms = at > now ? (at - now + 999) / 1000 : 0;
        if (wait < 0 || ms < (uint64_t)wait)
            wait = (int)(ms < INT_MAX ? ms : INT_MAX);
    }
    return wait;
}

static void on_settle(uv_timer_t *timer)
{
    struct event_loop *loop = timer->data;
    gateway_settle(loop->gateway);
}

static void run_turn(struct event_loop *loop, unsigned ready)
{
    int status = gateway_turn(loop->gateway, ready, event_loop_now(), &loop->again);
    if (status != 0) {
        log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("step", "serve the link: has the TAP been removed?"),
                  LOG_E("error", status));
        loop_end(loop, 1);
        return;
    }
    uint64_t load = gateway_load(loop->gateway);
    if (load < loop->load && !uv_is_active((uv_handle_t *)&loop->settle))
        uv_timer_start(&loop->settle, on_settle, SETTLE_AFTER_MS, 0);
    loop->load = load;
}

static int send_counters(struct event_loop *loop)
{
    struct counters counters;
    gateway_count(loop->gateway, &counters);
    return channel_send(loop->channel_fd, CHANNEL_COUNTERS, &counters, -1);
}

/* Nobody asks for the next piece before this one came: there is room. */
static bool send_view(struct event_loop *loop, const struct view_ask *ask)
{
    struct view view;
    if (!gateway_view(loop->gateway, ask, event_loop_now(), &view))
        return false;
    channel_send(loop->channel_fd, CHANNEL_VIEW, &view, -1);
    return true;
}

static void on_announce(uv_timer_t *timer)
{
    struct event_loop *loop = timer->data;
    output_announce(&loop->gateway->tun);
}

/* One message of the supervisor. False if it is none that it may send. */
static bool take_message(struct event_loop *loop, const struct channel_message *message)
{
    switch (message->type) {
    case CHANNEL_LINK_UP:
        tun_link_up(&loop->gateway->tun, event_loop_now());
        uv_timer_start(&loop->announce, on_announce, ANNOUNCE_AGAIN_MS, 0);
        return true;
    case CHANNEL_TOR_STATE:
        gateway_set_ready(loop->gateway, message->tor_state.bootstrapped);
        return true;
    case CHANNEL_TOR_LOAD:
        gateway_tor_load(loop->gateway, message->tor_load.building, message->tor_load.refused != 0,
                         event_loop_now());
        return true;
    case CHANNEL_STREAMS_ENDED:
        gateway_streams_ended(loop->gateway, &message->streams_ended, event_loop_now());
        loop->again = true; /* to flush */
        return true;
    case CHANNEL_ASK_VIEW:
        return send_view(loop, &message->view_ask);
    case CHANNEL_ASK_COUNTERS:
        send_counters(loop);
        return true;
    case CHANNEL_STOP:
        gateway_stop(loop->gateway, event_loop_now());
        send_counters(loop);
        loop_end(loop, 0);
        return true;
    default:
        return false;
    }
}

static void on_channel(uv_poll_t *poll, int status, int events)
{
    struct event_loop *loop = poll->data;
    struct channel_message message;
    (void)events;
    int n = status < 0 ? 0 : channel_receive(loop->channel_fd, &message);
    if (n == -EAGAIN)
        return;
    if (n == 0) {
        loop_end(loop, 1); /* the supervisor is gone: so are we */
    } else if (n < 0 || !take_message(loop, &message)) {
        if (n > 0 && message.fd >= 0)
            close(message.fd);
        log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("step", "read the supervisor's message"),
                  LOG_E("error", n < 0 ? n : -EPROTO));
        loop_end(loop, 1);
    }
}

int event_loop_new(struct event_loop **out, struct gateway *gateway, int channel)
{
    struct event_loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL)
        return -ENOMEM;
    loop->gateway = gateway;
    loop->channel_fd = channel;
    /* Behind io_uring no filter sees what is asked of the kernel (filter.c). */
    setenv("UV_USE_IO_URING", "0", 1);
    int status = uv_loop_init(&loop->uv);
    if (status != 0) {
        free(loop);
        return status;
    }
    uv_timer_init(&loop->uv, &loop->settle);
    uv_timer_init(&loop->uv, &loop->announce);
    status = uv_poll_init(&loop->uv, &loop->channel, channel);
    if (status == 0)
        status = uv_poll_start(&loop->channel, UV_READABLE, on_channel);
    loop->settle.data = loop->announce.data = loop->channel.data = loop;
    *out = loop;
    if (status == 0)
        status = socks_upstream_watch(gateway->upstream, uv_backend_fd(&loop->uv), READY_LOOP);
    if (status == 0)
        status = socks_upstream_watch(gateway->upstream, dns_service_fd(gateway->dns_service), GATEWAY_READY_DNS);
    if (status == 0 && gateway->onion != NULL)
        status = socks_upstream_watch(gateway->upstream, gateway_onion_fd(gateway), GATEWAY_READY_ONION);
    if (status == 0)
        status = socks_upstream_watch(gateway->upstream, gateway->tap, GATEWAY_READY_LINK);
    if (status != 0)
        event_loop_free(loop);
    return status;
}

int event_loop_run(struct event_loop *loop)
{
    /* libuv. */
    /* syscalls gateway: epoll_wait epoll_ctl read close */
    loop->exit_status = 1;
    uv_run(&loop->uv, UV_RUN_NOWAIT); /* libuv tells its epoll of its handles only when it is run */
    while (!loop->ended) {
        unsigned ready = 0;
        int status = socks_upstream_wait(loop->gateway->upstream, time_to_wait(loop), &ready);
        if (status != 0) {
            log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("step", "wait for events"), LOG_E("error", status));
            loop_end(loop, 1);
            break;
        }
        run_turn(loop, ready);
        uv_update_time(&loop->uv);
        if (!loop->ended && ((ready & READY_LOOP) || uv_backend_timeout(&loop->uv) == 0))
            uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    return loop->exit_status;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void event_loop_free(struct event_loop *loop)
{
    uv_walk(&loop->uv, close_handle, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(&loop->uv);
    free(loop);
}
