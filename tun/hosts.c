/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How an address changes hands.
 *
 *     free --frame--> bound --no frame for `idle`--> idle --frame of the owner--> bound
 *                                                     |---frame of another MAC--> gone, then bound to that MAC
 *                                                     '---room needed, not busy-> gone, free
 *
 * A lease (tun/dhcp.h) holds a binding: it becomes idle when that is over, or is let go of when it is given back. One that
 * the operator listed is held for good; and there may be no others at all.
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

#include "tun/ipv6.h"

#define MAX_HOSTS 65535u
#define TELL_INTERVAL 20000u /* microseconds */
#define TELL_BURST 100u
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
        .station = calloc(config->max_hosts, sizeof(struct station)),
        .by_mac = calloc(heads, sizeof(uint32_t)),
        .mask = heads - 1,
        .max_hosts = config->max_hosts,
        .max_per_mac = config->max_per_mac,
        .idle = config->idle,
        .listed = config->listed,
        .next_serial = 1,
        .key = siphash_key_load(config->secret),
        .ops = *ops,
        .ctx = ctx,
    };
    if (hosts->host == NULL || hosts->by_addr == NULL || hosts->station == NULL || hosts->by_mac == NULL) {
        hosts_fini(hosts);
        return -ENOMEM;
    }
    return 0;
}

