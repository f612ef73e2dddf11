/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Tor that is linked in, run as the role runs it: what it makes of our command line, of our SOCKS requests and
 * of its control descriptor. The only directory authority it knows is a closed port of the loopback interface, so
 * it gets nowhere, and nothing leaves. Root is not needed.
 */
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "socks/control.h"
#include "socks/directory.h"
#include "socks/handshake.h"
#include "socks/isolation.h"
#include "socks/tor_process.h"

#define PATIENCE 20000 /* ms that Tor may take for anything */

enum what { WHAT_PHASE = 1, WHAT_EVENTS, WHAT_CONFIG, WHAT_NETWORK, WHAT_HALT };

static char base[64], data[96], directory[96], socks[128], torrc[96];
static pid_t tor = -1;
static int control_fd = -1;
static struct control control;
static unsigned last_done, last_code;
static char infos[4096];
static unsigned streams; /* STREAM NEW events seen */
static char stream_password[64];
static char stream_target[64];

static void on_info(void *ctx, const char *key, const char *value)
{
    (void)ctx;
    size_t n = strlen(infos);
    snprintf(infos + n, sizeof(infos) - n, "%s=%s\n", key, value);
}

static void on_done(void *ctx, unsigned what, unsigned code, const char *text)
{
    (void)ctx;
    on_info(ctx, "last line", text); /* GETCONF says the last of its answers there */
    last_done = what;
    last_code = code;
}

static void on_event(void *ctx, struct control_event *event)
{
    (void)ctx;
    if (event->kind != CONTROL_EVENT_STREAM || strcmp(event->stream.status, "NEW") != 0)
        return;
    if (event->stream.socks_password[0] == '\0')
        return; /* Tor's own, for the directory */
    assert_string_equal(event->stream.socks_username, ISOLATION_USERNAME);
    snprintf(stream_password, sizeof(stream_password), "%s", event->stream.socks_password);
    snprintf(stream_target, sizeof(stream_target), "%s", event->stream.target);
    streams++;
}

/* Everything that a user could write to open a door; the command line must close them all. */
static void write_torrc(void)
{
    FILE *f = fopen(torrc, "w");
    assert_non_null(f);
    fputs("SocksPort 127.0.0.1:19050\nDNSPort 127.0.0.1:19053\n"
          "TransPort 127.0.0.1:19040\nHTTPTunnelPort 127.0.0.1:19080\nNATDPort 127.0.0.1:19041\n"
          "UseDefaultFallbackDirs 0\nRunAsDaemon 1\nUser nobody\nSafeLogging 0\nLog debug "
          "stdout\nMaxCircuitDirtiness 77\n",
          f);
    fputs(
        "ORPort 127.0.0.1:19001\nDirPort 127.0.0.1:19030\nExtORPort 127.0.0.1:19002\nMetricsPort 127.0.0.1:19035\n",
        f);
    fprintf(f, "PidFile %s/pid\n", base);
    fputs("DirAuthority nobody orport=1 v3ident=0123456789012345678901234567890123456789 127.0.0.1:1 "
          "ABCDEF0123ABCDEF0123ABCDEF0123ABCDEF0123\n",
          f);
    fclose(f);
}

static int start_tor(void **state)
{
    (void)state;
    int pair[2];
    strcpy(base, "/tmp/cloister-tor-XXXXXX");
    if (mkdtemp(base) == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        return -1;
    snprintf(data, sizeof(data), "%s/data", base);
    snprintf(directory, sizeof(directory), "%s/with space", base);
    snprintf(socks, sizeof(socks), "%s/socks", directory);
    snprintf(torrc, sizeof(torrc), "%s/torrc", base);
    if (mkdir(data, 0700) < 0 || socks_directory_prepare(directory, geteuid(), getegid()) != 0)
        return -1;
    write_torrc();
    fflush(NULL);
    tor = fork();
    if (tor == 0) {
        close(pair[0]);
        struct tor_process_config config = {
            .data = data, .socks = socks, .torrc = torrc, .control_fd = pair[1], .group = true, .disabled = true};
        _exit(tor_process_run(&config) == 0 ? 0 : 1);
    }
    close(pair[1]);
    control_fd = pair[0];
    static const struct control_ops ops = {.event = on_event, .done = on_done, .info = on_info};
    control_init(&control, &ops, NULL);
    return tor > 0 ? 0 : -1;
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(name);
}

static int clean_up(void **state)
{
    (void)state;
    if (tor > 0) {
        kill(tor, SIGKILL);
        waitpid(tor, NULL, 0);
    }
    if (control_fd >= 0)
        close(control_fd);
    tor = control_fd = -1;
    return nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, PATIENCE) == 1;
}

