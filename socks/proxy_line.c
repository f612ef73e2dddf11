/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks/proxy_line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"

/* fc00:dead:beef:4dad::/96. */
static const uint8_t prefix[12] = {0xfc, 0, 0xde, 0xad, 0xbe, 0xef, 0x4d, 0xad, 0, 0, 0, 0};

static const char start[] = "PROXY TCP6 ";

/* The next word up to `end`, which is not part of it. False if there is none that fits `out`. */
static bool take_word(const char **at, const char *limit, char end, char *out, size_t size)
{
    const char *found = memchr(*at, end, (size_t)(limit - *at));
    size_t n = found != NULL ? (size_t)(found - *at) : 0;
    if (n == 0 || n >= size)
        return false;
    memcpy(out, *at, n);
    out[n] = '\0';
    *at = found + 1;
    return true;
}

static bool is_port(const char *text)
{
    unsigned value = 0;
    size_t n = strlen(text);
    if (n > 5 || (n > 1 && text[0] == '0') || strspn(text, "0123456789") != n)
        return false;
    for (size_t i = 0; i < n; i++)
        value = value * 10 + (unsigned)(text[i] - '0');
    return value <= 65535;
}

/* What stands between the first word and the end of the line. */
static bool parse_rest(const char *at, const char *limit, uint32_t *circuit)
{
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN], port[8], service[8];
    uint8_t addr[16];
    if (!take_word(&at, limit, ' ', from, sizeof(from)) || !take_word(&at, limit, ' ', to, sizeof(to)) ||
        !take_word(&at, limit, ' ', port, sizeof(port)) || !take_word(&at, limit, '\r', service, sizeof(service)))
        return false;
    if (at != limit || inet_pton(AF_INET6, from, addr) != 1 || memcmp(addr, prefix, sizeof(prefix)) != 0 ||
        strcmp(to, "::1") != 0 || !is_port(port) || !is_port(service))
        return false;
    *circuit = be32_load(addr + sizeof(prefix));
    return true;
}

ssize_t proxy_line_parse(const uint8_t *at, size_t len, uint32_t *circuit)
{
    const char *text = (const char *)at;
    const size_t first = sizeof(start) - 1;
    size_t seen = len < PROXY_LINE_MAX ? len : PROXY_LINE_MAX;
    if (memcmp(text, start, seen < first ? seen : first) != 0)
        return -EPROTO;
    const char *end = memchr(text, '\n', seen);
    if (end == NULL)
        return seen == PROXY_LINE_MAX || memchr(text, '\0', seen) != NULL ? -EPROTO : 0;
    size_t n = (size_t)(end - text);
    if (n <= first || memchr(text, '\0', n) != NULL || !parse_rest(text + first, end, circuit))
        return -EPROTO;
    return (ssize_t)n + 1;
}
