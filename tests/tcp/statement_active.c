/* SPDX-License-Identifier: BSD-3-Clause */
/* Statements about connections that the engine opens into the workstation network. */
#include <string.h>

#include "arguments.h"
#include "statements.h"

/* connect [any] [room N] [fails ERRNO]: the SOCKS side opens this connection, from the tuple's port or from any. */
void do_connect(struct script *s, char **w, unsigned count)
{
    struct peer *p = s->peer;
    const char *room = arg_option(w, count, "room");
    int want = arg_has(w, count, "fails") ? arg_error(s, w, count, count - 1) : 0;
    struct tcp_flow_id id = {0};
    rig_start(&s->rig);
    if (room != NULL)
        p->up.room = (size_t)expr_value(&s->names, &s->where, room);
    if (arg_has(w, count, "any"))
        p->tuple.dst_port = 0;
    p->active = true;
    int status = tcp_open(s->rig.engine, &p->tuple, p->host, p->up.room, s->rig.now, &id);
    if (status != want)
        fail_at(&s->where, "tcp_open(): expected %d, seen %d", want, status);
    if (status == 0)
        upstream_begin(&s->rig, p, id);
    rig_flush(&s->rig);
}

/* answered [ERRNO]: opened() was called, once, with that; answered not. */
void do_answered(struct script *s, char **w, unsigned count)
{
    struct upstream *u = &s->peer->up;
    unsigned want = arg_has(w, count, "not") ? 0 : 1;
    int status = want == 1 && count > 1 ? arg_error(s, w, count, 1) : 0;
    if (u->answers != want || (want == 1 && u->answer != status))
        fail_at(&s->where, "expected %u opened() with %d, seen %u, the last with %d", want, status, u->answers,
                u->answer);
    u->answers = 0;
}

/* icmp SEQ hard|soft: the workstation cannot be reached, says ICMP. */
void do_icmp(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"soft", "hard", NULL};
    tcp_unreachable(s->rig.engine, &s->peer->tuple, s->peer->far_isn + (uint32_t)arg_number(s, w, count, 1),
                    arg_choose(s, w, count, 2, names) == 1, s->rig.now);
    rig_flush(&s->rig);
}
