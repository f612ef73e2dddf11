/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Crash-only: if one of its processes ends, all end. Whatever the reason, there is one way out, taken in order:
 *
 *     RUNNING --signal, or a child has ended--> END_GATEWAY --it has ended--> END_TOR --it has ended--> END_KEEPER
 *                                                                                         --it has ended--> out
 *
 * The gateway goes first, so that workstations get their resets and nothing is accepted any more, then Tor. Each is
 * asked (a message; SIGNAL HALT) and, if it has not ended after a while, killed. Both waits together stay under two
 * seconds.
 */
#include "daemon/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/channel.h"
#include "daemon/child.h"
#include "daemon/console.h"
#include "daemon/counters.h"
#include "daemon/filter.h"
#include "daemon/fit.h"
#include "daemon/hardening.h"
#include "daemon/landlock.h"
#include "daemon/log.h"
#include "daemon/privileges.h"
#include "daemon/setup.h"
#include "daemon/tor_monitor.h"
#include "daemon/trim.h"

#define END_MS 800u           /* from asking a child to end until it is killed */
#define BRIDGE_EVERY_MS 2000u /* between two looks at the host's bridge when nothing is told */

enum state {
    STATE_RUNNING,
    STATE_END_GATEWAY,
    STATE_END_TOR,
    STATE_END_KEEPER,
    STATE_OUT,
};

struct supervisor;

/* An embedded Tor, watched. */
struct watched_tor {
    struct supervisor *supervisor;
    struct setup_tor *tor;
    uv_poll_t ended; /* its pidfd */
    struct tor_monitor monitor;
    bool bootstrapped;
    uint32_t building; /* as on_load() heard it last */
};

struct supervisor {
    const struct config *config;
    struct setup setup;
    enum state state;
    int exit_status;
    bool terminal;                 /* we log to one: SIGHUP says that it is gone */
    unsigned asked;                /* counters that the gateway still owes us */
    char reason[SETUP_REASON_MAX]; /* why all is ending; empty while it runs */
    uint64_t started;              /* ms, uv_now() */
    uv_loop_t loop;
    uv_signal_t signals[4];
    uv_timer_t deadline;     /* of the child that was asked to end */
    uv_poll_t gateway_ended; /* its pidfd */
    uv_poll_t keeper_ended;  /* its pidfd */
    uv_poll_t bridge_news;
    uv_timer_t bridge_due;
    uv_poll_t gateway_channel;
    struct watched_tor tor[CONFIG_TORS_MAX]; /* setup.tors of them */
    bool ready;                              /* connections pass */
    struct console console;
};

static void go_on_ending(struct supervisor *s);

/* Begin to end, for this reason. The first reason counts. */
static void begin_to_end(struct supervisor *s, int exit_status, const char *reason)
{
    if (s->state != STATE_RUNNING)
        return;
    snprintf(s->reason, sizeof(s->reason), "%s", reason);
    s->exit_status = exit_status;
    s->state = STATE_END_GATEWAY;
    s->asked++; /* the gateway's last word */
    if (s->setup.gateway.pid > 0 && channel_send(s->setup.gateway.channel, CHANNEL_STOP, NULL, -1) != 0)
        child_kill(&s->setup.gateway, SIGKILL);
    go_on_ending(s);
}

static void kill_late(struct supervisor *s, const struct child *child)
{
    if (child->pid == 0)
        return;
    log_event(LOG_LEVEL_WARN, "kill", LOG_S("role", child->role), LOG_S("note", "did not end when asked to"));
    s->exit_status = 1;
    child_kill(child, SIGKILL);
}

static void on_deadline(uv_timer_t *timer)
{
    struct supervisor *s = timer->data;
    if (s->state != STATE_END_TOR)
        kill_late(s, s->state == STATE_END_GATEWAY ? &s->setup.gateway : &s->setup.keeper);
    for (uint32_t i = 0; s->state == STATE_END_TOR && i < s->setup.tors; i++)
        kill_late(s, &s->setup.tor[i].child);
}

static bool tors_have_ended(const struct supervisor *s)
{
    bool ended = true;
    for (uint32_t i = 0; i < s->setup.tors; i++)
        ended = ended && s->setup.tor[i].child.pid == 0;
    return ended;
}

