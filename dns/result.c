/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queries that only Tor can answer: they wait for a lookup, which they share if they ask for the same, and are answered
 * when it ends or when they have waited too long. Nobody is left without an answer.
 *
 * SOCKS tells no TTL, so what is found is remembered and may be kept for as long as a virtual address. And it has one word
 * for "no such name" and for "the exit's resolver failed", so that is believed for a short time only.
 */
#include <assert.h>
#include <errno.h>

#include "dns/forward.h"
#include "dns/internal.h"

#define FOUND_TTL_MAX 60u   /* s */
#define NOTHING_TTL_MAX 10u /* s */
#define FAILURE_TTL 1u      /* s, so that what is asked in a storm fails once */

static uint8_t flags_of(const struct dns_query *query)
{
    unsigned flags = 0;
    if (query->edns)
        flags |= DNS_LOOKUP_EDNS;
    if (query->dnssec_ok)
        flags |= DNS_LOOKUP_DO;
    if ((query->flags & DNS_FLAG_CD) != 0)
        flags |= DNS_LOOKUP_CD;
    if ((query->flags & DNS_FLAG_RD) != 0)
        flags |= DNS_LOOKUP_RD;
    return (uint8_t)flags;
}

static void key_of(struct dns_lookup_key *key, enum dns_lookup_kind kind, const struct dns_query *query,
                   const struct dns_client *client)
{
    *key = (struct dns_lookup_key){.identity = client->identity,
                                   .nym = client->nym,
                                   .host = client->host,
                                   .policy = client->policy,
                                   .kind = kind};
    if (kind == DNS_LOOKUP_RECORDS) {
        key->type = query->type;
        key->flags = flags_of(query);
    }
    key->name.len = query->name.len;
    for (size_t i = 0; i < query->name.len; i++)
        key->name.wire[i] = dns_name_lower(query->name.wire[i]);
}

/* The number of a message to a resolver. It is alone on its stream, so this need not be a secret. */
static uint16_t message_id(uint32_t handle)
{
    return (uint16_t)(handle * 40503u);
}

/* Ask Tor. 0 or negative errno. */
static int ask(struct dns *dns, uint32_t handle)
{
    const struct dns_lookup_key *key = dns_lookup_key(dns->lookups, handle);
    char text[DNS_TEXT_SIZE] = "";
    uint8_t message[DNS_FORWARD_QUERY_MAX];
    bool plain;
    struct dns_ask a = {.handle = handle,
                        .host = key->host,
                        .identity = key->identity,
                        .nym = key->nym,
                        .policy = key->policy,
                        .kind = key->kind,
                        .name = text};
    size_t len = dns_name_to_text(&key->name, text, &plain);
    if (key->kind == DNS_LOOKUP_REVERSE) {
        a.addr = dns_special_find(text, len).addr;
    } else if (key->kind == DNS_LOOKUP_RECORDS) {
        a.message = bytes_of(message, dns_forward_query(key, message_id(handle), message));
        a.upstream = *dns_lookup_attempt(dns->lookups, handle);
    }
    dns->counters.lookups++;
    return dns->ops.ask(dns->ctx, &a);
}

int result_await(struct dns *dns, const struct question *q, const struct dns_client *client, struct verdict *v,
                 uint64_t now)
{
    struct dns_lookup_key key;
    key_of(&key, v->lookup, q->query, client);
    *v = verdict_only(DNS_SERVFAIL);
    uint32_t handle = dns_lookup_find(dns->lookups, &key, now);
    if (handle != 0) {
        uint32_t ttl;
        const struct dns_lookup_result *result = dns_lookup_result(dns->lookups, handle, now, &ttl);
        if (result != NULL) {
            *v = verdict_of_result(q, result, ttl);
            return 0;
        }
    } else {
        handle = dns_lookup_begin(dns->lookups, &key);
        if (handle == 0)
            return 0;
        if (ask(dns, handle) != 0) {
            dns_lookup_end(dns->lookups, handle);
            return 0;
        }
    }
    int status = dns_lookup_wait(dns->lookups, handle, q->query, client, now);
    return status == -ENOBUFS ? 0 : -EINPROGRESS;
}

