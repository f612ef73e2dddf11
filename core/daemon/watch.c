/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A screen is made in memory, line by line, and written in one piece over the one before, so that it does not flicker.
 *
 * There is no terminal library behind it, by decision: this is the program that the gateway's process runs, too, and a
 * library that reads files and the environment to learn of terminals has no place in there. What it takes of a terminal is
 * what every one since the VT100 understands: go to the corner, erase to the end of the line, of the screen; and two
 * sequences that others pass over, for the other screen and the cursor. Where even that is too much (TERM is "dumb" or not
 * set, or there is no terminal) it is written once, as lines.
 *
 * A line is erased before it is written, not after: one that fills the screen's width leaves the cursor on its last
 * character. Signals that are no end wait until nothing is being asked or written.
 *
 * Throughput is the difference of two looks at a workstation's bytes, by its MAC address, over the time between them.
 */
#include "daemon/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "daemon/console_client.h"
#include "daemon/show_text.h"

#define EVERY_MS 1000
#define WORKSTATIONS_SHOWN 64u
#define COLUMNS_MAX 500u
#define NARROW 80u /* columns; a flow is shown with less below that */

#define RATES "%-9s %-9s " /* "99.9 MB/s" */

#define BEGIN "\033[?1049h\033[?25l" /* the other screen, no cursor */
#define END "\033[?25h\033[?1049l"

struct seen {
    char mac[20];
    uint64_t up, down;
};

struct screen {
    unsigned lines, columns; /* of the terminal; 0 lines: there is none */
    unsigned used;           /* lines written */
    FILE *to;
    char *text;
    size_t size;
    uint64_t now, before;                    /* ms of this look and the last */
    struct seen seen[2][WORKSTATIONS_SHOWN]; /* of this look and the last */
    unsigned count[2];
    struct show_widths widths; /* they only grow: a table that jumps is hard to read */
};

static volatile sig_atomic_t ended, stopped;

static void on_end(int number)
{
    (void)number;
    ended = 1;
}

static void on_stop(int number)
{
    (void)number;
    stopped = 1;
}

static void on_resize(int number)
{
    (void)number; /* that the wait ends is all */
}

static uint64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* One line of the screen, cut to its width. */
static void put_line(struct screen *s, const char *text)
{
    if (s->lines > 0 && s->used >= s->lines)
        return;
    if (s->lines == 0)
        fprintf(s->to, "%s\n", text);
    else
        fprintf(s->to, "%s\033[K%.*s", s->used > 0 ? "\r\n" : "", (int)s->columns, text);
    s->used++;
}

static void take_status(void *ctx, const char *text, size_t len, const struct json_value *line)
{
    struct screen *s = ctx;
    char *lines = NULL;
    size_t size = 0;
    (void)text;
    (void)len;
    FILE *to = open_memstream(&lines, &size);
    if (to == NULL)
        return;
    show_status(to, line);
    if (fclose(to) == 0) {
        for (char *rest = lines, *one; (one = strsep(&rest, "\n")) != NULL && rest != NULL;)
            put_line(s, one);
    }
    free(lines);
}

static const struct seen *seen_before(const struct screen *s, const char *mac)
{
    for (unsigned i = 0; i < s->count[1]; i++) {
        if (strcmp(s->seen[1][i].mac, mac) == 0)
            return &s->seen[1][i];
    }
    return NULL;
}

static const char *rate(const struct screen *s, uint64_t bytes, uint64_t before, char out[24])
{
    char amount[16];
    uint64_t ms = s->now > s->before ? s->now - s->before : 1;
    uint64_t moved = bytes > before ? bytes - before : 0; /* it may be another workstation by now */
    snprintf(out, 24, "%s/s", show_bytes(moved * 1000 / ms, amount));
    return out;
}

static void take_workstation(void *ctx, const char *text, size_t len, const struct json_value *line)
{
    struct screen *s = ctx;
    char out[SHOW_LINE_MAX + 64], up[24], down[24], row[SHOW_LINE_MAX];
    struct json_value mac = json_member(line, "mac"), a = json_member(line, "up"), b = json_member(line, "down");
    (void)text;
    (void)len;
    if (s->count[0] == WORKSTATIONS_SHOWN)
        return;
    struct seen *seen = &s->seen[0][s->count[0]++];
    json_string(&mac, seen->mac, sizeof(seen->mac));
    seen->up = json_unsigned(&a);
    seen->down = json_unsigned(&b);
    const struct seen *before = seen_before(s, seen->mac);
    if (before == NULL)
        before = seen;
    show_row("workstation", line, &s->widths, row);
    snprintf(out, sizeof(out), RATES "%s", rate(s, seen->up, before->up, up),
             rate(s, seen->down, before->down, down), row);
    put_line(s, out);
}

static bool is_narrow(const struct screen *s)
{
    return s->lines > 0 && s->columns < NARROW;
}

static void take_flow(void *ctx, const char *text, size_t len, const struct json_value *line)
{
    struct screen *s = ctx;
    char row[SHOW_LINE_MAX];
    (void)text;
    (void)len;
    show_measure("flow", line, &s->widths);
    if (is_narrow(s))
        show_narrow_flow(line, row);
    else
        show_row("flow", line, &s->widths, row);
    put_line(s, row);
}