/* Take the next steps on the way out, as far as children have ended. */
static void go_on_ending(struct supervisor *s)
{
    if (s->state == STATE_END_GATEWAY && s->setup.gateway.pid == 0) {
        s->state = STATE_END_TOR;
        uv_timer_stop(&s->deadline);
        for (uint32_t i = 0; i < s->setup.tors; i++) {
            if (s->setup.tor[i].child.pid > 0)
                tor_monitor_halt(&s->tor[i].monitor);
        }
    }
    if (s->state == STATE_END_TOR && tors_have_ended(s)) {
        s->state = STATE_END_KEEPER;
        uv_timer_stop(&s->deadline);
        /* It must not be killed, or what it keeps is lost; and that we are gone means the same to it. */
        if (s->setup.keeper.pid > 0 && channel_send(s->setup.keeper.channel, CHANNEL_STOP, NULL, -1) != 0) {
            close(s->setup.keeper.channel);
            s->setup.keeper.channel = -1;
        }
    }
    if (s->state == STATE_END_KEEPER && s->setup.keeper.pid == 0) {
        s->state = STATE_OUT;
        uv_timer_stop(&s->deadline);
        uv_stop(&s->loop);
    }
    if (s->state != STATE_OUT && !uv_is_active((uv_handle_t *)&s->deadline))
        uv_timer_start(&s->deadline, on_deadline, END_MS, 0);
}

/* A child has ended: if nobody asked it to, that is the reason for all to end. */
static void child_has_ended(struct supervisor *s, struct child *child, uv_poll_t *watch, bool expected)
{
    char how[128];
    uv_poll_stop(watch);
    if (!child_reap(child))
        return;
    child_describe(child, how, sizeof(how));
    log_event(expected ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, "child", LOG_S("role", child->role),
              LOG_S("ended", how));
    if (s->state == STATE_RUNNING)
        begin_to_end(s, 1, how);
    else
        go_on_ending(s);
}

static void on_gateway_ended(uv_poll_t *poll, int status, int events)
{
    struct supervisor *s = poll->data;
    (void)status;
    (void)events;
    child_has_ended(s, &s->setup.gateway, poll, s->state != STATE_RUNNING);
}

static void on_tor_ended(uv_poll_t *poll, int status, int events)
{
    struct watched_tor *tor = poll->data;
    (void)status;
    (void)events;
    child_has_ended(tor->supervisor, &tor->tor->child, poll, tor->supervisor->state == STATE_END_TOR);
}

static void on_keeper_ended(uv_poll_t *poll, int status, int events)
{
    struct supervisor *s = poll->data;
    (void)status;
    (void)events;
    child_has_ended(s, &s->setup.keeper, poll, s->state == STATE_END_KEEPER);
}

static void look_at_bridge(struct supervisor *s)
{
    char why[BRIDGE_GUARD_WHY_MAX];
    if (s->state == STATE_RUNNING && bridge_guard_look(&s->setup.guard, why) != 0)
        begin_to_end(s, 1, why);
}

static void on_bridge_news(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    look_at_bridge(poll->data);
}

/* Not everything that matters is told. */
static void on_bridge_due(uv_timer_t *timer)
{
    look_at_bridge(timer->data);
}

/* The gateway may be in the hands of a stranger: it is believed some numbers, and nothing else. */
static void on_gateway_channel(uv_poll_t *poll, int status, int events)
{
    struct supervisor *s = poll->data;
    struct channel_message message;
    (void)events;
    int n = status < 0 ? status : channel_receive(s->setup.gateway.channel, &message);
    if (n == -EAGAIN)
        return;
    if (n == 1 && message.type == CHANNEL_COUNTERS) {
        if (s->asked > 0) {
            s->asked--;
            counters_log(&message.counters);
        }
        return;
    }
    if (n == 1 && message.type == CHANNEL_VIEW && console_take_view(&s->console, &message.view) == 0)
        return;
    uv_poll_stop(poll);
    if (n == 0)
        return; /* it is ending, its pidfd tells how */
    if (n == 1 && message.fd >= 0)
        close(message.fd);
    log_event(LOG_LEVEL_ERROR, "channel", LOG_S("role", "gateway"), LOG_S("note", "a malformed message"));
    child_kill(&s->setup.gateway, SIGKILL);
    begin_to_end(s, 1, "the gateway sent a malformed message");
}

