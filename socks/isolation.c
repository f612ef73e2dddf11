/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is hashed, and why it cannot be mistaken for something else.
 *
 * The message is: a byte that says what it is for, the set of fields, then each field of the set in the order of
 * its bit, then the count of new identities asked for, then the epoch. Every field has a fixed length but for the
 * name and a client's credentials, which have their length before them; so two different inputs never make the same message. A field that is not in
 * the set is not in the message and cannot change the result. Names are compared as DNS compares them: without
 * regard to case or to a dot at the end.
 *
 * A credential has 128 bits: two SipHash-2-4 of the same message under two keys. A collision would merge two
 * identities (invariant I4), and 64 bits would be too few for a gateway that makes thousands of them in an hour
 * over months.
 *
 * Epochs need no memory. Time is cut into pieces of `lifetime`, and each identity has its cuts shifted by a keyed
 * hash of its own. An identity that is looked at again after at least `lifetime` is a new one for certain; one that
 * is looked at again earlier may be.
 */
#include "socks/isolation.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_LEN 255u

enum purpose {
    PURPOSE_CREDENTIAL = 'c',
    PURPOSE_STAGGER = 's',
};

/* purpose, set, workstation, two addresses and ports, name with its length, port, credentials with theirs, nym, epoch */
#define MESSAGE_MAX (1 + 1 + 8 + 2 * (16 + 2) + 1 + NAME_MAX_LEN + 2 + 2 + ISOLATION_AUTH_MAX + 8 + 8)
#define FIELDS_ALL (ISOLATION_ALL | ISOLATION_PORT | ISOLATION_CREDENTIALS)

struct message {
    size_t len;
    uint8_t text[MESSAGE_MAX];
};

/* In the order of the bits. `means` is what a word stands for. */
static const struct {
    const char *word;
    unsigned means;
} words[] = {
    {"workstation", ISOLATION_WORKSTATION},
    {"source-address", ISOLATION_SOURCE_ADDRESS},
    {"source-port", ISOLATION_SOURCE_ADDRESS | ISOLATION_SOURCE_PORT},
    {"destination-address", ISOLATION_DESTINATION_ADDRESS},
    {"destination-name", ISOLATION_DESTINATION_NAME},
    {"destination-port", ISOLATION_DESTINATION_PORT},
    {"destination", ISOLATION_DESTINATION_NAME | ISOLATION_DESTINATION_PORT},
};
#define WORDS (sizeof(words) / sizeof(words[0]))
#define FIELDS 6u /* the first words name one field each */

static void put(struct message *m, const void *data, size_t n)
{
    memcpy(m->text + m->len, data, n);
    m->len += n;
}

static void put_number(struct message *m, uint64_t v, size_t n)
{
    while (n-- > 0)
        m->text[m->len++] = (uint8_t)(v >> (8 * n));
}

/* The name, or without one the address; which of the two it is shows in the first byte, for no name is empty. */
static void put_name(struct message *m, const struct isolation_flow *flow)
{
    size_t n = flow->name != NULL ? strnlen(flow->name, NAME_MAX_LEN) : 0;
    if (n > 0 && flow->name[n - 1] == '.')
        n--;
    put_number(m, n, 1);
    if (n == 0) {
        put(m, flow->dst.b, sizeof(flow->dst.b));
        return;
    }
    for (size_t i = 0; i < n; i++)
        m->text[m->len++] = (uint8_t)tolower((unsigned char)flow->name[i]);
}

