/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SOCKS5 client's side of the wire (RFC 1928, RFC 1929, and Tor's extensions), sans-IO.
 *
 * The whole of what a client says goes out in one piece, before the server has said anything. What comes back is
 * parsed as it comes, and how many bytes may be read without touching the stream behind them is always known.
 */
#ifndef CLOISTER_SOCKS_HANDSHAKE_H
#define CLOISTER_SOCKS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "tcp/engine.h"

enum socks_command {
    SOCKS_CONNECT = 0x01,
    SOCKS_RESOLVE = 0xf0,     /* Tor: name to address */
    SOCKS_RESOLVE_PTR = 0xf1, /* Tor: address to name */
};

/* What the server can say (RFC 1928 section 6; 0xf0 to 0xf7 with Tor's ExtendedErrors), and what we say for it when
 * it spoke nonsense or not at all. */
enum socks_code {
    SOCKS_SUCCEEDED = 0x00,
    SOCKS_GENERAL_FAILURE = 0x01,
    SOCKS_NOT_ALLOWED = 0x02,
    SOCKS_NET_UNREACHABLE = 0x03,
    SOCKS_HOST_UNREACHABLE = 0x04,
    SOCKS_CONNECTION_REFUSED = 0x05,
    SOCKS_TTL_EXPIRED = 0x06,
    SOCKS_COMMAND_UNSUPPORTED = 0x07,
    SOCKS_ADDRESS_UNSUPPORTED = 0x08,
    SOCKS_ONION_NOT_FOUND = 0xf0,
    SOCKS_ONION_INVALID = 0xf1,
    SOCKS_ONION_INTRO_FAILED = 0xf2,
    SOCKS_ONION_REND_FAILED = 0xf3,
    SOCKS_ONION_NO_AUTH = 0xf4,
    SOCKS_ONION_BAD_AUTH = 0xf5,
    SOCKS_ONION_BAD_ADDRESS = 0xf6,
    SOCKS_ONION_INTRO_TIMEOUT = 0xf7,
};

/* Versions and methods of authentication (RFC 1928, RFC 1929). */
enum {
    SOCKS_VERSION_5 = 0x05,
    SOCKS_VERSION_AUTH = 0x01,
    SOCKS_METHOD_NONE = 0x00,
    SOCKS_METHOD_PASSWORD = 0x02,
    SOCKS_METHOD_REFUSED = 0xff,
};

/* Types of addresses. */
enum {
    SOCKS_ATYP_IPV4 = 0x01,
    SOCKS_ATYP_NAME = 0x03,
    SOCKS_ATYP_IPV6 = 0x04,
};

#define SOCKS_NAME_MAX 255u
#define SOCKS_CREDENTIAL_MAX 255u
/* Greeting, both credentials and a request with the longest name. */
#define SOCKS_REQUEST_MAX (3u + 3u + 2u * SOCKS_CREDENTIAL_MAX + 7u + SOCKS_NAME_MAX)

/* What to ask for. */
struct socks_request {
    enum socks_command command;
    const char *username; /* 1 to 255 bytes, NUL-terminated */
    const char *password; /* likewise */
    const char *name;     /* 1 to 255 bytes, NUL-terminated, as socks_name_valid() wants it; or NULL: `addr` */
    struct ipaddr addr;   /* IPv4 goes out as ATYP 1, IPv6 as ATYP 4 */
    uint16_t port;        /* host order */
};

/* True if Tor takes `name` for a host name: labels of letters, digits, "-" and "_" that begin with a letter or a
 * digit, and perhaps a dot at the end. What it does not take it refuses with a line in its log each time, so a
 * workstation could fill that; and no other byte of a workstation's choice should reach Tor's log or control
 * connection. */
bool socks_name_valid(const char *name);

/* Write greeting, username/password and request. Returns the bytes written, or -EINVAL if a string is empty, too
 * long or no name, or -ENOBUFS if `size` is too small (SOCKS_REQUEST_MAX always suffices). */
ssize_t socks_request_write(const struct socks_request *request, uint8_t *out, size_t size);

/* Where the parser of the answers is. Zeroed at the start. */
struct socks_reply {
    uint8_t phase; /* internal */
    uint8_t code;  /* enum socks_code, once socks_reply_feed() returned 1 */
    uint16_t left; /* bytes of address and port that are still to come */
};

/* The address of a reply; of interest after RESOLVE and RESOLVE_PTR. */
struct socks_bound {
    uint8_t type;      /* SOCKS_ATYP_IPV4 (4 bytes), _NAME or _IPV6 (16 bytes); 0: none came */
    uint8_t len;       /* bytes of `host` so far, then in all */
    uint8_t host[255]; /* address in network order, or name, not terminated */
};

/* How many bytes can be read now without reading beyond the end of the reply: 1 to 257; 0 when it is complete. */
size_t socks_reply_want(const struct socks_reply *reply);

/* Take `n` bytes, at most socks_reply_want(). `bound` may be NULL. Returns 0 if more is to come, 1 when the server
 * has answered (reply->code says how; no more is read after an answer other than SOCKS_SUCCEEDED), -EPROTO if it
 * does not speak SOCKS5 as it must, -EACCES if it wants another authentication or refused this one. */
int socks_reply_feed(struct socks_reply *reply, const uint8_t *data, size_t n, struct socks_bound *bound);

/* Take as much of `n` bytes as is of the reply; *data and *n become what is behind it. As socks_reply_feed(). */
int socks_reply_take(struct socks_reply *reply, const uint8_t **data, size_t *n, struct socks_bound *bound);

/* What TCP tells the workstation for it. */
enum tcp_refusal socks_code_refusal(uint8_t code);

/* The code of RFC 1928 for one of Tor's own, about onion services; any other as it is. */
uint8_t socks_code_plain(uint8_t code);

/* A short name ("refused"), and the index of the code in an array of SOCKS_CODE_COUNT counters; unknown codes share
 * the last. */
#define SOCKS_CODE_COUNT 18u
const char *socks_code_name(unsigned index);
unsigned socks_code_index(uint8_t code);

#endif
