/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose circuit a lookup takes. Where all flows of a workstation are one identity, so are its lookups. Where flows are
 * kept apart by anything finer, so are lookups by name: what one exit sees of them is one name, and not which names belong
 * together. They are never on the circuit of a flow, because their credentials come of a secret of their own.
 */
#include "daemon/dns_asker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "socks/isolation.h"
#include "socks/resolve.h"

#define PATIENCE 60000000u /* us; longer than queries wait: what comes late answers who asks again */
#define MICROSECONDS 1000000u
#define DNS_PORT_OF_RESOLVERS 53u

struct dns_asker {
    struct dns_asker_config config;
    struct isolation_secret secret;
    unsigned fields; /* set of enum isolation_field, of lookups */
    struct dns *dns;
    struct socks_resolver *resolver;
    uint32_t *calls; /* by the answerer's handle, from 1; 0: none */
};

/* SOCKS has one word for a name without an address and for one that the exit's resolver failed at. */
static enum dns_found_kind kind_of_code(uint8_t code)
{
    return code == SOCKS_HOST_UNREACHABLE ? DNS_FOUND_NOTHING : DNS_FOUND_FAILURE;
}

static void on_done(void *ctx, uint32_t tag, const struct socks_result *result, uint64_t now)
{
    struct dns_asker *asker = ctx;
    struct dns_found found = {.kind = DNS_FOUND_FAILURE};
    const struct socks_bound *bound = &result->bound;
    asker->calls[tag] = 0;
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
    asker->fields = ISOLATION_WORKSTATION;
    if ((config->isolation & ~(unsigned)(ISOLATION_WORKSTATION | ISOLATION_SOURCE_ADDRESS)) != 0)
        asker->fields |= ISOLATION_DESTINATION_NAME;

    struct socks_resolver_config resolver = {
        .path = config->path, .calls = config->calls, .patience = PATIENCE, .done = on_done, .ctx = asker};
    int status = -ENOMEM;
    asker->calls = calloc((size_t)config->handles + 1, sizeof(*asker->calls));
    if (asker->calls != NULL)
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
    free(asker->calls);
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
    uint64_t epoch =
        isolation_epoch(&asker->secret, asker->fields, &flow, now / MICROSECONDS, asker->config.isolation_lifetime);
    isolation_credential(&asker->secret, asker->fields, &flow, epoch, &credential);

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
    int32_t call = socks_resolver_start(asker->resolver, ask->handle, &request, ask->message, now);
    if (call < 0)
        return call;
    asker->calls[ask->handle] = (uint32_t)call;
    return 0;
}

void dns_asker_forget(struct dns_asker *asker, uint32_t handle)
{
    if (asker->calls[handle] != 0)
        socks_resolver_cancel(asker->resolver, asker->calls[handle]);
    asker->calls[handle] = 0;
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
