/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/secret.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "leaktest/answer.h"

#define NAME_MIN 4u           /* bytes: a shorter name of a host stands by chance in anything */
#define MTU_HEADERS 80u       /* bytes by which an MSS may be less than the MTU that it tells */
#define CLOCKS_APART 10000u   /* ms: what two flows' clocks must differ, and each from ours */
#define NTP_EPOCH 2208988800u /* s from 1900 to 1970 */

void secrets_add(struct secrets *s, const char *what, const void *b, size_t n)
{
    if (s->count == SECRET_MAX || n == 0 || n > sizeof(s->item[0].b))
        return;
    for (unsigned i = 0; i < s->count; i++) {
        if (s->item[i].n == n && memcmp(s->item[i].b, b, n) == 0)
            return;
    }
    struct secret *secret = &s->item[s->count++];
    *secret = (struct secret){.n = (uint8_t)n};
    snprintf(secret->what, sizeof(secret->what), "%s", what);
    memcpy(secret->b, b, n);
}

void secrets_add_address(struct secrets *s, const char *what, const struct ipaddr *a)
{
    char text[INET6_ADDRSTRLEN], name[88];
    bool four = ipaddr_is_v4(a);
    if (inet_ntop(four ? AF_INET : AF_INET6, four ? a->b + 12 : a->b, text, sizeof(text)) == NULL)
        return;
    snprintf(name, sizeof(name), "%s %s", what, text);
    secrets_add(s, name, four ? a->b + 12 : a->b, four ? 4 : 16);
    snprintf(name, sizeof(name), "%s %s, as text", what, text);
    secrets_add(s, name, text, strlen(text));
}

static void add_link_address(struct secrets *s, const char *name, const struct sockaddr_ll *ll)
{
    static const uint8_t none[6];
    char text[18], what[88];
    if (ll->sll_halen != 6 || memcmp(ll->sll_addr, none, 6) == 0)
        return;
    snprintf(what, sizeof(what), "MAC address of %s", name);
    secrets_add(s, what, ll->sll_addr, 6);
    snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", ll->sll_addr[0], ll->sll_addr[1], ll->sll_addr[2],
             ll->sll_addr[3], ll->sll_addr[4], ll->sll_addr[5]);
    snprintf(what, sizeof(what), "MAC address of %s, as text", name);
    secrets_add(s, what, text, 17);
}

static bool is_spared(const char *name, const char *const *spared)
{
    for (; *spared != NULL; spared++) {
        if (strcmp(name, *spared) == 0)
            return true;
    }
    return strcmp(name, "lo") == 0;
}

static void add_interface(struct secrets *s, const struct ground *g, const struct ifaddrs *at)
{
    char what[40];
    struct ipaddr a;
    snprintf(what, sizeof(what), "address of %.16s", at->ifa_name);
    if (at->ifa_addr->sa_family == AF_PACKET) {
        struct sockaddr_ll ll;
        memcpy(&ll, at->ifa_addr, sizeof(ll));
        add_link_address(s, at->ifa_name, &ll);
        return;
    }
    if (at->ifa_addr->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, at->ifa_addr, sizeof(in));
        a = ipaddr_v4((const uint8_t *)&in.sin_addr);
        if (ipnet_contains(&g->network, &a))
            return;
    } else if (at->ifa_addr->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, at->ifa_addr, sizeof(in));
        a = ipaddr_v6(in.sin6_addr.s6_addr);
    } else {
        return;
    }
    secrets_add_address(s, what, &a);
}

/* A bridge has the address of one of its ports, which so is no secret on the bridge's own wire either. */
static bool is_of_a_spared_one(const struct ifaddrs *at, const struct ifaddrs *all, const char *const *spared)
{
    struct sockaddr_ll own, other;
    if (at->ifa_addr->sa_family != AF_PACKET)
        return false;
    memcpy(&own, at->ifa_addr, sizeof(own));
    for (; all != NULL; all = all->ifa_next) {
        if (all->ifa_addr == NULL || all->ifa_addr->sa_family != AF_PACKET || !is_spared(all->ifa_name, spared))
            continue;
        memcpy(&other, all->ifa_addr, sizeof(other));
        if (own.sll_halen == other.sll_halen && memcmp(own.sll_addr, other.sll_addr, own.sll_halen) == 0)
            return true;
    }
    return false;
}

int secrets_gather(struct secrets *s, const struct ground *g, const char *const *spared)
{
    char name[72];
    struct ifaddrs *all = NULL;
    if (gethostname(name, sizeof(name)) == 0) {
        name[sizeof(name) - 1] = '\0';
        if (strlen(name) >= NAME_MIN && strcmp(name, "localhost") != 0)
            secrets_add(s, "host name", name, strlen(name));
    }
    if (getifaddrs(&all) != 0)
        return -errno;
    for (const struct ifaddrs *at = all; at != NULL; at = at->ifa_next) {
        if (at->ifa_addr != NULL && !is_spared(at->ifa_name, spared) && !is_of_a_spared_one(at, all, spared))
            add_interface(s, g, at);
    }
    freeifaddrs(all);
    return 0;
}

