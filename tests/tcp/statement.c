/* SPDX-License-Identifier: BSD-3-Clause */
#include "statement.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void statement_nothing_left(const struct script *s)
{
    if (s->rig.first != NULL)
        fail_at(&s->where, "sent before this line, and not expected: > %s (of %s, %+lld us)",
                words_of(s->rig.first), s->rig.first->peer->name, (long long)(s->rig.first->at - s->rig.start));
}

static int64_t number(const struct script *s, char **w, unsigned count, unsigned k)
{
    return expr_value(&s->names, &s->where, k < count ? w[k] : NULL);
}

/* The word behind `name`, or NULL. */
static const char *option(char **w, unsigned count, const char *name)
{
    for (unsigned k = 1; k + 1 < count; k++)
        if (strcmp(w[k], name) == 0)
            return w[k + 1];
    return NULL;
}

static bool has(char **w, unsigned count, const char *name)
{
    for (unsigned k = 1; k < count; k++)
        if (strcmp(w[k], name) == 0)
            return true;
    return false;
}

/* The place of w[k] in a list of names. */
static unsigned choose(const struct script *s, char **w, unsigned count, unsigned k, const char *const *names)
{
    if (k >= count)
        fail_at(&s->where, "a word is missing after %s", w[count - 1]);
    for (unsigned i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], w[k]) == 0)
            return i;
    fail_at(&s->where, "not known here: %s", w[k]);
}

static int error_of(const struct script *s, char **w, unsigned count, unsigned k)
{
    static const char *const names[] = {"EPIPE", "ECONNRESET", "ECONNREFUSED", "ENOBUFS", "EAGAIN", "none", NULL};
    static const int values[] = {EPIPE, ECONNRESET, ECONNREFUSED, ENOBUFS, EAGAIN, 0};
    return -values[choose(s, w, count, k, names)];
}

/* "N", "=N", "<N", ">N", "!N". */
static void compare(const struct script *s, const char *what, char **w, unsigned count, unsigned k, int64_t seen)
{
    if (k >= count)
        fail_at(&s->where, "a number is missing");
    const char *text = w[k];
    char op = strchr("=<>!", *text) != NULL ? *text++ : '=';
    int64_t v = expr_value(&s->names, &s->where, text);
    if (op == '=' ? seen != v : op == '<' ? seen >= v : op == '>' ? seen <= v : seen == v)
        fail_at(&s->where, "%s: expected %s, seen %lld", what, w[k], (long long)seen);
}

/* --- set up --- */

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
        c->optimistic = number(s, w, count, 2) != 0;
        return;
    }
    if (strcmp(w[1], "start") == 0) {
        s->rig.start = (uint64_t)number(s, w, count, 2) * 1000000;
        s->rig.now = s->rig.start;
        return;
    }
    if (strcmp(w[1], "secret") == 0) {
        c->secret[0] = (uint8_t)number(s, w, count, 2);
        return;
    }
    for (unsigned k = 0; k < sizeof(key) / sizeof(key[0]); k++) {
        if (strcmp(key[k].name, w[1]) == 0) {
            *key[k].value = (uint32_t)number(s, w, count, 2);
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
    const char *host = option(w, count, "host");
    const char *far = option(w, count, "far");
    const char *port = option(w, count, "port");
    const char *to = option(w, count, "to");
    const char *isn = option(w, count, "isn");
    const char *tsval = option(w, count, "tsval");
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
    const char *isn = option(w, count, "isn");
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
    const char *mss = option(w, count, "mss");
    const char *ws = option(w, count, "ws");
    const char *win = option(w, count, "win");
    const char *rtt = option(w, count, "rtt");
    const char *room = option(w, count, "room");
    bool ts = has(w, count, "ts");
    bool scaled = !has(w, count, "nows");
    const char *sack = has(w, count, "nosack") ? "" : "sackok";
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
    s->rig.batch = choose(s, w, count, 1, names) == 0;
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
    compare(s, "segments sent", w, count, 1, n);
}

static void do_link(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"up", "down", NULL};
    s->rig.link_down = choose(s, w, count, 1, names) == 1;
}

/* --- the SOCKS side --- */

static void do_open(struct script *s, char **w, unsigned count)
{
    s->rig.open_error = error_of(s, w, count, 1);
}

static void do_opened(struct script *s, char **w, unsigned count)
{
    unsigned want = count > 1 ? (unsigned)number(s, w, count, 1) : 1;
    if (s->peer->up.opens != want)
        fail_at(&s->where, "expected %u open() for %s, seen %u", want, s->peer->name, s->peer->up.opens);
    s->peer->up.opens = 0;
}

static struct upstream *open_upstream(const struct script *s)
{
    if (!s->peer->up.open)
        fail_at(&s->where, "the upstream of %s is not open", s->peer->name);
    return &s->peer->up;
}

