/* SPDX-License-Identifier: BSD-3-Clause */
#include "words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Words being read one after the other. */
struct reader {
    struct rig *rig;
    const struct names *names;
    const struct peer *peer;
    char **word;
    unsigned left;
};

static const char *next_word(struct reader *r)
{
    if (r->left == 0)
        fail_at(r->rig->where, "the line ends too early");
    r->left--;
    return *r->word++;
}

static int64_t next_number(struct reader *r)
{
    return expr_value(r->names, r->rig->where, next_word(r));
}

static uint8_t read_flags(struct reader *r)
{
    const char *word = next_word(r);
    uint8_t flags = 0;
    if (strcmp(word, "0") == 0)
        return 0;
    for (; *word != 0; word++) {
        const char *at = strchr(PACKET_FLAG_LETTERS, *word);
        if (at == NULL)
            fail_at(r->rig->where, "no such flag: %c", *word);
        flags |= (uint8_t)(1u << (at - PACKET_FLAG_LETTERS));
    }
    return flags;
}

/* "seq" or "seq:end"; payload bytes in *len. */
static uint32_t read_range(struct reader *r, const char *word, char between, uint32_t *len)
{
    int64_t from = expr_read(r->names, r->rig->where, &word);
    int64_t to = from;
    if (*word == between) {
        word++;
        to = expr_read(r->names, r->rig->where, &word);
    }
    if (*word != 0 || to < from)
        fail_at(r->rig->where, "a range is expected: %s", word);
    *len = (uint32_t)(to - from);
    return (uint32_t)from;
}

/* "a-b,c-d", relative to `base`. Parentheses keep a minus from ending a block. */
static void read_sacks(struct reader *r, struct packet *p, uint32_t base)
{
    char *word = strdup(next_word(r));
    if (word == NULL)
        fail_at(r->rig->where, "out of memory");
    for (char *save, *block = strtok_r(word, ",", &save); block != NULL; block = strtok_r(NULL, ",", &save)) {
        char *dash = strchr(block, '-');
        if (*block == '(' && (dash = strchr(block, ')')) != NULL)
            dash++;
        if (dash == NULL || *dash != '-' || p->sack_count == PACKET_SACK_MAX)
            fail_at(r->rig->where, "up to four blocks \"a-b,c-d\" are expected");
        *dash = 0;
        p->sack[p->sack_count][0] = base + (uint32_t)expr_value(r->names, r->rig->where, block);
        p->sack[p->sack_count++][1] = base + (uint32_t)expr_value(r->names, r->rig->where, dash + 1);
    }
    free(word);
}

/* --- inject --- */

/* A segment in the making. */
struct draft {
    struct packet packet;
    uint8_t options[PACKET_OPTIONS_MAX];
    uint32_t option_len;
    int fill;    /* a byte for all of the payload, or -1: the stream's */
    int offset;  /* the data offset to write over the right one, or -1 */
    int64_t cut; /* bytes to leave of the segment, or -1 */
    uint16_t gso;
    bool ack_given, ts_given, ws_given;
};

static void put(struct reader *r, struct draft *d, uint32_t value, unsigned bytes)
{
    if (d->option_len + bytes > PACKET_OPTIONS_MAX)
        fail_at(r->rig->where, "more than 40 bytes of options");
    for (unsigned k = bytes; k-- > 0;)
        d->options[d->option_len++] = (uint8_t)(value >> 8 * k);
}

static void put_raw(struct reader *r, struct draft *d)
{
    for (const char *hex = next_word(r); *hex != 0; hex += 2) {
        char digits[3] = {hex[0], hex[1], 0};
        char *end;
        uint32_t v = (uint32_t)strtoul(digits, &end, 16);
        if (end != digits + 2)
            fail_at(r->rig->where, "pairs of hexadecimal digits are expected: %s", hex);
        put(r, d, v, 1);
    }
}

static void put_ts(struct reader *r, struct draft *d, uint32_t value, uint32_t echo)
{
    put(r, d, 0x0101080a, 4);
    put(r, d, value, 4);
    put(r, d, echo, 4);
    d->ts_given = true;
}

