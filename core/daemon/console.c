/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client goes round in a circle, and the next piece of its answer is made only when it has read the one before:
 *
 *     LISTENING --a line--> WANTING --the supervisor knows--> a piece to be read --more--> WANTING
 *         ^                    |                                    |
 *         |                    +--only the gateway knows--> ASKED --+--the end--> LISTENING, or ENDING over HTTP
 *
 * Between a line and WANTING stands LEARNING if relays are to be shown and Tor has yet to say in which countries they are: a
 * quarter of a second at most, and nobody waits but who wants to see them.
 */
#include "daemon/console.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/metrics.h"

#define SWEEP_EVERY_MS 1000u
#define QUIET_MS 60000u /* without a request */
#define STUCK_MS 10000u /* without a byte read by the client, or an answer of the gateway */
#define LEARNING_MS 250u
#define CIRCUITS_AT_ONCE 24u
#define OWED_MAX 64u /* answers that may be given up at once: no more is asked then */

static void client_go_on(struct console_client *c);

/* --- clients --- */

static void on_closed(uv_handle_t *handle)
{
    struct console_client *c = handle->data;
    c->state = CONSOLE_FREE;
}

static void client_close(struct console_client *c)
{
    if (c->state == CONSOLE_FREE || c->state == CONSOLE_CLOSED)
        return;
    if (c->console->asker == c)
        c->console->asker = NULL;
    c->state = CONSOLE_CLOSED;
    uv_close((uv_handle_t *)&c->poll, on_closed);
    /* syscalls supervisor: close */
    close(c->fd);
    c->fd = -1;
}

static void client_alive(struct console_client *c)
{
    bool quiet = c->state == CONSOLE_LISTENING && c->out_sent == c->out_len;
    c->due = uv_now(c->console->loop) + (quiet ? QUIET_MS : STUCK_MS);
}

static void on_client(uv_poll_t *poll, int status, int events);

/* Look for what this client can do next, and nothing else: a level that nobody takes down would keep the loop busy. */
static void client_watch(struct console_client *c)
{
    if (c->state == CONSOLE_FREE || c->state == CONSOLE_CLOSED)
        return;
    int events = c->out_sent < c->out_len ? UV_WRITABLE : c->state == CONSOLE_LISTENING ? UV_READABLE : 0;
    if (events == c->events)
        return;
    if ((events != 0 ? uv_poll_start(&c->poll, events, on_client) : uv_poll_stop(&c->poll)) != 0)
        client_close(c);
    else
        c->events = events;
}

/* --- making answers --- */

static struct json client_json(struct console_client *c)
{
    struct json json;
    json_init(&json, c->out, sizeof(c->out));
    return json;
}

static void client_say(struct console_client *c, const struct json *json)
{
    c->out_sent = 0;
    c->out_len = json->len;
    if (json->full)
        client_close(c); /* cannot be: every piece was counted to fit */
}

/* The last piece is written. */
static void client_finish(struct console_client *c, struct json *json)
{
    console_answer_end(json, c->count);
    c->state = CONSOLE_LISTENING;
    client_say(c, json);
}

static void client_refuse(struct console_client *c, const char *error, enum console_state next)
{
    struct json json = client_json(c);
    console_answer_error(&json, error);
    c->state = next;
    client_say(c, &json);
}

static void http_say(struct console_client *c, const char *status, const char *body, size_t n)
{
    int head = snprintf(c->out, sizeof(c->out),
                        "HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                        "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                        status, n);
    c->out_sent = 0;
    c->out_len = (size_t)head + n;
    memcpy(c->out + head, body, n);
    c->state = CONSOLE_ENDING;
}

static void http_refuse(struct console_client *c, const char *status)
{
    char body[64];
    http_say(c, status, body, (size_t)snprintf(body, sizeof(body), "%s\n", status));
}

/* The upper bits of the cursor are the number of the Tor. */
#define CURSOR_BITS 24u

/* The next one, and whose it is, in *tor. */
static const struct circuit *next_circuit(const struct console_facts *facts, uint32_t *cursor, uint32_t *tor)
{
    for (*tor = *cursor >> CURSOR_BITS; *tor < facts->tors; ++*tor) {
        uint32_t at = *tor == *cursor >> CURSOR_BITS ? *cursor & ((1u << CURSOR_BITS) - 1) : 0;
        const struct circuit *circuit = circuits_next(facts->circuits[*tor], &at);
        if (circuit != NULL) {
            *cursor = *tor << CURSOR_BITS | at;
            return circuit;
        }
    }
    return NULL;
}

