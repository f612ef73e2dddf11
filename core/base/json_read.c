/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/json_read.h"

#include <string.h>

struct cursor {
    const char *at;
    const char *end;
};

static void skip_blank(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static bool take(struct cursor *c, char want)
{
    if (c->at == c->end || *c->at != want)
        return false;
    c->at++;
    return true;
}

static bool take_word(struct cursor *c, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0)
        return false;
    c->at += n;
    return true;
}

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

static int hex_digit(char ch)
{
    return is_digit(ch)             ? ch - '0'
           : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
           : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10
                                    : -1;
}

static bool take_digits(struct cursor *c)
{
    const char *from = c->at;
    while (c->at < c->end && is_digit(*c->at))
        c->at++;
    return c->at > from;
}

static bool take_number(struct cursor *c)
{
    take(c, '-');
    if (!take(c, '0') && !take_digits(c))
        return false;
    if (take(c, '.') && !take_digits(c))
        return false;
    if (take(c, 'e') || take(c, 'E')) {
        if (!take(c, '+'))
            take(c, '-');
        return take_digits(c);
    }
    return true;
}

static bool take_string(struct cursor *c)
{
    if (!take(c, '"'))
        return false;
    while (c->at < c->end && *c->at != '"') {
        if ((unsigned char)*c->at < 0x20)
            return false;
        if (*c->at++ != '\\')
            continue;
        if (c->at == c->end)
            return false;
        char kind = *c->at++;
        for (unsigned i = 0; kind == 'u' && i < 4; i++) {
            if (c->at == c->end || hex_digit(*c->at++) < 0)
                return false;
        }
        if (strchr("\"\\/bfnrtu", kind) == NULL || kind == '\0')
            return false;
    }
    return take(c, '"');
}

static bool take_value(struct cursor *c, unsigned depth, struct json_value *out);

/* The inside of an object or an array. */
static bool take_members(struct cursor *c, unsigned depth, bool named, char closing)
{
    struct json_value ignored;
    skip_blank(c);
    if (take(c, closing))
        return true;
    do {
        skip_blank(c);
        if (named && !take_string(c))
            return false;
        skip_blank(c);
        if (named && !take(c, ':'))
            return false;
        if (!take_value(c, depth, &ignored))
            return false;
        skip_blank(c);
    } while (take(c, ','));
    return take(c, closing);
}

static bool take_value(struct cursor *c, unsigned depth, struct json_value *out)
{
    skip_blank(c);
    *out = (struct json_value){.at = c->at};
    bool good = false;
    if (c->at == c->end)
        return false;
    switch (*c->at) {
    case '{':
    case '[':
        out->type = *c->at == '{' ? JSON_OBJECT : JSON_ARRAY;
        c->at++;
        good = depth < JSON_DEPTH_MAX &&
               take_members(c, depth + 1, out->type == JSON_OBJECT, out->type == JSON_OBJECT ? '}' : ']');
        break;
    case '"':
        out->type = JSON_STRING;
        good = take_string(c);
        break;
    case 't':
        out->type = JSON_TRUE;
        good = take_word(c, "true");
        break;
    case 'f':
        out->type = JSON_FALSE;
        good = take_word(c, "false");
        break;
    case 'n':
        out->type = JSON_NULL;
        good = take_word(c, "null");
        break;
    default:
        out->type = JSON_NUMBER;
        good = take_number(c);
    }
    out->len = (size_t)(c->at - out->at);
    return good;
}

bool json_parse(const char *text, size_t len, struct json_value *out)
{
    struct cursor c = {text, text + len};
    if (!take_value(&c, 0, out))
        return false;
    skip_blank(&c);
    return c.at == c.end;
}

bool json_next_member(const struct json_value *object, struct json_value *name, struct json_value *value)
{
    if (object->type != JSON_OBJECT)
        return false;
    struct cursor c = {object->at + 1, object->at + object->len - 1};
    if (name->type != JSON_NOTHING) {
        c.at = value->at + value->len;
        skip_blank(&c);
        if (!take(&c, ','))
            return false;
    }
    skip_blank(&c);
    *name = (struct json_value){.type = JSON_STRING, .at = c.at};
    if (!take_string(&c))
        return false;
    name->len = (size_t)(c.at - name->at);
    skip_blank(&c);
    return take(&c, ':') && take_value(&c, 0, value);
}

struct json_value json_member(const struct json_value *object, const char *key)
{
    struct json_value name = {.type = JSON_NOTHING}, value;
    size_t n = strlen(key);
    while (json_next_member(object, &name, &value)) {
        if (name.len == n + 2 && memcmp(name.at + 1, key, n) == 0)
            return value;
    }
    return (struct json_value){.type = JSON_NOTHING};
}

bool json_element(const struct json_value *array, struct json_value *element)
{
    if (array->type != JSON_ARRAY)
        return false;
    struct cursor c = {array->at + 1, array->at + array->len - 1};
    if (element->type != JSON_NOTHING) {
        c.at = element->at + element->len;
        skip_blank(&c);
        if (!take(&c, ','))
            return false;
    }
    return take_value(&c, 0, element);
}

/* One escape, after its backslash. */
static char unescape(struct cursor *c)
{
    char kind = *c->at++;
    unsigned code = 0;
    for (unsigned i = 0; kind == 'u' && i < 4; i++)
        code = code << 4 | (unsigned)hex_digit(*c->at++);
    if (kind == 'u')
        return code < 0x7f ? (char)code : '?';
    return strchr("bfnrt", kind) != NULL ? '?' : kind;
}

const char *json_string(const struct json_value *value, char *out, size_t size)
{
    size_t n = 0;
    struct cursor c = {value->at, value->at};
    if (value->type == JSON_STRING)
        c = (struct cursor){value->at + 1, value->at + value->len - 1};
    while (c.at < c.end && n + 1 < size) {
        char ch = *c.at++;
        if (ch == '\\')
            ch = unescape(&c);
        out[n++] = (unsigned char)ch < 0x20 || (unsigned char)ch > 0x7e ? '?' : ch;
    }
    out[n] = '\0';
    return out;
}

uint64_t json_unsigned(const struct json_value *value)
{
    uint64_t number = 0;
    if (value->type != JSON_NUMBER)
        return 0;
    for (size_t i = 0; i < value->len; i++) {
        uint64_t digit = (uint64_t)(value->at[i] - '0');
        if (!is_digit(value->at[i]) || number > (UINT64_MAX - digit) / 10)
            return 0;
        number = number * 10 + digit;
    }
    return number;
}
