/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/console_answer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "socks/tors.h"

#define ADDRESS_MAX 80u /* bytes of an address with brackets and a port */

static void begin(struct json *json, const char *kind)
{
    json_open(json, NULL, '{');
    json_number(json, "schema", CONSOLE_SCHEMA);
    json_text(json, "kind", kind);
}

static void end(struct json *json)
{
    json_close(json, '}');
    json_line(json);
}

static const char *address_text(const struct ipaddr *addr, char out[ADDRESS_MAX])
{
    bool v4 = ipaddr_is_v4(addr);
    if (inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? addr->b + 12 : addr->b, out, ADDRESS_MAX) == NULL)
        out[0] = '\0';
    return out;
}

/* "192.0.2.1:80", "[2001:db8::1]:80" or "www.example.com:80". Without a port it is to be looked up. */
static void write_destination(struct json *json, const struct view_flow *flow, bool told)
{
    char address[ADDRESS_MAX];
    char text[VIEW_NAME_MAX + 8];
    if (!told) {
        json_null(json, "destination");
        return;
    }
    const char *host = flow->name[0] != '\0' ? flow->name : address_text(&flow->dst, address);
    if (flow->dst_port == 0) /* to be looked up */
        snprintf(text, sizeof(text), "%s", host);
    else
        snprintf(text, sizeof(text), host == address && strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host,
                 flow->dst_port);
    json_text(json, "destination", text);
}

/* Eight digits tell identities apart for people, as in the log. */
static void write_key(struct json *json, const char *name, uint64_t key)
{
    char digits[9];
    snprintf(digits, sizeof(digits), "%08x", (unsigned)(key >> 32));
    json_text(json, name, key != 0 ? digits : NULL);
}

/* Tors have numbers, from 1, where there are several. */
static void write_tor(struct json *json, const struct console_facts *facts, bool known, uint32_t index)
{
    if (known && facts->listeners > 1)
        json_number(json, "tor", index + 1);
    else
        json_null(json, "tor");
}

/* `countries` may be NULL. */
static void write_path(struct json *json, const struct circuit *circuit, const struct countries *countries)
{
    char fingerprint[41];
    json_open(json, "path", '[');
    for (unsigned i = 0; circuit != NULL && i < circuit->hops; i++) {
        const struct circuit_relay *relay = &circuit->path[i];
        for (unsigned k = 0; k < sizeof(relay->fingerprint); k++)
            snprintf(fingerprint + (size_t)2 * k, 3, "%02X", relay->fingerprint[k]);
        json_open(json, NULL, '{');
        json_text(json, "fingerprint", fingerprint);
        json_text(json, "nickname", relay->nickname);
        json_text(json, "country", countries != NULL ? countries_of(countries, relay->fingerprint) : NULL);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_budget(struct json *json, const struct view_status *status)
{
    if (status->budget_rate == 0) {
        json_null(json, "budget");
        return;
    }
    json_open(json, "budget", '{');
    json_number(json, "rate", status->budget_rate);
    json_number(json, "rate_now_thousandths", status->budget_rate_now);
    json_number(json, "burst", status->budget_burst);
    json_number(json, "left", status->budget_left);
    json_number(json, "pending", status->budget_pending);
    json_number(json, "granted", status->budget_granted);
    json_number(json, "slowed", status->budget_slowed);
    json_close(json, '}');
}

uint32_t console_circuits_count(const struct console_facts *facts)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < facts->tors; i++)
        count += facts->circuits[i]->count;
    return count;
}

void console_answer_status(struct json *json, const struct console_facts *facts, const struct view_status *status)
{
    const struct counters *counters = &status->counters;
    uint64_t drops = 0;
    for (unsigned i = 0; i < DROP_COUNT; i++)
        drops += counters->drops.by[i];

    begin(json, "status");
    json_text(json, "version", facts->version);
    json_text(json, "state", facts->ready ? "ready" : "starting");
    json_number(json, "uptime_s", facts->uptime_s);
    json_text(json, "device", facts->device);
    json_boolean(json, "identities", facts->identities);
    json_open(json, "tor", '{');
    json_text(json, "mode", facts->embedded ? "embedded" : "external");
    if (facts->embedded) {
        json_number(json, "instances", facts->tors);
        json_number(json, "bootstrap", facts->bootstrap);
        json_text(json, "summary", facts->summary);
        json_boolean(json, "guard_reachable", facts->guards > 0);
        json_number(json, "guard_connections", facts->guards);
        json_number(json, "circuits", console_circuits_count(facts));
    }
    json_close(json, '}');
    json_open(json, "flows", '{');
    json_number(json, "now", status->flows);
    json_number(json, "open", counters->active);
    json_number(json, "connecting", status->connecting);
    json_number(json, "total", counters->flows);
    json_number(json, "max", facts->flows_max);
    json_close(json, '}');
    json_open(json, "streams", '{');
    json_number(json, "connected", status->streams_connected);
    json_number(json, "refused", status->streams_refused);
    json_number(json, "broken", status->streams_broken);
    json_number(json, "ends_judged", status->ends_judged);
    json_number(json, "ends_reset", status->ends_broken);
    json_number(json, "ends_waited_us", status->ends_waited_us);
    json_number(json, "ends_unjudged", status->ends_unjudged);
    json_close(json, '}');
    json_open(json, "bytes", '{');
    json_number(json, "up", counters->up_bytes);
    json_number(json, "down", counters->down_bytes);
    json_close(json, '}');
    json_open(json, "workstations", '{');
    json_number(json, "now", status->workstations);
    json_number(json, "max", facts->workstations_max);
    json_close(json, '}');
    write_budget(json, status);
    json_open(json, "drops", '{');
    json_number(json, "total", drops);
    json_open(json, "by_reason", '{');
    for (unsigned i = 0; i < DROP_COUNT; i++) {
        if (counters->drops.by[i] > 0)
            json_number(json, drop_name((enum drop)i), counters->drops.by[i]);
    }
    json_close(json, '}');
    json_close(json, '}');
    end(json);
}

