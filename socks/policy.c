/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks/policy.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONDITION_MAX 64u /* characters of a word; the longest is an IPv6 prefix */
#define BLANK " \t"
#define DNS_PORT 53u

/* Digits only. */
static bool parse_number(const char *text, unsigned long max, unsigned long *out)
{
    if (text[0] == '\0' || strlen(text) > 5 || strspn(text, "0123456789") != strlen(text))
        return false;
    *out = strtoul(text, NULL, 10);
    return *out <= max;
}

/* "22" or "6660-6669". */
static bool parse_ports(char *text, uint16_t out[2])
{
    unsigned long first, last;
    char *dash = strchr(text, '-');
    if (dash != NULL)
        *dash = '\0';
    if (!parse_number(text, 65535, &first) || !parse_number(dash != NULL ? dash + 1 : text, 65535, &last))
        return false;
    out[0] = (uint16_t)first;
    out[1] = (uint16_t)last;
    return first > 0 && first <= last;
}

bool isolation_rule_network(char *text, struct ipnet *out)
{
    struct ipnet net;
    unsigned long len;
    uint8_t v4[4];
    char *slash = strchr(text, '/');
    if (slash != NULL)
        *slash = '\0';
    bool four = inet_pton(AF_INET, text, v4) == 1;
    if (four)
        net.addr = ipaddr_v4(v4);
    else if (inet_pton(AF_INET6, text, net.addr.b) != 1 || ipaddr_is_v4(&net.addr))
        return false;
    const unsigned long bits = four ? 32 : 128;
    len = bits;
    if (slash != NULL && !parse_number(slash + 1, bits, &len))
        return false;
    net.len = (uint8_t)(128 - bits + len);
    *out = net;
    return true;
}

/* The next word of *text, which ends at `end`; moves on. False if there is none, or it is too long. */
static bool next_word(const char **text, const char *end, char word[CONDITION_MAX])
{
    *text += strspn(*text, BLANK);
    size_t n = strcspn(*text, BLANK);
    if (n > (size_t)(end - *text))
        n = (size_t)(end - *text);
    if (*text >= end || n == 0 || n >= CONDITION_MAX)
        return false;
    memcpy(word, *text, n);
    word[n] = '\0';
    *text += n;
    return true;
}

const char *isolation_rule_parse(const char *text, struct isolation_rule *out)
{
    static const char want[] = "write conditions, a colon and fields, as in port 22: workstation, destination-name";
    struct isolation_rule rule = {.port = {0, UINT16_MAX}};
    char what[CONDITION_MAX], value[CONDITION_MAX];
    unsigned seen = 0;
    /* Fields have no colon; an address may. */
    const char *colon = strrchr(text, ':');
    if (colon == NULL)
        return want;
    while (next_word(&text, colon, what)) {
        static const char *const conditions[] = {"port", "network", "workstation"};
        unsigned which = 0;
        while (which < 3 && strcasecmp(what, conditions[which]) != 0)
            which++;
        if (which == 3)
            return "a condition is port, network or workstation, as in workstation 10.152.152.12 port 22";
        if ((seen & 1u << which) != 0)
            return "the same condition stands there twice; write two rules";
        seen |= 1u << which;
        if (!next_word(&text, colon, value))
            return want;
        if (which == 0 && !parse_ports(value, rule.port))
            return "a port is a number from 1 to 65535, or two with a dash, as in port 6660-6669";
        if (which == 1 && !isolation_rule_network(value, &rule.network))
            return "a network is an address with or without a length, as in network 203.0.113.0/24";
        if (which == 2 && !isolation_rule_network(value, &rule.workstation))
            return "a workstation is an address with or without a length, as in workstation 10.152.152.12";
    }
    if (seen == 0 || text + strspn(text, BLANK) != colon)
        return want;
    int fields = isolation_parse(colon + 1, NULL, NULL);
    if (fields <= 0)
        return "after the colon, write fields as for key, as in workstation, destination-name";
    rule.fields = (unsigned)fields;
    *out = rule;
    return NULL;
}

static bool same_net(const struct ipnet *a, const struct ipnet *b)
{
    return a->len == b->len && ipaddr_equal(&a->addr, &b->addr);
}

bool isolation_rule_is_for_the_same(const struct isolation_rule *a, const struct isolation_rule *b)
{
    return a->port[0] == b->port[0] && a->port[1] == b->port[1] && same_net(&a->network, &b->network) &&
           same_net(&a->workstation, &b->workstation);
}

static bool holds_for(const struct isolation_rule *r, const struct ipaddr *src, uint16_t dst_port)
{
    return dst_port >= r->port[0] && dst_port <= r->port[1] && ipnet_contains(&r->workstation, src);
}

unsigned isolation_rules_fields(const struct isolation_rules *rules, const struct ipaddr *src,
                                const struct ipaddr *dst, uint16_t dst_port, unsigned otherwise)
{
    for (uint32_t i = 0; i < rules->count; i++) {
        const struct isolation_rule *r = &rules->rule[i];
        if (holds_for(r, src, dst_port) && ipnet_contains(&r->network, dst))
            return r->fields;
    }
    return otherwise;
}

unsigned isolation_rules_lookup_fields(const struct isolation_rules *rules, const struct ipaddr *src,
                                       unsigned otherwise)
{
    unsigned fields = otherwise;
    for (uint32_t i = 0; i < rules->count; i++) {
        const struct isolation_rule *r = &rules->rule[i];
        if (r->network.len == 0 && holds_for(r, src, DNS_PORT)) {
            fields = r->fields;
            break;
        }
    }
    bool as_one = (fields & ~(unsigned)(ISOLATION_WORKSTATION | ISOLATION_SOURCE_ADDRESS)) == 0;
    return as_one ? ISOLATION_WORKSTATION : ISOLATION_WORKSTATION | ISOLATION_DESTINATION_NAME;
}