static void report_ready(struct supervisor *s)
{
    const struct config *c = s->config;
    struct channel_tor_state state = {.bootstrapped = true};
    if (s->state != STATE_RUNNING)
        return;
    if (channel_send(s->setup.gateway.channel, CHANNEL_TOR_STATE, &state, -1) != 0) {
        begin_to_end(s, 1, "the gateway does not read its messages");
        return;
    }
    s->ready = true;
    log_event(LOG_LEVEL_INFO, "ready", LOG_S("device", c->device),
              LOG_S("mode", c->mode == CONFIG_MODE_EMBEDDED ? "embedded" : "external"),
              LOG_U("after_ms", uv_now(&s->loop) - s->started));
    trim_process();
}

/* Any identity may be any Tor's: all have to be up. */
static void on_bootstrapped(void *ctx)
{
    struct watched_tor *tor = ctx;
    struct supervisor *s = tor->supervisor;
    bool all = true;
    tor->bootstrapped = true;
    for (uint32_t i = 0; i < s->setup.tors; i++)
        all = all && s->tor[i].bootstrapped;
    if (all)
        report_ready(s);
}

static void on_monitor_broken(void *ctx, const char *why, int error)
{
    struct watched_tor *tor = ctx;
    struct supervisor *s = tor->supervisor;
    char reason[256];
    if (s->state != STATE_RUNNING)
        return;
    /* Most likely Tor has just ended: how it did says more. */
    if (child_wait(&tor->tor->child, 200)) {
        child_has_ended(s, &tor->tor->child, &tor->ended, false);
        return;
    }
    snprintf(reason, sizeof(reason), "%s%s%s", why, error != 0 ? ": " : "", error != 0 ? strerror(-error) : "");
    begin_to_end(s, 1, reason);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct supervisor *s = handle->data;
    if (signum == SIGUSR1) {
        if (s->state != STATE_RUNNING)
            return;
        if (channel_send(s->setup.gateway.channel, CHANNEL_ASK_COUNTERS, NULL, -1) == 0)
            s->asked++;
        else
            log_event(LOG_LEVEL_WARN, "counters", LOG_S("note", "the gateway does not read its messages"));
        return;
    }
    if (signum == SIGHUP && !s->terminal) {
        log_event(LOG_LEVEL_WARN, "reload",
                  LOG_S("note", "the configuration is read at start only; restart cloister for a change to count"));
        return;
    }
    begin_to_end(s, 0, signum == SIGTERM ? "SIGTERM" : signum == SIGINT ? "SIGINT" : "SIGHUP");
}

static int watch(struct supervisor *s, uv_poll_t *poll, int fd, uv_poll_cb callback)
{
    int status = uv_poll_init(&s->loop, poll, fd);
    poll->data = s;
    return status != 0 ? status : uv_poll_start(poll, UV_READABLE, callback);
}

static int start_guarding(struct supervisor *s)
{
    int status = watch(s, &s->bridge_news, bridge_guard_fd(&s->setup.guard), on_bridge_news);
    if (status == 0)
        status = uv_timer_init(&s->loop, &s->bridge_due);
    s->bridge_due.data = s;
    return status != 0 ? status : uv_timer_start(&s->bridge_due, on_bridge_due, BRIDGE_EVERY_MS, BRIDGE_EVERY_MS);
}

/* Lost if the gateway does not read: an end is then believed to be one. */
static void on_streams_ended(void *ctx, const uint64_t *keys, const bool *clean, unsigned count)
{
    struct supervisor *s = ((struct watched_tor *)ctx)->supervisor;
    struct channel_streams_ended ended = {.count = count};
    _Static_assert(TOR_MONITOR_ENDED_MAX <= CHANNEL_ENDED_MAX, "one message takes them all");
    memcpy(ended.key, keys, count * sizeof(*keys));
    memcpy(ended.clean, clean, count * sizeof(*clean));
    if (s->state == STATE_RUNNING)
        channel_send(s->setup.gateway.channel, CHANNEL_STREAMS_ENDED, &ended, -1);
}

