/* SPDX-License-Identifier: BSD-3-Clause */
/* Statements about the SOCKS side of a flow. */
#include <string.h>

#include "arguments.h"
#include "statements.h"

void do_open(struct script *s, char **w, unsigned count)
{
    s->rig.open_error = arg_error(s, w, count, 1);
}

void do_opened(struct script *s, char **w, unsigned count)
{
    unsigned want = count > 1 ? (unsigned)arg_number(s, w, count, 1) : 1;
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

void do_connected(struct script *s, char **w, unsigned count)
{
    struct upstream *u = open_upstream(s);
    const char *room = arg_option(w, count, "room");
    const char *limit = arg_option(w, count, "limit");
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

void do_failed(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"reset", "host", "net", "prohibited", "silent", NULL};
    enum tcp_refusal why = (enum tcp_refusal)arg_choose(s, w, count, 1, names);
    struct upstream *u = open_upstream(s);
    u->open = false;
    tcp_upstream_failed(s->rig.engine, u->id, why, s->rig.now);
    rig_flush(&s->rig);
}

void do_unreachable(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"reset", "host", "net", "prohibited", "silent", NULL};
    struct upstream *u = &s->peer->up;
    if (u->refusals != 1 || u->why != (enum tcp_refusal)arg_choose(s, w, count, 1, names))
        fail_at(&s->where, "expected one unreachable() of that kind, seen %u, the last of kind %s", u->refusals,
                names[u->why]);
    u->refusals = 0;
}

/* room N: takes everything and says it has N; limit N: takes N bytes; writable N: the same, and says so. */
void do_room(struct script *s, char **w, unsigned count)
{
    struct upstream *u = open_upstream(s);
    u->room = (size_t)arg_number(s, w, count, 1);
    u->drains = strcmp(w[0], "room") == 0;
    if (strcmp(w[0], "limit") == 0)
        return;
    tcp_upstream_writable(s->rig.engine, u->id, u->room, s->rig.now);
    rig_flush(&s->rig);
}

void do_fail(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"write", "read", NULL};
    struct upstream *u = open_upstream(s);
    if (arg_choose(s, w, count, 1, names) == 0) {
        u->write_error = arg_error(s, w, count, 2);
        return;
    }
    u->read_error = arg_error(s, w, count, 2);
    upstream_edge(&s->rig, s->peer);
}

void do_data(struct script *s, char **w, unsigned count)
{
    open_upstream(s)->offered += (uint64_t)arg_number(s, w, count, 1);
    if (arg_has(w, count, "eof"))
        s->peer->up.eof = true;
    upstream_edge(&s->rig, s->peer);
}

void do_eof(struct script *s, char **w, unsigned count)
{
    (void)w;
    (void)count;
    open_upstream(s)->eof = true;
    upstream_edge(&s->rig, s->peer);
}

/* event KIND: said to the engine as it is, whether or not there is such a flow any more. */
void do_event(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"connected", "failed", "readable", "writable", "reset", NULL};
    struct tcp_engine *e = s->rig.engine;
    const struct upstream *u = &s->peer->up;
    switch (arg_choose(s, w, count, 1, names)) {
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

void do_reset(struct script *s, char **w, unsigned count)
{
    (void)w;
    (void)count;
    tcp_upstream_reset(s->rig.engine, open_upstream(s)->id, s->rig.now);
    rig_flush(&s->rig);
}

/* wrote A:B [fill N]: the bytes written upstream since the last look; wrote nothing. */
void do_wrote(struct script *s, char **w, unsigned count)
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
    const char *fill = arg_option(w, count, "fill");
    bool part = arg_has(w, count, "part");
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

/* closed: it was said, just once; closed not. */
void do_closed(struct script *s, char **w, unsigned count)
{
    unsigned want = arg_has(w, count, "not") ? 0 : 1;
    if (s->peer->up.closes != want)
        fail_at(&s->where, "expected %u closed(), seen %u", want, s->peer->up.closes);
    s->peer->up.closes = 0;
}

void do_released(struct script *s, char **w, unsigned count)
{
    static const char *const names[] = {"close", "abort", "not", NULL};
    struct upstream *u = &s->peer->up;
    unsigned want = arg_choose(s, w, count, 1, names);
    if (want == 2 ? u->releases != 0 : u->releases != 1 || u->how != (enum tcp_release)want)
        fail_at(&s->where, "expected release %s, seen %u release(), the last %s", w[1], u->releases, names[u->how]);
    u->releases = 0;
}
