/* SPDX-License-Identifier: BSD-3-Clause */
/* Pairs of interfaces, what one says comes in at the other. In the network namespace of the caller; needs CAP_NET_ADMIN. */
#ifndef CLOISTER_LEAKTEST_VETH_H
#define CLOISTER_LEAKTEST_VETH_H

/* Make a pair: `name` here, `peer` in another namespace; both are down. 0 or negative errno. */
int veth_make(const char *name, const char *peer, int peer_namespace);

/* Make a bridge that asks nobody which groups he listens to; it is down. 0 or negative errno. */
int veth_make_bridge(const char *name);

/* Remove an interface, and its peer with it. 0 or negative errno. */
int veth_remove(const char *name);

#endif
