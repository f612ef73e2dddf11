/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A real TAP in a network namespace of its own, with Linux as the workstation: what the kernel sends is understood, and
 * what we send is taken. Needs root; skipped without.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/ipv6.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "tun/device.h"
#include "tun/link.h"
#include "tun/output.h"
#include "tun/receive.h"
#include "tun_rig.h"

#define DEVICE "cloister0"
#define PATIENCE 2000 /* ms */

static bool enter_namespace(void)
{
    return geteuid() == 0 && unshare(CLONE_NEWNET) == 0;
}

static int control(unsigned long request, void *argument)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int err = ioctl(fd, request, argument) == 0 ? 0 : -errno;
    close(fd);
    return err;
}

static struct ifreq request_for(const char *name)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    return request;
}

static void the_tap_is_made_once_and_dies_with_its_descriptor(void **state)
{
    (void)state;
    struct device first, second;
    const char *step;
    assert_int_equal(device_open(&first, DEVICE, true, &step), 0);
    assert_string_equal(step, "");
    assert_string_equal(first.name, DEVICE);
    assert_int_equal(first.offload, RIG_OFFLOAD);
    struct ifreq request = request_for(DEVICE);
    assert_int_equal(control(SIOCGIFFLAGS, &request), 0);
    assert_false(request.ifr_flags & IFF_UP);
    assert_int_equal(device_open(&second, DEVICE, true, &step), -EBUSY);
    assert_string_equal(step, "create the TAP device");
    assert_non_null(device_advice(-EBUSY));
    assert_int_equal(second.fd, -1);
    assert_int_equal(device_open(&second, "lo", true, &step), -EBUSY);
    close(first.fd);
    assert_int_equal(control(SIOCGIFFLAGS, &request), -ENODEV);
}

/* Can the caller mount a sysfs, as gather_begin() does? */
static bool may_mount(void)
{
    int context = (int)syscall(SYS_fsopen, "sysfs", 0);
    close(context);
    return context >= 0;
}

static void without_offload_the_kernel_gathers_and_no_more_is_agreed_on(void **state)
{
    (void)state;
    struct device device, second;
    const char *step;
    assert_int_equal(device_open(&device, DEVICE, false, &step), 0);
    assert_string_equal(step, "");
    assert_string_equal(device.name, DEVICE);
    assert_int_equal(device.offload, may_mount() ? DEVICE_GATHERS : 0);
    assert_int_equal(device_open(&second, DEVICE, false, &step), -EBUSY);
    assert_string_equal(step, "create the TAP device");
    close(device.fd);
}

static void without_leave_to_mount_the_tap_gathers_nothing(void **state)
{
    (void)state;
    struct device device;
    const char *step;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct had[2], less[2];
    assert_int_equal(syscall(SYS_capget, &header, had), 0);
    memcpy(less, had, sizeof(had));
    less[0].effective &= ~(1u << CAP_SYS_ADMIN);
    assert_int_equal(syscall(SYS_capset, &header, less), 0);
    int status = device_open(&device, DEVICE, false, &step);
    assert_int_equal(syscall(SYS_capset, &header, had), 0);
    assert_int_equal(status, 0);
    assert_string_equal(step, "");
    assert_int_equal(device.offload, 0);
    close(device.fd);
}

static void names_that_the_kernel_would_change_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "tap%d", "a/b", "a:1", "a b", ".", "..", "sixteencharacter"};
    struct device device;
    const char *step;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(device_open(&device, bad[i], true, &step), -EINVAL);
        assert_string_equal(step, "check the name of the device");
    }
}

static bool has_ipv6_address(const char *name)
{
    char line[128], device[32];
    bool found = false;
    FILE *file = fopen("/proc/self/net/if_inet6", "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "%*s %*s %*s %*s %*s %31s", device) == 1 && strcmp(device, name) == 0)
            found = true;
    }
    if (file != NULL)
        fclose(file);
    return found;
}

