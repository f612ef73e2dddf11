/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A byte decides each time, and each that may have only one value is held to it:
 *
 *     VERSION --05--> COUNT --> METHODS --02 among them--> AUTH --> USER_LEN --> USER --> PASS_LEN --> PASS --+
 *       |                          +-------00------------> REQUEST <------------------------------------------+
 *       |                                                    05 --> COMMAND --> RESERVED --> TYPE --> [LEN] --> ADDRESS
 *       +--04--> COMMAND4 --> ADDRESS4 (port and address) --> USER4 --> [NAME4]
 *
 * A client who offers both ways is asked for his credentials, as Tor would, because he has some. The answers go out as
 * Tor's do: one for the methods, one for the credentials, one for the request.
 *
 * Commands: CONNECT, RESOLVE, RESOLVE_PTR. Others (BIND, UDP ASSOCIATE) get what Tor says to them, "command not
 * supported". Names as addresses of SOCKS4a; SOCKS4 knows two answers only.
 */
#include "socks/front.h"

#include <errno.h>
#include <string.h>

enum {
    VERSION_4 = 0x04,
    GRANTED_4 = 0x5a,
    REJECTED_4 = 0x5b,
};

enum phase {
    PHASE_VERSION,
    PHASE_COUNT,
    PHASE_METHODS,
    PHASE_AUTH,
    PHASE_USER_LEN,
    PHASE_USER,
    PHASE_PASS_LEN,
    PHASE_PASS,
    PHASE_REQUEST,
    PHASE_COMMAND,
    PHASE_RESERVED,
    PHASE_TYPE,
    PHASE_LEN,
    PHASE_ADDRESS,
    PHASE_COMMAND4,
    PHASE_ADDRESS4,
    PHASE_USER4,
    PHASE_NAME4,
    PHASE_DONE,
};

static void answer5(struct front *front, uint8_t code)
{
    const uint8_t answer[10] = {SOCKS_VERSION_5, code, 0, SOCKS_ATYP_IPV4};
    front_say(front, answer, sizeof(answer));
}

static void answer4(struct front *front, uint8_t code)
{
    const uint8_t answer[8] = {0, code};
    front_say(front, answer, sizeof(answer));
}

static int refuse(struct front *front, uint8_t code, int error)
{
    front_socks_answer(front, code, NULL);
    front->phase = PHASE_DONE;
    return error;
}

/* Not a word of SOCKS. A browser that was told a wrong kind of proxy shall say so to who sits before it. */
static int refuse_stranger(struct front *front, uint8_t byte)
{
    static const char http[] = "HTTP/1.0 501 This is a SOCKS port, not an HTTP proxy\r\n\r\n";
    if (byte >= 'A' && byte <= 'Z')
        front_say(front, http, sizeof(http) - 1);
    front->phase = PHASE_DONE;
    return -EPROTO;
}

static int choose_method(struct front *front)
{
    uint8_t answer[2] = {SOCKS_VERSION_5, front->password ? SOCKS_METHOD_PASSWORD
                                          : front->any    ? SOCKS_METHOD_NONE
                                                          : SOCKS_METHOD_REFUSED};
    front_say(front, answer, sizeof(answer));
    front->phase = front->password ? PHASE_AUTH : front->any ? PHASE_REQUEST : PHASE_DONE;
    return front->phase == PHASE_DONE ? -EOPNOTSUPP : 0;
}

static void add_auth(struct front *front, uint8_t byte)
{
    front->request.auth[front->request.auth_len++] = byte;
}

/* Usernames that begin so are Tor's own (proposal 351), and format 0, which isolates, is the only one that there is. */
static bool username_is_reserved(const struct front *front)
{
    static const char begin[] = "<torS0X>";
    const uint8_t *user = front->request.auth + 2; /* after '5' and the length */
    size_t n = front->request.auth[1];
    if (n < sizeof(begin) - 1 || memcmp(user, begin, sizeof(begin) - 1) != 0)
        return false;
    return n != sizeof(begin) || user[n - 1] != '0';
}

static int credentials_done(struct front *front)
{
    const uint8_t answer[2] = {SOCKS_VERSION_AUTH, username_is_reserved(front)};
    front_say(front, answer, sizeof(answer));
    front->phase = answer[1] != 0 ? PHASE_DONE : PHASE_REQUEST;
    return answer[1] != 0 ? -EOPNOTSUPP : 0;
}

