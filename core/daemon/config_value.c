/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/config_value.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

#include "daemon/console_socket.h"
#include "dns/name.h"
#include "socks/policy.h"

bool config_value_number(const char *text, uint32_t *out)
{
    uint64_t value = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *out = (uint32_t)value;
    return true;
}

const char *config_value_boolean(const char *text, bool *out)
{
    if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
        return "write yes or no";
    *out = text[0] == 'y';
    return NULL;
}

const char *config_value_ipv4_prefix(const char *text, struct ipnet *out)
{
    static const char want[] = "write an IPv4 address and the length of its network, as in 10.152.152.10/18";
    char address[INET_ADDRSTRLEN];
    uint8_t b[4];
    uint32_t len;
    const char *slash = strchr(text, '/');
    if (slash == NULL || (size_t)(slash - text) >= sizeof(address))
        return want;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    if (inet_pton(AF_INET, address, b) != 1 || !config_value_number(slash + 1, &len) || len > 32)
        return want;
    out->addr = ipaddr_v4(b);
    out->len = (uint8_t)(96 + len);
    return NULL;
}

const char *config_value_ipv6_prefix(const char *text, struct ipnet *out)
{
    static const char want[] = "write an IPv6 address and the length of its network, as in fd19:c33d:88bc::10/64";
    char address[INET6_ADDRSTRLEN];
    uint8_t b[16];
    uint32_t len;
    const char *slash = strchr(text, '/');
    if (slash == NULL || (size_t)(slash - text) >= sizeof(address))
        return want;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    if (inet_pton(AF_INET6, address, b) != 1 || !config_value_number(slash + 1, &len) || len > 128)
        return want;
    struct ipaddr addr = ipaddr_v6(b);
    if (ipaddr_is_v4(&addr) || len == 0)
        return want;
    *out = (struct ipnet){.addr = addr, .len = (uint8_t)len};
    return NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

const char *config_value_mac(const char *text, uint8_t out[6])
{
    static const char want[] = "write six pairs of hexadecimal digits, as in 02:00:5e:10:00:01";
    static const uint8_t zero[6];
    uint8_t mac[6];
    if (strlen(text) != 17)
        return want;
    for (int i = 0; i < 6; i++) {
        int high = hex_digit(text[3 * i]);
        int low = hex_digit(text[3 * i + 1]);
        if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
            return want;
        mac[i] = (uint8_t)(high << 4 | low);
    }
    if ((mac[0] & 1) != 0)
        return "this is a group address; a station's own has an even first byte, as in 02:00:5e:10:00:01";
    if (memcmp(mac, zero, 6) == 0)
        return "all zeros is no station's address; write one as in 02:00:5e:10:00:01";
    memcpy(out, mac, 6);
    return NULL;
}

static bool text_is_of(const char *text, const char *others)
{
    for (; *text != '\0'; text++) {
        char c = *text;
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) &&
            strchr(others, c) == NULL)
            return false;
    }
    return true;
}

const char *config_value_device(const char *text, char *out, size_t size)
{
    size_t n = strlen(text);
    if (n == 0 || n >= IFNAMSIZ || n >= size)
        return "a device has a name of 1 to 15 characters";
    if (!text_is_of(text, "._-") || strcmp(text, ".") == 0 || strcmp(text, "..") == 0 || text[0] == '-')
        return "a device's name is made of letters, digits, dot, dash and underscore";
    memcpy(out, text, n + 1);
    return NULL;
}

const char *config_value_path(const char *text, char *out, size_t size)
{
    size_t n = strlen(text);
    if (text[0] != '/')
        return "write an absolute path, beginning with /";
    if (n >= size)
        return "this path is too long";
    for (const char *at = text; at != NULL; at = strchr(at + 1, '/')) {
        size_t len = strcspn(at + 1, "/");
        if ((len == 1 && at[1] == '.') || (len == 2 && at[1] == '.' && at[2] == '.'))
            return "write the path without . and ..";
    }
    memcpy(out, text, n + 1);
    return NULL;
}