static void the_link_is_prepared_before_it_comes_up(void **state)
{
    (void)state;
    struct device device;
    const char *step;
    char bridge[IFNAMSIZ] = "br7";
    struct ifreq request = request_for(DEVICE);
    assert_int_equal(device_open(&device, DEVICE, true, &step), 0);
    assert_int_equal(control(SIOCBRADDBR, bridge), 0);

    struct link_config config = {.name = DEVICE, .mtu = 1400, .queue = 77, .bridge = "br7"};
    assert_int_equal(link_prepare(&config, &step), 0);
    assert_string_equal(step, "");
    assert_int_equal(control(SIOCGIFMTU, &request), 0);
    assert_int_equal(request.ifr_mtu, 1400);
    assert_int_equal(control(SIOCGIFTXQLEN, &request), 0);
    assert_int_equal(request.ifr_qlen, 77);
    assert_int_equal(control(SIOCGIFFLAGS, &request), 0);
    assert_false(request.ifr_flags & IFF_UP);

    assert_int_equal(link_set_up(DEVICE, true), 0);
    assert_int_equal(control(SIOCGIFFLAGS, &request), 0);
    assert_true(request.ifr_flags & IFF_UP);
    struct ifreq member = request_for("br7");
    member.ifr_ifindex = (int)if_nametoindex(DEVICE);
    assert_int_equal(control(SIOCBRDELIF, &member), 0); /* it was one of its ports */
    assert_int_equal(control(SIOCBRDELIF, &member), -EINVAL);
    usleep(100 * 1000);
    assert_false(has_ipv6_address(DEVICE));
    assert_int_equal(link_set_up(DEVICE, false), 0);
    assert_int_equal(control(SIOCGIFFLAGS, &request), 0);
    assert_false(request.ifr_flags & IFF_UP);
    close(device.fd);
}

static void each_failed_step_of_the_set_up_is_named(void **state)
{
    (void)state;
    struct device device;
    const char *step;
    struct link_config config = {.name = DEVICE, .mtu = 1500};
    assert_int_equal(link_prepare(&config, &step), -ENODEV);
    assert_string_equal(step, "find the interface");
    assert_int_equal(link_set_up(DEVICE, true), -ENODEV);
    assert_int_equal(device_open(&device, DEVICE, true, &step), 0);
    config.mtu = 10;
    assert_int_equal(link_prepare(&config, &step), -EINVAL);
    assert_string_equal(step, "set the MTU");
    config.mtu = 1500;
    config.bridge = "nowhere";
    assert_int_equal(link_prepare(&config, &step), -ENODEV);
    assert_string_equal(step, "join the bridge");
    config.bridge = "lo";
    assert_true(link_prepare(&config, &step) < 0);
    assert_string_equal(step, "join the bridge");
    close(device.fd);
}

/* The gateway on a real TAP; the kernel behind it is the workstation 10.152.152.11. */
struct scene {
    struct device device;
    struct rig *rig;
    struct receive receive;
};

static int send_to_tap(void *ctx, const struct iovec *iov, int count)
{
    struct scene *scene = ctx;
    return device_send(scene->device.fd, iov, count);
}

/* Answer every datagram with its own bytes. */
static enum drop echo_udp(void *ctx, const struct tun_udp *udp)
{
    struct scene *scene = ctx;
    struct tun_udp answer = *udp;
    answer.src = udp->dst;
    answer.dst = udp->src;
    answer.src_port = udp->dst_port;
    answer.dst_port = udp->src_port;
    assert_int_equal(output_udp(&scene->rig->tun, &answer), 0);
    scene->rig->udp_count++;
    return DROP_NONE;
}

static void set_address(unsigned long request_code, const char *address)
{
    struct ifreq request = request_for(DEVICE);
    struct sockaddr_in sin = {.sin_family = AF_INET};
    inet_pton(AF_INET, address, &sin.sin_addr);
    memcpy(&request.ifr_addr, &sin, sizeof(sin));
    assert_int_equal(control(request_code, &request), 0);
}

static void route_through_the_gateway(void)
{
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
    struct sockaddr_in any = {.sin_family = AF_INET}, gateway = any;
    inet_pton(AF_INET, RIG_GATEWAY, &gateway.sin_addr);
    memcpy(&route.rt_dst, &any, sizeof(any));
    memcpy(&route.rt_genmask, &any, sizeof(any));
    memcpy(&route.rt_gateway, &gateway, sizeof(gateway));
    assert_int_equal(control(SIOCADDRT, &route), 0);
}

/* Write `text` to a file, or return false. */
static bool write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    return file != NULL && fputs(text, file) >= 0 && fclose(file) == 0;
}

/* Give the workstation its IPv6 address, without the second's wait for duplicates, and the route. */
static bool set_address6(void)
{
    struct in6_ifreq request = {.ifr6_prefixlen = 64, .ifr6_ifindex = (int)if_nametoindex(DEVICE)};
    struct in6_rtmsg route = {
        .rtmsg_flags = RTF_UP | RTF_GATEWAY, .rtmsg_metric = 1, .rtmsg_ifindex = request.ifr6_ifindex};
    if (!write_file("/proc/sys/net/ipv6/conf/" DEVICE "/accept_dad", "0"))
        return false;
    inet_pton(AF_INET6, RIG_STATION6, &request.ifr6_addr);
    inet_pton(AF_INET6, RIG_GATEWAY6, &route.rtmsg_gateway);
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool done = fd >= 0 && ioctl(fd, SIOCSIFADDR, &request) == 0 && ioctl(fd, SIOCADDRT, &route) == 0;
    close(fd);
    return done;
}

