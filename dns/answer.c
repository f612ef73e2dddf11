/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a query to an answer in three steps: the codec reads the message, decide.c says what is true about the name for
 * this workstation, and answer_write() puts it down. What only Tor can say goes the longer way through result.c, and its
 * answer comes later.
 */
#include "dns/answer.h"

#include <assert.h>
#include <errno.h>

#include "dns/internal.h"
#include "dns/layout.h"

#define PATIENCE 8000000u     /* us a query waits at most; a client rarely waits more than ten seconds */
#define ASKING_SHARE 16u      /* one lookup of so many may be under way */
#define WAITERS_PER_LOOKUP 1u /* queries that may wait, for each lookup there is room for */

void dns_config_defaults(struct dns_config *config)
{
    /* 10.192.0.0/10 is what Whonix gives to Tor for the same purpose: private, so no real host hides behind it; apart
     * from 10.152.128.0/18 with its workstations; and forwarded by every kernel, unlike Tor's own default in 127/8. */
    static const uint8_t net[4] = {10, 192, 0, 0};
    config->virtual4 = (struct ipnet){ipaddr_v4(net), 96 + 10};
    config->virtual6 = (struct ipnet){.len = 0};
    config->slots = 65536;
    config->max_hosts = 1;
    config->ttl = 60;
    config->negative_ttl = 60;
    config->host_rate = 10000;
    config->host_burst = 10000;
    config->udp_max = DNS_UDP_MAX;
}

static struct dns_virtual_config table_config(const struct dns_config *config)
{
    struct dns_virtual_config c = {
        .net4 = config->virtual4, .net6 = config->virtual6, .slots = config->slots, .max_hosts = config->max_hosts};
    memcpy(c.secret, config->secret, sizeof(c.secret));
    return c;
}

static struct dns_lookups_config lookups_config(const struct dns_config *config)
{
    uint32_t asking = config->lookups / ASKING_SHARE;
    struct dns_lookups_config c = {
        .lookups = config->lookups,
        .asking = asking,
        .waiters = config->lookups * WAITERS_PER_LOOKUP,
        .max_hosts = config->max_hosts,
        .patience = PATIENCE,
    };
    memcpy(c.secret, config->secret, sizeof(c.secret));
    return c;
}

/* Where the parts of the memory begin; the last is its end. */
struct layout {
    size_t full_at, table, lookups, message, end;
};

/* All zero if the configuration is out of range. */
static struct layout layout_of(const struct dns_config *config)
{
    const struct layout none = {0};
    struct dns_virtual_config table = table_config(config);
    struct dns_lookups_config lookups = lookups_config(config);
    size_t table_size = dns_virtual_size(&table);
    size_t lookups_size = config->lookups > 0 ? dns_lookups_size(&lookups) : 0;
    if (table_size == 0 || (config->host_rate != 0 && config->host_burst == 0) || config->upstreams > 2 ||
        config->udp_max < DNS_UDP_MIN || config->udp_max > DNS_UDP_MAX ||
        (config->lookups > 0 && lookups_size == 0))
        return none;
    struct layout l = {.full_at = dns_layout_round_up(sizeof(struct dns))};
    l.table = l.full_at + dns_layout_round_up(config->max_hosts * sizeof(uint64_t));
    l.lookups = l.table + dns_layout_round_up(table_size);
    l.message = l.lookups + dns_layout_round_up(lookups_size);
    l.end = l.message + (config->lookups > 0 ? DNS_TCP_MAX : 0);
    return l;
}

size_t dns_size(const struct dns_config *config)
{
    return layout_of(config).end;
}

struct dns *dns_init(void *memory, const struct dns_config *config)
{
    struct layout l = layout_of(config);
    assert(l.end != 0);
    struct dns_virtual_config table = table_config(config);
    uint8_t *base = memory;
    struct dns *dns = memory;
    dns->config = *config;
    dns->full_at = (uint64_t *)(void *)(base + l.full_at);
    dns->interval_ns = config->host_rate != 0 ? 1000000000u / config->host_rate : 0;
    dns->table = dns_virtual_init(base + l.table, &table);
    if (config->lookups > 0) {
        struct dns_lookups_config lookups = lookups_config(config);
        dns->lookups = dns_lookups_init(base + l.lookups, &lookups);
        dns->message = base + l.message;
    }
    return dns;
}

void dns_attach(struct dns *dns, const struct dns_ops *ops, void *ctx)
{
    dns->ops = *ops;
    dns->ctx = ctx;
}

void dns_set_ready(struct dns *dns, bool ready)
{
    dns->ready = ready;
}

