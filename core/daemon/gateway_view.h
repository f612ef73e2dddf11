/* SPDX-License-Identifier: BSD-3-Clause */
/* What the gateway shows of itself when the supervisor asks. */
#ifndef CLOISTER_DAEMON_GATEWAY_VIEW_H
#define CLOISTER_DAEMON_GATEWAY_VIEW_H

#include "daemon/gateway.h"
#include "daemon/view.h"

/* Answer a question, at `now` microseconds, between turns. False if it is none. *out is zeroed first, so that nothing
 * else leaves the process with it. */
bool gateway_view(struct gateway *g, const struct view_ask *ask, uint64_t now, struct view *out);

#endif
