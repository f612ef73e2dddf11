/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libinih splits a file into sections, keys and values; everything it is lenient about is caught around it:
 *
 *   - It cuts a line that is longer than its buffer and takes the rest for another line. So lines are read here, by a
 *     reader of our own (ini_parse_stream), which refuses one that does not fit, and anything that is not text.
 *   - It takes an indented line for more of the value before. The reader takes the indentation off.
 *   - It says nothing of a section without keys. The reader looks at section lines itself.
 *   - It goes on after an error. The reader then says that the file has ended.
 *   - Whether it tells line numbers depends on how it was built. The reader counts.
 */
#include "daemon/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/range.h"
#include "daemon/config_section.h"
#include "daemon/config_value.h"
#include "daemon/console_socket.h"
#include "daemon/control_service.h"
#include "dns/virtual.h"
#include "socks/isolation.h"
#include "tun/ipv6.h"
#include "tun/segment.h"

#define KEYS_MAX 64u

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
_Static_assert(KEYS_COUNT <= KEYS_MAX, "struct reader has a line number for every key");
_Static_assert(sizeof(enum config_mode) == sizeof(uint32_t), "KEY_WORD writes enums as uint32_t");

/* A file being read. */
struct reader {
    struct config *config;
    FILE *stream;
    const char *file;
    char *error;            /* CONFIG_ERROR_MAX bytes */
    int status;             /* 0, or the first error as negative errno: reading has ended */
    int line;               /* number of the line last read */
    int key_line[KEYS_MAX]; /* where each key was set, 0 = nowhere */
};

__attribute__((format(printf, 3, 4))) static void refuse(struct reader *r, int line, const char *format, ...)
{
    if (r->status != 0)
        return;
    r->status = -EINVAL;
    int n = line > 0 ? snprintf(r->error, CONFIG_ERROR_MAX, "%s:%d: ", r->file, line)
                     : snprintf(r->error, CONFIG_ERROR_MAX, "%s: ", r->file);
    if (n < 0 || (unsigned)n >= CONFIG_ERROR_MAX)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(r->error + n, CONFIG_ERROR_MAX - (size_t)n, format, args);
    va_end(args);
}

static bool section_is_known(const char *section, size_t n)
{
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (strlen(keys[i].section) == n && memcmp(keys[i].section, section, n) == 0)
            return true;
    }
    return false;
}

/* "[workstation], [tor] ..." */
static void section_list(char *out, size_t size)
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

/* "device, bridge ..." */
static void key_list(const char *section, char *out, size_t size)
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

static void check_section_line(struct reader *r, const char *line)
{
    const char *name = line + 1;
    const char *end = strchr(name, ']');
    char known[160];
    if (end == NULL)
        return; /* libinih says that */
    if (config_onion_is_section(name, (size_t)(end - name))) {
        const char *says = config_onion_section_error(name, (size_t)(end - name));
        if (says != NULL)
            refuse(r, r->line, "[%.*s]: %s", (int)(end - name), name, says);
        return;
    }
    if (config_section_is_named(name, (size_t)(end - name))) {
        const char *says = config_section_begin(r->config, name, (size_t)(end - name));
        if (says != NULL)
            refuse(r, r->line, "[%.*s]: %s", (int)(end - name), name, says);
        return;
    }
    if (!section_is_known(name, (size_t)(end - name))) {
        section_list(known, sizeof(known));
        refuse(r, r->line, "[%.*s]: no such section; there are %s and [socks-port \"9101\"]", (int)(end - name),
               name, known);
    }
}

