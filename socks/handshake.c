/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What comes back, in which forms.
 *
 * By the RFCs the server answers three times: 05 02 (method), 01 00 (authenticated), 05 CODE 00 ATYP ADDRESS PORT.
 * But we say everything at once, and Tor, when it finds all of it in its buffer, keeps one answer only for each
 * time it looks: the answer to the authentication overwrites that to the greeting, and an error about the request
 * overwrites both. (Tor 0.4.9: fetch_from_buf_socks() goes on as long as there is input, and there is room for one
 * reply.) So these are all in use:
 *
 *     05 02  01 00  05 CODE 00 ...     any server that answers each message, Tor too if it reads in pieces
 *            01 00  05 CODE 00 ...     Tor, usually
 *                   05 CODE 00 ...     Tor, when it refuses the request before it tries
 *
 * A byte decides each time. 05 02 may begin the first form, or the third with code 2; then the next byte, 01 or 00,
 * tells. A success without any word about the authentication is not believed: the server would have ignored the
 * credentials, and with them the isolation.
 *
 *     FIRST --01----------------------> STATUS --00--> VERSION --05--> CODE --> RSV --> ATYP --> [LEN] --> ADDRESS
 *       |                                 ^                                      ^
 *       +--05--> METHOD --02--> AFTER --01+                                      |
 *                   |             +---------------00: it was code 2, and this RSV+
 *                   +---------------------------------CODE other than 00 and ff--+
 *
 * A refusal ends at its RSV: Tor sends a refused RESOLVE with ATYP 0, and nobody wants to know an address then.
 */
#include "socks/handshake.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"

enum phase {
    PHASE_FIRST,
    PHASE_METHOD,
    PHASE_AFTER,
    PHASE_STATUS,
    PHASE_VERSION,
    PHASE_CODE,
    PHASE_RSV,
    PHASE_ATYP,
    PHASE_LEN,
    PHASE_ADDRESS,
    PHASE_DONE,
};

/* The fewest bytes that may follow in each phase if the request succeeds: for a name of no length as address. */
static const uint8_t shortest[] = {
    [PHASE_FIRST] = 9, [PHASE_METHOD] = 10, [PHASE_AFTER] = 9, [PHASE_STATUS] = 8, [PHASE_VERSION] = 7,
    [PHASE_CODE] = 6,  [PHASE_RSV] = 5,     [PHASE_ATYP] = 4,  [PHASE_LEN] = 3,    [PHASE_DONE] = 0,
};

static uint8_t *put_string(uint8_t *at, const char *s, size_t n)
{
    *at++ = (uint8_t)n;
    memcpy(at, s, n);
    return at + n;
}

/* 1 to 255, or 0 if it cannot be sent. */
static size_t string_len(const char *s)
{
    size_t n = s != NULL ? strnlen(s, 256) : 0;
    return n <= 255 ? n : 0;
}

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool socks_name_valid(const char *name)
{
    bool first = true; /* of a label */
    const char *p = name;
    for (; *p != '\0'; p++) {
        if (is_alphanumeric(*p))
            first = false;
        else if (first || (*p != '.' && *p != '-' && *p != '_'))
            return false;
        else
            first = *p == '.';
    }
    return p != name;
}

ssize_t socks_request_write(const struct socks_request *request, uint8_t *out, size_t size)
{
    size_t username = string_len(request->username);
    size_t password = string_len(request->password);
    size_t name = string_len(request->name);
    if (username == 0 || password == 0 ||
        (request->name != NULL && (name == 0 || !socks_name_valid(request->name))))
        return -EINVAL;
    bool v4 = ipaddr_is_v4(&request->addr);
    size_t address = request->name != NULL ? 1 + name : v4 ? 4 : 16;
    if (size < 3 + 3 + username + password + 4 + address + 2)
        return -ENOBUFS;

    uint8_t *at = out;
    *at++ = SOCKS_VERSION_5;
    *at++ = 1; /* number of methods */
    *at++ = SOCKS_METHOD_PASSWORD;

    *at++ = SOCKS_VERSION_AUTH;
    at = put_string(at, request->username, username);
    at = put_string(at, request->password, password);

    *at++ = SOCKS_VERSION_5;
    *at++ = (uint8_t)request->command;
    *at++ = 0;
    if (request->name != NULL) {
        *at++ = SOCKS_ATYP_NAME;
        at = put_string(at, request->name, name);
    } else {
        *at++ = v4 ? SOCKS_ATYP_IPV4 : SOCKS_ATYP_IPV6;
        memcpy(at, request->addr.b + 16 - address, address);
        at += address;
    }
    be16_store(at, request->port);
    return at + 2 - out;
}

