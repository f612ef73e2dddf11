/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libinih splits a file into sections, keys and values; everything it is lenient about is caught around it:
 *
 *   - It cuts a line that is longer than its buffer and takes the rest for another line. So lines are read here, by a
 *     reader of our own (ini_parse_stream), which refuses one that does not fit, and anything that is not text.
 *   - It takes an indented line for more of the value before. The reader takes the indentation off.
 *   - It says nothing of a section without keys, and passes over what stands behind one. The reader looks at section lines
 *     itself.
 *   - It goes on after an error. The reader then says that the file has ended.
 *   - Whether it tells line numbers depends on how it was built. The reader counts.
 */
#include "daemon/config_reader.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <string.h>

#include "daemon/config_section.h"

void config_reader_refuse(struct config_reader *r, int line, const char *format, ...)
{
    if (r->status != 0)
        return;
    r->status = -EINVAL;
    va_list args;
    va_start(args, format);
    config_say_list(r->config, line, r->error, format, args);
    va_end(args);
}

int config_reader_line_of(const struct config_reader *r, const char *section, const char *name)
{
    int key = config_key_find(section, name);
    return key >= 0 ? r->key_line[key] : 0;
}

static void check_section_line(struct config_reader *r, const char *line)
{
    const char *name = line + 1;
    const char *end = strchr(name, ']');
    char known[160];
    if (end == NULL)
        return; /* libinih says that */
    const char *behind = end + 1 + strspn(end + 1, " \t\r");
    if (*behind != '\0' && *behind != ';' && *behind != '#') {
        config_reader_refuse(r, r->line, "[%.*s]: there is something behind it; write \"%.40s\" into the next line",
                             (int)(end - name), name, behind);
        return;
    }
    if (config_onion_is_section(name, (size_t)(end - name))) {
        const char *says = config_onion_begin(&r->config->onions, name, (size_t)(end - name), r->line);
        if (says != NULL)
            config_reader_refuse(r, r->line, "[%.*s]: %s", (int)(end - name), name, says);
        return;
    }
    if (config_section_is_named(name, (size_t)(end - name))) {
        const char *says = config_section_begin(r->config, name, (size_t)(end - name));
        if (says != NULL)
            config_reader_refuse(r, r->line, "[%.*s]: %s", (int)(end - name), name, says);
        return;
    }
    if (strncmp(name, "socks-port", sizeof("socks-port") - 1) == 0) {
        config_reader_refuse(r, r->line, "[%.*s]: write [socks-port \"9101\"], with a port's number in quotes",
                             (int)(end - name), name);
        return;
    }
    if (!config_key_is_section(name, (size_t)(end - name))) {
        config_key_list_sections(known, sizeof(known));
        config_reader_refuse(r, r->line, "[%.*s]: no such section; there are %s and [socks-port \"9101\"]",
                             (int)(end - name), name, known);
    }
}

/* For libinih: the next line, without indentation and newline, or NULL at the end or after an error. */
static char *read_line(char *out, int size, void *ctx)
{
    struct config_reader *r = ctx;
    size_t n = 0;
    bool indented = true;
    int c;
    if (r->status != 0 || size < 4)
        return NULL;
    r->line++;
    while ((c = getc(r->stream)) != EOF && c != '\n') {
        if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f) {
            config_reader_refuse(r, r->line, "a byte that is no text (0x%02x); is this a configuration file?",
                                 (unsigned)c);
            return NULL;
        }
        if (indented && (c == ' ' || c == '\t'))
            continue;
        indented = false;
        if (n + 3 >= (size_t)size) {
            config_reader_refuse(r, r->line, "the line is longer than %d characters; make it shorter", size - 3);
            return NULL;
        }
        out[n++] = (char)c;
    }
    if (c == EOF && ferror(r->stream)) {
        config_reader_refuse(r, 0, "%s", strerror(errno));
        return NULL;
    }
    if (c == EOF && n == 0)
        return NULL;
    out[n] = '\0';
    if (out[0] == '[')
        check_section_line(r, out);
    return r->status == 0 ? out : NULL;
}

/* A key of a section [onion "name"]. */
static int take_onion_key(struct config_reader *r, const char *section, const char *name, const char *value)
{
    bool known;
    if (value == NULL || value[0] == '\0') {
        config_reader_refuse(r, r->line, "onion.%s: no value; write one, or remove the line", name);
        return 0;
    }
    const char *says = config_onion_key(&r->config->onions, section, name, value, r->line, &known);
    if (!known)
        config_reader_refuse(r, r->line, "onion.%s: no such key; [onion] has " CONFIG_ONION_KEYS, name);
    else if (says != NULL)
        config_reader_refuse(r, r->line, "onion.%s: \"%s\" will not do; %s", name, value, says);
    return r->status == 0;
}

/* For libinih: a key and its value. */
static int take_key(void *ctx, const char *section, const char *name, const char *value)
{
    struct config_reader *r = ctx;
    char text[192];
    if (r->status != 0)
        return 0;
    if (section[0] == '\0') {
        config_reader_refuse(r, r->line,
                             "%s: a key outside of a section; write the section's name in brackets above it", name);
        return 0;
    }
    if (config_onion_is_section(section, strlen(section)))
        return take_onion_key(r, section, name, value);
    if (config_section_is_named(section, strlen(section))) {
        const char *says = config_section_take(r->config, section, name, value);
        if (says != NULL)
            config_reader_refuse(r, r->line, "[%s] %s: %s", section, name, says);
        return says == NULL;
    }
    int key = config_key_find(section, name);
    if (key < 0) {
        config_key_list(section, text, sizeof(text));
        config_reader_refuse(r, r->line, "%s.%s: no such key; [%s] has %s", section, name, section, text);
        return 0;
    }
    if (r->key_line[key] != 0 && !config_key_may_repeat(key)) {
        config_reader_refuse(r, r->line, "%s.%s: already set in line %d; remove one of the two", section, name,
                             r->key_line[key]);
        return 0;
    }
    r->key_line[key] = r->line;
    if (value == NULL || value[0] == '\0') {
        config_reader_refuse(r, r->line, "%s.%s: no value; write one, or remove the line", section, name);
        return 0;
    }
    if (!config_key_store(r->config, key, value, text, sizeof(text))) {
        config_reader_refuse(r, r->line, "%s.%s: \"%s\" will not do; %s", section, name, value, text);
        return 0;
    }
    return 1;
}

void config_reader_run(struct config_reader *r)
{
    int line = ini_parse_stream(read_line, r, take_key, r);
    /* What libinih itself could not parse comes first if it stands above what we refused. */
    if (line > 0 && (r->status == 0 || line < r->line)) {
        r->status = 0;
        config_reader_refuse(r, line, "neither [section] nor key = value");
    } else if (line < 0) {
        config_reader_refuse(r, 0, "out of memory");
    }
}
