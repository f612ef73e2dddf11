/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of a frame, from the wire to whoever uses it. Every step returns DROP_NONE or the reason why the frame ends
 * there, and only input_frame() counts, so that each frame is counted exactly once.
 *
 * Nothing here depends on what a frame's sender claims to be before hosts_bind() has said so: a frame with an address
 * that belongs to another MAC gets no answer of any kind. (An ARP probe claims no address; it is answered, for it asks
 * whether ours is taken.)
 */
#include "tun/tun.h"

#include <errno.h>
#include <string.h>

#include "tun/input.h"
#include "tun/ipv4.h"
#include "tun/ipv6.h"
#include "tun/output.h"

#define MTU_MIN 576u /* RFC 791: what every host takes */
#define MTU_MAX 65535u

static bool host_busy(void *ctx, uint32_t host)
{
    const struct tun *tun = ctx;
    return tun->ops.host_busy(tun->ctx, host);
}

static void host_gone(void *ctx, uint32_t host)
{
    struct tun *tun = ctx;
    tcp_engine_reset_host(tun->engine, host, tun->now);
    if (tun->ops.host_gone != NULL)
        tun->ops.host_gone(tun->ctx, host);
}

/* What a workstation uses is counted for all its addresses together: more of them do not give it more. */
static void host_bound(void *ctx, uint32_t host, uint32_t station)
{
    const struct tun *tun = ctx;
    if (tun->engine != NULL)
        tcp_engine_charge(tun->engine, host, station);
}

static void station_gone(void *ctx, uint32_t station)
{
    struct tun *tun = ctx;
    if (tun->ops.station_gone != NULL)
        tun->ops.station_gone(tun->ctx, station);
}

static bool address_is_free(void *ctx, const struct ipaddr *addr, const uint8_t *mac, uint64_t now)
{
    const struct tun *tun = ctx;
    return hosts_is_free(&tun->hosts, addr, mac, now);
}

static bool address_hold(void *ctx, const struct ipaddr *addr, const uint8_t *mac, uint64_t now, uint64_t until)
{
    struct tun *tun = ctx;
    return hosts_hold(&tun->hosts, addr, mac, now, until) == DROP_NONE;
}

static void address_release(void *ctx, const struct ipaddr *addr, const uint8_t *mac)
{
    struct tun *tun = ctx;
    hosts_release(&tun->hosts, addr, mac);
}

/* Listed addresses are their owners' from the beginning, as are those of dhcp_fixed below. */
static int init_stations(struct tun *tun)
{
    const struct tun_config *c = &tun->config;
    for (uint32_t i = 0; i < c->station_count; i++) {
        const struct ipaddr *addr = &c->stations[i].addr;
        bool good = ipaddr_is_v4(addr) ? ipv4_is_host(addr, &c->network, &c->address)
                                       : c->ipv6 && ipv6_is_host(addr, &tun->scope6);
        if (!good || !address_hold(tun, addr, c->stations[i].mac, 0, UINT64_MAX))
            return -EINVAL;
    }
    return 0;
}

static int init_dhcp(struct tun *tun)
{
    static const struct dhcp_ops ops = {
        .is_free = address_is_free, .hold = address_hold, .release = address_release};
    const struct tun_config *c = &tun->config;
    struct dhcp_config config = {
        .server = c->address,
        .network = c->network,
        .first = c->dhcp_first,
        .last = c->dhcp_last,
        .fixed = c->dhcp_fixed,
        .fixed_count = c->dhcp_fixed_count,
        .lease = c->dhcp_lease,
        .mtu = (uint16_t)c->mtu,
    };
    memcpy(config.secret, c->secret, sizeof(config.secret));
    for (uint32_t i = 0; i < c->dhcp_fixed_count; i++) {
        struct ipaddr addr = ipaddr_v4(c->dhcp_fixed[i].address);
        if (!ipv4_is_host(&addr, &c->network, &c->address) ||
            !address_hold(tun, &addr, c->dhcp_fixed[i].mac, 0, UINT64_MAX))
            return -EINVAL;
    }
    return dhcp_init(&tun->dhcp, &config, &ops, tun);
}

static bool config_makes_sense(const struct tun_config *config)
{
    static const uint8_t zero[FRAME_MAC_LEN];
    const struct ipaddr none = {0};
    return (config->mac[0] & 1) == 0 && memcmp(config->mac, zero, FRAME_MAC_LEN) != 0 &&
           ipaddr_is_v4(&config->network.addr) && config->network.len > 96 && config->network.len <= 126 &&
           ipv4_is_host(&config->address, &config->network, &none) && config->mtu >= MTU_MIN &&
           config->mtu <= MTU_MAX;
}

