/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks/torrc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char blanks[] = " \t\r\n\v\f";

/* The first word of a line, whose comment is cut off; *rest is what follows. NULL if there is none. "+" before a keyword is
 * Tor's way to add to what was said before ("/" takes it away). */
static const char *take_keyword(char *line, char **rest)
{
    *rest = line;
    line[strcspn(line, "#")] = '\0';
    const char *word = strtok_r(line, blanks, rest);
    return word != NULL && word[0] == '+' ? word + 1 : word;
}

/* A line is a keyword and words: ClientTransportPlugin NAMES exec PATH ARGUMENTS, or NAMES socks5 ADDRESS. */
static bool line_starts_transport(char *line)
{
    char *rest;
    const char *word = take_keyword(line, &rest);
    if (word == NULL || strcasecmp(word, "ClientTransportPlugin") != 0)
        return false;
    strtok_r(NULL, blanks, &rest);
    word = strtok_r(NULL, blanks, &rest);
    return word != NULL && strcasecmp(word, "exec") == 0;
}

/* A backslash at its end joins a line with the next. Put a blank in its place. True if it was there. */
static bool take_continuation(char *line, size_t *n)
{
    size_t end = *n;
    while (end > 0 && (line[end - 1] == '\n' || line[end - 1] == '\r'))
        end--;
    if (end == 0 || line[end - 1] != '\\')
        return false;
    line[end - 1] = ' ';
    line[end] = '\0';
    *n = end;
    return true;
}

/* A line ClientRejectInternalAddresses 0 or 1: 0 or 1; others: -1. */
static int line_rejects_internal(char *line)
{
    char *rest;
    const char *word = take_keyword(line, &rest);
    if (word == NULL || strcasecmp(word, "ClientRejectInternalAddresses") != 0)
        return -1;
    word = strtok_r(NULL, blanks, &rest);
    return word == NULL ? -1 : strcmp(word, "0") != 0;
}

/* Give each line to `look`, continuations joined, until it returns false. */
static void each_line(const char *path, bool (*look)(char *line, void *found), void *found)
{
    FILE *file = fopen(path, "re");
    char *line = NULL, *whole = NULL;
    size_t size = 0, length = 0;
    bool go_on = true;
    ssize_t got;
    if (file == NULL)
        return;
    while (go_on && (got = getline(&line, &size, file)) >= 0) {
        size_t n = (size_t)got;
        bool more = take_continuation(line, &n);
        char *longer = realloc(whole, length + n + 1);
        if (longer == NULL)
            break;
        whole = longer;
        memcpy(whole + length, line, n + 1);
        length += n;
        if (more)
            continue;
        go_on = look(whole, found);
        length = 0;
    }
    free(whole);
    free(line);
    fclose(file);
}

static bool look_for_transport(char *line, void *found)
{
    *(bool *)found = line_starts_transport(line);
    return !*(bool *)found;
}

static bool look_for_service(char *line, void *found)
{
    char *rest;
    const char *word = take_keyword(line, &rest);
    *(bool *)found =
        word != NULL && strcasecmp(word, "HiddenServiceDir") == 0 && strtok_r(NULL, blanks, &rest) != NULL;
    return !*(bool *)found;
}

static bool look_for_internal(char *line, void *found)
{
    int rejects = line_rejects_internal(line);
    if (rejects >= 0)
        *(bool *)found = rejects == 0; /* the last line counts */
    return true;
}

struct wanted {
    const char *keyword;
    bool found;
};

static bool look_for_keyword(char *line, void *found)
{
    struct wanted *wanted = found;
    char *rest;
    const char *word = take_keyword(line, &rest);
    wanted->found = word != NULL && strcasecmp(word, wanted->keyword) == 0;
    return !wanted->found;
}

bool torrc_starts_transports(const char *path)
{
    bool found = false;
    each_line(path, look_for_transport, &found);
    return found;
}

bool torrc_has_services(const char *path)
{
    bool found = false;
    each_line(path, look_for_service, &found);
    return found;
}

bool torrc_allows_internal(const char *path)
{
    bool found = false;
    each_line(path, look_for_internal, &found);
    return found;
}

bool torrc_says(const char *path, const char *keyword)
{
    struct wanted wanted = {.keyword = keyword};
    each_line(path, look_for_keyword, &wanted);
    return wanted.found;
}