void console_answer_flow(struct json *json, const struct console_facts *facts, const struct view_flow *flow)
{
    static const char *const ways[] = {[VIEW_WAY_TOR] = "tor",
                                       [VIEW_WAY_DNS] = "dns",
                                       [VIEW_WAY_PORT] = "port",
                                       [VIEW_WAY_ONION] = "onion",
                                       [VIEW_WAY_NONE] = "none"};
    char address[ADDRESS_MAX];
    const struct config_onions *onions = facts->onions;
    const struct circuit *circuit = NULL;
    const bool told = facts->identities && flow->identities != 0; /* whatever the gateway says */
    /* Whose credential it is says to whom it was sent; visitors come by the first. */
    const uint32_t tor = socks_tors_number(facts->listeners, (uint32_t)(flow->key >> 32));
    if (tor < facts->tors)
        circuit = circuits_of_key(facts->circuits[tor], flow->key);
    begin(json, "flow");
    json_text(json, "workstation", address_text(&flow->src, address));
    json_number(json, "port", flow->src_port);
    write_destination(json, flow, told);
    if (told && flow->gate != 0)
        json_number(json, "gateway_port", flow->gate);
    else
        json_null(json, "gateway_port");
    json_text(json, "way", ways[flow->way]);
    json_text(json, "onion",
              flow->onion != 0 && onions != NULL && flow->onion <= onions->count
                  ? onions->onion[flow->onion - 1].name
                  : NULL);
    write_key(json, "identity", flow->key);
    write_tor(json, facts, flow->key != 0 || flow->onion != 0, tor);
    if (circuit != NULL)
        json_number(json, "circuit", circuit->id);
    else
        json_null(json, "circuit");
    write_path(json, circuit, circuit != NULL ? facts->countries[tor] : NULL);
    json_text(json, "state", view_tcp_state(flow->tcp_state));
    json_text(json, "stream", view_stream_state(flow->stream_state));
    json_number(json, "up", flow->up_bytes);
    json_number(json, "down", flow->down_bytes);
    json_number(json, "age_ms", flow->age_ms);
    json_number(json, "idle_ms", flow->idle_ms);
    end(json);
}

void console_answer_circuit(struct json *json, const struct console_facts *facts, uint32_t tor,
                            const struct circuit *circuit, uint32_t now)
{
    begin(json, "circuit");
    write_tor(json, facts, true, tor);
    json_number(json, "id", circuit->id);
    json_text(json, "status", circuit->status);
    json_text(json, "purpose", circuit->purpose);
    write_key(json, "identity", circuit->key);
    write_key(json, "conflux", circuit->conflux);
    json_number(json, "streams", circuit->streams);
    json_number(json, "age_s", now - circuit->began);
    write_path(json, circuit, facts->countries[tor]);
    end(json);
}

void console_answer_workstation(struct json *json, const struct view_workstation *workstation)
{
    char address[ADDRESS_MAX];
    char mac[18];
    const uint8_t *m = workstation->mac;
    snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    begin(json, "workstation");
    json_text(json, "mac", mac);
    json_open(json, "addresses", '[');
    for (unsigned i = 0; i < workstation->addresses && i < VIEW_ADDRESSES_MAX; i++)
        json_text(json, NULL, address_text(&workstation->addr[i], address));
    json_close(json, ']');
    json_number(json, "flows", workstation->flows);
    json_number(json, "connecting", workstation->connecting);
    json_number(json, "up", workstation->up_bytes);
    json_number(json, "down", workstation->down_bytes);
    if (workstation->idle_ms == VIEW_NEVER)
        json_null(json, "idle_ms");
    else
        json_number(json, "idle_ms", workstation->idle_ms);
    end(json);
}

uint32_t console_answer_drops(struct json *json, const struct drops *drops)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < DROP_COUNT; i++) {
        if (drops->by[i] == 0)
            continue;
        begin(json, "drop");
        json_text(json, "reason", drop_name((enum drop)i));
        json_number(json, "count", drops->by[i]);
        json_text(json, "text", drop_text((enum drop)i));
        end(json);
        count++;
    }
    return count;
}

uint32_t console_answer_text(struct json *json, const char *kind, const char *text, size_t n)
{
    uint32_t count = 0;
    while (n > 0) {
        const char *newline = memchr(text, '\n', n);
        size_t len = newline != NULL ? (size_t)(newline - text) : n;
        begin(json, kind);
        json_bytes(json, "text", text, len);
        end(json);
        count++;
        len += newline != NULL;
        text += len;
        n -= len;
    }
    return count;
}

void console_answer_end(struct json *json, uint32_t count)
{
    begin(json, "end");
    json_number(json, "count", count);
    end(json);
}

void console_answer_error(struct json *json, const char *error)
{
    begin(json, "error");
    json_text(json, "error", error);
    end(json);
}
