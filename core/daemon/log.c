/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static struct {
    enum log_level level;
    const char *role;
    bool identities;
} setup = {LOG_LEVEL_INFO, "cloister", false};

void log_setup(enum log_level level, const char *role, bool identities)
{
    setup.level = level;
    setup.role = role;
    setup.identities = identities;
    /* Now, and not with the first line: it reads a file, and the role may not be allowed to by then. */
    tzset();
}

bool log_level_parse(const char *name, enum log_level *level)
{
    for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_site_pass(struct log_site *site, uint32_t burst, uint64_t now, uint32_t *suppressed)
{
    if (site->written == 0 || now - site->since >= LOG_INTERVAL_MS) {
        site->since = now;
        site->written = 0;
    }
    if (site->written >= burst) {
        if (site->suppressed < UINT32_MAX)
            site->suppressed++;
        return false;
    }
    site->written++;
    *suppressed = site->suppressed;
    site->suppressed = 0;
    return true;
}

/* Text under construction. What does not fit whole is left out, and nothing follows it. */
struct text {
    char *at;
    size_t left; /* bytes that may still be written, the NUL byte not counted */
    bool full;
};

static void text_put(struct text *t, const char *piece, size_t n)
{
    if (t->full || n > t->left) {
        t->full = true;
        return;
    }
    memcpy(t->at, piece, n);
    t->at += n;
    t->left -= n;
}

static void text_puts(struct text *t, const char *piece)
{
    text_put(t, piece, strlen(piece));
}

static bool byte_is_plain(unsigned char c)
{
    return c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

/* Non-ASCII bytes are escaped as well: a terminal may take C1 controls from them, and what encoding Tor or a file
 * name uses is not known here. */
static void text_put_quoted(struct text *t, const char *value, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    text_puts(t, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)value[i];
        if (c == '"' || c == '\\') {
            char pair[2] = {'\\', (char)c};
            text_put(t, pair, 2);
        } else if (c == '\n') {
            text_puts(t, "\\n");
        } else if (c < 0x20 || c >= 0x7f) {
            char code[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
            text_put(t, code, 4);
        } else {
            text_put(t, value + i, 1);
        }
    }
    text_puts(t, "\"");
}

static void text_put_value(struct text *t, const char *value)
{
    if (value == NULL) {
        text_puts(t, "-");
        return;
    }
    size_t n = strnlen(value, LOG_VALUE_MAX);
    bool plain = n > 0;
    for (size_t i = 0; i < n && plain; i++)
        plain = byte_is_plain((unsigned char)value[i]);
    if (plain)
        text_put(t, value, n);
    else
        text_put_quoted(t, value, n);
}

static void text_put_field(struct text *t, const struct log_field *field)
{
    char number[24];
    text_puts(t, " ");
    text_puts(t, field->key);
    text_puts(t, "=");
    switch (field->kind) {
    case LOG_KIND_TEXT:
        text_put_value(t, field->text);
        break;
    case LOG_KIND_IDENTITY:
        text_put_value(t, setup.identities ? field->text : NULL);
        break;
    case LOG_KIND_UNSIGNED:
        snprintf(number, sizeof(number), "%" PRIu64, field->number);
        text_puts(t, number);
        break;
    case LOG_KIND_SIGNED:
        snprintf(number, sizeof(number), "%" PRId64, (int64_t)field->number);
        text_puts(t, number);
        break;
    case LOG_KIND_ERROR: {
        int error = (int)(int64_t)field->number;
        text_put_value(t, strerror(error < 0 ? -error : error));
        break;
    }
    }
}

size_t log_format(char *out, size_t size, const char *event, const struct log_field *fields, size_t count)
{
    struct text t = {.at = out, .left = size - 1, .full = false};
    text_puts(&t, "event=");
    text_puts(&t, event);
    for (size_t i = 0; i < count; i++) {
        struct text before = t;
        text_put_field(&t, &fields[i]);
        if (t.full) {
            t = before; /* a field is printed whole or not at all */
            break;
        }
    }
    *t.at = '\0';
    return (size_t)(t.at - out);
}

static uint64_t monotonic_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

void log_write(struct log_site *site, enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
    uint32_t suppressed = 0;
    if (level > setup.level)
        return;
    const uint32_t burst = level == LOG_LEVEL_DEBUG ? LOG_BURST_DEBUG : LOG_BURST;
    if (!log_site_pass(site, burst, monotonic_ms(), &suppressed))
        return;

    int saved = errno;
    char line[LOG_LINE_MAX];
    struct timespec ts;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    size_t n = strftime(line, 32, "time=%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, 128, ".%03ldZ level=%s role=%.16s ", ts.tv_nsec / 1000000, level_names[level],
                          setup.role);
    if (suppressed > 0)
        n += (size_t)snprintf(line + n, 32, "suppressed=%" PRIu32 " ", suppressed);
    n += log_format(line + n, sizeof(line) - n - 1, event, fields, count);
    line[n++] = '\n';
    /* One write, so that lines of several processes do not mix. */
    /* syscalls all: write */
    ssize_t done = write(STDERR_FILENO, line, n);
    (void)done;
    errno = saved;
}
