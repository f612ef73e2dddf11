/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct text {
    char *at;
    size_t size, len;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at + t->len, t->size - t->len, format, args);
    va_end(args);
    t->len = n < 0 || (size_t)n >= t->size - t->len ? t->size : t->len + (size_t)n;
}

static void head(struct text *t, const char *name, const char *type, const char *help)
{
    say(t, "# HELP cloister_%s %s\n# TYPE cloister_%s %s\n", name, help, name, type);
}

static void gauge(struct text *t, const char *name, const char *help, uint64_t value)
{
    head(t, name, "gauge", help);
    say(t, "cloister_%s %" PRIu64 "\n", name, value);
}

static void counter(struct text *t, const char *name, const char *help, uint64_t value)
{
    head(t, name, "counter", help);
    say(t, "cloister_%s %" PRIu64 "\n", name, value);
}

size_t metrics_write(char *out, size_t size, const struct console_facts *facts, const struct view_status *status)
{
    struct text t = {.at = out, .size = size};
    const struct counters *counters = &status->counters;

    head(&t, "info", "gauge", "The version.");
    say(&t, "cloister_info{version=\"%s\",tor=\"%s\"} 1\n", facts->version,
        facts->embedded ? "embedded" : "external");
    gauge(&t, "ready", "Connections pass.", facts->ready);
    gauge(&t, "uptime_seconds", "Since the start.", facts->uptime_s);
    if (facts->embedded) {
        gauge(&t, "tor_bootstrap_percent", "How far Tor is.", facts->bootstrap);
        gauge(&t, "tor_guard_connections", "Connections to guards that stand.", facts->guards);
        gauge(&t, "tor_circuits", "Circuits of Tor's.", console_circuits_count(facts));
    }
    gauge(&t, "flows", "Flows in the table.", status->flows);
    gauge(&t, "flows_open", "Flows that have a stream.", counters->active);
    gauge(&t, "flows_connecting", "Flows that are not open yet.", status->connecting);
    gauge(&t, "flows_max", "Flows that there may be.", facts->flows_max);
    counter(&t, "flows_total", "Flows since the start.", counters->flows);
    gauge(&t, "workstations", "Addresses of workstations known.", status->workstations);
    head(&t, "bytes_total", "counter", "Payload, up to Tor and down to workstations.");
    say(&t, "cloister_bytes_total{direction=\"up\"} %" PRIu64 "\n", counters->up_bytes);
    say(&t, "cloister_bytes_total{direction=\"down\"} %" PRIu64 "\n", counters->down_bytes);
    head(&t, "streams_total", "counter", "Streams by how Tor answered.");
    say(&t, "cloister_streams_total{answer=\"connected\"} %" PRIu64 "\n", status->streams_connected);
    say(&t, "cloister_streams_total{answer=\"refused\"} %" PRIu64 "\n", status->streams_refused);
    say(&t, "cloister_streams_total{answer=\"broken\"} %" PRIu64 "\n", status->streams_broken);
    head(&t, "stream_ends_total", "counter", "Ends of streams by what Tor said of them.");
    say(&t, "cloister_stream_ends_total{end=\"done\"} %" PRIu64 "\n", status->ends_judged - status->ends_broken);
    say(&t, "cloister_stream_ends_total{end=\"reset\"} %" PRIu64 "\n", status->ends_broken);
    say(&t, "cloister_stream_ends_total{end=\"unknown\"} %" PRIu64 "\n", status->ends_unjudged);
    head(&t, "stream_end_wait_seconds_total", "counter", "Time that ends waited for Tor's word.");
    say(&t, "cloister_stream_end_wait_seconds_total %" PRIu64 ".%06" PRIu64 "\n", status->ends_waited_us / 1000000,
        status->ends_waited_us % 1000000);
    if (status->budget_rate > 0) {
        gauge(&t, "budget_left", "New identities that may go at once.", status->budget_left);
        gauge(&t, "budget_pending", "New identities that are not answered yet.", status->budget_pending);
        head(&t, "budget_rate", "gauge", "New identities a second, as learnt from Tor.");
        say(&t, "cloister_budget_rate %" PRIu64 ".%03" PRIu64 "\n", status->budget_rate_now / 1000,
            status->budget_rate_now % 1000);
        counter(&t, "budget_granted_total", "New identities so far.", status->budget_granted);
        counter(&t, "budget_slowed_total", "How often Tor made it slow down.", status->budget_slowed);
    }
    head(&t, "drops_total", "counter", "What was dropped, by reason.");
    for (unsigned i = 0; i < DROP_COUNT; i++)
        say(&t, "cloister_drops_total{reason=\"%s\"} %" PRIu64 "\n", drop_name((enum drop)i),
            counters->drops.by[i]);
    return t.len < t.size ? t.len : 0;
}
