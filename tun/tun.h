/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gateway as the workstation network sees it: one MAC address, one IP address, and every other address of the
 * world behind it.
 *
 * A frame goes one straight way: tun_input() -> frame -> IPv4 or IPv6 -> hosts -> tcp_input(), with no system call, no
 * allocation and no queue. The next one of the same workstation goes a shorter one (tun/fast.h). Whatever is not TCP is
 * answered on the spot (ARP, echo), handed to the `udp` callback, or dropped under exactly one reason: frames in = frames
 * used + drops (DROP_SEND aside, which counts frames out).
 *
 * The way back is in tun/output.h.
 */
#ifndef CLOISTER_TUN_TUN_H
#define CLOISTER_TUN_TUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "base/ipaddr.h"
#include "tcp/engine.h"
#include "tun/dhcp.h"
#include "tun/fast.h"
#include "tun/frame.h"
#include "tun/hosts.h"
#include "tun/ipv6.h"
#include "tun/mld.h"
#include "tun/ra.h"
#include "tun/seek.h"

/* One UDP datagram, either way. */
struct tun_udp {
    struct ipaddr src, dst;
    uint16_t src_port, dst_port; /* host order */
    uint32_t host;               /* the workstation that sent it or will get it */
    uint32_t station;            /* the number that its addresses have in common (tun/hosts.h); only inward */
    struct bytes payload;        /* borrowed */
};

/* What the gateway asks of its surroundings. */
struct tun_ops {
    /* Send one frame, offload header first (see device_send). 0 or negative errno. */
    int (*send)(void *ctx, const struct iovec *iov, int count);
    /* A datagram of a workstation, checked. DROP_NONE if it was used, or the reason to count (DROP_UDP, DROP_DNS_BAD
     * ...). May call output_udp(). The payload is good until this returns. */
    enum drop (*udp)(void *ctx, const struct tun_udp *udp);
    /* Does this workstation have flows or anything else that would be lost with its number? (hosts_ops.busy) */
    bool (*host_busy)(void *ctx, uint32_t host);
    /* This number names nobody now, or somebody else from now on. Its flows were reset already, by
     * tcp_engine_reset_host(). May be NULL. */
    void (*host_gone)(void *ctx, uint32_t host);
    /* The same for the number of a station, all of whose addresses are gone. May be NULL. */
    void (*station_gone)(void *ctx, uint32_t station);
};

/* An address that belongs to one MAC address, for good. */
struct tun_station {
    uint8_t mac[FRAME_MAC_LEN];
    struct ipaddr addr; /* of either family */
};

struct tun_config {
    uint8_t mac[FRAME_MAC_LEN]; /* the gateway's own: unicast, not derived from the host's hardware */
    struct ipaddr address;      /* the gateway's own IPv4 address in the workstation network */
    struct ipnet network;       /* the workstation network, IPv4: len is 96 + prefix, prefix 1 to 30 */
    bool ipv6;                  /* the same two exist for IPv6; false: IPv6 is dropped */
    struct ipaddr address6;     /* the gateway's own IPv6 address */
    struct ipnet network6;      /* the workstation network, IPv6: len is 8 to 126 */
    struct ipaddr link_local6;  /* an address of fe80::/10 that is the gateway's too; all zero: none */
    bool ra;                    /* advertise the gateway as router and resolver; needs link_local6 */
    bool reject;                /* tell a workstation by ICMP what was dropped, where it could do something else */
    bool dhcp;                  /* give addresses to workstations: */
    struct ipaddr dhcp_first, dhcp_last; /* of these, if the first is not 0.0.0.0 */
    const struct dhcp_fixed *dhcp_fixed; /* and of these, each to one; borrowed */
    uint32_t dhcp_fixed_count;
    const struct tun_station *stations; /* addresses that are somebody's for good; borrowed */
    uint32_t station_count;
    bool stations_only;   /* and no others are served */
    uint32_t dhcp_lease;  /* for as long, seconds */
    uint32_t mtu;         /* of the link, bytes of IP packet: 576 (1280 with IPv6) to 65535 */
    unsigned offload;     /* enum device_offload, as the device has it */
    uint32_t max_hosts;   /* workstation addresses in all; not above tcp_config.max_hosts */
    uint32_t max_per_mac; /* addresses of one MAC */
    uint64_t host_idle;   /* microseconds without a frame until an address may change its owner */
    uint8_t secret[16];   /* for the table of workstations */
    bool unpredicted;     /* every frame goes the long way, for tests that compare */
};

struct tun_counters {
    uint64_t frames_in;   /* given to tun_input() */
    uint64_t frames_used; /* of these, those not dropped here (the engine has drops of its own) */
    uint64_t bytes_in;    /* of all frames in, without offload header */
    uint64_t frames_out;  /* taken by the link; a super-frame counts once */
    uint64_t bytes_out;   /* of these, without offload header */
    uint64_t arp_replies; /* and neighbour advertisements */
    uint64_t router_adverts;
    uint64_t dhcp_replies;
    uint64_t rejects; /* ICMP errors about what was dropped */
    uint64_t echo_replies;
    uint64_t udp_in; /* datagrams given to the callback */
};

struct tun {
    struct tun_config config;
    struct tun_ops ops;
    void *ctx;                 /* for ops */
    struct tcp_engine *engine; /* borrowed */
    struct hosts hosts;
    struct fast_known known4[FAST_KNOWN], known6[FAST_KNOWN];
    struct ipv6_scope scope6; /* the configuration's IPv6 addresses, as tun/ipv6.h wants them */
    struct ra_schedule ra;
    struct mld_schedule mld;
    struct seek seek; /* addresses that we asked for */
    struct dhcp dhcp; /* if the configuration says so */
    uint64_t now;     /* of the frame being looked at, microseconds */
    struct tun_counters counters;
    struct drops drops;
};

/* Set up. `config` and `ops` are copied; `engine` is borrowed and may be given later by setting tun->engine, before
 * the first frame. `tun` must stay where it is. 0, -EINVAL (a configuration that makes no sense) or -ENOMEM. */
int tun_init(struct tun *tun, const struct tun_config *config, const struct tun_ops *ops, void *ctx,
             struct tcp_engine *engine);

void tun_fini(struct tun *tun);

/* The link came up: the gateway's addresses are announced (output_announce()), and advertising begins if it is to. */
void tun_link_up(struct tun *tun, uint64_t now);

/* Before the gateway goes: say that it is no router any more (RFC 4861 6.2.5). */
void tun_link_down(struct tun *tun);

/* Send what is due by itself. When to call this next, in *at (microseconds); false if never. */
void tun_advance(struct tun *tun, uint64_t now);
bool tun_next_deadline(const struct tun *tun, uint64_t *at);

/* True if `addr` is of the workstation network or of its link: what is there is never to be reached from anywhere else. */
bool tun_is_local(const struct tun *tun, const struct ipaddr *addr);

/* The number of the workstation with this address, which is asked for if it is not known. 0 and *number; -EAGAIN: it was asked
 * for, come back; -EHOSTUNREACH: nobody answers, in three seconds, or nobody may have this address; -ENOBUFS: too many are asked
 * for. Asks at most once a second, and as long as somebody calls this. */
int tun_seek(struct tun *tun, const struct ipaddr *addr, uint64_t now, uint32_t *number);

/* One frame of the workstation network, offload header first. `now` in microseconds, of the engine's clock. The bytes
 * must stay as they are until tcp_flush(). */
void tun_input(struct tun *tun, struct bytes raw, uint64_t now);

#endif
