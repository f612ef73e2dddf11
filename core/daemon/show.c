/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/console_client.h"
#include "daemon/console_request.h"
#include "daemon/show_text.h"

static const char *const known[] = {"status", "flows", "circuits", "workstations", "drops"};

struct printer {
    bool json;
    bool headed; /* the heading is there */
    FILE *lines; /* of a table, as they came: how wide it is shows at the end */
    struct show_widths widths;
};

bool show_knows(const char *what)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(known[i], what) == 0)
            return true;
    }
    return false;
}

static void print_line(void *ctx, const char *text, size_t len, const struct json_value *line)
{
    struct printer *p = ctx;
    struct json_value member = json_member(line, "kind");
    char kind[32];
    json_string(&member, kind, sizeof(kind));
    if (p->json) {
        printf("%.*s\n", (int)len, text);
    } else if (strcmp(kind, "status") == 0) {
        show_status(stdout, line);
    } else if (show_is_table(kind)) {
        show_measure(kind, line, &p->widths);
        fprintf(p->lines, "%.*s\n", (int)len, text);
    }
}

static void print_table(struct printer *p, char *lines)
{
    char kind[32], row[SHOW_LINE_MAX];
    for (char *rest = lines, *one; (one = strsep(&rest, "\n")) != NULL && rest != NULL;) {
        struct json_value line;
        if (!json_parse(one, strlen(one), &line))
            continue;
        struct json_value member = json_member(&line, "kind");
        json_string(&member, kind, sizeof(kind));
        show_head(kind, &p->widths, row);
        if (!p->headed)
            puts(row);
        p->headed = true;
        show_row(kind, &line, &p->widths, row);
        puts(row);
    }
}

static void print_text(void *ctx, const char *text, size_t len, const struct json_value *line)
{
    struct json_value member = json_member(line, "text");
    char out[256];
    (void)ctx;
    (void)text;
    (void)len;
    puts(json_string(&member, out, sizeof(out)));
}

static int ask(const char *control, const char *request,
               void (*take)(void *ctx, const char *text, size_t len, const struct json_value *line), void *ctx)
{
    static struct console_link link; /* large, and there is one */
    int status = console_link_open(&link, control);
    if (status == 0)
        status = console_link_ask(&link, request, take, ctx);
    console_link_close(&link);
    if (status != 0)
        fprintf(stderr, "cloister: %s\n", link.error);
    return status == 0 && fflush(stdout) == 0 ? 0 : 1;
}

int show_run(const char *control, const char *what, bool json)
{
    char *lines = NULL;
    size_t size = 0;
    struct printer printer = {.json = json, .lines = open_memstream(&lines, &size), .widths = SHOW_WIDTHS};
    char request[32];
    if (printer.lines == NULL)
        return 1;
    snprintf(request, sizeof(request), "show %s", what);
    int status = ask(control, request, print_line, &printer);
    if (fclose(printer.lines) != 0) {
        fputs("cloister: out of memory\n", stderr);
        status = 1;
    }
    if (status == 0)
        print_table(&printer, lines);
    free(lines);
    if (status == 0 && !json && !printer.headed && strcmp(what, "status") != 0)
        printf("no %s\n", what);
    return status;
}

int show_metrics(const char *control)
{
    return ask(control, "metrics", print_text, NULL);
}

static void ignore(void *ctx, const char *text, size_t len, const struct json_value *line)
{
    (void)ctx;
    (void)text;
    (void)len;
    (void)line;
}

int show_newnym(const char *control, const char *workstation)
{
    char request[CONSOLE_REQUEST_MAX];
    int n = snprintf(request, sizeof(request), "newnym%s%s", workstation != NULL ? " " : "",
                     workstation != NULL ? workstation : "");
    if (n < 0 || (size_t)n >= sizeof(request) - 1) {
        fputs("cloister: that is no address of a workstation\n", stderr);
        return 2;
    }
    return ask(control, request, ignore, NULL);
}