void hosts_fini(struct hosts *hosts)
{
    free(hosts->by_mac);
    free(hosts->station);
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

static struct station *find_station(const struct hosts *hosts, const uint8_t *mac)
{
    for (uint32_t i = *mac_head(hosts, mac); i != 0; i = hosts->station[i - 1].next) {
        if (frame_mac_equal(hosts->station[i - 1].mac, mac))
            return &hosts->station[i - 1];
    }
    return NULL;
}

static uint32_t number_of(const struct hosts *hosts, const struct host *host)
{
    return (uint32_t)(host - hosts->host);
}

static bool is_idle(const struct hosts *hosts, const struct host *host, uint64_t now)
{
    return now >= host->held && now >= host->seen && now - host->seen >= hosts->idle;
}

static bool is_evictable(const struct hosts *hosts, const struct host *host, uint64_t now)
{
    return is_idle(hosts, host, now) && !hosts->ops.busy(hosts->ctx, number_of(hosts, host));
}

static void let_go_station(struct hosts *hosts, struct station *station)
{
    uint32_t number = (uint32_t)(station - hosts->station);
    if (hosts->ops.station_gone != NULL)
        hosts->ops.station_gone(hosts->ctx, number);
    uint32_t *link = mac_head(hosts, station->mac);
    while (*link != number + 1)
        link = &hosts->station[*link - 1].next;
    *link = station->next;
    *station = (struct station){.next = hosts->free_station};
    hosts->free_station = number + 1;
}

static void let_go(struct hosts *hosts, struct host *host)
{
    uint32_t number = number_of(hosts, host);
    struct station *station = &hosts->station[host->station];
    hosts->ops.gone(hosts->ctx, number);

    uint32_t *link = addr_head(hosts, &host->addr);
    while (*link != number + 1)
        link = &hosts->host[*link - 1].next_addr;
    *link = host->next_addr;
    link = &station->first;
    while (*link != number + 1)
        link = &hosts->host[*link - 1].next_mac;
    *link = host->next_mac;
    if (--station->held == 0)
        let_go_station(hosts, station);

    *host = (struct host){.next_addr = hosts->free_list};
    hosts->free_list = number + 1;
    hosts->used--;
}

/* Make sure that `mac` may take one more address: true if it holds few enough, or one of its own could go. */
static bool make_room_for_mac(struct hosts *hosts, const uint8_t *mac, uint64_t now)
{
    const struct station *station = find_station(hosts, mac);
    if (station == NULL || station->held < hosts->max_per_mac)
        return true;
    struct host *oldest = NULL;
    for (uint32_t i = station->first; i != 0; i = hosts->host[i - 1].next_mac) {
        struct host *host = &hosts->host[i - 1];
        if (is_evictable(hosts, host, now) && (oldest == NULL || host->seen < oldest->seen))
            oldest = host;
    }
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

/* The station with this address, made if there is none. As it has one binding at least, there is room for it. */
static struct station *take_station(struct hosts *hosts, const uint8_t *mac)
{
    struct station *station = find_station(hosts, mac);
    if (station != NULL)
        return station;
    if (hosts->free_station != 0) {
        station = &hosts->station[hosts->free_station - 1];
        hosts->free_station = station->next;
    } else {
        assert(hosts->fresh_station < hosts->max_hosts);
        station = &hosts->station[hosts->fresh_station++];
    }
    uint32_t *head = mac_head(hosts, mac);
    *station = (struct station){.next = *head};
    memcpy(station->mac, mac, FRAME_MAC_LEN);
    *head = (uint32_t)(station - hosts->station) + 1;
    return station;
}

static struct host *bind_new(struct hosts *hosts, const struct ipaddr *addr, const uint8_t *mac)
{
    uint32_t *by_addr = addr_head(hosts, addr);
    struct host *host = take_slot(hosts);
    struct station *station = take_station(hosts, mac);
    *host = (struct host){
        .addr = *addr,
        .serial = hosts->next_serial++,
        .next_addr = *by_addr,
        .next_mac = station->first,
        .station = (uint32_t)(station - hosts->station),
    };
    memcpy(host->mac, mac, FRAME_MAC_LEN);
    *by_addr = station->first = number_of(hosts, host) + 1;
    station->held++;
    hosts->used++;
    if (hosts->ops.bound != NULL)
        hosts->ops.bound(hosts->ctx, number_of(hosts, host), host->station);
    return host;
}

/* True if an address that is not listed may become this MAC's. Where there is a list, only one of the link, with which a
 * listed workstation finds its neighbours. */
static bool may_join(const struct hosts *hosts, const struct ipaddr *addr, const uint8_t *mac)
{
    return !hosts->listed || (ipv6_is_link_local(addr) && find_station(hosts, mac) != NULL);
}

static enum drop bind_at(struct hosts *hosts, const struct ipaddr *addr, const uint8_t *mac, uint64_t now,
                         bool list, uint32_t *number)
{
    /* Frames come in runs of one sender. */
    struct host *host = &hosts->host[hosts->last];
    if (host->serial == 0 || !ipaddr_equal(&host->addr, addr))
        host = find(hosts, addr);

    if (host != NULL && !owns(host, mac)) {
        if (!is_idle(hosts, host, now))
            return DROP_IP_SOURCE;
        if (!list && !may_join(hosts, addr, mac))
            return DROP_IP_UNLISTED;
        if (!make_room_for_mac(hosts, mac, now))
            return DROP_HOST_TABLE;
        let_go(hosts, host);
        host = NULL;
    }
    if (host == NULL) {
        if (!list && !may_join(hosts, addr, mac))
            return DROP_IP_UNLISTED;
        if (!make_room_for_mac(hosts, mac, now) || !make_room(hosts, now))
            return DROP_HOST_TABLE;
        host = bind_new(hosts, addr, mac);
    }
    host->seen = now;
    *number = hosts->last = number_of(hosts, host);
    return DROP_NONE;
}

enum drop hosts_bind(struct hosts *hosts, const struct ipaddr *addr, const uint8_t mac[FRAME_MAC_LEN], uint64_t now,
                     uint32_t *number)
{
    return bind_at(hosts, addr, mac, now, false, number);
}

bool hosts_is_free(const struct hosts *hosts, const struct ipaddr *addr, const uint8_t mac[FRAME_MAC_LEN],
                   uint64_t now)
{
    const struct host *host = find(hosts, addr);
    if (host != NULL && owns(host, mac))
        return true;
    return may_join(hosts, addr, mac) && (host == NULL || is_idle(hosts, host, now));
}

enum drop hosts_hold(struct hosts *hosts, const struct ipaddr *addr, const uint8_t mac[FRAME_MAC_LEN], uint64_t now,
                     uint64_t until)
{
    uint32_t number;
    enum drop why = bind_at(hosts, addr, mac, now, until == UINT64_MAX, &number);
    if (why == DROP_NONE && hosts->host[number].held != UINT64_MAX)
        hosts->host[number].held = until;
    return why;
}

void hosts_release(struct hosts *hosts, const struct ipaddr *addr, const uint8_t mac[FRAME_MAC_LEN])
{
    struct host *host = find(hosts, addr);
    if (host != NULL && owns(host, mac) && host->held != UINT64_MAX)
        let_go(hosts, host);
}

bool hosts_is_bound(const struct hosts *hosts, const struct ipaddr *addr, const uint8_t mac[FRAME_MAC_LEN])
{
    const struct host *host = find(hosts, addr);
    return host != NULL && owns(host, mac);
}

bool hosts_may_be_told(struct hosts *hosts, uint32_t number, uint64_t now)
{
    const struct host *host = hosts_at(hosts, number);
    if (host == NULL)
        return false;
    struct station *station = &hosts->station[host->station];
    uint64_t told = station->told > now ? station->told : now;
    if (told - now > (uint64_t)TELL_INTERVAL * (TELL_BURST - 1))
        return false;
    station->told = told + TELL_INTERVAL;
    return true;
}

uint32_t hosts_find(const struct hosts *hosts, const struct ipaddr *addr)
{
    const struct host *host = find(hosts, addr);
    return host != NULL ? number_of(hosts, host) : UINT32_MAX;
}

const struct host *hosts_at(const struct hosts *hosts, uint32_t number)
{
    if (number >= hosts->max_hosts || hosts->host[number].serial == 0)
        return NULL;
    return &hosts->host[number];
}

const struct station *hosts_station_at(const struct hosts *hosts, uint32_t number)
{
    if (number >= hosts->max_hosts || hosts->station[number].first == 0)
        return NULL;
    return &hosts->station[number];
}
