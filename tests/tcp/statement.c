/* SPDX-License-Identifier: BSD-3-Clause */
#include "statement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "statements.h"

void statement_nothing_left(const struct script *s)
{
    if (s->rig.first != NULL)
        fail_at(&s->where, "sent before this line, and not expected: > %s (of %s, %+lld us)",
                words_of(s->rig.first), s->rig.first->peer->name, (long long)(s->rig.first->at - s->rig.start));
}

static void do_config(struct script *s, char **w, unsigned count)
{
    struct tcp_config *c = &s->rig.config;
    const struct {
        const char *name;
        uint32_t *value;
    } key[] = {
        {"max_flows", &c->max_flows},
        {"max_chunks", &c->max_chunks},
        {"max_hosts", &c->max_hosts},
        {"max_connecting", &c->max_connecting},
        {"host_flows", &c->host_flows},
        {"host_connecting", &c->host_connecting},
        {"host_chunks", &c->host_chunks},
        {"mtu", &c->mtu},
        {"gso", &c->gso_max},
        {"connect_timeout", &c->connect_timeout},
        {"half_close_timeout", &c->half_close_timeout},
        {"idle_timeout", &c->idle_timeout},
    };
    if (s->rig.engine != NULL || count != 3)
        fail_at(&s->where, "config NAME VALUE, before anything else");
    if (strcmp(w[1], "optimistic") == 0) {
        c->optimistic = arg_number(s, w, count, 2) != 0;
        return;
    }
    if (strcmp(w[1], "push_turns") == 0) {
        c->push_turns = arg_number(s, w, count, 2) != 0;
        return;
    }
    if (strcmp(w[1], "start") == 0) {
        s->rig.start = (uint64_t)arg_number(s, w, count, 2) * 1000000;
        s->rig.now = s->rig.start;
        return;
    }
    for (unsigned k = 0; k < sizeof(key) / sizeof(key[0]); k++) {
        if (strcmp(key[k].name, w[1]) == 0) {
            *key[k].value = (uint32_t)arg_number(s, w, count, 2);
            if (key[k].value == &c->mtu && s->rig.v6)
                c->mtu += 20;
            return;
        }
    }
    fail_at(&s->where, "no such configuration: %s", w[1]);
}

/* flow NAME [host N] [far N] [port N] [to N] [isn N] [tsval N] */
static void do_flow(struct script *s, char **w, unsigned count)
{
    if (count < 2)
        fail_at(&s->where, "flow NAME ...");
    char name[32];
    snprintf(name, sizeof(name), "%s", w[1]);
    char *number_sign = strchr(name, '#');
    if (number_sign != NULL) {
        const char *text = w[1] + (number_sign - name) + 1;
        snprintf(number_sign, sizeof(name) - (size_t)(number_sign - name), "%lld",
                 (long long)expr_value(&s->names, &s->where, text));
    }
    s->peer = rig_peer(&s->rig, name);
    struct peer *p = s->peer;
    const char *host = arg_option(w, count, "host");
    const char *far = arg_option(w, count, "far");
    const char *port = arg_option(w, count, "port");
    const char *to = arg_option(w, count, "to");
    const char *isn = arg_option(w, count, "isn");
    const char *tsval = arg_option(w, count, "tsval");
    if (host != NULL || far != NULL || port != NULL || to != NULL)
        rig_address(&s->rig, p, host != NULL ? (uint32_t)expr_value(&s->names, &s->where, host) : p->host,
                    far != NULL ? (uint32_t)expr_value(&s->names, &s->where, far) : p->tuple.dst.b[15] - 1u,
                    port != NULL ? (uint16_t)expr_value(&s->names, &s->where, port) : p->tuple.src_port,
                    to != NULL ? (uint16_t)expr_value(&s->names, &s->where, to) : p->tuple.dst_port);
    if (isn != NULL)
        p->isn = (uint32_t)expr_value(&s->names, &s->where, isn);
    if (tsval != NULL)
        p->ts_own = (uint32_t)expr_value(&s->names, &s->where, tsval);
}

/* renew [isn N]: the workstation opens another connection from the same port. */
static void do_renew(struct script *s, char **w, unsigned count)
{
    const char *isn = arg_option(w, count, "isn");
    if (isn != NULL)
        s->peer->isn = (uint32_t)expr_value(&s->names, &s->where, isn);
    s->peer->far_isn_known = false;
    s->peer->edge_known = false;
    s->peer->top = 0;
    s->peer->ts = false;
    s->peer->far_isn = 0;
    s->peer->ts_base = 0;
}

