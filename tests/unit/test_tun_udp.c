/* SPDX-License-Identifier: BSD-3-Clause */
/* UDP datagrams, in and out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tun_rig.h"

static int start(void **state)
{
    struct tun_config config = rig_config();
    *state = rig_start(&config);
    return 0;
}

static int stop(void **state)
{
    rig_stop(*state);
    return 0;
}

static void a_datagram_is_handed_over(void **state)
{
    struct rig *rig = *state;
    struct wire wire, datagram;
    struct spec spec = rig_spec(17);
    struct ipaddr src = rig_addr(RIG_STATION), dst = rig_addr(RIG_FAR);
    for (size_t n = 0; n < 40; n++) {
        rig_udp(&datagram, &spec, 53, n);
        rig_frame(&wire, &spec, &datagram);
        rig_expect_use(rig, &wire);
        assert_int_equal(rig->udp_count, n + 1);
        assert_int_equal(rig->udp.payload.left, n);
        assert_memory_equal(rig->udp_data, datagram.b + 8, n);
    }
    assert_true(ipaddr_equal(&rig->udp.src, &src));
    assert_true(ipaddr_equal(&rig->udp.dst, &dst));
    assert_int_equal(rig->udp.src_port, 5353);
    assert_int_equal(rig->udp.dst_port, 53);
    assert_non_null(hosts_at(&rig->tun.hosts, rig->udp.host));
    assert_int_equal(rig->tun.counters.udp_in, 40);
}

static void the_callbacks_reason_is_the_one_that_counts(void **state)
{
    struct rig *rig = *state;
    struct wire wire, datagram;
    struct spec spec = rig_spec(17);
    static const enum drop reasons[] = {DROP_UDP, DROP_DNS_BAD, DROP_DNS_QUOTA};
    rig_udp(&datagram, &spec, 123, 20);
    rig_frame(&wire, &spec, &datagram);
    for (size_t i = 0; i < 3; i++) {
        rig->udp_result = reasons[i];
        rig_expect_drop(rig, &wire, reasons[i]);
    }
}

static void a_wrong_checksum_is_bad_and_none_is_fine(void **state)
{
    struct rig *rig = *state;
    struct wire wire, datagram;
    struct spec spec = rig_spec(17);
    rig_udp(&datagram, &spec, 53, 21);
    datagram.b[20] ^= 4;
    rig_frame(&wire, &spec, &datagram);
    rig_expect_drop(rig, &wire, DROP_UDP_BAD);
    datagram.b[6] = datagram.b[7] = 0;
    rig_frame(&wire, &spec, &datagram);
    rig_expect_use(rig, &wire);
}

static void a_partial_checksum_is_not_computed(void **state)
{
    struct wire wire, datagram;
    struct spec spec = rig_spec(17);
    rig_udp(&datagram, &spec, 53, 21);
    datagram.b[7] ^= 1;
    spec.offload =
        (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6};
    rig_frame(&wire, &spec, &datagram);
    rig_expect_use(*state, &wire);
}

static void wrong_lengths_are_bad_whoever_vouches_for_the_checksum(void **state)
{
    struct wire wire, datagram;
    struct spec spec = rig_spec(17);
    static const uint8_t flags[] = {0, VIRTIO_NET_HDR_F_DATA_VALID};
    for (size_t i = 0; i < 2; i++) {
        spec.offload.flags = flags[i];
        rig_udp(&datagram, &spec, 53, 10);
        for (unsigned len = 0; len < 30; len++) {
            datagram.b[5] = (uint8_t)len;
            rig_frame(&wire, &spec, &datagram);
            if (len < 8 || len > 18)
                rig_expect_drop(*state, &wire, DROP_UDP_BAD);
        }
        for (size_t n = 0; n < 8; n++) {
            rig_udp(&datagram, &spec, 53, 10);
            datagram.n = n;
            rig_frame(&wire, &spec, &datagram);
            rig_expect_drop(*state, &wire, DROP_UDP_BAD);
        }
    }
}

static void what_follows_the_datagram_in_its_packet_is_cut_off(void **state)
{
    struct rig *rig = *state;
    struct wire wire, datagram;
    struct spec spec = rig_spec(17);
    rig_udp(&datagram, &spec, 53, 10);
    datagram.n += 6;
    memset(datagram.b + 18, 0xaa, 6);
    rig_frame(&wire, &spec, &datagram);
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->udp.payload.left, 10);
}

static void nobody_can_be_answered_at_port_zero(void **state)
{
    struct wire wire, datagram;
    struct spec spec = rig_spec(17);
    rig_udp(&datagram, &spec, 53, 10);
    datagram.b[0] = datagram.b[1] = 0;
    datagram.b[6] = datagram.b[7] = 0;
    rig_frame(&wire, &spec, &datagram);
    rig_expect_drop(*state, &wire, DROP_UDP_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_datagram_is_handed_over, start, stop),
        cmocka_unit_test_setup_teardown(the_callbacks_reason_is_the_one_that_counts, start, stop),
        cmocka_unit_test_setup_teardown(a_wrong_checksum_is_bad_and_none_is_fine, start, stop),
        cmocka_unit_test_setup_teardown(a_partial_checksum_is_not_computed, start, stop),
        cmocka_unit_test_setup_teardown(wrong_lengths_are_bad_whoever_vouches_for_the_checksum, start, stop),
        cmocka_unit_test_setup_teardown(what_follows_the_datagram_in_its_packet_is_cut_off, start, stop),
        cmocka_unit_test_setup_teardown(nobody_can_be_answered_at_port_zero, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
