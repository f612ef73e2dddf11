/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/config_key.h"

#include <stdio.h>
#include <string.h>

#include "daemon/config_value.h"
#include "daemon/console_socket.h"
#include "socks/isolation.h"

static const struct config_word mode_words[] = {
    {"embedded", CONFIG_MODE_EMBEDDED},
    {"external", CONFIG_MODE_EXTERNAL},
    {NULL, 0},
};

static const struct config_word served_words[] = {
    {"any", CONFIG_SERVED_ANY},
    {"listed", CONFIG_SERVED_LISTED},
    {NULL, 0},
};

static const struct config_word accept_words[] = {
    {"deferred", CONFIG_ACCEPT_DEFERRED},
    {"optimistic", CONFIG_ACCEPT_OPTIMISTIC},
    {NULL, 0},
};

static const struct config_word until_ready_words[] = {
    {"hold", CONFIG_UNTIL_READY_HOLD},
    {"refuse", CONFIG_UNTIL_READY_REFUSE},
    {NULL, 0},
};

static const struct config_word half_close_words[] = {
    {"keep", CONFIG_HALF_CLOSE_KEEP},
    {"forward", CONFIG_HALF_CLOSE_FORWARD},
    {NULL, 0},
};

static const struct config_word hardening_words[] = {
    {"strict", CONFIG_HARDENING_STRICT},
    {"best-effort", CONFIG_HARDENING_BEST_EFFORT},
    {NULL, 0},
};

static const struct config_word answers_words[] = {
    {"virtual", CONFIG_ANSWERS_VIRTUAL},
    {"resolve", CONFIG_ANSWERS_RESOLVE},
    {NULL, 0},
};

static const struct config_word port_words[] = {
    {"none", CONFIG_PORTS_NONE},
    {"whonix", CONFIG_PORTS_WHONIX},
    {NULL, 0},
};

static const struct config_word level_words[] = {
    {"error", LOG_LEVEL_ERROR},
    {"warn", LOG_LEVEL_WARN},
    {"info", LOG_LEVEL_INFO},
    {"debug", LOG_LEVEL_DEBUG},
    {NULL, 0},
};

enum key_kind {
    KEY_NUMBER,   /* uint32_t, from min to max */
    KEY_BOOLEAN,  /* bool */
    KEY_WORD,     /* uint32_t or an enum: one of `words` */
    KEY_POLICY,   /* unsigned: a set of isolation fields */
    KEY_RULE,     /* struct isolation_rules: may be set several times */
    KEY_RATE,     /* uint32_t: a number to max, `none` for 0, or `auto` for CONFIG_RATE_AUTO */
    KEY_NETWORK,  /* struct ipnet, IPv4 */
    KEY_NETWORK6, /* the same, IPv6 */
    KEY_RANGE,    /* struct ipaddr[2] */
    KEY_LEASE,    /* struct config_leases: may be set several times */
    KEY_STATION,  /* struct config_stations: the same */
    KEY_MAC,      /* uint8_t[6] */
    KEY_DEVICES,  /* char[][IFNAMSIZ], one for each time that the key is there */
    KEY_DEVICE,   /* text, as are the following */
    KEY_PATH,
    KEY_SOCKETS,  /* char[][CONFIG_SOCKET_MAX], one for each time that the key is there */
    KEY_PLACE,    /* of a socket that is ours */
    KEY_LISTENER, /* the same, or a loopback address */
    KEY_GROUP,
    KEY_USER,
    KEY_NAMES,
    KEY_ADDRESSES, /* struct config_addresses */
    KEY_NETWORKS,  /* struct config_networks */
};

struct key {
    const char *section;
    const char *name;
    enum key_kind kind;
    size_t offset;                   /* of the field in struct config */
    size_t size;                     /* bytes of the field */
    uint32_t min, max;               /* KEY_NUMBER */
    const struct config_word *words; /* KEY_WORD */
    const char *none;                /* a word that leaves the field zero, or NULL */
    const char *fallback;            /* the default, as it would be written; NULL: the field stays zero */
};

