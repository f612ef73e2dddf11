/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/show_text.h"

#include <inttypes.h>
#include <string.h>

#define ADDRESS_WIDTH 47u /* "[" IPv6 address "]:" port */
#define REASONS_SHOWN 6u  /* the most frequent; `show drops` has all */

/* --- values --- */

const char *show_bytes(uint64_t bytes, char out[16])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    unsigned unit = 0;
    uint64_t tenths = 0; /* of the unit, rest of the division */
    while (bytes >= 1000 && unit < 6) {
        tenths = bytes % 1000 / 100;
        bytes /= 1000;
        unit++;
    }
    if (unit > 0 && bytes < 100)
        snprintf(out, 16, "%u.%u %s", (unsigned)bytes, (unsigned)tenths, units[unit]);
    else
        snprintf(out, 16, "%u %s", (unsigned)bytes, units[unit]);
    return out;
}

const char *show_duration(uint64_t ms, char out[16])
{
    uint64_t s = ms / 1000;
    if (ms < 1000)
        snprintf(out, 16, "%u ms", (unsigned)ms);
    else if (s < 120)
        snprintf(out, 16, "%u s", (unsigned)s);
    else if (s < UINT64_C(2) * 3600)
        snprintf(out, 16, "%u min", (unsigned)(s / 60));
    else if (s < UINT64_C(48) * 3600)
        snprintf(out, 16, "%u h", (unsigned)(s / 3600));
    else
        snprintf(out, 16, "%u days", (unsigned)(s / 86400));
    return out;
}

static uint64_t number(const struct json_value *object, const char *key)
{
    struct json_value value = json_member(object, key);
    return json_unsigned(&value);
}

static const char *text(const struct json_value *object, const char *key, char *out, size_t size)
{
    struct json_value value = json_member(object, key);
    json_string(&value, out, size);
    if (out[0] == '\0')
        snprintf(out, size, "-");
    return out;
}

/* "exit2(de) > auth1 > exit1" */
static void path(const struct json_value *line, char *out, size_t size)
{
    struct json_value list = json_member(line, "path");
    struct json_value relay = {.type = JSON_NOTHING};
    size_t n = 0;
    out[0] = '\0';
    while (json_element(&list, &relay) && n < size) {
        char name[48], country[8];
        text(&relay, "nickname", name, sizeof(name));
        if (strcmp(name, "-") == 0)
            text(&relay, "fingerprint", name, 9);
        text(&relay, "country", country, sizeof(country));
        bool known = strcmp(country, "-") != 0;
        n += (size_t)snprintf(out + n, size - n, "%s%s%s%s%s", n > 0 ? " > " : "", name, known ? "(" : "",
                              known ? country : "", known ? ")" : "");
    }
    if (out[0] == '\0')
        snprintf(out, size, "-");
}

/* --- tables --- */

static const char *flow_from(const struct json_value *line, char out[64])
{
    char address[48];
    text(line, "workstation", address, sizeof(address));
    snprintf(out, 64, strchr(address, ':') != NULL ? "[%s]:%u" : "%s:%u", address, (unsigned)number(line, "port"));
    return out;
}

/* The number of the Tor, as a column; nothing where there is only one. */
static const char *tor_column(const struct json_value *line, const struct show_widths *widths, char out[16])
{
    struct json_value tor = json_member(line, "tor");
    out[0] = '\0';
    if (widths->tors && tor.type == JSON_NUMBER)
        snprintf(out, 16, "%3u ", (unsigned)json_unsigned(&tor) % 1000);
    else if (widths->tors)
        snprintf(out, 16, "  - ");
    return out;
}

/* What a flow goes over, if it is not relays that we know. */
static void flow_over(const struct json_value *line, char *out, size_t size)
{
    char way[8], onion[32];
    text(line, "way", way, sizeof(way));
    path(line, out, size);
    if (strcmp(way, "dns") == 0)
        snprintf(out, size, "name server of the gateway");
    else if (strcmp(way, "onion") == 0)
        snprintf(out, size, "visitor of onion service %s", text(line, "onion", onion, sizeof(onion)));
}

static void flow_row(const struct json_value *line, const struct show_widths *widths, char out[SHOW_LINE_MAX])
{
    char from[64], to[280], identity[12], tor[16], state[16], up[16], down[16], age[16], relays[160];
    char circuit[24] = "-";
    struct json_value id = json_member(line, "circuit");
    if (id.type == JSON_NUMBER)
        snprintf(circuit, sizeof(circuit), "%" PRIu64, json_unsigned(&id));
    flow_from(line, from);
    text(line, "destination", to, sizeof(to));
    flow_over(line, relays, sizeof(relays));
    snprintf(out, SHOW_LINE_MAX, "%-*s %-*s %-8s %s%7s %-8s %-8s %-7s %-12s %s", (int)widths->workstation, from,
             (int)widths->destination, to, text(line, "identity", identity, sizeof(identity)),
             tor_column(line, widths, tor), circuit, show_bytes(number(line, "up"), up),
             show_bytes(number(line, "down"), down), show_duration(number(line, "age_ms"), age),
             text(line, "state", state, sizeof(state)), relays);
}