/* Lost if the gateway does not read; the next one says the same or better. Of several Tors it is the busiest that counts. */
static void on_load(void *ctx, uint32_t building, bool refused)
{
    struct watched_tor *tor = ctx;
    struct supervisor *s = tor->supervisor;
    struct channel_tor_load load = {.refused = refused};
    tor->building = building;
    for (uint32_t i = 0; i < s->setup.tors; i++)
        load.building = s->tor[i].building > load.building ? s->tor[i].building : load.building;
    if (refused)
        log_event(LOG_LEVEL_INFO, "circuits-refused", LOG_U("building", building));
    if (s->state == STATE_RUNNING)
        channel_send(s->setup.gateway.channel, CHANNEL_TOR_LOAD, &load, -1);
}

static int ask_gateway(void *ctx, const struct view_ask *ask)
{
    struct supervisor *s = ctx;
    return s->state == STATE_RUNNING ? channel_send(s->setup.gateway.channel, CHANNEL_ASK_VIEW, ask, -1)
                                     : -ESHUTDOWN;
}

static void tell_facts(void *ctx, struct console_facts *out)
{
    struct supervisor *s = ctx;
    const struct config *c = s->config;
    const bool embedded = c->mode == CONFIG_MODE_EMBEDDED;
    *out = (struct console_facts){
        .version = CLOISTER_VERSION,
        .device = c->device,
        .embedded = embedded,
        .ready = s->ready,
        .uptime_s = (uv_now(&s->loop) - s->started) / 1000,
        .flows_max = c->flows,
        .workstations_max = c->workstations,
        .identities = c->identities,
        .bootstrap = s->setup.tors > 0 ? 100 : 0,
        .summary = "",
        .listeners = s->setup.tors,
        .onions = &c->onions,
        .tors = s->setup.tors,
    };
    while (!embedded && out->listeners < CONFIG_TORS_MAX && c->socks[out->listeners][0] != '\0')
        out->listeners++;
    /* The slowest one's. */
    for (uint32_t i = 0; i < s->setup.tors; i++) {
        const struct tor_monitor *monitor = &s->tor[i].monitor;
        if (i == 0 || tor_monitor_progress(monitor) < out->bootstrap) {
            out->bootstrap = tor_monitor_progress(monitor);
            out->summary = monitor->summary;
        }
        out->guards += monitor->guards;
        out->circuits[i] = &monitor->circuits;
        out->countries[i] = &monitor->countries;
    }
}

static bool learn_countries(void *ctx, bool all)
{
    struct supervisor *s = ctx;
    bool begun = false;
    for (uint32_t i = 0; i < s->setup.tors; i++)
        begun = tor_monitor_look_up(&s->tor[i].monitor, all) || begun;
    return begun;
}

/* A Tor has told all; when the last one has, whoever waits to see it is answered. */
static void on_looked_up(void *ctx)
{
    struct supervisor *s = ((struct watched_tor *)ctx)->supervisor;
    bool busy = false;
    for (uint32_t i = 0; i < s->setup.tors; i++)
        busy = busy || countries_busy(&s->tor[i].monitor.countries);
    if (!busy)
        console_learnt(&s->console);
}

static int start_watching(struct supervisor *s)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    static const struct tor_monitor_ops ops = {.streams_ended = on_streams_ended,
                                               .load = on_load,
                                               .looked_up = on_looked_up,
                                               .bootstrapped = on_bootstrapped,
                                               .broken = on_monitor_broken};
    int status = uv_timer_init(&s->loop, &s->deadline);
    s->deadline.data = s;
    for (size_t i = 0; status == 0 && i < sizeof(signals) / sizeof(signals[0]); i++) {
        status = uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        if (status == 0)
            status = uv_signal_start(&s->signals[i], on_signal, signals[i]);
    }
    if (status == 0)
        status = watch(s, &s->gateway_ended, s->setup.gateway.pidfd, on_gateway_ended);
    if (status == 0)
        status = watch(s, &s->gateway_channel, s->setup.gateway.channel, on_gateway_channel);
    if (status == 0 && s->setup.keeper.pid > 0)
        status = watch(s, &s->keeper_ended, s->setup.keeper.pidfd, on_keeper_ended);
    if (status == 0 && s->setup.guarded)
        status = start_guarding(s);
    for (uint32_t i = 0; status == 0 && i < s->setup.tors; i++) {
        struct watched_tor *tor = &s->tor[i];
        tor->supervisor = s;
        tor->tor = &s->setup.tor[i];
        status = watch(s, &tor->ended, tor->tor->child.pidfd, on_tor_ended);
        tor->ended.data = tor;
        if (status == 0)
            status = tor_monitor_start(&tor->monitor, &s->loop, tor->tor->control, &ops, tor);
    }
    const struct console_ops console = {
        .ask = ask_gateway, .facts = tell_facts, .learn = learn_countries, .ctx = s};
    if (status == 0)
        status = console_start(&s->console, &s->loop, s->setup.control, s->setup.metrics, &console);
    return status;
}

