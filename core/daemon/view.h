/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the supervisor may ask the gateway to show of its state, in pieces of bounded size, and what it believes of the
 * answers.
 *
 * A view is asked for from a cursor on, and answered with a piece and the next cursor, until that is 0: no piece takes the
 * packet path longer than VIEW_LOOKS looks, and nobody keeps a snapshot. Flows that come and go meanwhile are shown or
 * not; one that stays is shown once.
 *
 * The gateway may be in the hands of a stranger. It can lie about its own flows; it can do no harm with that. So nothing in
 * a view is a pointer, a bool or an enum, and view_is_valid() has been asked before anything of it is used.
 */
#ifndef CLOISTER_DAEMON_VIEW_H
#define CLOISTER_DAEMON_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "daemon/counters.h"

#define VIEW_LOOKS 2048u /* slots that are looked at for one piece */
#define VIEW_FLOWS_MAX 12u
#define VIEW_WORKSTATIONS_MAX 16u
#define VIEW_ADDRESSES_MAX 16u /* of a workstation */
#define VIEW_ONIONS_MAX 16u
#define VIEW_NEVER UINT64_MAX
#define VIEW_CURSOR_MAX 262144u /* as many slots as limits.flows may ask for */
#define VIEW_NAME_MAX 256u      /* bytes of a name, its NUL byte included */

enum view_kind {
    VIEW_STATUS = 1,
    VIEW_FLOWS,
    VIEW_WORKSTATIONS,
    VIEW_NEWNYM, /* no look: new identities from now on; one record that says nothing, or none: no such workstation */
    VIEW_KIND_END,
};

struct view_ask {
    uint32_t kind;             /* enum view_kind */
    uint32_t ticket;           /* comes back with the answer */
    uint32_t cursor;           /* where to go on; 0: from the beginning */
    struct ipaddr workstation; /* VIEW_NEWNYM: whose; zeros: everybody's */
};

struct view_status {
    struct counters counters;
    uint64_t connecting;        /* flows that are not open yet */
    uint64_t flows;             /* flows in the table, those without a stream included */
    uint64_t workstations;      /* addresses known */
    uint64_t streams_connected; /* answered with success */
    uint64_t streams_refused;   /* answered with something else */
    uint64_t streams_broken;    /* not answered, or not even opened */
    uint64_t ends_judged;       /* ends of streams of which Tor said how they ended */
    uint64_t ends_broken;       /* of these, those that were resets */
    uint64_t ends_waited_us;    /* microseconds they waited for Tor's word, in sum */
    uint64_t ends_unjudged;     /* ends that waited in vain */
    uint64_t budget_rate;       /* new identities a second, as configured; 0: not metered */
    uint64_t budget_rate_now;   /* thousandths of one a second, as learnt */
    uint64_t budget_burst;      /* as configured */
    uint64_t budget_left;       /* that may go at once */
    uint64_t budget_pending;    /* asked for and not answered */
    uint64_t budget_granted;    /* so far */
    uint64_t budget_slowed;     /* how often Tor made it slow down */
};

/* Where a flow leads. */
enum view_way {
    VIEW_WAY_TOR,   /* to a stream of Tor's that is open, or opens */
    VIEW_WAY_DNS,   /* to the gateway's own name server */
    VIEW_WAY_PORT,  /* to a port of the gateway's own, and its client has not said where it is to go */
    VIEW_WAY_ONION, /* from a visitor of an onion service, whom Tor brought */
    VIEW_WAY_NONE,  /* it is over, and only lingers (TIME-WAIT) */
    VIEW_WAY_END,
};

struct view_flow {
    uint64_t key; /* isolation_credential_key(); 0 without a stream */
    uint64_t up_bytes, down_bytes;
    uint32_t age_ms, idle_ms;
    struct ipaddr src, dst; /* dst is zeros unless identities are shown, as are the port and the name */
    uint16_t src_port, dst_port;
    uint16_t gate; /* the gateway's own port by which it came, and dst is what was asked for there, if it was; 0:
                                 none, or not shown, as dst */
    uint8_t onion; /* index of the service whose visitor's it is, from 1; 0: of none */
    uint8_t tcp_state;        /* index of view_tcp_state() */
    uint8_t stream_state;     /* index of view_stream_state() */
    uint8_t way;              /* enum view_way */
    uint8_t identities;       /* 1: destination is shown */
    char name[VIEW_NAME_MAX]; /* where it goes, if it goes to a name */
};

/* One MAC address, with all that it has. */
struct view_workstation {
    struct ipaddr addr[VIEW_ADDRESSES_MAX];
    uint8_t mac[6];
    uint8_t addresses; /* 1 to VIEW_ADDRESSES_MAX */
    uint8_t unused;
    uint32_t flows, connecting;
    uint64_t up_bytes, down_bytes;
    uint64_t idle_ms; /* since its last frame; VIEW_NEVER: none came so far */
};

struct view {
    uint32_t kind;   /* enum view_kind */
    uint32_t ticket; /* of the question */
    uint32_t next;   /* cursor for the next piece, larger than that of this one; 0: this is the last */
    uint32_t count;  /* of the records in it */
    union {
        struct view_status status;
        struct view_flow flows[VIEW_FLOWS_MAX];
        struct view_workstation workstations[VIEW_WORKSTATIONS_MAX];
    };
};

/* True if every number is in range and every string ends. */
bool view_is_valid(const struct view *view);

/* RFC 9293's name of a state, and what a stream does; "unknown" for another index. And back: 0 is "unknown". */
const char *view_tcp_state(uint8_t index);
const char *view_stream_state(uint8_t index);
uint8_t view_tcp_state_index(const char *name);
uint8_t view_stream_state_index(const char *name);

#endif
