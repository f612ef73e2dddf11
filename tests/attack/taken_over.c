/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gateway in the hands of a stranger. This is linked in place of tun_input() into a program of the tests (the
 * linker's --wrap), and into nothing else: a frame that holds the magic words and a number makes the process try, with
 * the system call itself, one thing that it must not be able to do. What came of it is logged; if the kernel kills the
 * process for it, the supervisor says so.
 *
 * An attempt that is marked `deep` has to fail without the system call filter, too: it meets namespaces, Landlock,
 * capabilities or limits then. The others are harmless in an empty namespace, and only the filter objects.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "daemon/channel.h"
#include "daemon/log.h"
#include "tun/tun.h"

#define MAGIC "cloister, you are mine: "
#define FAMILIES 46 /* as many as Linux knows */
#define SAY 255     /* no number of an attempt: put on the TAP what follows */

void __real_tun_input(struct tun *tun, struct bytes raw, uint64_t now);
void __wrap_tun_input(struct tun *tun, struct bytes raw, uint64_t now);

/* Each returns what the kernel said: 0 or more if it worked, else negative errno. */

static long result(long n)
{
    return n < 0 ? -errno : n;
}

static long call_socket(int family, int type, int protocol)
{
    return result(syscall(SYS_socket, family, type, protocol));
}

static long connect_to(int type)
{
    static const uint8_t relay[4] = {198, 18, 17, 1};
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(9001)};
    memcpy(&peer.sin_addr, relay, sizeof(relay));
    long s = call_socket(AF_INET, type, 0);
    return s < 0 ? s : result(connect((int)s, (struct sockaddr *)&peer, sizeof(peer)));
}

static long connect_tcp(void)
{
    return connect_to(SOCK_STREAM);
}

static long connect_udp(void)
{
    return connect_to(SOCK_DGRAM);
}

static long connect_abstract(void)
{
    static const struct sockaddr_un bus = {.sun_family = AF_UNIX, .sun_path = "\0/org/freedesktop/systemd1/notify"};
    long s = call_socket(AF_UNIX, SOCK_STREAM, 0);
    return s < 0 ? s : result(connect((int)s, (const struct sockaddr *)&bus, sizeof(bus)));
}

static long raw_ipv4(void)
{
    return call_socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
}

static long packet_socket(void)
{
    return call_socket(AF_PACKET, SOCK_RAW, 0);
}

static long bring_loopback_up(void)
{
    static const struct {
        struct {
            uint32_t length;
            uint16_t type, flags;
            uint32_t sequence, port;
        } header;
        uint8_t family, pad;
        uint16_t type;
        int32_t index;
        uint32_t flags, change;
    } request = {.header = {32, 16, 5, 1, 0}, .index = 1, .flags = 1, .change = 1}; /* RTM_NEWLINK, IFF_UP */
    struct {
        uint32_t length;
        uint16_t type, flags;
        uint32_t sequence, port;
        int32_t error;
        char rest[64];
    } answer = {.error = -EIO};
    long s = call_socket(AF_NETLINK, SOCK_RAW, 0);
    if (s < 0 || send((int)s, &request, sizeof(request), 0) < 0 || recv((int)s, &answer, sizeof(answer), 0) < 0)
        return -errno;
    return answer.error;
}

static long open_file(const char *path, int flags)
{
    return result(syscall(SYS_openat, AT_FDCWD, path, flags, 0600));
}

static long open_passwd(void)
{
    return open_file("/etc/passwd", O_RDONLY);
}

static long open_proc(void)
{
    return open_file("/proc/self/environ", O_RDONLY);
}

static long open_data(void)
{
    return open_file("/var/lib/cloister/tor/keys/secret_onion_key_ntor", O_RDONLY);
}

static long open_above(void)
{
    return open_file("/socks/../../../../etc/hostname", O_RDONLY);
}

static long make_file(void)
{
    return open_file("/socks/mine", O_WRONLY | O_CREAT);
}

static long make_file_in_root(void)
{
    return open_file("/mine", O_WRONLY | O_CREAT);
}

static long remove_socket(void)
{
    return result(syscall(SYS_unlink, "/socks/socks"));
}

static long open_device(void)
{
    return open_file("/dev/net/tun", O_RDWR);
}

static long mount_proc(void)
{
    return result(syscall(SYS_mount, "proc", "/", "proc", 0, NULL));
}

static long remount_writable(void)
{
    return result(syscall(SYS_mount, NULL, "/socks", NULL, MS_REMOUNT | MS_BIND, NULL));
}

static long unmount_root(void)
{
    return result(syscall(SYS_umount2, "/socks", MNT_DETACH));
}

static long change_root(void)
{
    return result(syscall(SYS_chroot, "/socks"));
}

static long trace_sibling(void)
{
    return result(syscall(SYS_ptrace, PTRACE_ATTACH, 2, 0, 0));
}

static long read_sibling(void)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)0x400000, 1};
    return result(syscall(SYS_process_vm_readv, 2, &here, 1, &there, 1, 0));
}

