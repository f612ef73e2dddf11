/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/answer.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

/* The packet in a frame: its upper protocol, and what is in that. */
struct inside {
    uint16_t type;
    uint8_t protocol;
    const uint8_t *data;
    size_t n;
};

static bool open_frame(const uint8_t *frame, size_t n, struct inside *in)
{
    if (n < FRAME_HEAD)
        return false;
    const uint8_t *packet = frame + FRAME_HEAD;
    size_t left = n - FRAME_HEAD, header = 40;
    in->type = be16_load(frame + 12);
    if (in->type == FRAME_IPV4 && left >= 20) {
        header = (packet[0] & 15u) * 4u;
        in->protocol = packet[9];
    } else if (in->type == FRAME_IPV6 && left >= 40) {
        in->protocol = packet[6];
    } else {
        return false;
    }
    if (header > left)
        return false;
    in->data = packet + header;
    in->n = left - header;
    return true;
}

static int number_of(const struct ground *g, unsigned port)
{
    return port >= g->first_port && port < g->first_port + MATRIX_MAX ? (int)(port - g->first_port) : -1;
}

static int number_of_id(unsigned id)
{
    return id < MATRIX_MAX ? (int)id : -1;
}

static struct answer read_tcp(const struct ground *g, const struct inside *in)
{
    if (in->n < 20)
        return (struct answer){-1, ANSWER_OTHER};
    uint8_t flags = in->data[13];
    enum answer_word word = ANSWER_TCP;
    if (flags & FRAME_RST)
        word = ANSWER_RST;
    else if ((flags & (FRAME_SYN | FRAME_ACK)) == (FRAME_SYN | FRAME_ACK))
        word = ANSWER_SYN_ACK;
    return (struct answer){number_of(g, be16_load(in->data + 2)), word};
}

static struct answer read_icmp(const struct ground *g, const struct inside *in, int asker)
{
    bool six = in->type == FRAME_IPV6;
    if (in->n < 8)
        return (struct answer){-1, ANSWER_OTHER};
    uint8_t kind = in->data[0];
    if (kind == (six ? 129 : 0))
        return (struct answer){number_of_id(be16_load(in->data + 4)), ANSWER_ECHO};
    if (six && kind >= 130 && kind < 138) {
        bool solicited = kind == 136 && (in->data[4] & 0x40) != 0;
        return solicited ? (struct answer){asker, ANSWER_NA} : (struct answer){-1, ANSWER_ICMP};
    }
    /* An error quotes what it is about: the identification of IPv4, the source port of IPv6. */
    if (!six && in->n >= 28)
        return (struct answer){number_of_id(be16_load(in->data + 12)), ANSWER_ICMP};
    if (six && in->n >= 52)
        return (struct answer){number_of(g, be16_load(in->data + 48)), ANSWER_ICMP};
    return (struct answer){-1, ANSWER_ICMP};
}

struct answer answer_read(const struct ground *g, const uint8_t *frame, size_t n, int asker)
{
    struct inside in = {0};
    if (n >= 42 && be16_load(frame + 12) == FRAME_ARP)
        return frame[21] == 2 ? (struct answer){asker, ANSWER_ARP} : (struct answer){-1, ANSWER_OTHER};
    if (!open_frame(frame, n, &in))
        return (struct answer){-1, ANSWER_OTHER};
    if (in.protocol == FRAME_TCP)
        return read_tcp(g, &in);
    if (in.protocol == FRAME_UDP && in.n >= 8)
        return (struct answer){number_of(g, be16_load(in.data + 2)),
                               be16_load(in.data) == 53 ? ANSWER_DNS : ANSWER_UDP};
    if (in.protocol == (in.type == FRAME_IPV4 ? FRAME_ICMP : FRAME_ICMP6))
        return read_icmp(g, &in, asker);
    return (struct answer){-1, ANSWER_OTHER};
}

bool answer_fits(unsigned expected, unsigned words)
{
    switch (expected) {
    case MATRIX_ANY:
        return true;
    case MATRIX_SILENCE:
        return words == 0;
    case MATRIX_SYN_ACK:
        return words == ANSWER_SYN_ACK;
    case MATRIX_RST:
        return words == ANSWER_RST;
    case MATRIX_ECHO:
        return words == ANSWER_ECHO;
    case MATRIX_ARP_REPLY:
        return words == ANSWER_ARP;
    default:
        return false;
    }
}

void answer_describe(char *out, size_t size, unsigned words)
{
    static const char names[][12] = {"SYN-ACK",    "RST", "TCP", "UDP",  "DNS",
                                     "echo reply", "ARP", "NA",  "ICMP", "other"};
    size_t n = 0;
    snprintf(out, size, "silence");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((words & 1u << i) != 0 && n < size)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? ", " : "", names[i]);
    }
}

/* The data of a TCP option; NULL if it is not there in this length. */
static const uint8_t *tcp_option(const struct inside *in, uint8_t kind, size_t length)
{
    if (in->n < 20)
        return NULL;
    size_t header = (in->data[12] >> 4) * 4u, at = 20;
    if (header > in->n)
        header = in->n;
    while (at + 1 < header && in->data[at] != 0) {
        size_t n = in->data[at] == 1 ? 1 : in->data[at + 1];
        if (n == 0 || at + n > header || (n == 1 && in->data[at] != 1))
            return NULL;
        if (in->data[at] == kind && n == length + 2)
            return in->data + at + 2;
        at += n;
    }
    return NULL;
}

size_t answer_sizes(const uint8_t *frame, size_t n, uint32_t sizes[ANSWER_SIZES])
{
    struct inside in = {0};
    if (!open_frame(frame, n, &in))
        return 0;
    if (in.protocol == FRAME_TCP) {
        const uint8_t *mss = tcp_option(&in, 2, 2);
        if (mss == NULL)
            return 0;
        sizes[0] = be16_load(mss);
        return 1;
    }
    if (in.n < 8)
        return 0;
    if (in.type == FRAME_IPV4 && in.protocol == FRAME_ICMP && in.data[0] == 3 && in.data[1] == 4) {
        sizes[0] = be16_load(in.data + 6);
        return 1;
    }
    if (in.type != FRAME_IPV6 || in.protocol != FRAME_ICMP6)
        return 0;
    if (in.data[0] == 2) {
        sizes[0] = be32_load(in.data + 4);
        return 1;
    }
    size_t found = 0;
    for (size_t at = 16; in.data[0] == 134 && at + 8 <= in.n && in.data[at + 1] != 0; at += in.data[at + 1] * 8u) {
        if (in.data[at] == 5 && found < ANSWER_SIZES)
            sizes[found++] = be32_load(in.data + at + 4);
    }
    return found;
}

bool answer_timestamp(const uint8_t *frame, size_t n, uint32_t *value, uint64_t *flow)
{
    struct inside in = {0};
    if (!open_frame(frame, n, &in) || in.type != FRAME_IPV4 || in.protocol != FRAME_TCP)
        return false;
    const uint8_t *stamp = tcp_option(&in, 8, 8);
    if (stamp == NULL)
        return false;
    *value = be32_load(stamp);
    /* Far address and both ports: ours is the same for all of them. */
    *flow = (uint64_t)be32_load(frame + 26) << 32 | be32_load(in.data);
    return true;
}
