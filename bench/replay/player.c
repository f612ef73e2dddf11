/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay/player.h"

#include <string.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/ipaddr.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

#define OFFLOAD 10u
#define ETHERNET 14u
#define IPV4 20u
#define TCP 20u
#define TS_OPTION 12u
#define PORTS 60000u
#define FIRST_PORT 2000u
#define WINDOW 65535u

uint32_t player_number(const struct player_link *link, const uint8_t *ip)
{
    uint32_t header = (ip[0] & 15u) * 4u;
    uint32_t host = be32_load(ip + 16) - link->client;
    return host * PORTS + be16_load(ip + header + 2) - FIRST_PORT;
}

static void put_ip(uint8_t *ip, const struct player *p, const struct player_link *link, size_t len)
{
    memset(ip, 0, IPV4);
    ip[0] = 0x45;
    be16_store(ip + 2, (uint16_t)len);
    be16_store(ip + 6, 0x4000);
    ip[8] = 64;
    ip[9] = 6;
    be32_store(ip + 12, link->client + p->number / PORTS);
    be32_store(ip + 16, link->server + (link->spread ? p->number : 0));
    struct checksum sum = {0};
    checksum_add(&sum, ip, IPV4);
    be16_store(ip + 10, checksum_finish(&sum));
}

static uint32_t timestamp(uint64_t now_us)
{
    return (uint32_t)(now_us / 1000) + 1;
}

/* A whole frame with `len` bytes of the client's stream from `at` on. */
static size_t build(struct player *p, const struct player_link *link, uint64_t now_us, uint8_t *frame,
                    uint8_t flags, uint32_t at, uint32_t len)
{
    uint8_t *ethernet = frame + OFFLOAD, *ip = ethernet + ETHERNET, *tcp = ip + IPV4, *options = tcp + TCP;
    bool syn = (flags & SYN) != 0;
    memset(frame, 0, OFFLOAD);
    memcpy(ethernet, link->gateway_mac, 6);
    memcpy(ethernet + 6, link->client_mac, 6);
    be16_store(ethernet + 12, 0x0800);

    uint32_t options_len = 0;
    if (syn) {
        options_len = p->script->options_len;
        memcpy(options, p->script->options, options_len);
        if (p->script->timestamp_at != 0)
            be32_store(options + p->script->timestamp_at, timestamp(now_us));
    } else if (p->timestamps) {
        options_len = TS_OPTION;
        be32_store(options, 0x0101080a);
        be32_store(options + 4, timestamp(now_us));
        be32_store(options + 8, p->tsecr);
    }
    memset(tcp, 0, TCP);
    be16_store(tcp, (uint16_t)(FIRST_PORT + p->number % PORTS));
    be16_store(tcp + 2, link->fixed_port != 0 ? link->fixed_port : p->script->port);
    be32_store(tcp + 4, syn ? p->iss : p->iss + 1 + at);
    be32_store(tcp + 8, (flags & ACK) ? p->irs + 1 + p->received : 0);
    tcp[12] = (uint8_t)((TCP + options_len) / 4 << 4);
    tcp[13] = flags;
    be16_store(tcp + 14, WINDOW);
    if (len > 0)
        memcpy(options + options_len, p->script->up + at, len);
    uint32_t tcp_len = TCP + options_len + len;
    put_ip(ip, p, link, IPV4 + tcp_len);
    struct checksum sum = {0};
    const struct ipaddr src = ipaddr_v4(ip + 12), dst = ipaddr_v4(ip + 16);
    checksum_add_pseudo(&sum, &src, &dst, 6, tcp_len);
    checksum_add(&sum, tcp, tcp_len);
    be16_store(tcp + 16, checksum_finish(&sum));
    if (flags & ACK) {
        p->acked = p->received;
        p->answer_now = false;
    }
    return OFFLOAD + ETHERNET + IPV4 + tcp_len;
}

/* All that was to be said was said, and heard. */
static bool is_over(const struct player *p)
{
    return p->fin_sent && p->fin_received && p->una > p->script->up_len && p->acked == p->received;
}

/* Without anything else to say: the ACK that the gateway may be waiting for. */
static size_t wait_for_more(struct player *p, const struct player_link *link, uint64_t now_us, uint8_t *frame)
{
    if (p->received == p->acked && !p->answer_now)
        return 0;
    return build(p, link, now_us, frame, ACK, p->sent + p->fin_sent, 0);
}

static size_t end(struct player *p, const struct player_link *link, uint64_t now_us, uint8_t *frame)
{
    p->state = PLAYER_DONE;
    return build(p, link, now_us, frame, RST | ACK, p->sent + p->fin_sent, 0);
}

