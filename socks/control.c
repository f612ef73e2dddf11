/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks/control.h"

#include <errno.h>
#include <string.h>

/* --- lines --- */

void control_reader_init(struct control_reader *reader)
{
    reader->code = 0;
    reader->len = 0;
}

/* A line inside a data block: a dot alone ends it, a dot before a text was added on the way (control-spec 2.2). */
static void read_data(struct control_reader *reader, char *line, size_t len, struct control_line *out)
{
    out->code = reader->code;
    out->kind = CONTROL_LINE_DATA;
    if (len > 0 && line[0] == '.') {
        line++;
        len--;
        if (len == 0) {
            out->kind = CONTROL_LINE_DOT;
            reader->code = 0;
        }
    }
    out->text = line;
    out->len = len;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "NNN text", "NNN-text" or "NNN+text". 0 or -EPROTO. */
static int read_reply(struct control_reader *reader, char *line, size_t len, struct control_line *out)
{
    if (len < 4 || line[0] == '0' || !is_digit(line[0]) || !is_digit(line[1]) || !is_digit(line[2]))
        return -EPROTO;
    out->code = (unsigned)((line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0'));
    out->text = line + 4;
    out->len = len - 4;
    switch (line[3]) {
    case ' ':
        out->kind = CONTROL_LINE_END;
        return 0;
    case '-':
        out->kind = CONTROL_LINE_MID;
        return 0;
    case '+':
        out->kind = CONTROL_LINE_PLUS;
        reader->code = out->code;
        return 0;
    default:
        return -EPROTO;
    }
}

int control_reader_next(struct control_reader *reader, struct bytes *in, struct control_line *out)
{
    const uint8_t *newline = in->left > 0 ? memchr(in->at, '\n', in->left) : NULL;
    size_t n = newline != NULL ? (size_t)(newline - in->at) : in->left;
    if (n > CONTROL_LINE_MAX - reader->len)
        return -EMSGSIZE;
    const uint8_t *part = bytes_take(in, n);
    if (n > 0)
        memcpy(reader->line + reader->len, part, n);
    reader->len += n;
    if (newline == NULL)
        return 0;
    bytes_take(in, 1);

    size_t len = reader->len;
    reader->len = 0;
    if (len > 0 && reader->line[len - 1] == '\r')
        len--;
    reader->line[len] = '\0';
    if (memchr(reader->line, '\0', len) != NULL)
        return -EPROTO;
    if (reader->code != 0) {
        read_data(reader, reader->line, len, out);
        return 1;
    }
    int err = read_reply(reader, reader->line, len, out);
    return err != 0 ? err : 1;
}

/* --- session --- */

void control_init(struct control *control, const struct control_ops *ops, void *ctx)
{
    memset(control, 0, sizeof(*control));
    control_reader_init(&control->reader);
    control->ops = *ops;
    control->ctx = ctx;
}

/* An asynchronous line. Events of several lines are none that we ask for. */
static void take_event(struct control *control, struct control_line *line)
{
    struct control_event event;
    if (line->kind != CONTROL_LINE_END)
        return;
    if (control_event_parse(line->text, &event) != 0)
        control->bad_events++;
    else if (control->ops.event != NULL)
        control->ops.event(control->ctx, &event);
}

static void tell_info(struct control *control, const char *key, const char *value)
{
    if (control->ops.info != NULL)
        control->ops.info(control->ctx, key, value);
}

/* A line of the answer to the oldest command. */
static int take_reply(struct control *control, struct control_line *line)
{
    if (control->count == 0)
        return -EPROTO;
    char *equals;
    switch (line->kind) {
    case CONTROL_LINE_MID:
        equals = strchr(line->text, '=');
        if (equals != NULL) {
            *equals = '\0';
            tell_info(control, line->text, equals + 1);
        }
        break;
    case CONTROL_LINE_DATA:
        tell_info(control, "", line->text);
        break;
    case CONTROL_LINE_PLUS:
    case CONTROL_LINE_DOT:
        break;
    case CONTROL_LINE_END: {
        unsigned what = control->pending[control->first];
        control->first = (control->first + 1) % CONTROL_PENDING_MAX;
        control->count--;
        if (control->ops.done != NULL)
            control->ops.done(control->ctx, what, line->code, line->text);
        break;
    }
    }
    return 0;
}

int control_input(struct control *control, const void *data, size_t n)
{
    struct bytes in = bytes_of(data, n);
    while (control->broken == 0) {
        struct control_line line;
        int got = control_reader_next(&control->reader, &in, &line);
        if (got == 0)
            return 0;
        if (got < 0)
            control->broken = got;
        else if (line.code / 100 == 6)
            take_event(control, &line);
        else
            control->broken = take_reply(control, &line);
    }
    return control->broken;
}

int control_command(struct control *control, unsigned what, const char *command)
{
    size_t n = strlen(command);
    if (control->broken != 0)
        return control->broken;
    if (n == 0 || strpbrk(command, "\r\n") != NULL)
        return -EINVAL;
    if (control->count == CONTROL_PENDING_MAX || n + 2 > CONTROL_OUTPUT_MAX - control->output_len)
        return -ENOBUFS;
    memcpy(control->output + control->output_len, command, n);
    memcpy(control->output + control->output_len + n, "\r\n", 2);
    control->output_len += n + 2;
    control->pending[(control->first + control->count) % CONTROL_PENDING_MAX] = what;
    control->count++;
    return 0;
}

const char *control_output(const struct control *control, size_t *len)
{
    *len = control->output_len;
    return control->output;
}

void control_output_sent(struct control *control, size_t n)
{
    if (n > control->output_len)
        n = control->output_len;
    control->output_len -= n;
    memmove(control->output, control->output + n, control->output_len);
}