static void open_scene(struct scene *scene, bool offload)
{
    const char *step;
    struct tun_config config = rig_config6();
    assert_int_equal(device_open(&scene->device, DEVICE, offload, &step), 0);
    const struct link_config link = {.name = DEVICE, .mtu = 1500};
    assert_int_equal(link_prepare(&link, &step), 0);
    assert_int_equal(link_set_up(DEVICE, true), 0);
    set_address(SIOCSIFADDR, RIG_STATION);
    set_address(SIOCSIFNETMASK, "255.255.192.0");
    route_through_the_gateway();
    config.offload = scene->device.offload;
    scene->rig = rig_start(&config);
    scene->rig->tun.ops.send = send_to_tap;
    scene->rig->tun.ops.udp = echo_udp;
    scene->rig->tun.ctx = scene;
    scene->rig->tun.ops.host_gone = NULL;
    assert_int_equal(receive_init(&scene->receive, RECEIVE_BYTES), 0);
}

static void close_scene(struct scene *scene)
{
    receive_fini(&scene->receive);
    rig_stop(scene->rig);
    close(scene->device.fd);
}

/* Take what the workstation sent, until `*count` is `wanted`. */
static void pump_until(struct scene *scene, const unsigned *count, unsigned wanted)
{
    while (*count < wanted) {
        struct pollfd poll_fd = {.fd = scene->device.fd, .events = POLLIN};
        assert_int_equal(poll(&poll_fd, 1, PATIENCE), 1);
        int n = receive_batch(&scene->receive, scene->device.fd);
        assert_true(n >= 0);
        for (int i = 0; i < n && *count < wanted; i++)
            tun_input(&scene->rig->tun, scene->receive.frame[i], scene->rig->now);
    }
}

static int socket_to_far_end6(void)
{
    struct sockaddr_in6 far = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    inet_pton(AF_INET6, RIG_FAR6, &far.sin6_addr);
    int err;
    unsigned tries = 0;
    while ((err = connect(fd, (struct sockaddr *)&far, sizeof(far))) < 0 && tries++ < PATIENCE / 10)
        usleep(10 * 1000); /* the kernel is in no hurry with a new address */
    assert_int_equal(err, 0);
    return fd;
}

static int socket_to_far_end(int type, int protocol)
{
    struct sockaddr_in far = {.sin_family = AF_INET, .sin_port = htons(443)};
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    assert_true(fd >= 0);
    inet_pton(AF_INET, RIG_FAR, &far.sin_addr);
    int err = connect(fd, (struct sockaddr *)&far, sizeof(far));
    assert_true(err == 0 || errno == EINPROGRESS);
    return fd;
}

static void wait_for(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    assert_int_equal(poll(&poll_fd, 1, PATIENCE), 1);
}

/* Send datagrams of all sorts of lengths, and get them back. */
static void exchange_datagrams(struct scene *scene, int fd)
{
    uint8_t sent[1400], got[1500];
    for (unsigned i = 0; i < 20; i++) {
        size_t n = i * 70 + 1;
        memset(sent, (int)i + 1, n);
        assert_int_equal(send(fd, sent, n, 0), n);
        pump_until(scene, &scene->rig->udp_count, i + 1);
        wait_for(fd, POLLIN);
        assert_int_equal(recv(fd, got, sizeof(got), 0), n);
        assert_memory_equal(got, sent, n);
    }
    assert_int_equal(scene->rig->tun.drops.by[DROP_UDP_BAD], 0);
    assert_true(scene->rig->tun.counters.arp_replies >= 1);
    close(fd);
}

static void linux_exchanges_datagrams_with_offload(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true);
    exchange_datagrams(&scene, socket_to_far_end(SOCK_DGRAM, 0));
    close_scene(&scene);
}

static void linux_exchanges_datagrams_without_offload(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, false);
    exchange_datagrams(&scene, socket_to_far_end(SOCK_DGRAM, 0));
    close_scene(&scene);
}

static void linux_exchanges_datagrams_over_ipv6(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true);
    bool possible = set_address6();
    if (possible)
        exchange_datagrams(&scene, socket_to_far_end6());
    close_scene(&scene);
    if (!possible)
        skip(); /* a kernel without IPv6 */
}

