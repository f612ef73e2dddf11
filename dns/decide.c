/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is true about a name, for one workstation.
 *
 * A name is virtual, and gets an address at once that means this name; or it is resolved, if the configuration says so,
 * and gets the address that a Tor exit finds. An onion address is always virtual.
 *
 * Other types (MX, TXT, SRV and the like, and reverse names of real addresses) go to the configured resolver, through
 * Tor; if there is none they are NOTIMP. That is also the answer for the types of a zone ("com. DS", ". NS") where an
 * address would be NXDOMAIN for want of a second label: a validating client must not conclude that a whole top-level domain
 * does not exist.
 *
 * A name that Tor would not take for a host's, because of its bytes or of a label that begins with '-' or '_', has no
 * address, and is not said not to exist either: "_dmarc" and "_xmpp._tcp" have records of other types, and there are
 * caches that take NXDOMAIN for the end of all names below (RFC 8020). REFUSED would make clients ask the next server.
 *
 * A workstation with a search list asks for the name and a domain of the list, and goes on to the next only if there is no
 * such name. Where answers are virtual there is every name. So single labels, and the domains that private networks
 * give themselves, do not exist here (special.c), and a domain of the list that is of the Internet is to be resolved.
 */
#include "dns/internal.h"

void question_read(struct question *q, const struct dns_query *query, uint32_t host, uint64_t now)
{
    q->query = query;
    q->host = host;
    q->now_s = (uint32_t)(now / 1000000);
    q->len = dns_name_to_text(&query->name, q->text, &q->plain);
    q->special = dns_special_find(q->text, q->len);
}

bool dns_is_listed(const struct dns *dns, const char *text, size_t len)
{
    const char *suffix = dns->config.resolve;
    while (suffix[0] != '\0') {
        if (dns_text_within(text, len, suffix))
            return true;
        suffix += strlen(suffix) + 1;
    }
    return false;
}

/* Where the name above the one in question begins: at the root if it has but one label. */
static size_t parent_of(const struct question *q)
{
    const char *dot = memchr(q->text, '.', q->len);
    if (dot != NULL)
        return (size_t)(dot - q->text) + 1;
    return q->len > 0 ? q->len + 1 : 0;
}

struct verdict verdict_only(enum dns_rcode rcode)
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

static struct verdict look_up(const struct dns *dns, enum dns_lookup_kind kind)
{
    if (!dns->ready || dns->lookups == NULL || dns->ops.ask == NULL)
        return verdict_only(DNS_SERVFAIL);
    return (struct verdict){.rcode = DNS_NOERROR, .lookup = kind};
}

/* True if the real address of this name is to be found out. */
static bool is_resolved(const struct dns *dns, const struct question *q)
{
    return q->special.kind != DNS_SPECIAL_ONION && (dns->config.resolve_all || dns_is_listed(dns, q->text, q->len));
}

/* A type that is no address: a matter for the configured resolver. Types from 128 on are questions about something else
 * than records, or private to two that know each other (RFC 6895 3.1). */
static struct verdict decide_other(const struct dns *dns, const struct question *q)
{
    uint16_t type = q->query->type;
    bool data = type != 0 && type != DNS_TYPE_OPT && (type < 128 || type > 255);
    if (!data || dns->config.upstreams == 0)
        return verdict_only(DNS_NOTIMP);
    return look_up(dns, DNS_LOOKUP_RECORDS);
}

static struct verdict decide_resolved(const struct dns *dns, const struct question *q)
{
    uint16_t type = q->query->type;
    if (type == DNS_TYPE_ANY)
        return any_data(dns->config.ttl);
    if (type == DNS_TYPE_A || type == DNS_TYPE_AAAA)
        return q->plain ? look_up(dns, DNS_LOOKUP_HOST) : no_data(0, dns->config.ttl);
    /* HTTPS, SVCB */
    return dns->config.upstreams > 0 ? look_up(dns, DNS_LOOKUP_RECORDS) : no_data(0, dns->config.ttl);
}

