/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet sockets, and the network namespaces that they are opened in. */
#ifndef CLOISTER_LEAKTEST_WIRE_H
#define CLOISTER_LEAKTEST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WIRE_MAX 66000u /* bytes of what one read can return: the kernel's super-frames */

struct wire {
    int fd;          /* -1: closed */
    uint64_t missed; /* frames that the kernel dropped because we were slow */
};

/* Where a frame was seen. */
struct wire_frame {
    unsigned interface; /* index */
    bool outgoing;
    bool ethernet; /* it begins with an Ethernet header; else it is a packet */
    uint16_t type; /* EtherType of the packet */
    size_t n;
};

/* Open on an interface of the namespace of the caller, or (0) on all of them. Does not block. 0 or negative errno. */
int wire_open(struct wire *w, unsigned interface);
void wire_close(struct wire *w);

/* Read a frame into `out` (WIRE_MAX bytes). 1; 0: there is none now; or negative errno. */
int wire_read(struct wire *w, uint8_t *out, struct wire_frame *frame);

/* Send an Ethernet frame. 0; -EAGAIN: the queue is full; or negative errno. */
int wire_send(struct wire *w, const uint8_t *frame, size_t n);

/* Ask the kernel what it dropped: `missed` counts it. */
void wire_count(struct wire *w);

/* The network namespace of the caller, of a process, or a new empty one that nobody is in: a descriptor or negative
 * errno. */
int wire_namespace(void);
int wire_namespace_of(pid_t pid);
int wire_namespace_new(void);

/* Go to a namespace. 0 or negative errno. */
int wire_enter(int namespace);

/* The MAC address and MTU of an interface of the caller's namespace. 0 or negative errno. */
int wire_mac(const char *interface, uint8_t mac[6]);
int wire_mtu(const char *interface, uint32_t *mtu);

#endif
