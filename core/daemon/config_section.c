/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/config_section.h"

#include <string.h>

#include "daemon/config.h"

#define NAME_MAX_LEN 32u

enum port_key {
    PORT_ISOLATE = 1 << 0,
    PORT_KIND = 1 << 1,
    PORT_TOR_BROWSER = 1 << 2,
};

static const char twice[] = "already set; remove one of the two lines";

/* The place of a port in the list, or its end. */
static uint32_t port_index(const struct socks_ports *ports, uint32_t port)
{
    uint32_t i = 0;
    while (i < ports->count && ports->port[i].port != port)
        i++;
    return i;
}

static const char *begin_port(struct config *c, const char *name)
{
    uint32_t port;
    if (!config_value_number(name, &port) || port == 0 || port > UINT16_MAX)
        return "a port is a number from 1 to 65535, as in [socks-port \"9101\"]";
    if (port == 53)
        return "port 53 is the gateway's name server; write another";
    if (port_index(&c->ports, port) < c->ports.count)
        return "there is such a section already; remove one of the two";
    if (c->ports.count == SOCKS_PORTS_MAX)
        return "there are too many (64)";
    struct socks_port *p = &c->ports.port[c->ports.count++];
    *p = (struct socks_port){.port = (uint16_t)port, .kind = FRONT_SOCKS};
    socks_port_parse_fields("none", &p->fields);
    return NULL;
}

static const char *take_port(struct config *c, const char *name, const char *key, const char *value)
{
    static const struct config_word kinds[] = {{"socks", FRONT_SOCKS}, {"http", FRONT_HTTP}, {NULL, 0}};
    static const struct config_word answers[] = {{"no", 0}, {"yes", 1}, {NULL, 0}};
    uint32_t number = 0;
    config_value_number(name, &number);
    uint32_t i = port_index(&c->ports, number);
    struct socks_port *p = &c->ports.port[i];
    uint8_t bit = strcmp(key, "isolate") == 0       ? PORT_ISOLATE
                  : strcmp(key, "kind") == 0        ? PORT_KIND
                  : strcmp(key, "tor_browser") == 0 ? PORT_TOR_BROWSER
                                                    : 0;
    if (bit == 0)
        return "no such key; there are isolate, kind and tor_browser";
    if ((c->port_keys[i] & bit) != 0)
        return twice;
    c->port_keys[i] |= bit;
    if (bit == PORT_ISOLATE)
        return socks_port_parse_fields(value, &p->fields);
    if (bit == PORT_TOR_BROWSER) {
        if (!config_value_word(value, answers, &number))
            return "write yes or no";
        p->tor_browser = number != 0;
        return NULL;
    }
    if (!config_value_word(value, kinds, &number))
        return "write socks or http";
    p->kind = (uint8_t)number;
    return NULL;
}

static const struct {
    const char *kind;
    const char *(*begin)(struct config *config, const char *name);
    const char *(*take)(struct config *config, const char *name, const char *key, const char *value);
} sections[] = {
    {"socks-port", begin_port, take_port},
};
#define SECTIONS (sizeof(sections) / sizeof(sections[0]))

/* kind "name": the index of the kind and the name, or SECTIONS. */
static size_t split(const char *section, size_t n, char name[NAME_MAX_LEN])
{
    for (size_t i = 0; i < SECTIONS; i++) {
        size_t kind = strlen(sections[i].kind);
        if (n < kind + 4 || strncmp(section, sections[i].kind, kind) != 0 || section[kind] != ' ' ||
            section[kind + 1] != '"' || section[n - 1] != '"' || n - kind - 3 >= NAME_MAX_LEN)
            continue;
        memcpy(name, section + kind + 2, n - kind - 3);
        name[n - kind - 3] = '\0';
        return i;
    }
    return SECTIONS;
}

bool config_section_is_named(const char *section, size_t n)
{
    char name[NAME_MAX_LEN];
    return split(section, n, name) < SECTIONS;
}

const char *config_section_begin(struct config *config, const char *section, size_t n)
{
    char name[NAME_MAX_LEN];
    return sections[split(section, n, name)].begin(config, name);
}

const char *config_section_take(struct config *config, const char *section, const char *key, const char *value)
{
    char name[NAME_MAX_LEN];
    size_t i = split(section, strlen(section), name);
    return value != NULL && value[0] != '\0' ? sections[i].take(config, name, key, value)
                                             : "no value; write one, or remove the line";
}
