/* SPDX-License-Identifier: BSD-3-Clause */
/*
 *     FREE --want--> WANTED --asked--> ASKED --address told, country told--> KNOWN --a day later, wanted--> WANTED
 *                                        |
 *                                        +--neither, or "??"--> UNKNOWN --ten minutes later, wanted--> WANTED
 *
 * Before the first relay Tor is asked whether it has a list at all. Without one nothing is wanted any more.
 */
#include "daemon/countries.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SET 4u          /* places that a fingerprint may have */
#define KNOWN_S 86400u  /* relays move seldom */
#define UNKNOWN_S 600u  /* the next consensus may list it */
#define ADDRESS_WORD 6u /* of an "r" line: r NICKNAME IDENTITY DIGEST DATE TIME ADDRESS ORPORT DIRPORT */

enum state {
    STATE_FREE,
    STATE_WANTED,
    STATE_ASKED,
    STATE_KNOWN,
    STATE_UNKNOWN,
};

enum list {
    LIST_NOT_ASKED,
    LIST_ASKED,
    LIST_THERE,
    LIST_MISSING,
};

enum kind {
    KIND_LIST,
    KIND_ADDRESS,
    KIND_COUNTRY,
};

_Static_assert((COUNTRIES_MAX & (COUNTRIES_MAX - 1)) == 0 && COUNTRIES_MAX >= SET, "sets are found by a mask");
_Static_assert((COUNTRIES_WANTED_MAX & (COUNTRIES_WANTED_MAX - 1)) == 0, "a ring by a mask");

int countries_init(struct countries *c)
{
    memset(c, 0, sizeof(*c));
    c->at = calloc(COUNTRIES_MAX, sizeof(*c->at));
    return c->at != NULL ? 0 : -ENOMEM;
}

void countries_fini(struct countries *c)
{
    free(c->at);
    c->at = NULL;
}

/* --- the cache --- */

/* A fingerprint is a hash already. Who makes many alike fills one set with relays that he runs. */
static uint32_t set_of(const uint8_t fingerprint[20])
{
    uint32_t bits;
    memcpy(&bits, fingerprint, sizeof(bits));
    return bits & (COUNTRIES_MAX - 1) & ~(SET - 1);
}

static struct country *find(const struct countries *c, const uint8_t fingerprint[20])
{
    const uint32_t set = set_of(fingerprint);
    for (uint32_t i = 0; c->at != NULL && i < SET; i++) {
        struct country *relay = &c->at[set + i];
        if (relay->state != STATE_FREE && memcmp(relay->fingerprint, fingerprint, sizeof(relay->fingerprint)) == 0)
            return relay;
    }
    return NULL;
}

/* A place for a newcomer; NULL if all that could be his are about to be told of. */
static struct country *make_room(struct countries *c, const uint8_t fingerprint[20])
{
    const uint32_t set = set_of(fingerprint);
    struct country *found = NULL;
    for (uint32_t i = 0; i < SET; i++) {
        struct country *relay = &c->at[set + (c->turn + i) % SET];
        if (relay->state == STATE_FREE || (found == NULL && relay->state >= STATE_KNOWN))
            found = relay;
    }
    if (found == NULL)
        return NULL;
    c->turn++;
    *found = (struct country){0};
    memcpy(found->fingerprint, fingerprint, sizeof(found->fingerprint));
    return found;
}

static bool is_fresh(const struct country *relay, uint32_t now)
{
    if (relay->state == STATE_WANTED || relay->state == STATE_ASKED)
        return true;
    return relay->state != STATE_FREE && now - relay->since < (relay->state == STATE_KNOWN ? KNOWN_S : UNKNOWN_S);
}

const char *countries_of(const struct countries *c, const uint8_t fingerprint[20])
{
    const struct country *relay = find(c, fingerprint);
    return relay != NULL && relay->code[0] != '\0' ? relay->code : NULL;
}

bool countries_want(struct countries *c, const uint8_t fingerprint[20], uint32_t now)
{
    if (c->at == NULL || c->list == LIST_MISSING)
        return true;
    struct country *relay = find(c, fingerprint);
    if (relay != NULL && is_fresh(relay, now))
        return true;
    if (c->wanted_count == COUNTRIES_WANTED_MAX)
        return false;
    if (relay == NULL)
        relay = make_room(c, fingerprint);
    if (relay == NULL)
        return false;
    relay->state = STATE_WANTED; /* what is known of it stays until it is told anew */
    c->wanted[(c->wanted_first + c->wanted_count++) & (COUNTRIES_WANTED_MAX - 1)] = (uint32_t)(relay - c->at);
    return true;
}

/* --- questions --- */

bool countries_busy(const struct countries *c)
{
    return c->wanted_count > 0 || c->asked_count > 0 || c->ready_count > 0 || c->chosen;
}

