/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each address of the pool is in one of these states; all but the first end by themselves at a time:
 *
 *     free --offer--> offered --request--> leased --renew--> leased
 *       ^                |                   |  |--release--> free
 *       '----- its time has passed ----------'  '--decline--> declined
 *
 * A fixed address that lies in the pool is none of these: `fixed`, for ever.
 *
 * A lease outlives no restart of ours, and need not: this is the only server of its network, so whoever comes with an
 * address that it may have as well as anybody gets it (what others call authoritative), and whoever comes with another
 * is told so at once. A client without an address gets the one that its MAC address hashes to if it can, so that most
 * find theirs again.
 *
 * A flood of made-up clients fills the pool for half a minute, or with requests for the time of a lease: no server can
 * help that, but what it costs is bounded. When the pool is full it is not searched again before something in it ends.
 */
#include "tun/dhcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000)
#define OFFER_TIME (30 * SECOND)
#define DECLINE_TIME (600 * SECOND)
#define LOOK_AGAIN SECOND /* for an address that somebody uses without a lease */

enum lease_state {
    LEASE_FREE,
    LEASE_OFFERED,
    LEASE_LEASED,
    LEASE_DECLINED,
    LEASE_FIXED,
};

static uint32_t number_of(const struct ipaddr *addr)
{
    return be32_load(addr->b + 12);
}

static struct ipaddr address_of(uint32_t number)
{
    uint8_t b[4];
    be32_store(b, number);
    return ipaddr_v4(b);
}

int dhcp_init(struct dhcp *dhcp, const struct dhcp_config *config, const struct dhcp_ops *ops, void *ctx)
{
    bool pool = !dhcp_is_none(&config->first);
    uint32_t first = number_of(&config->first), last = number_of(&config->last);
    if (pool && (last < first || last - first >= DHCP_POOL_MAX))
        return -EINVAL;
    if (!pool && config->fixed_count == 0)
        return -EINVAL;
    uint32_t count = pool ? last - first + 1 : 0, heads = 1;
    while (heads < count)
        heads *= 2;
    *dhcp = (struct dhcp){
        .config = *config,
        .ops = *ops,
        .ctx = ctx,
        .lease = calloc(count + 1, sizeof(struct dhcp_lease)),
        .heads = calloc(heads, sizeof(uint16_t)),
        .count = count,
        .mask = heads - 1,
        .first = first,
        .key = siphash_key_load(config->secret),
    };
    if (dhcp->lease == NULL || dhcp->heads == NULL) {
        dhcp_fini(dhcp);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < config->fixed_count; i++) {
        uint32_t offset = be32_load(config->fixed[i].address) - first;
        if (offset < count)
            dhcp->lease[offset].state = LEASE_FIXED;
    }
    uint32_t own = number_of(&config->server) - first;
    if (own < count)
        dhcp->lease[own].state = LEASE_FIXED;
    return 0;
}

void dhcp_fini(struct dhcp *dhcp)
{
    free(dhcp->heads);
    free(dhcp->lease);
    *dhcp = (struct dhcp){0};
}

static uint32_t hash(const struct dhcp *dhcp, const uint8_t *mac)
{
    return (uint32_t)siphash_13(&dhcp->key, mac, FRAME_MAC_LEN);
}

static const struct dhcp_fixed *find_fixed(const struct dhcp *dhcp, const uint8_t *mac)
{
    for (uint32_t i = 0; i < dhcp->config.fixed_count; i++) {
        if (frame_mac_equal(dhcp->config.fixed[i].mac, mac))
            return &dhcp->config.fixed[i];
    }
    return NULL;
}

/* The address of the pool that is offered or leased to `mac`, or NULL. */
static struct dhcp_lease *find_lease(const struct dhcp *dhcp, const uint8_t *mac)
{
    for (uint16_t i = dhcp->heads[hash(dhcp, mac) & dhcp->mask]; i != 0; i = dhcp->lease[i - 1].next) {
        if (frame_mac_equal(dhcp->lease[i - 1].mac, mac))
            return &dhcp->lease[i - 1];
    }
    return NULL;
}