#define FIELD(f) .offset = offsetof(struct config, f), .size = sizeof(((struct config *)NULL)->f)

/* clang-format off */
static const struct key keys[] = {
    {"workstation", "device",  KEY_DEVICE,  FIELD(device),  .fallback = "cloister0"},
    {"workstation", "bridge",  KEY_DEVICE,  FIELD(bridge)},
    {"workstation", "attach",  KEY_DEVICES, FIELD(attach)},
    {"workstation", "isolate_clients", KEY_BOOLEAN, FIELD(isolate_clients), .fallback = "yes"},
    {"workstation", "address", KEY_NETWORK, FIELD(network), .fallback = "10.152.152.10/18"},
    {"workstation", "address6", KEY_NETWORK6, FIELD(network6), .none = "none"},
    {"workstation", "ra", KEY_BOOLEAN, FIELD(ra), .fallback = "no"},
    {"workstation", "dhcp", KEY_RANGE, FIELD(dhcp), .none = "none"},
    {"workstation", "dhcp_lease", KEY_LEASE, FIELD(dhcp_leases)},
    {"workstation", "station", KEY_STATION, FIELD(stations)},
    {"workstation", "stations", KEY_WORD, FIELD(served), .words = served_words, .fallback = "any"},
    {"workstation", "visitors", KEY_NETWORK, FIELD(visitors), .fallback = "10.64.0.0/10"},
    {"workstation", "visitors6", KEY_NETWORK6, FIELD(visitors6), .fallback = "fd6c:7601:7e3::/64"},
    {"workstation", "reject", KEY_BOOLEAN, FIELD(reject), .fallback = "no"},
    {"workstation", "mtu",     KEY_NUMBER,  FIELD(mtu), .min = 576, .max = 65520, .fallback = "1500"},
    {"workstation", "mac",     KEY_MAC,     FIELD(mac)},
    {"workstation", "offload", KEY_BOOLEAN, FIELD(offload), .fallback = "yes"},

    {"tor", "mode",  KEY_WORD,   FIELD(mode), .words = mode_words, .fallback = "embedded"},
    {"tor", "socks", KEY_SOCKETS, FIELD(socks)},
    {"tor", "instances", KEY_NUMBER, FIELD(instances), .min = 1, .max = CONFIG_TORS_MAX, .fallback = "1"},
    {"tor", "data",  KEY_PATH,   FIELD(data), .fallback = "/var/lib/cloister"},
    {"tor", "torrc", KEY_PATH,   FIELD(torrc)},
    {"tor", "allow_private", KEY_BOOLEAN, FIELD(allow_private), .fallback = "no"},
    {"tor", "sandbox", KEY_BOOLEAN, FIELD(sandbox), .fallback = "yes"},
    {"tor", "connect_timeout", KEY_NUMBER, FIELD(connect_timeout), .min = 1, .max = 600, .fallback = "120"},

    {"isolation", "key", KEY_POLICY, FIELD(isolation), .fallback = "source-port"},
    {"isolation", "rule", KEY_RULE, FIELD(isolation_rules)},
    {"isolation", "lifetime", KEY_NUMBER, FIELD(isolation_lifetime), .min = 0, .max = 86400, .fallback = "600"},
    {"isolation", "rate", KEY_RATE, FIELD(identity_rate), .min = 1, .max = 100000, .fallback = "auto"},
    {"isolation", "burst", KEY_NUMBER, FIELD(identity_burst), .min = 1, .max = 100000, .fallback = "256"},

    {"dns", "virtual", KEY_NETWORK, FIELD(virtual_net), .fallback = "10.192.0.0/10"},
    {"dns", "virtual6", KEY_NETWORK6, FIELD(virtual_net6), .none = "none", .fallback = "fd6c:7601:7e2::/64"},
    {"dns", "ttl",     KEY_NUMBER,  FIELD(virtual_ttl), .min = 0, .max = 3600, .fallback = "60"},
    {"dns", "answers", KEY_WORD,    FIELD(answers), .words = answers_words, .fallback = "virtual"},
    {"dns", "resolve", KEY_NAMES,   FIELD(resolve)},
    {"dns", "upstream", KEY_ADDRESSES, FIELD(resolvers)},

    {"tcp", "accept", KEY_WORD, FIELD(accept), .words = accept_words, .fallback = "deferred"},
    {"tcp", "until_ready", KEY_WORD, FIELD(until_ready), .words = until_ready_words, .fallback = "hold"},
    {"tcp", "half_close", KEY_WORD, FIELD(half_close), .words = half_close_words, .fallback = "keep"},
    {"tcp", "half_close_timeout", KEY_NUMBER, FIELD(half_close_timeout), .min = 1, .max = 86400, .fallback = "60"},
    {"tcp", "idle_timeout", KEY_NUMBER, FIELD(idle_timeout), .min = 10, .max = 432000, .fallback = "7440"},

    {"tcp", "transparent", KEY_BOOLEAN, FIELD(transparent), .fallback = "yes"},
    {"tcp", "transparent_except", KEY_NETWORKS, FIELD(transparent_except)},

    {"ports", "socks_ports", KEY_WORD, FIELD(socks_ports), .words = port_words, .fallback = "whonix"},
    {"ports", "control", KEY_BOOLEAN, FIELD(control_port), .fallback = "no"},

    {"limits", "flows", KEY_NUMBER, FIELD(flows), .min = 1, .max = 262144, .fallback = "16384"},
    {"limits", "workstation_flows", KEY_NUMBER, FIELD(workstation_flows), .min = 1, .max = 262144, .fallback = "12288"},
    {"limits", "connecting", KEY_NUMBER, FIELD(connecting), .min = 1, .max = 262144, .fallback = "2048"},
    {"limits", "workstation_connecting", KEY_NUMBER, FIELD(workstation_connecting), .min = 1, .max = 262144,
        .fallback = "1024"},
    {"limits", "workstation_syns", KEY_NUMBER, FIELD(workstation_syns), .min = 1, .max = 1000000, .fallback = "10000"},
    {"limits", "buffers", KEY_NUMBER, FIELD(buffers), .min = 1, .max = 1024, .fallback = "64"},
    {"limits", "workstations", KEY_NUMBER, FIELD(workstations), .min = 1, .max = 65535, .fallback = "1024"},
    {"limits", "workstation_idle", KEY_NUMBER, FIELD(workstation_idle), .min = 1, .max = 86400, .fallback = "300"},
    {"limits", "names", KEY_NUMBER, FIELD(names), .min = 64, .max = 262144, .fallback = "65536"},
    {"limits", "queries", KEY_NUMBER, FIELD(queries), .min = 0, .max = 1000000, .fallback = "100000"},

    {"process", "user", KEY_USER, FIELD(user)},
    {"process", "tor_user", KEY_USER, FIELD(tor_user)},
    {"process", "gateway_user", KEY_USER, FIELD(gateway_user)},
    {"process", "control", KEY_PLACE, FIELD(control), .none = "none", .fallback = CONSOLE_DEFAULT},
    {"process", "control_group", KEY_GROUP, FIELD(control_group)},
    {"process", "metrics", KEY_LISTENER, FIELD(metrics), .none = "none"},
    {"process", "hardening", KEY_WORD, FIELD(hardening), .words = hardening_words, .fallback = "strict"},

    {"log", "level", KEY_WORD, FIELD(level), .words = level_words, .fallback = "info"},
    {"log", "identities", KEY_BOOLEAN, FIELD(identities), .fallback = "no"},
};
/* clang-format on */

