/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A workstation for a while: where the probes come from.
 *
 * On a bridge it is a network namespace with one end of a veth pair, whose other end is a port of that bridge: what
 * anybody who is attached there has. When this process ends, however it does, the kernel takes the namespace away, and
 * the pair with it. On an interface that is given (the TAP itself, say) it is a packet socket there.
 */
#ifndef CLOISTER_LEAKTEST_STATION_H
#define CLOISTER_LEAKTEST_STATION_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "leaktest/wire.h"

struct station_place {
    int namespace;      /* network namespace of the bridge or the interface */
    const char *bridge; /* to be a port of, or NULL */
    const char *via;    /* else the interface to send by */
    bool isolated;      /* exchange no frames with other isolated ports */
};

struct station {
    struct wire wire;
    char port[IFNAMSIZ]; /* the bridge's end, or empty */
    uint8_t nic_mac[6];  /* of the workstation's interface */
    uint8_t port_mac[6]; /* of the other end */
    int place;           /* namespace of that, owned */
};

#define STATION_NONE ((struct station){.wire = {.fd = -1}, .place = -1})

/* Be a workstation. The caller stays in its namespace. 0, or negative errno and *step. */
int station_open(struct station *s, const struct station_place *place, const char **step);

/* Take it away again. */
void station_close(struct station *s);

#endif