/* For libinih: the next line, without indentation and newline, or NULL at the end or after an error. */
static char *read_line(char *out, int size, void *ctx)
{
    struct reader *r = ctx;
    size_t n = 0;
    bool indented = true;
    int c;
    if (r->status != 0 || size < 4)
        return NULL;
    r->line++;
    while ((c = getc(r->stream)) != EOF && c != '\n') {
        if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f) {
            refuse(r, r->line, "a byte that is no text (0x%02x); is this a configuration file?", (unsigned)c);
            return NULL;
        }
        if (indented && (c == ' ' || c == '\t'))
            continue;
        indented = false;
        if (n + 3 >= (size_t)size) {
            refuse(r, r->line, "the line is longer than %d characters; make it shorter", size - 3);
            return NULL;
        }
        out[n++] = (char)c;
    }
    if (c == EOF && ferror(r->stream)) {
        refuse(r, 0, "%s", strerror(errno));
        return NULL;
    }
    if (c == EOF && n == 0)
        return NULL;
    out[n] = '\0';
    if (out[0] == '[')
        check_section_line(r, out);
    return r->status == 0 ? out : NULL;
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

/* Store `text` as the value of `key`, or say into `want` (`size` bytes) what it should be. */
static bool key_store(struct config *config, const struct key *key, const char *text, char *want, size_t size)
{
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
        says = "write source-port, workstation or destination, or a list of fields with commas between, as in "
               "workstation, destination-name";
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

/* A key of a section [onion "name"]. */
static int take_onion_key(struct reader *r, const char *section, const char *name, const char *value)
{
    bool known;
    if (value == NULL || value[0] == '\0') {
        refuse(r, r->line, "onion.%s: no value; write one, or remove the line", name);
        return 0;
    }
    const char *says = config_onion_key(&r->config->onions, section, name, value, r->line, &known);
    if (!known)
        refuse(r, r->line, "onion.%s: no such key; [onion] has " CONFIG_ONION_KEYS, name);
    else if (says != NULL)
        refuse(r, r->line, "onion.%s: \"%s\" will not do; %s", name, value, says);
    return r->status == 0;
}

/* For libinih: a key and its value. */
static int take_key(void *ctx, const char *section, const char *name, const char *value)
{
    struct reader *r = ctx;
    char text[192];
    if (r->status != 0)
        return 0;
    if (section[0] == '\0') {
        refuse(r, r->line, "%s: a key outside of a section; write the section's name in brackets above it", name);
        return 0;
    }
    if (config_onion_is_section(section, strlen(section)))
        return take_onion_key(r, section, name, value);
    if (config_section_is_named(section, strlen(section))) {
        const char *says = config_section_take(r->config, section, name, value);
        if (says != NULL)
            refuse(r, r->line, "[%s] %s: %s", section, name, says);
        return says == NULL;
    }
    size_t i = 0;
    while (i < KEYS_COUNT && (strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, name) != 0))
        i++;
    if (i == KEYS_COUNT) {
        key_list(section, text, sizeof(text));
        refuse(r, r->line, "%s.%s: no such key; [%s] has %s", section, name, section, text);
        return 0;
    }
    if (r->key_line[i] != 0 && keys[i].kind != KEY_DEVICES && keys[i].kind != KEY_SOCKETS &&
        keys[i].kind != KEY_LEASE && keys[i].kind != KEY_STATION && keys[i].kind != KEY_RULE) {
        refuse(r, r->line, "%s.%s: already set in line %d; remove one of the two", section, name, r->key_line[i]);
        return 0;
    }
    r->key_line[i] = r->line;
    if (value == NULL || value[0] == '\0') {
        refuse(r, r->line, "%s.%s: no value; write one, or remove the line", section, name);
        return 0;
    }
    if (!key_store(r->config, &keys[i], value, text, sizeof(text))) {
        refuse(r, r->line, "%s.%s: \"%s\" will not do; %s", section, name, value, text);
        return 0;
    }
    return 1;
}

/* The line where a key was set, or 0. */
static int line_of(const struct reader *r, const char *section, const char *name)
{
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
            return r->key_line[i];
    }
    return 0;
}

/* True if the bits after the prefix are all zeros, or all ones. */
static bool host_part_is(const struct ipnet *net, bool ones)
{
    for (unsigned bit = net->len; bit < 128; bit++) {
        bool set = (net->addr.b[bit / 8] >> (7 - bit % 8) & 1) != 0;
        if (set != ones)
            return false;
    }
    return true;
}

