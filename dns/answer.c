/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a query to an answer in three steps: the codec reads the message, decide() says what is true about the name for
 * this workstation, and write_answer() puts it down.
 *
 * What cannot be answered here is NOTIMP, never passed on: MX, TXT, SRV and the like, and reverse names of real
 * addresses. That is also the answer for the types of a zone ("com. DS", ". NS") where an address would be NXDOMAIN for
 * want of a second label: a validating client must not conclude that a whole top-level domain does not exist.
 *
 * A name with bytes that no host name has gets NXDOMAIN where an address is asked for. REFUSED would make clients ask the
 * next server, or again; and no host of such a name could be reached, because Tor would be handed nothing but
 * [a-z0-9_-] and dots.
 */
#include "dns/answer.h"

#include <assert.h>

#include "dns/special.h"

#define SPECIAL_TTL 10800u /* s, of what never changes (RFC 6303 3) */
#define TABLE_ALIGN 64u    /* bytes */

struct dns {
    struct dns_config config;
    struct dns_virtual *table;
    uint64_t *full_at;    /* per host: when its bucket of queries will be full again, ns */
    uint64_t interval_ns; /* between two queries at the permitted rate; 0: no limit */
    bool ready;
    struct dns_counters counters;
    struct drops drops;
};

/* What is true about the name in question. */
struct verdict {
    enum dns_rcode rcode;
    bool negative;          /* says so with an SOA: NXDOMAIN, or NODATA */
    size_t zone;            /* of that SOA: offset within the name */
    uint32_t ttl;           /* s, of the records or the SOA */
    struct ipaddr addrs[2]; /* answers, as many as: */
    unsigned addr_count;
    struct dns_name target; /* answer to PTR; len 0: none */
    bool any;               /* answer to ANY */
};

/* A query with its name as text. */
struct question {
    const struct dns_query *query;
    uint32_t host;
    uint32_t now_s;
    struct dns_special special;
    char text[DNS_TEXT_SIZE];
    size_t len;
    bool plain; /* the name can be that of a host */
};

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
}

static struct dns_virtual_config table_config(const struct dns_config *config)
{
    struct dns_virtual_config c = {
        .net4 = config->virtual4, .net6 = config->virtual6, .slots = config->slots, .max_hosts = config->max_hosts};
    memcpy(c.secret, config->secret, sizeof(c.secret));
    return c;
}

/* Bytes before the table: the structure and one time per host. */
static size_t table_offset(const struct dns_config *config)
{
    size_t n = sizeof(struct dns) + config->max_hosts * sizeof(uint64_t);
    return (n + TABLE_ALIGN - 1) / TABLE_ALIGN * TABLE_ALIGN;
}

size_t dns_size(const struct dns_config *config)
{
    struct dns_virtual_config table = table_config(config);
    size_t n = dns_virtual_size(&table);
    if (n == 0 || (config->host_rate != 0 && config->host_burst == 0))
        return 0;
    return table_offset(config) + n;
}

struct dns *dns_init(void *memory, const struct dns_config *config)
{
    assert(dns_size(config) != 0);
    struct dns_virtual_config table = table_config(config);
    struct dns *dns = memory;
    dns->config = *config;
    dns->full_at = (uint64_t *)(dns + 1);
    dns->interval_ns = config->host_rate != 0 ? 1000000000u / config->host_rate : 0;
    dns->table = dns_virtual_init((uint8_t *)memory + table_offset(config), &table);
    return dns;
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

/* Where the name above the one in question begins: at the root if it has but one label. */
static size_t parent_of(const struct question *q)
{
    const char *dot = memchr(q->text, '.', q->len);
    if (dot != NULL)
        return (size_t)(dot - q->text) + 1;
    return q->len > 0 ? q->len + 1 : 0;
}

static struct verdict only(enum dns_rcode rcode)
{
    return (struct verdict){.rcode = rcode};
}

static struct verdict no_data(size_t zone, uint32_t ttl)
{
    return (struct verdict){.rcode = DNS_NOERROR, .negative = true, .zone = zone, .ttl = ttl};
}

/* A zone that is the name itself would exist; then it is the zone above that says it does not. */
static struct verdict no_name(const struct question *q, size_t zone, uint32_t ttl)
{
    if (zone == 0)
        zone = parent_of(q);
    return (struct verdict){.rcode = DNS_NXDOMAIN, .negative = true, .zone = zone, .ttl = ttl};
}

static struct verdict any_data(uint32_t ttl)
{
    return (struct verdict){.rcode = DNS_NOERROR, .any = true, .ttl = ttl};
}

static void add_address(struct verdict *v, const uint8_t *raw, bool v4)
{
    v->addrs[v->addr_count++] = v4 ? ipaddr_v4(raw) : ipaddr_v6(raw);
}

/* True for the types by which a client looks for a host. */
static bool asks_for_host(uint16_t type)
{
    return type == DNS_TYPE_A || type == DNS_TYPE_AAAA || type == DNS_TYPE_HTTPS || type == DNS_TYPE_SVCB ||
           type == DNS_TYPE_ANY;
}

static struct verdict decide_localhost(const struct question *q)
{
    static const uint8_t loopback4[4] = {127, 0, 0, 1};
    static const uint8_t loopback6[16] = {[15] = 1};
    struct verdict v = {.rcode = DNS_NOERROR, .ttl = SPECIAL_TTL};
    if (q->query->type == DNS_TYPE_A)
        add_address(&v, loopback4, true);
    else if (q->query->type == DNS_TYPE_AAAA)
        add_address(&v, loopback6, false);
    else
        return q->query->type == DNS_TYPE_ANY ? any_data(SPECIAL_TTL) : no_data(q->special.zone, SPECIAL_TTL);
    return v;
}

/* RFC 8880 7.1: always these two, and no AAAA, which would say that there is a NAT64. */
static struct verdict decide_ipv4only(const struct question *q)
{
    static const uint8_t well_known[2][4] = {{192, 0, 0, 170}, {192, 0, 0, 171}};
    if (q->query->type != DNS_TYPE_A)
        return no_data(0, SPECIAL_TTL);
    struct verdict v = {.rcode = DNS_NOERROR, .ttl = SPECIAL_TTL};
    add_address(&v, well_known[0], true);
    add_address(&v, well_known[1], true);
    return v;
}

static struct verdict decide_reverse(struct dns *dns, const struct question *q)
{
    const struct dns_special *special = &q->special;
    uint32_t ttl = dns->config.ttl;
    if (special->has_addr && dns_virtual_covers(dns->table, &special->addr)) {
        uint32_t handle = dns_virtual_find(dns->table, q->host, &special->addr);
        if (handle == 0)
            return no_name(q, special->zone, ttl);
        if (q->query->type != DNS_TYPE_PTR)
            return no_data(special->zone, ttl);
        struct verdict v = {.rcode = DNS_NOERROR, .ttl = ttl};
        char text[DNS_TEXT_SIZE];
        size_t len = dns_virtual_name(dns->table, handle, text);
        return dns_name_from_text(text, len, &v.target) == 0 ? v : only(DNS_SERVFAIL);
    }
    if (special->kind == DNS_SPECIAL_PRIVATE)
        return special->zone == 0 ? no_data(0, SPECIAL_TTL) : no_name(q, special->zone, SPECIAL_TTL);
    return asks_for_host(q->query->type) ? no_data(special->zone, ttl) : only(DNS_NOTIMP);
}

/* The name of a host that only Tor can know. */
static struct verdict decide_host(struct dns *dns, const struct question *q)
{
    uint16_t type = q->query->type;
    bool onion = q->special.kind == DNS_SPECIAL_ONION;
    if (!asks_for_host(type) && !onion)
        return only(DNS_NOTIMP);
    if (!q->plain)
        return no_name(q, 0, dns->config.ttl);
    if (!dns->ready)
        return only(DNS_SERVFAIL);