/* Ask for all and write the screen. 0 or negative errno. */
static int look(struct screen *s, struct console_link *link)
{
    char heading[SHOW_LINE_MAX + 32], head[SHOW_LINE_MAX], request[32];
    struct winsize size;
    bool sized = s->lines > 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;
    if (sized) {
        s->lines = size.ws_row;
        s->columns = size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX;
    }
    s->to = open_memstream(&s->text, &s->size);
    if (s->to == NULL)
        return -ENOMEM;
    s->used = 0;
    s->before = s->now;
    s->now = clock_ms();
    memcpy(s->seen[1], s->seen[0], sizeof(s->seen[0]));
    s->count[1] = s->count[0];
    s->count[0] = 0;

    int status = console_link_ask(link, "show status", take_status, s);
    put_line(s, "");
    show_head("workstation", &s->widths, head);
    snprintf(heading, sizeof(heading), RATES "%s", "UP NOW", "DOWN NOW", head);
    put_line(s, heading);
    if (status == 0)
        status = console_link_ask(link, "show workstations", take_workstation, s);
    put_line(s, "");
    show_head("flow", &s->widths, head);
    put_line(s, is_narrow(s) ? SHOW_NARROW_HEAD : head);
    /* Of tens of thousands of flows no more are asked for than there is room for. */
    snprintf(request, sizeof(request), s->lines > 0 ? "show flows %u" : "show flows", s->lines - s->used);
    if (status == 0 && (s->lines == 0 || s->used < s->lines))
        status = console_link_ask(link, request, take_flow, s);

    if (fclose(s->to) == 0 && status == 0) {
        if (s->lines > 0)
            fputs("\033[H", stdout);
        fwrite(s->text, 1, s->size, stdout);
        if (s->used < s->lines)
            fputs("\r\n\033[J", stdout);
        if (fflush(stdout) != 0) {
            status = -errno;
            snprintf(link->error, sizeof(link->error), "cannot write: %s", strerror(errno));
        }
    }
    free(s->text);
    return status;
}

/* --- the terminal --- */

static bool is_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term != NULL && term[0] != '\0' &&
           strcmp(term, "dumb") != 0;
}

static void take_terminal(const struct termios *before)
{
    struct termios raw = *before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    fputs(BEGIN, stdout);
}

static void give_terminal_back(const struct termios *before)
{
    fputs(END, stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, before);
}

/* Catch what ends, and what only ends a wait: the latter is held but in wait_for_key(). */
static void catch_signals(sigset_t *waiting)
{
    static const struct {
        int number;
        void (*handler)(int number);
    } caught[] = {{SIGINT, on_end},  {SIGTERM, on_end},  {SIGHUP, on_end},
                  {SIGQUIT, on_end}, {SIGTSTP, on_stop}, {SIGWINCH, on_resize}};
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGTSTP);
    sigaddset(&held, SIGWINCH);
    sigprocmask(SIG_BLOCK, &held, waiting);
    sigdelset(waiting, SIGTSTP);
    sigdelset(waiting, SIGWINCH);
    for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
        const struct sigaction action = {.sa_handler = caught[i].handler};
        sigaction(caught[i].number, &action, NULL);
    }
}

/* Wait for the next look: a second, or until the terminal has another size. False if it is to end. Other keys change
 * nothing. */
static bool wait_for_key(const sigset_t *waiting)
{
    const uint64_t until = clock_ms() + EVERY_MS;
    for (uint64_t now; !ended && !stopped && (now = clock_ms()) < until;) {
        struct pollfd pfd = {.fd = STDIN_FILENO, .events = POLLIN};
        const struct timespec left = {.tv_sec = (time_t)((until - now) / 1000),
                                      .tv_nsec = (long)((until - now) % 1000 * 1000000)};
        char keys[64] = {0};
        int n = ppoll(&pfd, 1, &left, waiting);
        if (n < 0)
            break; /* a signal */
        ssize_t got = n > 0 ? read(STDIN_FILENO, keys, sizeof(keys)) : 0;
        if (n > 0 && got <= 0)
            return false;
        if (got > 0 && (memchr(keys, 'q', (size_t)got) != NULL || memchr(keys, 'Q', (size_t)got) != NULL))
            return false;
    }
    return !ended;
}

/* Ctrl-Z: whoever comes back finds the terminal as it was, and so do we. */
static void stop_for_a_while(const struct termios *before)
{
    stopped = 0;
    give_terminal_back(before);
    raise(SIGSTOP);
    take_terminal(before);
}

int watch_run(const char *control)
{
    static struct screen screen = {.widths = SHOW_WIDTHS};
    static struct console_link link;
    struct termios before;
    sigset_t waiting;
    int status = console_link_open(&link, control);
    if (status == 0 && !(is_terminal() && tcgetattr(STDIN_FILENO, &before) == 0)) {
        status = look(&screen, &link);
    } else if (status == 0) {
        catch_signals(&waiting);
        take_terminal(&before);
        screen.lines = 24;
        screen.columns = 80;
        do {
            if (stopped)
                stop_for_a_while(&before);
            status = look(&screen, &link);
        } while (status == 0 && wait_for_key(&waiting));
        give_terminal_back(&before);
    }
    console_link_close(&link);
    if (status != 0 && !ended)
        fprintf(stderr, "cloister: %s\n", link.error);
    return status == 0 || ended ? 0 : 1;
}
