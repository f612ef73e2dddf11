/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One copy of a flow, being played: the client's TCP on one side of the gateway and the server's application on the
 * other. Sans-IO.
 *
 * The client says what the script says, with live sequence numbers: it waits for as many bytes of the server as the real
 * one had seen, keeps to the gateway's window, and acknowledges where the real one did, or earlier when that is what
 * the gateway waits for. It has a receive buffer without end. Nothing is expected to be lost; after a silence,
 * player_repeat() says again what was not acknowledged.
 */
#ifndef CLOISTER_BENCH_PLAYER_H
#define CLOISTER_BENCH_PLAYER_H

#include "replay/script.h"

#define PLAYER_FRAME_MAX 1600u /* bytes of the longest frame: offload header, Ethernet, IP packet of 1500 bytes */

enum player_state { PLAYER_NEW, PLAYER_SYN_SENT, PLAYER_OPEN, PLAYER_DONE, PLAYER_FAILED };

struct player {
    const struct script *script;
    uint32_t number;   /* of the copy: makes its addresses and ports */
    uint32_t step;     /* of the script, next */
    uint32_t iss, irs; /* sequence numbers of the two SYNs */
    uint32_t sent;     /* bytes of the client that left */
    uint32_t una;      /* of these, acknowledged (its FIN counts as one) */
    uint32_t edge;     /* where the gateway's window ends, in bytes of the client */
    uint32_t received; /* bytes of the server that came, its FIN counting as one */
    uint32_t acked;    /* of these, acknowledged to the gateway */
    uint32_t released; /* bytes that the server wrote */
    uint32_t read;     /* of these, read by the gateway */
    uint32_t taken;    /* bytes of the client that reached the server */
    uint32_t tsecr;    /* newest timestamp of the gateway */
    uint8_t shift;     /* the gateway's window scale */
    enum player_state state;
    bool timestamps; /* agreed */
    bool fin_sent;
    bool fin_received;
    bool server_closed; /* the server wrote its last */
    bool answer_now;    /* an ACK is owed at once */
    bool news;          /* the server wrote or closed since the gateway last asked */
    bool listed;        /* for whoever keeps a list of those with news */
    uint64_t handle;    /* the gateway's, for whoever plays it */
    uint64_t began;     /* time of the SYN */
    uint64_t heard;     /* time of the last word of the gateway */
};

/* How frames are addressed. */
struct player_link {
    uint8_t gateway_mac[6], client_mac[6];
    uint32_t client;     /* address of the workstation: the copies beyond 60,000 use the next ones */
    uint32_t server;     /* address of the first copy's server; the next ones' follow if `spread` */
    bool spread;         /* each copy has a server of its own */
    uint16_t fixed_port; /* all servers listen there, 0: as in the capture */
};

/* The next frame of the client: its length, or 0 if it has nothing to say now. `frame` has PLAYER_FRAME_MAX bytes.
 * Moves the server along, too. */
size_t player_next(struct player *p, const struct player_link *link, uint64_t now_us, uint8_t *frame);

/* If something was sent and not acknowledged: the frame that says it again, or 0. */
size_t player_repeat(struct player *p, const struct player_link *link, uint64_t now_us, uint8_t *frame);

/* A packet of the gateway for this client, from its IP header on, which was found to be TCP over IPv4. */
void player_input(struct player *p, const uint8_t *ip, size_t len, uint64_t now_us);

/* The server's side: it got these bytes. False: they are not what the client sent. */
bool player_take(struct player *p, const uint8_t *data, size_t len);

/* Bytes that the server has to say now; *end: and that is all. */
size_t player_readable(const struct player *p, bool *end);

/* The copy that a packet of the gateway is for. */
uint32_t player_number(const struct player_link *link, const uint8_t *ip);

#endif
