/* SPDX-License-Identifier: BSD-3-Clause */
/* How probes are added, for the files that the matrix consists of. */
#ifndef CLOISTER_LEAKTEST_MATRIX_ADD_H
#define CLOISTER_LEAKTEST_MATRIX_ADD_H

#include "leaktest/matrix.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MATRIX_GATEWAY ((const uint8_t *)NULL)     /* the MAC address that most frames go to */
#define MATRIX_PLAIN ((const struct around *)NULL) /* nothing around the mark */

/* Bytes before the mark, and zeros behind it. */
struct around {
    const void *head;
    size_t head_n;
    size_t zeros;
};

extern const uint8_t matrix_everybody[6], matrix_nobody[6];

/* The next probe's mark as a piece, with what is around it (NULL: nothing). */
void matrix_body(const struct matrix *m, struct piece *out, const struct around *around);

/* Complete a packet that is the next probe's: source port, identification, ICMP identifier, the addresses that are not
 * set, and the mark for a body. `body` is where it is put, and must live as long as the packet. */
void matrix_complete(const struct matrix *m, struct packet *p, struct piece *body, const struct around *around);

/* Add a probe that is this frame, which has its mark in it. */
__attribute__((format(printf, 5, 6))) void matrix_add_frame(struct matrix *m, enum matrix_group group,
                                                            enum matrix_expected expected,
                                                            const struct piece *frame, const char *name, ...);

/* Add a probe that is this packet, completed, in a frame to `target` (or MATRIX_GATEWAY), with `around` (or MATRIX_PLAIN). */
__attribute__((format(printf, 7, 8))) void matrix_add(struct matrix *m, enum matrix_group group,
                                                      enum matrix_expected expected, const uint8_t *target,
                                                      struct packet packet, const struct around *around,
                                                      const char *name, ...);

/* A datagram of the workstation to the Internet as the next probe's, to be wrapped in something. */
void matrix_inner(const struct matrix *m, struct piece *out, bool six);

/* The last address of the workstations' network. */
struct ipaddr matrix_broadcast(const struct ground *g);

void matrix_add_tcp(struct matrix *m);
void matrix_add_udp(struct matrix *m);
void matrix_add_spoofed(struct matrix *m);
void matrix_add_protocols(struct matrix *m);
void matrix_add_icmp(struct matrix *m);
void matrix_add_forged(struct matrix *m);
void matrix_add_fragments(struct matrix *m);
void matrix_add_options(struct matrix *m);
void matrix_add_headers(struct matrix *m);
void matrix_add_ipv6(struct matrix *m);
void matrix_add_icmp6(struct matrix *m);
void matrix_add_headers6(struct matrix *m);
void matrix_add_link(struct matrix *m);
void matrix_add_arp(struct matrix *m);
void matrix_add_addressed(struct matrix *m);
void matrix_add_names(struct matrix *m);
void matrix_add_stolen(struct matrix *m);

#endif
