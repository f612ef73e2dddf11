/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest_rig.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "leaktest/answer.h"
#include "leaktest/secret.h"

#define WALL 1790000000 /* s */
#define NOW 5000000     /* ms */

static struct secrets secrets;

static int setup(void **state)
{
    (void)state;
    memset(&secrets, 0, sizeof(secrets));
    secrets.uplink_mtu = secrets.link_mtu = 1500;
    return 0;
}

static void make(struct piece *frame, const struct packet *p)
{
    frame_begin(frame, rig_ground.mine, rig_ground.gateway_mac, p->six ? FRAME_IPV6 : FRAME_IPV4);
    packet_build(frame, p);
}

static struct answer read(const struct packet *p)
{
    struct piece frame;
    make(&frame, p);
    return answer_read(&rig_ground, frame.b, frame.n, 77);
}

static void tcp_answers_are_told_apart(void **state)
{
    struct packet p = {.from = rig_ground.internet, .to = rig_ground.me, .protocol = FRAME_TCP, .port = 20042};
    (void)state;
    p.flags = FRAME_SYN | FRAME_ACK;
    assert_int_equal(read(&p).number, 42);
    assert_int_equal(read(&p).word, ANSWER_SYN_ACK);
    p.flags = FRAME_RST | FRAME_ACK;
    assert_int_equal(read(&p).word, ANSWER_RST);
    p.flags = FRAME_ACK;
    assert_int_equal(read(&p).word, ANSWER_TCP);
    p.port = 19999;
    assert_int_equal(read(&p).number, -1);
}

static void an_error_is_about_the_packet_that_it_quotes(void **state)
{
    struct piece quoted = {0};
    struct packet sent = {.from = rig_ground.me, .to = rig_ground.internet, .protocol = FRAME_UDP, .id = 99};
    struct packet error = {
        .from = rig_ground.network.addr, .to = rig_ground.me, .protocol = FRAME_ICMP, .kind = 3, .body = &quoted};
    (void)state;
    packet_build(&quoted, &sent);
    assert_int_equal(read(&error).number, 99);
    assert_int_equal(read(&error).word, ANSWER_ICMP);
}

static void arp_answers_whom_asked_last(void **state)
{
    struct piece frame;
    (void)state;
    frame_begin(&frame, rig_ground.mine, rig_ground.gateway_mac, FRAME_ARP);
    frame_arp(&frame, 2, rig_ground.gateway_mac, &rig_ground.network.addr, rig_ground.mine, &rig_ground.me);
    assert_int_equal(answer_read(&rig_ground, frame.b, frame.n, 77).number, 77);
    assert_int_equal(answer_read(&rig_ground, frame.b, frame.n, 77).word, ANSWER_ARP);
}

static void what_is_expected_is_all_that_fits(void **state)
{
    (void)state;
    assert_true(answer_fits(MATRIX_SILENCE, 0));
    assert_false(answer_fits(MATRIX_SILENCE, ANSWER_ICMP));
    assert_true(answer_fits(MATRIX_RST, ANSWER_RST));
    assert_false(answer_fits(MATRIX_RST, 0));
    assert_false(answer_fits(MATRIX_RST, ANSWER_RST | ANSWER_SYN_ACK));
    assert_false(answer_fits(MATRIX_SYN_ACK, ANSWER_RST));
    assert_true(answer_fits(MATRIX_ANY, ANSWER_OTHER));
}

static void no_frame_is_too_short_to_be_read(void **state)
{
    static const uint8_t sack[] = {2, 4, 5, 0xb4, 8, 10, 0, 0, 0, 1, 0, 0};
    struct packet p = {.from = rig_ground.internet,
                       .to = rig_ground.me,
                       .protocol = FRAME_TCP,
                       .port = 20042,
                       .tcp_options = sack,
                       .tcp_options_n = sizeof(sack)};
    struct piece frame;
    (void)state;
    make(&frame, &p);
    for (size_t n = 0; n < frame.n; n++) {
        uint32_t sizes[ANSWER_SIZES], value;
        uint64_t flow;
        uint8_t *copy = test_malloc(n + 1);
        memcpy(copy, frame.b, n);
        answer_read(&rig_ground, copy, n, -1);
        answer_sizes(copy, n, sizes);
        answer_timestamp(copy, n, &value, &flow);
        test_free(copy);
    }
}

static void look(const struct packet *p, const struct piece *asked, bool later)
{
    struct piece frame;
    make(&frame, p);
    secrets_look(&secrets, frame.b, frame.n, asked != NULL ? asked->b : NULL, asked != NULL ? asked->n : 0, later,
                 WALL, NOW);
}

static struct packet carrying(const struct piece *body)
{
    return (struct packet){.from = rig_ground.network.addr,
                           .to = rig_ground.me,
                           .protocol = FRAME_UDP,
                           .source_port = 53,
                           .port = 20001,
                           .body = body};
}

