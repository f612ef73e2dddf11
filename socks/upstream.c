/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A SOCKS stream for each flow: how it is done with few system calls.
 *
 * A stream is opened at once, or waits for that (upstream_open.c). What happens to it comes from one epoll
 * (upstream_event.c), its bytes and its end are read and written as the engine asks (upstream_data.c). Here is what is
 * common to them: the streams' life, the upstream's, and when it is time for what.
 *
 *     FREE --open--> WAITING --answer--> OPEN --release--> FREE
 *       |             ^   |                                 ^
 *       +--> QUEUED --+   +----refused, broken, released----+
 *              +----------refused, released-----------------+
 *
 * Streams that Tor opened, for visitors of onion services (onion.h), begin OPEN, and are like the others from then on.
 */
#include "socks/upstream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socks/upstream_stream.h"

void stream_settle(struct socks_upstream *up, struct stream *s, bool good)
{
    if (!s->fresh)
        return;
    s->fresh = false;
    socks_budget_answered(up->budget, s->key, good);
    up->retry_at = up->full != 0 ? up->retry_at : 0;
}

void stream_drop(struct socks_upstream *up, struct stream *s)
{
    if (s->state == STREAM_QUEUED && s->waiting != 0)
        socks_backlog_remove(up->backlog, s->waiting);
    stream_settle(up, s, false);
    if (s->lasts)
        socks_lasting_end(up->lasting, stream_key(s), up->now / MICROSECONDS);
    /* syscalls gateway: close */
    if (s->fd >= 0)
        close(s->fd);
    memset(s, 0, sizeof(*s));
    s->fd = -1;
}

void stream_end(struct socks_upstream *up, struct stream *s)
{
    uint32_t tag = s->tag;
    stream_drop(up, s);
    if (up->config.done != NULL)
        up->config.done(up->config.ctx, tag);
}

void stream_tell(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id, uint8_t code, uint64_t now)
{
    if (!up->config.asked(up->config.ctx, s->tag, code) || code != SOCKS_SUCCEEDED)
        stream_end(up, s);
    tcp_upstream_readable(up->engine, id, now);
}

void stream_fail(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id, enum tcp_refusal why,
                 uint64_t now)
{
    if (s->asked) {
        stream_tell(up, s, id, SOCKS_GENERAL_FAILURE, now);
        return;
    }
    stream_end(up, s);
    tcp_upstream_failed(up->engine, id, why, now);
}

void socks_upstream_release(struct socks_upstream *up, struct tcp_flow_id id, enum tcp_release how)
{
    (void)how; /* Tor has no half close and no reset: closing is all that can be said */
    struct stream *s = stream_find(up, id);
    if (s != NULL)
        stream_end(up, s);
}

void socks_upstream_poll(struct socks_upstream *up, uint64_t now)
{
    upstream_retry_waiting(up, now);
    upstream_end_waits(up, now);
}

bool socks_upstream_next(const struct socks_upstream *up, uint64_t *at)
{
    const struct socks_ending *first = up->endings != NULL ? socks_endings_first(up->endings) : NULL;
    bool waits = !up->held && up->backlog->count > 0;
    *at = up->retry_at;
    if (first == NULL)
        return waits;
    uint64_t end = first->since + up->config.end_wait;
    *at = waits && up->retry_at < end ? up->retry_at : end;
    return true;
}

void socks_upstream_hold(struct socks_upstream *up, bool hold)
{
    up->held = hold;
    up->retry_at = 0;
}

/* What our sockets hold, before and after they are resized. */
static int measure_buffers(struct socks_upstream *up)
{
    int fd = stream_socket();
    if (fd < 0)
        return fd;
    int err = socks_room_capacity(fd, &up->narrow);
    if (err == 0 && up->config.send_buffer > 0)
        err = socks_room_resize(fd, up->config.send_buffer);
    if (err == 0)
        err = socks_room_capacity(fd, &up->wide);
    close(fd);
    return err;
}

int socks_upstream_new(struct socks_upstream **out, const struct socks_upstream_config *config)
{
    *out = NULL;
    if (config->max_flows == 0 || config->max_flows > (1u << 24) || config->send_buffer > (1u << 28))
        return -EINVAL;
    struct socks_upstream *up = calloc(1, sizeof(*up));
    if (up == NULL)
        return -ENOMEM;
    up->config = *config;
    up->epoll = -1;
    isolation_secret_init(&up->secret, config->secret);
    memset(up->config.secret, 0, sizeof(up->config.secret));

    int err = socks_tors_add(&up->tors, config->path);
    for (uint32_t i = 0; err == 0 && config->others != NULL && i < config->others->count; i++)
        err = socks_tors_add(&up->tors, config->others->address[i].sun_path);
    if (err != 0)
        goto fail;
    up->config.path = up->tors.address[0].sun_path;
    up->config.others = NULL;
    err = -ENOMEM;
    /* Zeroed by the system page by page, when first used: what is never used costs nothing. */
    up->streams = calloc((size_t)config->max_flows + 1, sizeof(*up->streams));
    up->backlog = calloc(1, sizeof(*up->backlog));
    up->lasting = calloc(1, sizeof(*up->lasting));
    if (config->end_wait > 0)
        up->endings = calloc(1, sizeof(*up->endings));
    if (up->streams == NULL || up->backlog == NULL || up->lasting == NULL ||
        (config->end_wait > 0 && up->endings == NULL))
        goto fail;
    err = socks_budget_new(&up->budget, &config->budget);
    if (err != 0)
        goto fail;
    err = measure_buffers(up);
    if (err != 0)
        goto fail;
    up->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (up->epoll < 0) {
        err = -errno;
        goto fail;
    }
    *out = up;
    return 0;

fail:
    socks_upstream_free(up);
    return err;
}

void socks_upstream_attach(struct socks_upstream *up, struct tcp_engine *engine)
{
    up->engine = engine;
}

void socks_upstream_free(struct socks_upstream *up)
{
    if (up == NULL)
        return;
    if (up->streams != NULL)
        for (uint32_t i = 1; i <= up->config.max_flows; i++)
            if (up->streams[i].state != STREAM_FREE)
                stream_end(up, &up->streams[i]);
    if (up->epoll >= 0)
        close(up->epoll);
    free(up->lasting);
    free(up->endings);
    socks_budget_free(up->budget);
    free(up->backlog);
    free(up->streams);
    free(up);
}

size_t socks_upstream_settle(const struct socks_upstream *up, uint32_t highest, void **start)
{
    *start = &up->streams[highest + 1];
    return (size_t)(up->config.max_flows - highest) * sizeof(*up->streams);
}

struct socks_budget *socks_upstream_budget(const struct socks_upstream *up)
{
    return up->budget;
}

uint32_t socks_upstream_waiting(const struct socks_upstream *up)
{
    return up->backlog->count;
}

const struct socks_counters *socks_upstream_counters(const struct socks_upstream *up)
{
    return &up->counters;
}

bool socks_upstream_look(const struct socks_upstream *up, struct tcp_flow_id id, struct socks_stream_info *info)
{
    static const char *const names[] = {"free", "queued", "waiting", "open"};
    const struct stream *s = stream_find(up, id);
    if (s == NULL)
        return false;
    info->state = names[s->state];
    info->key = stream_key(s);
    return true;
}
