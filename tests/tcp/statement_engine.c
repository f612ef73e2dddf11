/* SPDX-License-Identifier: BSD-3-Clause */
/* Statements about the engine itself: what it shows of itself, and what it is told besides segments. */
#include <string.h>

#include "arguments.h"
#include "statements.h"

static bool look(const struct script *s, struct tcp_flow_info *info)
{
    for (uint32_t k = 1; k <= s->rig.config.max_flows; k++)
        if (tcp_flow_look(s->rig.engine, k, s->rig.now, info) &&
            memcmp(&info->tuple, &s->peer->tuple, sizeof(info->tuple)) == 0)
            return true;
    return false;
}

void do_state(struct script *s, char **w, unsigned count)
{
    struct tcp_flow_info info;
    const char *seen = look(s, &info) ? info.state : "none";
    if (count < 2 || strcmp(seen, w[1]) != 0)
        fail_at(&s->where, "expected state %s, seen %s", count > 1 ? w[1] : "?", seen);
}

void do_info(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"cwnd",   "snd_wnd",  "rcv_wnd",    "held",    "queued", "srtt_us",
                                        "age_ms", "up_bytes", "down_bytes", "idle_ms", NULL};
    struct tcp_flow_info i;
    unsigned k = arg_choose(s, w, count, 1, names);
    if (!look(s, &i))
        fail_at(&s->where, "there is no such flow");
    const int64_t value[] = {i.cwnd,
                             i.snd_wnd,
                             i.rcv_wnd,
                             i.held,
                             i.queued,
                             i.srtt_us,
                             i.age_ms,
                             (int64_t)i.up_bytes,
                             (int64_t)i.down_bytes,
                             i.idle_ms};
    arg_compare(s, w[1], w, count, 2, value[k]);
}

void do_counter(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"flows_opened", "flows_refused", "flows_reset",    "up_bytes",
                                        "down_bytes",   "segments_in",   "segments_out",   "retransmits",
                                        "timeouts",     "out_of_order",  "challenge_acks", "resets_sent",
                                        "flows",        "connecting",    "chunks",         NULL};
    rig_start(&s->rig);
    const struct tcp_counters *c = tcp_engine_counters(s->rig.engine);
    const uint64_t value[] = {c->flows_opened,   c->flows_refused, c->flows_reset, c->up_bytes,   c->down_bytes,
                              c->segments_in,    c->segments_out,  c->retransmits, c->timeouts,   c->out_of_order,
                              c->challenge_acks, c->resets_sent,   c->flows,       c->connecting, c->chunks};
    unsigned k = arg_choose(s, w, count, 1, names);
    arg_compare(s, w[1], w, count, 2, (int64_t)value[k]);
}

void do_drop(struct script *s, char **w, unsigned count)
{
    const struct drops *d = tcp_engine_drops(s->rig.engine);
    for (unsigned k = 0; count > 1 && k < DROP_COUNT; k++) {
        if (strcmp(drop_name((enum drop)k), w[1]) == 0) {
            arg_compare(s, w[1], w, count, 2, (int64_t)d->by[k]);
            return;
        }
    }
    fail_at(&s->where, "no such reason to drop");
}

/* too_big SEQ MTU */
void do_too_big(struct script *s, char **w, unsigned count)
{
    uint32_t mtu = (uint32_t)arg_number(s, w, count, 2);
    tcp_packet_too_big(s->rig.engine, &s->peer->tuple, s->peer->far_isn + (uint32_t)arg_number(s, w, count, 1),
                       s->rig.v6 && mtu > 0 ? mtu + 20 : mtu, s->rig.now);
    rig_flush(&s->rig);
}

/* charge HOST ACCOUNT */
void do_charge(struct script *s, char **w, unsigned count)
{
    rig_start(&s->rig);
    tcp_engine_charge(s->rig.engine, (uint32_t)arg_number(s, w, count, 1), (uint32_t)arg_number(s, w, count, 2));
}

void do_reset_all(struct script *s, char **w, unsigned count)
{
    if (count > 1)
        tcp_engine_reset_host(s->rig.engine, (uint32_t)arg_number(s, w, count, 1), s->rig.now);
    else
        tcp_engine_reset_all(s->rig.engine, s->rig.now);
    rig_flush(&s->rig);
}

/* settle: gives free memory back, as the caller of the engine would; at least N bytes. */
void do_settle(struct script *s, char **w, unsigned count)
{
    void *start;
    int64_t sum = 0;
    for (size_t n = tcp_engine_settle(s->rig.engine, &start); n > 0; n = tcp_engine_settle(s->rig.engine, &start)) {
        uintptr_t from = ((uintptr_t)start + 4095) & ~(uintptr_t)4095;
        uintptr_t to = ((uintptr_t)start + n) & ~(uintptr_t)4095;
        if (to > from) {
            memset((void *)from, 0, to - from);
            sum += (int64_t)(to - from);
        }
    }
    arg_compare(s, "bytes given back", w, count, 1, sum);
}

/* let NAME VALUE; besides numbers: isn (the engine's, absolute), tsval (the engine's last, absolute). */
void do_let(struct script *s, char **w, unsigned count)
{
    if (count != 3)
        fail_at(&s->where, "let NAME VALUE");
    names_set(&s->names, &s->where, "isn", s->peer->far_isn);
    names_set(&s->names, &s->where, "tsval", s->peer->ts_seen);
    names_set(&s->names, &s->where, "wakes", s->rig.wakes);
    struct tcp_flow_info info;
    if (look(s, &info))
        names_set(&s->names, &s->where, "cwnd", info.cwnd);
    names_set(&s->names, &s->where, w[1], arg_number(s, w, count, 2));
}

/* check VALUE OP-VALUE */
void do_check(struct script *s, char **w, unsigned count)
{
    arg_compare(s, w[1], w, count, 2, arg_number(s, w, count, 1));
}

void do_only(struct script *s, char **w, unsigned count)
{
    (void)s;
    (void)w;
    (void)count;
}
