/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a SOCKS server answers. The first byte says in which pieces it comes; the pieces must not change the result,
 * and the parser must never want a byte behind the end of a success.
 */
#include <assert.h>
#include <string.h>

#include "socks/handshake.h"

/* Returns how many bytes were taken; *done is what the parser said last. */
static size_t run(const uint8_t *data, size_t size, size_t piece, struct socks_reply *reply,
                  struct socks_bound *bound, int *done)
{
    size_t used = 0;
    memset(reply, 0, sizeof(*reply));
    memset(bound, 0, sizeof(*bound));
    *done = 0;
    while (*done == 0 && used < size) {
        size_t want = socks_reply_want(reply);
        assert(want >= 1 && want <= 257);
        size_t part = want < piece ? want : piece;
        if (part > size - used)
            part = size - used;
        *done = socks_reply_feed(reply, data + used, part, bound);
        used += part;
    }
    if (*done == 1)
        assert(socks_reply_want(reply) == 0);
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct socks_reply a, b;
    struct socks_bound bound_a, bound_b;
    int done_a, done_b;
    if (size == 0)
        return 0;
    size_t piece = data[0] == 0 ? 1 : data[0];
    size_t used_a = run(data + 1, size - 1, 1, &a, &bound_a, &done_a);
    size_t used_b = run(data + 1, size - 1, piece, &b, &bound_b, &done_b);
    assert(done_a == done_b);
    if (done_a == 1) {
        assert(a.code == b.code);
        if (a.code == SOCKS_SUCCEEDED) {
            assert(used_a == used_b); /* to the byte: what follows is the stream */
            assert(used_a >= 9);
            assert(memcmp(&bound_a, &bound_b, sizeof(bound_a)) == 0);
        }
        assert(socks_code_refusal(a.code) <= TCP_REFUSAL_SILENT);
    }
    return 0;
}
