/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two engines against each other, over a link that loses, delays and repeats, in virtual time: one opens and the other is
 * asked, or both open at once. What one calls the workstation is to the other the far end.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "random.h"
#include "tcp/engine.h"

#define HOUR 3600000000u /* us */
#define SEEDS 200u

enum outcome { ANSWERS, REFUSES, IS_GONE };

/* One engine and its upstream, of which there is one flow. */
struct end {
    struct net *net;
    struct end *other;
    struct tcp_engine *engine;
    void *memory;
    struct tcp_flow_id id;
    bool held, active, released, waits; /* waits: open() was called, and is not answered yet */
    enum tcp_release how;
    int opened;            /* what opened() said; 1: nothing yet */
    uint64_t given, total; /* bytes of the stream that its upstream has given, and will */
    uint64_t taken;        /* bytes that its upstream took of the other's */
    uint8_t phase;         /* of the content */
};

struct flight {
    struct flight *next;
    uint64_t at;
    struct end *to;
    struct ipaddr src, dst;
    size_t len;
    uint8_t bytes[1600];
};

struct net {
    struct random random;
    uint64_t now;
    uint32_t loss; /* one in so many; 0: none */
    bool optimistic, v6;
    enum outcome outcome;
    struct end end[2];
    struct flight *flights;
};

static uint8_t content(uint8_t phase, uint64_t at)
{
    return (uint8_t)(at % 251 + phase);
}

static int op_open(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host)
{
    struct end *end = ctx;
    (void)tuple;
    (void)host;
    assert_false(end->held);
    end->id = id;
    end->held = end->waits = true;
    return 0;
}

static void op_opened(void *ctx, struct tcp_flow_id id, int status)
{
    struct end *end = ctx;
    assert_true(end->active && end->held && id.index == end->id.index);
    assert_int_equal(end->opened, 1);
    end->opened = status;
}

static ssize_t op_write(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count, size_t *room)
{
    struct end *end = ctx;
    ssize_t n = 0;
    assert_true(end->held && id.generation == end->id.generation);
    assert_true(end->opened == 0 || !end->active);
    for (int k = 0; k < count; k++) {
        const uint8_t *p = iov[k].iov_base;
        for (size_t i = 0; i < iov[k].iov_len; i++, end->taken++, n++)
            if (p[i] != content(end->other->phase, end->taken))
                fail_msg("byte %llu is wrong", (unsigned long long)end->taken);
    }
    *room = 65536;
    return n;
}

static ssize_t op_read(void *ctx, struct tcp_flow_id id, const struct iovec *iov, int count)
{
    struct end *end = ctx;
    ssize_t n = 0;
    assert_true(end->held && !end->waits && id.generation == end->id.generation);
    for (int k = 0; k < count; k++)
        for (size_t i = 0; i < iov[k].iov_len && end->given < end->total; i++, n++)
            ((uint8_t *)iov[k].iov_base)[i] = content(end->phase, end->given++);
    return n;
}

static void op_release(void *ctx, struct tcp_flow_id id, enum tcp_release how)
{
    struct end *end = ctx;
    assert_true(end->held && id.generation == end->id.generation);
    end->held = end->waits = false;
    end->released = true;
    end->how = how;
}

static int op_emit(void *ctx, struct tcp_out *out)
{
    struct end *end = ctx;
    struct net *net = end->net;
    for (int copies = random_below(&net->random, 20) == 0 ? 2 : 1; copies > 0; copies--) {
        if (net->outcome == IS_GONE || (net->loss != 0 && random_below(&net->random, net->loss) == 0))
            continue;
        struct flight *f = calloc(1, sizeof(*f));
        assert_non_null(f);
        f->to = end->other;
        f->at = net->now + 5000 + random_below(&net->random, 3000);
        f->src = out->src;
        f->dst = out->dst;
        memcpy(f->bytes, out->head + TCP_HEADROOM, out->header_len);
        f->len = out->header_len;
        for (uint32_t k = 1; k < out->iov_count; k++) {
            assert_true(f->len + out->iov[k].iov_len <= sizeof(f->bytes));
            memcpy(f->bytes + f->len, out->iov[k].iov_base, out->iov[k].iov_len);
            f->len += out->iov[k].iov_len;
        }
        f->next = net->flights;
        net->flights = f;
    }
    return 0;
}

