/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks/front.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/iov.h"

void front_init(struct front *front, enum front_kind kind)
{
    memset(front, 0, sizeof(*front));
    front->kind = (uint8_t)kind;
}

int front_feed(struct front *front, struct bytes *in)
{
    int done = 0;
    while (done == 0 && in->left > 0) {
        uint8_t byte = bytes_u8(in);
        done = front->kind == FRONT_HTTP ? front_http_byte(front, byte) : front_socks_byte(front, byte);
    }
    return done;
}

void front_answer(struct front *front, uint8_t code, const struct socks_bound *bound)
{
    if (front->kind == FRONT_HTTP)
        front_http_answer(front, code);
    else
        front_socks_answer(front, code, bound);
}

size_t front_take(struct front *front, const struct iovec *iov, int count)
{
    size_t taken = iov_scatter(iov, count, (const uint8_t *)front->out, front->out_len);
    memmove(front->out, front->out + taken, front->out_len - taken);
    front->out_len = (uint16_t)(front->out_len - taken);
    return taken;
}

void front_say(struct front *front, const void *data, size_t n)
{
    assert(n <= sizeof(front->out) - front->out_len);
    memcpy(front->out + front->out_len, data, n);
    front->out_len = (uint16_t)(front->out_len + n);
}

int front_set_name(struct front_request *request, const char *text, size_t n)
{
    char name[SOCKS_NAME_MAX + 1];
    uint8_t v4[4];
    struct ipaddr v6;
    const bool brackets = n >= 2 && text[0] == '[' && text[n - 1] == ']';
    if (brackets) {
        text++;
        n -= 2;
    }
    if (n == 0 || n > SOCKS_NAME_MAX || memchr(text, '\0', n) != NULL)
        return -EINVAL;
    memcpy(name, text, n);
    name[n] = '\0';
    request->name[0] = '\0';
    if (inet_pton(AF_INET6, name, v6.b) == 1) {
        request->addr = v6;
        return 0;
    }
    if (brackets || !socks_name_valid(name))
        return -EINVAL;
    /* It means nothing in DNS. But with it Tor takes no name for one of onion, and would have an exit look for it; and an
     * address would be none here, and one again on its way. */
    if (name[n - 1] == '.')
        name[--n] = '\0';
    if (inet_pton(AF_INET, name, v4) == 1) {
        request->addr = ipaddr_v4(v4);
        return 0;
    }
    memcpy(request->name, name, n + 1);
    return 0;
}
