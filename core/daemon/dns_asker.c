/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose circuit a lookup takes. Where all flows of a workstation are one identity, so are its lookups. Where flows are
 * kept apart by anything finer, so are lookups by name: what one exit sees of them is one name, and not which names belong
 * together (socks/policy.h). They are never on the circuit of a flow, because their credentials come of a secret of their
 * own.
 */
#include "daemon/dns_asker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "socks/budget.h"
#include "socks/isolation.h"
#include "socks/resolve.h"

#define PATIENCE 60000000u /* us; longer than queries wait: what comes late answers who asks again */
#define MICROSECONDS 1000000u
#define DNS_PORT_OF_RESOLVERS 53u

/* What Tor is asked, and who wants to know. */
struct question {
    uint32_t call; /* of the resolver's; 0: none */
    uint32_t host;
    uint32_t identity; /* as struct socks_budget has it */
    bool fresh;        /* it was granted to this question, and is not answered */
};

struct dns_asker {
    struct dns_asker_config config;
    struct isolation_secret secret;
    struct dns *dns;
    struct socks_resolver *resolver;
    struct question *questions; /* by the answerer's handle, from 1 */
};

/* SOCKS has one word for a name without an address and for one that the exit's resolver failed at. */
static enum dns_found_kind kind_of_code(uint8_t code)
{
    return code == SOCKS_HOST_UNREACHABLE ? DNS_FOUND_NOTHING : DNS_FOUND_FAILURE;
}

/* New identities are metered, whoever wants them: a lookup costs a circuit as a connection does. */
static bool may_ask(void *ctx, uint32_t tag, uint64_t now)
{
    struct dns_asker *asker = ctx;
    struct question *q = &asker->questions[tag];
    struct socks_budget *budget = asker->config.budget;
    if (budget == NULL || socks_budget_is_off(budget) || q->fresh || socks_budget_knows(budget, q->identity, now))
        return true;
    if (!socks_budget_allows(budget, q->host, now))
        return false;
    socks_budget_grant(budget, q->host, q->identity, now);
    q->fresh = true;
    return true;
}

static void end_question(struct dns_asker *asker, uint32_t tag, bool answered)
{
    struct question *q = &asker->questions[tag];
    if (q->fresh)
        socks_budget_answered(asker->config.budget, q->identity, answered);
    *q = (struct question){0};
}

static void on_done(void *ctx, uint32_t tag, const struct socks_result *result, uint64_t now)
{
    struct dns_asker *asker = ctx;
    struct dns_found found = {.kind = DNS_FOUND_FAILURE};
    const struct socks_bound *bound = &result->bound;
    end_question(asker, tag, result->status == 0);
    if (result->status == 0 && result->message.left > 0) {
        found = (struct dns_found){.kind = DNS_FOUND_MESSAGE, .message = result->message};
    } else if (result->status == 0 && result->code != SOCKS_SUCCEEDED) {
        found.kind = kind_of_code(result->code);
    } else if (result->status == 0 && bound->type == 1 && bound->len == 4) {
        found = (struct dns_found){.kind = DNS_FOUND_ADDRESS, .addr = ipaddr_v4(bound->host)};
    } else if (result->status == 0 && bound->type == 4 && bound->len == 16) {
        found = (struct dns_found){.kind = DNS_FOUND_ADDRESS, .addr = ipaddr_v6(bound->host)};
    } else if (result->status == 0 && bound->type == 3) {
        found = (struct dns_found){.kind = DNS_FOUND_NAME, .name = bytes_of(bound->host, bound->len)};
    }
    dns_found(asker->dns, tag, &found, now);
}

int dns_asker_new(struct dns_asker **out, const struct dns_asker_config *config, struct dns *dns)
{
    *out = NULL;
    struct dns_asker *asker = calloc(1, sizeof(*asker));
    if (asker == NULL)
        return -ENOMEM;
    asker->config = *config;
    asker->dns = dns;
    isolation_secret_init(&asker->secret, config->secret);
    memset(asker->config.secret, 0, sizeof(asker->config.secret));

    struct socks_resolver_config resolver = {.path = config->path,
                                             .others = config->others,
                                             .calls = config->calls,
                                             .patience = PATIENCE,
                                             .may = may_ask,
                                             .done = on_done,
                                             .ctx = asker};
    int status = -ENOMEM;
    asker->questions = calloc((size_t)config->handles + 1, sizeof(*asker->questions));
    if (asker->questions != NULL)
        status = socks_resolver_new(&asker->resolver, &resolver);
    if (status != 0) {
        dns_asker_free(asker);
        return status;
    }
    *out = asker;
    return 0;
}

void dns_asker_free(struct dns_asker *asker)
{
    if (asker == NULL)
        return;
    socks_resolver_free(asker->resolver);
    free(asker->questions);
    free(asker);
}

int dns_asker_fd(const struct dns_asker *asker)
{
    return socks_resolver_fd(asker->resolver);
}

int dns_asker_ask(struct dns_asker *asker, const struct dns_ask *ask, uint64_t now)
{
    struct isolation_flow flow = {.workstation = ask->identity, .name = ask->name, .nym = ask->nym};
    struct isolation_credential credential;
    const unsigned fields = ISOLATION_WORKSTATION | ask->policy;
    uint64_t epoch =
        isolation_epoch(&asker->secret, fields, &flow, now / MICROSECONDS, asker->config.isolation_lifetime);
    isolation_credential(&asker->secret, fields, &flow, epoch, &credential);

    struct socks_request request = {.username = ISOLATION_USERNAME, .password = credential.password};
    switch (ask->kind) {
    case DNS_LOOKUP_HOST:
        request.command = SOCKS_RESOLVE;
        request.name = ask->name;
        break;
    case DNS_LOOKUP_REVERSE:
        request.command = SOCKS_RESOLVE_PTR;
        request.addr = ask->addr;
        break;
    case DNS_LOOKUP_RECORDS:
        request.command = SOCKS_CONNECT;
        request.addr = asker->config.upstreams[ask->upstream];
        request.port = DNS_PORT_OF_RESOLVERS;
        break;
    case DNS_LOOKUP_NONE:
        return -EINVAL;
    }
    struct question *q = &asker->questions[ask->handle];
    *q = (struct question){.host = ask->host,
                           .identity = (uint32_t)(isolation_credential_key(credential.password) >> 32)};
    int32_t call = socks_resolver_start(asker->resolver, ask->handle, &request, ask->message, now);
    if (call < 0) {
        end_question(asker, ask->handle, false);
        return call;
    }
    q->call = (uint32_t)call;
    return 0;
}

void dns_asker_forget(struct dns_asker *asker, uint32_t handle)
{
    if (asker->questions[handle].call != 0)
        socks_resolver_cancel(asker->resolver, asker->questions[handle].call);
    end_question(asker, handle, false);
}

int dns_asker_dispatch(struct dns_asker *asker, uint64_t now)
{
    int n = socks_resolver_dispatch(asker->resolver, now);
    return n < 0 ? n : 0;
}

void dns_asker_poll(struct dns_asker *asker, uint64_t now)
{
    socks_resolver_poll(asker->resolver, now);
}

bool dns_asker_next(const struct dns_asker *asker, uint64_t *at)
{
    return socks_resolver_next(asker->resolver, at);
}
