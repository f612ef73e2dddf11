/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/tor_monitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"
#include "socks/budget.h"
#include "socks/isolation.h"

#define HEARTBEAT_EVERY_MS 5000u
/* A small router may take seconds to read a consensus, and a busy one some more. */
#define HEARTBEAT_LATE_MS 30000u
#define TICK_MS 1000u
#define TIMEOUTS_MIN 3u /* in a tick; fewer say nothing */
#define SKEW_MAX_S 3600 /* a consensus is good for three hours, and Tor gives it some more */
#define EXPIRED_MIN 3u  /* one relay's certificate may be over for a reason of its own */

enum command {
    COMMAND_EVENTS,
    COMMAND_BOOTSTRAP,
    COMMAND_NETWORK,
    COMMAND_HEARTBEAT,
    COMMAND_COUNTRY,
    COMMAND_HALT,
};

static void report_broken(struct tor_monitor *m, const char *why, int error)
{
    if (m->broken)
        return;
    m->broken = true;
    uv_poll_stop(&m->poll);
    uv_timer_stop(&m->heartbeat);
    uv_timer_stop(&m->tick);
    m->ops.broken(m->ctx, why, error);
}

static void on_ready(uv_poll_t *poll, int status, int events);

/* Send what is waiting; the rest when there is room. */
static void flush(struct tor_monitor *m)
{
    size_t len;
    const char *text;
    if (m->broken)
        return;
    while (text = control_output(&m->control, &len), len > 0) {
        /* syscalls supervisor: sendto */
        ssize_t n = send(m->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return; /* reading will tell */
        if (n < 0)
            break;
        control_output_sent(&m->control, (size_t)n);
    }
    int events = UV_READABLE | (len > 0 ? UV_WRITABLE : 0);
    if (events != m->events && uv_poll_start(&m->poll, events, on_ready) == 0)
        m->events = events;
}

/* A Tor that hangs still holds its connections and its socket: everything looks well, and nothing moves. */
static void on_heartbeat(uv_timer_t *timer)
{
    struct tor_monitor *m = timer->data;
    uint64_t silent = uv_now(timer->loop) - m->heard;
    if (m->beating && silent >= HEARTBEAT_LATE_MS) {
        report_broken(m, "Tor hangs: it does not answer on its control connection", -ETIMEDOUT);
        return;
    }
    if (!m->beating && control_command(&m->control, COMMAND_HEARTBEAT, CONTROL_COMMAND_HEARTBEAT) == 0) {
        m->beating = true;
        m->heard = uv_now(timer->loop);
        flush(m);
    }
}

long tor_monitor_skew(const char *arguments)
{
    static const char key[] = "SKEW=";
    for (const char *at = arguments; at != NULL; at = strchr(at, ' ')) {
        at += *at == ' ';
        if (strncmp(at, key, sizeof(key) - 1) == 0) {
            long skew = strtol(at + sizeof(key) - 1, NULL, 10);
            return skew >= SKEW_MAX_S || skew <= -SKEW_MAX_S ? skew : 0;
        }
    }
    return 0;
}

/* Once it has bootstrapped, a relay's opinion of the time is nobody's business. Before, it is why it does not. */
static void take_status(struct tor_monitor *m, const struct control_status *status)
{
    char why[160];
    log_event(strcmp(status->severity, "NOTICE") == 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, "tor-status",
              LOG_S("severity", status->severity), LOG_S("action", status->action),
              LOG_S("arguments", status->arguments));
    long skew = strcmp(status->action, "CLOCK_SKEW") == 0 ? tor_monitor_skew(status->arguments) : 0;
    if (skew == 0 || m->bootstrapped)
        return;
    snprintf(why, sizeof(why), "the clock of this machine is %ld seconds %s, and Tor cannot work so; set it right",
             skew < 0 ? -skew : skew, skew < 0 ? "slow" : "fast");
    report_broken(m, why, 0);
}

/* By a clock that is two days fast and more a relay's certificate is over before the relay could say what time it is: there
 * is no CLOCK_SKEW then, and Tor tries again for ever. It says so in its log only. */
static void take_warning(struct tor_monitor *m, const struct control_log *log)
{
    if (m->bootstrapped || strstr(log->text, "certificate expired") == NULL)
        return;
    if (++m->expired >= EXPIRED_MIN && m->guards == 0)
        report_broken(
            m,
            "by the clock of this machine the certificates of all relays have expired: it is days fast, and "
            "Tor cannot work so; set it right",
            0);
}

static void take_bootstrap(struct tor_monitor *m, const struct control_bootstrap *b)
{
    if (strcmp(b->severity, "WARN") == 0 || strcmp(b->severity, "ERR") == 0)
        log_event(LOG_LEVEL_WARN, "bootstrap", LOG_U("progress", b->progress), LOG_S("tag", b->tag),
                  LOG_S("summary", b->summary), LOG_S("warning", b->warning), LOG_S("reason", b->reason));
    else if (m->progress != b->progress + 1)
        log_event(LOG_LEVEL_INFO, "bootstrap", LOG_U("progress", b->progress), LOG_S("tag", b->tag),
                  LOG_S("summary", b->summary));
    m->progress = b->progress + 1;
    snprintf(m->summary, sizeof(m->summary), "%s", b->summary);
    if (b->progress == 100 && !m->bootstrapped) {
        m->bootstrapped = true;
        control_command(&m->control, COMMAND_EVENTS, CONTROL_COMMAND_EVENTS);
        m->ops.bootstrapped(m->ctx);
    }
}

/* The first digits of a stream's or circuit's isolation credential: enough to tell identities apart. */
static const char *short_tag(const char *password, char out[9])
{
    snprintf(out, 9, "%s", password[0] != '\0' ? password : "-");
    return out;
}

static void log_circuit(const struct control_circuit *c)
{
    char path[256] = "";
    char tag[9];
    size_t n = 0;
    for (unsigned i = 0; i < c->hops && n < sizeof(path); i++) {
        const char *name = c->path[i].nickname[0] != '\0' ? c->path[i].nickname : c->path[i].fingerprint;
        n += (size_t)snprintf(path + n, sizeof(path) - n, "%s%s", i > 0 ? "," : "", name);
    }
    log_event(LOG_LEVEL_DEBUG, "circuit", LOG_U("id", c->id), LOG_S("status", c->status), LOG_S("path", path),
              LOG_S("purpose", c->purpose), LOG_S("conflux", c->conflux_id),
              LOG_S("identity", short_tag(c->socks_password, tag)), LOG_S("reason", c->reason));
}

static void log_stream(const struct control_stream *s)
{
    char tag[9];
    log_event(LOG_LEVEL_DEBUG, "stream", LOG_U("id", s->id), LOG_S("status", s->status),
              LOG_U("circuit", s->circuit), LOG_ID("target", s->target), LOG_S("purpose", s->purpose),
              LOG_S("identity", short_tag(s->socks_password, tag)), LOG_S("reason", s->reason),
              LOG_S("remote_reason", s->remote_reason));
}

static void tell_ended(struct tor_monitor *m)
{
    if (m->ended > 0 && m->ops.streams_ended != NULL)
        m->ops.streams_ended(m->ctx, m->ended_key, m->ended_clean, m->ended);
    m->ended = 0;
}

/* The far end, or a relay on the way, or Tor itself (control-spec 4.1.2). What has REASON=DONE we ended ourselves. */
static void take_ended(struct tor_monitor *m, const struct control_stream *s)
{
    uint64_t key = isolation_credential_key(s->socks_password);
    if (strcmp(s->status, "CLOSED") != 0 || strcmp(s->reason, "DONE") == 0 || key == 0)
        return;
    m->ended_key[m->ended] = key;
    m->ended_clean[m->ended] = strcmp(s->reason, "END") == 0 && strcmp(s->remote_reason, "DONE") == 0;
    if (++m->ended == TOR_MONITOR_ENDED_MAX)
        tell_ended(m);
}

static void tell_load(struct tor_monitor *m)
{
    struct tor_load *load = &m->load;
    bool refused = load->denied || (load->timeouts >= TIMEOUTS_MIN && load->timeouts > load->built);
    uint32_t building = m->circuits.building;
    if (m->ops.load != NULL && (building != load->told || building > 0 || load->built > 0 || refused))
        m->ops.load(m->ctx, building, refused);
    *load = (struct tor_load){.told = building, .full = building >= SOCKS_BUDGET_PENDING};
}

static uint32_t seconds(const struct tor_monitor *m)
{
    return (uint32_t)(uv_now(m->poll.loop) / 1000);
}

/* Ask as many countries as may be asked now. What has to wait goes on with an answer, or with the next tick. */
static void ask_countries(struct tor_monitor *m)
{
    char question[COUNTRIES_COMMAND_MAX];
    while (!m->broken && countries_question(&m->countries, uv_now(m->poll.loop) * 1000, question)) {
        if (control_command(&m->control, COMMAND_COUNTRY, question) != 0)
            return;
        countries_asked(&m->countries);
    }
}

bool tor_monitor_look_up(struct tor_monitor *m, bool all)
{
    const struct circuit *circuit;
    bool room = true;
    for (uint32_t cursor = 0; room && (circuit = circuits_next(&m->circuits, &cursor)) != NULL;) {
        for (unsigned i = 0; i < circuit->hops && (all || circuit->key != 0); i++)
            room = countries_want(&m->countries, circuit->path[i].fingerprint, seconds(m)) && room;
    }
    if (!countries_busy(&m->countries))
        return false;
    ask_countries(m);
    flush(m);
    return true;
}

static void on_tick(uv_timer_t *timer)
{
    struct tor_monitor *m = timer->data;
    tell_load(m);
    if (countries_busy(&m->countries)) {
        ask_countries(m);
        flush(m);
    }
}

/* Tor gives up a fifth of all circuits as too slow, by design; a guard that is asked for too many denies them. */
static void take_load(struct tor_monitor *m, const struct control_circuit *c)
{
    m->load.built += strcmp(c->status, "BUILT") == 0;
    if (strcmp(c->status, "FAILED") == 0) {
        m->load.timeouts += strcmp(c->reason, "TIMEOUT") == 0;
        m->load.denied = m->load.denied || strcmp(c->reason, "RESOURCELIMIT") == 0 ||
                         strcmp(c->remote_reason, "RESOURCELIMIT") == 0;
    }
    if (m->load.full != (m->circuits.building >= SOCKS_BUDGET_PENDING))
        tell_load(m);
}

/* A client has connections to its guards only, once it knows them. */
static void take_connection(struct tor_monitor *m, const struct control_orconn *c)
{
    if (strcmp(c->status, "CONNECTED") == 0)
        m->guards++;
    else if (strcmp(c->status, "CLOSED") == 0 && m->guards > 0)
        m->guards--;
}

static void on_event(void *ctx, struct control_event *event)
{
    struct tor_monitor *m = ctx;
    switch (event->kind) {
    case CONTROL_EVENT_BOOTSTRAP:
        take_bootstrap(m, &event->bootstrap);
        break;
    case CONTROL_EVENT_STATUS:
        take_status(m, &event->status);
        break;
    case CONTROL_EVENT_CIRC:
        log_circuit(&event->circuit);
        circuits_take_circuit(&m->circuits, &event->circuit, seconds(m));
        take_load(m, &event->circuit);
        break;
    case CONTROL_EVENT_STREAM:
        log_stream(&event->stream);
        circuits_take_stream(&m->circuits, &event->stream);
        take_ended(m, &event->stream);
        break;
    case CONTROL_EVENT_ORCONN:
        take_connection(m, &event->orconn);
        break;
    case CONTROL_EVENT_LOG:
        take_warning(m, &event->log);
        break;
    case CONTROL_EVENT_OTHER:
        break;
    }
}

static void on_info(void *ctx, const char *key, const char *value)
{
    struct tor_monitor *m = ctx;
    struct control_bootstrap bootstrap;
    char text[512];
    if (strcmp(key, "status/bootstrap-phase") != 0) {
        countries_line(&m->countries, key, value);
        return;
    }
    snprintf(text, sizeof(text), "%s", value);
    if (control_bootstrap_parse(text, &bootstrap) == 0)
        take_bootstrap(m, &bootstrap);
}

/* "No such relay" is an answer as well. */
static void take_country(struct tor_monitor *m)
{
    countries_answered(&m->countries, seconds(m));
    ask_countries(m);
    if (!countries_busy(&m->countries) && m->ops.looked_up != NULL)
        m->ops.looked_up(m->ctx);
}

static void on_done(void *ctx, unsigned what, unsigned code, const char *text)
{
    struct tor_monitor *m = ctx;
    if (what == COMMAND_HEARTBEAT)
        m->beating = false; /* whatever it said */
    if (what == COMMAND_COUNTRY)
        take_country(m);
    if (code == 250 || what == COMMAND_HALT || what == COMMAND_HEARTBEAT || what == COMMAND_COUNTRY)
        return;
    log_event(LOG_LEVEL_ERROR, "tor-refused", LOG_U("command", what), LOG_U("code", code), LOG_S("answer", text));
    report_broken(m, "Tor refused a command", 0);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct tor_monitor *m = poll->data;
    char buffer[16384];
    (void)events;
    if (status < 0) {
        report_broken(m, "the control connection to Tor broke", status);
        return;
    }
    /* syscalls supervisor: recvfrom */
    ssize_t n = recv(m->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (n > 0) {
        int error = control_input(&m->control, buffer, (size_t)n);
        tell_ended(m);
        if (error != 0) {
            report_broken(m, "Tor said on its control connection what makes no sense", error);
            return;
        }
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        report_broken(m, "Tor closed its control connection", n == 0 ? 0 : -errno);
        return;
    }
    flush(m);
}

int tor_monitor_start(struct tor_monitor *m, uv_loop_t *loop, int fd, const struct tor_monitor_ops *ops, void *ctx)
{
    static const struct control_ops control_ops = {.event = on_event, .done = on_done, .info = on_info};
    m->ops = *ops;
    m->ctx = ctx;
    m->fd = fd;
    m->events = 0;
    m->bootstrapped = false;
    m->broken = false;
    m->beating = false;
    m->expired = 0;
    m->heard = uv_now(loop);
    m->progress = 0;
    m->ended = 0;
    m->load = (struct tor_load){0};
    m->guards = 0;
    m->summary[0] = '\0';
    control_init(&m->control, &control_ops, m);
    m->countries.at = NULL;
    int status = circuits_init(&m->circuits);
    if (status == 0)
        status = countries_init(&m->countries);
    if (status == 0)
        status = uv_poll_init(loop, &m->poll, fd);
    if (status != 0) {
        countries_fini(&m->countries);
        circuits_fini(&m->circuits);
        close(fd);
        m->fd = -1;
        return status;
    }
    m->poll.data = m;
    uv_timer_init(loop, &m->heartbeat);
    m->heartbeat.data = m;
    uv_timer_init(loop, &m->tick);
    m->tick.data = m;
    uv_timer_start(&m->tick, on_tick, TICK_MS, TICK_MS);
    uv_timer_start(&m->heartbeat, on_heartbeat, HEARTBEAT_EVERY_MS, HEARTBEAT_EVERY_MS);
    control_command(&m->control, COMMAND_EVENTS, CONTROL_COMMAND_EVENTS_STARTING);
    control_command(&m->control, COMMAND_BOOTSTRAP, CONTROL_COMMAND_BOOTSTRAP);
    control_command(&m->control, COMMAND_NETWORK, CONTROL_COMMAND_NETWORK);
    flush(m);
    return 0;
}

void tor_monitor_halt(struct tor_monitor *m)
{
    if (m->fd < 0)
        return;
    control_command(&m->control, COMMAND_HALT, CONTROL_COMMAND_HALT);
    flush(m);
}