/* Answer one query that has waited. */
static void reply(struct dns *dns, const struct dns_waiter *waiter, const struct verdict *v)
{
    size_t n = answer_write(dns, &waiter->query, v, &waiter->client, dns->message, DNS_TCP_MAX);
    dns->ops.reply(dns->ctx, &waiter->client, dns->message, n);
}

/* Answer all that wait with what was found; nothing else is remembered than an address, a name, or that there is none. */
static void conclude(struct dns *dns, uint32_t handle, const struct dns_lookup_result *result, uint32_t ttl,
                     uint64_t now)
{
    struct dns_waiter waiter;
    while (dns_lookup_take(dns->lookups, handle, &waiter)) {
        struct question q;
        question_read(&q, &waiter.query, waiter.client.host, now);
        struct verdict v = verdict_of_result(&q, result, ttl);
        reply(dns, &waiter, &v);
    }
    if (ttl > 0)
        dns_lookup_found(dns->lookups, handle, result, ttl, now);
    else
        dns_lookup_end(dns->lookups, handle);
}

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Who is asked to look a name up for its address also wants to know what a blocklist says, which is 127.0.0.2 and the
 * like. It is the workstation's own address, and leads nowhere else. */
static bool is_verdict_of_blocklist(const struct dns *dns, const struct dns_lookup_key *key,
                                    const struct ipaddr *addr)
{
    char text[DNS_TEXT_SIZE];
    bool plain;
    size_t len = dns_name_to_text(&key->name, text, &plain);
    return ipaddr_is_v4(addr) && addr->b[12] == 127 && dns_is_listed(dns, text, len);
}

static void conclude_address(struct dns *dns, uint32_t handle, const struct ipaddr *addr, uint64_t now)
{
    const struct dns_lookup_key *key = dns_lookup_key(dns->lookups, handle);
    struct dns_lookup_result result = {.rcode = DNS_NOERROR, .addr = *addr};
    bool refused = dns_virtual_covers(dns->table, addr) ||
                   (dns->ops.is_refused != NULL && dns->ops.is_refused(dns->ctx, addr));
    if (refused && !is_verdict_of_blocklist(dns, key, addr)) {
        dns->counters.rebinding++;
        memset(&result.addr, 0, sizeof(result.addr));
    }
    conclude(dns, handle, &result, lesser(dns->config.ttl, FOUND_TTL_MAX), now);
}

static void conclude_failure(struct dns *dns, uint32_t handle, uint64_t now)
{
    struct dns_lookup_result result = {.rcode = DNS_SERVFAIL};
    conclude(dns, handle, &result, FAILURE_TTL, now);
}

/* A name for an address, as an exit tells it: any bytes. */
static void conclude_name(struct dns *dns, uint32_t handle, struct bytes name, uint64_t now)
{
    struct dns_lookup_result result = {.rcode = DNS_NOERROR};
    char text[DNS_TEXT_SIZE];
    size_t len = name.left;
    if (len > 0 && name.at[len - 1] == '.')
        len--;
    bool plain = len > 0 && len <= DNS_TEXT_MAX;
    for (size_t i = 0; plain && i < len; i++) {
        text[i] = (char)dns_name_lower(name.at[i]);
        plain = text[i] == '.' || text[i] == '-' || text[i] == '_' || (text[i] >= '0' && text[i] <= '9') ||
                (text[i] >= 'a' && text[i] <= 'z');
    }
    if (plain && dns_name_from_text(text, len, &result.target) == 0)
        conclude(dns, handle, &result, lesser(dns->config.ttl, FOUND_TTL_MAX), now);
    else
        conclude_failure(dns, handle, now);
}

