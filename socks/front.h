/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server's side of the handshakes that applications speak to the ports on the gateway's address: SOCKS5 (RFC 1928,
 * RFC 1929), SOCKS4 and 4a with Tor's RESOLVE and RESOLVE_PTR, and HTTP CONNECT (RFC 9110 9.3.6). Sans-IO.
 *
 * Why they are spoken here, and not by listeners of Tor's own to which the bytes are passed: Tor takes all clients of a
 * pathname socket for one, so what keeps workstations and ports apart has to stand in the credentials, and a client that
 * says its own would take their place. Nothing that a client says is passed on as it came: a request is taken apart, every
 * length and byte of it checked, and a new one is written from the result (handshake.h), with a credential that is a keyed
 * hash over who asks, at which port, with which credentials of his own (isolation.h). His own set him apart further, and
 * never join him to another. And no listener is needed for each port and workstation.
 *
 * A front takes bytes up to the end of the request and not one more, in whatever pieces they come. What it has to say is
 * in `out` until it is taken; it is never more than fits, because nobody gets a second answer before his next request.
 */
#ifndef CLOISTER_SOCKS_FRONT_H
#define CLOISTER_SOCKS_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/bytes.h"
#include "base/ipaddr.h"
#include "socks/handshake.h"

#define FRONT_OUT_MAX 288u      /* two short answers, then one with the longest name */
#define FRONT_AUTH_MAX 520u     /* bytes of what a client calls himself */
#define FRONT_LINE_MAX 1024u    /* bytes of a line of HTTP */
#define FRONT_HEADERS_MAX 8192u /* and of all lines together */
#define FRONT_LINES_MAX 64u     /* and how many they may be */

enum front_kind {
    FRONT_SOCKS, /* the first byte tells the version */
    FRONT_HTTP,
};

/* What a client asks for. */
struct front_request {
    enum socks_command command;
    char name[SOCKS_NAME_MAX + 1]; /* as socks_name_valid() wants it, without a dot at the end; empty: `addr` */
    struct ipaddr addr;            /* also where the name was an address, written out */
    uint16_t port;                 /* host order, not 0 but for RESOLVE and RESOLVE_PTR */
    uint16_t auth_len;             /* 0: he has no credentials */
    uint8_t auth[FRONT_AUTH_MAX];  /* no two different credentials look the same here */
};

struct front {
    uint8_t kind;    /* enum front_kind */
    uint8_t phase;   /* internal */
    bool extended;   /* the client knows Tor's own codes; for the owner to set */
    uint8_t version; /* of SOCKS: 4 or 5 */
    uint8_t command; /* as it came */
    uint8_t type;    /* ATYP */
    uint8_t want;    /* internal: bytes or methods that are still to come; of an address, all of them */
    bool password;   /* a client of SOCKS5 who can say who he is */
    bool any;        /* and one who need not */
    bool cr;         /* HTTP: the last byte was one */
    uint8_t lines;   /* HTTP: so far */
    uint16_t len;    /* bytes of `line` */
    uint16_t total;  /* HTTP: bytes so far */
    uint16_t out_len;
    uint8_t out[FRONT_OUT_MAX]; /* what is to be said and was not taken yet */
    struct front_request request;
    uint8_t line[FRONT_LINE_MAX];
};

void front_init(struct front *front, enum front_kind kind);

/* Take bytes from `in`. 0: more are wanted, all that were there are taken. 1: front->request is complete, and what is left
 * in `in` is for whom it asks for; answer with front_answer(). Negative errno: he is refused; when `out` is taken, close.
 * -EPROTO: he does not speak as he should; -EOPNOTSUPP: he wants what is not to be had; -EINVAL: what he asks for cannot
 * be. After anything but 0 it takes no more. */
int front_feed(struct front *front, struct bytes *in);

/* Say how the request ended: `code` is Tor's (enum socks_code), `bound` the address that came with it, or NULL. */
void front_answer(struct front *front, uint8_t code, const struct socks_bound *bound);

/* Move what there is to say into `iov`. Returns the bytes. */
size_t front_take(struct front *front, const struct iovec *iov, int count);

/* For the files that speak: add to what there is to say. */
void front_say(struct front *front, const void *data, size_t n);

/* Take `text` of `n` bytes for the name or address that is asked for. 0, or -EINVAL if it is neither. */
int front_set_name(struct front_request *request, const char *text, size_t n);

/* front_socks.c, front_http.c: one byte, and the last answer. */
int front_socks_byte(struct front *front, uint8_t byte);
void front_socks_answer(struct front *front, uint8_t code, const struct socks_bound *bound);
int front_http_byte(struct front *front, uint8_t byte);
void front_http_answer(struct front *front, uint8_t code);

#endif