#define KEYS_COUNT (sizeof(keys) / sizeof(keys[0]))
_Static_assert(KEYS_COUNT <= CONFIG_KEYS_MAX, "what config_key.h says");
_Static_assert(sizeof(enum config_mode) == sizeof(uint32_t), "KEY_WORD writes enums as uint32_t");

int config_key_find(const char *section, const char *name)
{
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

bool config_key_may_repeat(int key)
{
    const enum key_kind kind = keys[key].kind;
    return kind == KEY_DEVICES || kind == KEY_SOCKETS || kind == KEY_LEASE || kind == KEY_STATION ||
           kind == KEY_RULE;
}

bool config_key_is_section(const char *section, size_t n)
{
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (strlen(keys[i].section) == n && memcmp(keys[i].section, section, n) == 0)
            return true;
    }
    return false;
}

void config_key_list_sections(char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < KEYS_COUNT && n < size; i++) {
        if (i == 0 || strcmp(keys[i].section, keys[i - 1].section) != 0)
            n += (size_t)snprintf(out + n, size - n, "%s[%s]", n > 0 ? ", " : "", keys[i].section);
    }
    if (n < size)
        snprintf(out + n, size - n, ", [onion \"name\"]");
}

void config_key_list(const char *section, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < KEYS_COUNT && n < size; i++) {
        if (strcmp(keys[i].section, section) == 0)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? ", " : "", keys[i].name);
    }
}

