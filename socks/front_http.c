/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HTTP CONNECT, as little of it as a tunnel needs:
 *
 *     CONNECT host:port HTTP/1.1
 *     any header: any value            (looked at only if it says who the client is)
 *
 * A line ends with CR LF; a lone LF is taken for it, a lone CR is an error (RFC 9112 2.2). Any other method is refused,
 * because a proxy for plain HTTP would have to read what it passes on. What a client calls himself in
 * Proxy-Authorization or X-Tor-Stream-Isolation sets him apart, as it does at Tor's own HTTP tunnel ports.
 */
#include "socks/front.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum phase {
    PHASE_REQUEST,
    PHASE_HEADERS,
    PHASE_DONE,
};

static int refuse(struct front *front, const char *status, int error)
{
    char answer[96];
    int n = snprintf(answer, sizeof(answer), "HTTP/1.0 %s\r\n\r\n", status);
    front_say(front, answer, (size_t)n);
    front->phase = PHASE_DONE;
    return error;
}

/* The port after the colon, all of `text`. 0 if it is none. */
static uint16_t parse_port(const char *text, size_t n)
{
    uint32_t port = 0;
    if (n == 0 || n > 5)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

static int take_request(struct front *front)
{
    static const char method[] = "CONNECT ", version[] = " HTTP/1.";
    const char *line = (const char *)front->line;
    size_t n = front->len;
    if (n < sizeof(method) - 1 || memcmp(line, method, sizeof(method) - 1) != 0)
        return refuse(front, "405 Only CONNECT works here", -EOPNOTSUPP);
    line += sizeof(method) - 1;
    n -= sizeof(method) - 1;
    if (n < sizeof(version) || memcmp(line + n - sizeof(version), version, sizeof(version) - 1) != 0 ||
        (line[n - 1] != '0' && line[n - 1] != '1'))
        return refuse(front, "400 Bad Request", -EPROTO);
    n -= sizeof(version);
    const char *colon = memrchr(line, ':', n);
    size_t host = colon != NULL ? (size_t)(colon - line) : 0;
    front->request.port = colon != NULL ? parse_port(colon + 1, n - host - 1) : 0;
    front->request.command = SOCKS_CONNECT;
    if (front->request.port == 0 || front_set_name(&front->request, line, host) != 0 ||
        (line[0] != '[' && memchr(line, ':', host) != NULL))
        return refuse(front, "400 Bad Request", -EINVAL);
    front->phase = PHASE_HEADERS;
    return 0;
}

/* The length before each, and a letter for which it is: no two lists of them look the same. */
static int add_auth(struct front *front, uint8_t which, const uint8_t *value, size_t n)
{
    struct front_request *r = &front->request;
    if (n + 3 > sizeof(r->auth) - r->auth_len)
        return refuse(front, "431 Request Header Fields Too Large", -EINVAL);
    uint8_t *at = r->auth + r->auth_len;
    at[0] = which;
    be16_store(at + 1, (uint16_t)n);
    memcpy(at + 3, value, n);
    r->auth_len = (uint16_t)(r->auth_len + 3 + n);
    return 0;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static int take_header(struct front *front)
{
    static const char *const names[] = {"Proxy-Authorization", "X-Tor-Stream-Isolation"};
    const uint8_t *colon = memchr(front->line, ':', front->len);
    size_t name = colon != NULL ? (size_t)(colon - front->line) : 0;
    /* Nor blanks in it, so that none hides who the client is (RFC 9112 5.1), nor before it (5.2). */
    if (name == 0 || memchr(front->line, ' ', name) != NULL || memchr(front->line, '\t', name) != NULL)
        return refuse(front, "400 Bad Request", -EPROTO);
    const uint8_t *value = colon + 1, *end = front->line + front->len;
    while (value < end && is_blank(*value))
        value++;
    while (end > value && is_blank(end[-1]))
        end--;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strlen(names[i]) == name && strncasecmp((const char *)front->line, names[i], name) == 0)
            return add_auth(front, (uint8_t)('a' + i), value, (size_t)(end - value));
    return 0;
}

static int take_line(struct front *front)
{
    int done;
    if (front->phase == PHASE_REQUEST)
        done = take_request(front);
    else if (front->len > 0)
        done = take_header(front);
    else
        done = 1;
    if (done == 1)
        front->phase = PHASE_DONE;
    else if (done == 0 && ++front->lines > FRONT_LINES_MAX)
        done = refuse(front, "431 Request Header Fields Too Large", -EINVAL);
    front->len = 0;
    return done;
}

int front_http_byte(struct front *front, uint8_t byte)
{
    if (front->phase == PHASE_DONE)
        return -EPROTO;
    if (byte == '\n') {
        front->cr = false;
        return take_line(front);
    }
    if (front->cr || (byte < 0x20 && byte != '\t' && byte != '\r') || byte == 0x7f)
        return refuse(front, "400 Bad Request", -EPROTO);
    front->cr = byte == '\r';
    if (++front->total > FRONT_HEADERS_MAX)
        return refuse(front, "431 Request Header Fields Too Large", -EINVAL);
    if (front->cr)
        return 0;
    if (front->len == FRONT_LINE_MAX)
        return refuse(front, "431 Request Header Fields Too Large", -EINVAL);
    front->line[front->len++] = byte;
    return 0;
}

void front_http_answer(struct front *front, uint8_t code)
{
    const char *status;
    switch (code) {
    case SOCKS_SUCCEEDED:
        status = "200 OK";
        break;
    case SOCKS_NOT_ALLOWED:
        status = "403 Forbidden";
        break;
    case SOCKS_TTL_EXPIRED:
    case SOCKS_ONION_INTRO_TIMEOUT:
        status = "504 Gateway Timeout";
        break;
    case SOCKS_GENERAL_FAILURE:
        status = "500 Internal Server Error";
        break;
    default:
        status = "502 Bad Gateway";
        break;
    }
    refuse(front, status, 0);
}
