/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest_rig.h"

#include <string.h>

#include "leaktest/attack.h"
#include "leaktest/judge.h"

#define UPLINK 3u

static struct judge judge;

static int setup(void **state)
{
    (void)state;
    judge_init(&judge, &rig_ground, true);
    judge_add_peer(&judge, &(struct judge_peer){rig_ground.relay, 9001});
    return 0;
}

static struct packet tcp(const char *from, const char *to, uint16_t port)
{
    return (struct packet){.from = frame_ip(from),
                           .to = frame_ip(to),
                           .protocol = FRAME_TCP,
                           .source_port = 40000,
                           .port = port,
                           .flags = FRAME_ACK};
}

static enum judge_verdict look(const struct packet *p)
{
    struct piece out = {0};
    packet_build(&out, p);
    return judge_look(&judge, UPLINK, true, NULL, p->six ? FRAME_IPV6 : FRAME_IPV4, out.b, out.n);
}

static void tors_own_connection_is_tors(void **state)
{
    struct packet p = tcp("203.0.113.5", "203.0.113.99", 9001);
    (void)state;
    assert_int_equal(look(&p), JUDGE_TOR);
    assert_int_equal(judge_leaks(&judge), 0);
}

static void a_mark_is_a_leak_whatever_it_looks_like(void **state)
{
    struct packet p = tcp("203.0.113.5", "203.0.113.99", 9001);
    struct piece body = {0};
    (void)state;
    piece_zeros(&body, MATRIX_MARK);
    matrix_mark(body.b, 1234);
    p.body = &body;
    assert_int_equal(look(&p), JUDGE_LEAK);
    assert_int_equal(judge.marked[1234], 1);
    assert_int_equal(judge.kept[0].number, 1234);
}

static void a_relays_other_port_is_not_tors(void **state)
{
    struct packet p = tcp("203.0.113.5", "203.0.113.99", 80);
    (void)state;
    assert_int_equal(look(&p), JUDGE_UNDECIDED);
    judge_settle(&judge);
    assert_int_equal(judge_leaks(&judge), 1);
}

static void a_connection_that_is_known_late_is_tors(void **state)
{
    struct packet p = tcp("203.0.113.5", "203.0.113.98", 443), back = tcp("203.0.113.98", "203.0.113.5", 40000);
    (void)state;
    back.source_port = 443;
    assert_int_equal(look(&p), JUDGE_UNDECIDED);
    assert_int_equal(look(&back), JUDGE_UNDECIDED);
    assert_int_equal(judge.open_count, 1);
    judge_add_peer(&judge, &(struct judge_peer){frame_ip("203.0.113.98"), 443});
    judge_settle(&judge);
    assert_int_equal(judge_leaks(&judge), 0);
    assert_int_equal(judge.frames[JUDGE_TOR], 2);
}

static void an_address_of_the_workstations_is_a_leak(void **state)
{
    struct packet from = tcp("10.152.160.1", "8.8.8.8", 80), to = tcp("203.0.113.5", "198.51.100.7", 80);
    (void)state;
    assert_int_equal(look(&from), JUDGE_LEAK);
    assert_int_equal(look(&to), JUDGE_LEAK);
    assert_int_equal(judge.unmarked, 2);
}

static void a_frame_of_the_workstations_mac_address_is_a_leak(void **state)
{
    static const uint8_t anything[60];
    (void)state;
    assert_int_equal(judge_look(&judge, UPLINK, true, rig_ground.mine, 0x88cc, anything, sizeof(anything)),
                     JUDGE_LEAK);
}

static void arp_and_neighbour_discovery_are_the_links(void **state)
{
    struct piece out = {0};
    static const uint8_t mac[6] = {2, 9, 9, 9, 9, 9};
    struct packet nd = {
        .six = true, .from = frame_ip("fe80::1"), .to = frame_ip("ff02::1"), .protocol = FRAME_ICMP6, .kind = 135};
    struct packet ping = nd;
    (void)state;
    frame_arp(&out, 1, mac, &rig_ground.host, mac, &rig_ground.router);
    assert_int_equal(judge_look(&judge, UPLINK, true, mac, FRAME_ARP, out.b, out.n), JUDGE_LINK);
    assert_int_equal(look(&nd), JUDGE_LINK);
    ping.kind = 128;
    assert_int_equal(look(&ping), JUDGE_LEAK);
}

static void what_is_the_hosts_is_no_leak_unless_strict(void **state)
{
    struct packet p = {.from = rig_ground.host, .to = frame_ip("8.8.8.8"), .protocol = FRAME_UDP, .port = 123};
    struct packet connection = tcp("203.0.113.5", "8.8.8.8", 22);
    (void)state;
    assert_int_equal(look(&p), JUDGE_LEAK);
    judge_init(&judge, &rig_ground, false);
    assert_int_equal(look(&p), JUDGE_OTHER);
    assert_int_equal(look(&connection), JUDGE_UNDECIDED);
    judge_settle(&judge);
    assert_int_equal(judge_leaks(&judge), 0);
    assert_int_equal(judge.frames[JUDGE_OTHER], 2);
}