static struct ipaddr lease_address(const struct dhcp *dhcp, const struct dhcp_lease *lease)
{
    return address_of(dhcp->first + (uint32_t)(lease - dhcp->lease));
}

/* Take a lease away from who had it. What had no owner is left as it is. */
static void set_free(struct dhcp *dhcp, struct dhcp_lease *lease)
{
    if (lease->state == LEASE_OFFERED || lease->state == LEASE_LEASED) {
        uint16_t *link = &dhcp->heads[hash(dhcp, lease->mac) & dhcp->mask];
        while (*link != (uint16_t)(lease - dhcp->lease + 1))
            link = &dhcp->lease[*link - 1].next;
        *link = lease->next;
    }
    *lease = (struct dhcp_lease){.state = LEASE_FREE};
    dhcp->full_until = 0;
}

static void give(struct dhcp *dhcp, struct dhcp_lease *lease, const uint8_t *mac)
{
    uint16_t *head = &dhcp->heads[hash(dhcp, mac) & dhcp->mask];
    *lease = (struct dhcp_lease){.state = LEASE_OFFERED, .next = *head};
    memcpy(lease->mac, mac, FRAME_MAC_LEN);
    *head = (uint16_t)(lease - dhcp->lease + 1);
}

/* When `mac` could have this address, for all that is known here: 0 is now. */
static uint64_t free_at(const struct dhcp *dhcp, const struct dhcp_lease *lease, const uint8_t *mac, uint64_t now)
{
    struct ipaddr addr = lease_address(dhcp, lease);
    if (lease->state == LEASE_FIXED)
        return UINT64_MAX;
    if (lease->state != LEASE_FREE && lease->until > now)
        return lease->until;
    uint32_t ones = UINT32_MAX >> (dhcp->config.network.len - 96), host = number_of(&addr) & ones;
    if (host == 0 || host == ones)
        return UINT64_MAX;
    return dhcp->ops.is_free(dhcp->ctx, &addr, mac, now) ? 0 : now + LOOK_AGAIN;
}

/* Make the address `wanted`, which it has not, that of `mac`, if it may have it. */
static struct dhcp_lease *take(struct dhcp *dhcp, const struct ipaddr *wanted, const uint8_t *mac, uint64_t now)
{
    uint32_t offset = number_of(wanted) - dhcp->first;
    if (offset >= dhcp->count || free_at(dhcp, &dhcp->lease[offset], mac, now) != 0)
        return NULL;
    set_free(dhcp, &dhcp->lease[offset]);
    give(dhcp, &dhcp->lease[offset], mac);
    return &dhcp->lease[offset];
}

/* Any address for `mac`, who has none: the one it hashes to, or the next that is free. */
static struct dhcp_lease *take_any(struct dhcp *dhcp, const uint8_t *mac, uint64_t now)
{
    uint64_t earliest = UINT64_MAX;
    if (dhcp->count == 0 || now < dhcp->full_until)
        return NULL;
    uint32_t start = (hash(dhcp, mac) >> 16) % dhcp->count;
    for (uint32_t i = 0; i < dhcp->count; i++) {
        struct dhcp_lease *lease = &dhcp->lease[(start + i) % dhcp->count];
        uint64_t at = free_at(dhcp, lease, mac, now);
        if (at == 0) {
            set_free(dhcp, lease);
            give(dhcp, lease, mac);
            return lease;
        }
        earliest = at < earliest ? at : earliest;
    }
    dhcp->full_until = earliest;
    return NULL;
}

/* What a client is to be given, or has. */
struct grant {
    struct ipaddr address;
    struct dhcp_lease *lease; /* NULL for a fixed address */
};

/* Its fixed address, or the one of the pool that it has. False if there is neither. */
static bool find_grant(const struct dhcp *dhcp, const uint8_t *mac, struct grant *grant)
{
    const struct dhcp_fixed *fixed = find_fixed(dhcp, mac);
    if (fixed != NULL) {
        *grant = (struct grant){.address = ipaddr_v4(fixed->address)};
        return true;
    }
    grant->lease = find_lease(dhcp, mac);
    if (grant->lease != NULL)
        grant->address = lease_address(dhcp, grant->lease);
    return grant->lease != NULL;
}

