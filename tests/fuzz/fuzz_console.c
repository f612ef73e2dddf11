/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What comes by the control socket, and what a gateway says that is not what it should be. The first byte chooses: the
 * bytes are a request, the head of an HTTP request, a view, or an answer to be read by the command line. Whatever is
 * written is ASCII and JSON, and can be shown.
 */
#include <assert.h>
#include <string.h>

#include "base/json_read.h"
#include "daemon/console_answer.h"
#include "daemon/console_request.h"
#include "daemon/show_text.h"

static char out[1 << 16];

static void check_lines(const struct json *json)
{
    assert(!json->full);
    struct show_widths widths = SHOW_WIDTHS;
    const char *at = json->at;
    const char *end = json->at + json->len;
    while (at < end) {
        struct json_value value, kind;
        char name[32], row[SHOW_LINE_MAX];
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        assert(newline != NULL);
        for (const char *c = at; c < newline; c++)
            assert(*c >= 0x20 && *c <= 0x7e);
        assert(json_parse(at, (size_t)(newline - at), &value));
        kind = json_member(&value, "kind");
        json_string(&kind, name, sizeof(name));
        show_measure(name, &value, &widths);
        show_row(name, &value, &widths, row);
        for (const char *c = row; *c != '\0'; c++)
            assert(*c >= 0x20 && *c <= 0x7e);
        at = newline + 1;
    }
}

static void show_view(const uint8_t *data, size_t size)
{
    static struct view view;
    struct json json;
    memset(&view, 0, sizeof(view));
    memcpy(&view, data, size < sizeof(view) ? size : sizeof(view));
    if (!view_is_valid(&view))
        return;
    static const struct config_onions onions = {.count = 1, .onion = {{.name = "a"}}};
    static const struct console_facts several = {.version = "1", .listeners = 3, .onions = &onions};
    json_init(&json, out, sizeof(out));
    for (uint32_t i = 0; i < view.count; i++) {
        if (view.kind == VIEW_FLOWS)
            console_answer_flow(&json, &several, &view.flows[i]);
        else if (view.kind == VIEW_WORKSTATIONS)
            console_answer_workstation(&json, &view.workstations[i]);
    }
    if (view.kind == VIEW_STATUS) {
        const struct console_facts facts = {.version = "1", .device = "d", .embedded = true, .summary = ""};
        console_answer_status(&json, &facts, &view.status);
        console_answer_drops(&json, &view.status.counters.drops);
    }
    check_lines(&json);
}

static void show_answer(const char *text, size_t size)
{
    struct show_widths widths = SHOW_WIDTHS;
    static const char *const kinds[] = {"flow", "circuit", "workstation", "drop"};
    struct json_value value;
    char row[SHOW_LINE_MAX];
    if (!json_parse(text, size, &value))
        return;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        show_measure(kinds[i], &value, &widths);
        show_row(kinds[i], &value, &widths, row);
        for (const char *c = row; *c != '\0'; c++)
            assert(*c >= 0x20 && *c <= 0x7e);
    }
    FILE *null = fopen("/dev/null", "w");
    if (null != NULL) {
        show_status(null, &value);
        fclose(null);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct console_request request;
    struct json json;
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    switch (data[0] & 3) {
    case 0: {
        const char *wrong = console_request_parse(text, size - 1, &request);
        assert((wrong == NULL) == (request.verb != CONSOLE_NOTHING));
        break;
    }
    case 1:
        console_http_parse(text, size - 1);
        break;
    case 2:
        show_view(data + 1, size - 1);
        break;
    default:
        show_answer(text, size - 1);
    }
    json_init(&json, out, sizeof(out));
    console_answer_text(&json, "metric", text, size - 1 < 2000 ? size - 1 : 2000);
    check_lines(&json);
    return 0;
}