static void linux_pings_the_gateway(void **state)
{
    (void)state;
    struct scene scene;
    struct sockaddr_in gateway = {.sin_family = AF_INET};
    uint8_t request[16] = {8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, got[100];
    open_scene(&scene, true);
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    inet_pton(AF_INET, RIG_GATEWAY, &gateway.sin_addr);
    uint16_t sum = (uint16_t)~ref_fold(ref_sum(0, request, sizeof(request)));
    request[2] = (uint8_t)(sum >> 8);
    request[3] = (uint8_t)sum;
    assert_int_equal(sendto(fd, request, 16, 0, (struct sockaddr *)&gateway, sizeof(gateway)), 16);
    unsigned replies = 0;
    while (replies == 0) {
        struct pollfd poll_fd = {.fd = scene.device.fd, .events = POLLIN};
        assert_int_equal(poll(&poll_fd, 1, PATIENCE), 1);
        int n = receive_batch(&scene.receive, scene.device.fd);
        for (int i = 0; i < n; i++)
            tun_input(&scene.rig->tun, scene.receive.frame[i], scene.rig->now);
        replies = (unsigned)scene.rig->tun.counters.echo_replies;
    }
    wait_for(fd, POLLIN);
    assert_int_equal(recv(fd, got, sizeof(got), 0), 20 + 16);
    assert_int_equal(got[20], 0);
    assert_memory_equal(got + 24, request + 4, 12);
    close(fd);
    close_scene(&scene);
}

static void linux_believes_an_unreachable_host(void **state)
{
    (void)state;
    struct scene scene;
    int error = 0;
    socklen_t len = sizeof(error);
    open_scene(&scene, true);
    static const struct {
        enum tcp_refusal why;
        int error;
    } table[] = {
        {TCP_REFUSAL_HOST, EHOSTUNREACH}, {TCP_REFUSAL_NET, ENETUNREACH}, {TCP_REFUSAL_PROHIBITED, EHOSTUNREACH}};
    for (unsigned i = 0; i < 3; i++) {
        int fd = socket_to_far_end(SOCK_STREAM, 0);
        pump_until(&scene, &scene.rig->tcp_count, i + 1);
        const struct tcp_in *in = &scene.rig->tcp;
        const struct tcp_tuple tuple = {.src = in->src,
                                        .dst = in->dst,
                                        .src_port = be16_load(in->seg.at),
                                        .dst_port = be16_load(in->seg.at + 2)};
        output_unreachable(&scene.rig->tun, &tuple, in->host, table[i].why, in->seg.at);
        wait_for(fd, POLLERR);
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
        assert_int_equal(error, table[i].error);
        close(fd);
    }
    close_scene(&scene);
}

/* A segment for the workstation that answers the last one of it. */
static struct tcp_out answer(const struct tcp_in *in, uint32_t seq, uint32_t ack, uint8_t flags)
{
    struct tcp_out out = {.src = in->dst, .dst = in->src, .host = in->host, .header_len = 20, .iov_count = 1};
    uint8_t *tcp = out.head + TCP_HEADROOM;
    memcpy(tcp, in->seg.at + 2, 2);
    memcpy(tcp + 2, in->seg.at, 2);
    be32_store(tcp + 4, seq);
    be32_store(tcp + 8, ack);
    tcp[12] = 0x50;
    tcp[13] = flags;
    be16_store(tcp + 14, 60000);
    return out;
}

/* Linux has a connection to the far end, which is at sequence number 1001; the last it sent is scene->rig->tcp. */
static int connect_to_far_end(struct scene *scene)
{
    int fd = socket_to_far_end(SOCK_STREAM, 0);
    pump_until(scene, &scene->rig->tcp_count, 1);
    uint32_t theirs = be32_load(scene->rig->tcp.seg.at + 4);
    struct tcp_out out = answer(&scene->rig->tcp, 1000, theirs + 1, 0x12);
    assert_int_equal(output_segment(&scene->rig->tun, &out), 0);
    wait_for(fd, POLLOUT);
    pump_until(scene, &scene->rig->tcp_count, 2);
    return fd;
}

/* Read all of it, and compare. */
static void expect_data(int fd, const uint8_t *data, size_t size)
{
    uint8_t got[4096];
    for (size_t have = 0; have < size;) {
        wait_for(fd, POLLIN);
        ssize_t n = recv(fd, got, sizeof(got), 0);
        assert_true(n > 0 && (size_t)n <= size - have);
        assert_memory_equal(got, data + have, (size_t)n);
        have += (size_t)n;
    }
}

static void what_is_written_without_offload_is_merged_up_to_a_push(void **state)
{
    (void)state;
    struct scene scene;
    enum { MSS = 1460, SEGMENTS = 40 };
    static uint8_t data[SEGMENTS * MSS];
    open_scene(&scene, false);
    if (scene.device.offload == 0) {
        close_scene(&scene);
        skip(); /* no leave to mount a sysfs */
    }
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 5 + i / 256);
    int fd = connect_to_far_end(&scene);
    uint32_t ours = be32_load(scene.rig->tcp.seg.at + 4);
    for (unsigned i = 0; i < SEGMENTS; i++) {
        struct tcp_out out = answer(&scene.rig->tcp, 1001 + i * MSS, ours, i < SEGMENTS - 1 ? 0x10 : 0x18);
        out.payload_len = MSS;
        out.iov_count = 2;
        out.iov[1] = (struct iovec){data + i * MSS, MSS};
        assert_int_equal(output_segment(&scene.rig->tun, &out), 0);
    }
    expect_data(fd, data, sizeof(data));
    /* Linux acknowledges each of so many, at first, or at least each second one. */
    struct pollfd poll_fd = {.fd = scene.device.fd, .events = POLLIN};
    while (poll(&poll_fd, 1, 0) == 1) {
        int n = receive_batch(&scene.receive, scene.device.fd);
        for (int i = 0; i < n; i++)
            tun_input(&scene.rig->tun, scene.receive.frame[i], scene.rig->now);
    }
    assert_in_range(scene.rig->tcp_count, 3, 2 + SEGMENTS / 4);
    close(fd);
    close_scene(&scene);
}

