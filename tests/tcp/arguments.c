/* SPDX-License-Identifier: BSD-3-Clause */
#include "arguments.h"

#include <errno.h>
#include <string.h>

int64_t arg_number(const struct script *s, char **w, unsigned count, unsigned k)
{
    return expr_value(&s->names, &s->where, k < count ? w[k] : NULL);
}

const char *arg_option(char **w, unsigned count, const char *name)
{
    for (unsigned k = 1; k + 1 < count; k++)
        if (strcmp(w[k], name) == 0)
            return w[k + 1];
    return NULL;
}

bool arg_has(char **w, unsigned count, const char *name)
{
    for (unsigned k = 1; k < count; k++)
        if (strcmp(w[k], name) == 0)
            return true;
    return false;
}

unsigned arg_choose(const struct script *s, char **w, unsigned count, unsigned k, const char *const *names)
{
    if (k >= count)
        fail_at(&s->where, "a word is missing after %s", w[count - 1]);
    for (unsigned i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], w[k]) == 0)
            return i;
    fail_at(&s->where, "not known here: %s", w[k]);
}

int arg_error(const struct script *s, char **w, unsigned count, unsigned k)
{
    static const char *const names[] = {"EACCES", "EPIPE",     "ECONNRESET",   "ECONNREFUSED", "ENOBUFS", "EAGAIN",
                                        "none",   "ETIMEDOUT", "EHOSTUNREACH", "EADDRINUSE",   "EINVAL",  NULL};
    static const int values[] = {EACCES, EPIPE,     ECONNRESET,   ECONNREFUSED, ENOBUFS, EAGAIN,
                                 0,      ETIMEDOUT, EHOSTUNREACH, EADDRINUSE,   EINVAL};
    return -values[arg_choose(s, w, count, k, names)];
}

void arg_compare(const struct script *s, const char *what, char **w, unsigned count, unsigned k, int64_t seen)
{
    if (k >= count)
        fail_at(&s->where, "a number is missing");
    const char *text = w[k];
    char op = strchr("=<>!", *text) != NULL ? *text++ : '=';
    int64_t v = expr_value(&s->names, &s->where, text);
    if (op == '=' ? seen != v : op == '<' ? seen >= v : op == '>' ? seen <= v : seen == v)
        fail_at(&s->where, "%s: expected %s, seen %lld", what, w[k], (long long)seen);
}