static void message_build(struct message *m, enum purpose purpose, unsigned fields,
                          const struct isolation_flow *flow)
{
    m->len = 0;
    put_number(m, purpose, 1);
    put_number(m, fields & FIELDS_ALL, 1);
    if (fields & ISOLATION_WORKSTATION)
        put_number(m, flow->workstation, 8);
    if (fields & ISOLATION_SOURCE_ADDRESS)
        put(m, flow->src.b, sizeof(flow->src.b));
    if (fields & ISOLATION_SOURCE_PORT)
        put_number(m, flow->src_port, 2);
    if (fields & ISOLATION_DESTINATION_ADDRESS)
        put(m, flow->dst.b, sizeof(flow->dst.b));
    if (fields & ISOLATION_DESTINATION_NAME)
        put_name(m, flow);
    if (fields & ISOLATION_DESTINATION_PORT)
        put_number(m, flow->dst_port, 2);
    if (fields & ISOLATION_PORT)
        put_number(m, flow->port, 2);
    if (fields & ISOLATION_CREDENTIALS) {
        assert(flow->auth_len <= ISOLATION_AUTH_MAX);
        put_number(m, flow->auth_len, 2);
        if (flow->auth_len > 0)
            put(m, flow->auth, flow->auth_len);
    }
    put_number(m, flow->nym, 8);
}

void isolation_secret_init(struct isolation_secret *secret, const uint8_t seed[16])
{
    struct siphash_key root = siphash_key_load(seed);
    uint64_t part[6];
    for (unsigned i = 0; i < 6; i++) {
        const char label[] = {'i', 's', 'o', 'l', 'a', 't', 'e', (char)('0' + i)};
        part[i] = siphash_24(&root, label, sizeof(label));
    }
    secret->low = (struct siphash_key){part[0], part[1]};
    secret->high = (struct siphash_key){part[2], part[3]};
    secret->stagger = (struct siphash_key){part[4], part[5]};
}

uint64_t isolation_epoch(const struct isolation_secret *secret, unsigned fields, const struct isolation_flow *flow,
                         uint64_t now, uint32_t lifetime)
{
    if (lifetime == 0)
        return 0;
    struct message m;
    message_build(&m, PURPOSE_STAGGER, fields, flow);
    uint64_t shift = siphash_24(&secret->stagger, m.text, m.len) % lifetime;
    return (now + shift) / lifetime;
}

static void hex(char *out, uint64_t v)
{
    for (int i = 15; i >= 0; i--) {
        out[i] = "0123456789abcdef"[v & 15];
        v >>= 4;
    }
}

void isolation_credential(const struct isolation_secret *secret, unsigned fields, const struct isolation_flow *flow,
                          uint64_t epoch, struct isolation_credential *out)
{
    struct message m;
    message_build(&m, PURPOSE_CREDENTIAL, fields, flow);
    put_number(&m, epoch, 8);
    hex(out->password, siphash_24(&secret->high, m.text, m.len));
    hex(out->password + 16, siphash_24(&secret->low, m.text, m.len));
    out->password[ISOLATION_PASSWORD_LEN] = '\0';
}

/* The set that a word stands for, or 0. */
static unsigned word_means(const char *word, size_t n)
{
    for (size_t i = 0; i < WORDS; i++)
        if (strlen(words[i].word) == n && strncasecmp(words[i].word, word, n) == 0)
            return words[i].means;
    return 0;
}

int isolation_parse(const char *text, const char **bad, size_t *bad_len)
{
    unsigned fields = ISOLATION_WORKSTATION;
    for (;;) {
        text += strspn(text, " \t");
        size_t n = strcspn(text, ",");
        size_t word = n;
        while (word > 0 && (text[word - 1] == ' ' || text[word - 1] == '\t'))
            word--;
        unsigned means = word_means(text, word);
        if (means == 0) {
            if (bad != NULL)
                *bad = text;
            if (bad_len != NULL)
                *bad_len = word;
            return -EINVAL;
        }
        fields |= means;
        if (text[n] == '\0')
            return (int)fields;
        text += n + 1;
    }
}

int isolation_format(unsigned fields, char *out, size_t size)
{
    char all[128]; /* enough for all fields with their commas */
    size_t n = 0;
    all[0] = '\0';
    for (unsigned i = 0; i < FIELDS; i++)
        if (fields & 1u << i)
            n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s", n > 0 ? ", " : "", words[i].word);
    return snprintf(out, size, "%s", all);
}

uint64_t isolation_credential_key(const char *password)
{
    uint64_t key = 0;
    if (strlen(password) != ISOLATION_PASSWORD_LEN)
        return 0;
    for (unsigned i = 0; i < 16; i++) {
        char c = password[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return 0;
        key = key << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return key;
}
