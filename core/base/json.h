/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON (RFC 8259) into a buffer of fixed size. What is written is plain ASCII whatever the strings hold: everything else
 * is escaped, so that it does nothing to a terminal either.
 */
#ifndef CLOISTER_BASE_JSON_H
#define CLOISTER_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
    char *at;    /* the buffer, borrowed */
    size_t size; /* bytes of it */
    size_t len;  /* bytes written */
    bool comma;  /* the next value needs one before it */
    bool full;   /* it did not fit: the last text is cut off */
};

void json_init(struct json *json, char *buffer, size_t size);

/* Begin or end an object '{' '}' or an array '[' ']'. `key` is NULL in an array and at the top, here and below. */
void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);

/* A string of `n` bytes of any content. Bytes above 0x7e are taken for Latin-1. */
void json_bytes(struct json *json, const char *key, const char *text, size_t n);

void json_text(struct json *json, const char *key, const char *text); /* NULL: null */
void json_number(struct json *json, const char *key, uint64_t number);
void json_boolean(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

/* End a line: what comes next is a text of its own. */
void json_line(struct json *json);

#endif
