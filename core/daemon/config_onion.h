/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sections [onion "name"] of the configuration file: onion services that workstations offer.
 *
 *     [onion "blog"]
 *     port = 80, workstation = 10.152.152.11:8080
 *     client = alice: 52 characters of base32
 */
#ifndef CLOISTER_DAEMON_CONFIG_ONION_H
#define CLOISTER_DAEMON_CONFIG_ONION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"

#define CONFIG_ONIONS_MAX 16u
#define CONFIG_ONION_PORTS_MAX 32u /* of all services together, as are clients */
#define CONFIG_ONION_CLIENTS_MAX 32u
#define CONFIG_ONION_NAME_MAX 25u /* bytes of a name, its NUL byte included */
#define CONFIG_ONION_KEY_MAX 53u  /* the same of a client's key */

struct config_onion {
    char name[CONFIG_ONION_NAME_MAX];
    bool circuit;   /* visitors have addresses of their own */
    bool flows_set; /* was `flows` in the file? As are the next two */
    bool source_set;
    uint32_t flows; /* visitors' streams at once */
    int line;       /* of the first key */
};

struct config_onion_port {
    uint32_t onion; /* index of the service */
    uint16_t port;  /* that visitors connect to */
    uint16_t to_port;
    struct ipaddr to; /* the workstation */
    int line;
};

struct config_onion_client {
    uint32_t onion; /* index of the service */
    char name[CONFIG_ONION_NAME_MAX];
    char key[CONFIG_ONION_KEY_MAX]; /* public, x25519, in base32 */
};

struct config_onions {
    uint32_t count;
    uint32_t ports;
    uint32_t clients;
    struct config_onion onion[CONFIG_ONIONS_MAX];
    struct config_onion_port port[CONFIG_ONION_PORTS_MAX];
    struct config_onion_client client[CONFIG_ONION_CLIENTS_MAX];
};

/* True if this is the name of such a section, well-formed or not. */
bool config_onion_is_section(const char *section, size_t n);

/* Begin such a section: the service exists from its first line on, with or without keys. What is wrong, or
 * NULL. */
const char *config_onion_begin(struct config_onions *onions, const char *section, size_t n, int line);

/* The names of the keys, for messages. */
#define CONFIG_ONION_KEYS "port, client, flows, source"

/* Take in a key of such a section. NULL, or what is wrong with the value; *known is false if there is no such key. */
const char *config_onion_key(struct config_onions *onions, const char *section, const char *name, const char *value,
                             int line, bool *known);

/* True if visitors of one of them have addresses of their own. */
bool config_onion_tells_visitors(const struct config_onions *onions);

/* What is wrong with the whole, of which the gateway has `network` and `network6`, with the line in *line; or NULL. */
const char *config_onion_check(const struct config_onions *onions, const struct ipnet *network,
                               const struct ipnet *network6, int *line);

#endif