static void reply(const struct dhcp *dhcp, const struct dhcp_request *request, enum dhcp_type type,
                  const struct ipaddr *address, struct dhcp_out *out)
{
    const struct dhcp_reply content = {
        .type = type,
        .server = dhcp->config.server,
        .address = *address,
        .network = dhcp->config.network,
        .lease = request->type != DHCP_INFORM ? dhcp->config.lease : 0,
        .mtu = dhcp->config.mtu,
    };
    out->n = dhcp_build(out->message, request, &content);
    /* RFC 2131 4.1: to the address in use, or if that is not there yet to all if asked so, or right to the MAC. */
    if (type != DHCP_NAK && !dhcp_is_none(&request->ciaddr)) {
        out->dst = request->ciaddr;
        memcpy(out->mac, request->mac, FRAME_MAC_LEN);
    } else if (type == DHCP_NAK || dhcp_wants_broadcast(request)) {
        out->dst = address_of(UINT32_MAX);
        memset(out->mac, 0xff, FRAME_MAC_LEN);
    } else {
        out->dst = *address;
        memcpy(out->mac, request->mac, FRAME_MAC_LEN);
    }
}

static enum drop on_discover(struct dhcp *dhcp, const struct dhcp_request *request, uint64_t now,
                             struct dhcp_out *out)
{
    struct grant grant;
    /* The address that it had last may be somebody's by now, without a lease. */
    if (find_grant(dhcp, request->mac, &grant) && grant.lease != NULL && grant.lease->until <= now &&
        !dhcp->ops.is_free(dhcp->ctx, &grant.address, request->mac, now))
        set_free(dhcp, grant.lease);
    if (!find_grant(dhcp, request->mac, &grant)) {
        grant.lease = dhcp_is_none(&request->requested) ? NULL : take(dhcp, &request->requested, request->mac, now);
        if (grant.lease == NULL)
            grant.lease = take_any(dhcp, request->mac, now);
        if (grant.lease == NULL)
            return DROP_DHCP_OTHER;
        grant.address = lease_address(dhcp, grant.lease);
    }
    if (grant.lease != NULL && grant.lease->until < now + OFFER_TIME)
        grant.lease->until = now + OFFER_TIME;
    reply(dhcp, request, DHCP_OFFER, &grant.address, out);
    return DROP_NONE;
}

/* Can `mac` have just this address? It may have another one of the pool, which it keeps for now. */
static bool obtain(struct dhcp *dhcp, const struct ipaddr *wanted, const uint8_t *mac, uint64_t now,
                   struct grant *grant)
{
    if (find_grant(dhcp, mac, grant)) {
        if (ipaddr_equal(&grant->address, wanted))
            return true;
        if (grant->lease == NULL)
            return false;
    }
    *grant = (struct grant){.address = *wanted, .lease = take(dhcp, wanted, mac, now)};
    return grant->lease != NULL;
}

/* One client, one address: what it had is anybody's again, and not only when the lease would have ended. */
static void give_up(struct dhcp *dhcp, struct dhcp_lease *lease, const uint8_t *mac)
{
    const struct ipaddr addr = lease_address(dhcp, lease);
    bool held = lease->state == LEASE_LEASED;
    set_free(dhcp, lease);
    if (held)
        dhcp->ops.release(dhcp->ctx, &addr, mac);
}

