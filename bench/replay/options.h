/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of a replay. */
#ifndef CLOISTER_BENCH_OPTIONS_H
#define CLOISTER_BENCH_OPTIONS_H

#include <stdint.h>

struct replay_options {
    const char *path;   /* of the capture */
    uint32_t copies;    /* of the capture's flows, at once */
    uint32_t total;     /* copies in all */
    uint32_t batch;     /* frames of one turn at most */
    uint64_t seed;      /* of sequence numbers, and of the digest */
    double rate;        /* packets of the client a second, 0: flat out */
    const char *device; /* TUN or TAP whose other end a gateway holds; NULL: the stack in this process */
    /* With a device: */
    const char *netns;      /* file of the network namespace that it is in, NULL: this one */
    const char *socks_unix; /* path of the SOCKS socket that is made for the gateway, or NULL */
    uint16_t socks_tcp;     /* port on 127.0.0.1 of the same, 0: none */
    uint32_t client;        /* address that is played */
    uint32_t gateway;       /* address of the gateway, who is asked for its MAC address */
    const char *cpu;        /* processes whose CPU time is counted, "12,34", or NULL */
};

/* Ends the program, with usage or a message, if there is nothing to do. */
struct replay_options replay_options_parse(int argc, char **argv);

#endif
