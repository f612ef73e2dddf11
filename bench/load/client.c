/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The workstation of the load bench: opens flows and says what became of them, as one line of key=value.
 *
 *     client bulk --down | --up      moves bytes over --flows flows for --seconds, after --warm seconds
 *     client rate                    opens flows, --flows at a time, each for one byte there and back; the far end
 *                                    closes
 *     client latency                 the same, --rate flows each second, whatever the answers
 *     client hold                    opens at most --flows flows as lines on its input say: "open N" (until there are N),
 *                                    "move BYTES" (there and back, on each), "ping COUNT" (one byte there and back, on
 *                                    one flow after another), "close"
 *
 * All with --to ADDRESS:PORT (--spread N: and the N - 1 addresses after it, in turn), or --socks-unix PATH or
 * --socks-tcp ADDRESS:PORT to ask a SOCKS server for it directly. --cpu PID,PID: the CPU time of these processes in the
 * time measured. --stats FILE: the far end's counters.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common.h"

#define BLOCK (1u << 20)
#define ROUNDS 8
#define HANDSHAKE_AT_ONCE 64 /* of a client that holds flows */
#define PINGS_AT_ONCE 8
#define PING_TIME_NS 5000000000ull /* that is given to exchanges at most */
#define FLOW_TIMEOUT_NS 10000000000ull

static struct {
    bool up;
    uint32_t flows;
    double seconds, warm;
    double rate;
    struct sockaddr_in to;
    uint32_t spread;
    const char *socks_unix;
    const char *socks_tcp;
    const char *congestion;
    const char *cpu;
    struct far_stats *stats;
} option = {.flows = 1, .seconds = 5, .warm = 1, .rate = 100, .spread = 1};

enum state { STATE_IDLE, STATE_CONNECTING, STATE_ASKED, STATE_OPEN };

struct flow {
    int fd;
    enum state state;
    uint64_t start; /* of the connect or ping, nanoseconds */
    uint64_t bytes; /* moved, or still to come */
};

static int epoll;
static int zeros;
static struct flow *flows;
static uint32_t opened; /* flows that were ever opened: chooses the address */
static uint8_t scratch[BLOCK];

static uint64_t *samples; /* latencies, nanoseconds */
static size_t sample_count, sample_room;

static void sample_add(uint64_t value)
{
    if (sample_count == sample_room) {
        sample_room = sample_room == 0 ? 4096 : 2 * sample_room;
        samples = realloc(samples, sample_room * sizeof(*samples));
        if (samples == NULL)
            die("out of memory");
    }
    samples[sample_count++] = value;
}

static void print_latency(void)
{
    printf(
        " samples=%zu p50_us=%.1f p90_us=%.1f p99_us=%.1f p999_us=%.1f max_us=%.1f", sample_count,
        (double)percentile(samples, sample_count, 500) / 1e3, (double)percentile(samples, sample_count, 900) / 1e3,
        (double)percentile(samples, sample_count, 990) / 1e3, (double)percentile(samples, sample_count, 999) / 1e3,
        (double)percentile(samples, sample_count, 1000) / 1e3);
}

/* Ask a SOCKS5 server with credentials that nobody had before, all in one send, as the gateway does. */
static void send_request(int fd, const struct sockaddr_in *to)
{
    uint8_t request[64] = {5, 1, 2, 1, 16};
    snprintf((char *)request + 5, 17, "%08x%08x", (uint32_t)getpid(), opened);
    memcpy(request + 21, "\1x\5\1\0\1", 6);
    memcpy(request + 27, &to->sin_addr, 4);
    memcpy(request + 31, &to->sin_port, 2);
    check((int)send(fd, request, 33, MSG_NOSIGNAL), "send a request");
}
#define ANSWER_MAX 64u

/* Length of the whole answer: method (Tor leaves it out when all was asked for at once), status of the credentials, and
 * reply with an address. 0: there is more to come. */
static size_t answer_length(const uint8_t *p, size_t n)
{
    size_t at = n >= 3 && p[0] == 5 && p[1] == 2 && p[2] == 1 ? 2 : 0;
    at += n >= at + 2 && p[at] == 1 ? 2 : 0;
    if (at == 0 || n < at + 5)
        return 0;
    if (p[at + 1] != 0)
        die("the SOCKS server refused a flow: %u", p[at + 1]);
    uint8_t kind = p[at + 3];
    at += kind == 1 ? 10 : kind == 4 ? 22 : 7u + p[at + 4];
    return at <= n ? at : 0;
}

