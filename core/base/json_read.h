/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading JSON (RFC 8259): a view of a text that was checked as a whole first, without a copy and without memory.
 */
#ifndef CLOISTER_BASE_JSON_READ_H
#define CLOISTER_BASE_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 8u /* objects and arrays in one another */

enum json_type {
    JSON_NOTHING, /* no value */
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_value {
    enum json_type type;
    const char *at; /* in the text, with quotes or brackets */
    size_t len;
};

/* Check a text of one value. False if it is none, or goes too deep. */
bool json_parse(const char *text, size_t len, struct json_value *out);

/* A member of an object; JSON_NOTHING if it has none of this name, or is no object. Names with escapes are not found. */
struct json_value json_member(const struct json_value *object, const char *key);

/* The member of an object after the one whose name is *name (JSON_NOTHING: the first). False at the end. */
bool json_next_member(const struct json_value *object, struct json_value *name, struct json_value *value);

/* The element of an array after *element (JSON_NOTHING: the first). False at the end. */
bool json_element(const struct json_value *array, struct json_value *element);

/* A string without its escapes, cut to `size` and terminated. What is not printable ASCII comes out as '?'. Empty for any
 * other value. Returns `out`. */
const char *json_string(const struct json_value *value, char *out, size_t size);

/* A number without sign, fraction and exponent; 0 for any other value. */
uint64_t json_unsigned(const struct json_value *value);

#endif