static enum drop on_request(struct dhcp *dhcp, const struct dhcp_request *request, uint64_t now,
                            struct dhcp_out *out)
{
    struct grant grant;
    const bool selecting = !dhcp_is_none(&request->server);
    const struct ipaddr *wanted = dhcp_is_none(&request->requested) ? &request->ciaddr : &request->requested;
    if (dhcp_is_none(wanted))
        return DROP_DHCP_BAD;
    if (selecting && !ipaddr_equal(&request->server, &dhcp->config.server)) {
        struct dhcp_lease *offered = find_lease(dhcp, request->mac);
        if (offered != NULL && offered->state == LEASE_OFFERED)
            set_free(dhcp, offered);
        return DROP_DHCP_OTHER;
    }
    uint64_t until = now + dhcp->config.lease * SECOND;
    struct dhcp_lease *former = find_lease(dhcp, request->mac);
    bool obtained = obtain(dhcp, wanted, request->mac, now, &grant);
    if (!obtained ||
        !dhcp->ops.hold(dhcp->ctx, wanted, request->mac, now, grant.lease != NULL ? until : UINT64_MAX)) {
        if (obtained && grant.lease != NULL && grant.lease != former)
            set_free(dhcp, grant.lease);
        reply(dhcp, request, DHCP_NAK, wanted, out);
        return DROP_NONE;
    }
    if (former != NULL && former != grant.lease)
        give_up(dhcp, former, request->mac);
    if (grant.lease != NULL) {
        grant.lease->state = LEASE_LEASED;
        grant.lease->until = until;
    }
    reply(dhcp, request, DHCP_ACK, wanted, out);
    return DROP_NONE;
}

/* Its own lease of the pool, if that is `addr`. */
static struct dhcp_lease *own_lease(const struct dhcp *dhcp, const struct dhcp_request *request,
                                    const struct ipaddr *addr)
{
    struct dhcp_lease *lease = find_lease(dhcp, request->mac);
    if (lease == NULL || !ipaddr_equal(&request->server, &dhcp->config.server))
        return NULL;
    struct ipaddr has = lease_address(dhcp, lease);
    return ipaddr_equal(&has, addr) ? lease : NULL;
}

static enum drop on_release(struct dhcp *dhcp, const struct dhcp_request *request)
{
    struct dhcp_lease *lease = own_lease(dhcp, request, &request->ciaddr);
    if (lease == NULL)
        return DROP_DHCP_OTHER;
    set_free(dhcp, lease);
    dhcp->ops.release(dhcp->ctx, &request->ciaddr, request->mac);
    return DROP_NONE;
}

/* Somebody answers at the address that it was given: nobody is to get that for a while. */
static enum drop on_decline(struct dhcp *dhcp, const struct dhcp_request *request, uint64_t now)
{
    struct dhcp_lease *lease = own_lease(dhcp, request, &request->requested);
    if (lease == NULL)
        return DROP_DHCP_OTHER;
    set_free(dhcp, lease);
    dhcp->ops.release(dhcp->ctx, &request->requested, request->mac);
    *lease = (struct dhcp_lease){.state = LEASE_DECLINED, .until = now + DECLINE_TIME};
    return DROP_NONE;
}

static enum drop on_inform(const struct dhcp *dhcp, const struct dhcp_request *request, uint64_t now,
                           struct dhcp_out *out)
{
    const struct ipaddr none = address_of(0);
    if (!ipnet_contains(&dhcp->config.network, &request->ciaddr) ||
        !dhcp->ops.is_free(dhcp->ctx, &request->ciaddr, request->mac, now))
        return DROP_DHCP_OTHER;
    reply(dhcp, request, DHCP_ACK, &none, out);
    return DROP_NONE;
}

enum drop dhcp_input(struct dhcp *dhcp, struct bytes raw, const uint8_t mac[FRAME_MAC_LEN], uint64_t now,
                     struct dhcp_out *out)
{
    struct dhcp_request request;
    out->n = 0;
    enum drop why = dhcp_parse(&request, raw);
    if (why != DROP_NONE)
        return why;
    if (!frame_mac_equal(request.mac, mac))
        return DROP_IP_SOURCE;
    switch (request.type) {
    case DHCP_DISCOVER:
        return on_discover(dhcp, &request, now, out);
    case DHCP_REQUEST:
        return on_request(dhcp, &request, now, out);
    case DHCP_DECLINE:
        return on_decline(dhcp, &request, now);
    case DHCP_RELEASE:
        return on_release(dhcp, &request);
    case DHCP_INFORM:
        return on_inform(dhcp, &request, now, out);
    default:
        return DROP_DHCP_OTHER;
    }
}
