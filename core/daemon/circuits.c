/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/circuits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "socks/isolation.h"

int circuits_init(struct circuits *circuits)
{
    memset(circuits, 0, sizeof(*circuits));
    circuits->at = calloc(CIRCUITS_MAX, sizeof(*circuits->at));
    return circuits->at != NULL ? 0 : -ENOMEM;
}

void circuits_fini(struct circuits *circuits)
{
    free(circuits->at);
    circuits->at = NULL;
}

/* Tor counts its circuits, and keys are hashes: the low bits will do for both. */
static uint32_t *head(uint32_t heads[CIRCUITS_HEADS], uint64_t value)
{
    return &heads[value & (CIRCUITS_HEADS - 1)];
}

static struct circuit *find(const struct circuits *circuits, uint64_t id)
{
    uint32_t i = circuits->by_id[id & (CIRCUITS_HEADS - 1)];
    while (i != 0 && circuits->at[i - 1].id != id)
        i = circuits->at[i - 1].next_id;
    return i != 0 ? &circuits->at[i - 1] : NULL;
}

static uint32_t slot_of(const struct circuits *circuits, const struct circuit *c)
{
    return (uint32_t)(c - circuits->at) + 1;
}

static struct circuit *add(struct circuits *circuits, uint64_t id, uint32_t now)
{
    uint32_t slot = circuits->free;
    if (slot != 0)
        circuits->free = circuits->at[slot - 1].next_id;
    else if (circuits->fresh < CIRCUITS_MAX)
        slot = ++circuits->fresh;
    else
        return NULL;
    struct circuit *c = &circuits->at[slot - 1];
    uint32_t *first = head(circuits->by_id, id);
    *c = (struct circuit){.id = id, .began = now, .next_id = *first};
    *first = slot;
    circuits->count++;
    return c;
}

static void unlink_key(struct circuits *circuits, struct circuit *c)
{
    if (c->key == 0)
        return;
    uint32_t *link = head(circuits->by_key, c->key);
    while (*link != slot_of(circuits, c))
        link = &circuits->at[*link - 1].next_key;
    *link = c->next_key;
    c->key = 0;
}

/* The one that was used last comes first. */
static void set_key(struct circuits *circuits, struct circuit *c, uint64_t key)
{
    uint32_t *first = head(circuits->by_key, key);
    if (key == 0 || *first == slot_of(circuits, c))
        return;
    unlink_key(circuits, c);
    c->key = key;
    c->next_key = *first;
    *first = slot_of(circuits, c);
}

static bool is_building(const struct circuit *c)
{
    return strcmp(c->status, "BUILT") != 0;
}

static void take_away(struct circuits *circuits, struct circuit *c)
{
    circuits->building -= is_building(c);
    uint32_t *link = head(circuits->by_id, c->id);
    unlink_key(circuits, c);
    while (*link != slot_of(circuits, c))
        link = &circuits->at[*link - 1].next_id;
    *link = c->next_id;
    *c = (struct circuit){.next_id = circuits->free};
    circuits->free = slot_of(circuits, c);
    circuits->count--;
}

static uint8_t hex_digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* The parser has seen to it that there are forty digits. */
static void set_relay(struct circuit_relay *relay, const struct control_hop *hop)
{
    for (unsigned i = 0; i < sizeof(relay->fingerprint); i++)
        relay->fingerprint[i] =
            (uint8_t)(hex_digit(hop->fingerprint[2 * i]) << 4 | hex_digit(hop->fingerprint[2 * i + 1]));
    snprintf(relay->nickname, sizeof(relay->nickname), "%s", hop->nickname);
}

/* The first digits of what is 64 of them. */
static uint64_t short_id(const char *hex)
{
    char digits[17];
    snprintf(digits, sizeof(digits), "%s", hex);
    return strtoull(digits, NULL, 16);
}

void circuits_take_circuit(struct circuits *circuits, const struct control_circuit *event, uint32_t now)
{
    if (event->id == 0 || circuits->at == NULL)
        return;
    struct circuit *c = find(circuits, event->id);
    if (strcmp(event->status, "CLOSED") == 0 || strcmp(event->status, "FAILED") == 0) {
        if (c != NULL)
            take_away(circuits, c);
        return;
    }
    if (c == NULL) {
        c = add(circuits, event->id, now);
        if (c == NULL)
            return;
        circuits->building += is_building(c);
    }
    circuits->building -= is_building(c);
    if (strcmp(event->status, "PURPOSE_CHANGED") != 0 && strcmp(event->status, "CANNIBALIZED") != 0)
        snprintf(c->status, sizeof(c->status), "%s", event->status);
    circuits->building += is_building(c);
    snprintf(c->purpose, sizeof(c->purpose), "%s", event->purpose);
    c->conflux = short_id(event->conflux_id);
    c->hops = (uint8_t)(event->hops < CIRCUITS_HOPS_MAX ? event->hops : CIRCUITS_HOPS_MAX);
    for (unsigned i = 0; i < c->hops; i++)
        set_relay(&c->path[i], &event->path[i]);
    if (c->key == 0)
        set_key(circuits, c, isolation_credential_key(event->socks_password));
}

void circuits_take_stream(struct circuits *circuits, const struct control_stream *event)
{
    uint64_t key = isolation_credential_key(event->socks_password);
    bool opened = strcmp(event->status, "SUCCEEDED") == 0;
    if (key == 0 || event->circuit == 0 || (!opened && strcmp(event->status, "SENTCONNECT") != 0))
        return;
    struct circuit *c = circuits->at != NULL ? find(circuits, event->circuit) : NULL;
    if (c == NULL)
        return;
    set_key(circuits, c, key);
    c->streams += opened;
}

const struct circuit *circuits_of_key(const struct circuits *circuits, uint64_t key)
{
    if (key == 0 || circuits->at == NULL)
        return NULL;
    uint32_t i = circuits->by_key[key & (CIRCUITS_HEADS - 1)];
    while (i != 0 && circuits->at[i - 1].key != key)
        i = circuits->at[i - 1].next_key;
    return i != 0 ? &circuits->at[i - 1] : NULL;
}

const struct circuit *circuits_next(const struct circuits *circuits, uint32_t *cursor)
{
    while (*cursor < circuits->fresh) {
        const struct circuit *c = &circuits->at[(*cursor)++];
        if (c->id != 0)
            return c;
    }
    return NULL;
}
