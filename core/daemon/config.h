/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration file, cloister.conf(5), read and checked before anything is touched.
 *
 * INI by libinih. Every section, key and value that is not understood is refused, with file, line and key and what
 * to write instead. A new key is a field here and a line in the table of config_key.c.
 */
#ifndef CLOISTER_DAEMON_CONFIG_H
#define CLOISTER_DAEMON_CONFIG_H

#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "daemon/config_onion.h"
#include "daemon/config_value.h"
#include "daemon/log.h"
#include "socks/policy.h"
#include "socks/ports.h"
#include "tun/dhcp.h"
#include "tun/tun.h"

#define CONFIG_PATH_MAX 192u    /* bytes of a path, its NUL byte included: a line holds no more */
#define CONFIG_SOCKET_MAX 108u  /* the same for a socket's path, as in sockaddr_un */
#define CONFIG_RESOLVE_MAX 256u /* bytes of a list of names */
#define CONFIG_NAME_MAX 33u     /* the same for a user's name */
#define CONFIG_ERROR_MAX 512u   /* bytes that hold any message of config_load() */

#define CONFIG_TORS_MAX 8u

#define CONFIG_ATTACH_MAX 8u /* interfaces in a segment */

/* Where Tor runs. */
enum config_mode {
    CONFIG_MODE_EMBEDDED, /* in a process of our own */
    CONFIG_MODE_EXTERNAL, /* elsewhere: a SOCKS5 listener on a pathname socket */
};

/* What to do with connections while Tor is not up yet. */
enum config_until_ready {
    CONFIG_UNTIL_READY_HOLD,   /* let some wait, in silence */
    CONFIG_UNTIL_READY_REFUSE, /* reset them */
};

/* What the SOCKS server is told of a workstation's FIN. */
enum config_half_close {
    CONFIG_HALF_CLOSE_KEEP,    /* nothing: Tor would end the stream both ways */
    CONFIG_HALF_CLOSE_FORWARD, /* that nothing follows */
};

/* When the workstation's SYN is answered. */
enum config_accept {
    CONFIG_ACCEPT_DEFERRED,   /* when the SOCKS stream is open */
    CONFIG_ACCEPT_OPTIMISTIC, /* at once */
};

/* What to do where the kernel lacks a piece of what locks the processes in. */
enum config_hardening {
    CONFIG_HARDENING_STRICT,      /* do not start */
    CONFIG_HARDENING_BEST_EFFORT, /* say so, and go on */
};

/* What a workstation is told for a name. */
enum config_answers {
    CONFIG_ANSWERS_VIRTUAL, /* a virtual address, at once */
    CONFIG_ANSWERS_RESOLVE, /* the one that a Tor exit finds */
};

/* Which ports applications find on the gateway's address. */
enum config_ports {
    CONFIG_PORTS_NONE,   /* those with a section of their own */
    CONFIG_PORTS_WHONIX, /* a Whonix-Gateway's, too */
};

#define CONFIG_RATE_AUTO UINT32_MAX
#define CONFIG_RATE_EMBEDDED 10u /* what `auto` is with the embedded Tor */

#define CONFIG_LEASES_MAX 64u

/* As many as there are lines. */
struct config_leases {
    uint32_t count;
    struct dhcp_fixed lease[CONFIG_LEASES_MAX];
};

#define CONFIG_STATIONS_MAX 64u

/* The same. */
struct config_stations {
    uint32_t count;
    struct tun_station station[CONFIG_STATIONS_MAX];
};

/* Who is served. */
enum config_served {
    CONFIG_SERVED_ANY,    /* whoever uses an address first has it */
    CONFIG_SERVED_LISTED, /* the addresses of workstation.station and workstation.dhcp_lease */
};

#define CONFIG_ADDRESSES_OF_MAC 16u /* that one MAC address may have at once */

/* Where keys were set whose values are looked at later: line numbers, 0: nowhere. */
struct config_lines {
    int torrc;
    int user, tor_user, gateway_user, control_group;
    int flows, buffers;
};

struct config {
    const char *file; /* as config_load() was given it: borrowed */
    struct config_lines line;

    /* [workstation] */
    char device[IFNAMSIZ]; /* name of the TAP */
    char bridge[IFNAMSIZ]; /* existing bridge to join, or empty */
    char attach[CONFIG_ATTACH_MAX]
               [IFNAMSIZ]; /* interfaces to take into a segment of their own; the rest is empty */
    bool isolate_clients;  /* shall those exchange no frames with one another? */
    struct ipnet network;  /* the gateway's own address with the length of the network it lies in */
    struct ipnet network6; /* the same for IPv6; len 0: none, IPv6 is dropped */
    bool ra;               /* send router advertisements */
    struct ipaddr dhcp[2]; /* first and last address to lease, or zeros: none */
    struct config_leases dhcp_leases;
    struct config_stations stations;
    enum config_served served;
    struct ipnet visitors;  /* where visitors of onion services have their addresses, with source = circuit */
    struct ipnet visitors6; /* the same for IPv6 */
    bool reject;            /* tell workstations what is dropped */
    uint32_t mtu;           /* bytes of an IP packet on the TAP */
    uint8_t mac[6];         /* the gateway's own, or zeros: drawn at start */
    bool offload;           /* checksum and segmentation offload on the TAP */

