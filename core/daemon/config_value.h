/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values of the configuration file: from text to what it means.
 *
 * Every parser takes the trimmed text and returns NULL when it understood all of it, or a static sentence that says
 * what it wants. The result is written only on success.
 */
#ifndef CLOISTER_DAEMON_CONFIG_VALUE_H
#define CLOISTER_DAEMON_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"

/* One of a set of words, ended by a NULL name. */
struct config_word {
    const char *name;
    uint32_t value;
};

/* A decimal number, digits only; false also for one past 32 bits. */
bool config_value_number(const char *text, uint32_t *out);

/* `yes` or `no`. */
const char *config_value_boolean(const char *text, bool *out);

/* An IPv4 address with a prefix length, as in 10.152.152.10/18. */
const char *config_value_ipv4_prefix(const char *text, struct ipnet *out);

/* An IPv6 address with a prefix length, as in fd19:c33d:88bc::10/64; not one that stands for an IPv4 address. */
const char *config_value_ipv6_prefix(const char *text, struct ipnet *out);

/* Two IPv4 addresses with a dash between, as in 10.152.152.100-10.152.152.199, the first not above the last. */
const char *config_value_range(const char *text, struct ipaddr out[2]);

/* A MAC address and an IPv4 address with blanks between. */
const char *config_value_lease(const char *text, uint8_t mac[6], uint8_t address[4]);

/* A MAC address and an address of either family with blanks between. */
const char *config_value_station(const char *text, uint8_t mac[6], struct ipaddr *addr);

/* A MAC address, six pairs of hexadecimal digits with colons; one that may be a station's own. */
const char *config_value_mac(const char *text, uint8_t out[6]);

/* The name of a network device, at most IFNAMSIZ - 1 plain characters. */
const char *config_value_device(const char *text, char *out, size_t size);

/* An absolute path without `.` and `..` components. */
const char *config_value_path(const char *text, char *out, size_t size);

/* `unix:` and the absolute path of a socket; the path is what is stored. */
const char *config_value_socket(const char *text, char *out, size_t size);

/* The absolute path of a socket that is made. */
const char *config_value_place(const char *text, char *out, size_t size);

/* `unix:` and such a path, which is stored; or a loopback address with a port, which is
 * stored as it is. */
const char *config_value_listener(const char *text, char *out, size_t size);

/* The name or number of a group. */
const char *config_value_group(const char *text, char *out, size_t size);

/* The name or number of a user. */
const char *config_value_user(const char *text, char *out, size_t size);

/* Names of hosts or zones with commas between, as in "example.com, spamhaus.org". They are stored in lower case, without a
 * last dot, each ended by NUL, and an empty one last. */
const char *config_value_names(const char *text, char *out, size_t size);

/* A few networks of either family. */
#define CONFIG_NETWORKS_MAX 16u
struct config_networks {
    uint32_t count;
    struct ipnet net[CONFIG_NETWORKS_MAX];
};

/* Addresses and networks with commas between, as in "10.152.152.12, 10.152.152.64/26". */
const char *config_value_networks(const char *text, struct config_networks *out);

/* A few addresses of either family. */
#define CONFIG_ADDRESSES_MAX 2u
struct config_addresses {
    uint32_t count;
    struct ipaddr addr[CONFIG_ADDRESSES_MAX];
};

/* One address or two with a comma between, as in "9.9.9.9, 2620:fe::fe". */
const char *config_value_addresses(const char *text, struct config_addresses *out);

/* One of `words`; false if it is none of them. */
bool config_value_word(const char *text, const struct config_word *words, uint32_t *out);

#endif
