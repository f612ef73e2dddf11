/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/config_check.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/bytes.h"
#include "base/range.h"
#include "daemon/control_service.h"
#include "dns/virtual.h"
#include "tun/ipv6.h"
#include "tun/segment.h"

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

static void check_ipv6(struct config_reader *r)
{
    struct config *c = r->config;
    const struct ipnet *used = c->network6.len != 0 ? &c->network6 : NULL;
    int line = config_reader_line_of(r, "workstation", "address6");
    if (used != NULL && (used->len < 16 || used->len > 126))
        config_reader_refuse(r, line, "workstation.address6: the network's length must be from 16 to 126");
    else if (used != NULL && host_part_is(used, false))
        config_reader_refuse(
            r, line,
            "workstation.address6: this is the address of the whole network; write that of the gateway in it, "
            "as in fd19:c33d:88bc::10/64");
    else if (used != NULL && (used->addr.b[0] == 0 || used->addr.b[0] >= 0xfe))
        config_reader_refuse(r, line,
                             "workstation.address6: a station cannot have this address; write a private one, as in "
                             "fd19:c33d:88bc::10/64");
    else if (used != NULL && c->mtu < 1280)
        config_reader_refuse(r, line,
                             "workstation.address6: IPv6 needs a link with workstation.mtu of 1280 at least");

    if (used == NULL && c->ra)
        config_reader_refuse(
            r, config_reader_line_of(r, "workstation", "ra"),
            "workstation.ra: there is nothing to advertise without workstation.address6; add it, or write no");

    line = config_reader_line_of(r, "dns", "virtual6");
    const char *why = c->virtual_net6.len != 0 ? dns_virtual_range_error(&c->virtual_net6, used) : NULL;
    if (why != NULL)
        config_reader_refuse(r, line > 0 ? line : config_reader_line_of(r, "workstation", "address6"),
                             "dns.virtual6: this range %s; write another, as in fd6c:7601:7e2::/64, or none", why);
    /* An answer that nobody could use would only cost time. */
    if (used == NULL)
        c->virtual_net6 = (struct ipnet){0};
}