    /* [tor] */
    enum config_mode mode;
    char socks[CONFIG_TORS_MAX][CONFIG_SOCKET_MAX]; /* paths of the SOCKS sockets, the rest empty; external only */
    uint32_t instances;                             /* of Tor; embedded only */
    char data[CONFIG_PATH_MAX];                     /* data directory */
    char torrc[CONFIG_PATH_MAX];                    /* file with extra lines, or empty */
    bool allow_private;                             /* connect to addresses that are not the Internet's, too? */
    bool sandbox;                                   /* may Tor filter its own system calls? */
    uint32_t connect_timeout;                       /* s a stream may take to open */

    /* [onion "name"] */
    struct config_onions onions;

    /* [isolation] */
    unsigned isolation;                     /* set of enum isolation_field */
    struct isolation_rules isolation_rules; /* and where another one holds */
    uint32_t isolation_lifetime;            /* s after which an identity is a new one, 0: never */
    uint32_t identity_rate;  /* new identities per second; 0: no limit, CONFIG_RATE_AUTO: as suits the mode */
    uint32_t identity_burst; /* and at once */

    /* [dns] */
    struct ipnet virtual_net;  /* where virtual addresses are taken from */
    struct ipnet virtual_net6; /* the same for IPv6; len 0: none, there are no AAAA records */
    uint32_t virtual_ttl;      /* s a workstation may keep one */
    enum config_answers answers;
    char resolve[CONFIG_RESOLVE_MAX];  /* names whose real address is found in any case, as config_value_names() */
    struct config_addresses resolvers; /* for other types, asked through Tor */

    /* [tcp] */
    enum config_accept accept;
    enum config_until_ready until_ready;
    enum config_half_close half_close;
    uint32_t half_close_timeout; /* s without a byte from Tor, after the workstation's FIN */
    uint32_t idle_timeout;       /* s without a segment either way */
    bool transparent;            /* may workstations connect to any address as if there were no Tor? */
    struct config_networks transparent_except; /* workstations for which the opposite holds */

    /* [ports] */
    enum config_ports socks_ports;
    bool control_port; /* a filtered control port for workstations */
    /* [socks-port "..."] */
    struct socks_ports ports;
    uint8_t port_keys[SOCKS_PORTS_MAX]; /* which keys of each were there */

    /* [limits] */
    uint32_t flows;                  /* at once, in all */
    uint32_t workstation_flows;      /* the same for one workstation */
    uint32_t connecting;             /* flows whose stream is not open yet, in all */
    uint32_t workstation_syns;       /* new flows of one workstation per second, and at once */
    uint32_t workstation_connecting; /* the same for one workstation */
    uint32_t buffers;                /* MiB for data under way to workstations, or out of order */
    uint32_t workstations;           /* known at once */
    uint32_t workstation_idle;       /* s of silence until another may take its address */
    uint32_t names;                  /* with a virtual address at once; a long one counts for several */
    uint32_t queries;                /* DNS queries per second and workstation, 0: no limit */

    /* [process] */
    char user[CONFIG_NAME_MAX];         /* of the supervisor after set-up; a name or a number, or empty */
    char tor_user[CONFIG_NAME_MAX];     /* of the embedded Tor */
    char gateway_user[CONFIG_NAME_MAX]; /* of the gateway */

    char control[CONFIG_SOCKET_MAX];     /* path of the control socket, or empty: none */
    char control_group[CONFIG_NAME_MAX]; /* whose members may use it beside root; a name or a number, or empty */
    char metrics[CONFIG_SOCKET_MAX];     /* path of a socket, or a loopback address with a port; or empty: none */

    enum config_hardening hardening;

    /* [log] */
    enum log_level level;
    bool identities; /* may the log hold addresses and names of workstations and their peers? */
};

/* Read and check `file` into *config, defaults included. 0, or negative errno with a message of the form
 * `file:line: section.key: what is wrong and what to do` in `error` (CONFIG_ERROR_MAX bytes); *config is then
 * undefined. */
int config_load(struct config *config, const char *file, char *error);

/* Write a message of the same form about a key that was set at `line` of the file, or nowhere (0). */
__attribute__((format(printf, 4, 5))) void config_say(const struct config *config, int line, char *error,
                                                      const char *format, ...);
__attribute__((format(printf, 4, 0))) void config_say_list(const struct config *config, int line, char *error,
                                                           const char *format, va_list args);

/* Check that the files which the configuration names are there. 0, or negative errno with a message as above. */
int config_check_files(const struct config *config, char *error);

#endif
