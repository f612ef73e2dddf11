/* SPDX-License-Identifier: BSD-3-Clause */
/*
 *     0        4     8      12       16       20       24       28            44         108       236     240
 *     | op ... | xid | secs | ciaddr | yiaddr | siaddr | giaddr | chaddr (16) | sname 64 | file 128 | magic | options
 *
 * sname and file may hold options, too, if an option says so (RFC 2132 9.3).
 */
#include "tun/dhcp_message.h"

#include <string.h>

#define OP_REQUEST 1u
#define OP_REPLY 2u
#define HARDWARE_ETHERNET 1u
#define FLAG_BROADCAST 0x8000u
#define MAGIC 0x63825363u
#define CLIENT_ID_MAX 255u
#define REPLY_MIN 300u /* bytes: what BOOTP had, and old clients insist on (RFC 1542 2.1) */

enum field {
    FIELD_XID = 4,
    FIELD_FLAGS = 10,
    FIELD_CIADDR = 12,
    FIELD_YIADDR = 16,
    FIELD_GIADDR = 24,
    FIELD_CHADDR = 28,
    FIELD_SNAME = 44,
    FIELD_FILE = 108,
    FIELD_MAGIC = 236,
    FIELD_OPTIONS = 240,
};

enum option {
    OPTION_PAD = 0,
    OPTION_MASK = 1,
    OPTION_ROUTER = 3,
    OPTION_RESOLVER = 6,
    OPTION_MTU = 26,
    OPTION_BROADCAST = 28,
    OPTION_REQUESTED = 50,
    OPTION_LEASE = 51,
    OPTION_OVERLOAD = 52,
    OPTION_TYPE = 53,
    OPTION_SERVER = 54,
    OPTION_CLIENT_ID = 61,
    OPTION_END = 255,
};

#define OVERLOAD_FILE 1u
#define OVERLOAD_SNAME 2u

_Static_assert(FIELD_OPTIONS + 3 + 6 + 6 + 6 + 6 + 6 + 6 + 4 + 2 + CLIENT_ID_MAX + 1 <= DHCP_MESSAGE_MAX,
               "a reply with everything fits");

bool dhcp_is_none(const struct ipaddr *addr)
{
    return be32_load(addr->b + 12) == 0;
}

/* Read an address, if it is one. */
static bool take_address(struct ipaddr *addr, const struct bytes *value)
{
    if (value->left != 4)
        return false;
    *addr = ipaddr_v4(value->at);
    return true;
}

/* Walk a field of options. What is no option of ours is passed over. */
static bool parse_options(struct dhcp_request *request, struct bytes b, uint8_t *overload)
{
    while (b.left > 0) {
        uint8_t option = bytes_u8(&b);
        if (option == OPTION_PAD)
            continue;
        if (option == OPTION_END)
            return true;
        struct bytes value = bytes_sub(&b, bytes_u8(&b));
        if (!bytes_ok(&b))
            return false;
        switch (option) {
        case OPTION_TYPE:
            if (value.left != 1)
                return false;
            request->type = value.at[0];
            break;
        case OPTION_OVERLOAD:
            if (value.left != 1)
                return false;
            *overload = value.at[0];
            break;
        case OPTION_REQUESTED:
            if (!take_address(&request->requested, &value))
                return false;
            break;
        case OPTION_SERVER:
            if (!take_address(&request->server, &value))
                return false;
            break;
        case OPTION_CLIENT_ID:
            request->client_id = value;
            break;
        default:
            break;
        }
    }
    return true; /* the end option is often left out */
}

