/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/links.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/ipv6_route.h>
#include <linux/route.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "leaktest/frame.h"
#include "tun/netlink.h"

struct search {
    int bridge, port; /* what is looked for: ports of the one, or the master of the other; 0: not */
    unsigned *out;
    unsigned count, max;
};

static int read_master(const struct nlattr *attr, void *ctx)
{
    if (mnl_attr_get_type(attr) == IFLA_MASTER && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
        *(int *)ctx = (int)mnl_attr_get_u32(attr);
    return MNL_CB_OK;
}

static int look_at_link(const struct nlmsghdr *answer, void *ctx)
{
    struct search *s = ctx;
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(answer);
    int master = 0;
    if (mnl_nlmsg_get_payload_len(answer) < sizeof(*info) ||
        mnl_attr_parse(answer, sizeof(*info), read_master, &master) < 0)
        return -EPROTO;
    if (s->bridge != 0 && master == s->bridge && s->count < s->max)
        s->out[s->count++] = (unsigned)info->ifi_index;
    if (s->port != 0 && info->ifi_index == s->port && master != 0)
        s->out[s->count++] = (unsigned)master;
    return 0;
}

static void list(struct search *s)
{
    struct netlink nl;
    if (netlink_open(&nl) != 0)
        return;
    netlink_list(&nl, RTM_GETLINK, look_at_link, s);
    netlink_close(&nl);
}

unsigned links_with_ports(const char *name, unsigned *out, unsigned count, unsigned max)
{
    unsigned index = if_nametoindex(name);
    if (index == 0 || count == max)
        return count;
    out[count++] = index;
    struct search s = {.bridge = (int)index, .out = out, .count = count, .max = max};
    list(&s);
    return s.count;
}

unsigned links_master(const char *name)
{
    unsigned found[1] = {0};
    struct search s = {.port = (int)if_nametoindex(name), .out = found, .max = 1};
    if (s.port != 0)
        list(&s);
    return found[0];
}

/* The words of a line, at most `max`. How many. */
static unsigned split(char *line, const char **words, unsigned max)
{
    unsigned n = 0;
    char *save = NULL;
    for (char *word = strtok_r(line, " \t\n", &save); word != NULL && n < max;
         word = strtok_r(NULL, " \t\n", &save))
        words[n++] = word;
    return n;
}

/* Interface, destination, gateway, ... */
static bool read_route(const char **words, unsigned n, char name[IF_NAMESIZE], struct ipaddr *router)
{
    if (n < 3 || strcmp(words[1], "00000000") != 0)
        return false;
    uint32_t gateway = (uint32_t)strtoul(words[2], NULL, 16);
    uint8_t b[4];
    memcpy(b, &gateway, sizeof(b));
    if (gateway != 0)
        *router = ipaddr_v4(b);
    snprintf(name, IF_NAMESIZE, "%s", words[0]);
    return true;
}

/* Destination, its length, ..., interface as the tenth. */
static bool read_route6(const char **words, unsigned n, char name[IF_NAMESIZE])
{
    if (n < 10 || strspn(words[0], "0") != 32 || strcmp(words[1], "00") != 0 || strcmp(words[9], "lo") == 0)
        return false;
    snprintf(name, IF_NAMESIZE, "%s", words[9]);
    return true;
}

int links_default_route(char name[IF_NAMESIZE], struct ipaddr *router)
{
    static const char paths[][36] = {"/proc/thread-self/net/route", "/proc/thread-self/net/ipv6_route"};
    char line[256];
    const char *words[10];
    bool found = false;
    *router = (struct ipaddr){{0}};
    for (unsigned six = 0; six < 2 && !found; six++) {
        FILE *file = fopen(paths[six], "re");
        while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
            unsigned n = split(line, words, 10);
            found = six ? read_route6(words, n, name) : read_route(words, n, name, router);
        }
        if (file != NULL)
            fclose(file);
    }
    return found ? 0 : -ENOENT;
}

static int ask(int family, unsigned long what, void *request)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int status = ioctl(fd, what, request) == 0 ? 0 : -errno;
    close(fd);
    return status;
}

int links_address(const char *name, struct ipaddr *out)
{
    struct ifreq request = {0};
    struct sockaddr_in in;
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    int status = ask(AF_INET, SIOCGIFADDR, &request);
    if (status != 0)
        return status;
    memcpy(&in, &request.ifr_addr, sizeof(in));
    *out = ipaddr_v4((const uint8_t *)&in.sin_addr);
    return 0;
}

static void put_ipv4(struct sockaddr *out, uint32_t address)
{
    const struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = address};
    memcpy(out, &in, sizeof(in));
}

int links_set_address(const char *name, const char *address, unsigned prefix)
{
    struct ipaddr a = frame_ip(address);
    const bool four = ipaddr_is_v4(&a);
    struct netlink_request request = {0};
    struct netlink nl;
    request.header = mnl_nlmsg_put_header(request.buffer);
    request.header->nlmsg_type = RTM_NEWADDR;
    request.header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
    struct ifaddrmsg *info = mnl_nlmsg_put_extra_header(request.header, sizeof(*info));
    info->ifa_family = four ? AF_INET : AF_INET6;
    info->ifa_prefixlen = (uint8_t)prefix;
    info->ifa_flags = four ? 0 : IFA_F_NODAD;
    info->ifa_index = if_nametoindex(name);
    mnl_attr_put(request.header, IFA_LOCAL, four ? 4 : 16, four ? a.b + 12 : a.b);
    mnl_attr_put(request.header, IFA_ADDRESS, four ? 4 : 16, four ? a.b + 12 : a.b);
    int status = netlink_open(&nl);
    if (status != 0)
        return status;
    status = netlink_ask(&nl, &request);
    netlink_close(&nl);
    return status;
}

int links_set_default(const char *name, const char *router)
{
    struct ipaddr a = frame_ip(router);
    if (!ipaddr_is_v4(&a)) {
        struct in6_rtmsg route = {
            .rtmsg_flags = RTF_UP | RTF_GATEWAY, .rtmsg_metric = 1, .rtmsg_ifindex = (int)if_nametoindex(name)};
        memcpy(&route.rtmsg_gateway, a.b, 16);
        return ask(AF_INET6, SIOCADDRT, &route);
    }
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
    uint32_t gateway;
    memcpy(&gateway, a.b + 12, 4);
    put_ipv4(&route.rt_dst, 0);
    put_ipv4(&route.rt_genmask, 0);
    put_ipv4(&route.rt_gateway, gateway);
    return ask(AF_INET, SIOCADDRT, &route);
}