static long kill_sibling(void)
{
    return result(syscall(SYS_kill, 2, SIGKILL));
}

static long kill_everybody(void)
{
    return result(syscall(SYS_kill, -1, SIGKILL));
}

static long open_sibling(void)
{
    return result(syscall(SYS_pidfd_open, 2, 0));
}

static long make_process(void)
{
    long pid = result(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    if (pid == 0)
        _exit(0);
    return pid;
}

static long execute(void)
{
    char *argv[] = {NULL};
    return result(syscall(SYS_execve, "/proc/self/exe", argv, argv));
}

static long new_network(void)
{
    return result(syscall(SYS_unshare, CLONE_NEWNET));
}

static long new_mounts(void)
{
    return result(syscall(SYS_unshare, CLONE_NEWNS));
}

static long new_user(void)
{
    return result(syscall(SYS_unshare, CLONE_NEWUSER));
}

static long enter_namespace(void)
{
    return result(syscall(SYS_setns, STDERR_FILENO, CLONE_NEWNET));
}

static long become_root(void)
{
    return result(syscall(SYS_setuid, 0));
}

static long raise_limit(void)
{
    struct rlimit limit = {1u << 20, 1u << 20};
    return result(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL));
}

static long take_descriptors(void)
{
    long last = 0;
    for (unsigned n = 0; n < 1u << 20 && last >= 0; n++)
        last = call_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return last;
}

static long use_io_uring(void)
{
    struct io_uring_params params = {0};
    return result(syscall(SYS_io_uring_setup, 4, &params));
}

static long load_bpf(void)
{
    char attributes[64] = {0};
    return result(syscall(SYS_bpf, 5 /* BPF_PROG_LOAD */, attributes, sizeof(attributes)));
}

static long load_module(void)
{
    return result(syscall(SYS_init_module, "", 0, ""));
}

static long watch_performance(void)
{
    char attributes[128] = {0};
    return result(syscall(SYS_perf_event_open, attributes, -1, 0, -1, 0));
}

static long make_code(void)
{
    return result(
        syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == -1
            ? -1
            : 0);
}

static long make_memory_file(void)
{
    return result(syscall(SYS_memfd_create, "mine", 0));
}

static long handle_faults(void)
{
    return result(syscall(SYS_userfaultfd, 0));
}

static long add_key(void)
{
    return result(syscall(SYS_add_key, "user", "mine", "x", 1, -2));
}