static void flow_open(struct flow *f, uint32_t events)
{
    struct sockaddr_in to = option.to;
    to.sin_addr.s_addr = htonl(ntohl(to.sin_addr.s_addr) + opened++ % option.spread);
    bool direct = option.socks_unix == NULL && option.socks_tcp == NULL;
    int status, yes = 1;
    f->start = now_ns();
    f->bytes = 0;
    if (option.socks_unix != NULL) {
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        strncpy(at.sun_path, option.socks_unix, sizeof(at.sun_path) - 1);
        f->fd = check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
        status = connect(f->fd, (struct sockaddr *)&at, sizeof(at));
    } else {
        struct sockaddr_in at = direct ? to : parse_address(option.socks_tcp);
        f->fd = check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (direct ? SOCK_NONBLOCK : 0), 0), "socket");
        setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        choose_congestion(f->fd, option.congestion);
        status = connect(f->fd, (struct sockaddr *)&at, sizeof(at));
    }
    if (status != 0 && errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    fcntl(f->fd, F_SETFL, O_NONBLOCK);
    if (!direct)
        send_request(f->fd, &to);
    f->state = direct ? STATE_CONNECTING : STATE_ASKED;
    struct epoll_event event = {.events = events, .data.ptr = f};
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, f->fd, &event), "epoll_ctl");
}

/* Go on with the connect. True once the flow is open. */
static bool flow_connect(struct flow *f)
{
    if (f->state == STATE_CONNECTING) {
        int error = 0;
        struct sockaddr_in peer;
        socklen_t n = sizeof(error), m = sizeof(peer);
        getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &n);
        if (error != 0)
            die("a flow was refused: %s", strerror(error));
        if (getpeername(f->fd, (struct sockaddr *)&peer, &m) != 0)
            return false;
        f->state = STATE_OPEN;
    } else if (f->state == STATE_ASKED) {
        uint8_t answer[ANSWER_MAX];
        ssize_t n = recv(f->fd, answer, sizeof(answer), MSG_PEEK);
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n <= 0)
            die("the SOCKS server ended a flow");
        size_t length = answer_length(answer, (size_t)n);
        if (length == 0)
            return false;
        check((int)recv(f->fd, answer, length, 0), "recv");
        f->bytes = 0;
        f->state = STATE_OPEN;
    }
    return f->state == STATE_OPEN;
}

static void flow_close(struct flow *f)
{
    close(f->fd);
    f->fd = -1;
    f->state = STATE_IDLE;
}

/* Events until `until`. At most 10 ms are waited at once. */
static int wait_events(struct epoll_event *events, int max, uint64_t until, bool busy)
{
    uint64_t now = now_ns();
    int ms = busy || now >= until ? 0 : (int)((until - now + 999999) / 1000000);
    int n = epoll_wait(epoll, events, max, ms > 10 ? 10 : ms);
    if (n < 0 && errno != EINTR)
        check(n, "epoll_wait");
    return n < 0 ? 0 : n;
}

static void flows_new(uint32_t count)
{
    if (limit_descriptors(count + 100) < count + 20)
        die("%u flows are more than the descriptors that are allowed", count);
    epoll = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    zeros = zero_file(BLOCK);
    flows = calloc(count, sizeof(*flows));
    if (flows == NULL)
        die("out of memory");
}

/* bulk */

/* Returns true if there is more to move at once. */
static bool bulk_move(struct flow *f)
{
    for (int i = 0; i < ROUNDS; i++) {
        off_t at = 0;
        ssize_t n = option.up ? sendfile(f->fd, zeros, &at, BLOCK) : recv(f->fd, scratch, BLOCK, MSG_TRUNC);
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n <= 0)
            die("a flow ended: %s", n < 0 ? strerror(errno) : "end of file");
        f->bytes += (uint64_t)n;
    }
    return true;
}

static uint64_t bulk_total(void)
{
    uint64_t sum = 0;
    if (option.up && option.stats != NULL)
        return __atomic_load_n(&option.stats->sunk, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < option.flows; i++)
        sum += flows[i].bytes;
    return sum;
}

