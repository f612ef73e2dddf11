/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How an address changes hands.
 *
 *     free --frame--> bound --no frame for `idle`--> idle --frame of the owner--> bound
 *                                                     |---frame of another MAC--> gone, then bound to that MAC
 *                                                     '---room needed, not busy-> gone, free
 *
 * Nothing expires by itself: an idle binding stays until somebody has a use for its address or its slot. So there
 * is no timer, and a workstation that was silent for a day keeps its number.
 *
 * What a flood can do: fill the table with made-up addresses. A made-up MAC gets no more than max_per_mac of them, a
 * full table turns newcomers away, and those who are in it stay in. Looking for a slot to free costs a bounded number
 * of steps, or each made-up frame would cost us a walk over the table.
 */
#include "tun/hosts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HOSTS 65535u
#define EVICTION_STEPS 16u /* slots looked at when the table is full */

int hosts_init(struct hosts *hosts, const struct hosts_config *config, const struct hosts_ops *ops, void *ctx)
{
    if (config->max_hosts == 0 || config->max_hosts > MAX_HOSTS || config->max_per_mac == 0)
        return -EINVAL;
    uint32_t heads = 1;
    while (heads < config->max_hosts)
        heads *= 2;
    *hosts = (struct hosts){
        .host = calloc(config->max_hosts, sizeof(struct host)),
        .by_addr = calloc(heads, sizeof(uint32_t)),
        .by_mac = calloc(heads, sizeof(uint32_t)),
        .mask = heads - 1,
        .max_hosts = config->max_hosts,
        .max_per_mac = config->max_per_mac,
        .idle = config->idle,
        .next_serial = 1,
        .key = siphash_key_load(config->secret),
        .ops = *ops,
        .ctx = ctx,
    };
    if (hosts->host == NULL || hosts->by_addr == NULL || hosts->by_mac == NULL) {
        hosts_fini(hosts);
        return -ENOMEM;
    }
    return 0;
}

void hosts_fini(struct hosts *hosts)
{
    free(hosts->by_mac);
    free(hosts->by_addr);
    free(hosts->host);
    *hosts = (struct hosts){0};
}

static uint32_t *addr_head(const struct hosts *hosts, const struct ipaddr *addr)
{
    return &hosts->by_addr[siphash_13(&hosts->key, addr->b, sizeof(addr->b)) & hosts->mask];
}

static uint32_t *mac_head(const struct hosts *hosts, const uint8_t *mac)
{
    return &hosts->by_mac[siphash_13(&hosts->key, mac, FRAME_MAC_LEN) & hosts->mask];
}

static bool owns(const struct host *host, const uint8_t *mac)
{
    return frame_mac_equal(host->mac, mac);
}

static struct host *find(const struct hosts *hosts, const struct ipaddr *addr)
{
    for (uint32_t i = *addr_head(hosts, addr); i != 0; i = hosts->host[i - 1].next_addr) {
        if (ipaddr_equal(&hosts->host[i - 1].addr, addr))
            return &hosts->host[i - 1];
    }
    return NULL;
}

static uint32_t number_of(const struct hosts *hosts, const struct host *host)
{
    return (uint32_t)(host - hosts->host);
}

static bool is_idle(const struct hosts *hosts, const struct host *host, uint64_t now)
{
    return now >= host->seen && now - host->seen >= hosts->idle;
}

static bool is_evictable(const struct hosts *hosts, const struct host *host, uint64_t now)
{
    return is_idle(hosts, host, now) && !hosts->ops.busy(hosts->ctx, number_of(hosts, host));
}

static void let_go(struct hosts *hosts, struct host *host)
{
    uint32_t number = number_of(hosts, host);
    hosts->ops.gone(hosts->ctx, number);

    uint32_t *link = addr_head(hosts, &host->addr);
    while (*link != number + 1)
        link = &hosts->host[*link - 1].next_addr;
    *link = host->next_addr;
    link = mac_head(hosts, host->mac);
    while (*link != number + 1)
        link = &hosts->host[*link - 1].next_mac;
    *link = host->next_mac;

    *host = (struct host){.next_addr = hosts->free_list};
    hosts->free_list = number + 1;
    hosts->used--;
}

