/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bad link between two Ethernet devices: loss, delay, reordering, duplication.
 *
 *     impair SEED PORT PORT      PORT is tap:NAME, made here and to be moved to where it is wanted,
 *                                or packet:NAME, a device that is there
 *
 * A line on standard input sets what holds from then on, for both ways; what is not named becomes zero:
 *
 *     loss=PPM delay=US reorder=PPM late=US duplicate=PPM
 *
 * and is answered with "ok". A reordered frame comes up to `late` microseconds after its turn. Only TCP suffers:
 * what resolves addresses passes as it is. The end of standard input ends the program.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_tun.h>

#define FRAME_MAX 65600u
#define WAITING_MAX 16384u /* frames under way; more are lost */
#define BATCH 64u          /* frames read from one port before the other has its turn */
#define MILLION 1000000u

struct frame {
    uint64_t due;   /* ns */
    uint64_t order; /* of arrival: what is due at once leaves as it came */
    int to;         /* descriptor */
    uint32_t len;
    uint8_t bytes[];
};

static struct {
    uint32_t loss, delay, reorder, late, duplicate;
} link_now;

static struct frame *heap[WAITING_MAX];
static uint32_t waiting;
static uint64_t arrivals;
static uint64_t random_state;

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("impair: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* splitmix64 */
static uint32_t random_below(uint32_t n)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(((z ^ (z >> 31)) >> 32) * n >> 32);
}

static bool chance(uint32_t ppm)
{
    return ppm != 0 && random_below(MILLION) < ppm;
}

static bool before(const struct frame *a, const struct frame *b)
{
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void heap_add(struct frame *frame)
{
    uint32_t i = waiting++;
    for (; i > 0 && before(frame, heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = frame;
}

static struct frame *heap_take(void)
{
    struct frame *first = heap[0];
    struct frame *last = heap[--waiting];
    uint32_t i = 0;
    for (uint32_t child = 1; child < waiting; child = 2 * i + 1) {
        if (child + 1 < waiting && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return first;
}

static bool is_tcp(const uint8_t *frame, uint32_t len)
{
    unsigned type = len >= 34 ? (unsigned)frame[12] << 8 | frame[13] : 0;
    return (type == ETH_P_IP && frame[23] == 6) || (type == ETH_P_IPV6 && frame[20] == 6);
}

static void queue(const uint8_t *bytes, uint32_t len, int to, uint64_t due)
{
    struct frame *frame = waiting < WAITING_MAX ? malloc(sizeof(*frame) + len) : NULL;
    if (frame == NULL)
        return;
    *frame = (struct frame){.due = due, .order = arrivals++, .to = to, .len = len};
    memcpy(frame->bytes, bytes, len);
    heap_add(frame);
}

static void arrive(const uint8_t *bytes, uint32_t len, int to)
{
    uint64_t now = now_ns();
    if (!is_tcp(bytes, len)) {
        queue(bytes, len, to, now);
        return;
    }
    if (chance(link_now.loss))
        return;
    uint64_t due = now + (uint64_t)link_now.delay * 1000;
    if (chance(link_now.duplicate))
        queue(bytes, len, to, due);
    if (chance(link_now.reorder))
        due += (uint64_t)random_below(link_now.late + 1) * 1000;
    queue(bytes, len, to, due);
}

/* Everything that is there, up to a bound. */
static void take(int from, int to)
{
    static uint8_t bytes[FRAME_MAX];
    for (uint32_t k = 0; k < BATCH; k++) {
        struct sockaddr_ll sender = {0};
        socklen_t sender_len = sizeof(sender);
        ssize_t n = recvfrom(from, bytes, sizeof(bytes), 0, (struct sockaddr *)&sender, &sender_len);
        if (n < 0 && errno == ENOTSOCK)
            n = read(from, bytes, sizeof(bytes));
        if (n <= 0)
            return;
        if (sender.sll_pkttype != PACKET_OUTGOING) /* not what we sent ourselves */
            arrive(bytes, (uint32_t)n, to);
    }
}

static void deliver(void)
{
    uint64_t now = now_ns();
    while (waiting > 0 && heap[0]->due <= now) {
        struct frame *frame = heap_take();
        ssize_t n = write(frame->to, frame->bytes, frame->len);
        (void)n; /* a device that is down, or full, loses it */
        free(frame);
    }
}

static int open_tap(const char *name)
{
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
        fail("TAP %s: %s", name, strerror(errno));
    return fd;
}

static int open_packet(const char *name)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_ifindex = (int)if_nametoindex(name),
    };
    address.sll_protocol = htons(ETH_P_ALL);
    struct packet_mreq all = {.mr_ifindex = address.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
    int size = 8 << 20;
    if (fd < 0 || address.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) < 0)
        fail("device %s: %s", name, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
    return fd;
}

static int open_port(const char *what)
{
    if (strncmp(what, "tap:", 4) == 0)
        return open_tap(what + 4);
    if (strncmp(what, "packet:", 7) == 0)
        return open_packet(what + 7);
    fail("%s is neither tap:NAME nor packet:NAME", what);
}

static void set_link(char *line)
{
    memset(&link_now, 0, sizeof(link_now));
    for (char *word = strtok(line, " \n"); word != NULL; word = strtok(NULL, " \n")) {
        char *value = strchr(word, '=');
        if (value == NULL)
            fail("%s is not NAME=VALUE", word);
        *value++ = '\0';
        uint32_t n = (uint32_t)strtoul(value, NULL, 10);
        if (strcmp(word, "loss") == 0)
            link_now.loss = n;
        else if (strcmp(word, "delay") == 0)
            link_now.delay = n;
        else if (strcmp(word, "reorder") == 0)
            link_now.reorder = n;
        else if (strcmp(word, "late") == 0)
            link_now.late = n;
        else if (strcmp(word, "duplicate") == 0)
            link_now.duplicate = n;
        else
            fail("%s: no such property of a link", word);
    }
    puts("ok");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[256];
    if (argc != 4) {
        fputs("usage: impair SEED PORT PORT\n", stderr);
        return 2;
    }
    random_state = strtoull(argv[1], NULL, 10);
    struct pollfd poll_fds[3] = {{.fd = open_port(argv[2]), .events = POLLIN},
                                 {.fd = open_port(argv[3]), .events = POLLIN},
                                 {.fd = STDIN_FILENO, .events = POLLIN}};
    int a = poll_fds[0].fd;
    int b = poll_fds[1].fd;
    prctl(PR_SET_TIMERSLACK, 1000ul, 0, 0, 0);
    puts("ok");
    fflush(stdout);
    for (;;) {
        uint64_t now = now_ns();
        uint64_t ahead = waiting == 0 ? 1000000000u : heap[0]->due > now ? heap[0]->due - now : 0;
        struct timespec wait = {.tv_sec = (time_t)(ahead / 1000000000u), .tv_nsec = (long)(ahead % 1000000000u)};
        if (ppoll(poll_fds, 3, &wait, NULL) < 0 && errno != EINTR)
            fail("poll: %s", strerror(errno));
        if (poll_fds[0].revents != 0)
            take(a, b);
        if (poll_fds[1].revents != 0)
            take(b, a);
        if (poll_fds[2].revents != 0) {
            if (fgets(line, sizeof(line), stdin) == NULL)
                return 0;
            set_link(line);
        }
        deliver();
    }
}