/* Let Tor talk until a condition holds. */
static void talk_until(const unsigned *value, unsigned want)
{
    while (*value != want) {
        char buffer[4096];
        assert_true(readable(control_fd));
        ssize_t n = read(control_fd, buffer, sizeof(buffer));
        assert_true(n > 0);
        assert_int_equal(control_input(&control, buffer, (size_t)n), 0);
    }
}

static void command(enum what what, const char *text)
{
    infos[0] = '\0';
    last_done = 0;
    assert_int_equal(control_command(&control, what, text), 0);
    size_t n;
    const char *out = control_output(&control, &n);
    assert_int_equal(send(control_fd, out, n, MSG_NOSIGNAL), n);
    control_output_sent(&control, n);
    talk_until(&last_done, what);
}

static void the_control_descriptor_needs_no_authentication(void **state)
{
    (void)state;
    command(WHAT_PHASE, CONTROL_COMMAND_BOOTSTRAP);
    assert_int_equal(last_code, 250);
    char *value = strchr(infos, '=');
    assert_non_null(value);
    struct control_bootstrap bootstrap;
    value[strcspn(value, "\n")] = '\0';
    assert_int_equal(control_bootstrap_parse(value + 1, &bootstrap), 0);
    assert_int_equal(bootstrap.progress, 0);
    command(WHAT_EVENTS, CONTROL_COMMAND_EVENTS);
    assert_int_equal(last_code, 250);
}

static void the_torrc_opens_no_door(void **state)
{
    (void)state;
    static const char *const off[] = {"DNSPort=0\n",     "TransPort=0\n",  "HTTPTunnelPort=0\n",
                                      "NATDPort=0\n",    "ExtORPort=0\n",  "SafeLogging=1\n",
                                      "RunAsDaemon=0\n", "ClientOnly=1\n", "GroupWritable"};
    command(WHAT_CONFIG, "GETCONF DNSPort TransPort HTTPTunnelPort NATDPort SocksPort User "
                         "ORPort DirPort ExtORPort MetricsPort SafeLogging RunAsDaemon PidFile Log ClientOnly");
    assert_int_equal(last_code, 250);
    for (size_t i = 0; i < sizeof(off) / sizeof(*off); i++)
        assert_non_null(strstr(infos, off[i]));
    assert_null(strstr(infos, "190"));    /* ports of the torrc */
    assert_null(strstr(infos, "nobody")); /* its user */
    assert_null(strstr(infos, "debug"));  /* its log */
    assert_null(strstr(infos, "/pid"));   /* its files */

    command(WHAT_NETWORK, CONTROL_COMMAND_NETWORK);
    assert_int_equal(last_code, 250);
    command(WHAT_CONFIG, "GETINFO net/listeners/socks net/listeners/control net/listeners/dns net/listeners/trans "
                         "net/listeners/natd net/listeners/or net/listeners/dir net/listeners/httptunnel "
                         "net/listeners/metrics");
    char want[512];
    snprintf(want, sizeof(want),
             "net/listeners/socks=\"unix:%s\"\nnet/listeners/control=\nnet/listeners/dns=\nnet/listeners/trans=\n"
             "net/listeners/natd=\nnet/listeners/or=\nnet/listeners/dir=\nnet/listeners/httptunnel=\n"
             "net/listeners/metrics=\nlast line=OK\n",
             socks);
    assert_string_equal(infos, want);
}

static void what_the_torrc_says_besides_is_kept(void **state)
{
    (void)state;
    command(WHAT_CONFIG, "GETCONF MaxCircuitDirtiness");
    assert_string_equal(infos, "last line=MaxCircuitDirtiness=77\n");
}

static bool break_name; /* put a space where the name ends: Tor refuses that before it thinks */