static const uint8_t loopback4[4] = {127, 0, 0, 1};
static const uint8_t loopback6[16] = {[15] = 1};

static bool is_loopback(const struct ipaddr *addr)
{
    const struct ipaddr both[2] = {ipaddr_v4(loopback4), ipaddr_v6(loopback6)};
    return ipaddr_equal(addr, &both[0]) || ipaddr_equal(addr, &both[1]);
}

/* The name of those two. */
static struct verdict localhost_of(void)
{
    static const char name[] = "localhost";
    struct verdict v = {.rcode = DNS_NOERROR, .ttl = SPECIAL_TTL};
    return dns_name_from_text(name, sizeof(name) - 1, &v.target) == 0 ? v : verdict_only(DNS_SERVFAIL);
}

static struct verdict decide_localhost(const struct question *q)
{
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
        return dns_name_from_text(text, len, &v.target) == 0 ? v : verdict_only(DNS_SERVFAIL);
    }
    if (special->has_addr && is_loopback(&special->addr))
        return q->query->type == DNS_TYPE_PTR ? localhost_of() : no_data(special->zone, SPECIAL_TTL);
    if (special->kind == DNS_SPECIAL_PRIVATE)
        return special->zone == 0 ? no_data(0, SPECIAL_TTL) : no_name(q, special->zone, SPECIAL_TTL);
    if (q->query->type == DNS_TYPE_PTR && special->has_addr && is_resolved(dns, q))
        return look_up(dns, DNS_LOOKUP_REVERSE);
    return asks_for_host(q->query->type) ? no_data(special->zone, ttl) : decide_other(dns, q);
}

/* The name of a host that only Tor can know. */
static struct verdict decide_host(struct dns *dns, const struct question *q)
{
    uint16_t type = q->query->type;
    bool onion = q->special.kind == DNS_SPECIAL_ONION;
    if (!asks_for_host(type) && !onion)
        return decide_other(dns, q);
    if (!dns->ready)
        return verdict_only(DNS_SERVFAIL);
    if (is_resolved(dns, q))
        return decide_resolved(dns, q);
    if (!q->plain)
        return no_data(0, dns->config.ttl);

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
        return verdict_only(DNS_SERVFAIL);
    struct verdict v = {.rcode = DNS_NOERROR, .ttl = dns->config.ttl, .addr_count = 1};
    if (type == DNS_TYPE_A)
        dns_virtual_address4(dns->table, handle, &v.addrs[0]);
    else
        dns_virtual_address6(dns->table, handle, &v.addrs[0]);
    dns->counters.addresses++;
    return v;
}

struct verdict verdict_decide(struct dns *dns, const struct question *q)
{
    const struct dns_query *query = q->query;
    if (query->class != DNS_CLASS_IN || query->type == DNS_TYPE_AXFR || query->type == DNS_TYPE_IXFR)
        return verdict_only(DNS_REFUSED);
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
            return decide_other(dns, q);
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

static const struct ipaddr nothing;

struct verdict verdict_of_result(const struct question *q, const struct dns_lookup_result *result, uint32_t ttl)
{
    if (result->rcode == DNS_NXDOMAIN)
        return no_name(q, q->special.kind == DNS_SPECIAL_REVERSE ? q->special.zone : 0, ttl);
    if (result->rcode != DNS_NOERROR)
        return verdict_only(result->rcode);
    struct verdict v = {.rcode = DNS_NOERROR, .ttl = ttl};
    if (q->query->type == DNS_TYPE_PTR) {
        v.target = result->target;
        return v;
    }
    bool v4 = ipaddr_is_v4(&result->addr);
    if (ipaddr_equal(&result->addr, &nothing) || v4 != (q->query->type == DNS_TYPE_A))
        return no_data(0, ttl);
    v.addrs[v.addr_count++] = result->addr;
    return v;
}