static void linux_and_the_gateway_exchange_super_segments(void **state)
{
    (void)state;
    struct scene scene;
    enum { MSS = 536, UP = 10 * MSS, DOWN = 60000 }; /* no MSS option: the default of RFC 9293 3.7.1 */
    static uint8_t data[DOWN];
    open_scene(&scene, true);
    for (size_t i = 0; i < DOWN; i++)
        data[i] = (uint8_t)(i * 5 + i / 256);
    int fd = connect_to_far_end(&scene);

    assert_int_equal(send(fd, data, UP, 0), UP);
    pump_until(&scene, &scene.rig->tcp_count, 3);
    const struct tcp_in *in = &scene.rig->tcp;
    assert_int_equal(in->gso_size, MSS);
    assert_true(in->seg.left > 20 + 2 * MSS);
    assert_memory_equal(in->seg.at + 20, data, in->seg.left - 20);

    struct tcp_out out = answer(in, 1001, be32_load(in->seg.at + 4), 0x10);
    out.gso_size = 1460;
    out.payload_len = DOWN;
    out.iov_count = 3;
    out.iov[1] = (struct iovec){data, 1001};
    out.iov[2] = (struct iovec){data + 1001, DOWN - 1001};
    assert_int_equal(output_segment(&scene.rig->tun, &out), 0);
    expect_data(fd, data, DOWN);
    close(fd);
    close_scene(&scene);
}

static void a_link_that_is_down_takes_nothing(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true);
    assert_int_equal(output_announce(&scene.rig->tun), 0);
    assert_int_equal(link_set_up(DEVICE, false), 0);
    assert_int_equal(output_announce(&scene.rig->tun), -EIO);
    assert_int_equal(scene.rig->tun.drops.by[DROP_SEND], 1);
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tap_is_made_once_and_dies_with_its_descriptor),
        cmocka_unit_test(without_offload_the_kernel_gathers_and_no_more_is_agreed_on),
        cmocka_unit_test(without_leave_to_mount_the_tap_gathers_nothing),
        cmocka_unit_test(names_that_the_kernel_would_change_are_refused),
        cmocka_unit_test(the_link_is_prepared_before_it_comes_up),
        cmocka_unit_test(each_failed_step_of_the_set_up_is_named),
        cmocka_unit_test(linux_exchanges_datagrams_with_offload),
        cmocka_unit_test(linux_exchanges_datagrams_without_offload),
        cmocka_unit_test(linux_exchanges_datagrams_over_ipv6),
        cmocka_unit_test(linux_pings_the_gateway),
        cmocka_unit_test(linux_believes_an_unreachable_host),
        cmocka_unit_test(what_is_written_without_offload_is_merged_up_to_a_push),
        cmocka_unit_test(linux_and_the_gateway_exchange_super_segments),
        cmocka_unit_test(a_link_that_is_down_takes_nothing),
    };
    if (!enter_namespace()) {
        print_message("skipped: takes root, for a network namespace\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