static void bulk(void)
{
    struct epoll_event events[512];
    flows_new(option.flows);
    bool *busy = calloc(option.flows, sizeof(*busy));
    uint64_t *before = calloc(option.flows, sizeof(*before));
    if (busy == NULL || before == NULL)
        die("out of memory");
    for (uint32_t i = 0; i < option.flows; i++)
        flow_open(&flows[i], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    uint64_t start = now_ns() + (uint64_t)(option.warm * 1e9), end = start + (uint64_t)(option.seconds * 1e9);
    uint64_t bytes = 0, cpu = 0, now;
    bool started = false;
    uint32_t busy_count = 0;
    while ((now = now_ns()) < end) {
        if (!started && now >= start) {
            started = true;
            start = now;
            bytes = bulk_total();
            cpu = cpu_ns(option.cpu);
            for (uint32_t i = 0; i < option.flows; i++)
                before[i] = flows[i].bytes;
        }
        int n = wait_events(events, 512, started ? end : start, busy_count > 0);
        for (int i = 0; i < n; i++) {
            struct flow *f = events[i].data.ptr;
            if (flow_connect(f) && !busy[f - flows]) {
                busy[f - flows] = true;
                busy_count++;
            }
        }
        for (uint32_t i = 0; i < option.flows && busy_count > 0; i++) {
            if (busy[i] && !bulk_move(&flows[i])) {
                busy[i] = false;
                busy_count--;
            }
        }
    }
    double seconds = (double)(now_ns() - start) / 1e9;
    bytes = bulk_total() - bytes;
    cpu = cpu_ns(option.cpu) - cpu;
    uint64_t slowest = UINT64_MAX, fastest = 0, sum = 0, retransmits = 0;
    for (uint32_t i = 0; i < option.flows; i++) {
        uint64_t moved = flows[i].bytes - before[i];
        struct tcp_info info;
        socklen_t size = sizeof(info);
        sum += moved;
        slowest = moved < slowest ? moved : slowest;
        fastest = moved > fastest ? moved : fastest;
        if (getsockopt(flows[i].fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
            retransmits += info.tcpi_total_retrans;
    }
    double mean = (double)sum / option.flows;
    uint32_t starved = 0;
    for (uint32_t i = 0; i < option.flows; i++)
        starved += (double)(flows[i].bytes - before[i]) < mean / 4;
    printf("gbit=%.4f cpu_per_gb=%.4f cpu_share=%.3f slowest=%.3f fastest=%.3f starved=%u retransmits=%lu\n",
           (double)bytes * 8 / seconds / 1e9, bytes > 0 ? (double)cpu / (double)bytes : 0,
           (double)cpu / 1e9 / seconds, mean > 0 ? (double)slowest / mean : 0,
           mean > 0 ? (double)fastest / mean : 0, starved, retransmits);
}

/* rate, latency */

/* One byte there, some back, of which the first is timed, and the far end closes. Returns true when it has. */
static bool exchange_step(struct flow *f)
{
    uint8_t byte = 'x';
    if (f->state != STATE_OPEN) {
        if (!flow_connect(f))
            return false;
        check((int)send(f->fd, &byte, 1, MSG_NOSIGNAL), "send");
    }
    for (;;) {
        ssize_t n = recv(f->fd, scratch, sizeof(scratch), 0);
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0 || (n == 0 && f->bytes == 0))
            die("a flow ended before its byte came: %s", n < 0 ? strerror(errno) : "end of file");
        if (n == 0)
            return true;
        if (f->bytes == 0)
            sample_add(now_ns() - f->start);
        f->bytes += (uint64_t)n;
    }
}

static void rate(void)
{
    struct epoll_event events[256];
    flows_new(option.flows);
    for (uint32_t i = 0; i < option.flows; i++)
        flow_open(&flows[i], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    uint64_t start = now_ns() + (uint64_t)(option.warm * 1e9), end = start + (uint64_t)(option.seconds * 1e9);
    uint64_t cpu = 0, done = 0, now;
    bool started = false;
    while ((now = now_ns()) < end) {
        if (!started && now >= start) {
            started = true;
            start = now;
            sample_count = done = 0;
            cpu = cpu_ns(option.cpu);
        }
        int n = wait_events(events, 256, end, false);
        for (int i = 0; i < n; i++) {
            struct flow *f = events[i].data.ptr;
            if (!exchange_step(f))
                continue;
            done++;
            flow_close(f);
            flow_open(f, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
        }
        for (uint32_t i = 0; n == 0 && i < option.flows; i++) {
            if (now_ns() - flows[i].start > FLOW_TIMEOUT_NS)
                die("a flow got no answer in 10 s");
        }
    }
    double seconds = (double)(now_ns() - start) / 1e9;
    cpu = cpu_ns(option.cpu) - cpu;
    printf("per_second=%.1f cpu_us=%.2f cpu_share=%.3f", (double)done / seconds,
           done > 0 ? (double)cpu / 1e3 / (double)done : 0, (double)cpu / 1e9 / seconds);
    print_latency();
    putchar('\n');
}

static void latency(void)
{
    struct epoll_event events[256];
    uint32_t total = (uint32_t)(option.rate * option.seconds);
    uint64_t gap = (uint64_t)(1e9 / option.rate), start = now_ns() + gap;
    flows_new(total);
    uint32_t next = 0, done = 0;
    while (done < total) {
        uint64_t now = now_ns();
        if (next < total && now >= start + next * gap) {
            flow_open(&flows[next], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
            next++;
            continue;
        }
        if (next == total && now > start + next * gap + FLOW_TIMEOUT_NS)
            die("%u of %u flows got no answer in 10 s", total - done, total);
        /* Timed by a busy wait in its last millisecond, so that the client's own wakeups are not measured. */
        bool soon = next < total && start + next * gap - now < 1500000;
        int n = wait_events(events, 256, next < total ? start + next * gap - 1000000 : now + 10000000, soon);
        for (int i = 0; i < n; i++) {
            struct flow *f = events[i].data.ptr;
            if (f->state != STATE_IDLE && exchange_step(f)) {
                done++;
                flow_close(f);
            }
        }
    }
    print_latency();
    putchar('\n');
}

/* hold */

static uint32_t held; /* flows that are open */

/* More flows, until there are `count`. */
static void hold_open(uint32_t count)
{
    struct epoll_event events[256];
    uint32_t next = held, done = held;
    uint64_t start = now_ns(), last = start;
    if (count > option.flows)
        die("%u flows are more than --flows %u", count, option.flows);
    while (done < count) {
        while (next < count && next - done < HANDSHAKE_AT_ONCE)
            flow_open(&flows[next++], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
        int n = wait_events(events, 256, now_ns() + 10000000, false);
        for (int i = 0; i < n; i++) {
            struct flow *f = events[i].data.ptr;
            if (f->state != STATE_OPEN && flow_connect(f)) {
                done++;
                last = now_ns();
            }
        }
        if (now_ns() - last > FLOW_TIMEOUT_NS)
            die("stuck at %u of %u flows", done, count);
    }
    held = done;
    printf("held=%u seconds=%.2f\n", done, (double)(last - start) / 1e9);
}

/* `bytes` there and back on each flow, a few flows at a time. */
static void hold_move(uint64_t bytes, uint32_t at_once)
{
    struct epoll_event events[256];
    uint64_t *sent = calloc(option.flows, sizeof(*sent));
    if (sent == NULL)
        die("out of memory");
    uint32_t next = 0, done = 0;
    uint64_t last = now_ns();
    while (done < held) {
        while (next < held && next - done < at_once) {
            struct flow *f = &flows[next++];
            struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = f};
            f->bytes = bytes;
            check(epoll_ctl(epoll, EPOLL_CTL_MOD, f->fd, &event), "epoll_ctl");
        }
        int n = wait_events(events, 256, now_ns() + 10000000, false);
        for (int i = 0; i < n; i++) {
            struct flow *f = events[i].data.ptr;
            uint64_t *out = &sent[f - flows];
            bool moved = f->bytes > 0;
            while (moved) {
                moved = false;
                /* A part at a time: the echo keeps nothing that its buffers do not take. */
                uint64_t back = bytes - f->bytes;
                uint64_t room = back + 32768 > *out ? back + 32768 - *out : 0;
                uint64_t want = bytes - *out < room ? bytes - *out : room;
                ssize_t k = want > 0 ? send(f->fd, scratch, want, MSG_NOSIGNAL) : 0;
                if (k > 0) {
                    *out += (uint64_t)k;
                    moved = true;
                }
                k = f->bytes > 0 ? recv(f->fd, scratch, f->bytes, 0) : -1;
                if (k == 0 || (k < 0 && f->bytes > 0 && errno != EAGAIN))
                    die("a flow ended in the middle");
                if (k > 0) {
                    f->bytes -= (uint64_t)k;
                    moved = f->bytes > 0;
                    if (f->bytes == 0)
                        done++;
                    last = now_ns();
                }
            }
        }
        if (now_ns() - last > FLOW_TIMEOUT_NS)
            die("stuck at %u of %u flows", done, held);
    }
    free(sent);
    printf("moved=%lu\n", bytes * done);
}

/* `count` times one byte there and back, each on the flow after the last one's, a few at once. */
static void hold_ping(uint64_t count)
{
    struct epoll_event events[256];
    uint32_t next = 0, flying = 0;
    uint64_t begun = 0, done = 0, start = now_ns(), cpu = cpu_ns(option.cpu);
    uint8_t byte = 'x';
    sample_count = 0;
    if (held == 0)
        die("no flow is open");
    for (uint32_t i = 0; i < held; i++)
        flows[i].bytes = 0;
    while (done < count && now_ns() < start + PING_TIME_NS) {
        while (begun < count && flying < PINGS_AT_ONCE) {
            struct flow *f = &flows[next++ % held];
            if (f->bytes > 0)
                break;
            f->bytes = 1;
            f->start = now_ns();
            check((int)send(f->fd, &byte, 1, MSG_NOSIGNAL), "send");
            flying++;
            begun++;
        }
        int n = wait_events(events, 256, now_ns() + 10000000, false);
        for (int i = 0; i < n; i++) {
            struct flow *f = events[i].data.ptr;
            if (f->bytes > 0 && recv(f->fd, &byte, 1, 0) == 1) {
                f->bytes = 0;
                flying--;
                done++;
                sample_add(now_ns() - f->start);
            }
        }
    }
    if (done == 0)
        die("no exchange was done");
    double seconds = (double)(now_ns() - start) / 1e9;
    printf("pings=%lu per_second=%.0f cpu_us=%.3f", done, (double)done / seconds,
           (double)(cpu_ns(option.cpu) - cpu) / 1e3 / (double)done);
    print_latency();
    putchar('\n');
}

static void hold(void)
{
    char line[128];
    flows_new(option.flows);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        unsigned long n = 0;
        if (sscanf(line, "open %lu", &n) == 1)
            hold_open((uint32_t)n);
        else if (sscanf(line, "move %lu", &n) == 1)
            hold_move(n, HANDSHAKE_AT_ONCE);
        else if (sscanf(line, "ping %lu", &n) == 1)
            hold_ping(n);
        else if (strcmp(line, "close\n") == 0)
            break;
        fflush(stdout);
    }
    for (uint32_t i = 0; i < held; i++)
        flow_close(&flows[i]);
    puts("closed=1");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } jobs[] = {{"bulk", bulk}, {"rate", rate}, {"latency", latency}, {"hold", hold}};
    void (*job)(void) = NULL;
    for (size_t i = 0; argc > 1 && i < sizeof(jobs) / sizeof(jobs[0]); i++) {
        if (strcmp(argv[1], jobs[i].name) == 0)
            job = jobs[i].run;
    }
    if (job == NULL)
        die("usage: client bulk|rate|latency|hold OPTION ... (see the top of client.c)");
    for (int i = 2; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--up") == 0 || strcmp(name, "--down") == 0) {
            option.up = name[2] == 'u';
            continue;
        }
        if (++i >= argc)
            die("%s: a value is missing, or no such option", name);
        const char *value = argv[i];
        if (strcmp(name, "--to") == 0)
            option.to = parse_address(value);
        else if (strcmp(name, "--spread") == 0)
            option.spread = (uint32_t)atoi(value);
        else if (strcmp(name, "--flows") == 0)
            option.flows = (uint32_t)atoi(value);
        else if (strcmp(name, "--seconds") == 0)
            option.seconds = atof(value);
        else if (strcmp(name, "--warm") == 0)
            option.warm = atof(value);
        else if (strcmp(name, "--rate") == 0)
            option.rate = atof(value);
        else if (strcmp(name, "--socks-unix") == 0)
            option.socks_unix = value;
        else if (strcmp(name, "--socks-tcp") == 0)
            option.socks_tcp = value;
        else if (strcmp(name, "--congestion") == 0)
            option.congestion = value;
        else if (strcmp(name, "--cpu") == 0)
            option.cpu = value;
        else if (strcmp(name, "--stats") == 0)
            option.stats = far_stats_map(value);
        else
            die("%s: no such option", name);
    }
    signal(SIGPIPE, SIG_IGN);
    job();
    return 0;
}
