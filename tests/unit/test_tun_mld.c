/* SPDX-License-Identifier: BSD-3-Clause */
/* Which groups the gateway says it listens to, when, and who may ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tun_rig.h"

#define SECOND UINT64_C(1000000)
#define MILLISECOND UINT64_C(1000)
#define NODE_GROUP "ff02::1:ff00:10" /* of RIG_GATEWAY6 and fe80::10 */

/* The link came up long ago, and what that alone sent is forgotten. */
static struct rig *begin(const struct tun_config *config)
{
    struct rig *rig = rig_start(config);
    tun_link_up(&rig->tun, rig->now);
    tun_advance(&rig->tun, rig->now);
    rig->now += 100 * SECOND;
    tun_advance(&rig->tun, rig->now);
    rig->sent_count = 0;
    return rig;
}

static int start(void **state)
{
    struct tun_config config = rig_config6();
    *state = begin(&config);
    return 0;
}

static int stop(void **state)
{
    rig_stop(*state);
    return 0;
}

/* A message of ours to `dst`, whose MAC address ends in `tail`, as RFC 3810 5 and RFC 2710 3 draw it: hop limit 1, and a
 * router alert. */
static void message_of_ours(struct wire *wire, const char *src, const char *dst, const uint8_t tail[4],
                            uint8_t type, uint32_t rest, const uint8_t *body, size_t n)
{
    struct wire message;
    struct spec spec = rig_spec6(0);
    spec.src = src;
    spec.dst = dst;
    spec.hop_limit = 1;
    memcpy(spec.options, "\x3a\0\5\2\0\0\1\0", 8);
    spec.options_len = 8;
    memcpy(spec.src_mac, rig_gateway_mac, 6);
    memcpy(spec.dst_mac, "\x33\x33", 2);
    memcpy(spec.dst_mac + 2, tail, 4);
    rig_icmpv6(&message, &spec, type, 0, rest, body, n);
    rig_frame(wire, &spec, &message);
    memcpy(wire->b + 24, "\x60\0\0\0", 4);
}

/* A report of version 2 about `count` groups. */
static void report(struct wire *wire, const char *src, const char *const *groups, unsigned count)
{
    uint8_t body[3 * 20] = {0};
    for (unsigned i = 0; i < count; i++) {
        struct ipaddr group = rig_addr(groups[i]);
        body[20 * i] = 2;
        memcpy(body + 20 * i + 4, group.b, 16);
    }
    message_of_ours(wire, src, "ff02::16", (const uint8_t *)"\0\0\0\x16", 143, count, body, 20 * (size_t)count);
}

static void old_report(struct wire *wire, const char *group, const uint8_t tail[4])
{
    struct ipaddr addr = rig_addr(group);
    message_of_ours(wire, "fe80::10", group, tail, 131, 0, addr.b, 16);
}

/* A query for all groups that permits `delay` (ms as on the wire): its body is 20 bytes long in version 2, 16 in 1. */
static struct spec query(struct wire *wire, uint16_t delay, size_t n)
{
    struct wire message;
    struct spec spec = rig_spec6(58);
    uint8_t body[20] = {0};
    spec.src = "fe80::99";
    spec.dst = "ff02::1";
    spec.hop_limit = 1;
    memcpy(spec.dst_mac, "\x33\x33\0\0\0\1", 6);
    rig_icmpv6(&message, &spec, 130, 0, (uint32_t)delay << 16, body, n);
    rig_frame(wire, &spec, &message);
    return spec;
}

static void it_is_said_when_the_link_comes_up(void **state)
{
    (void)state;
    static const char *const groups[] = {NODE_GROUP, "ff02::1:ff00:7", "ff02::2"};
    struct tun_config config = rig_config6();
    struct wire expected;
    struct rig *rig = rig_start(&config);
    tun_link_up(&rig->tun, rig->now);
    report(&expected, "fe80::10", groups, 1); /* both addresses have the same */
    rig_expect_sent(rig, 1, &expected);
    rig_stop(rig);

    config.ra = true;
    config.link_local6 = rig_addr("fe80::7");
    rig = rig_start(&config);
    tun_link_up(&rig->tun, rig->now);
    report(&expected, "fe80::7", groups, 3);
    rig_expect_sent(rig, 1, &expected);
    rig_stop(rig);
}

