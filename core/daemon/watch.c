/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A screen is made in memory, line by line, and written in one piece over the one before, so that it does not flicker. What
 * it takes of a terminal is what every one since the VT100 understands, which is why there is no library behind it.
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

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
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
        fprintf(s->to, "%s%.*s\033[K", s->used > 0 ? "\r\n" : "", (int)s->columns, text);
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
    snprintf(out, sizeof(out), "%-12s %-12s %s", rate(s, seen->up, before->up, up),
             rate(s, seen->down, before->down, down), row);
    put_line(s, out);
}

static void take_flow(void *ctx, const char *text, size_t len, const struct json_value *line)
{
    struct screen *s = ctx;
    char row[SHOW_LINE_MAX];
    (void)text;
    (void)len;
    show_measure("flow", line, &s->widths);
    show_row("flow", line, &s->widths, row);
    put_line(s, row);
}

/* Ask for all and write the screen. 0 or negative errno. */
static int look(struct screen *s, struct console_link *link)
{
    char heading[SHOW_LINE_MAX + 32], head[SHOW_LINE_MAX];
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
    snprintf(heading, sizeof(heading), "%-12s %-12s %s", "UP NOW", "DOWN NOW", head);
    put_line(s, heading);
    if (status == 0)
        status = console_link_ask(link, "show workstations", take_workstation, s);
    put_line(s, "");
    show_head("flow", &s->widths, head);
    put_line(s, head);
    if (status == 0)
        status = console_link_ask(link, "show flows", take_flow, s);

    if (fclose(s->to) == 0 && status == 0) {
        if (s->lines > 0)
            fputs("\033[H", stdout);
        fwrite(s->text, 1, s->size, stdout);
        if (s->lines > 0)
            fputs("\033[J", stdout);
        fflush(stdout);
    }
    free(s->text);
    return status;
}

/* Wait for the next look. False if it is to end. */
static bool wait_for_key(void)
{
    struct pollfd pfd = {.fd = STDIN_FILENO, .events = POLLIN};
    char key = 0;
    int n = poll(&pfd, 1, EVERY_MS);
    if (n > 0 && read(STDIN_FILENO, &key, 1) <= 0)
        return false;
    return !ended && key != 'q' && key != 'Q';
}

int watch_run(const char *control)
{
    static struct screen screen = {.widths = SHOW_WIDTHS};
    static struct console_link link;
    struct termios before, raw;
    int status = console_link_open(&link, control);
    if (status == 0 && !(isatty(STDOUT_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0)) {
        status = look(&screen, &link);
    } else if (status == 0) {
        const struct sigaction action = {.sa_handler = on_signal};
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        raw = before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        fputs(BEGIN, stdout);
        screen.lines = 24;
        screen.columns = 80;
        do
            status = look(&screen, &link);
        while (status == 0 && wait_for_key());
        fputs(END, stdout);
        fflush(stdout);
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    }
    console_link_close(&link);
    if (status != 0 && !ended)
        fprintf(stderr, "cloister: %s\n", link.error);
    return status == 0 || ended ? 0 : 1;
}
