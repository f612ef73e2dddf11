/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Left out on purpose: "test" and "example". Nobody on the Internet has names there, so asking does no harm, and whoever
 * has a network of his own behind Tor's exits, as our tests do, uses just these.
 */
#include "dns/special.h"

#include <string.h>

#include "dns/name.h"
#include "dns/onion.h"

static const struct {
    const char *zone;
    enum dns_special_kind at;    /* the name itself */
    enum dns_special_kind below; /* names below it */
} zones[] = {
    {"localhost", DNS_SPECIAL_LOCALHOST, DNS_SPECIAL_LOCALHOST},
    {"invalid", DNS_SPECIAL_NONEXISTENT, DNS_SPECIAL_NONEXISTENT},  /* RFC 6761 6.4 */
    {"local", DNS_SPECIAL_NONEXISTENT, DNS_SPECIAL_NONEXISTENT},    /* RFC 6762 22.1: multicast DNS only */
    {"internal", DNS_SPECIAL_NONEXISTENT, DNS_SPECIAL_NONEXISTENT}, /* ICANN: for private use */
    /* What private networks call themselves (RFC 6762 G, and a common default of installers). There are no such top-level
     * domains; and a resolver that is told to search them goes on to the name itself only if it hears so. */
    {"corp", DNS_SPECIAL_NONEXISTENT, DNS_SPECIAL_NONEXISTENT},
    {"home", DNS_SPECIAL_NONEXISTENT, DNS_SPECIAL_NONEXISTENT},
    {"intranet", DNS_SPECIAL_NONEXISTENT, DNS_SPECIAL_NONEXISTENT},
    {"lan", DNS_SPECIAL_NONEXISTENT, DNS_SPECIAL_NONEXISTENT},
    {"localdomain", DNS_SPECIAL_NONEXISTENT, DNS_SPECIAL_NONEXISTENT},
    {"private", DNS_SPECIAL_NONEXISTENT, DNS_SPECIAL_NONEXISTENT},
    {"home.arpa", DNS_SPECIAL_EMPTY, DNS_SPECIAL_NONEXISTENT}, /* RFC 8375 */
    {"resolver.arpa", DNS_SPECIAL_EMPTY, DNS_SPECIAL_EMPTY},   /* RFC 9462: no encrypted resolver here */
    {"ipv4only.arpa", DNS_SPECIAL_IPV4ONLY, DNS_SPECIAL_NONEXISTENT},
    /* Tells browsers not to go past this resolver on their own. */
    {"use-application-dns.net", DNS_SPECIAL_NONEXISTENT, DNS_SPECIAL_NONEXISTENT},
    /* Suffixes that mean, or meant, something to Tor itself. */
    {"exit", DNS_SPECIAL_NONEXISTENT, DNS_SPECIAL_NONEXISTENT},
    {"noconnect", DNS_SPECIAL_NONEXISTENT, DNS_SPECIAL_NONEXISTENT},
};

/* RFC 6303 4, RFC 7793 (100.64/10), RFC 6761 6.1, as networks. A zone has as many labels as are begun by the prefix. */
struct private_net {
    uint8_t prefix[6];
    uint8_t len; /* bits */
};

static const struct private_net private4[] = {
    {{0}, 8},
    {{10}, 8},
    {{100, 64}, 10},
    {{127}, 8},
    {{169, 254}, 16},
    {{172, 16}, 12},
    {{192, 0, 2}, 24},
    {{192, 168}, 16},
    {{198, 51, 100}, 24},
    {{203, 0, 113}, 24},
    {{255, 255, 255, 255}, 32},
};

static const struct private_net private6[] = {
    {{0}, 80}, /* unspecified, loopback, and everything that only wraps an IPv4 address */
    {{0xfc}, 7},
    {{0xfe, 0x80}, 10},
    {{0x20, 0x01, 0x0d, 0xb8}, 32},
};

static bool prefix_matches(const struct private_net *net, const uint8_t *addr, unsigned bits)
{
    if (bits < net->len)
        return false;
    for (unsigned i = 0; i < net->len; i++) {
        uint8_t want = i / 8 < sizeof(net->prefix) ? net->prefix[i / 8] : 0;
        if (((addr[i / 8] ^ want) & (0x80u >> i % 8)) != 0)
            return false;
    }
    return true;
}

