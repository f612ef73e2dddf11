/* SPDX-License-Identifier: BSD-3-Clause */
/* The statements of the script language, but for ">", "repeat" and "end", which script.c knows. */
#ifndef CLOISTER_TESTS_TCP_STATEMENT_H
#define CLOISTER_TESTS_TCP_STATEMENT_H

#include "expr.h"
#include "rig.h"
#include "words.h"

struct script {
    struct where where;
    struct rig rig;
    struct names names;
    struct peer *peer;   /* whom statements are about */
    unsigned statements; /* carried out so far that can fail for what the engine did */
};

/* Carry out one line. */
void script_say(struct script *script, const char *line);

/* Carry out a statement; words[0] is its name. */
void statement_run(struct script *script, char **words, unsigned count);

/* Fail if a segment is queued that nobody asked for. */
void statement_nothing_left(const struct script *script);

#endif