/* "V" echoes what was seen last; "V:E" echoes E, counted from the engine's first TSval. */
static void inject_ts(struct reader *r, struct draft *d)
{
    const char *word = next_word(r);
    uint32_t value = (uint32_t)expr_read(r->names, r->rig->where, &word);
    uint32_t echo = r->peer->far_isn_known ? r->peer->ts_seen : 0;
    if (*word == ':') {
        word++;
        echo = r->peer->ts_base + (uint32_t)expr_value(r->names, r->rig->where, word);
    }
    put_ts(r, d, value, echo);
}

static void inject_word(struct reader *r, struct draft *d, const char *word)
{
    struct packet *p = &d->packet;
    if (strcmp(word, "ack") == 0) {
        p->ack = r->peer->far_isn + (uint32_t)next_number(r);
        d->ack_given = true;
    } else if (strcmp(word, "win") == 0) {
        p->window = (uint16_t)next_number(r);
    } else if (strcmp(word, "urg") == 0) {
        p->urgent = (uint16_t)next_number(r);
    } else if (strcmp(word, "mss") == 0) {
        put(r, d, 0x0204, 2);
        put(r, d, (uint32_t)next_number(r), 2);
    } else if (strcmp(word, "ws") == 0) {
        put(r, d, 0x010303, 3);
        d->ws_given = true;
        put(r, d, (uint32_t)next_number(r), 1);
    } else if (strcmp(word, "sackok") == 0) {
        put(r, d, 0x01010402, 4);
    } else if (strcmp(word, "ts") == 0) {
        inject_ts(r, d);
    } else if (strcmp(word, "nots") == 0) {
        d->ts_given = true;
    } else if (strcmp(word, "sack") == 0) {
        read_sacks(r, p, r->peer->far_isn);
        put(r, d, 0x01010500 | (2 + 8 * p->sack_count), 4);
        for (uint32_t k = 0; k < p->sack_count; k++) {
            put(r, d, p->sack[k][0], 4);
            put(r, d, p->sack[k][1], 4);
        }
    } else if (strcmp(word, "opt") == 0) {
        put_raw(r, d);
    } else if (strcmp(word, "fill") == 0) {
        d->fill = (int)next_number(r) & 0xff;
    } else if (strcmp(word, "offset") == 0) {
        d->offset = (int)next_number(r);
    } else if (strcmp(word, "cut") == 0) {
        d->cut = next_number(r);
    } else if (strcmp(word, "gso") == 0) {
        d->gso = (uint16_t)next_number(r);
    } else if (strcmp(word, "port") == 0) {
        p->src_port = (uint16_t)next_number(r);
    } else {
        fail_at(r->rig->where, "no such word in a segment: %s", word);
    }
}

void words_inject(struct rig *rig, const struct names *names, struct peer *peer, char *words[], unsigned count)
{
    struct reader r = {rig, names, peer, words, count};
    struct draft d = {.fill = -1, .offset = -1, .cut = -1};
    struct packet *p = &d.packet;
    p->src_port = peer->tuple.src_port;
    p->dst_port = peer->tuple.dst_port;
    p->flags = read_flags(&r);
    uint32_t at = read_range(&r, next_word(&r), ':', &p->len);
    p->seq = peer->isn + at;
    p->window = 512;
    while (r.left > 0)
        inject_word(&r, &d, next_word(&r));
    if ((p->flags & 0x10) && !d.ack_given)
        fail_at(rig->where, "a segment with ACK needs its \"ack\"");
    /* A workstation that agreed to timestamps sends them in everything, a millisecond being a tick. */
    if (!d.ts_given && peer->ts && !(p->flags & 0x02))
        put_ts(&r, &d, peer->ts_own + (uint32_t)((rig->now - rig->start) / 1000), peer->ts_seen);

    /* The answer to a SYN of the engine's says what is agreed. */
    if (peer->active && (p->flags & 0x02)) {
        peer->ts = peer->ts && d.ts_given;
        peer->scaled = peer->scaled && d.ws_given;
    }

    uint8_t *bytes = malloc(60 + (size_t)p->len);
    if (bytes == NULL)
        fail_at(rig->where, "out of memory");
    size_t n = packet_write(bytes, p, d.options, d.option_len);
    for (uint32_t k = 0; k < p->len; k++)
        bytes[n + k] = d.fill >= 0 ? (uint8_t)d.fill : packet_stream_byte(true, at + k);
    if (d.offset >= 0)
        bytes[12] = (uint8_t)(d.offset << 4);
    n += p->len;
    if (d.cut >= 0 && (size_t)d.cut < n)
        n = (size_t)d.cut;
    rig_inject(rig, peer, bytes, n, d.gso);
    free(bytes);
}

