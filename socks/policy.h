/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which fields make the identity of which flow: rules by destination and by workstation, and a set for all the rest.
 *
 *     rule = port 22: workstation, destination-name
 *     rule = workstation 10.152.152.12 port 6660-6669: workstation
 *     rule = network 2001:db8::/32: source-address
 *
 * The first rule whose every condition holds decides.
 *
 * A lookup is what a workstation sends to port 53, wherever to: it is answered here, and has no destination yet. So rules
 * with a network never fit one, and rules with a port fit if it is 53.
 */
#ifndef CLOISTER_SOCKS_POLICY_H
#define CLOISTER_SOCKS_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "socks/isolation.h"

#define ISOLATION_RULES_MAX 16u

/* A condition that was not given holds for everything. */
struct isolation_rule {
    unsigned fields;          /* set of enum isolation_field */
    uint16_t port[2];         /* destination ports, first and last, host order */
    struct ipnet network;     /* the destination's address; of a name, its virtual address */
    struct ipnet workstation; /* the source address */
};

/* In the order in which they are asked. */
struct isolation_rules {
    uint32_t count;
    struct isolation_rule rule[ISOLATION_RULES_MAX];
};

/* Read a rule as above. NULL and *out, or a static sentence that says what is wrong. */
const char *isolation_rule_parse(const char *text, struct isolation_rule *out);

/* An address, or a network with its length; `text` is written to. */
bool isolation_rule_network(char *text, struct ipnet *out);

/* True if two rules have the same conditions. */
bool isolation_rule_is_for_the_same(const struct isolation_rule *a, const struct isolation_rule *b);

/* The fields for a flow from `src` to `dst` and `dst_port`; `otherwise` if no rule holds. */
unsigned isolation_rules_fields(const struct isolation_rules *rules, const struct ipaddr *src,
                                const struct ipaddr *dst, uint16_t dst_port, unsigned otherwise);

/* The fields for lookups of `src`, with `otherwise` as above: the workstation, and the name in question unless all of the
 * workstation's flows would be one identity. */
unsigned isolation_rules_lookup_fields(const struct isolation_rules *rules, const struct ipaddr *src,
                                       unsigned otherwise);

#endif
