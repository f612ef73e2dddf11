/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file becomes a configuration in three steps, each a file of its own: its lines are read (config_reader.c), each key
 * is stored by the table of them (config_key.c), and what was read is checked as a whole (config_check.c).
 */
#include "daemon/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/config_check.h"
#include "daemon/config_key.h"
#include "daemon/config_reader.h"

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

int config_load(struct config *config, const char *file, char *error)
{
    struct config_reader r = {.config = config, .error = error};
    char says[256];
    memset(config, 0, sizeof(*config));
    config->file = file;
    error[0] = '\0';
    if (!config_key_store_defaults(config, says, sizeof(says))) {
        config_reader_refuse(&r, 0, "%s", says);
        return r.status;
    }

    r.stream = fopen(file, "re");
    if (r.stream == NULL) {
        int status = -errno;
        snprintf(error, CONFIG_ERROR_MAX, "%s: %s", file, strerror(-status));
        return status;
    }
    config_reader_run(&r);
    fclose(r.stream);
    if (r.status == 0)
        config_check(&r);
    config->line = (struct config_lines){.torrc = config_reader_line_of(&r, "tor", "torrc"),
                                         .control_group = config_reader_line_of(&r, "process", "control_group"),
                                         .user = config_reader_line_of(&r, "process", "user"),
                                         .tor_user = config_reader_line_of(&r, "process", "tor_user"),
                                         .gateway_user = config_reader_line_of(&r, "process", "gateway_user"),
                                         .flows = config_reader_line_of(&r, "limits", "flows"),
                                         .buffers = config_reader_line_of(&r, "limits", "buffers")};
    /* The defaults of one workstation's share follow the whole. */
    config->workstation_flows = lesser(config->workstation_flows, config->flows);
    config->connecting = lesser(config->connecting, config->flows);
    config->workstation_connecting = lesser(config->workstation_connecting, config->connecting);
    return r.status;
}

void config_say_list(const struct config *config, int line, char *error, const char *format, va_list args)
{
    int n = line > 0 ? snprintf(error, CONFIG_ERROR_MAX, "%s:%d: ", config->file, line)
                     : snprintf(error, CONFIG_ERROR_MAX, "%s: ", config->file);
    if (n < 0 || (unsigned)n >= CONFIG_ERROR_MAX)
        return;
    vsnprintf(error + n, CONFIG_ERROR_MAX - (size_t)n, format, args);
}

void config_say(const struct config *config, int line, char *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    config_say_list(config, line, error, format, args);
    va_end(args);
}

int config_check_files(const struct config *config, char *error)
{
    struct stat st;
    if (config->mode != CONFIG_MODE_EMBEDDED || config->torrc[0] == '\0')
        return 0;
    int status = stat(config->torrc, &st) != 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
    if (status != 0)
        config_say(config, config->line.torrc, error, "tor.torrc: %s: %s; write the file, or remove the line",
                   config->torrc, status == -EINVAL ? "not a regular file" : strerror(-status));
    return status;
}
