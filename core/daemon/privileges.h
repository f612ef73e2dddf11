/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Giving up privileges, for all processes. Every step is checked; the first that fails is named and ends the
 * process. None of these steps can be taken back.
 */
#ifndef CLOISTER_DAEMON_PRIVILEGES_H
#define CLOISTER_DAEMON_PRIVILEGES_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/channel.h"

/* Become `identity`, keeping the capabilities in the mask `keep` (1 << CAP_...) and no other: bounding, inheritable and
 * ambient sets are emptied, new privileges are off for ever, no core is dumped and nobody may trace. 0, or negative
 * errno with *step set to a static text. */
int privileges_drop(const struct channel_identity *identity, uint64_t keep, const char **step);

/* Keep of the capabilities held only those in the mask. 0 or negative errno. */
int privileges_keep(uint64_t keep);

/* True if what is held of capabilities is `keep` and no more, the bounding set is empty, new privileges are off, and
 * nobody may trace. */
bool privileges_are(uint64_t keep);

/* The same of none at all. */
bool privileges_are_none(void);

/* End with the parent, whatever it dies of; to be called after the last change of identity, which would undo it. The
 * parent must not have ended before: `end` is the channel to it. 0, -ESRCH if it has, or negative errno. */
int privileges_follow_parent(int end);

#endif