/* Signals wait until there is somebody to take them. */
static void hold_signals(bool hold)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

static int report_exit(const char *reason, int status)
{
    log_event(status == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "exit", LOG_S("reason", reason),
              LOG_I("status", status));
    return status;
}

/* Nothing is opened any more from here on. */
static int lock_in(void)
{
    if (!privileges_are(SETUP_CAPABILITIES))
        return -EPERM;
    int status = hardening_result(HARDENING_LANDLOCK,
                                  landlock_lock(LANDLOCK_DENY_WRITING | LANDLOCK_DENY_TCP | LANDLOCK_DENY_OUTSIDE));
    if (status == 0)
        status = hardening_result(HARDENING_FILTER, filter_load(FILTER_SUPERVISOR));
    if (status == 0)
        hardening_report();
    return status;
}

/* Limits that nobody set, by what this machine has. */
static int fit(struct supervisor *s, struct config *config)
{
    static const char *const reasons[] = {"set", "memory", "descriptors"};
    char error[CONFIG_ERROR_MAX];
    struct fit_machine machine;
    enum fit_reason reason;
    const uint32_t buffers = config->buffers;
    fit_look(&machine);
    int status = fit_limits(config, &machine, &reason, error);
    if (status != 0)
        snprintf(s->reason, sizeof(s->reason), "%s", error);
    else if (reason != FIT_AS_SET || config->buffers != buffers)
        log_event(LOG_LEVEL_WARN, "limits", LOG_U("flows", config->flows), LOG_S("flows_by", reasons[reason]),
                  LOG_U("buffers_mib", config->buffers), LOG_U("memory_mib", machine.memory >> 20),
                  LOG_U("descriptors", machine.descriptors));
    return status;
}

int supervisor_run(struct config *config)
{
    static struct supervisor s; /* large, and there is one */
    s.config = config;
    log_setup(config->level, "supervisor", config->identities);
    hardening_setup(config->hardening == CONFIG_HARDENING_BEST_EFFORT);
    s.terminal = isatty(STDERR_FILENO) != 0;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    hold_signals(true);
    int status = fit(&s, config);
    if (status == 0)
        status = setup_run(&s.setup, config, s.reason);
    if (status != 0)
        return report_exit(s.reason, status == -ECANCELED ? 0 : 1);

    setenv("UV_USE_IO_URING", "0", 1); /* filter.c */
    status = uv_loop_init(&s.loop);
    if (status != 0)
        return report_exit(uv_strerror(status), 1);
    s.started = uv_now(&s.loop);
    status = start_watching(&s);
    if (status == 0)
        status = lock_in();
    hold_signals(false);
    if (status != 0) {
        child_kill(&s.setup.gateway, SIGKILL);
        for (uint32_t i = 0; i < s.setup.tors; i++)
            child_kill(&s.setup.tor[i].child, SIGKILL); /* and the keeper sees us go */
        return report_exit(uv_strerror(status), 1);
    }
    if (config->mode == CONFIG_MODE_EXTERNAL)
        report_ready(&s);
    /* libuv: descriptors by epoll, signals by a pipe to itself. */
    /* syscalls supervisor: epoll_wait epoll_ctl read */
    uv_run(&s.loop, UV_RUN_DEFAULT);
    return report_exit(s.reason, s.exit_status);
}
