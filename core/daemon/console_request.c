/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/console_request.h"

#include <arpa/inet.h>
#include <string.h>

static const struct {
    const char *words;
    enum console_verb verb;
} requests[] = {
    {"show status", CONSOLE_SHOW_STATUS},
    {"show flows", CONSOLE_SHOW_FLOWS},
    {"show circuits", CONSOLE_SHOW_CIRCUITS},
    {"show workstations", CONSOLE_SHOW_WORKSTATIONS},
    {"show drops", CONSOLE_SHOW_DROPS},
    {"metrics", CONSOLE_METRICS},
    {"newnym", CONSOLE_NEWNYM},
};

static const char newnym[] = "newnym ";
static const char some_flows[] = "show flows ";

/* How many flows: who has a small screen has no use for fifty thousand. */
static const char *parse_limit(const char *text, size_t n, struct console_request *out)
{
    uint32_t limit = 0;
    bool number = n >= 1 && n <= 6;
    for (size_t i = 0; number && i < n; i++) {
        number = text[i] >= '0' && text[i] <= '9';
        limit = limit * 10 + (uint32_t)(text[i] - '0');
    }
    if (!number || limit == 0)
        return "after show flows stands how many at most, or nothing";
    *out = (struct console_request){.verb = CONSOLE_SHOW_FLOWS, .limit = limit};
    return NULL;
}

static const char *parse_newnym(const char *text, size_t n, struct console_request *out)
{
    char address[INET6_ADDRSTRLEN];
    uint8_t v4[4];
    struct ipaddr addr;
    if (n >= sizeof(address))
        return "the address of a workstation is shorter";
    memcpy(address, text, n);
    address[n] = '\0';
    if (inet_pton(AF_INET, address, v4) == 1)
        addr = ipaddr_v4(v4);
    else if (inet_pton(AF_INET6, address, addr.b) != 1)
        return "after newnym stands the address of a workstation, or nothing";
    *out = (struct console_request){.verb = CONSOLE_NEWNYM, .workstation = addr};
    return NULL;
}

const char *console_request_parse(const char *line, size_t n, struct console_request *out)
{
    *out = (struct console_request){CONSOLE_NOTHING};
    if (n > 0 && line[n - 1] == '\r')
        n--;
    if (n >= CONSOLE_REQUEST_MAX)
        return "the request is too long";
    for (size_t i = 0; i < n; i++) {
        if (line[i] < 0x20 || line[i] > 0x7e)
            return "the request is no text";
    }
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        if (strlen(requests[i].words) == n && memcmp(requests[i].words, line, n) == 0) {
            out->verb = requests[i].verb;
            return NULL;
        }
    }
    if (n > sizeof(newnym) - 1 && memcmp(line, newnym, sizeof(newnym) - 1) == 0)
        return parse_newnym(line + sizeof(newnym) - 1, n - (sizeof(newnym) - 1), out);
    if (n >= sizeof(some_flows) - 1 && memcmp(line, some_flows, sizeof(some_flows) - 1) == 0)
        return parse_limit(line + sizeof(some_flows) - 1, n - (sizeof(some_flows) - 1), out);
    return "no such request; there are show status, show flows, show circuits, show workstations, show drops, "
           "metrics and newnym";
}

enum console_http console_http_parse(const char *head, size_t n)
{
    static const char get[] = "GET ";
    static const char path[] = "/metrics";
    const char *line_end = memchr(head, '\n', n);
    size_t common = n < sizeof(get) - 1 ? n : sizeof(get) - 1;
    if (memcmp(head, get, common) != 0)
        return CONSOLE_HTTP_BAD;
    if (line_end == NULL)
        return CONSOLE_HTTP_MORE;
    /* The head ends with an empty line. */
    const char *at = line_end;
    const char *end = head + n;
    for (;;) {
        const char *next = at + 1;
        if (next < end && *next == '\r')
            next++;
        if (next < end && *next == '\n')
            break;
        at = memchr(at + 1, '\n', (size_t)(end - at - 1));
        if (at == NULL)
            return CONSOLE_HTTP_MORE;
    }
    const char *target = head + sizeof(get) - 1;
    size_t len = (size_t)(line_end - target);
    if (len < sizeof(path) || memcmp(target, path, sizeof(path) - 1) != 0)
        return CONSOLE_HTTP_OTHER;
    char after = target[sizeof(path) - 1];
    return after == ' ' || after == '?' || after == '\r' ? CONSOLE_HTTP_METRICS : CONSOLE_HTTP_OTHER;
}
