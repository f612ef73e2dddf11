/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments in words: what "<" injects and ">" expects. */
#ifndef CLOISTER_TESTS_TCP_WORDS_H
#define CLOISTER_TESTS_TCP_WORDS_H

#include "expr.h"
#include "rig.h"

/* Build a segment of `peer` from the words after "<" and hand it to the engine. */
void words_inject(struct rig *rig, const struct names *names, struct peer *peer, char *words[], unsigned count);

/* Compare the oldest queued segment, which must be there, with the words after ">", and forget it. */
void words_expect(struct rig *rig, const struct names *names, const struct peer *peer, char *words[],
                  unsigned count);

/* A queued segment in the script's notation. Static memory. */
const char *words_of(const struct sent *sent);

#endif