static void word_list(const struct config_word *words, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (; words->name != NULL && n < size; words++)
        n += (size_t)snprintf(out + n, size - n, "%s%s",
                              n == 0                  ? ""
                              : words[1].name == NULL ? " or "
                                                      : ", ",
                              words->name);
}

static const char *add_lease(struct config_leases *leases, const char *text)
{
    struct dhcp_fixed lease;
    const char *says = config_value_lease(text, lease.mac, lease.address);
    if (says != NULL)
        return says;
    for (uint32_t i = 0; i < leases->count; i++) {
        if (memcmp(leases->lease[i].mac, lease.mac, 6) == 0)
            return "this MAC address has one already; remove one of the two lines";
        if (memcmp(leases->lease[i].address, lease.address, 4) == 0)
            return "this address is another's already; write another";
    }
    if (leases->count == CONFIG_LEASES_MAX)
        return "there are too many (64)";
    leases->lease[leases->count++] = lease;
    return NULL;
}

static bool rate_parse(const char *text, const struct key *key, uint32_t *out)
{
    static const struct config_word words[] = {{"auto", CONFIG_RATE_AUTO}, {"none", 0}, {NULL, 0}};
    return config_value_word(text, words, out) ||
           (config_value_number(text, out) && *out >= key->min && *out <= key->max);
}

static const char *add_rule(struct isolation_rules *rules, const char *text)
{
    if (rules->count == ISOLATION_RULES_MAX)
        return "there are too many (16)";
    struct isolation_rule *rule = &rules->rule[rules->count];
    const char *says = isolation_rule_parse(text, rule);
    for (uint32_t i = 0; says == NULL && i < rules->count; i++) {
        if (isolation_rule_is_for_the_same(&rules->rule[i], rule))
            says = "a rule above has the same conditions, and this one would never decide; remove one of the two";
    }
    rules->count += says == NULL;
    return says;
}

static const char *add_station(struct config_stations *stations, const char *text)
{
    struct tun_station station;
    const char *says = config_value_station(text, station.mac, &station.addr);
    if (says != NULL)
        return says;
    for (uint32_t i = 0; i < stations->count; i++) {
        if (ipaddr_equal(&stations->station[i].addr, &station.addr))
            return "this address is somebody's already; write another";
    }
    if (stations->count == CONFIG_STATIONS_MAX)
        return "there are too many (64)";
    stations->station[stations->count++] = station;
    return NULL;
}

/* Put another name after those that are there. Returns what is wrong, or NULL. */
static const char *store_device(const char *text, char (*names)[IFNAMSIZ], size_t count)
{
    size_t i = 0;
    while (i < count && names[i][0] != '\0') {
        if (strcmp(names[i], text) == 0)
            return "it is there already; remove one of the two lines";
        i++;
    }
    return i < count ? config_value_device(text, names[i], IFNAMSIZ) : "there may be no more than 8 of them";
}

