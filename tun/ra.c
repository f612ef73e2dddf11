/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/ra.h"

#include <string.h>

#include "base/bytes.h"
#include "tun/icmpv6.h"
#include "tun/ndp.h"

#define HOP_LIMIT 64u

/* How long addresses made from the prefix are good, seconds (RFC 9096 3.2: not for weeks after we are gone). */
#define PREFIX_VALID 5400u
#define PREFIX_PREFERRED 2700u

#define PREFIX_ON_LINK 0x80u
#define PREFIX_AUTONOMOUS 0x40u

enum option {
    OPTION_SOURCE = 1, /* link-layer address */
    OPTION_PREFIX = 3,
    OPTION_MTU = 5,
    OPTION_RESOLVER = 25, /* RFC 8106 5.1 */
};

/* Write the head of an option of `len` bytes and return where its value begins. The lengths are counted in eights. */
static uint8_t *put_option(uint8_t **at, enum option option, size_t len)
{
    uint8_t *start = *at;
    memset(start, 0, len);
    start[0] = (uint8_t)option;
    start[1] = (uint8_t)(len / 8);
    *at += len;
    return start + 2;
}

static void put_prefix(uint8_t **at, const struct ipnet *net)
{
    uint8_t *value = put_option(at, OPTION_PREFIX, 32);
    value[0] = net->len;
    /* Interface identifiers have 64 bits (RFC 4291 2.5.1): in another network hosts cannot make addresses. */
    value[1] = PREFIX_ON_LINK | (net->len == 64 ? PREFIX_AUTONOMOUS : 0);
    be32_store(value + 2, PREFIX_VALID);
    be32_store(value + 6, PREFIX_PREFERRED);
    for (unsigned bit = 0; bit < net->len; bit++)
        value[14 + bit / 8] |= (uint8_t)(net->addr.b[bit / 8] & (0x80u >> bit % 8));
}

void ra_build(uint8_t *at, const struct ra_content *content, const struct ipaddr *dst)
{
    uint8_t body[RA_LEN - ICMP_HEADER_LEN] = {0}; /* reachable time and retransmission timer: not our business */
    uint8_t *end = body + 8;
    memcpy(put_option(&end, OPTION_SOURCE, 8), content->mac, FRAME_MAC_LEN);
    be32_store(put_option(&end, OPTION_MTU, 8) + 2, content->mtu);
    put_prefix(&end, &content->network);
    uint8_t *resolver = put_option(&end, OPTION_RESOLVER, 24);
    be32_store(resolver + 2, content->lifetime);
    memcpy(resolver + 6, content->resolver.b, sizeof(content->resolver.b));

    memcpy(at + ICMP_HEADER_LEN, body, sizeof(body));
    icmpv6_build(at, &content->router, dst, NDP_ROUTER_ADVERTISEMENT, 0, HOP_LIMIT << 24 | content->lifetime, body,
                 sizeof(body));
}

/* A number from `from` to `to`. */
static uint64_t draw(struct ra_schedule *schedule, uint64_t from, uint64_t to)
{
    uint64_t count = schedule->drawn++;
    return from + siphash_13(&schedule->key, &count, sizeof(count)) % (to - from + 1);
}

void ra_start(struct ra_schedule *schedule, const uint8_t secret[16], uint64_t now)
{
    *schedule = (struct ra_schedule){.running = true, .next = now, .key = siphash_key_load(secret)};
}

void ra_solicit(struct ra_schedule *schedule, uint64_t now)
{
    if (!schedule->running)
        return;
    uint64_t at = now + draw(schedule, 0, RA_ANSWER_DELAY);
    if (schedule->sent && at < schedule->last + RA_DELAY)
        at = schedule->last + RA_DELAY;
    if (at < schedule->next)
        schedule->next = at;
}

bool ra_is_due(struct ra_schedule *schedule, uint64_t now)
{
    if (!schedule->running || now < schedule->next)
        return false;
    schedule->sent = true;
    schedule->last = now;
    schedule->count += schedule->count < RA_INITIAL_COUNT;
    schedule->next = now + (schedule->count < RA_INITIAL_COUNT ? draw(schedule, RA_DELAY, RA_INITIAL_INTERVAL)
                                                               : draw(schedule, RA_INTERVAL_MIN, RA_INTERVAL_MAX));
    return true;
}

bool ra_next(const struct ra_schedule *schedule, uint64_t *at)
{
    *at = schedule->next;
    return schedule->running;
}