static void answer_circuits(struct console_client *c, const struct console_facts *facts)
{
    struct json json = client_json(c);
    uint32_t now = (uint32_t)(uv_now(c->console->loop) / 1000);
    const struct circuit *circuit = NULL;
    for (unsigned i = 0; i < CIRCUITS_AT_ONCE; i++) {
        uint32_t tor;
        circuit = next_circuit(facts, &c->cursor, &tor);
        if (circuit == NULL)
            break;
        console_answer_circuit(&json, facts, tor, circuit, now);
        c->count++;
    }
    if (circuit != NULL)
        client_say(c, &json);
    else
        client_finish(c, &json);
}

static void answer_metrics(struct console_client *c, const struct console_facts *facts,
                           const struct view_status *status)
{
    char text[METRICS_MAX];
    size_t n = metrics_write(text, sizeof(text), facts, status);
    struct json json = client_json(c);
    if (c->http) {
        http_say(c, "200 OK", text, n);
        return;
    }
    c->count = console_answer_text(&json, "metric", text, n);
    client_finish(c, &json);
}

static void answer_status(struct console_client *c, const struct console_facts *facts,
                          const struct view_status *status)
{
    struct json json = client_json(c);
    if (c->request.verb == CONSOLE_METRICS) {
        answer_metrics(c, facts, status);
        return;
    }
    if (c->request.verb == CONSOLE_SHOW_DROPS) {
        c->count = console_answer_drops(&json, &status->counters.drops);
    } else {
        console_answer_status(&json, facts, status);
        c->count = 1;
    }
    client_finish(c, &json);
}

static void answer_newnym(struct console_client *c, uint32_t done)
{
    struct json json = client_json(c);
    if (done == 0) {
        client_refuse(c, "there is no such workstation", CONSOLE_LISTENING);
        return;
    }
    client_finish(c, &json);
}

static void answer_list(struct console_client *c, const struct console_facts *facts, const struct view *view)
{
    struct json json = client_json(c);
    const uint32_t left = c->request.limit != 0 ? c->request.limit - c->count : view->count;
    const uint32_t count = view->count < left ? view->count : left;
    for (uint32_t i = 0; i < count; i++) {
        if (view->kind == VIEW_WORKSTATIONS) {
            console_answer_workstation(&json, &view->workstations[i]);
            continue;
        }
        console_answer_flow(&json, facts, &view->flows[i]);
    }
    c->count += count;
    c->cursor = view->next;
    c->state = CONSOLE_WANTING;
    if (view->next == 0 || (c->request.limit != 0 && c->count == c->request.limit))
        client_finish(c, &json);
    else
        client_say(c, &json);
}

/* --- asking the gateway --- */

static uint32_t view_of(enum console_verb verb)
{
    return verb == CONSOLE_SHOW_FLOWS          ? VIEW_FLOWS
           : verb == CONSOLE_SHOW_WORKSTATIONS ? VIEW_WORKSTATIONS
           : verb == CONSOLE_NEWNYM            ? VIEW_NEWNYM
                                               : VIEW_STATUS;
}

static void client_ask(struct console_client *c)
{
    struct console *console = c->console;
    struct view_ask ask = {.kind = view_of(c->request.verb),
                           .ticket = console->ticket + 1,
                           .cursor = c->cursor,
                           .workstation = c->request.workstation};
    if (console->owed == OWED_MAX || console->ops.ask(console->ops.ctx, &ask) != 0) {
        client_refuse(c, "the gateway does not read its messages", CONSOLE_ENDING);
        return;
    }
    console->asked = true;
    console->ticket = ask.ticket;
    console->asked_kind = ask.kind;
    console->asked_cursor = ask.cursor;
    console->asked_due = uv_now(console->loop) + STUCK_MS;
    console->asker = c;
    c->state = CONSOLE_ASKED;
}

/* Make the next piece of an answer, or have it made. */
static void client_want(struct console_client *c)
{
    struct console_facts facts = {0};
    if (c->request.verb != CONSOLE_SHOW_CIRCUITS) {
        if (!c->console->asked)
            client_ask(c);
        return; /* or its turn comes with the answer to another */
    }
    c->console->ops.facts(c->console->ops.ctx, &facts);
    answer_circuits(c, &facts);
}

/* Whoever waits to ask, in turn. */
static void ask_next(struct console *console)
{
    for (uint32_t i = 0; i < CONSOLE_CLIENTS_MAX && !console->asked; i++) {
        struct console_client *c = &console->clients[(console->turn + i) % CONSOLE_CLIENTS_MAX];
        if (c->state != CONSOLE_WANTING || c->out_sent < c->out_len)
            continue;
        console->turn = (console->turn + i + 1) % CONSOLE_CLIENTS_MAX;
        client_go_on(c);
    }
}