/* A bucket that fills at host_rate and holds host_burst, kept as the time at which it will be full. */
static bool within_rate(struct dns *dns, uint32_t host, uint64_t now)
{
    uint64_t now_ns = now * 1000;
    uint64_t full_at = dns->full_at[host] > now_ns ? dns->full_at[host] : now_ns;
    full_at += dns->interval_ns;
    if (full_at - now_ns > dns->interval_ns * dns->config.host_burst)
        return false;
    dns->full_at[host] = full_at;
    return true;
}

size_t answer_write(struct dns *dns, const struct dns_query *query, const struct verdict *v,
                    const struct dns_client *client, uint8_t *out, size_t size)
{
    struct dns_reply reply;
    dns_reply_begin(&reply, query, v->rcode, out, size, client->transport == DNS_UDP);
    for (unsigned i = 0; i < v->addr_count; i++)
        dns_reply_address(&reply, &v->addrs[i], v->ttl);
    if (v->target.len > 0)
        dns_reply_ptr(&reply, &v->target, v->ttl);
    if (v->any)
        dns_reply_any(&reply, v->ttl);
    if (v->negative)
        dns_reply_soa(&reply, v->zone, v->ttl);

    dns->counters.answered++;
    if (v->rcode == DNS_NXDOMAIN)
        dns->counters.nonexistent++;
    else if (v->rcode == DNS_SERVFAIL)
        dns->counters.failed++;
    else if (v->rcode != DNS_NOERROR)
        dns->counters.refused++;
    return dns_reply_end(&reply);
}

ssize_t dns_answer(struct dns *dns, struct bytes message, const struct dns_client *client, uint8_t *out,
                   size_t size, uint64_t now)
{
    assert(client->host < dns->config.max_hosts && size >= DNS_UDP_MIN);
    dns->counters.queries++;
    bool in_time = within_rate(dns, client->host, now);
    if (!in_time && client->transport == DNS_UDP) {
        drop_count(&dns->drops, DROP_DNS_QUOTA);
        return 0;
    }
    struct dns_query query;
    int rcode = dns_query_read(message, &query);
    if (rcode < 0) {
        drop_count(&dns->drops, DROP_DNS_BAD);
        return 0;
    }
    if (query.udp_size > dns->config.udp_max)
        query.udp_size = (uint16_t)dns->config.udp_max;

    struct verdict v;
    if (rcode != DNS_NOERROR) {
        v = verdict_only((enum dns_rcode)rcode);
    } else if (!in_time) {
        v = verdict_only(DNS_REFUSED); /* over TCP silence would not be taken for a lost packet */
    } else {
        struct question q;
        question_read(&q, &query, client->host, now);
        v = verdict_decide(dns, &q);
        if (v.lookup != DNS_LOOKUP_NONE && result_await(dns, &q, client, &v, now) != 0)
            return -EINPROGRESS;
    }
    return (ssize_t)answer_write(dns, &query, &v, client, out, size);
}

bool dns_is_virtual(const struct dns *dns, const struct ipaddr *addr)
{
    return dns_virtual_covers(dns->table, addr);
}

uint32_t dns_pin(struct dns *dns, uint32_t host, const struct ipaddr *addr, char name[DNS_TEXT_SIZE])
{
    uint32_t handle = dns_virtual_find(dns->table, host, addr);
    if (handle == 0)
        return 0;
    dns_virtual_name(dns->table, handle, name);
    dns_virtual_pin(dns->table, handle);
    return handle;
}

void dns_pinned_name(const struct dns *dns, uint32_t handle, char name[DNS_TEXT_SIZE])
{
    dns_virtual_name(dns->table, handle, name);
}

void dns_unpin(struct dns *dns, uint32_t handle)
{
    dns_virtual_unpin(dns->table, handle);
}

void dns_name_tried(struct dns *dns, uint32_t handle, bool exists, uint64_t now)
{
    char text[DNS_TEXT_SIZE];
    size_t len = dns_virtual_name(dns->table, handle, text);
    uint32_t until = (uint32_t)(now / 1000000) + dns->config.negative_ttl;
    dns_virtual_set_failed(dns->table, handle, exists || dns_text_within(text, len, "onion") ? 0 : until);
}

void dns_forget_host(struct dns *dns, uint32_t host)
{
    dns_virtual_forget_host(dns->table, host);
    dns->full_at[host] = 0;
    result_forget_host(dns, host);
}

const struct dns_counters *dns_counters(const struct dns *dns)
{
    return &dns->counters;
}

const struct drops *dns_drops(const struct dns *dns)
{
    return &dns->drops;
}

const struct dns_virtual_counters *dns_names(const struct dns *dns)
{
    return dns_virtual_counters(dns->table);
}
