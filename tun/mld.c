/* SPDX-License-Identifier: BSD-3-Clause */
#include "tun/mld.h"

#include <string.h>

#include "base/bytes.h"
#include "tun/icmpv6.h"
#include "tun/ndp.h"

#define REPORT 143u        /* ICMPv6 type, version 2 */
#define OLD_REPORT 131u    /* version 1 */
#define RECORD_LEN 20u     /* bytes, of a group without sources */
#define HOP_BY_HOP_LEN 8u  /* bytes */
#define OLD_QUERY_BODY 16u /* bytes behind the ICMP header: the group, and nothing else */
#define QUERY_BODY 20u     /* the same of version 2, with no source named */
#define MODE_EXCLUDE 2u    /* listens to all sources but those named: all */
#define MILLISECOND UINT64_C(1000)

unsigned mld_groups(const struct ipv6_scope *scope, bool router, struct ipaddr groups[MLD_GROUPS_MAX])
{
    unsigned count = 0;
    groups[count++] = ndp_solicited_node(&scope->gateway);
    struct ipaddr other = ndp_solicited_node(&scope->link_local);
    if (!ipv6_is_unspecified(&scope->link_local) && !ipaddr_equal(&other, &groups[0]))
        groups[count++] = other;
    if (router)
        groups[count++] = ndp_all_routers();
    return count; /* all nodes are never reported (RFC 3810 6) */
}

/* The hop-by-hop header with the router alert option (RFC 2711) that every message of this protocol has. */
static uint8_t *put_alert(uint8_t *at)
{
    static const uint8_t header[HOP_BY_HOP_LEN] = {PACKET_ICMPV6, 0, 5, 2, 0, 0, 1, 0};
    memcpy(at, header, sizeof(header));
    return at + sizeof(header);
}

size_t mld_build_report(uint8_t *at, const struct ipaddr *src, const struct ipaddr *groups, unsigned count,
                        struct ipaddr *dst)
{
    uint8_t body[MLD_GROUPS_MAX * RECORD_LEN] = {0};
    size_t n = 0;
    *dst = (struct ipaddr){{0xff, 0x02, [15] = 0x16}}; /* all that understand version 2 */
    for (unsigned i = 0; i < count && i < MLD_GROUPS_MAX; i++, n += RECORD_LEN) {
        body[n] = MODE_EXCLUDE;
        memcpy(body + n + 4, groups[i].b, sizeof(groups[i].b));
    }
    at = put_alert(at);
    memcpy(at + ICMP_HEADER_LEN, body, n);
    icmpv6_build(at, src, dst, REPORT, 0, (uint32_t)(n / RECORD_LEN), body, n);
    return HOP_BY_HOP_LEN + ICMP_HEADER_LEN + n;
}

size_t mld_build_old_report(uint8_t *at, const struct ipaddr *src, const struct ipaddr *group, struct ipaddr *dst)
{
    *dst = *group;
    at = put_alert(at);
    memcpy(at + ICMP_HEADER_LEN, group->b, sizeof(group->b));
    icmpv6_build(at, src, dst, OLD_REPORT, 0, 0, group->b, sizeof(group->b));
    return HOP_BY_HOP_LEN + ICMP_HEADER_LEN + sizeof(group->b);
}

void mld_start(struct mld_schedule *schedule, const uint8_t secret[16], uint64_t now)
{
    *schedule = (struct mld_schedule){.running = true, .last = now, .key = siphash_key_load(secret)};
}

/* What a query says about how long its answer may take, in microseconds. From 32768 on it is a floating point number, and
 * more than we ever wait (RFC 3810 5.1.3). */
static uint64_t permitted_delay(const struct icmp *icmp)
{
    uint64_t delay = (icmp->rest >> 16) * MILLISECOND;
    return delay < MLD_DELAY_MAX ? delay : MLD_DELAY_MAX;
}

enum drop mld_query(struct mld_schedule *schedule, const struct packet *packet, const struct icmp *icmp,
                    uint64_t now)
{
    bool old = icmp->body.left == OLD_QUERY_BODY;
    if ((!old && icmp->body.left < QUERY_BODY) || packet->hop_limit != MLD_HOP_LIMIT ||
        !ipv6_is_link_local(&packet->src))
        return DROP_NDP_BAD;
    if (!schedule->running)
        return DROP_NDP_OTHER;
    uint64_t count = schedule->drawn++;
    uint64_t at = now + siphash_13(&schedule->key, &count, sizeof(count)) % (permitted_delay(icmp) + 1);
    if (at < schedule->last + MLD_GAP)
        at = schedule->last + MLD_GAP;
    if (!schedule->pending || at < schedule->next)
        schedule->next = at;
    schedule->old = old;
    schedule->pending = true;
    return DROP_NONE;
}

bool mld_is_due(struct mld_schedule *schedule, uint64_t now)
{
    if (!schedule->pending || now < schedule->next)
        return false;
    schedule->pending = false;
    schedule->last = now;
    return true;
}

bool mld_next(const struct mld_schedule *schedule, uint64_t *at)
{
    *at = schedule->next;
    return schedule->pending;
}