/* --- expect --- */

const char *words_of(const struct sent *sent)
{
    static char text[320];
    const struct peer *peer = sent->peer;
    packet_say(&sent->packet, peer->far_isn, peer->isn, peer->ts_base, text, sizeof(text));
    return text;
}

static void wrong(struct reader *r, const struct sent *sent, const char *what, int64_t expected, int64_t seen)
{
    fail_at(r->rig->where, "%s: expected %lld, seen %lld, in: > %s (of %s, %+lld us)", what, (long long)expected,
            (long long)seen, words_of(sent), sent->peer->name, (long long)(sent->at - r->rig->start));
}

static void expect_equal(struct reader *r, const struct sent *sent, const char *what, int64_t expected,
                         int64_t seen)
{
    if (expected != seen)
        wrong(r, sent, what, expected, seen);
}

/* "N", ">N" or "<N"; "*" is anything. */
static void expect_number(struct reader *r, const struct sent *sent, const char *what, const char *word,
                          int64_t seen)
{
    if (strcmp(word, "*") == 0)
        return;
    char op = *word == '<' || *word == '>' ? *word++ : '=';
    int64_t v = expr_value(r->names, r->rig->where, word);
    if (op == '<' ? seen >= v : op == '>' ? seen <= v : seen != v)
        wrong(r, sent, what, v, seen);
}

static void expect_ts(struct reader *r, const struct sent *sent)
{
    const char *word = next_word(r);
    if (strcmp(word, "*") == 0)
        return;
    if (*word == '*')
        word++;
    else if (*word != ':')
        expect_equal(r, sent, "TSval", expr_read(r->names, r->rig->where, &word),
                     (int32_t)(sent->packet.tsval - sent->peer->ts_base));
    if (*word == ':' && word[1] != '*') {
        word++;
        expect_equal(r, sent, "TSecr", expr_read(r->names, r->rig->where, &word), sent->packet.tsecr);
    }
}

static void expect_sacks(struct reader *r, const struct sent *sent)
{
    struct packet want = {.sack_count = 0};
    const struct packet *p = &sent->packet;
    read_sacks(r, &want, r->peer->isn);
    expect_equal(r, sent, "number of SACK blocks", want.sack_count, p->sack_count);
    for (uint32_t k = 0; k < want.sack_count; k++) {
        expect_equal(r, sent, "left edge of a SACK block", (int32_t)(want.sack[k][0] - r->peer->isn),
                     (int32_t)(p->sack[k][0] - r->peer->isn));
        expect_equal(r, sent, "right edge of a SACK block", (int32_t)(want.sack[k][1] - r->peer->isn),
                     (int32_t)(p->sack[k][1] - r->peer->isn));
    }
}

