/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What Tor says on the control connection, in pieces. Fuzzed twice: whole and byte by byte must come to the same,
 * and what the callbacks get must be readable to its end.
 */
#include <assert.h>
#include <string.h>

#include "socks/control.h"

static uint64_t heard; /* a hash of everything the callbacks were told */

static void hear(const char *s)
{
    for (; *s != '\0'; s++)
        heard = (heard ^ (uint8_t)*s) * 0x100000001b3u;
    heard = (heard ^ 0x100) * 0x100000001b3u;
}

static void on_event(void *ctx, struct control_event *event)
{
    (void)ctx;
    hear(event->name);
    switch (event->kind) {
    case CONTROL_EVENT_OTHER:
        break;
    case CONTROL_EVENT_BOOTSTRAP:
        assert(event->bootstrap.progress <= 100);
        hear(event->bootstrap.severity);
        hear(event->bootstrap.tag);
        hear(event->bootstrap.summary);
        hear(event->bootstrap.warning);
        hear(event->bootstrap.reason);
        break;
    case CONTROL_EVENT_STATUS:
        hear(event->status.severity);
        hear(event->status.action);
        hear(event->status.arguments);
        break;
    case CONTROL_EVENT_CIRC:
        assert(event->circuit.hops <= CONTROL_PATH_MAX);
        for (unsigned i = 0; i < event->circuit.hops; i++) {
            assert(strlen(event->circuit.path[i].fingerprint) == 40);
            hear(event->circuit.path[i].nickname);
        }
        hear(event->circuit.status);
        hear(event->circuit.purpose);
        hear(event->circuit.conflux_id);
        hear(event->circuit.socks_username);
        hear(event->circuit.socks_password);
        hear(event->circuit.reason);
        hear(event->circuit.remote_reason);
        break;
    case CONTROL_EVENT_STREAM:
        hear(event->stream.status);
        hear(event->stream.target);
        hear(event->stream.reason);
        hear(event->stream.remote_reason);
        hear(event->stream.source);
        hear(event->stream.purpose);
        hear(event->stream.socks_username);
        hear(event->stream.socks_password);
        break;
    case CONTROL_EVENT_ORCONN:
        hear(event->orconn.target);
        hear(event->orconn.status);
        break;
    case CONTROL_EVENT_LOG:
        hear(event->log.severity);
        hear(event->log.text);
        break;
    }
}

static void on_done(void *ctx, unsigned what, unsigned code, const char *text)
{
    (void)ctx;
    assert(code >= 100 && code <= 999);
    heard += what;
    hear(text);
}

static void on_info(void *ctx, const char *key, const char *value)
{
    (void)ctx;
    hear(key);
    hear(value);
}

static uint64_t run(const uint8_t *data, size_t size, size_t piece)
{
    static struct control control;
    static const struct control_ops ops = {.event = on_event, .done = on_done, .info = on_info};
    heard = 0;
    control_init(&control, &ops, NULL);
    for (unsigned i = 0; i < 8; i++)
        control_command(&control, i, "GETINFO x");
    int err = 0;
    for (size_t at = 0; at < size && err == 0; at += piece)
        err = control_input(&control, data + at, size - at < piece ? size - at : piece);
    return heard + control.bad_events;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t whole = run(data, size, size > 0 ? size : 1);
    assert(run(data, size, 1) == whole);
    return 0;
}
