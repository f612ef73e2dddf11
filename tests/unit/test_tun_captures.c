/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every frame of every capture below the folder that CLOISTER_CAPTURES names, fed to the gateway: as it is, and once
 * more as if a workstation had sent it, so that it gets past addresses and checksums. No crash, and each frame is
 * used or dropped once.
 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "tun_rig.h"

static struct {
    struct rig *rig;
    uint64_t files, frames;
} run;

/* Dress the frame up as the workstation's. */
static void adopt(struct wire *wire)
{
    static const struct virtio_net_hdr vouched = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
    const struct ipaddr station = rig_addr(RIG_STATION), station6 = rig_addr(RIG_STATION6);
    memcpy(wire->b, &vouched, sizeof(vouched));
    if (wire->n < FRAME_HEADER_LEN)
        return;
    if ((wire->b[10] & 1) == 0)
        memcpy(wire->b + 10, rig_gateway_mac, 6);
    memcpy(wire->b + 16, rig_station_mac, 6);
    uint8_t *at = wire->b + FRAME_HEADER_LEN;
    size_t n = wire->n - FRAME_HEADER_LEN;
    unsigned type = (unsigned)wire->b[22] << 8 | wire->b[23];
    if (type == 0x0800 && n >= 20) {
        size_t header_len = (size_t)(at[0] & 0xf) * 4;
        memcpy(at + 12, station.b + 12, 4);
        at[10] = at[11] = 0;
        uint16_t sum = (uint16_t)~ref_fold(ref_sum(0, at, header_len <= n ? header_len : 20));
        at[10] = (uint8_t)(sum >> 8);
        at[11] = (uint8_t)sum;
    } else if (type == 0x86dd && n >= 40) {
        memcpy(at + 8, station6.b, 16);
    } else if (type == 0x0806 && n >= 28) {
        memcpy(at + 8, rig_station_mac, 6);
        memcpy(at + 14, station.b + 12, 4);
    }
}

static void feed(const struct wire *wire)
{
    struct rig *rig = run.rig;
    uint64_t drops = 0;
    rig->sent_count = 0;
    rig->now += 1000;
    rig_feed(rig, wire);
    for (unsigned i = 0; i < DROP_COUNT; i++)
        drops += rig->tun.drops.by[i];
    assert_int_equal(rig->tun.counters.frames_in, rig->tun.counters.frames_used + drops);
}

static int feed_file(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    char error[PCAP_ERRBUF_SIZE];
    static struct wire wire;
    struct pcap_pkthdr *header;
    const u_char *data;
    (void)status;
    (void)where;
    if (kind != FTW_F)
        return 0;
    pcap_t *pcap = pcap_open_offline(path, error);
    if (pcap == NULL)
        return 0; /* not a capture */
    run.files += pcap_datalink(pcap) == DLT_EN10MB;
    while (pcap_datalink(pcap) == DLT_EN10MB && pcap_next_ex(pcap, &header, &data) == 1) {
        size_t n = header->caplen < sizeof(wire.b) - 10 ? header->caplen : sizeof(wire.b) - 10;
        memset(wire.b, 0, 10);
        memcpy(wire.b + 10, data, n);
        wire.n = 10 + n;
        feed(&wire);
        adopt(&wire);
        feed(&wire);
        run.frames += 2;
    }
    pcap_close(pcap);
    return 0;
}

static void every_frame_of_every_capture_is_used_or_dropped_once(void **state)
{
    const char *folder = getenv("CLOISTER_CAPTURES");
    (void)state;
    if (folder == NULL || folder[0] == '\0')
        skip();
    struct tun_config config = rig_config6();
    run.rig = rig_start(&config);
    assert_int_equal(nftw(folder, feed_file, 16, FTW_PHYS), 0);
    assert_int_equal(run.rig->tun.counters.frames_in, run.frames);
    assert_true(run.frames > 0);
    assert_true(run.rig->tun.counters.frames_used > 0);
    print_message("captures=%llu frames=%llu used=%llu\n", (unsigned long long)run.files,
                  (unsigned long long)run.frames, (unsigned long long)run.rig->tun.counters.frames_used);
    for (unsigned i = 0; i < DROP_COUNT; i++) {
        if (run.rig->tun.drops.by[i] != 0)
            print_message("%s=%llu\n", drop_name((enum drop)i), (unsigned long long)run.rig->tun.drops.by[i]);
    }
    rig_stop(run.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_of_every_capture_is_used_or_dropped_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