static void op_unreachable(void *ctx, const struct tcp_tuple *tuple, uint32_t host, enum tcp_refusal why,
                           const uint8_t tcp_header[8])
{
    (void)ctx, (void)tuple, (void)host, (void)why, (void)tcp_header;
    fail_msg("nobody asked for ICMP");
}

static void start(struct net *net, struct end *end, struct end *other)
{
    static const struct tcp_ops ops = {.open = op_open,
                                       .opened = op_opened,
                                       .write = op_write,
                                       .read = op_read,
                                       .release = op_release,
                                       .emit = op_emit,
                                       .unreachable = op_unreachable};
    struct tcp_config config = {
        .max_flows = 4,
        .max_chunks = 64,
        .max_hosts = 2,
        .max_connecting = 4,
        .host_flows = 4,
        .host_connecting = 4,
        .host_chunks = 64,
        .mtu = 1500,
        .connect_timeout = 120000,
        .half_close_timeout = 600000,
        .idle_timeout = 3600000,
        .optimistic = net->optimistic,
    };
    random_fill(&net->random, config.secret, sizeof(config.secret));
    size_t size = tcp_engine_size(&config);
    *end = (struct end){.net = net, .other = other, .opened = 1};
    end->memory = aligned_alloc(4096, size);
    assert_non_null(end->memory);
    memset(end->memory, 0, size);
    end->engine = tcp_engine_init(end->memory, &config, &ops, end, net->now);
    end->total = random_below(&net->random, 200000);
    end->phase = (uint8_t)random_below(&net->random, 256);
}

/* From this end's own address to the other's. */
static void open_from(struct net *net, unsigned k)
{
    const uint8_t v4[2][4] = {{10, 1, 0, 1}, {10, 1, 0, 2}};
    const uint8_t v6[2][16] = {{0xfd, [15] = 1}, {0xfd, [15] = 2}};
    struct end *end = &net->end[k];
    const struct tcp_tuple tuple = {
        .src = net->v6 ? ipaddr_v6(v6[1 - k]) : ipaddr_v4(v4[1 - k]),
        .dst = net->v6 ? ipaddr_v6(v6[k]) : ipaddr_v4(v4[k]),
        .src_port = (uint16_t)(5000 + 1 - k),
        .dst_port = (uint16_t)(5000 + k),
    };
    end->active = end->held = true;
    assert_int_equal(tcp_open(end->engine, &tuple, 1, 65536, net->now, &end->id), 0);
}

static void answer(struct net *net, struct end *end)
{
    if (!end->waits)
        return;
    end->waits = false;
    if (net->outcome == REFUSES) {
        end->held = false;
        tcp_upstream_failed(end->engine, end->id, TCP_REFUSAL_RESET, net->now);
    } else {
        tcp_upstream_connected(end->engine, end->id, 65536, net->now);
    }
}

/* Give the engines what has arrived by now; payload lives until the flush. */
static void turn(struct net *net)
{
    struct flight *done = NULL;
    for (struct flight **at = &net->flights; *at != NULL;) {
        struct flight *f = *at;
        if (f->at > net->now) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        f->next = done;
        done = f;
        const struct tcp_in in = {.src = f->src, .dst = f->dst, .host = 1, .seg = bytes_of(f->bytes, f->len)};
        tcp_input(f->to->engine, &in, net->now);
    }
    for (unsigned k = 0; k < 2; k++) {
        answer(net, &net->end[k]);
        tcp_advance(net->end[k].engine, net->now);
        while (tcp_flush(net->end[k].engine, net->now))
            ;
    }
    while (done != NULL) {
        struct flight *f = done;
        done = f->next;
        free(f);
    }
}

