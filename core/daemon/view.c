/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/view.h"

#include <string.h>

static const char *const tcp_states[] = {
    "unknown",    "CONNECTING", "SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT",
    "FIN-WAIT-1", "FIN-WAIT-2", "CLOSING",      "LAST-ACK",    "TIME-WAIT",
};
static const char *const stream_states[] = {"unknown", "none", "queued", "waiting", "open"};

#define TCP_STATES (sizeof(tcp_states) / sizeof(tcp_states[0]))
#define STREAM_STATES (sizeof(stream_states) / sizeof(stream_states[0]))

const char *view_tcp_state(uint8_t index)
{
    return tcp_states[index < TCP_STATES ? index : 0];
}

const char *view_stream_state(uint8_t index)
{
    return stream_states[index < STREAM_STATES ? index : 0];
}

static uint8_t find(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 1; i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return (uint8_t)i;
    }
    return 0;
}

uint8_t view_tcp_state_index(const char *name)
{
    return find(tcp_states, TCP_STATES, name);
}

uint8_t view_stream_state_index(const char *name)
{
    return find(stream_states, STREAM_STATES, name);
}

static bool flow_is_valid(const struct view_flow *flow)
{
    return flow->tcp_state < TCP_STATES && flow->stream_state < STREAM_STATES && flow->way < VIEW_WAY_END &&
           flow->identities <= 1 && flow->onion <= VIEW_ONIONS_MAX &&
           memchr(flow->name, '\0', sizeof(flow->name)) != NULL;
}

bool view_is_valid(const struct view *view)
{
    if (view->next > VIEW_CURSOR_MAX)
        return false;
    switch (view->kind) {
    case VIEW_STATUS:
        return view->count == 1 && view->next == 0;
    case VIEW_NEWNYM:
        return view->count <= 1 && view->next == 0;
    case VIEW_WORKSTATIONS:
        for (uint32_t i = 0; i < view->count && i < VIEW_WORKSTATIONS_MAX; i++) {
            uint8_t n = view->workstations[i].addresses;
            if (n < 1 || n > VIEW_ADDRESSES_MAX)
                return false;
        }
        return view->count <= VIEW_WORKSTATIONS_MAX;
    case VIEW_FLOWS:
        for (uint32_t i = 0; i < view->count && i < VIEW_FLOWS_MAX; i++) {
            if (!flow_is_valid(&view->flows[i]))
                return false;
        }
        return view->count <= VIEW_FLOWS_MAX;
    default:
        return false;
    }
}
