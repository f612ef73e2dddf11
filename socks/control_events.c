/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An event is a word, then arguments by position, then arguments by keyword in any order (control-spec 2.3: a
 * controller must bear with keywords it does not know, and with their order). A value is a bare word, or a quoted
 * string with C escapes, which is unescaped where it stands: it only becomes shorter.
 */
#include "socks/control_events.h"

#include <errno.h>
#include <string.h>

/* --- words --- */

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* One escape, `*p` at the character after the backslash. Moves past it. */
static char unescape(const char **p)
{
    const char *s = *p;
    if (is_octal(s[0]) && is_octal(s[1]) && is_octal(s[2])) {
        *p = s + 3;
        return (char)((s[0] - '0') * 64 + (s[1] - '0') * 8 + (s[2] - '0'));
    }
    *p = s + 1;
    return s[0] == 'n' ? '\n' : s[0] == 't' ? '\t' : s[0] == 'r' ? '\r' : s[0];
}

/* Take a quoted string at `*at`, which is at the quote. Its content, terminated, or NULL if it has no end. A NUL
 * that an escape made ends the content early. */
static char *take_quoted(char **at)
{
    char *start = *at + 1;
    char *out = start;
    const char *p = start;
    while (*p != '"') {
        if (*p == '\0')
            return NULL;
        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }
        if (*++p == '\0')
            return NULL;
        *out++ = unescape(&p);
    }
    *at += p + 1 - *at;
    *out = '\0';
    return start;
}

/* Take a word up to a space or the end. Never NULL; empty at the end. */
static char *take_word(char **at)
{
    char *word = *at + strspn(*at, " ");
    char *end = word + strcspn(word, " ");
    *at = *end != '\0' ? end + 1 : end;
    *end = '\0';
    return word;
}

/* Take "KEY=value". Returns 1, 0 at the end, or -EPROTO. A word without "=" is a key with an empty value. */
static int take_keyword(char **at, const char **key, const char **value)
{
    char *p = *at + strspn(*at, " ");
    if (*p == '\0') {
        *at = p;
        return 0;
    }
    size_t n = strcspn(p, " =");
    *key = p;
    if (p[n] != '=') {
        *at = p;
        *key = take_word(at);
        *value = "";
        return 1;
    }
    p[n] = '\0';
    p += n + 1;
    if (*p != '"') {
        *at = p;
        size_t len = strcspn(p, " ");
        *at += p[len] != '\0' ? len + 1 : len;
        p[len] = '\0';
        *value = p;
        return 1;
    }
    *value = take_quoted(&p);
    if (*value == NULL || (*p != ' ' && *p != '\0'))
        return -EPROTO;
    *at = p;
    return 1;
}

static int parse_number(const char *word, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (*word == '\0')
        return -EPROTO;
    for (; *word != '\0'; word++) {
        if (*word < '0' || *word > '9' || v > (UINT64_MAX - 9) / 10)
            return -EPROTO;
        v = v * 10 + (uint64_t)(*word - '0');
    }
    *out = v;
    return v <= max ? 0 : -EPROTO;
}

/* Where the value of a keyword goes. */
struct slot {
    const char *key;
    const char **value;
};

/* Read all keywords that are left; those without a slot are passed over. */
static int take_keywords(char *at, const struct slot *slots, size_t count)
{
    const char *key, *value;
    for (size_t i = 0; i < count; i++)
        *slots[i].value = "";
    int more;
    while ((more = take_keyword(&at, &key, &value)) > 0)
        for (size_t i = 0; i < count; i++)
            if (strcmp(slots[i].key, key) == 0)
                *slots[i].value = value;
    return more;
}

#define SLOTS(slots) (slots), sizeof(slots) / sizeof((slots)[0])

/* --- events --- */

static int parse_bootstrap(char *severity, char *at, struct control_bootstrap *out)
{
    const char *progress;
    const struct slot slots[] = {
        {"PROGRESS", &progress},    {"TAG", &out->tag},       {"SUMMARY", &out->summary},
        {"WARNING", &out->warning}, {"REASON", &out->reason},
    };
    uint64_t percent = 0;
    int err = take_keywords(at, SLOTS(slots));
    if (err == 0)
        err = parse_number(progress, 100, &percent);
    out->severity = severity;
    out->progress = (unsigned)percent;
    return err;
}

int control_bootstrap_parse(char *text, struct control_bootstrap *out)
{
    memset(out, 0, sizeof(*out));
    char *severity = take_word(&text);
    const char *action = take_word(&text);
    if (strcmp(action, "BOOTSTRAP") != 0)
        return -EPROTO;
    return parse_bootstrap(severity, text, out);
}

/* What Tor says of an application's request tells each time where a workstation goes: not to be looked into. */
static bool is_about_a_request(const char *action)
{
    return strcmp(action, "DANGEROUS_SOCKS") == 0 || strcmp(action, "DANGEROUS_PORT") == 0 ||
           strncmp(action, "SOCKS_", 6) == 0;
}

