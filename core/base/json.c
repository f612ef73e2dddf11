/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/json.h"

#include <string.h>

void json_init(struct json *json, char *buffer, size_t size)
{
    *json = (struct json){.at = buffer, .size = size};
}

static void put(struct json *json, const char *text, size_t n)
{
    if (json->full || n > json->size - json->len) {
        json->full = true;
        return;
    }
    memcpy(json->at + json->len, text, n);
    json->len += n;
}

static void put_escaped(struct json *json, const char *text, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    put(json, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        if (c == '"' || c == '\\')
            put(json, (char[2]){'\\', (char)c}, 2);
        else if (c < 0x20 || c > 0x7e)
            put(json, escape, sizeof(escape));
        else
            put(json, text + i, 1);
    }
    put(json, "\"", 1);
}

/* What stands before a value. */
static void lead(struct json *json, const char *key)
{
    if (json->comma)
        put(json, ",", 1);
    json->comma = true;
    if (key != NULL) {
        put_escaped(json, key, strlen(key));
        put(json, ":", 1);
    }
}

void json_open(struct json *json, const char *key, char bracket)
{
    lead(json, key);
    put(json, &bracket, 1);
    json->comma = false;
}

void json_close(struct json *json, char bracket)
{
    put(json, &bracket, 1);
    json->comma = true;
}

void json_bytes(struct json *json, const char *key, const char *text, size_t n)
{
    lead(json, key);
    put_escaped(json, text, n);
}

void json_text(struct json *json, const char *key, const char *text)
{
    if (text == NULL)
        json_null(json, key);
    else
        json_bytes(json, key, text, strlen(text));
}

void json_number(struct json *json, const char *key, uint64_t number)
{
    char digits[20];
    size_t n = sizeof(digits);
    lead(json, key);
    do
        digits[--n] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    put(json, digits + n, sizeof(digits) - n);
}

void json_boolean(struct json *json, const char *key, bool value)
{
    lead(json, key);
    put(json, value ? "true" : "false", value ? 4 : 5);
}

void json_null(struct json *json, const char *key)
{
    lead(json, key);
    put(json, "null", 4);
}

void json_line(struct json *json)
{
    put(json, "\n", 1);
    json->comma = false;
}
