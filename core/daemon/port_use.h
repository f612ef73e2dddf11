/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which source ports of which workstation are in use by live flows.
 *
 * A kernel may use one local port for several connections at once, as long as they go to different places. With the
 * policy `source-port` they would be one identity, and share a circuit, though nobody meant them to. So a flow whose
 * source port is taken already gets an identity of its own; a port that is used again later does not.
 */
#ifndef CLOISTER_DAEMON_PORT_USE_H
#define CLOISTER_DAEMON_PORT_USE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct port_use_slot {
    uint64_t key;   /* host and port; 0: free */
    uint64_t count; /* live flows */
};

/* A hash table with linear probing over memory of the caller, at most half full. */
struct port_use {
    struct port_use_slot *slots;
    uint32_t mask; /* slots - 1 */
};

/* Bytes of zeroed memory for up to `flows` live flows. */
size_t port_use_size(uint32_t flows);

/* Begin with an empty table in `memory`, which the caller owns. */
void port_use_init(struct port_use *use, void *memory, uint32_t flows);

/* A flow begins. Returns how many others live from the same port of the same workstation. */
uint64_t port_use_take(struct port_use *use, uint32_t host, uint16_t port);

/* The flow is over. Once for each port_use_take(). */
void port_use_give(struct port_use *use, uint32_t host, uint16_t port);

#endif