static void check_ipv6(struct reader *r)
{
    struct config *c = r->config;
    const struct ipnet *used = c->network6.len != 0 ? &c->network6 : NULL;
    int line = line_of(r, "workstation", "address6");
    if (used != NULL && (used->len < 16 || used->len > 126))
        refuse(r, line, "workstation.address6: the network's length must be from 16 to 126");
    else if (used != NULL && host_part_is(used, false))
        refuse(r, line,
               "workstation.address6: this is the address of the whole network; write that of the gateway in it, "
               "as in fd19:c33d:88bc::10/64");
    else if (used != NULL && (used->addr.b[0] == 0 || used->addr.b[0] >= 0xfe))
        refuse(r, line,
               "workstation.address6: a station cannot have this address; write a private one, as in "
               "fd19:c33d:88bc::10/64");
    else if (used != NULL && c->mtu < 1280)
        refuse(r, line, "workstation.address6: IPv6 needs a link with workstation.mtu of 1280 at least");

    if (used == NULL && c->ra)
        refuse(r, line_of(r, "workstation", "ra"),
               "workstation.ra: there is nothing to advertise without workstation.address6; add it, or write no");

    line = line_of(r, "dns", "virtual6");
    const char *why = c->virtual_net6.len != 0 ? dns_virtual_range_error(&c->virtual_net6, used) : NULL;
    if (why != NULL)
        refuse(r, line > 0 ? line : line_of(r, "workstation", "address6"),
               "dns.virtual6: this range %s; write another, as in fd6c:7601:7e2::/64, or none", why);
    /* An answer that nobody could use would only cost time. */
    if (used == NULL)
        c->virtual_net6 = (struct ipnet){0};
}

static void check_segment(struct reader *r)
{
    const struct config *c = r->config;
    int line = line_of(r, "workstation", "attach");
    if (c->attach[0][0] != '\0' && c->bridge[0] != '\0')
        refuse(r, line,
               "workstation.attach: together with workstation.bridge; the interfaces get a bridge of their own, so "
               "remove "
               "one of the two");
    if (strcmp(c->bridge, c->device) == 0)
        refuse(
            r, line_of(r, "workstation", "bridge"),
            "workstation.bridge: \"%s\" is the name of the TAP (workstation.device); write another for one of them",
            c->bridge);
    for (size_t i = 0; i < CONFIG_ATTACH_MAX; i++) {
        if (strcmp(c->attach[i], c->device) == 0 || strcmp(c->attach[i], SEGMENT_BRIDGE) == 0)
            refuse(r, line, "workstation.attach: \"%s\" is the name of %s; rename the interface", c->attach[i],
                   strcmp(c->attach[i], c->device) == 0 ? "the TAP (workstation.device)" : "the segment's bridge");
    }
    line = line_of(r, "workstation", "isolate_clients");
    if (line > 0 && c->isolate_clients && c->attach[0][0] == '\0')
        refuse(r, line,
               "workstation.isolate_clients: only for interfaces of workstation.attach; the ports of another "
               "bridge are "
               "isolated by whoever adds them (ip link set PORT type bridge_slave isolated on)");
}

/* True if a workstation may have this address. */
static bool is_station(const struct config *c, const struct ipaddr *addr)
{
    const struct ipnet net = {.addr = *addr, .len = c->network.len};
    return ipnet_contains(&c->network, addr) && !host_part_is(&net, false) && !host_part_is(&net, true) &&
           !ipaddr_equal(addr, &c->network.addr);
}

