/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/matrix.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "leaktest/matrix_add.h"

const uint8_t matrix_everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, matrix_nobody[6];

const char *matrix_group_name(unsigned group)
{
    static const char names[MATRIX_GROUPS][20] = {
        "TCP",           "UDP",     "IP protocols",    "ICMP",
        "Forged errors", "Spoofed", "Fragments",       "IP options",
        "IP headers",    "IPv6",    "ICMPv6",          "IPv6 headers",
        "Link",          "ARP",     "Reserved groups", "Frames to others",
        "Names",
    };
    return group < MATRIX_GROUPS ? names[group] : "?";
}

const char *matrix_expected_name(unsigned expected)
{
    static const char names[][16] = {"silence", "any", "SYN-ACK", "RST", "echo reply", "ARP"};
    return expected < COUNT(names) ? names[expected] : "?";
}

void matrix_mark(uint8_t out[MATRIX_MARK], unsigned number)
{
    static const uint8_t head[] = {0xc1, 0x0c, 'L', 'E', 'A', 'K'};
    memcpy(out, head, sizeof(head));
    for (size_t i = MATRIX_MARK; i-- > sizeof(head); number /= 10)
        out[i] = (uint8_t)('0' + number % 10);
}

int matrix_find_mark(const void *data, size_t n)
{
    /* Without the first two bytes: in a name it cannot have them. */
    const uint8_t *at = memmem(data, n, "LEAK", 4);
    while (at != NULL) {
        size_t left = n - (size_t)(at - (const uint8_t *)data);
        if (left < 9)
            return -1;
        unsigned number = 0, digits = 0;
        for (; digits < 5 && at[4 + digits] >= '0' && at[4 + digits] <= '9'; digits++)
            number = number * 10 + (at[4 + digits] - '0');
        if (digits == 5 && number < MATRIX_MAX)
            return (int)number;
        at = memmem(at + 4, left - 4, "LEAK", 4);
    }
    return -1;
}

void matrix_body(const struct matrix *m, struct piece *out, const struct around *around)
{
    uint8_t mark[MATRIX_MARK];
    matrix_mark(mark, m->count);
    out->n = 0;
    if (around != NULL)
        piece_add(out, around->head, around->head_n);
    piece_add(out, mark, sizeof(mark));
    if (around != NULL)
        piece_zeros(out, around->zeros);
}

static bool is_unset(const struct ipaddr *a)
{
    static const struct ipaddr none = {{0}};
    return ipaddr_equal(a, &none);
}

void matrix_complete(const struct matrix *m, struct packet *p, struct piece *body, const struct around *around)
{
    const struct ground *g = m->ground;
    /* The unspecified IPv6 address stands in no table as zeros but as text, and is set where it is meant. */
    if (is_unset(&p->from))
        p->from = p->six ? g->me6 : g->me;
    if (p->source_port == 0)
        p->source_port = (uint16_t)(g->first_port + m->count);
    if (p->id == 0)
        p->id = (uint16_t)m->count;
    if (p->rest == 0)
        p->rest = (uint32_t)m->count << 16 | 1;
    if (p->body == NULL) {
        matrix_body(m, body, around);
        p->body = body;
    }
}

static void add(struct matrix *m, enum matrix_group group, enum matrix_expected expected, const struct piece *frame,
                const char *format, va_list args)
{
    assert(m->count < MATRIX_MAX);
    assert(matrix_find_mark(frame->b, frame->n) == (int)m->count);
    if (expected == MATRIX_SILENCE && m->ground->reject)
        expected = MATRIX_ANY;
    struct probe *probe = &m->probe[m->count++];
    *probe = (struct probe){.n = (uint16_t)frame->n, .group = (uint8_t)group, .expected = (uint8_t)expected};
    vsnprintf(probe->name, sizeof(probe->name), format, args);
    probe->frame = malloc(frame->n);
    if (probe->frame != NULL)
        memcpy(probe->frame, frame->b, frame->n);
}

void matrix_add_frame(struct matrix *m, enum matrix_group group, enum matrix_expected expected,
                      const struct piece *frame, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    add(m, group, expected, frame, name, args);
    va_end(args);
}

void matrix_add(struct matrix *m, enum matrix_group group, enum matrix_expected expected, const uint8_t *target,
                struct packet packet, const struct around *around, const char *name, ...)
{
    struct piece frame, body;
    va_list args;
    matrix_complete(m, &packet, &body, around);
    frame_begin(&frame, target != NULL ? target : m->ground->gateway_mac, m->ground->mine,
                packet.six ? FRAME_IPV6 : FRAME_IPV4);
    packet_build(&frame, &packet);
    va_start(args, name);
    add(m, group, expected, &frame, name, args);
    va_end(args);
}

void matrix_inner(const struct matrix *m, struct piece *out, bool six)
{
    struct piece body;
    struct packet p = {
        .six = six, .to = six ? m->ground->internet6 : m->ground->internet, .protocol = FRAME_UDP, .port = 9};
    matrix_complete(m, &p, &body, NULL);
    out->n = 0;
    packet_build(out, &p);
}

struct ipaddr matrix_broadcast(const struct ground *g)
{
    struct ipaddr last = g->network.addr;
    for (unsigned bit = g->network.len; bit < 128; bit++)
        last.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    return last;
}

int matrix_make(struct matrix *m, const struct ground *ground)
{
    static void (*const parts[])(struct matrix *) = {
        matrix_add_tcp,     matrix_add_udp,       matrix_add_protocols, matrix_add_icmp,    matrix_add_forged,
        matrix_add_spoofed, matrix_add_fragments, matrix_add_options,   matrix_add_headers, matrix_add_ipv6,
        matrix_add_icmp6,   matrix_add_headers6,  matrix_add_link,      matrix_add_arp,     matrix_add_addressed,
        matrix_add_names,   matrix_add_stolen,
    };
    *m = (struct matrix){.ground = ground, .probe = calloc(MATRIX_MAX, sizeof(*m->probe))};
    if (m->probe == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < COUNT(parts); i++)
        parts[i](m);
    for (unsigned i = 0; i < m->count; i++) {
        if (m->probe[i].frame == NULL) {
            matrix_free(m);
            return -ENOMEM;
        }
    }
    return 0;
}

void matrix_free(struct matrix *m)
{
    for (unsigned i = 0; i < m->count; i++)
        free(m->probe[i].frame);
    free(m->probe);
    *m = (struct matrix){0};
}