/* Make sure that `mac` may take one more address: true if it holds few enough, or one of its own could go. */
static bool make_room_for_mac(struct hosts *hosts, const uint8_t *mac, uint64_t now)
{
    uint32_t held = 0;
    struct host *oldest = NULL;
    for (uint32_t i = *mac_head(hosts, mac); i != 0; i = hosts->host[i - 1].next_mac) {
        struct host *host = &hosts->host[i - 1];
        if (!owns(host, mac))
            continue;
        held++;
        if (is_evictable(hosts, host, now) && (oldest == NULL || host->seen < oldest->seen))
            oldest = host;
    }
    if (held < hosts->max_per_mac)
        return true;
    if (oldest == NULL)
        return false;
    let_go(hosts, oldest);
    return true;
}

static bool make_room(struct hosts *hosts, uint64_t now)
{
    if (hosts->used < hosts->max_hosts)
        return true;
    for (uint32_t step = 0; step < EVICTION_STEPS; step++) {
        struct host *host = &hosts->host[hosts->hand];
        hosts->hand = (hosts->hand + 1) % hosts->max_hosts;
        if (is_evictable(hosts, host, now)) {
            let_go(hosts, host);
            return true;
        }
    }
    return false;
}

/* A slot that is free: one that was given back, or the first that never was used. */
static struct host *take_slot(struct hosts *hosts)
{
    if (hosts->free_list != 0) {
        struct host *host = &hosts->host[hosts->free_list - 1];
        hosts->free_list = host->next_addr;
        return host;
    }
    assert(hosts->fresh < hosts->max_hosts);
    return &hosts->host[hosts->fresh++];
}

static struct host *bind_new(struct hosts *hosts, const struct ipaddr *addr, const uint8_t *mac)
{
    uint32_t *by_addr = addr_head(hosts, addr);
    uint32_t *by_mac = mac_head(hosts, mac);
    struct host *host = take_slot(hosts);
    *host = (struct host){
        .addr = *addr,
        .serial = hosts->next_serial++,
        .next_addr = *by_addr,
        .next_mac = *by_mac,
    };
    memcpy(host->mac, mac, FRAME_MAC_LEN);
    *by_addr = *by_mac = number_of(hosts, host) + 1;
    hosts->used++;
    return host;
}

enum drop hosts_bind(struct hosts *hosts, const struct ipaddr *addr, const uint8_t mac[FRAME_MAC_LEN], uint64_t now,
                     uint32_t *number)
{
    /* Frames come in runs of one sender. */
    struct host *host = &hosts->host[hosts->last];
    if (host->serial == 0 || !ipaddr_equal(&host->addr, addr))
        host = find(hosts, addr);

    if (host != NULL && !owns(host, mac)) {
        if (!is_idle(hosts, host, now))
            return DROP_IP_SOURCE;
        if (!make_room_for_mac(hosts, mac, now))
            return DROP_HOST_TABLE;
        let_go(hosts, host);
        host = NULL;
    }
    if (host == NULL) {
        if (!make_room_for_mac(hosts, mac, now) || !make_room(hosts, now))
            return DROP_HOST_TABLE;
        host = bind_new(hosts, addr, mac);
    }
    host->seen = now;
    *number = hosts->last = number_of(hosts, host);
    return DROP_NONE;
}

bool hosts_is_bound(const struct hosts *hosts, const struct ipaddr *addr, const uint8_t mac[FRAME_MAC_LEN])
{
    const struct host *host = find(hosts, addr);
    return host != NULL && owns(host, mac);
}

const struct host *hosts_at(const struct hosts *hosts, uint32_t number)
{
    if (number >= hosts->max_hosts || hosts->host[number].serial == 0)
        return NULL;
    return &hosts->host[number];
}