const char *config_value_socket(const char *text, char *out, size_t size)
{
    static const char want[] = "write unix: and the path of the socket, as in unix:/run/tor/socks";
    if (strncmp(text, "unix:/", 6) != 0)
        return want;
    size_t n = strlen(text);
    const char *name = strrchr(text, '/');
    if (text[n - 1] == '/' || name == text + 5)
        return "the socket needs a directory of its own, as in unix:/run/tor/socks";
    return config_value_path(text + 5, out, size);
}

const char *config_value_place(const char *text, char *out, size_t size)
{
    size_t n = strlen(text);
    if (n > 0 && text[n - 1] == '/')
        return "write the path of the socket, not that of a directory";
    return config_value_path(text, out, size);
}

const char *config_value_listener(const char *text, char *out, size_t size)
{
    size_t n = strlen(text);
    if (strncmp(text, "unix:", 5) == 0)
        return config_value_place(text + 5, out, size);
    if (!console_socket_is_loopback(text) || n >= size)
        return "write unix: and the path of a socket, or an address that is this host's alone with a port, as in "
               "127.0.0.1:9150";
    memcpy(out, text, n + 1);
    return NULL;
}

const char *config_value_group(const char *text, char *out, size_t size)
{
    size_t n = strlen(text);
    if (n == 0 || n >= size || text[0] == '-' || !text_is_of(text, "._-"))
        return "write the name or the number of a group";
    memcpy(out, text, n + 1);
    return NULL;
}

const char *config_value_user(const char *text, char *out, size_t size)
{
    size_t n = strlen(text);
    uint32_t number;
    if (n == 0 || n >= size || text[0] == '-' || !text_is_of(text, "._-"))
        return "write the name or the number of a user";
    if (strcmp(text, "root") == 0 || (config_value_number(text, &number) && number == 0))
        return "this must be a user without privileges, not root";
    memcpy(out, text, n + 1);
    return NULL;
}

/* Cut the next piece up to a comma out of *text, blanks around it taken off. False if there is none any more. */
static bool next_piece(const char **text, const char **piece, size_t *len)
{
    if (*text == NULL)
        return false;
    *piece = *text + strspn(*text, " \t");
    const char *end = *piece + strcspn(*piece, ",");
    *text = *end == ',' ? end + 1 : NULL;
    *len = (size_t)(end - *piece);
    while (*len > 0 && ((*piece)[*len - 1] == ' ' || (*piece)[*len - 1] == '\t'))
        (*len)--;
    return true;
}

const char *config_value_names(const char *text, char *out, size_t size)
{
    static const char want[] = "write names with commas between, as in example.com, spamhaus.org";
    const char *piece;
    size_t len, used = 0;
    while (next_piece(&text, &piece, &len)) {
        struct dns_name name;
        char lower[DNS_TEXT_SIZE];
        if (len > 0 && piece[len - 1] == '.')
            len--;
        if (len == 0 || len > DNS_TEXT_MAX)
            return want;
        for (size_t i = 0; i < len; i++)
            lower[i] = piece[i] >= 'A' && piece[i] <= 'Z' ? (char)(piece[i] - 'A' + 'a') : piece[i];
        lower[len] = '\0';
        if (!text_is_of(lower, "._-") || dns_name_from_text(lower, len, &name) != 0)
            return want;
        if (used + len + 2 > size)
            return "these are too many names";
        memcpy(out + used, lower, len + 1);
        used += len + 1;
    }
    out[used] = '\0';
    return NULL;
}

const char *config_value_addresses(const char *text, struct config_addresses *out)
{
    static const char want[] = "write one or two addresses, as in 9.9.9.9, 2620:fe::fe";
    struct config_addresses found = {0};
    const char *piece;
    size_t len;
    while (next_piece(&text, &piece, &len)) {
        char address[INET6_ADDRSTRLEN];
        uint8_t raw[16];
        if (len >= sizeof(address) || found.count == CONFIG_ADDRESSES_MAX)
            return want;
        memcpy(address, piece, len);
        address[len] = '\0';
        if (inet_pton(AF_INET, address, raw) == 1)
            found.addr[found.count++] = ipaddr_v4(raw);
        else if (inet_pton(AF_INET6, address, raw) == 1)
            found.addr[found.count++] = ipaddr_v6(raw);
        else
            return want;
    }
    *out = found;
    return NULL;
}

