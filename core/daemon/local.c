/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/local.h"

#include <errno.h>
#include <stdlib.h>

int local_events_init(struct local_events *events, uint32_t streams)
{
    *events = (struct local_events){
        .streams = streams,
        .table = calloc((size_t)streams + 1, sizeof(*events->table)),
        .ring = calloc(streams, sizeof(*events->ring)),
    };
    if (events->table != NULL && events->ring != NULL)
        return 0;
    local_events_fini(events);
    return -ENOMEM;
}

void local_events_fini(struct local_events *events)
{
    free(events->ring);
    free(events->table);
    *events = (struct local_events){0};
}

void local_events_begin(struct local_events *events, uint32_t stream, struct tcp_flow_id id)
{
    struct local_stream *s = &events->table[stream];
    *s = (struct local_stream){.id = id, .queued = s->queued};
}

void local_events_end(struct local_events *events, uint32_t stream)
{
    local_events_begin(events, stream, (struct tcp_flow_id){0, 0});
}

void local_events_note(struct local_events *events, uint32_t stream, enum local_event event)
{
    struct local_stream *s = &events->table[stream];
    s->events |= (uint8_t)event;
    if (s->queued)
        return;
    s->queued = true;
    events->ring[(events->first + events->count++) % events->streams] = stream;
}

static void tell(struct local_stream *s, struct tcp_engine *engine, size_t room, uint64_t now)
{
    struct tcp_flow_id id = s->id;
    uint8_t what = s->events;
    s->queued = false;
    s->events = 0;
    if (id.index == 0 || what == 0)
        return;
    if ((what & LOCAL_RESET) != 0) {
        tcp_upstream_reset(engine, id, now);
        return;
    }
    if ((what & LOCAL_CONNECTED) != 0)
        tcp_upstream_connected(engine, id, room, now);
    if ((what & LOCAL_READABLE) != 0)
        tcp_upstream_readable(engine, id, now);
    if ((what & LOCAL_WRITABLE) != 0)
        tcp_upstream_writable(engine, id, room, now);
}

unsigned local_events_tell(struct local_events *events, struct tcp_engine *engine, size_t room, uint64_t now)
{
    unsigned told = events->count;
    for (unsigned i = 0; i < told; i++) {
        uint32_t stream = events->ring[events->first];
        events->first = (events->first + 1) % events->streams;
        events->count--;
        tell(&events->table[stream], engine, room, now);
    }
    return told;
}
