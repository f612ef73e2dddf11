/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/config_onion.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config_value.h"
#include "tun/ipv4.h"
#include "tun/ipv6.h"

#define FLOWS_DEFAULT 1024u
#define FLOWS_MAX 65536u

#define NAME_WANTED "a name of 1 to 24 of a-z, 0-9, - and _"

static const char start[] = "onion";
#define TOO_MANY "there are too many services (16)"

static const char blanks[] = " \t";

/* Names become names of files. */
static bool name_is_good(const char *name, size_t n)
{
    return n > 0 && n < CONFIG_ONION_NAME_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") >= n;
}

bool config_onion_is_section(const char *section, size_t n)
{
    const size_t len = sizeof(start) - 1;
    return n >= len && memcmp(section, start, len) == 0 && (n == len || strchr(" \t\"", section[len]) != NULL);
}

/* What is wrong with the name of such a section, or NULL. */
static const char *section_error(const char *section, size_t n)
{
    const char *limit = section + n;
    const char *at = section + sizeof(start) - 1;
    while (at < limit && (*at == ' ' || *at == '\t'))
        at++;
    if (at == section + sizeof(start) - 1 || limit - at < 2 || *at != '"' || limit[-1] != '"' ||
        !name_is_good(at + 1, (size_t)(limit - at) - 2))
        return "write [onion \"name\"], with " NAME_WANTED;
    return NULL;
}

/* The service of a section of `n` bytes, made if there is none. */
static struct config_onion *find(struct config_onions *onions, const char *section, size_t n, int line)
{
    char name[CONFIG_ONION_NAME_MAX] = "";
    const char *quote = memchr(section, '"', n);
    if (quote == NULL || section_error(section, n) != NULL)
        return NULL;
    memcpy(name, quote + 1, (size_t)(section + n - quote) - 2);
    for (uint32_t i = 0; i < onions->count; i++) {
        if (strcmp(onions->onion[i].name, name) == 0)
            return &onions->onion[i];
    }
    if (onions->count == CONFIG_ONIONS_MAX)
        return NULL;
    struct config_onion *onion = &onions->onion[onions->count++];
    *onion = (struct config_onion){.flows = FLOWS_DEFAULT, .line = line};
    memcpy(onion->name, name, sizeof(name));
    return onion;
}

const char *config_onion_begin(struct config_onions *onions, const char *section, size_t n, int line)
{
    const char *says = section_error(section, n);
    return says != NULL || find(onions, section, n, line) != NULL ? says : TOO_MANY;
}

static bool port_parse(const char *text, uint16_t *out)
{
    uint32_t number;
    if (!config_value_number(text, &number) || number == 0 || number > 65535)
        return false;
    *out = (uint16_t)number;
    return true;
}