void show_narrow_flow(const struct json_value *line, char out[SHOW_LINE_MAX])
{
    char from[64], to[280], up[16], down[16];
    text(line, "destination", to, sizeof(to));
    snprintf(out, SHOW_LINE_MAX, "%-8s %-8s %s%s", show_bytes(number(line, "up"), up),
             show_bytes(number(line, "down"), down), strcmp(to, "-") == 0 ? "from " : "",
             strcmp(to, "-") == 0 ? flow_from(line, from) : to);
}

static void circuit_row(const struct json_value *line, const struct show_widths *widths, char out[SHOW_LINE_MAX])
{
    char tor[16], status[16], purpose[28], identity[12], conflux[12], age[16], relays[280];
    path(line, relays, sizeof(relays));
    snprintf(out, SHOW_LINE_MAX, "%s%7" PRIu64 " %-10s %-8s %-8s %7" PRIu64 " %-7s %-22s %s",
             tor_column(line, widths, tor), number(line, "id"), text(line, "status", status, sizeof(status)),
             text(line, "identity", identity, sizeof(identity)), text(line, "conflux", conflux, sizeof(conflux)),
             number(line, "streams"), show_duration(number(line, "age_s") * 1000, age),
             text(line, "purpose", purpose, sizeof(purpose)), relays);
}

/* What may be long comes last: all addresses but an IPv4 one. */
static void workstation_row(const struct json_value *line, const struct show_widths *widths,
                            char out[SHOW_LINE_MAX])
{
    char one[48] = "", mac[20], up[16], down[16], idle[16] = "never";
    struct json_value quiet = json_member(line, "idle_ms");
    struct json_value list = json_member(line, "addresses"), address = {.type = JSON_NOTHING};
    (void)widths;
    if (quiet.type == JSON_NUMBER)
        show_duration(json_unsigned(&quiet), idle);
    bool more = json_element(&list, &address);
    if (more)
        json_string(&address, one, sizeof(one));
    bool v4 = one[0] != '\0' && strlen(one) <= 15 && strchr(one, ':') == NULL;
    size_t n = (size_t)snprintf(out, SHOW_LINE_MAX, "%-15s %-17s %6" PRIu64 " %10" PRIu64 " %-8s %-8s %-7s",
                                v4 ? one : "-", text(line, "mac", mac, sizeof(mac)), number(line, "flows"),
                                number(line, "connecting"), show_bytes(number(line, "up"), up),
                                show_bytes(number(line, "down"), down), idle);
    if (v4)
        more = json_element(&list, &address);
    while (more && n < SHOW_LINE_MAX) {
        n += (size_t)snprintf(out + n, SHOW_LINE_MAX - n, " %s", json_string(&address, one, sizeof(one)));
        more = json_element(&list, &address);
    }
}

static void drop_row(const struct json_value *line, const struct show_widths *widths, char out[SHOW_LINE_MAX])
{
    (void)widths;
    char reason[40], sentence[160];
    snprintf(out, SHOW_LINE_MAX, "%12" PRIu64 " %-20s %s", number(line, "count"),
             text(line, "reason", reason, sizeof(reason)), text(line, "text", sentence, sizeof(sentence)));
}

static const struct table {
    const char *kind;
    const char *heading;
    void (*row)(const struct json_value *line, const struct show_widths *widths, char out[SHOW_LINE_MAX]);
} tables[] = {
    {"flow", "CIRCUIT UP       DOWN     AGE     STATE        RELAYS", /* after those of show_widths */
     flow_row},
    {"circuit", "CIRCUIT STATUS     IDENTITY CONFLUX  STREAMS AGE     PURPOSE                RELAYS", circuit_row},
    {"workstation", "ADDRESS         MAC                FLOWS CONNECTING UP       DOWN     IDLE    MORE ADDRESSES",
     workstation_row},
    {"drop", "       COUNT REASON               WHAT IT WAS", drop_row},
};

static const struct table *find(const char *kind)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (strcmp(tables[i].kind, kind) == 0)
            return &tables[i];
    }
    return NULL;
}

bool show_is_table(const char *kind)
{
    return find(kind) != NULL;
}

static unsigned wider(unsigned width, const char *text)
{
    size_t n = strlen(text);
    return n > width && n <= ADDRESS_WIDTH ? (unsigned)n : width;
}

void show_measure(const char *kind, const struct json_value *line, struct show_widths *widths)
{
    char from[64], to[280];
    struct json_value tor = json_member(line, "tor");
    widths->tors = widths->tors || tor.type == JSON_NUMBER;
    if (strcmp(kind, "flow") != 0)
        return;
    widths->workstation = wider(widths->workstation, flow_from(line, from));
    widths->destination = wider(widths->destination, text(line, "destination", to, sizeof(to)));
}