static void check_segment(struct config_reader *r)
{
    const struct config *c = r->config;
    int line = config_reader_line_of(r, "workstation", "attach");
    if (c->attach[0][0] != '\0' && c->bridge[0] != '\0')
        config_reader_refuse(
            r, line,
            "workstation.attach: together with workstation.bridge; the interfaces get a bridge of their own, so "
            "remove "
            "one of the two");
    if (strcmp(c->bridge, c->device) == 0)
        config_reader_refuse(
            r, config_reader_line_of(r, "workstation", "bridge"),
            "workstation.bridge: \"%s\" is the name of the TAP (workstation.device); write another for one of them",
            c->bridge);
    for (size_t i = 0; i < CONFIG_ATTACH_MAX; i++) {
        if (strcmp(c->attach[i], c->device) == 0 || strcmp(c->attach[i], SEGMENT_BRIDGE) == 0)
            config_reader_refuse(
                r, line, "workstation.attach: \"%s\" is the name of %s; rename the interface", c->attach[i],
                strcmp(c->attach[i], c->device) == 0 ? "the TAP (workstation.device)" : "the segment's bridge");
    }
    line = config_reader_line_of(r, "workstation", "isolate_clients");
    if (line > 0 && c->isolate_clients && c->attach[0][0] == '\0')
        config_reader_refuse(
            r, line,
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

static void check_dhcp(struct config_reader *r)
{
    const struct config *c = r->config;
    int line = config_reader_line_of(r, "workstation", "dhcp");
    if (line > 0 && be32_load(c->dhcp[0].b + 12) != 0) {
        uint32_t count = be32_load(c->dhcp[1].b + 12) - be32_load(c->dhcp[0].b + 12) + 1;
        if (!is_station(c, &c->dhcp[0]) || !is_station(c, &c->dhcp[1]))
            config_reader_refuse(r, line,
                                 "workstation.dhcp: both must be addresses of workstations, in the network of "
                                 "workstation.address and not the gateway's own");
        else if (count > DHCP_POOL_MAX || count > c->workstations)
            config_reader_refuse(r, line, "workstation.dhcp: more addresses than %s (%u); write a smaller range",
                                 c->workstations < DHCP_POOL_MAX ? "limits.workstations" : "there may be",
                                 c->workstations < DHCP_POOL_MAX ? c->workstations : DHCP_POOL_MAX);
    }
    line = config_reader_line_of(r, "workstation", "dhcp_lease");
    for (uint32_t i = 0; i < c->dhcp_leases.count; i++) {
        const uint8_t *b = c->dhcp_leases.lease[i].address;
        struct ipaddr addr = ipaddr_v4(b);
        if (!is_station(c, &addr))
            config_reader_refuse(
                r, line,
                "workstation.dhcp_lease: %u.%u.%u.%u is no address for a workstation in the network of "
                "workstation.address",
                b[0], b[1], b[2], b[3]);
    }
    if (c->dhcp_leases.count > c->workstations)
        config_reader_refuse(r, line, "workstation.dhcp_lease: more than limits.workstations (%u)",
                             c->workstations);
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

static void check_stations(struct config_reader *r)
{
    const struct config *c = r->config;
    const struct ipv6_scope scope = {.network = c->network6, .gateway = c->network6.addr};
    int line = config_reader_line_of(r, "workstation", "station");
    for (uint32_t i = 0; i < c->stations.count; i++) {
        const struct tun_station *s = &c->stations.station[i];
        char text[INET6_ADDRSTRLEN] = "";
        bool v4 = ipaddr_is_v4(&s->addr);
        inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? s->addr.b + 12 : s->addr.b, text, sizeof(text));
        if (v4 ? !is_station(c, &s->addr) : c->network6.len == 0 || !ipv6_is_host(&s->addr, &scope))
            config_reader_refuse(
                r, line, "workstation.station: %s is no address for a workstation in the network of workstation.%s",
                text, v4 ? "address" : "address6");
        for (uint32_t k = 0; v4 && k < c->dhcp_leases.count; k++) {
            const struct dhcp_fixed *lease = &c->dhcp_leases.lease[k];
            if (memcmp(lease->address, s->addr.b + 12, 4) == 0 && memcmp(lease->mac, s->mac, 6) != 0)
                config_reader_refuse(r, line,
                                     "workstation.station: %s is kept for another by workstation.dhcp_lease", text);
        }
        if (addresses_of(c, s->mac) > CONFIG_ADDRESSES_OF_MAC)
            config_reader_refuse(r, line, "workstation.station: more than %u addresses for one MAC address",
                                 CONFIG_ADDRESSES_OF_MAC);
    }
    if (c->stations.count + c->dhcp_leases.count > c->workstations)
        config_reader_refuse(r, line,
                             "workstation.station: with workstation.dhcp_lease more than limits.workstations (%u)",
                             c->workstations);
    line = config_reader_line_of(r, "workstation", "stations");
    if (c->served == CONFIG_SERVED_LISTED && c->stations.count + c->dhcp_leases.count == 0)
        config_reader_refuse(
            r, line, "workstation.stations: listed, and there is no list; add station = MAC ADDRESS for each");
    if (c->served == CONFIG_SERVED_LISTED && !dhcp_is_none(&c->dhcp[0]))
        config_reader_refuse(
            r, line,
            "workstation.stations: listed, and workstation.dhcp is for whoever comes; write dhcp_lease = "
            "MAC ADDRESS for each instead");
}

static bool networks_overlap(const struct ipnet *a, const struct ipnet *b)
{
    return a->len != 0 && b->len != 0 && (ipnet_contains(a, &b->addr) || ipnet_contains(b, &a->addr));
}

/* May all of a range be in the source of a packet, and is none of it somebody's on the Internet? What has a meaning of its own
 * is never only a part of such a range. */
static bool is_for_visitors(const struct ipnet *range)
{
    struct ipaddr last = range->addr;
    for (unsigned bit = range->len; bit < 128; bit++)
        last.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    const uint8_t *b = range->addr.b;
    const bool meant = ipaddr_is_v4(&range->addr)
                           ? b[12] == 0 || b[12] == 127 || b[12] >= 224 || (b[12] == 169 && b[13] == 254)
                           : b[0] == 0 || b[0] >= 0xfe;
    return !meant && !range_is_internet(&range->addr) && !range_is_internet(&last);
}

/* No flow that a workstation opens is to meet an address of a visitor. */
static void check_visitors(struct config_reader *r, const char *key, const struct ipnet *visitors,
                           const struct ipnet *net, const struct ipnet *names)
{
    int line = config_reader_line_of(r, "workstation", key);
    if (visitors->len > 120)
        config_reader_refuse(r, line, "workstation.%s: too small a range; write one of 256 addresses at least",
                             key);
    else if (networks_overlap(visitors, net) || networks_overlap(visitors, names))
        config_reader_refuse(
            r, line,
            "workstation.%s: the range overlaps the workstation network or that of virtual addresses; write "
            "another",
            key);
    else if (!is_for_visitors(visitors))
        config_reader_refuse(r, line,
                             "workstation.%s: visitors cannot come from there; write a private range, as in %s",
                             key, ipaddr_is_v4(&visitors->addr) ? "10.64.0.0/10" : "fd6c:7601:7e3::/64");
}

/* May anybody have this address, where it matters who is listed? */
static bool is_served(const struct config *c, const struct ipaddr *addr)
{
    bool served = c->served != CONFIG_SERVED_LISTED;
    for (uint32_t i = 0; i < c->stations.count; i++)
        served = served || ipaddr_equal(&c->stations.station[i].addr, addr);
    for (uint32_t i = 0; i < c->dhcp_leases.count; i++) {
        const struct ipaddr lease = ipaddr_v4(c->dhcp_leases.lease[i].address);
        served = served || ipaddr_equal(&lease, addr);
    }
    return served;
}

static void check_onions(struct config_reader *r)
{
    const struct config *c = r->config;
    int line = 0;
    const char *says = config_onion_check(&c->onions, &c->network, &c->network6, &line);
    if (says != NULL)
        config_reader_refuse(r, line, "onion: %s", says);
    for (uint32_t i = 0; i < c->onions.ports; i++) {
        if (!is_served(c, &c->onions.port[i].to))
            config_reader_refuse(r, c->onions.port[i].line,
                                 "onion: workstation.stations is listed, and this workstation is not; add "
                                 "station = MAC ADDRESS for it");
    }
    if (!config_onion_tells_visitors(&c->onions))
        return;
    check_visitors(r, "visitors", &c->visitors, &c->network, &c->virtual_net);
    check_visitors(r, "visitors6", &c->visitors6, &c->network6, &c->virtual_net6);
}

/* The range may be the default, and then it is the network that was written. */
static void check_virtual(struct config_reader *r)
{
    const struct config *c = r->config;
    static const char *const other[] = {"10.192.0.0/10", "172.16.0.0/12"}; /* one of them is always free */
    const int line = config_reader_line_of(r, "dns", "virtual"),
              network = config_reader_line_of(r, "workstation", "address");
    struct ipnet net;
    const char *why = dns_virtual_range_error(&c->virtual_net, &c->network);
    bool first = config_value_ipv4_prefix(other[0], &net) == NULL && !networks_overlap(&net, &c->network);
    if (why != NULL && line > 0)
        config_reader_refuse(r, line, "dns.virtual: this range %s; write another, as in %s", why,
                             other[first ? 0 : 1]);
    else if (why != NULL)
        config_reader_refuse(
            r, network,
            "workstation.address: this network overlaps 10.192.0.0/10, the default range of virtual addresses; "
            "write another network, or another range with virtual = %s in [dns]",
            other[first ? 0 : 1]);
}

/* What would be of no effect, so that somebody believes in it. */
static void check_tor(struct config_reader *r)
{
    const struct config *c = r->config;
    if (c->mode == CONFIG_MODE_EXTERNAL && config_reader_line_of(r, "tor", "torrc") > 0)
        config_reader_refuse(
            r, config_reader_line_of(r, "tor", "torrc"),
            "tor.torrc: only for the embedded Tor; put its lines into the torrc of the external one, and remove "
            "this");
    for (uint32_t i = 0; !c->allow_private && i < c->resolvers.count; i++) {
        if (!range_is_internet(&c->resolvers.addr[i]))
            config_reader_refuse(
                r, config_reader_line_of(r, "dns", "upstream"),
                "dns.upstream: no address of the Internet's, and it is asked through Tor; write another, or "
                "tor.allow_private = yes");
    }
}

void config_check(struct config_reader *r)
{
    const struct config *c = r->config;
    int line = config_reader_line_of(r, "workstation", "address");
    if (c->network.len < 96 + 1 || c->network.len > 96 + 30)
        config_reader_refuse(r, line, "workstation.address: the network's length must be from 1 to 30");
    else if (host_part_is(&c->network, false) || host_part_is(&c->network, true))
        config_reader_refuse(
            r, line,
            "workstation.address: this is the address of the whole network; write that of the gateway in "
            "it, as in 10.152.152.10/18");
    else if (c->network.addr.b[12] == 0 || c->network.addr.b[12] == 127 || c->network.addr.b[12] >= 224)
        config_reader_refuse(r, line,
                             "workstation.address: a station cannot have this address; write a private one, as in "
                             "10.152.152.10/18");

    check_segment(r);
    check_dhcp(r);
    check_ipv6(r);
    check_stations(r);
    check_onions(r);
    for (uint32_t i = 0; i < c->ports.count; i++)
        if (c->control_port && c->ports.port[i].port == CONTROL_SERVICE_PORT)
            config_reader_refuse(
                r, config_reader_line_of(r, "ports", "control"),
                "ports.control: it is at port 9051, which is a [socks-port] as well; remove one of the two");
    check_virtual(r);
    check_tor(r);
    if (c->mode == CONFIG_MODE_EXTERNAL && c->instances > 1)
        config_reader_refuse(
            r, config_reader_line_of(r, "tor", "instances"),
            "tor.instances: only for the embedded Tor; list the others' sockets, socks = unix:/path, once for "
            "each");
    if (c->mode == CONFIG_MODE_EXTERNAL && c->socks[0][0] == '\0')
        config_reader_refuse(r, config_reader_line_of(r, "tor", "mode"),
                             "tor.socks: missing, and tor.mode is external; add socks = unix:/path/of/the/socket");
    if (strlen(c->data) + sizeof("/socks/socks") >= CONFIG_SOCKET_MAX)
        config_reader_refuse(r, config_reader_line_of(r, "tor", "data"),
                             "tor.data: too long for the socket in it; write a path of at most %u characters",
                             CONFIG_SOCKET_MAX - (unsigned)sizeof("/socks/socks") - 1);
    if (c->workstation_flows > c->flows && config_reader_line_of(r, "limits", "workstation_flows") > 0)
        config_reader_refuse(r, config_reader_line_of(r, "limits", "workstation_flows"),
                             "limits.workstation_flows: more than limits.flows (%u)", c->flows);
    if (c->workstation_connecting > c->connecting &&
        config_reader_line_of(r, "limits", "workstation_connecting") > 0)
        config_reader_refuse(r, config_reader_line_of(r, "limits", "workstation_connecting"),
                             "limits.workstation_connecting: more than limits.connecting (%u)", c->connecting);
}
