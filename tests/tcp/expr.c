/* SPDX-License-Identifier: BSD-3-Clause */
#include "expr.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void names_set(struct names *names, const struct where *where, const char *name, int64_t value)
{
    unsigned k = 0;
    while (k < names->count && strcmp(names->of[k].name, name) != 0)
        k++;
    if (k == EXPR_NAMES_MAX || strlen(name) >= sizeof(names->of[0].name))
        fail_at(where, "too many names, or one too long: %s", name);
    if (k == names->count) {
        names->count++;
        memcpy(names->of[k].name, name, strlen(name) + 1);
    }
    names->of[k].value = value;
}

static int64_t read_name(const struct names *names, const struct where *where, const char **text)
{
    size_t n = 0;
    while (isalnum((unsigned char)(*text)[n]) || (*text)[n] == '_')
        n++;
    for (unsigned k = 0; k < names->count; k++) {
        if (strlen(names->of[k].name) == n && strncmp(names->of[k].name, *text, n) == 0) {
            *text += n;
            return names->of[k].value;
        }
    }
    fail_at(where, "no such name: %.*s", (int)n, *text);
}

static int64_t read_atom(const struct names *names, const struct where *where, const char **text)
{
    if (**text == '(') {
        (*text)++;
        int64_t v = expr_read(names, where, text);
        if (**text != ')')
            fail_at(where, "a ) is missing before: %s", *text);
        (*text)++;
        return v;
    }
    if (isdigit((unsigned char)**text)) {
        char *end;
        int64_t v = strtoll(*text, &end, 0);
        *text = end;
        return v;
    }
    if (isalpha((unsigned char)**text))
        return read_name(names, where, text);
    fail_at(where, "a number is expected here: \"%s\"", *text);
}

static int64_t read_product(const struct names *names, const struct where *where, const char **text)
{
    int64_t v = read_atom(names, where, text);
    while (**text == '*' || **text == '/' || **text == '%') {
        char op = *(*text)++;
        int64_t w = read_atom(names, where, text);
        if (op != '*' && w == 0)
            fail_at(where, "a division by zero");
        v = op == '*' ? v * w : op == '/' ? v / w : v % w;
    }
    return v;
}

int64_t expr_read(const struct names *names, const struct where *where, const char **text)
{
    int64_t v = 0;
    if (**text != '-')
        v = read_product(names, where, text);
    while (**text == '+' || **text == '-') {
        char op = *(*text)++;
        int64_t w = read_product(names, where, text);
        v = op == '+' ? v + w : v - w;
    }
    return v;
}

int64_t expr_value(const struct names *names, const struct where *where, const char *text)
{
    if (text == NULL)
        fail_at(where, "a number is missing");
    int64_t v = expr_read(names, where, &text);
    if (*text != 0)
        fail_at(where, "this does not belong to a number: %s", text);
    return v;
}

uint64_t expr_time(const struct names *names, const struct where *where, const char **text)
{
    if (*text == NULL)
        fail_at(where, "a time is missing");
    int64_t v = expr_read(names, where, text);
    static const struct {
        const char *name;
        int64_t us;
    } unit[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}};
    for (unsigned k = 0; k < 3; k++) {
        size_t n = strlen(unit[k].name);
        if (strncmp(*text, unit[k].name, n) == 0 && v >= 0) {
            *text += n;
            return (uint64_t)(v * unit[k].us);
        }
    }
    fail_at(where, "a time needs a unit, us, ms or s: %s", *text);
}