static bool command_is_known(uint8_t command)
{
    return command == SOCKS_CONNECT || command == SOCKS_RESOLVE || command == SOCKS_RESOLVE_PTR;
}

/* Everything is there. */
static int finish(struct front *front)
{
    struct front_request *r = &front->request;
    r->command = (enum socks_command)front->command;
    front->phase = PHASE_DONE;
    if (r->command == SOCKS_CONNECT && r->port == 0)
        return refuse(front, SOCKS_GENERAL_FAILURE, -EINVAL);
    if (r->command == SOCKS_RESOLVE_PTR && r->name[0] != '\0')
        return refuse(front, SOCKS_ADDRESS_UNSUPPORTED, -EINVAL);
    return 1;
}

/* Address and port of SOCKS5, as long as its type says. */
static int take_address5(struct front *front)
{
    struct front_request *r = &front->request;
    size_t n = front->len - 2u;
    r->port = be16_load(front->line + n);
    if (front->type == SOCKS_ATYP_IPV4)
        r->addr = ipaddr_v4(front->line);
    else if (front->type == SOCKS_ATYP_IPV6)
        memcpy(r->addr.b, front->line, sizeof(r->addr.b));
    else if (front_set_name(r, (const char *)front->line, n) != 0)
        return refuse(front, SOCKS_GENERAL_FAILURE, -EINVAL);
    return finish(front);
}

static int take_type(struct front *front, uint8_t type)
{
    front->type = type;
    front->len = 0;
    front->phase = type == SOCKS_ATYP_NAME ? PHASE_LEN : PHASE_ADDRESS;
    front->want = type == SOCKS_ATYP_IPV4 ? 4 : 16;
    if (!command_is_known(front->command))
        return refuse(front, SOCKS_COMMAND_UNSUPPORTED, -EOPNOTSUPP);
    if (type != SOCKS_ATYP_IPV4 && type != SOCKS_ATYP_NAME && type != SOCKS_ATYP_IPV6)
        return refuse(front, SOCKS_ADDRESS_UNSUPPORTED, -EOPNOTSUPP);
    return 0;
}

/* The same of SOCKS4: 0.0.0.x, x not 0, says that a name follows what he calls himself. */
static bool has_name4(const struct front *front)
{
    const uint8_t *a = front->request.addr.b + 12;
    return a[0] == 0 && a[1] == 0 && a[2] == 0 && a[3] != 0;
}

static int user4_done(struct front *front)
{
    struct front_request *r = &front->request;
    if (r->auth_len == 1)
        r->auth_len = 0; /* no name is none */
    front->len = 0;
    front->phase = PHASE_NAME4;
    return has_name4(front) ? 0 : finish(front);
}

