/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/common.h"
#include "replay/stack.h"

static const char usage[] =
    "usage: replay CAPTURE [OPTION ...]\n"
    "\n"
    "Plays the TCP connections of a capture (pcap or pcapng: Ethernet, also with VLAN tags, Linux cooked, "
    "loopback,\n"
    "raw IP; IPv4 and IPv6) through a gateway: the client's side of each as it was, with live sequence numbers, "
    "and\n"
    "the server's side from behind the gateway. What arrives on either side is compared byte by byte. Prints one\n"
    "line of key=value.\n"
    "\n"
    "  --copies N         N copies of all connections at once (1)\n"
    "  --total M          M copies in all (N)\n"
    "  --rate R           at most R packets of the client a second (0: flat out)\n"
    "  --batch K          at most K of its packets at a time, 1 to 64 (64)\n"
    "  --seed S           of sequence numbers and digest (1)\n"
    "\n"
    "Without more, the stack that this program was linked with is the gateway: no device and no system call, time\n"
    "is counted, only the stack's own work is timed, and the digest of all that came out is the same for the same\n"
    "seed. Through a device (as root):\n"
    "\n"
    "  --device NAME      the TUN or TAP whose other end a gateway holds. It is waited for. Give it no address, "
    "or\n"
    "                     the kernel will answer as well\n"
    "  --netns FILE       the network namespace it is in, as /run/netns/NAME\n"
    "  --socks-unix PATH  be the gateway's SOCKS server at this path\n"
    "  --socks-tcp PORT   and on this port of 127.0.0.1\n"
    "  --client ADDRESS   to be played (10.152.152.11)\n"
    "  --gateway ADDRESS  whose MAC address is asked for (10.152.152.10)\n"
    "  --cpu PID,PID      processes of the gateway, whose CPU time is counted\n";

static uint64_t number(const char *name, const char *text, uint64_t max)
{
    char *end;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || n > max)
        die("%s %s: not a number from 0 to %lu", name, text, max);
    return n;
}

static uint32_t address(const char *text)
{
    char whole[64];
    snprintf(whole, sizeof(whole), "%s:0", text);
    return ntohl(parse_address(whole).sin_addr.s_addr);
}

static void take(struct replay_options *o, const char *name, const char *value)
{
    const struct {
        const char *name;
        uint32_t *at;
        uint32_t max;
    } numbers[] = {
        {"--copies", &o->copies, 1u << 20}, {"--total", &o->total, 1u << 24}, {"--batch", &o->batch, STACK_BATCH}};
    const struct {
        const char *name;
        const char **at;
    } texts[] = {
        {"--device", &o->device}, {"--netns", &o->netns}, {"--socks-unix", &o->socks_unix}, {"--cpu", &o->cpu}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            *numbers[i].at = (uint32_t)number(name, value, numbers[i].max);
            return;
        }
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].at = value;
            return;
        }
    }
    if (strcmp(name, "--rate") == 0)
        o->rate = (double)number(name, value, 1000000000);
    else if (strcmp(name, "--seed") == 0)
        o->seed = number(name, value, UINT64_MAX);
    else if (strcmp(name, "--socks-tcp") == 0)
        o->socks_tcp = (uint16_t)number(name, value, 65535);
    else if (strcmp(name, "--client") == 0)
        o->client = address(value);
    else if (strcmp(name, "--gateway") == 0)
        o->gateway = address(value);
    else
        die("%s: no such option; replay --help", name);
}

struct replay_options replay_options_parse(int argc, char **argv)
{
    struct replay_options o = {
        .copies = 1, .batch = STACK_BATCH, .seed = 1, .client = 0x0a98980b, .gateway = 0x0a98980a};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            exit(0);
        } else if (argv[i][0] != '-') {
            if (o.path != NULL)
                die("%s: one capture at a time; replay --help", argv[i]);
            o.path = argv[i];
        } else if (i + 1 == argc) {
            die("%s: no such option, or its value is missing; replay --help", argv[i]);
        } else {
            take(&o, argv[i], argv[i + 1]);
            i++;
        }
    }
    if (o.path == NULL) {
        fputs(usage, stderr);
        exit(2);
    }
    if (o.copies == 0 || o.batch == 0)
        die("--copies and --batch begin with 1");
    if (o.total < o.copies)
        o.total = o.copies;
    if (o.device != NULL && o.socks_unix == NULL && o.socks_tcp == 0)
        die("--device: --socks-unix or --socks-tcp is needed, for the gateway to connect to");
    if (o.device == NULL && (o.netns != NULL || o.socks_unix != NULL || o.socks_tcp != 0 || o.cpu != NULL))
        die("--netns, --socks-unix, --socks-tcp and --cpu go with --device");
    return o;
}
