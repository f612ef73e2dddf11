/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/report.h"

#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "leaktest/answer.h"

/* One group, counted. */
struct tally {
    unsigned probes, withheld, answered, on_uplink, unexpected;
};

static bool fits(const struct attack *a, unsigned i)
{
    return a->result[i].withheld || answer_fits(a->matrix.probe[i].expected, a->result[i].words);
}

static void count(const struct attack *a, struct tally tally[MATRIX_GROUPS], struct tally *all)
{
    for (unsigned i = 0; i < a->matrix.count; i++) {
        struct tally *both[] = {&tally[a->matrix.probe[i].group], all};
        for (size_t k = 0; k < 2; k++) {
            both[k]->probes++;
            both[k]->withheld += a->result[i].withheld;
            both[k]->answered += a->result[i].words != 0;
            both[k]->on_uplink += a->judge.marked[i] > 0;
            both[k]->unexpected += !fits(a, i);
        }
    }
}

static unsigned count_told(const struct secrets *s)
{
    unsigned told = 0u + (s->told_mtu > 0) + (s->told_time > 0) + (s->told_clock > 0);
    for (unsigned i = 0; i < s->count; i++)
        told += secret_is_told(&s->item[i]);
    return told;
}

static void print_hex(const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf("%02x", b[i]);
}

static void print_probes(const struct attack *a)
{
    char seen[64];
    printf("%-16s %-72s %-10s %-14s on the host's network\n", "group", "probe", "expected", "seen");
    for (unsigned i = 0; i < a->matrix.count; i++) {
        const struct probe *p = &a->matrix.probe[i];
        answer_describe(seen, sizeof(seen), a->result[i].words);
        if (a->result[i].withheld)
            snprintf(seen, sizeof(seen), "not sent");
        printf("%-16s %-72s %-10s %-14s %" PRIu32 "%s\n", matrix_group_name(p->group), p->name,
               matrix_expected_name(p->expected), seen, a->judge.marked[i],
               a->judge.marked[i] > 0 ? "   <-- leaked"
               : fits(a, i)           ? ""
                                      : "   <-- not what should come back");
    }
    printf("\n");
}

static void print_groups(const struct tally tally[MATRIX_GROUPS], const struct tally *all)
{
    printf("%-18s %7s %8s %9s %11s %7s\n", "group", "probes", "not sent", "answered", "unexpected", "leaked");
    for (unsigned i = 0; i <= MATRIX_GROUPS; i++) {
        const struct tally *t = i < MATRIX_GROUPS ? &tally[i] : all;
        printf("%-18s %7u %8u %9u %11u %7u%s\n", i < MATRIX_GROUPS ? matrix_group_name(i) : "all", t->probes,
               t->withheld, t->answered, t->unexpected, t->on_uplink,
               t->on_uplink + t->unexpected > 0 && i < MATRIX_GROUPS ? "   <--" : "");
    }
}

static void print_unexpected(const struct attack *a)
{
    unsigned shown = 0;
    char seen[64];
    for (unsigned i = 0; i < a->matrix.count && shown < 20; i++) {
        const struct probe *p = &a->matrix.probe[i];
        if (fits(a, i) && a->judge.marked[i] == 0)
            continue;
        answer_describe(seen, sizeof(seen), a->result[i].words);
        printf("  %s: %s: expected %s, seen %s%s\n", matrix_group_name(p->group), p->name,
               matrix_expected_name(p->expected), seen,
               a->judge.marked[i] > 0 ? ", and on the host's network" : "");
        shown++;
    }
}

static void print_kept(const struct judge *j)
{
    for (unsigned i = 0; i < j->kept_count; i++) {
        char name[IF_NAMESIZE] = "?";
        const struct judge_leak *leak = &j->kept[i];
        if_indextoname(leak->interface, name);
        printf("  on %s, %s: ", name, leak->why);
        print_hex(leak->frame, leak->n);
        printf("\n");
    }
}