static void do_connected(struct script *s, char **w, unsigned count)
{
    struct upstream *u = open_upstream(s);
    const char *room = option(w, count, "room");
    const char *limit = option(w, count, "limit");
    if (room != NULL)
        u->room = (size_t)expr_value(&s->names, &s->where, room);
    if (limit != NULL) {
        u->room = (size_t)expr_value(&s->names, &s->where, limit);
        u->drains = false;
    }
    u->connected = true;
    u->again = true;
    tcp_upstream_connected(s->rig.engine, u->id, u->room, s->rig.now);
    rig_flush(&s->rig);
}

static void do_failed(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"reset", "host", "net", "prohibited", "silent", NULL};
    enum tcp_refusal why = (enum tcp_refusal)choose(s, w, count, 1, names);
    struct upstream *u = open_upstream(s);
    u->open = false;
    tcp_upstream_failed(s->rig.engine, u->id, why, s->rig.now);
    rig_flush(&s->rig);
}

static void do_unreachable(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"reset", "host", "net", "prohibited", "silent", NULL};
    struct upstream *u = &s->peer->up;
    if (u->refusals != 1 || u->why != (enum tcp_refusal)choose(s, w, count, 1, names))
        fail_at(&s->where, "expected one unreachable() of that kind, seen %u, the last of kind %s", u->refusals,
                names[u->why]);
    u->refusals = 0;
}

/* room N: takes everything and says it has N; limit N: takes N bytes; writable N: the same, and says so. */
static void do_room(struct script *s, char **w, unsigned count)
{
    struct upstream *u = open_upstream(s);
    u->room = (size_t)number(s, w, count, 1);
    u->drains = strcmp(w[0], "room") == 0;
    if (strcmp(w[0], "limit") == 0)
        return;
    tcp_upstream_writable(s->rig.engine, u->id, u->room, s->rig.now);
    rig_flush(&s->rig);
}

static void do_fail(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"write", "read", NULL};
    struct upstream *u = open_upstream(s);
    if (choose(s, w, count, 1, names) == 0) {
        u->write_error = error_of(s, w, count, 2);
        return;
    }
    u->read_error = error_of(s, w, count, 2);
    upstream_edge(&s->rig, s->peer);
}

static void do_data(struct script *s, char **w, unsigned count)
{
    open_upstream(s)->offered += (uint64_t)number(s, w, count, 1);
    if (has(w, count, "eof"))
        s->peer->up.eof = true;
    upstream_edge(&s->rig, s->peer);
}

static void do_eof(struct script *s, char **w, unsigned count)
{
    (void)w;
    (void)count;
    open_upstream(s)->eof = true;
    upstream_edge(&s->rig, s->peer);
}

/* event KIND: said to the engine as it is, whether or not there is such a flow any more. */
static void do_event(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"connected", "failed", "readable", "writable", "reset", NULL};
    struct tcp_engine *e = s->rig.engine;
    const struct upstream *u = &s->peer->up;
    switch (choose(s, w, count, 1, names)) {
    case 0:
        tcp_upstream_connected(e, u->id, u->room, s->rig.now);
        break;
    case 1:
        tcp_upstream_failed(e, u->id, TCP_REFUSAL_RESET, s->rig.now);
        break;
    case 2:
        tcp_upstream_readable(e, u->id, s->rig.now);
        break;
    case 3:
        tcp_upstream_writable(e, u->id, u->room, s->rig.now);
        break;
    default:
        tcp_upstream_reset(e, u->id, s->rig.now);
        break;
    }
    rig_flush(&s->rig);
}

static void do_reset(struct script *s, char **w, unsigned count)
{
    (void)w;
    (void)count;
    tcp_upstream_reset(s->rig.engine, open_upstream(s)->id, s->rig.now);
    rig_flush(&s->rig);
}

/* wrote A:B [fill N]: the bytes written upstream since the last look; wrote nothing. */
static void do_wrote(struct script *s, char **w, unsigned count)
{
    struct upstream *u = &s->peer->up;
    size_t fresh = u->taken_len - u->claimed;
    if (count > 1 && strcmp(w[1], "nothing") == 0) {
        if (fresh != 0)
            fail_at(&s->where, "expected nothing written, seen %zu:%zu", u->claimed + 1, u->taken_len + 1);
        return;
    }
    const char *text = count > 1 ? w[1] : "";
    int64_t from = expr_read(&s->names, &s->where, &text);
    int64_t to = *text == ':' ? expr_value(&s->names, &s->where, text + 1) : from;
    const char *fill = option(w, count, "fill");
    bool part = has(w, count, "part");
    if (from != (int64_t)u->claimed + 1 ||
        (part ? to > (int64_t)u->taken_len + 1 : to != (int64_t)u->taken_len + 1))
        fail_at(&s->where, "expected %s written, seen %zu:%zu", w[1], u->claimed + 1, u->taken_len + 1);
    for (; (int64_t)u->claimed + 1 < to; u->claimed++) {
        uint32_t at = (uint32_t)u->claimed + 1;
        uint8_t want =
            fill != NULL ? (uint8_t)expr_value(&s->names, &s->where, fill) : packet_stream_byte(true, at);
        if (u->taken[u->claimed] != want)
            fail_at(&s->where, "byte %u was written as %02x, and is %02x", at, u->taken[u->claimed], want);
    }
}