size_t socks_reply_want(const struct socks_reply *reply)
{
    return reply->phase == PHASE_ADDRESS ? reply->left : shortest[reply->phase];
}

/* An answer code. Returns the next phase. */
static uint8_t take_code(struct socks_reply *reply, uint8_t code)
{
    reply->code = code;
    return PHASE_RSV;
}

/* One byte of the address or the port. */
static void take_address(struct socks_reply *reply, uint8_t byte, struct socks_bound *bound)
{
    if (bound != NULL && reply->left > 2)
        bound->host[bound->len++] = byte;
    if (--reply->left == 0)
        reply->phase = PHASE_DONE;
}

/* The address begins: `n` bytes and the port. */
static void begin_address(struct socks_reply *reply, uint8_t n)
{
    reply->left = (uint16_t)(n + 2u);
    reply->phase = PHASE_ADDRESS;
}

/* One byte. 0 or negative errno. */
static int take_byte(struct socks_reply *reply, uint8_t byte, struct socks_bound *bound)
{
    switch ((enum phase)reply->phase) {
    case PHASE_FIRST:
        if (byte != SOCKS_VERSION_5 && byte != SOCKS_VERSION_AUTH)
            return -EPROTO;
        reply->phase = byte == SOCKS_VERSION_5 ? PHASE_METHOD : PHASE_STATUS;
        return 0;
    case PHASE_METHOD:
        if (byte == SOCKS_METHOD_REFUSED)
            return -EACCES;
        if (byte == SOCKS_METHOD_NONE)
            return -EPROTO;
        reply->phase = byte == SOCKS_METHOD_PASSWORD ? PHASE_AFTER : take_code(reply, byte);
        return 0;
    case PHASE_AFTER:
        if (byte == SOCKS_VERSION_AUTH) {
            reply->phase = PHASE_STATUS;
            return 0;
        }
        reply->phase = take_code(reply, SOCKS_NOT_ALLOWED);
        return take_byte(reply, byte, bound);
    case PHASE_STATUS:
        reply->phase = PHASE_VERSION;
        return byte == 0 ? 0 : -EACCES;
    case PHASE_VERSION:
        reply->phase = PHASE_CODE;
        return byte == SOCKS_VERSION_5 ? 0 : -EPROTO;
    case PHASE_CODE:
        reply->phase = take_code(reply, byte);
        return 0;
    case PHASE_RSV:
        reply->phase = reply->code == SOCKS_SUCCEEDED ? PHASE_ATYP : PHASE_DONE;
        return byte == 0 ? 0 : -EPROTO;
    case PHASE_ATYP:
        if (bound != NULL) {
            bound->type = byte;
            bound->len = 0;
        }
        if (byte == SOCKS_ATYP_IPV4)
            begin_address(reply, 4);
        else if (byte == SOCKS_ATYP_IPV6)
            begin_address(reply, 16);
        else if (byte == SOCKS_ATYP_NAME)
            reply->phase = PHASE_LEN;
        else
            return -EPROTO;
        return 0;
    case PHASE_LEN:
        begin_address(reply, byte);
        return 0;
    case PHASE_ADDRESS:
        take_address(reply, byte, bound);
        return 0;
    case PHASE_DONE:
        break;
    }
    return 0;
}

int socks_reply_feed(struct socks_reply *reply, const uint8_t *data, size_t n, struct socks_bound *bound)
{
    assert(n <= socks_reply_want(reply));
    for (size_t i = 0; i < n && reply->phase != PHASE_DONE; i++) {
        int err = take_byte(reply, data[i], bound);
        if (err != 0)
            return err;
    }
    return reply->phase == PHASE_DONE;
}

int socks_reply_take(struct socks_reply *reply, const uint8_t **data, size_t *n, struct socks_bound *bound)
{
    int done = 0;
    while (*n > 0 && done == 0) {
        size_t want = socks_reply_want(reply);
        size_t part = *n < want ? *n : want;
        done = socks_reply_feed(reply, *data, part, bound);
        *data += part;
        *n -= part;
    }
    return done;
}