/* Try the next resolver. True if there is one and it is asked. */
static bool ask_next(struct dns *dns, uint32_t handle)
{
    uint32_t *attempt = dns_lookup_attempt(dns->lookups, handle);
    if (dns_lookup_key(dns->lookups, handle)->kind != DNS_LOOKUP_RECORDS || ++*attempt >= dns->config.upstreams)
        return false;
    return ask(dns, handle) == 0;
}

static void conclude_message(struct dns *dns, uint32_t handle, struct bytes message, uint64_t now)
{
    size_t opt;
    if (dns_forward_check(message, dns_lookup_key(dns->lookups, handle), message_id(handle), &opt) != 0) {
        if (!ask_next(dns, handle))
            conclude_failure(dns, handle, now);
        return;
    }
    struct dns_waiter waiter;
    while (dns_lookup_take(dns->lookups, handle, &waiter)) {
        size_t n = dns_forward_reply(message, opt, &waiter.query, dns->message, DNS_TCP_MAX,
                                     waiter.client.transport == DNS_UDP);
        dns->counters.answered++;
        dns->ops.reply(dns->ctx, &waiter.client, dns->message, n);
    }
    dns_lookup_end(dns->lookups, handle);
}

/* An exit may answer another question than was asked, and what is not there is perhaps the resolver itself, which says
 * nothing about any name. */
static bool is_answer_to(enum dns_lookup_kind asked, enum dns_found_kind found)
{
    switch (found) {
    case DNS_FOUND_ADDRESS:
        return asked == DNS_LOOKUP_HOST;
    case DNS_FOUND_NAME:
        return asked == DNS_LOOKUP_REVERSE;
    case DNS_FOUND_MESSAGE:
        return asked == DNS_LOOKUP_RECORDS;
    case DNS_FOUND_NOTHING:
        return asked != DNS_LOOKUP_RECORDS;
    case DNS_FOUND_FAILURE:
        break;
    }
    return true;
}

void dns_found(struct dns *dns, uint32_t handle, const struct dns_found *found, uint64_t now)
{
    struct dns_lookup_result nothing = {.rcode = DNS_NXDOMAIN};
    bool fits = is_answer_to(dns_lookup_key(dns->lookups, handle)->kind, found->kind);
    switch (fits ? found->kind : DNS_FOUND_FAILURE) {
    case DNS_FOUND_ADDRESS:
        conclude_address(dns, handle, &found->addr, now);
        break;
    case DNS_FOUND_NAME:
        conclude_name(dns, handle, found->name, now);
        break;
    case DNS_FOUND_MESSAGE:
        conclude_message(dns, handle, found->message, now);
        break;
    case DNS_FOUND_NOTHING:
        conclude(dns, handle, &nothing, lesser(dns->config.negative_ttl, NOTHING_TTL_MAX), now);
        break;
    case DNS_FOUND_FAILURE:
        if (!ask_next(dns, handle))
            conclude_failure(dns, handle, now);
        break;
    }
}

void dns_poll(struct dns *dns, uint64_t now)
{
    uint32_t handle;
    if (dns->lookups == NULL)
        return;
    struct verdict v = verdict_only(DNS_SERVFAIL);
    while ((handle = dns_lookups_overdue(dns->lookups, now)) != 0) {
        struct dns_waiter waiter;
        while (dns_lookup_take(dns->lookups, handle, &waiter)) {
            dns->counters.late++;
            reply(dns, &waiter, &v);
        }
    }
}

bool dns_next(const struct dns *dns, uint64_t *at)
{
    return dns->lookups != NULL && dns_lookups_next(dns->lookups, at);
}

void result_forget_host(struct dns *dns, uint32_t host)
{
    uint32_t handle;
    if (dns->lookups == NULL)
        return;
    while ((handle = dns_lookups_of_host(dns->lookups, host)) != 0) {
        struct dns_waiter waiter;
        uint32_t ttl;
        while (dns_lookup_take(dns->lookups, handle, &waiter))
            ; /* who asked is gone */
        if (dns_lookup_result(dns->lookups, handle, 0, &ttl) == NULL)
            dns->ops.forget(dns->ctx, handle);
        dns_lookup_end(dns->lookups, handle);
    }
}