int console_take_view(struct console *console, const struct view *view)
{
    if (console->owed > 0 && console->ticket - view->ticket < OWED_MAX &&
        (!console->asked || view->ticket != console->ticket)) {
        console->owed--; /* too late */
        return 0;
    }
    if (!console->asked || view->ticket != console->ticket || view->kind != console->asked_kind ||
        (view->next != 0 && view->next <= console->asked_cursor))
        return -EPROTO;
    struct console_client *c = console->asker;
    console->asked = false;
    console->asker = NULL;
    if (c != NULL) {
        struct console_facts facts = {0};
        console->ops.facts(console->ops.ctx, &facts);
        if (view->kind == VIEW_NEWNYM)
            answer_newnym(c, view->count);
        else if (view->kind == VIEW_STATUS)
            answer_status(c, &facts, &view->status);
        else
            answer_list(c, &facts, view);
        client_alive(c);
        client_go_on(c);
    }
    ask_next(console);
    return 0;
}

/* --- learning --- */

void console_learnt(struct console *console)
{
    uv_timer_stop(&console->patience);
    for (unsigned i = 0; i < CONSOLE_CLIENTS_MAX; i++) {
        struct console_client *c = &console->clients[i];
        if (c->state != CONSOLE_LEARNING)
            continue;
        c->state = CONSOLE_WANTING;
        client_go_on(c);
    }
}

static void on_patience(uv_timer_t *timer)
{
    console_learnt(timer->data);
}

/* The state in which the answer to a request begins. */
static enum console_state begin_answer(struct console_client *c)
{
    struct console *console = c->console;
    const enum console_verb verb = c->request.verb;
    if ((verb != CONSOLE_SHOW_CIRCUITS && verb != CONSOLE_SHOW_FLOWS) || console->ops.learn == NULL ||
        !console->ops.learn(console->ops.ctx, verb == CONSOLE_SHOW_CIRCUITS))
        return CONSOLE_WANTING;
    if (!uv_is_active((uv_handle_t *)&console->patience))
        uv_timer_start(&console->patience, on_patience, LEARNING_MS, 0);
    return CONSOLE_LEARNING;
}

/* --- reading requests --- */

/* Take a line out of what came. False if there is no whole one. */
static bool client_take_line(struct console_client *c)
{
    char *newline = memchr(c->in, '\n', c->in_len);
    size_t n = newline != NULL ? (size_t)(newline - c->in) : c->in_len;
    if (newline == NULL && n < CONSOLE_REQUEST_MAX)
        return false;
    const char *wrong = console_request_parse(c->in, n, &c->request);
    if (wrong != NULL) {
        /* Where the next request would begin is known only if this one has ended. */
        client_refuse(c, wrong, newline != NULL ? CONSOLE_LISTENING : CONSOLE_ENDING);
    } else {
        c->state = begin_answer(c);
        c->cursor = c->count = 0;
    }
    c->in_len = newline != NULL ? c->in_len - n - 1 : 0;
    if (newline != NULL)
        memmove(c->in, newline + 1, c->in_len);
    return true;
}

static bool client_take_head(struct console_client *c)
{
    switch (console_http_parse(c->in, c->in_len)) {
    case CONSOLE_HTTP_MORE:
        if (c->in_len < sizeof(c->in))
            return false;
        http_refuse(c, "431 Request Header Fields Too Large");
        return true;
    case CONSOLE_HTTP_METRICS:
        c->request.verb = CONSOLE_METRICS;
        c->state = CONSOLE_WANTING;
        return true;
    case CONSOLE_HTTP_OTHER:
        http_refuse(c, "404 Not Found");
        return true;
    case CONSOLE_HTTP_BAD:
        break;
    }
    http_refuse(c, "405 Method Not Allowed");
    return true;
}

/* Send what is to be read. False if the client is gone or has not taken all. */
static bool client_flush(struct console_client *c)
{
    while (c->out_sent < c->out_len) {
        /* syscalls supervisor: sendto */
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0) {
            client_close(c);
            return false;
        }
        c->out_sent += (size_t)n;
        client_alive(c);
    }
    return true;
}

/* Do all that can be done without waiting, but no more than a few pieces: others have their turn. */
static void client_go_on(struct console_client *c)
{
    for (unsigned pieces = 0; c->state != CONSOLE_FREE && c->state != CONSOLE_CLOSED; pieces++) {
        if (!client_flush(c))
            break;
        if (c->state == CONSOLE_ENDING) {
            client_close(c);
        } else if (c->state == CONSOLE_LISTENING) {
            if (c->in_len == 0 || !(c->http ? client_take_head(c) : client_take_line(c)))
                break;
            client_alive(c);
        } else if (c->state == CONSOLE_WANTING && pieces < 8) {
            client_want(c);
            if (c->state == CONSOLE_WANTING && c->out_sent == c->out_len)
                break; /* it is not its turn to ask */
        } else {
            break;
        }
    }
    client_watch(c);
}

