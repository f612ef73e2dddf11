/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks/backlog.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

int socks_backlog_put(struct socks_backlog *backlog, struct tcp_flow_id id, const uint8_t *request, size_t len)
{
    assert(len <= SOCKS_REQUEST_MAX);
    if (backlog->count == SOCKS_BACKLOG_MAX)
        return -EAGAIN;
    struct socks_waiting *w = &backlog->ring[(backlog->first + backlog->count) % SOCKS_BACKLOG_MAX];
    backlog->count++;
    w->id = id;
    w->len = len;
    memcpy(w->request, request, len);
    return 0;
}

const struct socks_waiting *socks_backlog_first(const struct socks_backlog *backlog)
{
    return backlog->count > 0 ? &backlog->ring[backlog->first] : NULL;
}

void socks_backlog_pop(struct socks_backlog *backlog)
{
    assert(backlog->count > 0);
    backlog->first = (backlog->first + 1) % SOCKS_BACKLOG_MAX;
    backlog->count--;
}
