/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages between the supervisor and its two children, over a SOCK_SEQPACKET socket pair.
 *
 * Each type has one length and one number of descriptors, written down in one table. A message that is anything else
 * is an error for which the receiver ends: its peer is not the program it should be.
 */
#ifndef CLOISTER_DAEMON_CHANNEL_H
#define CLOISTER_DAEMON_CHANNEL_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ipaddr.h"
#include "daemon/config.h"
#include "daemon/counters.h"
#include "daemon/log.h"
#include "daemon/view.h"

enum channel_type {
    CHANNEL_GATEWAY_CONFIG = 1, /* supervisor to gateway, first: struct channel_gateway_config and the TAP */
    CHANNEL_ONION_PORT,         /* supervisor to gateway, next: struct channel_onion_port and its listener */
    CHANNEL_TOR_CONFIG,         /* supervisor to tor, first: struct channel_tor_config and the control connection */
    CHANNEL_KEEPER_CONFIG, /* supervisor to keeper, first: struct channel_keeper_config and the host's namespace */
    CHANNEL_SEGMENT,       /* keeper to supervisor: the segment's namespace, with the interfaces in it */
    CHANNEL_READY,         /* gateway to supervisor: locked in */
    CHANNEL_LINK_UP,       /* supervisor to gateway: the TAP is up */
    CHANNEL_TOR_STATE,     /* supervisor to gateway: struct channel_tor_state */
    CHANNEL_STREAMS_ENDED, /* supervisor to gateway: struct channel_streams_ended */
    CHANNEL_TOR_LOAD,      /* supervisor to gateway: struct channel_tor_load */
    CHANNEL_ASK_COUNTERS,  /* supervisor to gateway */
    CHANNEL_ASK_VIEW,      /* supervisor to gateway: struct view_ask */
    CHANNEL_VIEW,          /* gateway to supervisor: struct view, when asked */
    CHANNEL_COUNTERS,      /* gateway to supervisor: struct counters; when asked, and before it stops */
    CHANNEL_STOP,          /* supervisor to gateway: reset all flows and end; to keeper: give back and end */
    CHANNEL_TYPE_END,
};

#define CHANNEL_FD 3           /* where a child finds its end */
#define CHANNEL_GROUPS_MAX 2u  /* supplementary groups of a child */
#define CHANNEL_BODY_MAX 6144u /* bytes of the longest body */

/* Who a child becomes. */
struct channel_identity {
    uid_t uid;
    gid_t gid;
    uint32_t group_count;             /* of the next */
    gid_t groups[CHANNEL_GROUPS_MAX]; /* supplementary */
};

/* All that the gateway is told. */
struct channel_gateway_config {
    struct channel_identity identity;
    enum log_level log_level;
    bool log_identities;
    bool best_effort;                         /* hardening.h */
    char socket_directory[CONFIG_SOCKET_MAX]; /* what its root holds, absolute */
    char socket_name[CONFIG_SOCKET_MAX];      /* of the SOCKS socket in there */
    uint32_t others;                          /* of the next: SOCKS sockets of other Tors */
    char other_name[CONFIG_TORS_MAX - 1][CONFIG_SOCKET_MAX];
    struct ipnet network; /* as the fields of struct config from here on */
    struct ipnet network6;
    bool ra;
    struct ipaddr dhcp[2];
    struct config_leases dhcp_leases;
    struct config_stations stations;
    bool stations_only;
    bool reject;
    uint32_t mtu;
    uint8_t mac[6];
    unsigned offload; /* enum device_offload, or'ed: what the TAP does */
    unsigned isolation;
    struct isolation_rules isolation_rules;
    uint32_t isolation_lifetime;
    uint32_t identity_rate; /* 0: no limit */
    uint32_t identity_burst;
    struct socks_ports ports;
    bool control_port;
    bool transparent;
    struct config_networks transparent_except;
    struct ipnet virtual_net;
    struct ipnet virtual_net6;
    uint32_t virtual_ttl;
    enum config_answers answers;
    char resolve[CONFIG_RESOLVE_MAX];
    struct config_addresses resolvers;
    bool allow_private;
    bool optimistic;
    bool judged; /* the supervisor will say how streams ended */
    uint32_t connect_timeout;
    bool half_close; /* tell the SOCKS server of a workstation's FIN */
    uint32_t half_close_timeout;
    uint32_t idle_timeout;
    uint32_t flows;
    uint32_t workstation_flows;
    uint32_t connecting;
    uint32_t workstation_connecting;
    uint32_t workstation_syns;
    bool hold_until_ready;
    uint32_t buffers;
    uint32_t workstations;
    uint32_t workstation_idle;
    uint32_t names;
    uint32_t queries;
    struct ipnet visitors;
    struct ipnet visitors6;
    uint32_t onion_ports; /* so many messages of CHANNEL_ONION_PORT follow */
};