static int parse_status(char *at, struct control_event *out)
{
    char *severity = take_word(&at);
    char *action = take_word(&at);
    if (*severity == '\0' || *action == '\0')
        return -EPROTO;
    if (strcmp(action, "BOOTSTRAP") == 0) {
        out->kind = CONTROL_EVENT_BOOTSTRAP;
        return parse_bootstrap(severity, at, &out->bootstrap);
    }
    if (is_about_a_request(action)) {
        out->name = action;
        return 0;
    }
    out->kind = CONTROL_EVENT_STATUS;
    out->status.severity = severity;
    out->status.action = action;
    out->status.arguments = at;
    return 0;
}

/* "$FINGERPRINT~nickname" or "$FINGERPRINT=nickname", the latter from old Tors, or only the fingerprint. */
static int parse_hop(char *word, struct control_hop *out)
{
    const size_t digits = 40;
    if (word[0] != '$' || strspn(word + 1, "0123456789ABCDEFabcdef") != digits)
        return -EPROTO;
    char *after = word + 1 + digits;
    if (*after != '\0' && *after != '~' && *after != '=')
        return -EPROTO;
    out->fingerprint = word + 1;
    out->nickname = *after != '\0' ? after + 1 : after;
    *after = '\0';
    return 0;
}

/* Hops that do not fit are left out. */
static int parse_path(char *word, struct control_circuit *out)
{
    for (char *next; word != NULL; word = next) {
        next = strchr(word, ',');
        if (next != NULL)
            *next++ = '\0';
        struct control_hop hop;
        int err = parse_hop(word, &hop);
        if (err != 0)
            return err;
        if (out->hops < CONTROL_PATH_MAX)
            out->path[out->hops++] = hop;
    }
    return 0;
}

static int parse_circuit(char *at, struct control_circuit *out)
{
    const struct slot slots[] = {
        {"PURPOSE", &out->purpose},
        {"CONFLUX_ID", &out->conflux_id},
        {"SOCKS_USERNAME", &out->socks_username},
        {"SOCKS_PASSWORD", &out->socks_password},
        {"REASON", &out->reason},
        {"REMOTE_REASON", &out->remote_reason},
    };
    int err = parse_number(take_word(&at), UINT64_MAX, &out->id);
    if (err != 0)
        return err;
    out->status = take_word(&at);
    if (*out->status == '\0')
        return -EPROTO;
    if (*at == '$') {
        err = parse_path(take_word(&at), out);
        if (err != 0)
            return err;
    }
    return take_keywords(at, SLOTS(slots));
}

static int parse_stream(char *at, struct control_stream *out)
{
    const struct slot slots[] = {
        {"REASON", &out->reason},
        {"REMOTE_REASON", &out->remote_reason},
        {"SOURCE", &out->source},
        {"PURPOSE", &out->purpose},
        {"SOCKS_USERNAME", &out->socks_username},
        {"SOCKS_PASSWORD", &out->socks_password},
    };
    int err = parse_number(take_word(&at), UINT64_MAX, &out->id);
    if (err != 0)
        return err;
    out->status = take_word(&at);
    err = parse_number(take_word(&at), UINT64_MAX, &out->circuit);
    if (err != 0)
        return err;
    out->target = take_word(&at);
    if (*out->target == '\0')
        return -EPROTO;
    return take_keywords(at, SLOTS(slots));
}

static int parse_orconn(char *at, struct control_orconn *out)
{
    out->target = take_word(&at);
    out->status = take_word(&at);
    return *out->status != '\0' ? 0 : -EPROTO;
}

int control_event_parse(char *text, struct control_event *out)
{
    static const char *const severities[] = {"DEBUG", "INFO", "NOTICE", "WARN", "ERR"};

    memset(out, 0, sizeof(*out));
    char *at = text;
    out->name = take_word(&at);
    if (*out->name == '\0')
        return -EPROTO;
    if (strcmp(out->name, "STATUS_CLIENT") == 0 || strcmp(out->name, "STATUS_GENERAL") == 0)
        return parse_status(at, out);
    if (strcmp(out->name, "CIRC") == 0 || strcmp(out->name, "CIRC_MINOR") == 0) {
        out->kind = CONTROL_EVENT_CIRC;
        return parse_circuit(at, &out->circuit);
    }
    if (strcmp(out->name, "STREAM") == 0) {
        out->kind = CONTROL_EVENT_STREAM;
        return parse_stream(at, &out->stream);
    }
    if (strcmp(out->name, "ORCONN") == 0) {
        out->kind = CONTROL_EVENT_ORCONN;
        return parse_orconn(at, &out->orconn);
    }
    for (size_t i = 0; i < sizeof(severities) / sizeof(severities[0]); i++)
        if (strcmp(out->name, severities[i]) == 0) {
            out->kind = CONTROL_EVENT_LOG;
            out->log.severity = out->name;
            out->log.text = at;
        }
    return 0;
}
