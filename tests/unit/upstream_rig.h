/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The upstream between a SOCKS server in the same process, on a pathname socket, and an engine that is a list of
 * what it was told. Everything on a UNIX socket happens at once, so that nothing waits or sleeps.
 */
#ifndef CLOISTER_TESTS_UPSTREAM_RIG_H
#define CLOISTER_TESTS_UPSTREAM_RIG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "socks/upstream.h"

#define FLOWS_MAX 1024u

/* What Tor usually answers, what a server answers that answers each message, and the same with other addresses. */
#define ANSWER_SHORT "\x01\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
#define ANSWER_FULL "\x05\x02" ANSWER_SHORT
#define ANSWER_V6 "\x01\x00\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ANSWER_NAME                                                                                                \
    "\x05\x02\x01\x00\x05\x00\x00\x03\x05"                                                                         \
    "a.org\x01\xbb"

/* --- the engine --- */

enum kind { CONNECTED, FAILED, READABLE, WRITABLE, RESET };

struct told {
    enum kind kind;
    struct tcp_flow_id id;
    size_t room;
    enum tcp_refusal why;
};
extern struct told told[4 * FLOWS_MAX];
extern unsigned told_count;
extern void (*on_readable)(struct tcp_flow_id id); /* what the engine does then, if anything */

/* Entry `i` of the list is of this kind and about this flow, with the generation that flow() gives it. */
void assert_told(unsigned i, enum kind kind, uint32_t index);

/* --- the server --- */

extern char socket_path[96];
extern int listener;

void server_listen(int backlog);
void server_end(void); /* and the socket's file is gone */

/* A connection that waits, and what its first recv() gives. Returns the descriptor. */
int server_accept(uint8_t request[SOCKS_REQUEST_MAX], ssize_t *len);

/* The same, when the request is of no interest. */
int server_take(void);

void server_say(int fd, const void *data, size_t n);
#define SAY(fd, s) server_say((fd), (s), sizeof(s) - 1)

/* Read all there is. Returns how much it was. */
size_t server_drain(int fd);

/* --- the upstream under test --- */

extern struct socks_upstream *up;
extern struct socks_upstream_config config; /* may be changed before rig_start() */
extern struct drops drops;
extern uint64_t clock_now;
extern uint32_t done_tags[2 * FLOWS_MAX];
extern unsigned done_count;

int rig_setup(void **state);
int rig_teardown(void **state);
void rig_start(void);
#define UPSTREAM_TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

struct tcp_flow_id flow(uint32_t index);
struct tcp_tuple tuple_of(uint16_t src_port);

/* From workstation 3, port 40000 + index, to 203.0.113.5 port 443. */
int open_flow(uint32_t index);

int dispatch(void);

/* Open a flow and have it answered; the engine's list is empty before and afterwards. Returns the server's
 * descriptor. */
int open_answered(uint32_t index);

ssize_t write_flow(uint32_t index, const void *data, size_t n, size_t *room);
ssize_t read_flow(uint32_t index, void *data, size_t n);

/* As the engine reads: `piece` bytes at a time, until there is no more. Returns what that said (0 or negative errno), or
 * 1 if `size` did not suffice; *n is how much came. */
ssize_t read_until(uint32_t index, void *data, size_t size, size_t piece, size_t *n);

/* Raise the limit of descriptors to `n` if it is lower and may be raised. */
void allow_descriptors(unsigned n);

#endif