/* established [mss N] [ws N] [nosack] [nows] [ts] [win N] [rtt T] [room N]: the usual beginning. */
static void do_established(struct script *s, char **w, unsigned count)
{
    char line[256];
    const char *mss = arg_option(w, count, "mss");
    const char *ws = arg_option(w, count, "ws");
    const char *win = arg_option(w, count, "win");
    const char *rtt = arg_option(w, count, "rtt");
    const char *room = arg_option(w, count, "room");
    bool ts = arg_has(w, count, "ts");
    bool scaled = !arg_has(w, count, "nows");
    const char *sack = arg_has(w, count, "nosack") ? "" : "sackok";
    bool optimistic = s->rig.config.optimistic;

    snprintf(line, sizeof(line), "< S 0 win 65535 mss %s %s %s %s %s", mss != NULL ? mss : "1460", sack,
             ts ? "ts 5000+now/1000" : "", scaled ? "ws" : "",
             !scaled      ? ""
             : ws != NULL ? ws
                          : "7");
    script_say(s, line);
    if (!optimistic) {
        snprintf(line, sizeof(line), "connected %s %s", room != NULL ? "room" : "", room != NULL ? room : "");
        script_say(s, "opened");
        script_say(s, line);
    }
    int mtu = (int)s->rig.config.mtu - (s->rig.v6 ? 60 : 40);
    snprintf(line, sizeof(line), "> S. 0 ack 1 mss %d %s %s %s", mtu, sack, ts ? "ts 0:5000+now/1000" : "",
             scaled ? "ws 3" : "");
    script_say(s, line);
    snprintf(line, sizeof(line), "+%s < . 1 ack 1 win %s", rtt != NULL ? rtt : "100ms",
             win != NULL ? win
             : scaled    ? "512"
                         : "65535");
    script_say(s, line);
    if (optimistic) {
        script_say(s, "opened");
        snprintf(line, sizeof(line), "connected %s %s", room != NULL ? "room" : "", room != NULL ? room : "");
        script_say(s, line);
    }
}

static void do_inject(struct script *s, char **w, unsigned count)
{
    words_inject(&s->rig, &s->names, s->peer, w + 1, count - 1);
}

static void do_nothing(struct script *s, char **w, unsigned count)
{
    const char *text = count > 1 ? w[1] : NULL;
    if (text != NULL)
        rig_advance(&s->rig, s->rig.now + expr_time(&s->names, &s->where, &text), true);
    statement_nothing_left(s);
}

static void do_batch(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"begin", "done", NULL};
    s->rig.batch = arg_choose(s, w, count, 1, names) == 0;
    if (!s->rig.batch)
        rig_flush(&s->rig);
}

/* sent N [FLAGS]: so many segments left, each with these flags; they are forgotten. */
static void do_sent(struct script *s, char **w, unsigned count)
{
    int64_t n = 0;
    for (; s->rig.first != NULL; n++) {
        const struct packet *p = &s->rig.first->packet;
        uint8_t flags = 0;
        for (const char *f = count > 2 ? w[2] : ""; *f != 0; f++)
            flags |= (uint8_t)(1u << (strchr(PACKET_FLAG_LETTERS, *f) - PACKET_FLAG_LETTERS));
        if (count > 2 && p->flags != flags)
            fail_at(&s->where, "expected flags %s, seen: > %s", w[2], words_of(s->rig.first));
        rig_forget(&s->rig);
    }
    arg_compare(s, "segments sent", w, count, 1, n);
}

static void do_link(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"up", "down", NULL};
    s->rig.link_down = arg_choose(s, w, count, 1, names) == 1;
}

void statement_run(struct script *s, char **w, unsigned count)
{
    static const struct {
        const char *name;
        void (*run)(struct script *, char **, unsigned);
        bool looks; /* can fail for what the engine did */
    } statement[] = {
        {"<", do_inject, false},
        {"answered", do_answered, true},
        {"batch", do_batch, false},
        {"charge", do_charge, false},
        {"check", do_check, true},
        {"closed", do_closed, true},
        {"config", do_config, false},
        {"connect", do_connect, true},
        {"connected", do_connected, false},
        {"counter", do_counter, true},
        {"data", do_data, false},
        {"drop", do_drop, true},
        {"eof", do_eof, false},
        {"established", do_established, false},
        {"event", do_event, false},
        {"fail", do_fail, false},
        {"failed", do_failed, false},
        {"flow", do_flow, false},
        {"icmp", do_icmp, false},
        {"info", do_info, true},
        {"let", do_let, false},
        {"limit", do_room, false},
        {"link", do_link, false},
        {"nothing", do_nothing, true},
        {"only-ipv4", do_only, false},
        {"only-ipv6", do_only, false},
        {"open", do_open, false},
        {"opened", do_opened, true},
        {"released", do_released, true},
        {"renew", do_renew, false},
        {"reset", do_reset, false},
        {"reset_all", do_reset_all, false},
        {"room", do_room, false},
        {"sent", do_sent, true},
        {"settle", do_settle, true},
        {"state", do_state, true},
        {"too_big", do_too_big, false},
        {"unreachable", do_unreachable, true},
        {"writable", do_room, false},
        {"wrote", do_wrote, true},
    };
    for (unsigned k = 0; k < sizeof(statement) / sizeof(statement[0]); k++) {
        if (strcmp(statement[k].name, w[0]) == 0) {
            bool quiet =
                statement[k].run == do_inject || statement[k].run == do_nothing || statement[k].run == do_data;
            if (quiet && !s->rig.batch)
                statement_nothing_left(s);
            s->statements += statement[k].looks;
            statement[k].run(s, w, count);
            return;
        }
    }
    fail_at(&s->where, "no such statement: %s", w[0]);
}
