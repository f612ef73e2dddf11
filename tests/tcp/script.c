/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs one script against the engine, once over IPv4 and once over IPv6, in virtual time. README.md has the language.
 *
 * A line is a statement. Every statement first looks whether a segment left that no ">" asked for: a script says all
 * that happens, or fails.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "statement.h"

#define WORDS_MAX 64u
#define LOOPS_MAX 4u

static void run_line(struct script *s, char *line);

/* Time in front: "+200ms", "+200ms~5ms". Returns true and sets both if there was one. */
static bool read_prefix(struct script *s, char ***words, unsigned *count, uint64_t *after, uint64_t *slack)
{
    if (*count == 0 || **words[0] != '+')
        return false;
    const char *text = **words + 1;
    *after = expr_time(&s->names, &s->where, &text);
    *slack = 2000;
    if (*text == '~') {
        text++;
        *slack = expr_time(&s->names, &s->where, &text);
    }
    if (*text != 0)
        fail_at(&s->where, "not part of a time: %s", text);
    (*words)++;
    (*count)--;
    return true;
}

/* A segment is expected: now, or `after` from now. */
static void expect(struct script *s, char **words, unsigned count, bool timed, uint64_t after, uint64_t slack)
{
    struct rig *rig = &s->rig;
    uint64_t from = rig->now;
    rig_start(rig);
    if (timed)
        rig_advance(rig, from + after + slack, true);
    if (rig->first == NULL)
        fail_at(&s->where, "expected a segment, but nothing was sent%s", timed ? " in that time" : "");
    if (timed && rig->first->at + slack < from + after)
        fail_at(&s->where, "sent %llu us too early: > %s", (unsigned long long)(from + after - rig->first->at),
                words_of(rig->first));
    words_expect(rig, &s->names, s->peer, words, count);
    s->statements++;
}

static void run_words(struct script *s, char **words, unsigned count)
{
    uint64_t after = 0;
    uint64_t slack = 0;
    bool timed = read_prefix(s, &words, &count, &after, &slack);
    names_set(&s->names, &s->where, "now", (int64_t)(s->rig.now - s->rig.start));
    names_set(&s->names, &s->where, "top", s->peer->top);
    if (count > 0 && strcmp(words[0], ">") == 0) {
        expect(s, words + 1, count - 1, timed, after, slack);
        return;
    }
    if (timed)
        rig_advance(&s->rig, s->rig.now + after, false);
    if (count > 0)
        statement_run(s, words, count);
}

static void run_line(struct script *s, char *line)
{
    char *words[WORDS_MAX];
    unsigned count = 0;
    char *save;
    for (char *w = strtok_r(line, " \t\r\n", &save); w != NULL && *w != '#'; w = strtok_r(NULL, " \t\r\n", &save)) {
        if (count == WORDS_MAX)
            fail_at(&s->where, "a line of too many words");
        words[count++] = w;
    }
    if (count > 0)
        run_words(s, words, count);
}

void script_say(struct script *s, const char *line)
{
    char *copy = strdup(line);
    if (copy == NULL)
        fail_at(&s->where, "out of memory");
    run_line(s, copy);
    free(copy);
}

/* The word a line begins with. */
static bool begins(const char *line, const char *word)
{
    line += strspn(line, " \t");
    size_t n = strlen(word);
    return strncmp(line, word, n) == 0 && (line[n] == 0 || isspace((unsigned char)line[n]));
}

/* "repeat N": the lines up to "end" N times, with i (in it j, then k) counting from 0. */
struct loop {
    unsigned first; /* line number of the line behind "repeat" */
    int64_t i, stop;
};

static void run_lines(struct script *s, char *const *lines, unsigned count)
{
    struct loop loop[LOOPS_MAX];
    unsigned depth = 0;
    for (unsigned k = 0; k < count; k++) {
        s->where.line = k + 1;
        if (begins(lines[k], "repeat")) {
            if (depth == LOOPS_MAX)
                fail_at(&s->where, "too many loops in one another");
            const char *number = strstr(lines[k], "repeat") + 6;
            number += strspn(number, " \t");
            struct loop *l = &loop[depth++];
            *l = (struct loop){.first = k + 1, .i = 0};
            l->stop = expr_read(&s->names, &s->where, &number);
            names_set(&s->names, &s->where, depth == 1 ? "i" : depth == 2 ? "j" : "k", 0);
        } else if (begins(lines[k], "end")) {
            if (depth == 0)
                fail_at(&s->where, "an end without repeat");
            struct loop *l = &loop[depth - 1];
            if (++l->i < l->stop) {
                names_set(&s->names, &s->where, depth == 1 ? "i" : depth == 2 ? "j" : "k", l->i);
                k = l->first - 1;
            } else {
                depth--;
            }
        } else {
            script_say(s, lines[k]);
        }
    }
    if (depth != 0)
        fail_at(&s->where, "a repeat without end");
}

static void run_family(const char *file, char *const *lines, unsigned count, bool v6, bool unpredicted)
{
    struct script *s = calloc(1, sizeof(*s));
    if (s == NULL)
        exit(2);
    s->where = (struct where){.file = file, .family = v6 ? "IPv6" : "IPv4", .line = 0};
    rig_init(&s->rig, &s->where, v6);
    s->rig.config.unpredicted = unpredicted;
    s->peer = rig_peer(&s->rig, "a");
    names_set(&s->names, &s->where, "v6", v6);
    names_set(&s->names, &s->where, "i", 0);
    for (unsigned k = 0; k < count; k++)
        if (begins(lines[k], v6 ? "only-ipv4" : "only-ipv6"))
            goto out;
    run_lines(s, lines, count);
    if (s->statements == 0)
        fail_at(&s->where, "a script that expects nothing");
    statement_nothing_left(s);
    rig_fini(&s->rig);
out:
    free(s);
}

/* All lines of a file, without their ends. */
static char **read_lines(const char *file, unsigned *count)
{
    FILE *in = fopen(file, "r");
    char **lines = NULL;
    char *line = NULL;
    size_t size = 0;
    *count = 0;
    if (in == NULL) {
        fprintf(stderr, "%s: %s\n", file, strerror(errno));
        exit(2);
    }
    while (getline(&line, &size, in) >= 0) {
        line[strcspn(line, "\n")] = 0;
        lines = realloc(lines, (*count + 1u) * sizeof(*lines));
        if (lines == NULL || (lines[*count] = strdup(line)) == NULL)
            exit(2);
        (*count)++;
    }
    free(line);
    fclose(in);
    return lines;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: script FILE ...\n");
        return 2;
    }
    for (int k = 1; k < argc; k++) {
        unsigned count;
        char **lines = read_lines(argv[k], &count);
        /* Over both families, with header prediction and without. */
        for (unsigned how = 0; how < 4; how++)
            run_family(argv[k], lines, count, (how & 1) != 0, (how & 2) != 0);
        for (unsigned i = 0; i < count; i++)
            free(lines[i]);
        free(lines);
    }
    return 0;
}