static void client_read(struct console_client *c)
{
    /* syscalls supervisor: recvfrom */
    ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);
    if (n > 0)
        c->in_len += (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        client_close(c);
}

static void on_client(uv_poll_t *poll, int status, int events)
{
    struct console_client *c = poll->data;
    if (status < 0) {
        client_close(c);
        return;
    }
    if ((events & UV_READABLE) != 0 && c->state == CONSOLE_LISTENING)
        client_read(c);
    client_go_on(c);
}

/* --- listening --- */

static void on_listener(uv_poll_t *poll, int status, int events);

static void listen_again(struct console *console)
{
    console->deaf = false;
    for (unsigned i = 0; i < 2; i++) {
        if (console->listener_fd[i] >= 0)
            uv_poll_start(&console->listener[i], UV_READABLE, on_listener);
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct console *console = timer->data;
    uint64_t now = uv_now(console->loop);
    unsigned busy = 0;
    for (unsigned i = 0; i < CONSOLE_CLIENTS_MAX; i++) {
        struct console_client *c = &console->clients[i];
        if (c->state != CONSOLE_FREE && c->state != CONSOLE_CLOSED && now >= c->due) {
            if ((c->state == CONSOLE_ASKED || c->state == CONSOLE_WANTING) && c->out_sent == c->out_len) {
                client_refuse(c, "the gateway does not answer", CONSOLE_ENDING);
                client_flush(c);
            }
            client_close(c);
        }
        busy += c->state != CONSOLE_FREE;
    }
    if (console->asked && now >= console->asked_due) {
        console->asked = false;
        console->owed++;
        ask_next(console);
    }
    if (console->deaf)
        listen_again(console);
    if (busy == 0 && !console->asked)
        uv_timer_stop(timer);
}

static void client_begin(struct console *console, struct console_client *c, int fd, bool http)
{
    c->console = console;
    c->fd = fd;
    c->http = http;
    c->events = 0;
    c->in_len = c->out_len = c->out_sent = 0;
    /* libuv makes it non-blocking, and tries whether it can be polled. */
    /* syscalls supervisor: ioctl(_,FIONBIO) epoll_ctl */
    if (uv_poll_init(console->loop, &c->poll, fd) != 0) {
        close(fd);
        return;
    }
    c->poll.data = c;
    c->state = CONSOLE_LISTENING;
    client_alive(c);
    client_watch(c);
    if (!uv_is_active((uv_handle_t *)&console->sweep))
        uv_timer_start(&console->sweep, on_sweep, SWEEP_EVERY_MS, SWEEP_EVERY_MS);
}

/* More than there is room for are told so, as far as that goes at once. */
static void turn_away(int fd, bool http)
{
    static const char busy[] = "{\"schema\":1,\"kind\":\"error\",\"error\":\"too many clients; try again\"}\n";
    static const char unavailable[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n";
    const char *text = http ? unavailable : busy;
    ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)n;
    close(fd);
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
    struct console *console = poll->data;
    bool http = poll == &console->listener[1];
    (void)events;
    if (status < 0)
        return;
    /* syscalls supervisor: accept4 */
    int fd = accept4(console->listener_fd[http], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
        uv_poll_stop(poll);
        console->deaf = true;
        uv_timer_start(&console->sweep, on_sweep, SWEEP_EVERY_MS, SWEEP_EVERY_MS);
    }
    if (fd < 0)
        return;
    unsigned scrapers = 0;
    for (unsigned i = 0; i < CONSOLE_CLIENTS_MAX; i++)
        scrapers += console->clients[i].state != CONSOLE_FREE && console->clients[i].http;
    for (unsigned i = 0; i < CONSOLE_CLIENTS_MAX && (!http || scrapers < CONSOLE_SCRAPERS_MAX); i++) {
        if (console->clients[i].state == CONSOLE_FREE) {
            client_begin(console, &console->clients[i], fd, http);
            return;
        }
    }
    turn_away(fd, http);
}

int console_start(struct console *console, uv_loop_t *loop, int control, int metrics, const struct console_ops *ops)
{
    memset(console, 0, sizeof(*console));
    console->ops = *ops;
    console->loop = loop;
    console->listener_fd[0] = control;
    console->listener_fd[1] = metrics;
    int status = uv_timer_init(loop, &console->sweep);
    console->sweep.data = console;
    if (status == 0)
        status = uv_timer_init(loop, &console->patience);
    console->patience.data = console;
    for (unsigned i = 0; status == 0 && i < 2; i++) {
        if (console->listener_fd[i] < 0)
            continue;
        status = uv_poll_init(loop, &console->listener[i], console->listener_fd[i]);
        console->listener[i].data = console;
        if (status == 0)
            status = uv_poll_start(&console->listener[i], UV_READABLE, on_listener);
    }
    return status;
}
