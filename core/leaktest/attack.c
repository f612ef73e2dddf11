/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/attack.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/range.h"
#include "leaktest/answer.h"

#define LINGER_MS 1000 /* for what comes of the last frames */
#define ASK_EVERY 64u  /* mutants: the gateway's answer tells bridges where it is */
#define ASK_MS 25      /* before each ARP probe, for answers to the one before */
#define MEET_MS 300    /* for an answer to ARP */
#define MEET_TIMES 5
#define LOOK_MS 200 /* between two looks at Tor's connections */
#define BURST 64u   /* frames in a row, before we look at what came */

static int64_t clock_ms(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool is_uplink(const struct attack *a, unsigned interface)
{
    for (const unsigned *at = a->uplink; *at != 0; at++) {
        if (*at == interface)
            return true;
    }
    return false;
}

static bool is_own(const struct attack *a, unsigned interface)
{
    for (unsigned i = 0; i < a->own_count; i++) {
        if (a->own[i] == interface)
            return true;
    }
    return false;
}

static int watch_host(struct attack *a)
{
    struct wire_frame f;
    int n;
    while ((n = wire_read(a->host, a->buffer, &f)) == 1) {
        size_t head = f.ethernet ? FRAME_HEAD : 0;
        if (is_own(a, f.interface))
            continue;
        judge_look(&a->judge, f.interface, is_uplink(a, f.interface), f.ethernet ? a->buffer + 6 : NULL, f.type,
                   a->buffer + head, f.n - head);
    }
    return n;
}

static void take_answer(struct attack *a, const uint8_t *frame, size_t n)
{
    const struct ground *g = &a->ground;
    if (n >= 42 && be16_load(frame + 12) == FRAME_ARP && frame[21] == 2 &&
        memcmp(frame + 28, g->network.addr.b + 12, 4) == 0 && memcmp(frame + 32, g->mine, 6) == 0) {
        a->met = true;
        if (a->matrix.count == 0)
            memcpy(a->ground.gateway_mac, frame + 22, 6);
    }
    if (a->matrix.count == 0)
        return;
    struct answer answer = answer_read(g, frame, n, a->asker);
    const struct probe *probe = NULL;
    if (answer.number >= 0 && (unsigned)answer.number < a->matrix.count && !a->later) {
        a->result[answer.number].words |= (uint16_t)answer.word;
        probe = &a->matrix.probe[answer.number];
    }
    a->back++;
    secrets_look(&a->secrets, frame, n, probe != NULL ? probe->frame : NULL, probe != NULL ? probe->n : 0, a->later,
                 clock_ms(CLOCK_REALTIME) / 1000, clock_ms(CLOCK_MONOTONIC));
}

/* Other workstations speak, too: what they say to one another is none of this. */
static bool is_for_us(const struct attack *a, const uint8_t *frame)
{
    return memcmp(frame, a->ground.mine, 6) == 0 || memcmp(frame + 6, a->ground.gateway_mac, 6) == 0 ||
           a->matrix.count == 0;
}

static int watch_station(struct attack *a)
{
    struct wire_frame f;
    int n;
    while ((n = wire_read(a->station, a->buffer, &f)) == 1) {
        bool known = f.ethernet && !f.outgoing && is_for_us(a, a->buffer);
        for (unsigned i = 0; !known && f.ethernet && !f.outgoing && i < a->ground.other_count; i++)
            known = memcmp(a->buffer + 6, a->ground.others[i].mac, 6) == 0;
        if (known)
            take_answer(a, a->buffer, f.n);
    }
    return n;
}

static void watch_doors(struct attack *a)
{
    uint8_t data[64];
    for (unsigned i = 0; i < ATTACK_DOORS; i++) {
        int fd = a->doors[i], accepted;
        while (fd >= 0 && (accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
            a->heard++;
            close(accepted);
        }
        if (fd >= 0 && errno == EOPNOTSUPP) {
            while (recv(fd, data, sizeof(data), MSG_DONTWAIT) >= 0)
                a->heard++;
        }
    }
}

int attack_look_at_tor(struct attack *a)
{
    static struct tor_connections now; /* large, and one thread looks */
    if (a->tor == 0)
        return 0;
    int status = tor_look(a->tor, &now);
    for (unsigned i = 0; status == 0 && i < now.count; i++) {
        const struct tor_connection *c = &now.each[i];
        judge_add_peer(&a->judge, &(struct judge_peer){c->there, c->there_port});
        secrets_add_address(&a->secrets, "address of a relay", &c->there);
        if (a->ground.tor_port == 0) {
            a->ground.relay = c->there;
            a->ground.relay_port = c->there_port;
            a->ground.tor_port = c->here_port;
        }
    }
    a->looked_ms = clock_ms(CLOCK_MONOTONIC);
    return status;
}

/* Look at all that came. */
static int watch(struct attack *a)
{
    if (*a->stop)
        return -EINTR;
    int status = watch_station(a);
    if (status == 0)
        status = watch_host(a);
    watch_doors(a);
    if (clock_ms(CLOCK_MONOTONIC) - a->looked_ms > LOOK_MS)
        attack_look_at_tor(a); /* that Tor has ended is seen in the end */
    return status;
}

static int wait_ms(struct attack *a, int64_t ms)
{
    int64_t end = clock_ms(CLOCK_MONOTONIC) + ms, left;
    int status = 0;
    while (status == 0 && (left = end - clock_ms(CLOCK_MONOTONIC)) > 0) {
        struct pollfd fds[] = {{.fd = a->station->fd, .events = POLLIN}, {.fd = a->host->fd, .events = POLLIN}};
        poll(fds, 2, left < 20 ? (int)left : 20);
        status = watch(a);
    }
    return status;
}

/* Send now, or as soon as the queue has room. */
static int send_frame(struct attack *a, const uint8_t *frame, size_t n)
{
    int status = wire_send(a->station, frame, n);
    for (unsigned tries = 0; status == -EAGAIN && tries < 200; tries++) {
        int waited = wait_ms(a, 5);
        if (waited != 0)
            return waited;
        status = wire_send(a->station, frame, n);
    }
    return status;
}

static void speak(struct attack *a)
{
    int fd = a->socks != NULL && a->spoken_count < ATTACK_SPOKEN ? tor_speak(a->socks) : -1;
    if (fd >= 0)
        a->spoken[a->spoken_count++] = fd;
}

static int ask_for_gateway(struct attack *a)
{
    static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, nobody[6];
    const struct ground *g = &a->ground;
    struct piece frame;
    frame_begin(&frame, everybody, g->mine, FRAME_ARP);
    frame_arp(&frame, 1, g->mine, &g->me, nobody, &g->network.addr);
    return send_frame(a, frame.b, frame.n);
}

int attack_meet(struct attack *a)
{
    if (a->buffer == NULL && (a->buffer = malloc(WIRE_MAX)) == NULL)
        return -ENOMEM;
    a->met = false;
    for (int times = 0; times < MEET_TIMES; times++) {
        int status = ask_for_gateway(a);
        for (int64_t waited = 0; status == 0 && !a->met && waited < MEET_MS; waited += 10)
            status = wait_ms(a, 10);
        if (status != 0 || a->met)
            return status;
    }
    return -EHOSTUNREACH;
}

/* Another workstation is there first, for a moment. */
static int be_neighbour(struct attack *a)
{
    static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, nobody[6];
    struct ground *g = &a->ground;
    uint8_t mac[6];
    struct piece frame;
    memcpy(mac, g->mine, 6);
    mac[5] ^= 0x80;
    frame_begin(&frame, everybody, mac, FRAME_ARP);
    frame_arp(&frame, 1, mac, &g->neighbour, nobody, &g->network.addr);
    return send_frame(a, frame.b, frame.n);
}

bool attack_withholds(const struct ground *g, const uint8_t *frame, size_t n, bool mutant)
{
    if (n < FRAME_HEAD + 40 || (!(frame[0] & 1) && memcmp(frame, g->gateway_mac, 6) != 0))
        return false;
    const uint8_t *packet = frame + FRAME_HEAD;
    uint16_t type = be16_load(frame + 12);
    struct ipaddr to;
    /* Whatever it is for: what a gateway with a fault might take for TCP is TCP here. */
    if (type == FRAME_IPV4 && packet[9] == FRAME_TCP)
        to = ipaddr_v4(packet + 16);
    else if (type == FRAME_IPV6 && n >= FRAME_HEAD + 60 && packet[6] == FRAME_TCP)
        to = ipaddr_v6(packet + 24);
    else
        return false;
    if (!range_is_internet(&to))
        return false;
    bool resolver = ipaddr_equal(&to, &g->resolver);
    bool nobody = ipaddr_equal(&to, &g->internet) || ipaddr_equal(&to, &g->internet6) || resolver;
    return mutant || !nobody;
}

/* Keep to the rate: wait until frame number `count` is due. */
static int pace(struct attack *a, int64_t began, uint32_t count)
{
    int64_t due = began + (int64_t)count * 1000 / a->rate, now = clock_ms(CLOCK_MONOTONIC);
    if (due > now)
        return wait_ms(a, due - now);
    return count % BURST == 0 ? watch(a) : 0;
}

static int send_matrix(struct attack *a)
{
    int64_t began = clock_ms(CLOCK_MONOTONIC);
    int status = 0;
    for (unsigned i = 0; status == 0 && i < a->matrix.count; i++) {
        const struct probe *probe = &a->matrix.probe[i];
        if (a->considerate && attack_withholds(&a->ground, probe->frame, probe->n, false)) {
            a->result[i].withheld = true;
            a->withheld++;
            continue;
        }
        status = pace(a, began, i);
        if (status == 0 && probe->group == MATRIX_ARP) {
            status = wait_ms(a, ASK_MS);
            a->asker = (int)i;
        }
        if (status == 0)
            status = send_frame(a, probe->frame, probe->n);
        a->sent += status == 0;
        if (i == a->matrix.count / 2)
            speak(a);
    }
    return status;
}

static int send_mutants(struct attack *a)
{
    struct mutator mutator;
    struct piece frame;
    int64_t began = clock_ms(CLOCK_MONOTONIC);
    int status = 0;
    mutator_init(&mutator, &a->matrix, a->seed);
    for (uint32_t i = 0; status == 0 && i < a->mutants; i++) {
        mutator_next(&mutator, &frame);
        secrets_said(&a->secrets, frame.b, frame.n);
        if (a->considerate && attack_withholds(&a->ground, frame.b, frame.n, true)) {
            a->mutants_withheld++;
            continue;
        }
        status = pace(a, began, i);
        /* A mutant may have had the gateway's address for its source, and a bridge that believed it. */
        if (status == 0 && i % ASK_EVERY == 0)
            status = ask_for_gateway(a);
        if (status == 0)
            status = send_frame(a, frame.b, frame.n);
        a->mutants_sent += status == 0;
    }
    return status;
}

int attack_run(struct attack *a, const char **step)
{
    *step = "make the probes";
    a->asker = -1;
    int status = matrix_make(&a->matrix, &a->ground);
    if (status != 0)
        return status;
    *step = "send the probes";
    speak(a);
    status = be_neighbour(a);
    if (status == 0)
        status = send_matrix(a);
    if (status == 0)
        status = wait_ms(a, LINGER_MS);
    if (status != 0)
        return status;
    *step = "send the mutated frames";
    a->later = true;
    for (unsigned i = 0; i < a->matrix.count; i++)
        secrets_said(&a->secrets, a->matrix.probe[i].frame, a->matrix.probe[i].n);
    if (a->mutants > 0)
        status = send_mutants(a);
    speak(a);
    if (status == 0)
        status = wait_ms(a, LINGER_MS);
    if (status != 0)
        return status;
    *step = "see whether the gateway still answers";
    status = attack_meet(a);
    a->alive_after = status == 0;
    attack_look_at_tor(a);
    judge_settle(&a->judge);
    wire_count(a->host);
    wire_count(a->station);
    return status == -EHOSTUNREACH ? 0 : status;
}

void attack_free(struct attack *a)
{
    for (unsigned i = 0; i < a->spoken_count; i++)
        close(a->spoken[i]);
    a->spoken_count = 0;
    matrix_free(&a->matrix);
    free(a->buffer);
    a->buffer = NULL;
}