/* Whose address is told goes first: what is begun comes to its end. */
static bool choose(struct countries *c, uint64_t now)
{
    if (c->ready_count > 0) {
        c->next = c->ready[c->ready_first];
        c->ready_first = (c->ready_first + 1) & (COUNTRIES_ASKED_MAX - 1);
        c->ready_count--;
        return true;
    }
    if (c->wanted_count == 0 || c->list == LIST_ASKED)
        return false;
    if (c->list == LIST_NOT_ASKED) {
        c->next = (struct country_question){.kind = KIND_LIST};
        return true;
    }
    if (!bucket_take(&c->pace, COUNTRIES_PER_SECOND, COUNTRIES_PER_SECOND, now))
        return false;
    c->next = (struct country_question){.kind = KIND_ADDRESS, .slot = c->wanted[c->wanted_first]};
    c->wanted_first = (c->wanted_first + 1) & (COUNTRIES_WANTED_MAX - 1);
    c->wanted_count--;
    c->at[c->next.slot].state = STATE_ASKED;
    return true;
}

bool countries_question(struct countries *c, uint64_t now, char out[COUNTRIES_COMMAND_MAX])
{
    char digits[41];
    /* Of each relay one question at a time is in one of three places: what is chosen or ready has room among the asked. */
    if (c->asked_count == COUNTRIES_ASKED_MAX)
        return false;
    if (!c->chosen)
        c->chosen = choose(c, now);
    if (!c->chosen)
        return false;
    const struct country *relay = &c->at[c->next.slot];
    switch (c->next.kind) {
    case KIND_LIST:
        snprintf(out, COUNTRIES_COMMAND_MAX, "GETINFO ip-to-country/ipv4-available");
        break;
    case KIND_ADDRESS:
        for (unsigned i = 0; i < sizeof(relay->fingerprint); i++)
            snprintf(digits + (size_t)2 * i, 3, "%02X", relay->fingerprint[i]);
        snprintf(out, COUNTRIES_COMMAND_MAX, "GETINFO ns/id/%s", digits);
        break;
    default:
        snprintf(out, COUNTRIES_COMMAND_MAX, "GETINFO ip-to-country/%s", c->next.address);
        break;
    }
    return true;
}

void countries_asked(struct countries *c)
{
    if (c->next.kind == KIND_LIST)
        c->list = LIST_ASKED;
    c->asked[(c->asked_first + c->asked_count++) & (COUNTRIES_ASKED_MAX - 1)] = c->next;
    c->chosen = false;
}

/* --- answers --- */

/* The address is asked about next: let it be one, as we write it. */
static void take_address(struct country_question *question, const char *line)
{
    const char *word = line;
    uint8_t addr[4];
    for (unsigned i = 0; i < ADDRESS_WORD && word != NULL; i++) {
        word = strchr(word, ' ');
        word += word != NULL;
    }
    size_t n = word != NULL ? strcspn(word, " ") : 0;
    char text[INET_ADDRSTRLEN];
    if (n == 0 || n >= sizeof(text))
        return;
    memcpy(text, word, n);
    text[n] = '\0';
    if (inet_pton(AF_INET, text, addr) == 1)
        inet_ntop(AF_INET, addr, question->address, sizeof(question->address));
}

static bool is_code(const char *text)
{
    return strlen(text) == 2 && text[0] >= 'a' && text[0] <= 'z' && text[1] >= 'a' && text[1] <= 'z';
}

void countries_line(struct countries *c, const char *key, const char *value)
{
    static const char prefix[] = "ip-to-country/";
    if (c->asked_count == 0)
        return;
    struct country_question *question = &c->asked[c->asked_first];
    if (question->kind == KIND_ADDRESS && key[0] == '\0' && strncmp(value, "r ", 2) == 0)
        take_address(question, value);
    if (strncmp(key, prefix, sizeof(prefix) - 1) != 0)
        return;
    if (question->kind == KIND_LIST && strcmp(value, "1") == 0)
        c->list = LIST_THERE;
    else if (question->kind == KIND_COUNTRY && is_code(value))
        memcpy(question->code, value, sizeof(question->code));
}

/* Tor has no list: whoever waits waits in vain. */
static void give_up(struct countries *c)
{
    c->list = LIST_MISSING;
    for (; c->wanted_count > 0; c->wanted_count--) {
        c->at[c->wanted[c->wanted_first]].state = STATE_UNKNOWN;
        c->wanted_first = (c->wanted_first + 1) & (COUNTRIES_WANTED_MAX - 1);
    }
}

void countries_answered(struct countries *c, uint32_t now)
{
    if (c->asked_count == 0)
        return;
    struct country_question question = c->asked[c->asked_first];
    c->asked_first = (c->asked_first + 1) & (COUNTRIES_ASKED_MAX - 1);
    c->asked_count--;
    if (question.kind == KIND_LIST) {
        if (c->list != LIST_THERE)
            give_up(c);
        return;
    }
    if (question.kind == KIND_ADDRESS && question.address[0] != '\0') {
        question.kind = KIND_COUNTRY;
        c->ready[(c->ready_first + c->ready_count++) & (COUNTRIES_ASKED_MAX - 1)] = question;
        return;
    }
    /* Until here the place was the relay's, whoever else wanted it. */
    struct country *relay = &c->at[question.slot];
    relay->state = question.code[0] != '\0' ? STATE_KNOWN : STATE_UNKNOWN;
    memcpy(relay->code, question.code, sizeof(relay->code));
    relay->since = now;
}