static void check_dhcp(struct reader *r)
{
    const struct config *c = r->config;
    int line = line_of(r, "workstation", "dhcp");
    if (line > 0 && be32_load(c->dhcp[0].b + 12) != 0) {
        uint32_t count = be32_load(c->dhcp[1].b + 12) - be32_load(c->dhcp[0].b + 12) + 1;
        if (!is_station(c, &c->dhcp[0]) || !is_station(c, &c->dhcp[1]))
            refuse(r, line,
                   "workstation.dhcp: both must be addresses of workstations, in the network of "
                   "workstation.address and not the gateway's own");
        else if (count > DHCP_POOL_MAX || count > c->workstations)
            refuse(r, line, "workstation.dhcp: more addresses than %s (%u); write a smaller range",
                   c->workstations < DHCP_POOL_MAX ? "limits.workstations" : "there may be",
                   c->workstations < DHCP_POOL_MAX ? c->workstations : DHCP_POOL_MAX);
    }
    line = line_of(r, "workstation", "dhcp_lease");
    for (uint32_t i = 0; i < c->dhcp_leases.count; i++) {
        const uint8_t *b = c->dhcp_leases.lease[i].address;
        struct ipaddr addr = ipaddr_v4(b);
        if (!is_station(c, &addr))
            refuse(r, line,
                   "workstation.dhcp_lease: %u.%u.%u.%u is no address for a workstation in the network of "
                   "workstation.address",
                   b[0], b[1], b[2], b[3]);
    }
    if (c->dhcp_leases.count > c->workstations)
        refuse(r, line, "workstation.dhcp_lease: more than limits.workstations (%u)", c->workstations);
}

/* How many addresses this MAC address has for good. */
static uint32_t addresses_of(const struct config *c, const uint8_t *mac)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->stations.count; i++)
        n += memcmp(c->stations.station[i].mac, mac, 6) == 0;
    for (uint32_t i = 0; i < c->dhcp_leases.count; i++)
        n += memcmp(c->dhcp_leases.lease[i].mac, mac, 6) == 0;
    return n;
}

static void check_stations(struct reader *r)
{
    const struct config *c = r->config;
    const struct ipv6_scope scope = {.network = c->network6, .gateway = c->network6.addr};
    int line = line_of(r, "workstation", "station");
    for (uint32_t i = 0; i < c->stations.count; i++) {
        const struct tun_station *s = &c->stations.station[i];
        char text[INET6_ADDRSTRLEN] = "";
        bool v4 = ipaddr_is_v4(&s->addr);
        inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? s->addr.b + 12 : s->addr.b, text, sizeof(text));
        if (v4 ? !is_station(c, &s->addr) : c->network6.len == 0 || !ipv6_is_host(&s->addr, &scope))
            refuse(r, line,
                   "workstation.station: %s is no address for a workstation in the network of workstation.%s", text,
                   v4 ? "address" : "address6");
        for (uint32_t k = 0; v4 && k < c->dhcp_leases.count; k++) {
            const struct dhcp_fixed *lease = &c->dhcp_leases.lease[k];
            if (memcmp(lease->address, s->addr.b + 12, 4) == 0 && memcmp(lease->mac, s->mac, 6) != 0)
                refuse(r, line, "workstation.station: %s is kept for another by workstation.dhcp_lease", text);
        }
        if (addresses_of(c, s->mac) > CONFIG_ADDRESSES_OF_MAC)
            refuse(r, line, "workstation.station: more than %u addresses for one MAC address",
                   CONFIG_ADDRESSES_OF_MAC);
    }
    if (c->stations.count + c->dhcp_leases.count > c->workstations)
        refuse(r, line, "workstation.station: with workstation.dhcp_lease more than limits.workstations (%u)",
               c->workstations);
    line = line_of(r, "workstation", "stations");
    if (c->served == CONFIG_SERVED_LISTED && c->stations.count + c->dhcp_leases.count == 0)
        refuse(r, line, "workstation.stations: listed, and there is no list; add station = MAC ADDRESS for each");
    if (c->served == CONFIG_SERVED_LISTED && !dhcp_is_none(&c->dhcp[0]))
        refuse(r, line,
               "workstation.stations: listed, and workstation.dhcp is for whoever comes; write dhcp_lease = "
               "MAC ADDRESS for each instead");
}

static bool networks_overlap(const struct ipnet *a, const struct ipnet *b)
{
    return a->len != 0 && b->len != 0 && (ipnet_contains(a, &b->addr) || ipnet_contains(b, &a->addr));
}

