/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two descriptors make work: the TAP and the upstream's inner epoll. Their callbacks only note that they are ready; the
 * turn itself runs once per round of the loop, after all of them were asked (a uv_check), so that what came from both
 * sides meets in one turn: one gathered send per flow, one ACK per batch. If a turn leaves work behind, an idle handle
 * keeps the loop from sleeping, and the descriptors are asked again before the next turn.
 *
 * There is one timer. It is set to the next deadline of whoever has one, rounded up to a millisecond of libuv's clock,
 * which is the same clock.
 *
 * Memory that became free is given back a while after the load fell, not in the middle of it.
 */
#include "daemon/event_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/channel.h"
#include "daemon/log.h"
#include "tun/output.h"

#define SETTLE_AFTER_MS 2000u   /* from a fall of the load until memory is given back */
#define ANNOUNCE_AGAIN_MS 2000u /* RFC 5227 2.3, ANNOUNCE_INTERVAL */

struct event_loop {
    uv_loop_t uv;
    uv_poll_t link;
    uv_poll_t upstream;
    uv_poll_t channel;
    uv_check_t turn;
    uv_idle_t busy; /* started while a turn left work behind */
    uv_timer_t deadline;
    uv_timer_t settle;
    uv_timer_t announce;
    struct gateway *gateway;
    int channel_fd;
    unsigned ready;  /* set of enum gateway_ready, since the last turn */
    bool again;      /* the last turn left work behind */
    uint64_t load;   /* gateway_load() after the last turn */
    int exit_status; /* of the process, once the loop was stopped */
};

uint64_t event_loop_now(void)
{
    return uv_hrtime() / 1000;
}

static void loop_end(struct event_loop *loop, int exit_status)
{
    loop->exit_status = exit_status;
    uv_stop(&loop->uv);
}

static void on_deadline(uv_timer_t *timer);

static void arm_deadline(struct event_loop *loop)
{
    uint64_t at;
    if (!gateway_next_deadline(loop->gateway, &at)) {
        uv_timer_stop(&loop->deadline);
        return;
    }
    uint64_t due = at / 1000 + 1;
    uint64_t now = uv_now(&loop->uv);
    uv_timer_start(&loop->deadline, on_deadline, due > now ? due - now : 0, 0);
}

static void on_settle(uv_timer_t *timer)
{
    struct event_loop *loop = timer->data;
    gateway_settle(loop->gateway);
}

static void on_busy(uv_idle_t *idle)
{
    (void)idle; /* being started is all it does */
}

static void run_turn(struct event_loop *loop)
{
    unsigned ready = loop->ready;
    loop->ready = 0;
    int status = gateway_turn(loop->gateway, ready, event_loop_now(), &loop->again);
    if (status != 0) {
        log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("step", "serve the link"), LOG_E("error", status));
        loop_end(loop, 1);
        return;
    }
    if (loop->again)
        uv_idle_start(&loop->busy, on_busy);
    else
        uv_idle_stop(&loop->busy);

    uint64_t load = gateway_load(loop->gateway);
    if (load < loop->load && !uv_is_active((uv_handle_t *)&loop->settle))
        uv_timer_start(&loop->settle, on_settle, SETTLE_AFTER_MS, 0);
    loop->load = load;
    arm_deadline(loop);
}

static void on_turn(uv_check_t *check)
{
    struct event_loop *loop = check->data;
    if (loop->ready != 0 || loop->again)
        run_turn(loop);
}

static void on_deadline(uv_timer_t *timer)
{
    run_turn(timer->data);
}

static void on_link(uv_poll_t *poll, int status, int events)
{
    struct event_loop *loop = poll->data;
    if (status < 0) {
        log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("step", "watch the TAP: has it been removed?"),
                  LOG_E("error", status));
        loop_end(loop, 1);
    } else if (events != 0) {
        loop->ready |= GATEWAY_READY_LINK;
    }
}

static void on_upstream(uv_poll_t *poll, int status, int events)
{
    struct event_loop *loop = poll->data;
    (void)events;
    if (status < 0) {
        log_event(LOG_LEVEL_ERROR, "fatal", LOG_S("step", "watch the upstream"), LOG_E("error", status));
        loop_end(loop, 1);
    } else {
        loop->ready |= GATEWAY_READY_UPSTREAM;
    }
}

static int send_counters(struct event_loop *loop)
{
    struct counters counters;
    gateway_count(loop->gateway, &counters);
    return channel_send(loop->channel_fd, CHANNEL_COUNTERS, &counters, -1);
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
        output_announce(&loop->gateway->tun);
        uv_timer_start(&loop->announce, on_announce, ANNOUNCE_AGAIN_MS, 0);
        return true;
    case CHANNEL_TOR_STATE:
        dns_set_ready(loop->gateway->dns, message->tor_state.bootstrapped);
        return true;
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
    int status = uv_loop_init(&loop->uv);
    if (status != 0) {
        free(loop);
        return status;
    }
    uv_check_init(&loop->uv, &loop->turn);
    uv_idle_init(&loop->uv, &loop->busy);
    uv_timer_init(&loop->uv, &loop->deadline);
    uv_timer_init(&loop->uv, &loop->settle);
    uv_timer_init(&loop->uv, &loop->announce);
    loop->turn.data = loop->busy.data = loop->deadline.data = loop->settle.data = loop->announce.data = loop;
    uv_check_start(&loop->turn, on_turn);
    *out = loop;

    struct {
        uv_poll_t *poll;
        int fd;
        uv_poll_cb callback;
    } polls[] = {
        {&loop->link, gateway->tap, on_link},
        {&loop->upstream, socks_upstream_fd(gateway->upstream), on_upstream},
        {&loop->channel, channel, on_channel},
    };
    for (size_t i = 0; i < sizeof(polls) / sizeof(polls[0]); i++) {
        status = uv_poll_init(&loop->uv, polls[i].poll, polls[i].fd);
        polls[i].poll->data = loop;
        if (status == 0)
            status = uv_poll_start(polls[i].poll, UV_READABLE, polls[i].callback);
        if (status != 0)
            break;
    }
    if (status != 0)
        event_loop_free(loop);
    return status;
}

int event_loop_run(struct event_loop *loop)
{
    loop->exit_status = 1;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
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
