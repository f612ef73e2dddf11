/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/hardening.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "daemon/log.h"

static const char *const names[HARDENING_PIECES] = {
    [HARDENING_FILTER] = "system-call-filter", [HARDENING_LANDLOCK] = "landlock", [HARDENING_IPC] = "ipc-namespace",
    [HARDENING_CGROUP] = "cgroup-namespace",   [HARDENING_WALL] = "nf-tables",
};

static struct {
    bool best_effort;
    bool missing[HARDENING_PIECES];
} setup;

void hardening_setup(bool best_effort)
{
    setup.best_effort = best_effort;
}

int hardening_result(enum hardening_piece piece, int status)
{
    if (status != -ENOSYS && status != -EOPNOTSUPP && status != -EINVAL)
        return status;
    if (!setup.best_effort)
        return status;
    setup.missing[piece] = true;
    return 0;
}

const char *hardening_missing(void)
{
    static char text[96];
    size_t n = 0;
    for (size_t i = 0; i < HARDENING_PIECES && n < sizeof(text); i++) {
        if (setup.missing[i])
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n > 0 ? "," : "", names[i]);
    }
    return n > 0 ? text : NULL;
}

void hardening_report(void)
{
    const char *missing = hardening_missing();
    if (missing != NULL)
        log_event(LOG_LEVEL_WARN, "hardening", LOG_S("missing", missing),
                  LOG_S("note", "this kernel lacks it, and process.hardening is best-effort"));
}