/* No flow that a workstation opens is to meet an address of a visitor. */
static void check_visitors(struct reader *r, const char *key, const struct ipnet *visitors, const struct ipnet *net,
                           const struct ipnet *names)
{
    int line = line_of(r, "workstation", key);
    if (visitors->len > 120)
        refuse(r, line, "workstation.%s: too small a range; write one of 256 addresses at least", key);
    else if (networks_overlap(visitors, net) || networks_overlap(visitors, names))
        refuse(r, line,
               "workstation.%s: the range overlaps the workstation network or that of virtual addresses; write "
               "another",
               key);
}

static void check_onions(struct reader *r)
{
    const struct config *c = r->config;
    int line = 0;
    const char *says = config_onion_check(&c->onions, &c->network, &c->network6, &line);
    if (says != NULL)
        refuse(r, line, "onion: %s", says);
    if (!config_onion_tells_visitors(&c->onions))
        return;
    check_visitors(r, "visitors", &c->visitors, &c->network, &c->virtual_net);
    check_visitors(r, "visitors6", &c->visitors6, &c->network6, &c->virtual_net6);
}

/* The range may be the default, and then it is the network that was written. */
static void check_virtual(struct reader *r)
{
    const struct config *c = r->config;
    static const char *const other[] = {"10.192.0.0/10", "172.16.0.0/12"}; /* one of them is always free */
    const int line = line_of(r, "dns", "virtual"), network = line_of(r, "workstation", "address");
    struct ipnet net;
    const char *why = dns_virtual_range_error(&c->virtual_net, &c->network);
    bool first = config_value_ipv4_prefix(other[0], &net) == NULL && !networks_overlap(&net, &c->network);
    if (why != NULL && line > 0)
        refuse(r, line, "dns.virtual: this range %s; write another, as in %s", why, other[first ? 0 : 1]);
    else if (why != NULL)
        refuse(r, network,
               "workstation.address: this network overlaps 10.192.0.0/10, the default range of virtual addresses; "
               "write another network, or another range with virtual = %s in [dns]",
               other[first ? 0 : 1]);
}

/* What would be of no effect, so that somebody believes in it. */
static void check_tor(struct reader *r)
{
    const struct config *c = r->config;
    if (c->mode == CONFIG_MODE_EXTERNAL && line_of(r, "tor", "torrc") > 0)
        refuse(r, line_of(r, "tor", "torrc"),
               "tor.torrc: only for the embedded Tor; put its lines into the torrc of the external one, and remove "
               "this");
    for (uint32_t i = 0; !c->allow_private && i < c->resolvers.count; i++) {
        if (!range_is_internet(&c->resolvers.addr[i]))
            refuse(r, line_of(r, "dns", "upstream"),
                   "dns.upstream: no address of the Internet's, and it is asked through Tor; write another, or "
                   "tor.allow_private = yes");
    }
}

/* What no key can say by itself. */
static void check_whole(struct reader *r)
{
    const struct config *c = r->config;
    int line = line_of(r, "workstation", "address");
    if (c->network.len < 96 + 1 || c->network.len > 96 + 30)
        refuse(r, line, "workstation.address: the network's length must be from 1 to 30");
    else if (host_part_is(&c->network, false) || host_part_is(&c->network, true))
        refuse(r, line,
               "workstation.address: this is the address of the whole network; write that of the gateway in "
               "it, as in 10.152.152.10/18");
    else if (c->network.addr.b[12] == 0 || c->network.addr.b[12] == 127 || c->network.addr.b[12] >= 224)
        refuse(r, line,
               "workstation.address: a station cannot have this address; write a private one, as in "
               "10.152.152.10/18");

    check_segment(r);
    check_dhcp(r);
    check_ipv6(r);
    check_stations(r);
    check_onions(r);
    for (uint32_t i = 0; i < c->ports.count; i++)
        if (c->control_port && c->ports.port[i].port == CONTROL_SERVICE_PORT)
            refuse(r, line_of(r, "ports", "control"),
                   "ports.control: it is at port 9051, which is a [socks-port] as well; remove one of the two");
    check_virtual(r);
    check_tor(r);
    if (c->mode == CONFIG_MODE_EXTERNAL && c->instances > 1)
        refuse(r, line_of(r, "tor", "instances"),
               "tor.instances: only for the embedded Tor; list the others' sockets, socks = unix:/path, once for "
               "each");
    if (c->mode == CONFIG_MODE_EXTERNAL && c->socks[0][0] == '\0')
        refuse(r, line_of(r, "tor", "mode"),
               "tor.socks: missing, and tor.mode is external; add socks = unix:/path/of/the/socket");
    if (strlen(c->data) + sizeof("/socks/socks") >= CONFIG_SOCKET_MAX)
        refuse(r, line_of(r, "tor", "data"),
               "tor.data: too long for the socket in it; write a path of at most %u characters",
               CONFIG_SOCKET_MAX - (unsigned)sizeof("/socks/socks") - 1);
    if (c->workstation_flows > c->flows && line_of(r, "limits", "workstation_flows") > 0)
        refuse(r, line_of(r, "limits", "workstation_flows"),
               "limits.workstation_flows: more than limits.flows (%u)", c->flows);
    if (c->workstation_connecting > c->connecting && line_of(r, "limits", "workstation_connecting") > 0)
        refuse(r, line_of(r, "limits", "workstation_connecting"),
               "limits.workstation_connecting: more than limits.connecting (%u)", c->connecting);
}

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

