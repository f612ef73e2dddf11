/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/control_service.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bucket.h"

#define ROOM 1024u  /* bytes that are taken at once; a window to advertise, no buffer */
#define LEAVING 16u /* sessions that were ended for somebody else, and that the engine has yet to let go of */
#define PLACES (CONTROL_SERVICE_SESSIONS + LEAVING)

struct session {
    bool used;
    bool leaving; /* it is reset, and not counted any more */
    bool stalled; /* a write was not taken whole: tell when there is room */
    uint32_t station;
    uint64_t heard;     /* microseconds, when it began or said something last */
    struct bucket pace; /* of lines */
    struct control_filter filter;
};

struct control_service {
    struct control_service_config config;
    struct local_events events;
    uint8_t *held;                       /* sessions of each station */
    uint32_t used;                       /* sessions of all */
    struct session sessions[PLACES + 1]; /* by number, from 1 */
};

int control_service_new(struct control_service **out, const struct control_service_config *config)
{
    struct control_service *service = calloc(1, sizeof(*service));
    *out = NULL;
    if (service == NULL)
        return -ENOMEM;
    service->config = *config;
    service->held = calloc(config->stations, sizeof(*service->held));
    if (service->held == NULL || local_events_init(&service->events, PLACES) != 0) {
        control_service_free(service);
        return -ENOMEM;
    }
    *out = service;
    return 0;
}

void control_service_free(struct control_service *service)
{
    if (service == NULL)
        return;
    local_events_fini(&service->events);
    free(service->held);
    free(service);
}

void control_service_set_ready(struct control_service *service, bool ready)
{
    service->config.facts.ready = ready;
}

/* There are as many as there may be. For somebody who has `own`, the one that was silent for longest is ended, of those of
 * whoever has most. False if nobody has more than he. */
static bool make_room(struct control_service *service, uint8_t own)
{
    struct session *last = NULL;
    for (uint32_t i = 1; i <= PLACES; i++) {
        struct session *s = &service->sessions[i];
        const uint8_t has = service->held[s->station];
        if (!s->used || s->leaving || has <= own)
            continue;
        const uint8_t most = last != NULL ? service->held[last->station] : 0;
        if (has > most || (has == most && s->heard < last->heard))
            last = s;
    }
    if (last == NULL)
        return false;
    service->held[last->station]--;
    service->used--;
    last->leaving = true;
    drop_count(service->config.drops, DROP_CONTROL_FULL);
    local_events_note(&service->events, (uint32_t)(last - service->sessions), LOCAL_RESET);
    return true;
}

static int session_open(void *ctx, struct tcp_flow_id id, const struct local_client *client, uint64_t now,
                        uint32_t *stream)
{
    struct control_service *service = ctx;
    uint32_t i = 1;
    const uint8_t own = service->held[client->station];
    while (i <= PLACES && service->sessions[i].used)
        i++;
    if (i > PLACES)
        return -EAGAIN; /* who leaves is gone when the SYN comes again */
    if (own == CONTROL_SERVICE_SHARE || (service->used == CONTROL_SERVICE_SESSIONS && !make_room(service, own))) {
        drop_count(service->config.drops, DROP_CONTROL_FULL);
        return -EACCES;
    }
    service->held[client->station]++;
    service->used++;
    service->sessions[i] = (struct session){.used = true, .station = client->station, .heard = now};
    control_filter_init(&service->sessions[i].filter);
    local_events_begin(&service->events, i, id);
    local_events_note(&service->events, i, LOCAL_CONNECTED);
    *stream = i;
    return 0;
}

/* What came of the last line. */
static void settle(struct control_service *service, struct session *s, uint64_t now)
{
    struct control_filter *f = &s->filter;
    for (; f->newnyms > 0; f->newnyms--)
        service->config.newnym(service->config.ctx, s->station);
    for (; f->filtered > 0; f->filtered--)
        drop_count(service->config.drops, DROP_CONTROL_FILTERED);
    for (; f->lines > 0; f->lines--) {
        if (bucket_take(&s->pace, CONTROL_SERVICE_RATE, CONTROL_SERVICE_BURST, now))
            continue;
        drop_count(service->config.drops, DROP_CONTROL_FULL);
        f->ended = true;
    }
}

static ssize_t session_write(void *ctx, uint32_t stream, const struct iovec *iov, int count, size_t *room,
                             uint64_t now)
{
    struct control_service *service = ctx;
    struct session *s = &service->sessions[stream];
    ssize_t taken = 0;
    *room = ROOM;
    s->heard = now;
    for (int i = 0; i < count; i++) {
        struct bytes in = bytes_of(iov[i].iov_base, iov[i].iov_len);
        while (in.left > 0 && !s->filter.ended && control_filter_has_room(&s->filter)) {
            control_filter_feed(&s->filter, &service->config.facts, &in);
            settle(service, s, now);
        }
        if (s->filter.ended)
            in.left = 0; /* read and forgotten */
        taken += (ssize_t)(iov[i].iov_len - in.left);
        if (in.left > 0) {
            s->stalled = true;
            *room = 0;
            break;
        }
    }
    if (s->filter.out_len > 0 || s->filter.ended)
        local_events_note(&service->events, stream, LOCAL_READABLE);
    return taken;
}

static ssize_t session_read(void *ctx, uint32_t stream, const struct iovec *iov, int count, uint64_t now)
{
    struct control_service *service = ctx;
    struct session *s = &service->sessions[stream];
    size_t n = control_filter_take(&s->filter, iov, count);
    (void)now;
    if (s->stalled && control_filter_has_room(&s->filter)) {
        s->stalled = false;
        local_events_note(&service->events, stream, LOCAL_WRITABLE);
    }
    if (n > 0)
        return (ssize_t)n;
    return s->filter.ended ? 0 : -EAGAIN;
}

static void session_closed(void *ctx, uint32_t stream)
{
    struct control_service *service = ctx;
    service->sessions[stream].filter.ended = true;
    local_events_note(&service->events, stream, LOCAL_READABLE);
}

static void session_release(void *ctx, uint32_t stream, enum tcp_release how)
{
    struct control_service *service = ctx;
    struct session *s = &service->sessions[stream];
    (void)how;
    if (!s->leaving) {
        service->held[s->station]--;
        service->used--;
    }
    s->used = false;
    local_events_end(&service->events, stream);
}

const struct local_ops control_service_ops = {
    .open = session_open,
    .write = session_write,
    .read = session_read,
    .closed = session_closed,
    .release = session_release,
};

unsigned control_service_dispatch(struct control_service *service, struct tcp_engine *engine, uint64_t now)
{
    return local_events_tell(&service->events, engine, ROOM, now);
}

bool control_service_waits(const struct control_service *service)
{
    return service->events.count > 0;
}