    uint32_t handle = dns_virtual_lookup(dns->table, q->host, q->text, q->len);
    uint32_t failed = handle != 0 ? dns_virtual_failed_for(dns->table, handle, q->now_s) : 0;
    if (failed > 0)
        return no_name(q, 0, failed);
    if (type == DNS_TYPE_ANY)
        return any_data(dns->config.ttl);
    bool has_range = (type == DNS_TYPE_A && dns->config.virtual4.len != 0) ||
                     (type == DNS_TYPE_AAAA && dns->config.virtual6.len != 0);
    if (!has_range)
        return no_data(0, dns->config.ttl);

    if (handle == 0)
        handle = dns_virtual_map(dns->table, q->host, q->text, q->len);
    if (handle == 0)
        return only(DNS_SERVFAIL);
    struct verdict v = {.rcode = DNS_NOERROR, .ttl = dns->config.ttl, .addr_count = 1};
    if (type == DNS_TYPE_A)
        dns_virtual_address4(dns->table, handle, &v.addrs[0]);
    else
        dns_virtual_address6(dns->table, handle, &v.addrs[0]);
    dns->counters.addresses++;
    return v;
}

static struct verdict decide(struct dns *dns, const struct question *q)
{
    const struct dns_query *query = q->query;
    if (query->class != DNS_CLASS_IN || query->type == DNS_TYPE_AXFR || query->type == DNS_TYPE_IXFR)
        return only(DNS_REFUSED);
    switch (q->special.kind) {
    case DNS_SPECIAL_LOCALHOST:
        return decide_localhost(q);
    case DNS_SPECIAL_NONEXISTENT:
        return no_name(q, q->special.zone, SPECIAL_TTL);
    case DNS_SPECIAL_EMPTY:
        return no_data(q->special.zone, SPECIAL_TTL);
    case DNS_SPECIAL_IPV4ONLY:
        return decide_ipv4only(q);
    case DNS_SPECIAL_SINGLE:
        if (!asks_for_host(query->type))
            return only(DNS_NOTIMP);
        return q->len == 0 ? no_data(0, SPECIAL_TTL) : no_name(q, 0, SPECIAL_TTL);
    case DNS_SPECIAL_REVERSE:
    case DNS_SPECIAL_PRIVATE:
        return decide_reverse(dns, q);
    case DNS_SPECIAL_ONION:
    case DNS_SPECIAL_NO:
        break;
    }
    return decide_host(dns, q);
}

static size_t write_answer(struct dns *dns, const struct dns_query *query, const struct verdict *v,
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

    struct verdict v;
    if (rcode != DNS_NOERROR) {
        v = only((enum dns_rcode)rcode);
    } else if (!in_time) {
        v = only(DNS_REFUSED); /* over TCP silence would not be taken for a lost packet */
    } else {
        struct question q = {.query = &query, .host = client->host, .now_s = (uint32_t)(now / 1000000)};
        q.len = dns_name_to_text(&query.name, q.text, &q.plain);
        q.special = dns_special_find(q.text, q.len);
        v = decide(dns, &q);
    }
    return (ssize_t)write_answer(dns, &query, &v, client, out, size);
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
