/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as DHCP messages, several in a row, from eight clients, as time passes.
 *
 * Held to: no access outside of its memory (the sanitizer's part); a reply is a BOOTP reply to that client whose options
 * end where they should, that gives an address of the pool or the client's fixed one; no two clients hold one address
 * at the same time.
 */
#include <stdlib.h>

#include "tun/dhcp.h"

#define HOLDS(what)                                                                                                \
    do {                                                                                                           \
        if (!(what))                                                                                               \
            abort();                                                                                               \
    } while (0)

#define FIRST 0x0a989864u /* 10.152.152.100 */
#define COUNT 6u
#define FIXED 102u /* last byte of the fixed address, client 7's */

/* What the first byte of a message says. */
enum how {
    HOW_CLIENT = 0x07, /* from which */
    HOW_HEAD = 0x08,   /* give it a head that is right */
    HOW_TIME = 0x10,   /* ten minutes have passed */
    HOW_REFUSE = 0x20, /* the address cannot be held */
    HOW_USED = 0x40,   /* the first address of the pool is in use */
};

struct world {
    unsigned how;
    unsigned owner[256]; /* client + 1, by last byte */
    uint64_t until[256];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_free(void *ctx, const struct ipaddr *addr, const uint8_t *mac, uint64_t now)
{
    const struct world *world = ctx;
    uint8_t last = addr->b[15];
    if ((world->how & HOW_USED) && last == 100)
        return false;
    return world->owner[last] == mac[5] + 1u || world->until[last] <= now;
}

static bool hold(void *ctx, const struct ipaddr *addr, const uint8_t *mac, uint64_t now, uint64_t until)
{
    struct world *world = ctx;
    uint8_t last = addr->b[15];
    if ((world->how & HOW_REFUSE) || !is_free(ctx, addr, mac, now))
        return false;
    world->owner[last] = mac[5] + 1u;
    world->until[last] = until;
    return true;
}

static void release(void *ctx, const struct ipaddr *addr, const uint8_t *mac)
{
    struct world *world = ctx;
    if (world->owner[addr->b[15]] == mac[5] + 1u)
        world->until[addr->b[15]] = 0;
}

static const struct dhcp_ops ops = {.is_free = is_free, .hold = hold, .release = release};

static void check(const struct dhcp_out *out, const uint8_t *mac, bool inform)
{
    HOLDS(out->n >= 300 && out->n <= DHCP_MESSAGE_MAX);
    const uint8_t *m = out->message;
    HOLDS(m[0] == 2 && memcmp(m + 28, mac, 6) == 0 && be32_load(m + 236) == 0x63825363u);
    struct bytes options = bytes_of(m + 240, out->n - 240);
    uint8_t type = 0, option;
    while ((option = bytes_u8(&options)) != 255) {
        struct bytes value = bytes_sub(&options, bytes_u8(&options));
        HOLDS(bytes_ok(&options));
        if (option == 53)
            type = value.at[0];
    }
    HOLDS(bytes_ok(&options));
    HOLDS(type == DHCP_OFFER || type == DHCP_ACK || type == DHCP_NAK);
    uint32_t given = be32_load(m + 16);
    if (type == DHCP_NAK || inform)
        HOLDS(given == 0);
    else
        HOLDS(given - FIRST < COUNT && ((given & 0xff) == FIXED) == (mac[5] == 7));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t head[8] = {1, 1, 6, 0, 1, 2, 3, 4};
    static const uint8_t gateway[4] = {10, 152, 152, 10}, from[4] = {10, 152, 152, 100},
                         to[4] = {10, 152, 152, 105};
    const struct dhcp_fixed fixed = {.mac = {2, 0, 0, 0, 0, 7}, .address = {10, 152, 152, FIXED}};
    const struct dhcp_config config = {
        .server = ipaddr_v4(gateway),
        .network = {.addr = ipaddr_v4(gateway), .len = 96 + 18},
        .first = ipaddr_v4(from),
        .last = ipaddr_v4(to),
        .fixed = &fixed,
        .fixed_count = 1,
        .lease = 3600,
        .mtu = 1500,
    };
    struct world world = {.how = 0};
    struct dhcp dhcp;
    HOLDS(dhcp_init(&dhcp, &config, &ops, &world) == 0);
    struct bytes input = bytes_of(data, size);
    uint64_t now = 1000000;
    while (input.left >= 3) {
        world.how = bytes_u8(&input);
        size_t n = bytes_u16(&input) % 600u;
        n = n < input.left ? n : input.left;
        uint8_t mac[6] = {2, 0, 0, 0, 0, (uint8_t)(world.how & HOW_CLIENT)};
        uint8_t *message = malloc(n + 1); /* of its own, so that reading past it is seen */
        HOLDS(message != NULL);
        memcpy(message, bytes_take(&input, n), n);
        if ((world.how & HOW_HEAD) && n >= 240) {
            memcpy(message, head, sizeof(head));
            memset(message + 24, 0, 4);
            memcpy(message + 28, mac, 6);
            be32_store(message + 236, 0x63825363u);
        }
        if (world.how & HOW_TIME)
            now += 600 * UINT64_C(1000000);
        struct dhcp_out out;
        struct dhcp_request request;
        enum drop why = dhcp_input(&dhcp, bytes_of(message, n), mac, now, &out);
        if (why == DROP_NONE && out.n > 0) {
            HOLDS(dhcp_parse(&request, bytes_of(message, n)) == DROP_NONE);
            check(&out, mac, request.type == DHCP_INFORM);
        }
        HOLDS(why == DROP_NONE || out.n == 0);
        free(message);
    }
    dhcp_fini(&dhcp);
    return 0;
}
