/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/control_filter.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/iov.h"

#define KEYS_MAX 4u

void control_filter_init(struct control_filter *filter)
{
    memset(filter, 0, sizeof(*filter));
}

bool control_filter_has_room(const struct control_filter *filter)
{
    return sizeof(filter->out) - filter->out_len >= CONTROL_FILTER_ANSWER_MAX;
}

__attribute__((format(printf, 2, 3))) static void say(struct control_filter *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(f->out + f->out_len, sizeof(f->out) - f->out_len, format, args);
    va_end(args);
    assert(n > 0 && (size_t)n < sizeof(f->out) - f->out_len);
    f->out_len = (uint16_t)(f->out_len + n);
}

static void refuse(struct control_filter *f)
{
    f->filtered++;
    say(f, "510 Command filtered\r\n");
}

/* The value of a key, or NULL. */
static const char *info(const struct control_filter_facts *facts, const char *key)
{
    if (strcasecmp(key, "version") == 0)
        return facts->version;
    if (strcasecmp(key, "status/circuit-established") == 0)
        return facts->ready ? "1" : "0";
    if (strcasecmp(key, "net/listeners/socks") == 0)
        return facts->listeners;
    return NULL;
}

/* All of the keys, or none. */
static void get_info(struct control_filter *f, const struct control_filter_facts *facts, char *rest)
{
    char *save = NULL;
    const char *keys[KEYS_MAX];
    unsigned count = 0;
    for (char *key = strtok_r(rest, " ", &save); key != NULL; key = strtok_r(NULL, " ", &save)) {
        if (count == KEYS_MAX || info(facts, key) == NULL) {
            refuse(f);
            return;
        }
        keys[count++] = key;
    }
    if (count == 0) {
        refuse(f);
        return;
    }
    for (unsigned i = 0; i < count; i++)
        say(f, "250-%s=%s\r\n", keys[i], info(facts, keys[i]));
    say(f, "250 OK\r\n");
}

static void signal_tor(struct control_filter *f, const char *what)
{
    if (strcasecmp(what, "NEWNYM") != 0) {
        refuse(f);
        return;
    }
    f->newnyms++;
    say(f, "250 OK\r\n");
}

/* HTTP, or bytes that are no text, as in TLS. */
static bool is_stranger(const char *line)
{
    for (const char *p = line; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
            return true;
    return strstr(line, " HTTP/") != NULL;
}

static void answer(struct control_filter *f, const struct control_filter_facts *facts)
{
    char *rest = f->line;
    f->line[f->len] = '\0';
    f->lines++;
    const bool first = !f->begun, nul = strlen(f->line) != f->len;
    f->begun = true;
    if (nul || (first && is_stranger(f->line))) {
        refuse(f);
        f->ended = first;
        return;
    }
    const char *command = strsep(&rest, " ");
    if (rest == NULL)
        rest = f->line + f->len;
    rest += strspn(rest, " ");
    if (strcasecmp(command, "PROTOCOLINFO") == 0) {
        say(f, "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor=\"%s\"\r\n250 OK\r\n",
            facts->version);
    } else if (strcasecmp(command, "AUTHENTICATE") == 0) {
        say(f, "250 OK\r\n");
    } else if (strcasecmp(command, "SIGNAL") == 0) {
        signal_tor(f, rest);
    } else if (strcasecmp(command, "GETINFO") == 0) {
        get_info(f, facts, rest);
    } else if (strcasecmp(command, "QUIT") == 0) {
        say(f, "250 closing connection\r\n");
        f->ended = true;
    } else {
        refuse(f);
    }
}

bool control_filter_feed(struct control_filter *filter, const struct control_filter_facts *facts, struct bytes *in)
{
    while (in->left > 0 && !filter->ended) {
        char c = (char)bytes_u8(in);
        if (c == '\n') {
            if (filter->len > 0 && filter->line[filter->len - 1] == '\r')
                filter->len--;
            answer(filter, facts);
            explicit_bzero(filter->line, sizeof(filter->line)); /* it may have held a password */
            filter->len = 0;
            return true;
        }
        if (filter->len == CONTROL_FILTER_LINE_MAX) {
            refuse(filter);
            filter->ended = true;
            return true;
        }
        filter->line[filter->len++] = c;
    }
    return filter->ended;
}

size_t control_filter_take(struct control_filter *filter, const struct iovec *iov, int count)
{
    size_t taken = iov_scatter(iov, count, (const uint8_t *)filter->out, filter->out_len);
    memmove(filter->out, filter->out + taken, filter->out_len - taken);
    filter->out_len = (uint16_t)(filter->out_len - taken);
    return taken;
}
