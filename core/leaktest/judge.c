/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/judge.h"

#include <string.h>

#include "base/bytes.h"

void judge_init(struct judge *j, const struct ground *ground, bool strict)
{
    memset(j, 0, sizeof(*j));
    j->ground = ground;
    j->strict = strict;
}

static bool is_peer(const struct judge *j, const struct judge_peer *end)
{
    for (unsigned i = 0; i < j->peer_count; i++) {
        const struct judge_peer *p = &j->peers[i];
        if ((p->port == end->port || p->port == 0) && ipaddr_equal(&p->addr, &end->addr))
            return true;
    }
    return false;
}

void judge_add_peer(struct judge *j, const struct judge_peer *peer)
{
    for (unsigned i = 0; i < j->peer_count; i++) {
        if (j->peers[i].port == peer->port && ipaddr_equal(&j->peers[i].addr, &peer->addr))
            return;
    }
    if (j->peer_count < JUDGE_PEERS)
        j->peers[j->peer_count++] = *peer;
}

static void note(struct judge_leak *leak, int number, const char *why, unsigned interface, const uint8_t *packet,
                 size_t n)
{
    *leak = (struct judge_leak){.number = number, .why = why, .interface = interface};
    leak->n = (uint16_t)(n < JUDGE_KEPT_MAX ? n : JUDGE_KEPT_MAX);
    memcpy(leak->frame, packet, leak->n);
}

static enum judge_verdict leak(struct judge *j, int number, const char *why, unsigned interface,
                               const uint8_t *packet, size_t n)
{
    if (number >= 0)
        j->marked[number]++;
    else
        j->unmarked++;
    if (j->kept_count < JUDGE_KEPT)
        note(&j->kept[j->kept_count++], number, why, interface, packet, n);
    return JUDGE_LEAK;
}

/* Addresses that nobody on the uplink has, but who forwards for a workstation, or answers it. */
static bool is_ours(const struct ground *g, const struct ipaddr *a)
{
    return ipaddr_equal(a, &g->internet) || ipaddr_equal(a, &g->internet6) || ipaddr_equal(a, &g->resolver) ||
           ipaddr_equal(a, &g->me) || ipaddr_equal(a, &g->me6) || ipaddr_equal(a, &g->neighbour) ||
           (ipnet_contains(&g->network, a) && !ipnet_contains(&g->network, &g->host)) ||
           (g->network6.len != 0 && ipnet_contains(&g->network6, a));
}

/* Both ends of a packet. False if it is no whole header. */
static bool read_ends(uint16_t type, const uint8_t *packet, size_t n, struct judge_peer ends[2], uint8_t *protocol)
{
    struct bytes b = bytes_of(packet, n);
    memset(ends, 0, 2 * sizeof(*ends));
    if (type == FRAME_IPV4 && n >= 20) {
        size_t header = (packet[0] & 15u) * 4u;
        bool first = (be16_load(packet + 6) & 0x1fff) == 0;
        ends[0].addr = ipaddr_v4(packet + 12);
        ends[1].addr = ipaddr_v4(packet + 16);
        *protocol = packet[9];
        if (header < 20)
            return false;
        bytes_take(&b, header);
        if (!first)
            return true; /* ports stand in the first fragment only */
    } else if (type == FRAME_IPV6 && n >= 40) {
        ends[0].addr = ipaddr_v6(packet + 8);
        ends[1].addr = ipaddr_v6(packet + 24);
        *protocol = packet[6];
        bytes_take(&b, 40);
    } else {
        return false;
    }
    if (*protocol == FRAME_TCP || *protocol == FRAME_UDP) {
        ends[0].port = bytes_u16(&b);
        ends[1].port = bytes_u16(&b);
    }
    return bytes_ok(&b);
}

static bool is_link_control(uint16_t type, const uint8_t *packet, size_t n, uint8_t protocol)
{
    if (type == FRAME_ARP)
        return true;
    if (type != FRAME_IPV6 || n < 40)
        return false;
    size_t at = 40;
    uint8_t following = protocol;
    if (following == 0 && n >= at + 8) { /* MLD has a router alert */
        following = packet[40];
        at += 8 + packet[41] * 8u;
    }
    /* MLD and neighbour discovery (RFC 2710, 3810, 4861). */
    return following == FRAME_ICMP6 && at < n && ((packet[at] >= 130 && packet[at] <= 137) || packet[at] == 143);
}