/* The words after the sequence numbers; kinds of options in the order in which they are named. */
static void expect_word(struct reader *r, const struct sent *sent, const char *word, struct packet *kinds)
{
    const struct packet *p = &sent->packet;
    if (strcmp(word, "ack") == 0) {
        word = next_word(r);
        if (strcmp(word, "*") != 0)
            expect_equal(r, sent, "ack", expr_value(r->names, r->rig->where, word),
                         (int32_t)(p->ack - r->peer->isn));
        return;
    }
    if (strcmp(word, "win") == 0) {
        expect_number(r, sent, "win", next_word(r), p->window);
        return;
    }
    if (strcmp(word, "gso") == 0) {
        expect_equal(r, sent, "gso", next_number(r), sent->gso_size);
        return;
    }
    if (strcmp(word, "header") == 0) {
        expect_equal(r, sent, "header", next_number(r), p->header_len);
        return;
    }
    static const struct {
        const char *name;
        enum packet_option kind;
    } option[] = {{"mss", PACKET_MSS},
                  {"ws", PACKET_WS},
                  {"sackok", PACKET_SACKOK},
                  {"sack", PACKET_SACK},
                  {"ts", PACKET_TS}};
    unsigned k = 0;
    while (k < 5 && strcmp(word, option[k].name) != 0)
        k++;
    if (k == 5)
        fail_at(r->rig->where, "no such word in a segment: %s", word);
    kinds->kind[kinds->kind_count++] = (uint8_t)option[k].kind;
    if (!packet_has(p, option[k].kind))
        fail_at(r->rig->where, "expected %s in: > %s", word, words_of(sent));
    if (option[k].kind == PACKET_MSS)
        expect_number(r, sent, "mss", next_word(r), p->mss);
    else if (option[k].kind == PACKET_WS)
        expect_number(r, sent, "ws", next_word(r), p->ws);
    else if (option[k].kind == PACKET_SACK)
        expect_sacks(r, sent);
    else if (option[k].kind == PACKET_TS)
        expect_ts(r, sent);
}

/* No option but those named, in that order. Timestamps that were agreed need no word. */
static void expect_kinds(struct reader *r, const struct sent *sent, const struct packet *kinds)
{
    const struct packet *p = &sent->packet;
    bool implied = packet_has(p, PACKET_TS) && !packet_has(kinds, PACKET_TS) && !(p->flags & 0x02);
    unsigned k = 0;
    for (unsigned i = 0; i < p->kind_count; i++) {
        if (implied && p->kind[i] == PACKET_TS)
            continue;
        if (k == kinds->kind_count || p->kind[i] != kinds->kind[k])
            fail_at(r->rig->where, "option %u was not expected there, in: > %s", p->kind[i], words_of(sent));
        k++;
    }
}

void words_expect(struct rig *rig, const struct names *names, const struct peer *peer, char *words[],
                  unsigned count)
{
    struct reader r = {rig, names, peer, words, count};
    const struct sent *sent = rig->first;
    const struct packet *p = &sent->packet;
    struct packet kinds = {.kind_count = 0};

    if (sent->peer != peer)
        fail_at(rig->where, "expected a segment of %s, seen one of %s: > %s", peer->name, sent->peer->name,
                words_of(sent));
    uint8_t flags = read_flags(&r);
    if (flags != p->flags)
        fail_at(rig->where, "expected flags %s, seen: > %s", words[0], words_of(sent));
    const char *range = next_word(&r);
    if (strcmp(range, "*") != 0) {
        uint32_t len;
        uint32_t from = read_range(&r, range, ':', &len);
        expect_equal(&r, sent, "seq", (int32_t)from, (int32_t)(p->seq - peer->far_isn));
        expect_equal(&r, sent, "payload bytes", len, p->len);
    }
    bool ack_named = false;
    bool gso_named = false;
    while (r.left > 0) {
        const char *word = next_word(&r);
        ack_named = ack_named || strcmp(word, "ack") == 0;
        gso_named = gso_named || strcmp(word, "gso") == 0;
        expect_word(&r, sent, word, &kinds);
    }
    if ((flags & 0x10) && !ack_named)
        fail_at(rig->where, "an expected segment with ACK needs its \"ack\"");
    if (!(flags & 0x10) && p->ack != 0)
        fail_at(rig->where, "an acknowledgment number without ACK: > %s", words_of(sent));
    if (!gso_named)
        expect_equal(&r, sent, "gso", 0, sent->gso_size);
    expect_kinds(&r, sent, &kinds);
    rig_forget(rig);
}