size_t player_next(struct player *p, const struct player_link *link, uint64_t now_us, uint8_t *frame)
{
    const struct script *s = p->script;
    if (p->state == PLAYER_NEW) {
        p->state = PLAYER_SYN_SENT;
        p->began = p->heard = now_us;
        return build(p, link, now_us, frame, SYN, 0, 0);
    }
    while (p->state == PLAYER_OPEN && p->step < s->count) {
        const struct step *step = &s->steps[p->step];
        switch (step->kind) {
        case STEP_SERVER_DATA:
        case STEP_SERVER_FIN:
            if (p->taken < (step->need < s->up_len ? step->need : s->up_len))
                return wait_for_more(p, link, now_us, frame);
            p->released += step->len;
            p->server_closed = step->kind == STEP_SERVER_FIN;
            p->news = true;
            break;
        case STEP_CLIENT_RST:
            p->step = s->count;
            return end(p, link, now_us, frame);
        default:
            if (p->received < step->need || p->sent + step->len > p->edge)
                return wait_for_more(p, link, now_us, frame);
            p->step++;
            if (step->kind == STEP_CLIENT_DATA) {
                p->sent += step->len;
                return build(p, link, now_us, frame, ACK | PSH, p->sent - step->len, step->len);
            }
            if (step->kind == STEP_CLIENT_FIN) {
                p->fin_sent = true;
                return build(p, link, now_us, frame, ACK | FIN, p->sent, 0);
            }
            return build(p, link, now_us, frame, ACK, p->sent + p->fin_sent, 0);
        }
        p->step++;
    }
    if (p->state != PLAYER_OPEN)
        return 0;
    if (is_over(p)) {
        p->state = PLAYER_DONE;
        return 0;
    }
    /* The capture ends before the flow does. */
    if (!p->fin_sent && p->received >= s->down_len)
        return end(p, link, now_us, frame);
    return wait_for_more(p, link, now_us, frame);
}

size_t player_repeat(struct player *p, const struct player_link *link, uint64_t now_us, uint8_t *frame)
{
    p->heard = now_us;
    if (p->state == PLAYER_SYN_SENT)
        return build(p, link, now_us, frame, SYN, 0, 0);
    if (p->state != PLAYER_OPEN)
        return 0;
    uint32_t left = p->una < p->sent ? p->sent - p->una : 0;
    if (left > 1400)
        left = 1400;
    bool fin = p->fin_sent && p->una + left == p->sent;
    return build(p, link, now_us, frame, (uint8_t)(ACK | (fin ? FIN : 0)), p->una < p->sent ? p->una : p->sent,
                 left);
}

static void open_up(struct player *p, const uint8_t *tcp, size_t header)
{
    p->irs = be32_load(tcp + 4);
    struct bytes options = bytes_of(tcp + TCP, header - TCP);
    while (options.left > 0) {
        uint8_t kind = bytes_u8(&options);
        if (kind == 0)
            break;
        if (kind == 1)
            continue;
        uint8_t len = bytes_u8(&options);
        struct bytes body = bytes_sub(&options, len < 2 ? 0 : len - 2u);
        if (!bytes_ok(&body) || len < 2)
            break;
        if (kind == 3)
            p->shift = bytes_u8(&body);
        if (kind == 8) {
            p->timestamps = true;
            p->tsecr = bytes_u32(&body);
        }
    }
    p->state = PLAYER_OPEN;
    p->edge = be16_load(tcp + 14);
    p->answer_now = true;
}

void player_input(struct player *p, const uint8_t *ip, size_t len, uint64_t now_us)
{
    size_t ip_header = (ip[0] & 15u) * 4u;
    if (len < ip_header + TCP || len > be16_load(ip + 2))
        len = be16_load(ip + 2);
    const uint8_t *tcp = ip + ip_header;
    size_t header = (tcp[12] >> 4) * 4u, payload = len - ip_header - header;
    uint8_t flags = tcp[13];
    p->heard = now_us;
    if (p->state == PLAYER_DONE)
        return;
    if (flags & RST) {
        p->state = PLAYER_FAILED;
        return;
    }
    if (flags & SYN) {
        if (p->state == PLAYER_SYN_SENT && be32_load(tcp + 8) == p->iss + 1)
            open_up(p, tcp, header);
        else
            p->answer_now = true;
        return;
    }
    if (p->state != PLAYER_OPEN)
        return;
    if (p->timestamps && header >= TCP + TS_OPTION && be32_load(tcp + TCP) == 0x0101080a)
        p->tsecr = be32_load(tcp + TCP + 4);
    uint32_t una = be32_load(tcp + 8) - p->iss - 1;
    if (una <= p->sent + p->fin_sent && una >= p->una) {
        p->una = una;
        p->edge = una + ((uint32_t)be16_load(tcp + 14) << p->shift);
    }
    uint32_t at = be32_load(tcp + 4) - p->irs - 1;
    if (payload == 0 && !(flags & FIN))
        return;
    if (at != p->received) {
        p->answer_now = true; /* seen before, or after a hole */
        return;
    }
    if (at + payload > p->script->down_len ||
        (payload > 0 && memcmp(p->script->down + at, tcp + header, payload) != 0)) {
        p->state = PLAYER_FAILED;
        return;
    }
    p->received += (uint32_t)payload;
    if (flags & FIN) {
        p->received++;
        p->fin_received = true;
        p->answer_now = true;
    }
}

bool player_take(struct player *p, const uint8_t *data, size_t len)
{
    if (len > p->script->up_len - p->taken || memcmp(p->script->up + p->taken, data, len) != 0)
        return false;
    p->taken += (uint32_t)len;
    return true;
}

size_t player_readable(const struct player *p, bool *end_of_stream)
{
    *end_of_stream = p->server_closed;
    return p->released - p->read;
}