/* A port of an onion service. */
struct channel_onion_port {
    uint32_t onion;   /* index of the service */
    uint32_t flows;   /* visitors' streams that the service may have at once */
    struct ipaddr to; /* the workstation */
    uint16_t to_port;
    bool circuit; /* visitors have addresses of their own */
};

/* All that the embedded Tor's process is told. */
struct channel_tor_config {
    struct channel_identity identity;
    enum log_level log_level;
    char data[CONFIG_PATH_MAX];    /* Tor's data directory */
    char socks[CONFIG_SOCKET_MAX]; /* path of its SOCKS socket */
    uint32_t instance; /* number of this Tor; from 1 on it is not the one that the torrc's listeners are for */
    char torrc[CONFIG_PATH_MAX];             /* file with the user's lines, or empty */
    bool sandbox;                            /* as in struct config */
    bool best_effort;                        /* hardening.h */
    char onion_directory[CONFIG_SOCKET_MAX]; /* of the sockets of onion_listen.h */
    struct config_onions onions;             /* as in struct config */
};

/* All that the keeper is told. */
struct channel_keeper_config {
    struct channel_identity identity;
    enum log_level log_level;
    bool best_effort;      /* hardening.h */
    bool isolate_clients;  /* as in struct config */
    uint32_t attach_count; /* of the next */
    char attach[CONFIG_ATTACH_MAX][IFNAMSIZ];
};

/* As struct tor_monitor_ops tells. */
struct channel_tor_load {
    uint32_t building;
    uint32_t refused; /* 0 or 1 */
};

struct channel_tor_state {
    bool bootstrapped;
};

/* What Tor says of streams that came to their end by something else than our closing them. */
#define CHANNEL_ENDED_MAX 64u
struct channel_streams_ended {
    uint32_t count;                  /* of the next, from 1 */
    uint64_t key[CHANNEL_ENDED_MAX]; /* isolation_credential_key() */
    bool clean[CHANNEL_ENDED_MAX];   /* the far end closed in good order */
};

/* A message that came. */
struct channel_message {
    enum channel_type type;
    int fd; /* the descriptor that came with it, close-on-exec, the receiver's to close; -1 if none belongs to it */
    size_t length;
    union {
        struct channel_gateway_config gateway_config;
        struct channel_onion_port onion_port;
        struct channel_tor_config tor_config;
        struct channel_keeper_config keeper_config;
        struct channel_tor_state tor_state;
        struct channel_tor_load tor_load;
        struct channel_streams_ended streams_ended;
        struct counters counters;
        struct view_ask view_ask;
        struct view view;
        uint8_t bytes[CHANNEL_BODY_MAX];
    };
};

/* Make both ends, close-on-exec. 0 or negative errno. */
int channel_pair(int ends[2]);

/* Send a message without waiting. `body` is what the type says, NULL if it has none; `fd` likewise, or -1, and stays the
 * caller's. 0, -EINVAL if body or descriptor do not fit the type, or what sendmsg() says (-EAGAIN: the peer does not
 * read; -EPIPE: it is gone). */
int channel_send(int end, enum channel_type type, const void *body, int fd);

/* Receive a message. 1 and *message; 0 if the peer has closed its end; -EAGAIN on a non-blocking end without one; -EPROTO
 * for a malformed one, whose descriptors are closed. Strings in a body are NUL-terminated in their arrays. */
int channel_receive(int end, struct channel_message *message);

#endif
