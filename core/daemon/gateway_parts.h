/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of the gateway, built in their order and taken down the other way round.
 */
#ifndef CLOISTER_DAEMON_GATEWAY_PARTS_H
#define CLOISTER_DAEMON_GATEWAY_PARTS_H

struct gateway;

/* Build every part. 0, or negative errno with *step set to a static text; then nothing is left to undo. */
int gateway_parts_init(struct gateway *g, const char **step);

void gateway_parts_fini(struct gateway *g);

#endif