const char *config_value_networks(const char *text, struct config_networks *out)
{
    struct config_networks found = {0};
    const char *piece;
    size_t len;
    while (next_piece(&text, &piece, &len)) {
        char network[INET6_ADDRSTRLEN + 4];
        if (found.count == CONFIG_NETWORKS_MAX)
            return "there are too many (16)";
        if (len < sizeof(network)) {
            memcpy(network, piece, len);
            network[len] = '\0';
        }
        if (len >= sizeof(network) || !isolation_rule_network(network, &found.net[found.count++]))
            return "write addresses or networks with commas between, as in 10.152.152.12, 10.152.152.64/26";
    }
    *out = found;
    return NULL;
}

const char *config_value_range(const char *text, struct ipaddr out[2])
{
    static const char want[] = "write the first and the last address, as in 10.152.152.100-10.152.152.199";
    char first[INET_ADDRSTRLEN];
    uint8_t b[2][4];
    size_t n = strcspn(text, "- ");
    const char *last = text + n + strspn(text + n, " ");
    if (*last != '-' || n >= sizeof(first))
        return want;
    last += 1 + strspn(last + 1, " ");
    memcpy(first, text, n);
    first[n] = '\0';
    if (inet_pton(AF_INET, first, b[0]) != 1 || inet_pton(AF_INET, last, b[1]) != 1 || memcmp(b[0], b[1], 4) > 0)
        return want;
    out[0] = ipaddr_v4(b[0]);
    out[1] = ipaddr_v4(b[1]);
    return NULL;
}

/* "MAC REST": the MAC address into `mac`; where the rest begins in *rest. NULL, or what is wrong. */
static const char *take_mac(const char *text, uint8_t mac[6], const char **rest, const char *want)
{
    char first[18];
    size_t n = strcspn(text, " \t");
    if (n != sizeof(first) - 1)
        return want;
    memcpy(first, text, n);
    first[n] = '\0';
    *rest = text + n + strspn(text + n, " \t");
    return config_value_mac(first, mac);
}

const char *config_value_lease(const char *text, uint8_t mac[6], uint8_t address[4])
{
    static const char want[] = "write a MAC address and an IPv4 address, as in 02:00:5e:10:00:02 10.152.152.20";
    uint8_t owner[6], b[4];
    const char *rest;
    const char *why = take_mac(text, owner, &rest, want);
    if (why == NULL && inet_pton(AF_INET, rest, b) != 1)
        why = want;
    if (why == NULL) {
        memcpy(mac, owner, sizeof(owner));
        memcpy(address, b, sizeof(b));
    }
    return why;
}

const char *config_value_station(const char *text, uint8_t mac[6], struct ipaddr *addr)
{
    static const char want[] = "write a MAC address and an address, as in 02:00:5e:10:00:02 10.152.152.20, or "
                               "02:00:5e:10:00:02 fd19:c33d:88bc::20";
    uint8_t owner[6], b[16];
    const char *rest;
    const char *why = take_mac(text, owner, &rest, want);
    if (why != NULL)
        return why;
    struct ipaddr parsed = {0};
    bool v4 = inet_pton(AF_INET, rest, b) == 1;
    if (v4)
        parsed = ipaddr_v4(b);
    else if (inet_pton(AF_INET6, rest, b) == 1)
        parsed = ipaddr_v6(b);
    if (ipaddr_is_v4(&parsed) != v4 || ipaddr_equal(&parsed, &(struct ipaddr){0}))
        return want;
    *addr = parsed;
    memcpy(mac, owner, sizeof(owner));
    return NULL;
}

bool config_value_word(const char *text, const struct config_word *words, uint32_t *out)
{
    for (; words->name != NULL; words++) {
        if (strcmp(words->name, text) == 0) {
            *out = words->value;
            return true;
        }
    }
    return false;
}