int front_socks_byte(struct front *front, uint8_t byte)
{
    struct front_request *r = &front->request;
    switch ((enum phase)front->phase) {
    case PHASE_VERSION:
        if (byte != VERSION_4 && byte != SOCKS_VERSION_5)
            return refuse_stranger(front, byte);
        front->version = byte;
        front->phase = byte == SOCKS_VERSION_5 ? PHASE_COUNT : PHASE_COMMAND4;
        return 0;
    case PHASE_COUNT:
        front->want = byte;
        front->phase = PHASE_METHODS;
        return byte == 0 ? choose_method(front) : 0;
    case PHASE_METHODS:
        front->password = front->password || byte == SOCKS_METHOD_PASSWORD;
        front->any = front->any || byte == SOCKS_METHOD_NONE;
        return --front->want == 0 ? choose_method(front) : 0;
    case PHASE_AUTH:
        front->phase = PHASE_USER_LEN;
        if (byte == SOCKS_VERSION_AUTH)
            return 0;
        front->phase = PHASE_DONE;
        return -EPROTO;
    case PHASE_USER_LEN:
    case PHASE_PASS_LEN:
        if (front->phase == PHASE_USER_LEN)
            add_auth(front, '5');
        add_auth(front, byte);
        front->want = byte;
        front->phase++;
        if (byte > 0)
            return 0;
        if (front->phase == PHASE_PASS)
            return credentials_done(front);
        front->phase = PHASE_PASS_LEN;
        return 0;
    case PHASE_USER:
    case PHASE_PASS:
        add_auth(front, byte);
        if (--front->want > 0)
            return 0;
        if (front->phase == PHASE_PASS)
            return credentials_done(front);
        front->phase = PHASE_PASS_LEN;
        return 0;
    case PHASE_REQUEST:
        front->phase = PHASE_COMMAND;
        return byte == SOCKS_VERSION_5 ? 0 : refuse(front, SOCKS_GENERAL_FAILURE, -EPROTO);
    case PHASE_COMMAND:
        front->command = byte;
        front->phase = PHASE_RESERVED;
        return 0;
    case PHASE_RESERVED:
        front->phase = PHASE_TYPE;
        return byte == 0 ? 0 : refuse(front, SOCKS_GENERAL_FAILURE, -EPROTO);
    case PHASE_TYPE:
        return take_type(front, byte);
    case PHASE_LEN:
        if (byte == 0)
            return refuse(front, SOCKS_GENERAL_FAILURE, -EINVAL);
        front->want = byte;
        front->phase = PHASE_ADDRESS;
        return 0;
    case PHASE_ADDRESS: {
        const unsigned whole = front->want + 2u;
        front->line[front->len++] = byte;
        return front->len == whole ? take_address5(front) : 0;
    }
    case PHASE_COMMAND4:
        front->command = byte;
        front->phase = PHASE_ADDRESS4;
        return command_is_known(byte) ? 0 : refuse(front, SOCKS_COMMAND_UNSUPPORTED, -EOPNOTSUPP);
    case PHASE_ADDRESS4:
        front->line[front->len++] = byte;
        if (front->len < 6)
            return 0;
        r->port = be16_load(front->line);
        r->addr = ipaddr_v4(front->line + 2);
        add_auth(front, '4');
        front->phase = PHASE_USER4;
        return 0;
    case PHASE_USER4:
        if (byte == 0)
            return user4_done(front);
        if (r->auth_len > SOCKS_CREDENTIAL_MAX)
            return refuse(front, SOCKS_GENERAL_FAILURE, -EINVAL);
        add_auth(front, byte);
        return 0;
    case PHASE_NAME4:
        if (byte != 0) {
            front->line[front->len++] = byte;
            return front->len <= SOCKS_NAME_MAX ? 0 : refuse(front, SOCKS_GENERAL_FAILURE, -EINVAL);
        }
        if (front_set_name(r, (const char *)front->line, front->len) != 0)
            return refuse(front, SOCKS_GENERAL_FAILURE, -EINVAL);
        return finish(front);
    case PHASE_DONE:
        break;
    }
    return -EPROTO;
}

/* The address that came, if it can be told: SOCKS4 has room for one of IPv4. */
static void answer4_bound(struct front *front, const struct socks_bound *bound)
{
    uint8_t answer[8] = {0, GRANTED_4};
    if (bound != NULL && bound->type == SOCKS_ATYP_IPV4 && bound->len == 4)
        memcpy(answer + 4, bound->host, 4);
    else if (front->request.command == SOCKS_RESOLVE || front->request.command == SOCKS_RESOLVE_PTR)
        answer[1] = REJECTED_4;
    front_say(front, answer, sizeof(answer));
}

static void answer5_bound(struct front *front, const struct socks_bound *bound)
{
    uint8_t answer[4 + 1 + 255 + 2] = {SOCKS_VERSION_5, SOCKS_SUCCEEDED, 0, bound->type};
    size_t n = 4;
    if (bound->type == SOCKS_ATYP_NAME)
        answer[n++] = bound->len;
    memcpy(answer + n, bound->host, bound->len);
    n += bound->len;
    front_say(front, answer, n + 2);
}

void front_socks_answer(struct front *front, uint8_t code, const struct socks_bound *bound)
{
    const bool told = bound != NULL && bound->type != 0;
    if (front->version == VERSION_4 && code == SOCKS_SUCCEEDED)
        answer4_bound(front, bound);
    else if (front->version == VERSION_4)
        answer4(front, REJECTED_4);
    else if (code == SOCKS_SUCCEEDED && told)
        answer5_bound(front, bound);
    else
        answer5(front, front->extended ? code : socks_code_plain(code));
}
