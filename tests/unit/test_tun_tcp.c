/* SPDX-License-Identifier: BSD-3-Clause */
/* What is checked of a TCP segment before the engine sees it. */
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

static void segments_of_every_length_are_summed_up_right(void **state)
{
    struct rig *rig = *state;
    struct wire wire, segment;
    struct spec spec = rig_spec(6);
    for (size_t n = 0; n < 70; n++) {
        rig_tcp(&segment, &spec, n);
        rig_frame(&wire, &spec, &segment);
        rig_expect_use(rig, &wire);
        assert_int_equal(rig->tcp.seg.left, 20 + n);
    }
}

static void a_flipped_bit_anywhere_is_noticed(void **state)
{
    struct wire wire, segment;
    struct spec spec = rig_spec(6);
    for (size_t i = 0; i < 20 + 15; i++) {
        rig_tcp(&segment, &spec, 15);
        segment.b[i] ^= i == 12 ? 0x01 : 0x10; /* byte 12 is the data offset: that would be another reason */
        rig_frame(&wire, &spec, &segment);
        rig_expect_drop(*state, &wire, DROP_TCP_CHECKSUM);
    }
}

static void a_checksum_that_is_partial_or_vouched_for_is_not_computed(void **state)
{
    struct wire wire, segment;
    struct spec spec = rig_spec(6);
    rig_tcp(&segment, &spec, 15);
    segment.b[17] ^= 1;
    rig_frame(&wire, &spec, &segment);
    rig_expect_drop(*state, &wire, DROP_TCP_CHECKSUM);
    spec.offload.flags = VIRTIO_NET_HDR_F_DATA_VALID;
    rig_frame(&wire, &spec, &segment);
    rig_expect_use(*state, &wire);
    spec.offload =
        (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};
    rig_frame(&wire, &spec, &segment);
    rig_expect_use(*state, &wire);
}

static void a_segment_shorter_than_its_header_is_bad(void **state)
{
    struct wire wire, segment;
    struct spec spec = rig_spec(6);
    for (size_t n = 0; n < 20; n++) {
        rig_tcp(&segment, &spec, 0);
        segment.n = n;
        rig_frame(&wire, &spec, &segment);
        rig_expect_drop(*state, &wire, DROP_TCP_BAD);
    }
}

static void a_data_offset_outside_the_segment_is_bad(void **state)
{
    struct wire wire, segment;
    struct spec spec = rig_spec(6);
    for (unsigned words = 0; words < 16; words++) {
        if (words >= 5 && words <= 8) /* 20 to 32 of 35 bytes */
            continue;
        rig_tcp(&segment, &spec, 15);
        segment.b[12] = (uint8_t)(words << 4);
        rig_frame(&wire, &spec, &segment);
        rig_expect_drop(*state, &wire, DROP_TCP_BAD);
    }
}

static void a_whole_super_segment_is_handed_over_in_place(void **state)
{
    struct rig *rig = *state;
    struct wire wire, segment;
    struct spec spec = rig_spec(6);
    spec.offload = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                           .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                           .gso_size = 1448,
                                           .csum_start = 34,
                                           .csum_offset = 16};
    rig_tcp(&segment, &spec, 65535 - 40);
    rig_frame(&wire, &spec, &segment);
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->tcp.seg.left, 65515);
    assert_memory_equal(rig->tcp.seg.at, segment.b, segment.n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(segments_of_every_length_are_summed_up_right, start, stop),
        cmocka_unit_test_setup_teardown(a_flipped_bit_anywhere_is_noticed, start, stop),
        cmocka_unit_test_setup_teardown(a_checksum_that_is_partial_or_vouched_for_is_not_computed, start, stop),
        cmocka_unit_test_setup_teardown(a_segment_shorter_than_its_header_is_bad, start, stop),
        cmocka_unit_test_setup_teardown(a_data_offset_outside_the_segment_is_bad, start, stop),
        cmocka_unit_test_setup_teardown(a_whole_super_segment_is_handed_over_in_place, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
