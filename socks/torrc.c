/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks/torrc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char blanks[] = " \t\r\n\v\f";

/* A line is a keyword and words: ClientTransportPlugin NAMES exec PATH ARGUMENTS, or NAMES socks5 ADDRESS. */
static bool line_starts_transport(char *line)
{
    static const char keyword[] = "ClientTransportPlugin";
    char *rest = line;
    line[strcspn(line, "#")] = '\0';
    const char *word = strtok_r(line, blanks, &rest);
    /* "+" and "/" before a keyword are Tor's way to add to what was said before, or to take it away. */
    if (word != NULL && word[0] == '+')
        word++;
    if (word == NULL || strcasecmp(word, keyword) != 0)
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

bool torrc_starts_transports(const char *path)
{
    FILE *file = fopen(path, "re");
    char *line = NULL, *whole = NULL;
    size_t size = 0, length = 0;
    bool found = false;
    ssize_t got;
    if (file == NULL)
        return false;
    while (!found && (got = getline(&line, &size, file)) >= 0) {
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
        found = line_starts_transport(whole);
        length = 0;
    }
    free(whole);
    free(line);
    fclose(file);
    return found;
}
