/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log: one line per event on standard error, key=value, with a level.
 *
 *     time=2026-03-01T12:00:00.123Z level=info role=gateway event=counters flows=3 active=1
 *
 * Values are data, not text of ours: whatever is not plain is quoted and escaped, so that no string of Tor or of a
 * file name can break a line in two or speak to a terminal. Each place that logs has its own rate limit; what it
 * held back is said in the next line that passes. Addresses and names of workstations and of their peers go through
 * LOG_ID only, which prints `-` unless the operator turned on log.identities.
 */
#ifndef CLOISTER_DAEMON_LOG_H
#define CLOISTER_DAEMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

#define LOG_BURST 30u          /* lines a place may write at once ... */
#define LOG_BURST_DEBUG 10000u /* ... at level debug, which nobody turns on to see a part ... */
#define LOG_INTERVAL_MS 10000u /* ... and again after this time */
#define LOG_LINE_MAX 4096u     /* bytes of a line, its newline included; a longer one is cut */
#define LOG_VALUE_MAX 512u     /* bytes of one value before escaping; a longer one is cut */

enum log_kind {
    LOG_KIND_TEXT,     /* `text`, escaped where needed */
    LOG_KIND_IDENTITY, /* the same, but `-` without log.identities */
    LOG_KIND_UNSIGNED, /* `number` */
    LOG_KIND_SIGNED,   /* `number` as int64_t */
    LOG_KIND_ERROR,    /* `number` as a negative or positive errno, in words */
};

/* One key=value. */
struct log_field {
    const char *key;    /* static, plain letters */
    enum log_kind kind; /* which of the two below counts, and how it is printed */
    const char *text;   /* borrowed; NULL is printed as `-` */
    uint64_t number;
};

#define LOG_S(k, v) ((struct log_field){.key = (k), .kind = LOG_KIND_TEXT, .text = (v)})
#define LOG_ID(k, v) ((struct log_field){.key = (k), .kind = LOG_KIND_IDENTITY, .text = (v)})
#define LOG_U(k, v) ((struct log_field){.key = (k), .kind = LOG_KIND_UNSIGNED, .number = (uint64_t)(v)})
#define LOG_I(k, v) ((struct log_field){.key = (k), .kind = LOG_KIND_SIGNED, .number = (uint64_t)(int64_t)(v)})
#define LOG_E(k, v) ((struct log_field){.key = (k), .kind = LOG_KIND_ERROR, .number = (uint64_t)(int64_t)(v)})

/* The rate limit of one place that logs; zeroed at first. */
struct log_site {
    uint64_t since;      /* ms, start of the running interval */
    uint32_t written;    /* lines in it */
    uint32_t suppressed; /* lines held back since the last one that passed */
};

/* Set what the whole process logs with: the least severe level that is printed, the name of the role (static), and
 * whether LOG_ID prints what it is given. Before the first call: info, "cloister", no. */
void log_setup(enum log_level level, const char *role, bool identities);

/* Write one event with `count` fields, if its level is enabled and `site` has not used up its burst.
 * A short or failed write is ignored: there is nobody to tell. Keeps errno. */
void log_write(struct log_site *site, enum log_level level, const char *event, const struct log_field *fields,
               size_t count);

/* log_event(LOG_LEVEL_INFO, "ready", LOG_S("device", name), ...): log_write() with a limit of its own. At least one
 * field. */
#define log_event(level, event, ...)                                                                               \
    do {                                                                                                           \
        static struct log_site log_site_here;                                                                      \
        const struct log_field log_fields_here[] = {__VA_ARGS__};                                                  \
        log_write(&log_site_here, (level), (event), log_fields_here,                                               \
                  sizeof(log_fields_here) / sizeof(log_fields_here[0]));                                           \
    } while (0)

/* True if a line may be written at `now` (ms, any monotonic clock), of at most `burst` in an interval. Then *suppressed
 * says how many were not. */
bool log_site_pass(struct log_site *site, uint32_t burst, uint64_t now, uint32_t *suppressed);

/* Write event and fields as text, without time, level and role, into `out` (`size` > 0), always ended by a NUL byte
 * and never cut inside of an escape. Returns the length. */
size_t log_format(char *out, size_t size, const char *event, const struct log_field *fields, size_t count);

/* The level named "error", "warn", "info" or "debug"; false if `name` is none of these. */
bool log_level_parse(const char *name, enum log_level *level);

#endif
