/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What clients say at the gateway's ports: SOCKS, HTTP CONNECT, and the filtered control port. The first byte says which,
 * and in which pieces it comes; the pieces must not change the result.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control_filter.h"
#include "socks/front.h"
#include "socks/isolation.h"

static int run(struct front *front, enum front_kind kind, const uint8_t *data, size_t size, size_t piece,
               size_t *used)
{
    int done = 0;
    front_init(front, kind);
    for (*used = 0; done == 0 && *used < size;) {
        size_t part = size - *used < piece ? size - *used : piece;
        struct bytes in = bytes_of(data + *used, part);
        done = front_feed(front, &in);
        assert(done != 0 || in.left == 0);
        *used += part - in.left;
    }
    return done;
}

static void speak(enum front_kind kind, const uint8_t *data, size_t size, size_t piece)
{
    static struct front a, b;
    size_t used_a, used_b;
    int done = run(&a, kind, data, size, size, &used_a);
    assert(done == run(&b, kind, data, size, piece, &used_b));
    assert(used_a == used_b && memcmp(&a, &b, sizeof(a)) == 0);
    if (done != 1)
        return;
    const struct front_request *r = &a.request;
    assert(r->auth_len <= ISOLATION_AUTH_MAX);
    assert(r->name[0] == '\0' || (socks_name_valid(r->name) && strlen(r->name) <= SOCKS_NAME_MAX));
    assert(r->command != SOCKS_CONNECT || r->port != 0);
    const struct socks_request request = {.command = r->command,
                                          .username = "u",
                                          .password = "p",
                                          .name = r->name[0] != '\0' ? r->name : NULL,
                                          .port = r->port};
    uint8_t out[SOCKS_REQUEST_MAX];
    assert(socks_request_write(&request, out, sizeof(out)) > 0);
    front_answer(&a, data[0], NULL);
}

static void control(const uint8_t *data, size_t size, size_t piece)
{
    static const struct control_filter_facts facts = {.version = "1", .listeners = "\"x\""};
    static struct control_filter f;
    char out[CONTROL_FILTER_OUT_MAX];
    const struct iovec iov = {out, sizeof(out)};
    control_filter_init(&f);
    for (size_t at = 0; at < size && !f.ended; at += piece) {
        struct bytes in = bytes_of(data + at, size - at < piece ? size - at : piece);
        while (in.left > 0 && !f.ended) {
            assert(control_filter_has_room(&f));
            control_filter_feed(&f, &facts, &in);
            size_t n = control_filter_take(&f, &iov, 1);
            assert(n == 0 || (n >= 8 && out[n - 2] == '\r' && out[n - 1] == '\n'));
            assert(n == 0 || out[0] == '2' || out[0] == '5');
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t piece = data[0] / 3u + 1;
    if (data[0] % 3 == 2)
        control(data + 1, size - 1, piece);
    else
        speak(data[0] % 3 == 0 ? FRONT_SOCKS : FRONT_HTTP, data + 1, size - 1, piece);
    return 0;
}