static void a_name_that_comes_back_is_told_unless_it_was_asked_with(void **state)
{
    struct piece body = {0};
    struct packet p;
    (void)state;
    secrets_add(&secrets, "host name", "laptop-of-alice", 15);
    piece_add(&body, "xxlaptop-of-alicexx", 19);
    p = carrying(&body);
    look(&p, &body, false);
    assert_int_equal(secrets_settle(&secrets), 0);
    look(&p, NULL, false);
    assert_int_equal(secrets_settle(&secrets), 1);
    assert_true(secret_is_told(&secrets.item[0]));
}

static void what_a_mutant_said_may_come_back(void **state)
{
    struct piece body = {0};
    struct packet p;
    (void)state;
    secrets_add_address(&secrets, "address of eth0", &rig_ground.host);
    piece_add(&body, rig_ground.host.b + 12, 4);
    p = carrying(&body);
    look(&p, NULL, true);
    assert_int_equal(secrets_settle(&secrets), 1);
    secrets_said(&secrets, body.b, body.n);
    assert_int_equal(secrets_settle(&secrets), 0);
}

static void an_mtu_is_told_by_an_mss_only_if_it_is_the_uplinks(void **state)
{
    uint8_t mss[] = {2, 4, 0, 0};
    struct packet p = {.from = rig_ground.internet,
                       .to = rig_ground.me,
                       .protocol = FRAME_TCP,
                       .port = 20042,
                       .tcp_options = mss,
                       .tcp_options_n = sizeof(mss)};
    (void)state;
    be16_store(mss + 2, 1347);
    look(&p, NULL, false);
    assert_int_equal(secrets_settle(&secrets), 0); /* both links are alike */
    secrets.uplink_mtu = 1387;
    be16_store(mss + 2, 1460);
    look(&p, NULL, false);
    assert_int_equal(secrets_settle(&secrets), 0);
    be16_store(mss + 2, 1347);
    look(&p, NULL, false);
    assert_int_equal(secrets_settle(&secrets), 1);
}

static void the_time_of_day_is_told_by_more_than_one_frame(void **state)
{
    struct piece body = {0};
    struct packet p;
    (void)state;
    piece_u32(&body, WALL);
    p = carrying(&body);
    look(&p, NULL, false);
    assert_int_equal(secrets_settle(&secrets), 0);
    look(&p, NULL, false);
    look(&p, NULL, false);
    assert_int_equal(secrets_settle(&secrets), 1);
}

static void text_and_both_byte_orders_tell_the_time(void **state)
{
    struct piece text = {0}, little = {0}, ntp = {0};
    struct packet p[3];
    (void)state;
    piece_add(&text, "Date: 1790000001", 16);
    for (unsigned i = 0; i < 4; i++)
        piece_u8(&little, (uint8_t)(WALL >> 8 * i));
    piece_u32(&ntp, (uint32_t)WALL + 2208988800u);
    p[0] = carrying(&text);
    p[1] = carrying(&little);
    p[2] = carrying(&ntp);
    for (size_t i = 0; i < 3; i++)
        look(&p[i], NULL, false);
    assert_int_equal(secrets.told_time, 3);
}

static void clock(uint16_t port, uint32_t value)
{
    uint8_t options[12] = {8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1};
    struct packet p = {.from = rig_ground.internet,
                       .to = rig_ground.me,
                       .protocol = FRAME_TCP,
                       .source_port = 53,
                       .port = port,
                       .tcp_options = options,
                       .tcp_options_n = sizeof(options)};
    be32_store(options + 2, value);
    look(&p, NULL, false);
}

static void flows_that_share_a_clock_tell_it(void **state)
{
    (void)state;
    clock(20001, 1000000000);
    clock(20002, 2000000000);
    assert_int_equal(secrets_settle(&secrets), 0);
    clock(20003, 2000000001);
    assert_int_equal(secrets_settle(&secrets), 1);
    assert_int_equal(secrets.told_clock, 1);
}

static void a_flow_with_the_hosts_clock_tells_it(void **state)
{
    (void)state;
    clock(20001, NOW + 3);
    assert_int_equal(secrets_settle(&secrets), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_answers_are_told_apart),
        cmocka_unit_test(an_error_is_about_the_packet_that_it_quotes),
        cmocka_unit_test(arp_answers_whom_asked_last),
        cmocka_unit_test(what_is_expected_is_all_that_fits),
        cmocka_unit_test(no_frame_is_too_short_to_be_read),
        cmocka_unit_test_setup(a_name_that_comes_back_is_told_unless_it_was_asked_with, setup),
        cmocka_unit_test_setup(what_a_mutant_said_may_come_back, setup),
        cmocka_unit_test_setup(an_mtu_is_told_by_an_mss_only_if_it_is_the_uplinks, setup),
        cmocka_unit_test_setup(the_time_of_day_is_told_by_more_than_one_frame, setup),
        cmocka_unit_test_setup(text_and_both_byte_orders_tell_the_time, setup),
        cmocka_unit_test_setup(flows_that_share_a_clock_tell_it, setup),
        cmocka_unit_test_setup(a_flow_with_the_hosts_clock_tells_it, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
