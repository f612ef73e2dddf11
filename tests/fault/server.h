/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What Tor is to the gateway: a SOCKS5 server on a pathname socket, here in the same thread and without waiting. A
 * stream to port 1000 + k carries the known bytes of flow k; one to port 53 is a DNS resolver's; a name resolves.
 */
#ifndef CLOISTER_TESTS_FAULT_SERVER_H
#define CLOISTER_TESTS_FAULT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVER_STREAMS 64u
#define SERVER_FLOWS 32u
#define SERVER_PORT 1000u

/* What flow k is to carry, and did. */
struct server_flow {
    uint32_t up_phase, down_phase; /* content.h */
    int64_t up_total, down_total;
    int64_t up, down; /* bytes so far, of its last stream */
};

struct server {
    int listener;
    struct server_flow flow[SERVER_FLOWS];
    struct server_stream {
        int fd; /* -1: free */
        bool asked;
        bool told;
        uint8_t command;
        uint16_t port;
        size_t have;
        uint8_t request[1024];
    } stream[SERVER_STREAMS];
    const char *broken; /* a byte that must not be, static; NULL */
};

void server_open(struct server *server, const char *path);
void server_close(struct server *server);

/* Take in what came, say what there is to say. True if anything moved. */
bool server_step(struct server *server);

#endif