/* Until nobody waits for anything. */
static void run(struct net *net)
{
    uint64_t began = net->now;
    for (;;) {
        uint64_t next = UINT64_MAX, at;
        turn(net);
        for (const struct flight *f = net->flights; f != NULL; f = f->next)
            next = f->at < next ? f->at : next;
        for (unsigned k = 0; k < 2; k++)
            if (tcp_next_deadline(net->end[k].engine, &at) && at < next)
                next = at;
        if (next == UINT64_MAX)
            break;
        net->now = next > net->now ? next : net->now + 1;
        assert_true(net->now < began + 2ull * HOUR);
    }
    for (unsigned k = 0; k < 2; k++) {
        assert_int_equal(tcp_engine_counters(net->end[k].engine)->flows, 0);
        assert_int_equal(tcp_engine_counters(net->end[k].engine)->chunks, 0);
        assert_false(net->end[k].held);
    }
}

static void begin(struct net *net, uint64_t seed, enum outcome outcome)
{
    memset(net, 0, sizeof(*net));
    net->random.state = seed;
    net->now = 1000000 + random_below(&net->random, 1000000);
    net->loss = seed % 4 == 0 ? 0 : 10;
    net->optimistic = seed % 2 != 0;
    net->v6 = seed % 3 == 0;
    net->outcome = outcome;
    start(net, &net->end[0], &net->end[1]);
    start(net, &net->end[1], &net->end[0]);
}

static void end(struct net *net)
{
    free(net->end[0].memory);
    free(net->end[1].memory);
}

static void expect_both_streams(const struct net *net, uint64_t seed)
{
    for (unsigned k = 0; k < 2; k++) {
        const struct end *e = &net->end[k];
        if (e->taken != e->other->total || e->how != TCP_RELEASE_CLOSE || (e->active && e->opened != 0))
            fail_msg("seed %llu, end %u: %llu of %llu bytes, release %d, opened %d", (unsigned long long)seed, k,
                     (unsigned long long)e->taken, (unsigned long long)e->other->total, (int)e->how, e->opened);
    }
}

static void streams_arrive_when_one_opens(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct net net;
        begin(&net, seed, ANSWERS);
        open_from(&net, 0);
        run(&net);
        expect_both_streams(&net, seed);
        end(&net);
    }
}

static void streams_arrive_when_both_open_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct net net;
        begin(&net, seed, ANSWERS);
        open_from(&net, 0);
        open_from(&net, 1);
        run(&net);
        expect_both_streams(&net, seed);
        end(&net);
    }
}

static void who_is_refused_hears_of_it(void **state)
{
    (void)state;
    for (uint64_t seed = 2; seed <= SEEDS; seed += 2) { /* not optimistic: that answers first */
        struct net net;
        begin(&net, seed, REFUSES);
        net.loss = 0;
        open_from(&net, 0);
        run(&net);
        assert_int_equal(net.end[0].opened, -ECONNREFUSED);
        assert_int_equal(net.end[0].how, TCP_RELEASE_ABORT);
        assert_int_equal(net.end[0].taken, 0);
        end(&net);
    }
}

static void who_is_not_answered_waits_three_minutes(void **state)
{
    (void)state;
    struct net net;
    begin(&net, 1, IS_GONE);
    uint64_t began = net.now;
    open_from(&net, 0);
    run(&net);
    assert_int_equal(net.end[0].opened, -ETIMEDOUT);
    assert_true(net.now - began >= 180000000 && net.now - began < 190000000);
    end(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_arrive_when_one_opens),
        cmocka_unit_test(streams_arrive_when_both_open_at_once),
        cmocka_unit_test(who_is_refused_hears_of_it),
        cmocka_unit_test(who_is_not_answered_waits_three_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