/* True if a frame tells the time of day: in binary, of this epoch or NTP's, of either byte order, or as text. */
static bool tells_time(const uint8_t *frame, size_t n, int64_t wall_s)
{
    uint32_t now[2] = {(uint32_t)wall_s, (uint32_t)wall_s + NTP_EPOCH};
    for (size_t at = 0; at + 4 <= n; at++) {
        uint32_t big = be32_load(frame + at);
        uint32_t little = big >> 24 | (big >> 8 & 0xff00) | (big << 8 & 0xff0000) | big << 24;
        for (size_t i = 0; i < 2; i++) {
            if (big - (now[i] - 1) <= 2 || little - (now[i] - 1) <= 2)
                return true;
        }
    }
    char text[2][32];
    time_t seconds = (time_t)wall_s;
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(text[0], sizeof(text[0]), "%Y-%m-%d", &tm);
    strftime(text[1], sizeof(text[1]), "%d %b %Y", &tm);
    for (size_t i = 0; i < 2; i++) {
        if (memmem(frame, n, text[i], strlen(text[i])) != NULL)
            return true;
    }
    for (int64_t second = wall_s - 1; second <= wall_s + 1; second++) {
        int length = snprintf(text[0], sizeof(text[0]), "%lld", (long long)second);
        if (memmem(frame, n, text[0], (size_t)length) != NULL)
            return true;
    }
    return false;
}

static void note_clock(struct secrets *s, const uint8_t *frame, size_t n, int64_t now_ms)
{
    uint32_t value;
    uint64_t flow;
    if (!answer_timestamp(frame, n, &value, &flow))
        return;
    for (unsigned i = 0; i < s->flow_count; i++) {
        if (s->flows[i].flow == flow)
            return;
    }
    if (s->flow_count < SECRET_FLOWS)
        s->flows[s->flow_count++] = (struct secret_flow){flow, value - (uint32_t)now_ms};
}

void secrets_look(struct secrets *s, const uint8_t *frame, size_t n, const uint8_t *asked, size_t asked_n,
                  bool later, int64_t wall_s, int64_t now_ms)
{
    uint32_t sizes[ANSWER_SIZES];
    for (unsigned i = 0; i < s->count; i++) {
        struct secret *secret = &s->item[i];
        if (memmem(frame, n, secret->b, secret->n) == NULL)
            continue;
        if (asked != NULL && memmem(asked, asked_n, secret->b, secret->n) != NULL)
            continue;
        if (secret->frame_n == 0) {
            secret->frame_n = (uint8_t)(n < SECRET_FRAME_MAX ? n : SECRET_FRAME_MAX);
            memcpy(secret->frame, frame, secret->frame_n);
        }
        if (later)
            secret->told_later++;
        else
            secret->told++;
    }
    for (size_t i = answer_sizes(frame, n, sizes); i-- > 0;) {
        if (s->uplink_mtu != s->link_mtu && sizes[i] <= s->uplink_mtu && s->uplink_mtu - sizes[i] <= MTU_HEADERS &&
            !(sizes[i] <= s->link_mtu && s->link_mtu - sizes[i] <= MTU_HEADERS))
            s->told_mtu++;
    }
    if (tells_time(frame, n, wall_s))
        s->told_time++;
    if (!later)
        note_clock(s, frame, n, now_ms);
}

void secrets_said(struct secrets *s, const uint8_t *frame, size_t n)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (!s->item[i].said && memmem(frame, n, s->item[i].b, s->item[i].n) != NULL)
            s->item[i].said = true;
    }
}

bool secret_is_told(const struct secret *secret)
{
    return secret->told > 0 || (secret->told_later > 0 && !secret->said);
}

static int by_offset(const void *a, const void *b)
{
    const struct secret_flow *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

unsigned secrets_settle(struct secrets *s)
{
    unsigned told = 0;
    for (unsigned i = 0; i < s->count; i++)
        told += secret_is_told(&s->item[i]);
    /* Who knows a flow's clock shall know neither the host's, which is at 0, nor that of another flow. */
    qsort(s->flows, s->flow_count, sizeof(s->flows[0]), by_offset);
    uint32_t before = 0;
    s->told_clock = 0;
    for (unsigned i = 0; i < s->flow_count; i++) {
        s->told_clock += s->flows[i].offset - before < CLOCKS_APART;
        before = s->flows[i].offset;
    }
    s->told_clock += s->flow_count > 0 && 0u - before < CLOCKS_APART;
    /* Four bytes that happen to be the present second are seen about once in 100 MB. */
    if (s->told_time < 2)
        s->told_time = 0;
    return told + (s->told_mtu > 0) + (s->told_time > 0) + (s->told_clock > 0);
}