/* The same for a socket. All must be in one directory: it is all that the gateway process sees. */
static const char *store_socket(const char *text, char (*paths)[CONFIG_SOCKET_MAX], size_t count)
{
    size_t i = 0;
    while (i < count && paths[i][0] != '\0')
        i++;
    if (i == count)
        return "there may be no more than 8 of them";
    const char *says = config_value_socket(text, paths[i], CONFIG_SOCKET_MAX);
    for (size_t k = 0; says == NULL && k < i; k++) {
        size_t n = (size_t)(strrchr(paths[i], '/') - paths[i]);
        if (strcmp(paths[k], paths[i]) == 0)
            says = "it is there already; remove one of the two lines";
        else if (strncmp(paths[k], paths[i], n + 1) != 0 || strchr(paths[k] + n + 1, '/') != NULL)
            says = "all of them must be in one directory, which is all that the gateway process sees";
    }
    return says;
}

bool config_key_store(struct config *config, int index, const char *text, char *want, size_t size)
{
    const struct key *key = &keys[index];
    void *field = (char *)config + key->offset;
    const char *says = NULL;
    uint32_t number = 0;
    char words[160];

    if (key->none != NULL && strcmp(text, key->none) == 0) {
        memset(field, 0, key->size);
        return true;
    }
    switch (key->kind) {
    case KEY_NUMBER:
        if (config_value_number(text, &number) && number >= key->min && number <= key->max) {
            memcpy(field, &number, sizeof(number));
            return true;
        }
        snprintf(want, size, "write a number from %u to %u", key->min, key->max);
        return false;
    case KEY_WORD:
        if (config_value_word(text, key->words, &number)) {
            memcpy(field, &number, sizeof(number));
            return true;
        }
        word_list(key->words, words, sizeof(words));
        snprintf(want, size, "write %s", words);
        return false;
    case KEY_POLICY: {
        int fields = isolation_parse(text, NULL, NULL);
        if (fields > 0) {
            *(unsigned *)field = (unsigned)fields;
            return true;
        }
        says = "write fields with commas between, out of workstation, source-address, source-port, destination, "
               "destination-address, destination-name and destination-port";
        break;
    }
    case KEY_RULE:
        says = add_rule(field, text);
        break;
    case KEY_RATE:
        if (rate_parse(text, key, field))
            return true;
        snprintf(want, size, "write auto, none, or a number from %u to %u", key->min, key->max);
        return false;
    case KEY_NAMES:
        says = config_value_names(text, field, key->size);
        break;
    case KEY_ADDRESSES:
        says = config_value_addresses(text, field);
        break;
    case KEY_NETWORKS:
        says = config_value_networks(text, field);
        break;
    case KEY_BOOLEAN:
        says = config_value_boolean(text, field);
        break;
    case KEY_NETWORK:
        says = config_value_ipv4_prefix(text, field);
        break;
    case KEY_NETWORK6:
        says = config_value_ipv6_prefix(text, field);
        break;
    case KEY_RANGE:
        says = config_value_range(text, field);
        break;
    case KEY_LEASE:
        says = add_lease(field, text);
        break;
    case KEY_STATION:
        says = add_station(field, text);
        break;
    case KEY_MAC:
        says = config_value_mac(text, field);
        break;
    case KEY_DEVICES:
        says = store_device(text, field, key->size / IFNAMSIZ);
        break;
    case KEY_DEVICE:
        says = config_value_device(text, field, key->size);
        break;
    case KEY_PATH:
        says = config_value_path(text, field, key->size);
        break;
    case KEY_SOCKETS:
        says = store_socket(text, field, key->size / CONFIG_SOCKET_MAX);
        break;
    case KEY_PLACE:
        says = config_value_place(text, field, key->size);
        break;
    case KEY_LISTENER:
        says = config_value_listener(text, field, key->size);
        break;
    case KEY_GROUP:
        says = config_value_group(text, field, key->size);
        break;
    case KEY_USER:
        says = config_value_user(text, field, key->size);
        break;
    }
    if (says != NULL)
        snprintf(want, size, "%s", says);
    return says == NULL;
}

bool config_key_store_defaults(struct config *config, char *says, size_t size)
{
    char want[160];
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (keys[i].fallback != NULL && !config_key_store(config, (int)i, keys[i].fallback, want, sizeof(want))) {
            snprintf(says, size, "%s.%s: the default is wrong; %s", keys[i].section, keys[i].name, want);
            return false;
        }
    }
    return true;
}