static void do_released(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"close", "abort", "not", NULL};
    struct upstream *u = &s->peer->up;
    unsigned want = choose(s, w, count, 1, names);
    if (want == 2 ? u->releases != 0 : u->releases != 1 || u->how != (enum tcp_release)want)
        fail_at(&s->where, "expected release %s, seen %u release(), the last %s", w[1], u->releases, names[u->how]);
    u->releases = 0;
}

/* --- looking inside --- */

static bool look(const struct script *s, struct tcp_flow_info *info)
{
    for (uint32_t k = 1; k <= s->rig.config.max_flows; k++)
        if (tcp_flow_look(s->rig.engine, k, s->rig.now, info) &&
            memcmp(&info->tuple, &s->peer->tuple, sizeof(info->tuple)) == 0)
            return true;
    return false;
}

static void do_state(struct script *s, char **w, unsigned count)
{
    struct tcp_flow_info info;
    const char *seen = look(s, &info) ? info.state : "none";
    if (count < 2 || strcmp(seen, w[1]) != 0)
        fail_at(&s->where, "expected state %s, seen %s", count > 1 ? w[1] : "?", seen);
}

static void do_info(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"cwnd",   "snd_wnd",  "rcv_wnd",    "held",    "queued", "srtt_us",
                                        "age_ms", "up_bytes", "down_bytes", "idle_ms", NULL};
    struct tcp_flow_info i;
    unsigned k = choose(s, w, count, 1, names);
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
    compare(s, w[1], w, count, 2, value[k]);
}

static void do_counter(struct script *s, char **w, unsigned count)
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
    unsigned k = choose(s, w, count, 1, names);
    compare(s, w[1], w, count, 2, (int64_t)value[k]);
}

static void do_drop(struct script *s, char **w, unsigned count)
{
    const struct drops *d = tcp_engine_drops(s->rig.engine);
    for (unsigned k = 0; count > 1 && k < DROP_COUNT; k++) {
        if (strcmp(drop_name((enum drop)k), w[1]) == 0) {
            compare(s, w[1], w, count, 2, (int64_t)d->by[k]);
            return;
        }
    }
    fail_at(&s->where, "no such reason to drop");
}

/* too_big SEQ MTU */
static void do_too_big(struct script *s, char **w, unsigned count)
{
    uint32_t mtu = (uint32_t)number(s, w, count, 2);
    tcp_packet_too_big(s->rig.engine, &s->peer->tuple, s->peer->far_isn + (uint32_t)number(s, w, count, 1),
                       s->rig.v6 && mtu > 0 ? mtu + 20 : mtu, s->rig.now);
    rig_flush(&s->rig);
}

static void do_reset_all(struct script *s, char **w, unsigned count)
{
    if (count > 1)
        tcp_engine_reset_host(s->rig.engine, (uint32_t)number(s, w, count, 1), s->rig.now);
    else
        tcp_engine_reset_all(s->rig.engine, s->rig.now);
    rig_flush(&s->rig);
}

/* settle: gives free memory back, as the caller of the engine would; at least N bytes. */
static void do_settle(struct script *s, char **w, unsigned count)
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
    compare(s, "bytes given back", w, count, 1, sum);
}

/* let NAME VALUE; besides numbers: isn (the engine's, absolute), tsval (the engine's last, absolute). */
static void do_let(struct script *s, char **w, unsigned count)
{
    if (count != 3)
        fail_at(&s->where, "let NAME VALUE");
    names_set(&s->names, &s->where, "isn", s->peer->far_isn);
    names_set(&s->names, &s->where, "tsval", s->peer->ts_seen);
    struct tcp_flow_info info;
    if (look(s, &info))
        names_set(&s->names, &s->where, "cwnd", info.cwnd);
    names_set(&s->names, &s->where, w[1], number(s, w, count, 2));
}

/* check VALUE OP-VALUE */
static void do_check(struct script *s, char **w, unsigned count)
{
    compare(s, w[1], w, count, 2, number(s, w, count, 1));
}

static void do_only(struct script *s, char **w, unsigned count)
{
    (void)s;
    (void)w;
    (void)count;
}

void statement_run(struct script *s, char **w, unsigned count)
{
    static const struct {
        const char *name;
        void (*run)(struct script *, char **, unsigned);
        bool looks; /* can fail for what the engine did */
    } statement[] = {
        {"<", do_inject, false},
        {"batch", do_batch, false},
        {"check", do_check, true},
        {"config", do_config, false},
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