/* 10.152.152.11:8080 or [fd19:c33d:88bc::11]:8080. */
static bool place_parse(const char *text, struct ipaddr *addr, uint16_t *port)
{
    char host[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    bool v6 = text[0] == '[';
    const char *end = v6 ? strchr(text, ']') : strchr(text, ':');
    if (end == NULL || (v6 && end[1] != ':'))
        return false;
    text += v6;
    size_t n = (size_t)(end - text);
    if (n >= sizeof(host))
        return false;
    memcpy(host, text, n);
    host[n] = '\0';
    if (inet_pton(v6 ? AF_INET6 : AF_INET, host, bytes) != 1)
        return false;
    *addr = v6 ? ipaddr_v6(bytes) : ipaddr_v4(bytes);
    return !(v6 && ipaddr_is_v4(addr)) && port_parse(end + (v6 ? 2 : 1), port);
}

static const char *skip(const char *at, const char *set)
{
    return at + strspn(at, set);
}

/* 80, workstation = 10.152.152.11:8080 */
static const char *add_port(struct config_onions *onions, uint32_t number, const char *text, int line)
{
    static const char wanted[] =
        "write a port, and a workstation's address and port, as in 80, workstation = 10.152.152.11:8080 or "
        "[fd19:c33d:88bc::11]:8080";
    static const char word[] = "workstation";
    struct config_onion_port port = {.onion = number, .line = line};
    char first[8];
    size_t n = strcspn(text, ", \t");
    if (n >= sizeof(first))
        return wanted;
    memcpy(first, text, n);
    first[n] = '\0';
    const char *at = skip(text + n, blanks);
    if (*at != ',' || !port_parse(first, &port.port))
        return wanted;
    at = skip(at + 1, blanks);
    if (strncmp(at, word, sizeof(word) - 1) != 0)
        return wanted;
    at = skip(at + sizeof(word) - 1, blanks);
    if (*at != '=' || !place_parse(skip(at + 1, blanks), &port.to, &port.to_port))
        return wanted;
    for (uint32_t i = 0; i < onions->ports; i++) {
        if (onions->port[i].onion == number && onions->port[i].port == port.port)
            return "this service has this port already; remove one of the two lines";
    }
    if (onions->ports == CONFIG_ONION_PORTS_MAX)
        return "there are too many (32, of all services together)";
    onions->port[onions->ports++] = port;
    return NULL;
}

/* alice: BASE32 */
static const char *add_client(struct config_onions *onions, uint32_t number, const char *text)
{
    static const char wanted[] =
        "write " NAME_WANTED ", a colon, and the client's public x25519 key in base32 (52 characters)";
    struct config_onion_client client = {.onion = number};
    size_t n = strcspn(text, ": \t");
    const char *at = skip(text + n, blanks);
    if (*at != ':' || !name_is_good(text, n))
        return wanted;
    memcpy(client.name, text, n);
    at = skip(at + 1, blanks);
    if (strlen(at) != sizeof(client.key) - 1 || strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != strlen(at))
        return wanted;
    /* A key of nothing but zeros (256 bits, and four that do not count) is none, and Tor would crash with it. */
    if (strspn(at, "A") >= sizeof(client.key) - 2 && at[sizeof(client.key) - 2] <= 'P')
        return "this is no public key; write what the client has made with his private one";
    memcpy(client.key, at, sizeof(client.key));
    for (uint32_t i = 0; i < onions->clients; i++) {
        if (onions->client[i].onion == number && strcmp(onions->client[i].name, client.name) == 0)
            return "this service has a client of this name already; remove one of the two lines";
    }
    if (onions->clients == CONFIG_ONION_CLIENTS_MAX)
        return "there are too many (32, of all services together)";
    onions->client[onions->clients++] = client;
    return NULL;
}

static const char *set_flows(struct config_onion *onion, const char *text)
{
    uint32_t number;
    if (onion->flows_set)
        return "this service has it already; remove one of the two lines";
    if (!config_value_number(text, &number) || number == 0 || number > FLOWS_MAX)
        return "write a number from 1 to 65536";
    onion->flows_set = true;
    onion->flows = number;
    return NULL;
}

static const char *set_source(struct config_onion *onion, const char *text)
{
    static const struct config_word words[] = {{"gateway", 0}, {"circuit", 1}, {NULL, 0}};
    uint32_t circuit;
    if (onion->source_set)
        return "this service has it already; remove one of the two lines";
    if (!config_value_word(text, words, &circuit))
        return "write gateway or circuit";
    onion->source_set = true;
    onion->circuit = circuit != 0;
    return NULL;
}

const char *config_onion_key(struct config_onions *onions, const char *section, const char *name, const char *value,
                             int line, bool *known)
{
    *known = strcmp(name, "port") == 0 || strcmp(name, "client") == 0 || strcmp(name, "flows") == 0 ||
             strcmp(name, "source") == 0;
    if (!*known)
        return NULL;
    struct config_onion *onion = find(onions, section, strlen(section), line);
    if (onion == NULL)
        return TOO_MANY;
    uint32_t number = (uint32_t)(onion - onions->onion);
    switch (name[0]) {
    case 'p':
        return add_port(onions, number, value, line);
    case 'c':
        return add_client(onions, number, value);
    case 'f':
        return set_flows(onion, value);
    default:
        return set_source(onion, value);
    }
}

bool config_onion_tells_visitors(const struct config_onions *onions)
{
    bool any = false;
    for (uint32_t i = 0; i < onions->count; i++)
        any = any || onions->onion[i].circuit;
    return any;
}

const char *config_onion_check(const struct config_onions *onions, const struct ipnet *network,
                               const struct ipnet *network6, int *line)
{
    bool has_port[CONFIG_ONIONS_MAX] = {false};
    for (uint32_t i = 0; i < onions->ports; i++) {
        const struct config_onion_port *port = &onions->port[i];
        bool v4 = ipaddr_is_v4(&port->to);
        const struct ipnet *net = v4 ? network : network6;
        has_port[port->onion] = true;
        *line = port->line;
        if (net->len == 0)
            return "a workstation with IPv6, without workstation.address6; add it";
        const struct ipv6_scope scope = {.network = *net, .gateway = net->addr};
        if (v4 ? !ipv4_is_host(&port->to, net, &net->addr) : !ipv6_is_host(&port->to, &scope))
            return v4 ? "this is no workstation's address; write one of the network of workstation.address, not "
                        "the gateway's"
                      : "this is no workstation's address; write one of the network of workstation.address6, not "
                        "the gateway's";
    }
    for (uint32_t i = 0; i < onions->count; i++) {
        *line = onions->onion[i].line;
        if (!has_port[i])
            return "the service has no port; add port = 80, workstation = 10.152.152.11:8080";
    }
    return NULL;
}
