/* SPDX-License-Identifier: BSD-3-Clause */
/* Each statement: the script, its words, how many; words[0] is its name. README.md says what they do. */
#ifndef CLOISTER_TESTS_TCP_STATEMENTS_H
#define CLOISTER_TESTS_TCP_STATEMENTS_H

#include "statement.h"

/* statement_upstream.c */
void do_open(struct script *s, char **w, unsigned count);
void do_opened(struct script *s, char **w, unsigned count);
void do_connected(struct script *s, char **w, unsigned count);
void do_failed(struct script *s, char **w, unsigned count);
void do_unreachable(struct script *s, char **w, unsigned count);
void do_room(struct script *s, char **w, unsigned count);
void do_fail(struct script *s, char **w, unsigned count);
void do_data(struct script *s, char **w, unsigned count);
void do_eof(struct script *s, char **w, unsigned count);
void do_event(struct script *s, char **w, unsigned count);
void do_reset(struct script *s, char **w, unsigned count);
void do_wrote(struct script *s, char **w, unsigned count);
void do_closed(struct script *s, char **w, unsigned count);
void do_released(struct script *s, char **w, unsigned count);

/* statement_active.c */
void do_connect(struct script *s, char **w, unsigned count);
void do_answered(struct script *s, char **w, unsigned count);
void do_icmp(struct script *s, char **w, unsigned count);

/* statement_engine.c */
void do_state(struct script *s, char **w, unsigned count);
void do_info(struct script *s, char **w, unsigned count);
void do_counter(struct script *s, char **w, unsigned count);
void do_drop(struct script *s, char **w, unsigned count);
void do_too_big(struct script *s, char **w, unsigned count);
void do_charge(struct script *s, char **w, unsigned count);
void do_reset_all(struct script *s, char **w, unsigned count);
void do_settle(struct script *s, char **w, unsigned count);
void do_let(struct script *s, char **w, unsigned count);
void do_check(struct script *s, char **w, unsigned count);
void do_only(struct script *s, char **w, unsigned count);

#endif
