/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/leaktest_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config.h"

int leaktest_config_load(struct leaktest_gateway *out, const char *file)
{
    static const struct ipaddr none = {{0}};
    static struct config c; /* large */
    char error[CONFIG_ERROR_MAX];
    int status = config_load(&c, file, error);
    if (status != 0) {
        fprintf(stderr, "%s\n", error);
        return status;
    }
    *out = (struct leaktest_gateway){
        .attach = c.attach[0][0] != '\0',
        .isolate_clients = c.isolate_clients,
        .network = c.network,
        .network6 = c.network6,
        .virtual_net = c.virtual_net,
        .mtu = c.mtu,
        .reject = c.reject,
        .dhcp = !ipaddr_equal(&c.dhcp[0], &none),
        .external = c.mode == CONFIG_MODE_EXTERNAL,
    };
    memcpy(out->device, c.device, sizeof(out->device));
    memcpy(out->bridge, c.bridge, sizeof(out->bridge));
    int n = out->external ? snprintf(out->socks, sizeof(out->socks), "%s", c.socks[0])
                          : snprintf(out->socks, sizeof(out->socks), "%s/socks/socks", c.data);
    return n >= 0 && (size_t)n < sizeof(out->socks) ? 0 : -ENAMETOOLONG;
}