static long be_dumped(void)
{
    return result(syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static long keep_tap(void)
{
    char request[40] = "mine";
    int worst = -ENOTTY;
    for (int fd = 3; fd < 16; fd++) { /* TUNSETPERSIST, TUNSETOWNER by any descriptor that may be the TAP */
        if (ioctl(fd, _IOW('T', 203, int), 1) == 0 || ioctl(fd, _IOW('T', 202, int), request) == 0)
            return 0;
        worst = -errno;
    }
    return worst;
}

static long set_clock(void)
{
    struct timespec then = {0};
    return result(syscall(SYS_clock_settime, 0, &then));
}

static long name_host(void)
{
    return result(syscall(SYS_sethostname, "mine", 4));
}

/* What the supervisor reads: `length` bytes after a header of this type, with a descriptor or without. It has to end
 * everything for it; a process that is still there after a while got away with it. */
static long tell_supervisor(uint32_t type, size_t length, int fd)
{
    static struct {
        uint32_t magic, type;
        uint8_t body[2 * CHANNEL_BODY_MAX];
    } message = {.magic = 0x636c7374};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.space = {0}};
    struct iovec iov = {&message, offsetof(__typeof__(message), body) + length};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    message.type = type;
    if (fd >= 0) {
        msg.msg_control = control.space;
        msg.msg_controllen = sizeof(control.space);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
    }
    if (syscall(SYS_sendmsg, CHANNEL_FD, &msg, MSG_NOSIGNAL) < 0)
        return -errno;
    struct timespec began, now;
    clock_gettime(CLOCK_MONOTONIC, &began);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while (now.tv_sec < began.tv_sec + 5);
    return 0;
}

static long pass_tap(void)
{
    return tell_supervisor(CHANNEL_COUNTERS, sizeof(struct counters), CHANNEL_FD + 1);
}

static long say_too_much(void)
{
    return tell_supervisor(CHANNEL_VIEW, sizeof(struct view) + 1, -1);
}

static long show_unasked(void)
{
    return tell_supervisor(CHANNEL_VIEW, sizeof(struct view), -1);
}

static long be_keeper(void)
{
    return tell_supervisor(CHANNEL_SEGMENT, 0, CHANNEL_FD + 1);
}

static long steal_descriptor(void)
{
    return result(syscall(SYS_pidfd_getfd, CHANNEL_FD, 0, 0));
}

static long open_by_handle(void)
{
    struct {
        struct file_handle handle;
        unsigned char rest[8];
    } root = {.handle = {.handle_bytes = 8, .handle_type = 1}};
    return result(syscall(SYS_open_by_handle_at, STDERR_FILENO, &root, O_RDONLY));
}

static const struct attempt {
    const char *name;
    long (*make)(void);
    bool deep;
} attempts[] = {
    {"connect() to a relay, TCP", connect_tcp, true},
    {"connect() to a relay, UDP", connect_udp, true},
    {"connect() to an abstract socket", connect_abstract, true},
    {"raw socket", raw_ipv4, true},
    {"packet socket", packet_socket, true},
    {"netlink: bring loopback up", bring_loopback_up, true},
    {"open /etc/passwd", open_passwd, true},
    {"open /proc/self/environ", open_proc, true},
    {"open a key of Tor's", open_data, true},
    {"open a file above the root", open_above, true},
    {"make a file beside the socket", make_file, true},
    {"make a file in the root", make_file_in_root, true},
    {"remove Tor's socket", remove_socket, true},
    {"open /dev/net/tun", open_device, true},
    {"mount /proc", mount_proc, true},
    {"mount the socket's directory for writing", remount_writable, true},
    {"unmount", unmount_root, true},
    {"chroot", change_root, true},
    {"ptrace a sibling", trace_sibling, true},
    {"read a sibling's memory", read_sibling, true},
    {"kill a sibling", kill_sibling, true},
    {"kill everybody", kill_everybody, true},
    {"pidfd of a sibling", open_sibling, true},
    {"fork", make_process, true},
    {"execute a program", execute, true},
    {"unshare the network", new_network, true},
    {"unshare mounts", new_mounts, true},
    {"unshare users", new_user, false},
    {"setns", enter_namespace, true},
    {"become root", become_root, true},
    {"raise the limit of descriptors", raise_limit, true},
    {"more descriptors than allowed", take_descriptors, true},
    {"io_uring", use_io_uring, false},
    {"BPF", load_bpf, true},
    {"load a module", load_module, true},
    {"performance events", watch_performance, true},
    {"executable memory", make_code, false},
    {"memfd", make_memory_file, false},
    {"userfaultfd", handle_faults, true},
    {"add a key", add_key, false},
    {"become dumpable", be_dumped, false},
    {"make the TAP persistent", keep_tap, false},
    {"a descriptor for the supervisor", pass_tap, true},
    {"a message that is too long for it", say_too_much, true},
    {"a view that it did not ask for", show_unasked, true},
    {"a message of the keeper's", be_keeper, true},
    {"take a descriptor of a process", steal_descriptor, true},
    {"open a file by its handle", open_by_handle, true},
    {"set the clock", set_clock, true},
    {"set the host's name", name_host, true},
};

#define ATTEMPTS (sizeof(attempts) / sizeof(attempts[0]))

static void try(unsigned number)
{
    char name[32];
    long said;
    bool deep = false;
    if (number < ATTEMPTS) {
        log_event(LOG_LEVEL_INFO, "attempt", LOG_S("name", attempts[number].name));
        said = attempts[number].make();
        deep = attempts[number].deep;
    } else if (number < ATTEMPTS + FAMILIES) {
        int family = (int)(number - ATTEMPTS);
        snprintf(name, sizeof(name), "socket(%d)", family);
        log_event(LOG_LEVEL_INFO, "attempt", LOG_S("name", name));
        said = call_socket(family, family == AF_UNIX ? SOCK_DGRAM : SOCK_STREAM, 0);
        if (said == -ESOCKTNOSUPPORT || said == -EPROTONOSUPPORT)
            said = call_socket(family, SOCK_RAW, 0);
    } else {
        log_event(LOG_LEVEL_INFO, "no-more", LOG_U("attempts", number));
        return;
    }
    log_event(LOG_LEVEL_INFO, "attempted", LOG_S("failed", said < 0 ? "yes" : "no"),
              LOG_S("deep", deep ? "yes" : "no"), LOG_E("error", said < 0 ? said : 0));
}

/* What is no attempt but what the process is there to do: put a frame on the TAP, this one with what else stands in
 * front of it there. It is the first descriptor that it was given. */
static void say(const uint8_t *frame, size_t n)
{
    struct iovec iov = {(void *)(uintptr_t)frame, n};
    long said = result(syscall(SYS_writev, CHANNEL_FD + 1, &iov, 1));
    log_event(LOG_LEVEL_INFO, "said", LOG_S("failed", said < 0 ? "yes" : "no"),
              LOG_E("error", said < 0 ? said : 0));
}

void __wrap_tun_input(struct tun *tun, struct bytes raw, uint64_t now)
{
    const uint8_t *found = memmem(raw.at, raw.left, MAGIC, sizeof(MAGIC) - 1);
    const uint8_t *end = raw.at + raw.left;
    if (found == NULL || found + sizeof(MAGIC) > end) {
        __real_tun_input(tun, raw, now);
        return;
    }
    found += sizeof(MAGIC) - 1;
    if (*found == SAY)
        say(found + 1, (size_t)(end - found) - 1);
    else
        try(*found);
}