/* Send a request as the upstream does, whole. */
static int ask(const char *name, const struct ipaddr *addr, uint16_t port, const char *password)
{
    struct sockaddr_un address;
    uint8_t out[SOCKS_REQUEST_MAX];
    struct socks_request request = {
        .command = SOCKS_CONNECT,
        .username = ISOLATION_USERNAME,
        .password = password,
        .name = name,
        .port = port,
    };
    if (addr != NULL)
        request.addr = *addr;
    assert_int_equal(socks_path_address(socks, &address), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ssize_t n = socks_request_write(&request, out, sizeof(out));
    if (break_name)
        out[n - 3] = ' ';
    assert_int_equal(send(fd, out, (size_t)n, MSG_NOSIGNAL), n);
    return fd;
}

static void tor_takes_our_credentials_and_tells_them_with_the_stream(void **state)
{
    (void)state;
    static const char password[] = "00112233445566778899aabbccddeeff";
    struct socks_reply reply = {0};
    uint8_t data_in[64];
    streams = 0;
    int fd = ask("a.example", NULL, 8080, password);
    talk_until(&streams, 1);
    assert_string_equal(stream_password, password);
    assert_string_equal(stream_target, "a.example:8080");
    assert_true(readable(fd));
    ssize_t n = recv(fd, data_in, socks_reply_want(&reply), 0);
    assert_true(n > 0);
    assert_int_equal(socks_reply_feed(&reply, data_in, (size_t)n, NULL),
                     0); /* authenticated; it waits for a circuit */
    close(fd);
}

/* The code that Tor answers, through the parser. */
static uint8_t answer(int fd)
{
    struct socks_reply reply = {0};
    int done = 0;
    while (done == 0) {
        uint8_t data_in[272];
        assert_true(readable(fd));
        ssize_t n = recv(fd, data_in, socks_reply_want(&reply), 0);
        assert_true(n > 0);
        done = socks_reply_feed(&reply, data_in, (size_t)n, NULL);
    }
    assert_int_equal(done, 1);
    close(fd);
    return reply.code;
}

static void refusals_of_tor_are_understood(void **state)
{
    (void)state;
    static const struct ipaddr private = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}};
    assert_int_equal(answer(ask("toshort.onion", NULL, 80, "p")), SOCKS_ONION_BAD_ADDRESS);
    break_name = true;
    assert_int_equal(answer(ask("no-name", NULL, 80, "p")), SOCKS_GENERAL_FAILURE);
    break_name = false;
    assert_int_equal(answer(ask(NULL, &private, 80, "p")), SOCKS_GENERAL_FAILURE);
}

static void assert_ends(void)
{
    int status = -1;
    char byte[4096];
    while (readable(control_fd) && read(control_fd, byte, sizeof(byte)) > 0)
        ;
    assert_int_equal(waitpid(tor, &status, 0), tor);
    tor = -1;
    /* Tor 0.4.9 frees a lock on its way out that a worker thread may just be taking (workqueue.c, worker_thread_main()),
     * and then aborts. That is after all its sockets are closed; the supervisor does not mind how a Tor ends that it
     * told to, and nor can this test. */
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGABRT);
        return;
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void tor_halts_when_told(void **state)
{
    (void)state;
    command(WHAT_HALT, CONTROL_COMMAND_HALT);
    assert_ends();
}

static void tor_ends_when_its_owner_does(void **state)
{
    (void)state;
    command(WHAT_PHASE, CONTROL_COMMAND_BOOTSTRAP);
    assert_int_equal(shutdown(control_fd, SHUT_WR), 0);
    assert_ends();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_control_descriptor_needs_no_authentication),
        cmocka_unit_test(the_torrc_opens_no_door),
        cmocka_unit_test(what_the_torrc_says_besides_is_kept),
        cmocka_unit_test(tor_takes_our_credentials_and_tells_them_with_the_stream),
        cmocka_unit_test(refusals_of_tor_are_understood),
        cmocka_unit_test(tor_halts_when_told),
    };
    const struct CMUnitTest end[] = {cmocka_unit_test(tor_ends_when_its_owner_does)};
    int failed = cmocka_run_group_tests(tests, start_tor, clean_up);
    return failed + cmocka_run_group_tests(end, start_tor, clean_up);
}
