/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames that nobody thought of: those of the matrix, damaged by a seeded generator. Half of them get right checksums
 * again, or hardly any would come far. Whatever happens to a frame, its mark stays. */
#ifndef CLOISTER_LEAKTEST_MUTANT_H
#define CLOISTER_LEAKTEST_MUTANT_H

#include "leaktest/matrix.h"

struct mutator {
    const struct matrix *matrix; /* borrowed */
    uint64_t state;              /* of the generator */
};

/* The same matrix and seed make the same frames, one after the other. */
void mutator_init(struct mutator *m, const struct matrix *matrix, uint64_t seed);
void mutator_next(struct mutator *m, struct piece *frame);

#endif
