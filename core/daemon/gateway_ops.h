/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the layers ask of the gateway. The TCP engine asks the upstream of a flow, which is Tor or a service of the
 * gateway's own; the link asks where its frames go, and what to do with datagrams.
 */
#ifndef CLOISTER_DAEMON_GATEWAY_OPS_H
#define CLOISTER_DAEMON_GATEWAY_OPS_H

#include "tcp/engine.h"
#include "tun/tun.h"

/* Both are called with the gateway as their context. */
extern const struct tcp_ops gateway_tcp_ops;
extern const struct tun_ops gateway_tun_ops;

#endif