void show_head(const char *kind, const struct show_widths *widths, char out[SHOW_LINE_MAX])
{
    const struct table *table = find(kind);
    const char *heading = table != NULL ? table->heading : "";
    const char *tor = widths->tors ? "TOR " : "";
    if (strcmp(kind, "flow") == 0)
        snprintf(out, SHOW_LINE_MAX, "%-*s %-*s IDENTITY %s%s", (int)widths->workstation, "WORKSTATION",
                 (int)widths->destination, "DESTINATION", tor, heading);
    else if (strcmp(kind, "circuit") == 0)
        snprintf(out, SHOW_LINE_MAX, "%s%s", tor, heading);
    else
        snprintf(out, SHOW_LINE_MAX, "%s", heading);
}

void show_row(const char *kind, const struct json_value *line, const struct show_widths *widths,
              char out[SHOW_LINE_MAX])
{
    const struct table *table = find(kind);
    out[0] = '\0';
    if (table != NULL)
        table->row(line, widths, out);
    for (size_t n = strlen(out); n > 0 && out[n - 1] == ' '; n--)
        out[n - 1] = '\0';
}

/* --- the status --- */

static void tor_line(FILE *to, const struct json_value *tor)
{
    char mode[16], summary[80];
    struct json_value reachable = json_member(tor, "guard_reachable");
    text(tor, "mode", mode, sizeof(mode));
    fprintf(to, "Tor           %s", mode);
    if (number(tor, "instances") > 1)
        fprintf(to, ", %" PRIu64 " of them", number(tor, "instances"));
    if (reachable.type != JSON_NOTHING)
        fprintf(to, ", %" PRIu64 " %% (%s), guard %s, %" PRIu64 " circuits", number(tor, "bootstrap"),
                text(tor, "summary", summary, sizeof(summary)),
                reachable.type == JSON_TRUE ? "reachable" : "not reachable", number(tor, "circuits"));
    fputc('\n', to);
}

/* The reasons that struck most often. */
static void drop_lines(FILE *to, const struct json_value *drops)
{
    struct json_value name = {.type = JSON_NOTHING}, count;
    struct json_value by = json_member(drops, "by_reason");
    struct {
        char name[40];
        uint64_t count;
    } most[REASONS_SHOWN] = {{{0}, 0}};
    while (json_next_member(&by, &name, &count)) {
        uint64_t n = json_unsigned(&count);
        unsigned at = REASONS_SHOWN;
        while (at > 0 && most[at - 1].count < n)
            at--;
        if (at == REASONS_SHOWN)
            continue;
        memmove(&most[at + 1], &most[at], (REASONS_SHOWN - 1 - at) * sizeof(most[0]));
        json_string(&name, most[at].name, sizeof(most[at].name));
        most[at].count = n;
    }
    fprintf(to, "Drops         %" PRIu64, number(drops, "total"));
    for (unsigned i = 0; i < REASONS_SHOWN && most[i].count > 0; i++)
        fprintf(to, "%s%s %" PRIu64, i == 0 ? ": " : ", ", most[i].name, most[i].count);
    fputc('\n', to);
}

static void budget_line(FILE *to, const struct json_value *budget)
{
    if (budget->type != JSON_OBJECT)
        return;
    uint64_t now = number(budget, "rate_now_thousandths");
    fprintf(to,
            "Identities    %" PRIu64 " so far, %" PRIu64 " under way; %" PRIu64 " more at once, then %" PRIu64
            ".%" PRIu64 " a second of %" PRIu64 "\n",
            number(budget, "granted"), number(budget, "pending"), number(budget, "left"), now / 1000,
            now % 1000 / 100, number(budget, "rate"));
}

void show_status(FILE *to, const struct json_value *status)
{
    char a[40], b[40], up[16], down[16];
    struct json_value tor = json_member(status, "tor"), flows = json_member(status, "flows");
    struct json_value streams = json_member(status, "streams"), bytes = json_member(status, "bytes");
    struct json_value workstations = json_member(status, "workstations"), drops = json_member(status, "drops");
    struct json_value budget = json_member(status, "budget");
    fprintf(to, "Cloister      %s, ", text(status, "version", a, sizeof(a)));
    fprintf(to, "%s on %s for %s\n", text(status, "state", a, sizeof(a)), text(status, "device", b, sizeof(b)),
            show_duration(number(status, "uptime_s") * 1000, up));
    tor_line(to, &tor);
    fprintf(to, "Workstations  %" PRIu64 " of %" PRIu64 "\n", number(&workstations, "now"),
            number(&workstations, "max"));
    fprintf(to, "Flows         %" PRIu64 " of %" PRIu64 ", %" PRIu64 " connecting; %" PRIu64 " since the start\n",
            number(&flows, "now"), number(&flows, "max"), number(&flows, "connecting"), number(&flows, "total"));
    fprintf(to,
            "Streams       %" PRIu64 " connected, %" PRIu64 " refused, %" PRIu64 " broken, %" PRIu64
            " ended by a reset\n",
            number(&streams, "connected"), number(&streams, "refused"), number(&streams, "broken"),
            number(&streams, "ends_reset"));
    budget_line(to, &budget);
    fprintf(to, "Payload       %s up, %s down\n", show_bytes(number(&bytes, "up"), up),
            show_bytes(number(&bytes, "down"), down));
    drop_lines(to, &drops);
}