static void print_told(const struct secrets *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct secret *secret = &s->item[i];
        if (!secret_is_told(secret))
            continue;
        printf("  the workstation was told: %s (%" PRIu32 " frames, first ", secret->what,
               secret->told + (secret->said ? 0 : secret->told_later));
        print_hex(secret->frame, secret->frame_n);
        printf(")\n");
    }
    if (s->told_mtu > 0)
        printf("  the workstation was told: the uplink's MTU (%" PRIu32 " frames)\n", s->told_mtu);
    if (s->told_time > 0)
        printf("  the workstation was told: the time of day (%" PRIu32 " frames)\n", s->told_time);
    if (s->told_clock > 0)
        printf("  the workstation was told: a clock that flows share (%" PRIu32 " of %u flows)\n", s->told_clock,
               s->flow_count);
}

static void print_uplinks(const struct report *r)
{
    for (const char *const *name = r->uplinks; *name != NULL; name++)
        printf("%s%s", name == r->uplinks ? "" : ", ", *name);
}

static void print_text(const struct report *r, const struct tally tally[MATRIX_GROUPS], const struct tally *all)
{
    const struct attack *a = r->attack;
    const struct judge *j = &a->judge;
    if (r->verbose)
        print_probes(a);
    print_groups(tally, all);
    printf("%" PRIu32 " mutated frames", a->mutants_sent);
    if (a->mutants_withheld > 0)
        printf(", %" PRIu32 " not sent", a->mutants_withheld);
    printf(", seed %" PRIu64 "; %" PRIu64 " frames came back\n", a->seed, a->back);
    printf("uplink (");
    print_uplinks(r);
    printf("): Tor's %" PRIu64 ", the link's own %" PRIu64 ", of the host's network otherwise %" PRIu64
           ", leaks %" PRIu64 "\n",
           j->frames[JUDGE_TOR], j->frames[JUDGE_LINK], j->frames[JUDGE_OTHER], judge_leaks(j));
    if (r->private_network)
        printf("the host: %" PRIu64 " packets forwarded, %" PRIu32 " reached its doors\n", r->forwarded, a->heard);
    print_unexpected(a);
    print_kept(j);
    print_told(&a->secrets);
    if (all->withheld > 0)
        printf("Not sent: connections to addresses of this host's or of Tor's relays, for an exit would learn "
               "them.\n");
    if (a->secrets.uplink_mtu == a->secrets.link_mtu)
        printf("Both links have an MTU of %" PRIu32 ": whether it is told cannot be seen.\n", a->secrets.link_mtu);
}

static void print_json_text(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
            printf("\\u%04x", (unsigned char)*text);
        else
            putchar(*text);
    }
    putchar('"');
}

static void print_json(const struct report *r, const struct tally tally[MATRIX_GROUPS], const struct tally *all,
                       int status, const char *verdict)
{
    const struct attack *a = r->attack;
    bool first = true;
    char seen[64];
    printf("{\"status\": %d, \"verdict\": ", status);
    print_json_text(verdict);
    printf(",\n \"probes\": %u, \"withheld\": %u, \"mutants\": %" PRIu32 ", \"seed\": %" PRIu64
           ", \"back\": %" PRIu64 ",\n \"leaked\": %u, \"unexpected\": %u, \"heard\": %" PRIu32
           ", \"forwarded\": %" PRIu64 ", \"told\": [",
           all->probes, all->withheld, a->mutants_sent, a->seed, a->back, all->on_uplink, all->unexpected, a->heard,
           r->forwarded);
    for (unsigned i = 0; i < a->secrets.count; i++) {
        if (!secret_is_told(&a->secrets.item[i]))
            continue;
        printf("%s", first ? "" : ", ");
        print_json_text(a->secrets.item[i].what);
        first = false;
    }
    const uint32_t others[] = {a->secrets.told_mtu, a->secrets.told_time, a->secrets.told_clock};
    static const char names[][20] = {"MTU of the uplink", "time of day", "shared clock"};
    for (size_t i = 0; i < 3; i++) {
        if (others[i] > 0)
            printf("%s\"%s\"", first ? "" : ", ", names[i]);
        first = first && others[i] == 0;
    }
    printf("],\n \"uplink\": {\"tor\": %" PRIu64 ", \"link\": %" PRIu64 ", \"other\": %" PRIu64
           ", \"leaks\": %" PRIu64 "},\n \"groups\": [",
           a->judge.frames[JUDGE_TOR], a->judge.frames[JUDGE_LINK], a->judge.frames[JUDGE_OTHER],
           judge_leaks(&a->judge));
    for (unsigned i = 0; i < MATRIX_GROUPS; i++)
        printf("%s\n  {\"name\": \"%s\", \"probes\": %u, \"withheld\": %u, \"answered\": %u, \"unexpected\": %u, "
               "\"leaked\": %u}",
               i == 0 ? "" : ",", matrix_group_name(i), tally[i].probes, tally[i].withheld, tally[i].answered,
               tally[i].unexpected, tally[i].on_uplink);
    printf("],\n \"bad\": [");
    first = true;
    for (unsigned i = 0; i < a->matrix.count; i++) {
        const struct probe *p = &a->matrix.probe[i];
        if (fits(a, i) && a->judge.marked[i] == 0)
            continue;
        answer_describe(seen, sizeof(seen), a->result[i].words);
        printf("%s\n  {\"number\": %u, \"group\": \"%s\", \"name\": ", first ? "" : ",", i,
               matrix_group_name(p->group));
        print_json_text(p->name);
        printf(", \"expected\": \"%s\", \"seen\": \"%s\", \"frames\": %" PRIu32 "}",
               matrix_expected_name(p->expected), seen, a->judge.marked[i]);
        first = false;
    }
    printf("]}\n");
}