enum drop dhcp_parse(struct dhcp_request *request, struct bytes raw)
{
    static const uint8_t none[4];
    uint8_t overload = 0, ignored = 0;
    const uint8_t *p = bytes_take(&raw, FIELD_OPTIONS);
    if (p == NULL)
        return DROP_DHCP_BAD;
    if (p[0] != OP_REQUEST || p[1] != HARDWARE_ETHERNET || p[2] != FRAME_MAC_LEN ||
        be32_load(p + FIELD_GIADDR) != 0 || be32_load(p + FIELD_MAGIC) != MAGIC)
        return DROP_DHCP_BAD;
    *request = (struct dhcp_request){
        .xid = be32_load(p + FIELD_XID),
        .flags = be16_load(p + FIELD_FLAGS),
        .ciaddr = ipaddr_v4(p + FIELD_CIADDR),
        .requested = ipaddr_v4(none),
        .server = ipaddr_v4(none),
    };
    memcpy(request->mac, p + FIELD_CHADDR, FRAME_MAC_LEN);
    if (!parse_options(request, raw, &overload))
        return DROP_DHCP_BAD;
    if ((overload & OVERLOAD_FILE) &&
        !parse_options(request, bytes_of(p + FIELD_FILE, FIELD_MAGIC - FIELD_FILE), &ignored))
        return DROP_DHCP_BAD;
    if ((overload & OVERLOAD_SNAME) &&
        !parse_options(request, bytes_of(p + FIELD_SNAME, FIELD_FILE - FIELD_SNAME), &ignored))
        return DROP_DHCP_BAD;
    return request->type != 0 ? DROP_NONE : DROP_DHCP_BAD;
}

bool dhcp_wants_broadcast(const struct dhcp_request *request)
{
    return (request->flags & FLAG_BROADCAST) != 0;
}

static uint8_t *put_option(uint8_t *at, enum option option, const void *value, size_t n)
{
    at[0] = (uint8_t)option;
    at[1] = (uint8_t)n;
    memcpy(at + 2, value, n);
    return at + 2 + n;
}

static uint8_t *put_u32(uint8_t *at, enum option option, uint32_t number)
{
    uint8_t value[4];
    be32_store(value, number);
    return put_option(at, option, value, sizeof(value));
}

/* Everything that is not about this client alone. */
static uint8_t *put_network(uint8_t *at, const struct dhcp_reply *reply)
{
    uint32_t ones = UINT32_MAX >> (reply->network.len - 96);
    uint8_t mtu[2];
    be16_store(mtu, reply->mtu);
    at = put_u32(at, OPTION_MASK, ~ones); /* before the router (RFC 2132 3.3) */
    at = put_u32(at, OPTION_BROADCAST, be32_load(reply->network.addr.b + 12) | ones);
    at = put_option(at, OPTION_ROUTER, reply->server.b + 12, 4);
    at = put_option(at, OPTION_RESOLVER, reply->server.b + 12, 4);
    return put_option(at, OPTION_MTU, mtu, sizeof(mtu));
}

size_t dhcp_build(uint8_t *at, const struct dhcp_request *request, const struct dhcp_reply *reply)
{
    uint8_t type = (uint8_t)reply->type;
    memset(at, 0, DHCP_MESSAGE_MAX);
    at[0] = OP_REPLY;
    at[1] = HARDWARE_ETHERNET;
    at[2] = FRAME_MAC_LEN;
    be32_store(at + FIELD_XID, request->xid);
    be16_store(at + FIELD_FLAGS, request->flags);
    if (reply->type == DHCP_ACK)
        memcpy(at + FIELD_CIADDR, request->ciaddr.b + 12, 4);
    if (reply->type != DHCP_NAK)
        memcpy(at + FIELD_YIADDR, reply->address.b + 12, 4);
    memcpy(at + FIELD_CHADDR, request->mac, FRAME_MAC_LEN);
    be32_store(at + FIELD_MAGIC, MAGIC);

    uint8_t *end = put_option(at + FIELD_OPTIONS, OPTION_TYPE, &type, 1);
    end = put_option(end, OPTION_SERVER, reply->server.b + 12, 4);
    if (reply->type != DHCP_NAK && reply->lease != 0) /* to be renewed half-way, which goes without saying */
        end = put_u32(end, OPTION_LEASE, reply->lease);
    if (reply->type != DHCP_NAK)
        end = put_network(end, reply);
    if (request->client_id.left > 0)
        end = put_option(end, OPTION_CLIENT_ID, request->client_id.at, request->client_id.left);
    *end++ = OPTION_END;
    size_t n = (size_t)(end - at);
    return n > REPLY_MIN ? n : REPLY_MIN;
}