static bool ipv6_makes_sense(const struct tun_config *config)
{
    const struct ipv6_scope scope = {.network = config->network6};
    return config->network6.len >= 8 && config->network6.len <= 126 && ipv6_is_host(&config->address6, &scope) &&
           (ipv6_is_unspecified(&config->link_local6) || ipv6_is_link_local(&config->link_local6)) &&
           config->mtu >= IPV6_MTU_MIN && !(config->ra && ipv6_is_unspecified(&config->link_local6));
}

int tun_init(struct tun *tun, const struct tun_config *config, const struct tun_ops *ops, void *ctx,
             struct tcp_engine *engine)
{
    if (!config_makes_sense(config) || (config->ipv6 && !ipv6_makes_sense(config)))
        return -EINVAL;
    *tun = (struct tun){
        .config = *config,
        .ops = *ops,
        .ctx = ctx,
        .engine = engine,
        .scope6 = {.network = config->network6, .gateway = config->address6, .link_local = config->link_local6},
    };
    struct hosts_config hosts = {
        .max_hosts = config->max_hosts,
        .max_per_mac = config->max_per_mac,
        .idle = config->host_idle,
        .listed = config->stations_only,
    };
    memcpy(hosts.secret, config->secret, sizeof(hosts.secret));
    static const struct hosts_ops hosts_ops = {
        .busy = host_busy, .bound = host_bound, .gone = host_gone, .station_gone = station_gone};
    int status = hosts_init(&tun->hosts, &hosts, &hosts_ops, tun);
    if (status == 0)
        status = init_stations(tun);
    if (status == 0 && config->dhcp)
        status = init_dhcp(tun);
    if (status != 0)
        tun_fini(tun);
    return status;
}

void tun_fini(struct tun *tun)
{
    dhcp_fini(&tun->dhcp);
    hosts_fini(&tun->hosts);
}

void tun_link_up(struct tun *tun, uint64_t now)
{
    output_announce(tun);
    if (tun->config.ipv6)
        mld_start(&tun->mld, tun->config.secret, now);
    if (tun->config.ipv6 && tun->config.ra)
        ra_start(&tun->ra, tun->config.secret, now);
}

void tun_link_down(struct tun *tun)
{
    if (tun->ra.running)
        output_router_advertisement(tun, 0);
    tun->ra.running = false;
    tun->mld = (struct mld_schedule){0};
}

void tun_advance(struct tun *tun, uint64_t now)
{
    if (ra_is_due(&tun->ra, now) && output_router_advertisement(tun, RA_LIFETIME) == 0)
        tun->counters.router_adverts++;
    if (mld_is_due(&tun->mld, now))
        output_listener_report(tun, tun->mld.old);
}

bool tun_next_deadline(const struct tun *tun, uint64_t *at)
{
    uint64_t report;
    bool advertises = ra_next(&tun->ra, at);
    if (!mld_next(&tun->mld, &report))
        return advertises;
    if (!advertises || report < *at)
        *at = report;
    return true;
}

bool tun_is_local(const struct tun *tun, const struct ipaddr *addr)
{
    return ipnet_contains(&tun->config.network, addr) ||
           (tun->config.ipv6 && ipnet_contains(&tun->config.network6, addr)) || ipv6_is_link_local(addr);
}

int tun_seek(struct tun *tun, const struct ipaddr *addr, uint64_t now, uint32_t *number)
{
    bool v4 = ipaddr_is_v4(addr);
    *number = hosts_find(&tun->hosts, addr);
    if (*number != UINT32_MAX) {
        seek_forget(&tun->seek, addr);
        return 0;
    }
    if (v4 ? !ipv4_is_host(addr, &tun->config.network, &tun->config.address)
           : !tun->config.ipv6 || !ipv6_is_host(addr, &tun->scope6))
        return -EHOSTUNREACH;
    int status = seek_step(&tun->seek, addr, now);
    if (status != 1)
        return status;
    if (v4)
        output_arp_request(tun, addr);
    else
        output_solicitation(tun, addr);
    return -EAGAIN;
}

static enum drop dispatch(struct tun *tun, const struct bytes *raw, uint64_t now)
{
    struct frame frame;
    enum drop why = frame_parse(&frame, *raw, tun->config.mac);
    if (why != DROP_NONE)
        return why;
    switch (frame.type) {
    case FRAME_TYPE_IPV4:
        return input_ipv4(tun, &frame, now);
    case FRAME_TYPE_ARP:
        return input_arp(tun, &frame, now);
    case FRAME_TYPE_IPV6:
    default:
        return input_ipv6(tun, &frame, now);
    }
}

void input_frame(struct tun *tun, const struct bytes *raw, uint64_t now)
{
    enum drop why = dispatch(tun, raw, now);
    if (why == DROP_NONE)
        tun->counters.frames_used++;
    else
        drop_count(&tun->drops, why);
}