static int decide(const struct report *r, const struct tally *all, char verdict[256])
{
    const struct attack *a = r->attack;
    unsigned told = count_told(&a->secrets);
    const size_t size = 256;
    if (judge_leaks(&a->judge) > 0 || told > 0 || a->heard > 0 || r->forwarded > 0) {
        snprintf(verdict, size,
                 "It leaks: %u of %u probes were seen on the host's network, and %u things were told.",
                 all->on_uplink, all->probes, told);
        return REPORT_LEAK;
    }
    if (all->unexpected > 0) {
        snprintf(verdict, size,
                 "Nothing was seen on the uplink, but %u of %u probes were answered as they should not be.",
                 all->unexpected, all->probes);
        return REPORT_LEAK;
    }
    if (r->ended || !a->alive_after) {
        snprintf(verdict, size, "Nothing was seen on the uplink, but the gateway does not answer any more.");
        return REPORT_LEAK;
    }
    if (a->host->missed + a->station->missed > 0) {
        snprintf(verdict, size,
                 "Not tested: this machine was too busy, and %" PRIu64
                 " frames were not looked at. Try a lower --rate.",
                 a->host->missed + a->station->missed);
        return REPORT_BLIND;
    }
    if (a->judge.frames[JUDGE_TOR] == 0) {
        snprintf(verdict, size, "Not tested: no frame of Tor's was seen. Is it the uplink? See --uplink.");
        return REPORT_BLIND;
    }
    snprintf(verdict, size,
             "Nothing leaked: %u probes and %" PRIu32
             " mutated frames were sent, and of what was on the uplink, none was "
             "theirs.",
             a->sent, a->mutants_sent);
    return REPORT_NONE;
}

int report_print(const struct report *r)
{
    struct tally tally[MATRIX_GROUPS] = {{0}}, all = {0};
    char verdict[256];
    count(r->attack, tally, &all);
    int status = decide(r, &all, verdict);
    if (r->json) {
        print_json(r, tally, &all, status, verdict);
    } else {
        print_text(r, tally, &all);
        printf("%s\n", verdict);
    }
    return fflush(stdout) == 0 ? status : REPORT_BLIND;
}

void report_list(const struct matrix *m, bool verbose, bool json)
{
    if (json)
        printf("[");
    for (unsigned i = 0; i < m->count; i++) {
        const struct probe *p = &m->probe[i];
        if (json) {
            printf("%s\n {\"number\": %u, \"group\": \"%s\", \"expected\": \"%s\", \"name\": ", i == 0 ? "" : ",",
                   i, matrix_group_name(p->group), matrix_expected_name(p->expected));
            print_json_text(p->name);
            printf(", \"frame\": \"");
            print_hex(p->frame, p->n);
            printf("\"}");
            continue;
        }
        printf("%5u  %-16s %-10s %s", i, matrix_group_name(p->group), matrix_expected_name(p->expected), p->name);
        if (verbose) {
            printf("\n       ");
            print_hex(p->frame, p->n);
        }
        printf("\n");
    }
    if (json)
        printf("]\n");
}