static enum judge_verdict stranger(struct judge *j, unsigned interface, const uint8_t *packet, size_t n)
{
    if (!j->strict)
        return JUDGE_OTHER;
    return leak(j, -1, "neither Tor's nor the link's own", interface, packet, n);
}

static enum judge_verdict undecided(struct judge *j, unsigned interface, const struct judge_peer ends[2],
                                    const uint8_t *packet, size_t n)
{
    for (unsigned i = 0; i < j->open_count; i++) {
        struct judge_open *o = &j->open[i];
        for (unsigned k = 0; k < 2; k++) {
            if (ipaddr_equal(&o->ends[0].addr, &ends[k].addr) && o->ends[0].port == ends[k].port &&
                ipaddr_equal(&o->ends[1].addr, &ends[1 - k].addr) && o->ends[1].port == ends[1 - k].port) {
                o->frames++;
                return JUDGE_UNDECIDED;
            }
        }
    }
    if (j->open_count == JUDGE_OPEN)
        return stranger(j, interface, packet, n);
    struct judge_open *o = &j->open[j->open_count++];
    *o = (struct judge_open){.ends = {ends[0], ends[1]}, .frames = 1};
    note(&o->first, -1, "neither Tor's nor the link's own", interface, packet, n);
    return JUDGE_UNDECIDED;
}

static enum judge_verdict decide(struct judge *j, unsigned interface, bool uplink, const uint8_t *source,
                                 uint16_t type, const uint8_t *packet, size_t n)
{
    const struct ground *g = j->ground;
    struct judge_peer ends[2];
    uint8_t protocol = 0;
    int number = matrix_find_mark(packet, n);
    if (number >= 0)
        return leak(j, number, "bears the mark of a probe", interface, packet, n);
    if (source != NULL && memcmp(source, g->mine, 6) == 0)
        return leak(j, -1, "comes from the workstation's MAC address", interface, packet, n);
    bool is_ip = read_ends(type, packet, n, ends, &protocol);
    if (is_ip && (is_ours(g, &ends[0].addr) || is_ours(g, &ends[1].addr)))
        return leak(j, -1, "has an address of the workstation's or of the test's", interface, packet, n);
    if (!uplink)
        return JUDGE_OTHER;
    if (is_link_control(type, packet, n, protocol))
        return JUDGE_LINK;
    if (!is_ip)
        return stranger(j, interface, packet, n);
    if (is_peer(j, &ends[0]) || is_peer(j, &ends[1]))
        return JUDGE_TOR;
    if (protocol == FRAME_TCP)
        return undecided(j, interface, ends, packet, n);
    return stranger(j, interface, packet, n);
}

enum judge_verdict judge_look(struct judge *j, unsigned interface, bool uplink, const uint8_t *source,
                              uint16_t type, const uint8_t *packet, size_t n)
{
    enum judge_verdict verdict = decide(j, interface, uplink, source, type, packet, n);
    j->frames[verdict]++;
    return verdict;
}

void judge_settle(struct judge *j)
{
    for (unsigned i = 0; i < j->open_count; i++) {
        struct judge_open *o = &j->open[i];
        bool tor = is_peer(j, &o->ends[0]) || is_peer(j, &o->ends[1]);
        j->frames[JUDGE_UNDECIDED] -= o->frames;
        j->frames[tor ? JUDGE_TOR : j->strict ? JUDGE_LEAK : JUDGE_OTHER] += o->frames;
        if (!tor && j->strict) {
            j->unmarked += o->frames;
            if (j->kept_count < JUDGE_KEPT)
                j->kept[j->kept_count++] = o->first;
        }
    }
    j->open_count = 0;
}

uint64_t judge_leaks(const struct judge *j)
{
    return j->frames[JUDGE_LEAK];
}