static void an_allowed_peer_of_any_port_is_allowed(void **state)
{
    struct packet p = tcp("203.0.113.5", "8.8.8.8", 22);
    (void)state;
    judge_add_peer(&judge, &(struct judge_peer){frame_ip("8.8.8.8"), 0});
    assert_int_equal(look(&p), JUDGE_TOR);
}

static void on_other_interfaces_only_what_is_ours_counts(void **state)
{
    struct packet p = {.from = frame_ip("192.168.7.1"), .to = frame_ip("192.168.7.2"), .protocol = FRAME_UDP};
    struct packet ours = {.from = rig_ground.me, .to = frame_ip("192.168.7.2"), .protocol = FRAME_UDP};
    struct piece out = {0}, leaked = {0};
    (void)state;
    packet_build(&out, &p);
    packet_build(&leaked, &ours);
    assert_int_equal(judge_look(&judge, 9, false, NULL, FRAME_IPV4, out.b, out.n), JUDGE_OTHER);
    assert_int_equal(judge_look(&judge, 9, false, NULL, FRAME_IPV4, leaked.b, leaked.n), JUDGE_LEAK);
}

static void no_packet_is_too_short_to_be_judged(void **state)
{
    struct packet p = tcp("203.0.113.5", "203.0.113.99", 9001);
    struct piece out = {0};
    (void)state;
    packet_build(&out, &p);
    for (size_t n = 0; n < out.n; n++) {
        /* A copy of its own size, so that a read past it is noticed. */
        uint8_t *copy = test_malloc(n + 1);
        memcpy(copy, out.b, n);
        judge_look(&judge, UPLINK, true, NULL, FRAME_IPV4, copy, n);
        judge_look(&judge, UPLINK, true, NULL, FRAME_IPV6, copy, n);
        test_free(copy);
    }
}

/* Beside a real Tor, an exit must not be asked for the address of this host or of its guard. */
static void no_connection_to_the_host_or_a_relay_is_asked_of_a_real_tor(void **state)
{
    struct matrix m;
    unsigned withheld = 0, sent = 0;
    (void)state;
    assert_int_equal(matrix_make(&m, &rig_ground), 0);
    for (unsigned i = 0; i < m.count; i++) {
        const struct probe *p = &m.probe[i];
        bool is = attack_withholds(&rig_ground, p->frame, p->n, false);
        withheld += is;
        sent += !is;
        if (strcmp(p->name, "SYN to the host's outer address, port 443") == 0 ||
            strcmp(p->name, "SYN to the relay's own port") == 0 ||
            strcmp(p->name, "SYN to the host, in a frame to everybody") == 0)
            assert_true(is);
        if (strcmp(p->name, "SYN to the Internet, port 80") == 0 || strcmp(p->name, "port 443 to a relay") == 0 ||
            strcmp(p->name, "SYN to the host, in a frame to the bridge") == 0)
            assert_false(is);
    }
    assert_true(withheld > 20 && withheld < 200 && sent > 1900);
    matrix_free(&m);
}

static void no_mutant_makes_a_connection_through_a_real_tor(void **state)
{
    struct packet p = tcp("10.152.152.77", "198.51.100.7", 80);
    struct piece frame;
    (void)state;
    frame_begin(&frame, rig_ground.gateway_mac, rig_ground.mine, FRAME_IPV4);
    packet_build(&frame, &p);
    assert_false(attack_withholds(&rig_ground, frame.b, frame.n, false));
    assert_true(attack_withholds(&rig_ground, frame.b, frame.n, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(tors_own_connection_is_tors, setup),
        cmocka_unit_test_setup(a_mark_is_a_leak_whatever_it_looks_like, setup),
        cmocka_unit_test_setup(a_relays_other_port_is_not_tors, setup),
        cmocka_unit_test_setup(a_connection_that_is_known_late_is_tors, setup),
        cmocka_unit_test_setup(an_address_of_the_workstations_is_a_leak, setup),
        cmocka_unit_test_setup(a_frame_of_the_workstations_mac_address_is_a_leak, setup),
        cmocka_unit_test_setup(arp_and_neighbour_discovery_are_the_links, setup),
        cmocka_unit_test_setup(what_is_the_hosts_is_no_leak_unless_strict, setup),
        cmocka_unit_test_setup(an_allowed_peer_of_any_port_is_allowed, setup),
        cmocka_unit_test_setup(on_other_interfaces_only_what_is_ours_counts, setup),
        cmocka_unit_test_setup(no_packet_is_too_short_to_be_judged, setup),
        cmocka_unit_test(no_connection_to_the_host_or_a_relay_is_asked_of_a_real_tor),
        cmocka_unit_test(no_mutant_makes_a_connection_through_a_real_tor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