int config_load(struct config *config, const char *file, char *error)
{
    struct reader r = {.config = config, .file = file, .error = error};
    char want[160];
    memset(config, 0, sizeof(*config));
    config->file = file;
    error[0] = '\0';
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (keys[i].fallback != NULL && !key_store(config, &keys[i], keys[i].fallback, want, sizeof(want))) {
            refuse(&r, 0, "%s.%s: the default is wrong; %s", keys[i].section, keys[i].name, want);
            return r.status;
        }
    }

    r.stream = fopen(file, "re");
    if (r.stream == NULL) {
        int status = -errno;
        snprintf(error, CONFIG_ERROR_MAX, "%s: %s", file, strerror(-status));
        return status;
    }
    int line = ini_parse_stream(read_line, &r, take_key, &r);
    fclose(r.stream);
    /* What libinih itself could not parse comes first if it stands above what we refused. */
    if (line > 0 && (r.status == 0 || line < r.line)) {
        r.status = 0;
        refuse(&r, line, "neither [section] nor key = value");
    } else if (line < 0) {
        refuse(&r, 0, "out of memory");
    }
    if (r.status == 0)
        check_whole(&r);
    config->line = (struct config_lines){.torrc = line_of(&r, "tor", "torrc"),
                                         .control_group = line_of(&r, "process", "control_group"),
                                         .user = line_of(&r, "process", "user"),
                                         .tor_user = line_of(&r, "process", "tor_user"),
                                         .gateway_user = line_of(&r, "process", "gateway_user")};
    /* The defaults of one workstation's share follow the whole. */
    config->workstation_flows = lesser(config->workstation_flows, config->flows);
    config->connecting = lesser(config->connecting, config->flows);
    config->workstation_connecting = lesser(config->workstation_connecting, config->connecting);
    return r.status;
}

void config_say(const struct config *config, int line, char *error, const char *format, ...)
{
    int n = line > 0 ? snprintf(error, CONFIG_ERROR_MAX, "%s:%d: ", config->file, line)
                     : snprintf(error, CONFIG_ERROR_MAX, "%s: ", config->file);
    if (n < 0 || (unsigned)n >= CONFIG_ERROR_MAX)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(error + n, CONFIG_ERROR_MAX - (size_t)n, format, args);
    va_end(args);
}

int config_check_files(const struct config *config, char *error)
{
    struct stat st;
    if (config->mode != CONFIG_MODE_EMBEDDED || config->torrc[0] == '\0')
        return 0;
    int status = stat(config->torrc, &st) != 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
    if (status != 0)
        config_say(config, config->line.torrc, error, "tor.torrc: %s: %s; write the file, or remove the line",
                   config->torrc, status == -EINVAL ? "not a regular file" : strerror(-status));
    return status;
}