static void a_query_is_answered_within_the_time_it_permits(void **state)
{
    struct rig *rig = *state;
    static const char *const groups[] = {NODE_GROUP};
    static const uint16_t delays[] = {0, 1, 1000, 10000, 0x8000, 0xffff};
    struct wire wire, expected;
    uint64_t at;
    report(&expected, "fe80::10", groups, 1);
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        rig->now += 100 * SECOND;
        query(&wire, delays[i], 20);
        assert_false(tun_next_deadline(&rig->tun, &at));
        rig_expect_use(rig, &wire);
        assert_true(tun_next_deadline(&rig->tun, &at));
        uint64_t most = delays[i] < 5000 ? delays[i] * MILLISECOND : 5 * SECOND;
        assert_in_range(at, rig->now, rig->now + most);
        rig->sent_count = 0;
        if (at > rig->now)
            tun_advance(&rig->tun, at - 1);
        assert_int_equal(rig->sent_count, 0);
        tun_advance(&rig->tun, at);
        assert_int_equal(rig->sent_count, 1);
        rig_expect_sent(rig, 0, &expected);
        tun_advance(&rig->tun, at + 100 * SECOND);
        assert_int_equal(rig->sent_count, 1);
    }
    assert_int_equal(rig->tun.hosts.used, 0);
}

static void who_speaks_version_1_is_answered_in_it(void **state)
{
    (void)state;
    struct tun_config config = rig_config6();
    struct wire wire, expected;
    uint64_t at;
    config.ra = true;
    struct rig *rig = begin(&config);
    query(&wire, 0, 16);
    rig_expect_use(rig, &wire);
    assert_true(tun_next_deadline(&rig->tun, &at));
    rig->sent_count = 0;
    tun_advance(&rig->tun, rig->now);
    assert_int_equal(rig->sent_count, 2);
    old_report(&expected, NODE_GROUP, (const uint8_t *)"\xff\0\0\x10");
    rig_expect_sent(rig, 0, &expected);
    old_report(&expected, "ff02::2", (const uint8_t *)"\0\0\0\2");
    rig_expect_sent(rig, 1, &expected);
    rig_stop(rig);
}

static void a_flood_of_queries_costs_one_report_a_second(void **state)
{
    struct rig *rig = *state;
    struct wire wire;
    unsigned sent = 0;
    query(&wire, 0, 20);
    for (unsigned i = 0; i < 3000; i++) { /* 30 s */
        rig->now += SECOND / 100;
        rig->sent_count = 0;
        rig_feed(rig, &wire);
        tun_advance(&rig->tun, rig->now);
        sent += rig->sent_count;
    }
    assert_in_range(sent, 29, 31);
}

static void what_is_no_query_is_not_answered(void **state)
{
    struct rig *rig = *state;
    struct wire wire, message;
    uint64_t at;
    uint8_t body[20] = {0};
    for (size_t n = 0; n < 20; n++) {
        if (n == 16)
            continue;
        query(&wire, 1000, n);
        rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    }
    struct spec spec = query(&wire, 1000, 20);
    spec.hop_limit = 2; /* from another link */
    rig_icmpv6(&message, &spec, 130, 0, 1000u << 16, body, 20);
    rig_frame(&wire, &spec, &message);
    rig_expect_drop(rig, &wire, DROP_NDP_BAD);

    static const char *const senders[] = {RIG_STATION6, "::"};
    for (size_t i = 0; i < 2; i++) {
        spec = query(&wire, 1000, 20);
        spec.src = senders[i];
        rig_icmpv6(&message, &spec, 130, 0, 1000u << 16, body, 20);
        rig_frame(&wire, &spec, &message);
        rig_expect_drop(rig, &wire, DROP_NDP_BAD);
    }

    query(&wire, 1000, 20);
    wire.b[wire.n - 1] ^= 1;
    rig_expect_drop(rig, &wire, DROP_ICMP);
    assert_false(tun_next_deadline(&rig->tun, &at));

    tun_link_down(&rig->tun);
    query(&wire, 1000, 20);
    rig_expect_drop(rig, &wire, DROP_NDP_OTHER);
    assert_false(tun_next_deadline(&rig->tun, &at));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_said_when_the_link_comes_up),
        cmocka_unit_test_setup_teardown(a_query_is_answered_within_the_time_it_permits, start, stop),
        cmocka_unit_test(who_speaks_version_1_is_answered_in_it),
        cmocka_unit_test_setup_teardown(a_flood_of_queries_costs_one_report_a_second, start, stop),
        cmocka_unit_test_setup_teardown(what_is_no_query_is_not_answered, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
