/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The defaults are for a machine with 1 GiB and more. On a router of 64 MiB, buffers of 64 MiB bound nothing: the kernel
 * would end a process before they were full. A sixteenth of memory for buffers, and 16 KiB of memory for each flow, leave
 * the larger part to Tor and to the kernel, which holds a flow's two sockets at some 4 KiB when they are empty.
 *
 * A flow takes a descriptor. Root without CAP_SYS_RESOURCE, as in many a container, cannot have more than it was
 * given, and 1024 are usual.
 */
#include "daemon/fit.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "daemon/gateway.h"
#include "daemon/sandbox.h"
#include "socks/onion.h"

#define FLOW_MEMORY (16u << 10)    /* bytes of the machine's, for each flow that is allowed by default */
#define FLOWS_LEAST 1024u          /* by memory */
#define BUFFERS_PART 16u           /* of memory */
#define BUFFERS_LEAST 4u           /* MiB */
#define DESCRIPTORS_WANTED 300000u /* more than any configuration asks for */

uint32_t fit_descriptors(uint32_t flows, uint32_t onions)
{
    return flows + GATEWAY_DNS_CALLS + (onions > 0 ? ONION_WAITING_MAX + onions : 0);
}

void fit_look(struct fit_machine *out)
{
    struct sysinfo info;
    struct rlimit old;
    *out = (struct fit_machine){0};
    if (sysinfo(&info) == 0)
        out->memory = (uint64_t)info.totalram * info.mem_unit;
    if (getrlimit(RLIMIT_NOFILE, &old) != 0)
        return;
    out->descriptors = old.rlim_max;
    if (old.rlim_max >= DESCRIPTORS_WANTED)
        return;
    const struct rlimit more = {old.rlim_cur, DESCRIPTORS_WANTED};
    if (setrlimit(RLIMIT_NOFILE, &more) == 0 && setrlimit(RLIMIT_NOFILE, &old) == 0)
        out->descriptors = DESCRIPTORS_WANTED;
}

static uint32_t between(uint64_t value, uint32_t least, uint32_t most)
{
    return value < least ? least : value > most ? most : (uint32_t)value;
}

static void lower(uint32_t *value, uint32_t to)
{
    if (*value > to)
        *value = to;
}

/* What follows from less flows. */
static void set_flows(struct config *c, uint32_t flows)
{
    c->flows = flows;
    lower(&c->workstation_flows, c->flows);
    lower(&c->connecting, c->flows);
    lower(&c->workstation_connecting, c->connecting);
}

int fit_limits(struct config *config, const struct fit_machine *machine, enum fit_reason *reason, char *error)
{
    const uint64_t taken = SANDBOX_DESCRIPTORS + fit_descriptors(0, config->onions.count);
    *reason = FIT_AS_SET;
    if (machine->memory > 0 && config->line.buffers == 0)
        config->buffers =
            between(machine->memory / BUFFERS_PART >> 20,
                    config->buffers < BUFFERS_LEAST ? config->buffers : BUFFERS_LEAST, config->buffers);
    if (machine->memory > 0 && config->line.flows == 0) {
        uint32_t flows = between(machine->memory / FLOW_MEMORY, FLOWS_LEAST, config->flows);
        if (flows < config->flows)
            *reason = FIT_MEMORY;
        set_flows(config, flows);
    }
    const uint64_t room = machine->descriptors > taken ? machine->descriptors - taken : 0;
    if (config->flows <= room)
        return 0;
    if (room == 0 || config->line.flows > 0) {
        const uint64_t wanted = taken + config->flows;
        config_say(
            config, config->line.flows, error,
            "limits.flows: %u need %llu descriptors, and a process may have %llu here: raise that (ulimit -Hn, "
            "LimitNOFILE=), or allow %llu flows",
            config->flows, (unsigned long long)wanted, (unsigned long long)machine->descriptors,
            (unsigned long long)room);
        return -EMFILE;
    }
    *reason = FIT_DESCRIPTORS;
    set_flows(config, (uint32_t)room);
    return 0;
}