/* Where the last label of text[0 .. len) begins. */
static size_t last_label(const char *text, size_t len)
{
    while (len > 0 && text[len - 1] != '.')
        len--;
    return len;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* The value of a label of one octet in decimal, or one nibble in hexadecimal; -1 if it is none. */
static int part_value(const char *label, size_t len, bool v4)
{
    if (!v4)
        return len == 1 ? digit_value(label[0]) : -1;
    if (len == 0 || len > 3 || (len > 1 && label[0] == '0'))
        return -1;
    int value = 0;
    for (size_t i = 0; i < len; i++) {
        if (label[i] < '0' || label[i] > '9')
            return -1;
        value = value * 10 + (label[i] - '0');
    }
    return value <= 255 ? value : -1;
}

/* A name in in-addr.arpa or ip6.arpa (RFC 1035 3.5, RFC 3596 2.5): read it from the right as far as it is an address. */
static struct dns_special reverse_find(const char *text, size_t len, const char *root, bool v4)
{
    struct dns_special found = {.kind = DNS_SPECIAL_REVERSE, .zone = len - strlen(root)};
    uint8_t addr[16] = {0};
    size_t starts[32] = {0}; /* where in the text the label of each part begins */
    unsigned part_bits = v4 ? 8 : 4;
    unsigned parts = 0;
    unsigned most = v4 ? 4 : 32;
    size_t end = found.zone;
    while (end > 0 && parts < most) {
        size_t start = last_label(text, end - 1);
        int value = part_value(text + start, end - 1 - start, v4);
        if (value < 0)
            break;
        addr[parts * part_bits / 8] |= (uint8_t)(v4 || parts % 2 == 1 ? value : value << 4);
        starts[parts++] = start;
        end = start;
    }

    found.has_addr = end == 0 && parts == most;
    found.addr = v4 ? ipaddr_v4(addr) : ipaddr_v6(addr);
    if (!v4 && ipaddr_is_v4(&found.addr))
        found.has_addr = false; /* the mapped form means IPv4 inside here, and does not travel */

    const struct private_net *nets = v4 ? private4 : private6;
    size_t count = v4 ? sizeof(private4) / sizeof(*private4) : sizeof(private6) / sizeof(*private6);
    for (size_t i = 0; i < count; i++) {
        if (prefix_matches(&nets[i], addr, parts * part_bits)) {
            found.kind = DNS_SPECIAL_PRIVATE;
            found.zone = starts[(nets[i].len + part_bits - 1) / part_bits - 1];
            break;
        }
    }
    return found;
}

/* True if the label is a number as inet_aton() and browsers understand it. A name that ends in one would be taken for an
 * IPv4 address on its way, perhaps one that policy refuses. */
static bool is_number(const char *label, size_t len)
{
    bool hex = len >= 2 && label[0] == '0' && label[1] == 'x';
    for (size_t i = hex ? 2 : 0; i < len; i++) {
        int value = digit_value(label[i]);
        if (value < 0 || (!hex && value > 9))
            return false;
    }
    return len > 0;
}

struct dns_special dns_special_find(const char *text, size_t len)
{
    for (size_t i = 0; i < sizeof(zones) / sizeof(*zones); i++) {
        size_t n = strlen(zones[i].zone);
        if (dns_text_within(text, len, zones[i].zone))
            return (struct dns_special){.kind = len == n ? zones[i].at : zones[i].below, .zone = len - n};
    }
    if (dns_text_within(text, len, "in-addr.arpa"))
        return reverse_find(text, len, "in-addr.arpa", true);
    if (dns_text_within(text, len, "ip6.arpa"))
        return reverse_find(text, len, "ip6.arpa", false);

    size_t top = last_label(text, len);
    struct dns_special found = {.kind = DNS_SPECIAL_NO, .zone = top};
    if (dns_text_within(text, len, "onion"))
        found.kind = dns_onion_is_valid(text, len) ? DNS_SPECIAL_ONION : DNS_SPECIAL_NONEXISTENT;
    else if (is_number(text + top, len - top))
        found.kind = DNS_SPECIAL_NONEXISTENT;
    else if (top == 0)
        found.kind = DNS_SPECIAL_SINGLE;
    return found;
}