/*
 * What the codes mean in Tor's mouth, and what TCP can say for it. ICMP reaches a connecting application as
 * EHOSTUNREACH or ENETUNREACH at once; RST as ECONNREFUSED. RST is kept for a closed port, so that a port scan tells
 * the truth, and for the general failure, as exits often have no better word for a closed port: Tor 0.4.9 asks for the
 * error of a refused connect after it is gone (connection_edge_end_errno()) and ends the stream with MISC. Silence
 * makes the workstation try again by itself.
 */
static const struct {
    uint8_t code;
    uint8_t refusal;
    const char *name;
} codes[SOCKS_CODE_COUNT] = {
    {SOCKS_SUCCEEDED, TCP_REFUSAL_RESET, "succeeded"},
    /* A closed port that the exit has no word for; or the circuit was destroyed, or a relay is faulty. */
    {SOCKS_GENERAL_FAILURE, TCP_REFUSAL_RESET, "failure"},
    /* The exit policies, or our own Tor's configuration, do not allow this address or port. */
    {SOCKS_NOT_ALLOWED, TCP_REFUSAL_PROHIBITED, "not-allowed"},
    {SOCKS_NET_UNREACHABLE, TCP_REFUSAL_NET, "net-unreachable"},
    /* The exit has no route to the host, or the name does not resolve. */
    {SOCKS_HOST_UNREACHABLE, TCP_REFUSAL_HOST, "host-unreachable"},
    /* The port is closed: the exit was refused or reset, or the far end closed before it was open. */
    {SOCKS_CONNECTION_REFUSED, TCP_REFUSAL_RESET, "refused"},
    /* The exit's connect timed out, or no circuit could be had in time: as if the SYN had been lost. */
    {SOCKS_TTL_EXPIRED, TCP_REFUSAL_SILENT, "timeout"},
    /* Not a server for CONNECT at all. */
    {SOCKS_COMMAND_UNSUPPORTED, TCP_REFUSAL_PROHIBITED, "command"},
    /* IPv6 is not to be had there: applications go on to IPv4. */
    {SOCKS_ADDRESS_UNSUPPORTED, TCP_REFUSAL_NET, "address-type"},
    /* Onion services. There is no such service, or it is not up. */
    {SOCKS_ONION_NOT_FOUND, TCP_REFUSAL_HOST, "onion-not-found"},
    {SOCKS_ONION_INVALID, TCP_REFUSAL_HOST, "onion-invalid"},
    {SOCKS_ONION_INTRO_FAILED, TCP_REFUSAL_HOST, "onion-intro-failed"},
    {SOCKS_ONION_REND_FAILED, TCP_REFUSAL_HOST, "onion-rend-failed"},
    /* It wants a client key that this Tor does not have, or has wrong. */
    {SOCKS_ONION_NO_AUTH, TCP_REFUSAL_PROHIBITED, "onion-no-auth"},
    {SOCKS_ONION_BAD_AUTH, TCP_REFUSAL_PROHIBITED, "onion-bad-auth"},
    /* No onion address: wrong length, checksum or key. */
    {SOCKS_ONION_BAD_ADDRESS, TCP_REFUSAL_HOST, "onion-bad-address"},
    {SOCKS_ONION_INTRO_TIMEOUT, TCP_REFUSAL_SILENT, "onion-timeout"},
    /* Any other. */
    {0xff, TCP_REFUSAL_NET, "other"},
};

unsigned socks_code_index(uint8_t code)
{
    unsigned i = 0;
    while (i < SOCKS_CODE_COUNT - 1 && codes[i].code != code)
        i++;
    return i;
}

const char *socks_code_name(unsigned index)
{
    return codes[index < SOCKS_CODE_COUNT ? index : SOCKS_CODE_COUNT - 1].name;
}

enum tcp_refusal socks_code_refusal(uint8_t code)
{
    return (enum tcp_refusal)codes[socks_code_index(code)].refusal;
}

uint8_t socks_code_plain(uint8_t code)
{
    if (code < SOCKS_ONION_NOT_FOUND)
        return code;
    switch (socks_code_refusal(code)) {
    case TCP_REFUSAL_HOST:
        return SOCKS_HOST_UNREACHABLE;
    case TCP_REFUSAL_PROHIBITED:
        return SOCKS_NOT_ALLOWED;
    case TCP_REFUSAL_SILENT:
        return SOCKS_TTL_EXPIRED;
    default:
        return SOCKS_GENERAL_FAILURE;
    }
}
