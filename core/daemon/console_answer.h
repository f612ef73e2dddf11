/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The answers of the control socket: lines of JSON. Each is an object with "schema" (CONSOLE_SCHEMA) and "kind"; the last
 * one of an answer is of kind "end" or "error". doc/cloister-schema.json says what is in them.
 */
#ifndef CLOISTER_DAEMON_CONSOLE_ANSWER_H
#define CLOISTER_DAEMON_CONSOLE_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "daemon/circuits.h"
#include "daemon/config.h"
#include "daemon/countries.h"
#include "daemon/view.h"

#define CONSOLE_SCHEMA 1u /* a larger one when a member is taken away or means something else */

/* What the supervisor knows itself. Strings are borrowed. */
struct console_facts {
    const char *version;
    const char *device; /* name of the TAP */
    bool embedded;      /* Tor is; or what is said of it below is not known */
    bool ready;         /* connections pass */
    uint64_t uptime_s;
    unsigned bootstrap;                 /* percent */
    const char *summary;                /* of the bootstrap, in Tor's words */
    unsigned guards;                    /* connections to relays that stand */
    uint32_t flows_max;                 /* as configured */
    uint32_t workstations_max;          /* as configured */
    bool identities;                    /* destinations are shown */
    uint32_t listeners;                 /* of Tors, embedded or not, that identities are spread over */
    const struct config_onions *onions; /* whose visitors flows may be; NULL: there are none */
    uint32_t tors;                      /* embedded ones: of the next */
    const struct circuits *circuits[CONFIG_TORS_MAX];
    const struct countries *countries[CONFIG_TORS_MAX];
};

/* Circuits of all Tors together. */
uint32_t console_circuits_count(const struct console_facts *facts);

void console_answer_status(struct json *json, const struct console_facts *facts, const struct view_status *status);

void console_answer_flow(struct json *json, const struct console_facts *facts, const struct view_flow *flow);

/* `circuit` is of the Tor with this index; `now` in seconds. */
void console_answer_circuit(struct json *json, const struct console_facts *facts, uint32_t tor,
                            const struct circuit *circuit, uint32_t now);
void console_answer_workstation(struct json *json, const struct view_workstation *workstation);

/* A line for each reason that struck. Returns how many there were. */
uint32_t console_answer_drops(struct json *json, const struct drops *drops);

/* A line for each line of a text. Returns how many there were. */
uint32_t console_answer_text(struct json *json, const char *kind, const char *text, size_t n);

void console_answer_end(struct json *json, uint32_t count);
void console_answer_error(struct json *json, const char *error);

#endif
