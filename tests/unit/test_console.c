/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket, with a test that plays the gateway: whatever it says, the host's terminal is safe. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "base/json_read.h"
#include "daemon/console.h"
#include "daemon/console_socket.h"
#include "daemon/metrics.h"

static uv_loop_t loop;
static struct console console;
static char directory[64];
static char path[96], metrics_path[96];
static struct view_ask asked;
static unsigned asks;
static char answer[1 << 17];
static struct view view;

static int on_ask(void *ctx, const struct view_ask *ask)
{
    (void)ctx;
    asked = *ask;
    asks++;
    return 0;
}

static void on_facts(void *ctx, struct console_facts *out)
{
    (void)ctx;
    *out = (struct console_facts){.version = "1", .device = "tap\x1b[2J", .ready = true, .identities = true};
}

static bool learning; /* what on_learn() says */
static unsigned learns;

static bool on_learn(void *ctx, bool all)
{
    (void)ctx;
    (void)all;
    learns++;
    return learning;
}

static int set_up(void **state)
{
    const struct console_ops ops = {.ask = on_ask, .facts = on_facts, .learn = on_learn};
    learning = false;
    learns = 0;
    (void)state;
    strcpy(directory, "/tmp/cloister-console-XXXXXX");
    if (mkdtemp(directory) == NULL || uv_loop_init(&loop) != 0)
        return -1;
    snprintf(path, sizeof(path), "%s/d/control", directory);
    asks = 0;
    int fd = console_socket_listen(path, 0);
    snprintf(metrics_path, sizeof(metrics_path), "%s/d/metrics", directory);
    int metrics = console_socket_listen(metrics_path, 0);
    return fd < 0 || metrics < 0 ? -1 : console_start(&console, &loop, fd, metrics, &ops);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CONSOLE_CLIENTS_MAX; i++) {
        if (console.clients[i].state != CONSOLE_FREE && console.clients[i].fd >= 0)
            close(console.clients[i].fd);
    }
    uv_walk(&loop, close_handle, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    close(console.listener_fd[0]);
    close(console.listener_fd[1]);
    unlink(path);
    unlink(metrics_path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
    return uv_loop_close(&loop) != 0 || rmdir(directory) != 0 ? -1 : 0;
}

static void turn(void)
{
    for (unsigned i = 0; i < 12; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
}

static int client(const char *request)
{
    int fd = console_socket_connect(path);
    assert_true(fd >= 0);
    assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
    turn();
    return fd;
}

/* All that can be read now, and that it is ASCII and lines of JSON. */
static unsigned lines_of(int fd)
{
    size_t n = 0;
    ssize_t got;
    unsigned lines = 0;
    while ((got = recv(fd, answer + n, sizeof(answer) - 1 - n, MSG_DONTWAIT)) > 0) {
        n += (size_t)got;
        turn();
    }
    answer[n] = '\0';
    for (char *at = answer, *end; (end = strchr(at, '\n')) != NULL; at = end + 1, lines++) {
        struct json_value value;
        for (const char *c = at; c < end; c++)
            assert_in_range(*c, 0x20, 0x7e);
        assert_true(json_parse(at, (size_t)(end - at), &value));
    }
    return lines;
}

static void prepare(uint32_t kind, uint32_t count, uint32_t next)
{
    memset(&view, 0, sizeof(view));
    view.kind = kind;
    view.ticket = asked.ticket;
    view.count = count;
    view.next = next;
}

static void a_list_comes_in_pieces_and_each_is_asked_for_when_the_last_was_read(void **state)
{
    (void)state;
    int fd = client("show flows\n");
    assert_int_equal(asks, 1);
    assert_int_equal(asked.cursor, 0);
    prepare(VIEW_FLOWS, VIEW_FLOWS_MAX, 40);
    assert_int_equal(console_take_view(&console, &view), 0);
    turn();
    assert_int_equal(asks, 2);
    assert_int_equal(asked.cursor, 40);
    prepare(VIEW_FLOWS, 1, 0);
    assert_int_equal(console_take_view(&console, &view), 0);
    turn();
    assert_int_equal(lines_of(fd), VIEW_FLOWS_MAX + 2);
    assert_int_equal(asks, 2);
    assert_non_null(strstr(answer, "\"kind\":\"end\",\"count\":13}"));
    close(fd);
}

static void who_asks_for_some_flows_gets_no_more_and_the_gateway_is_not_asked_on(void **state)
{
    (void)state;
    int fd = client("show flows 14\n");
    prepare(VIEW_FLOWS, VIEW_FLOWS_MAX, 40);
    assert_int_equal(console_take_view(&console, &view), 0);
    turn();
    assert_int_equal(asks, 2);
    prepare(VIEW_FLOWS, VIEW_FLOWS_MAX, 80);
    assert_int_equal(console_take_view(&console, &view), 0);
    turn();
    assert_int_equal(asks, 2);
    assert_int_equal(lines_of(fd), 14 + 1);
    assert_non_null(strstr(answer, "\"kind\":\"end\",\"count\":14}"));
    /* The next request of this client is not bounded by the last. */
    assert_int_equal(send(fd, "show flows\n", 11, 0), 11);
    turn();
    prepare(VIEW_FLOWS, VIEW_FLOWS_MAX, 0);
    assert_int_equal(console_take_view(&console, &view), 0);
    turn();
    assert_int_equal(lines_of(fd), VIEW_FLOWS_MAX + 1);
    close(fd);
}

static void a_limit_is_a_number(void **state)
{
    static const char *const bad[] = {"show flows ",        "show flows 0",  "show flows -1",
                                      "show flows 1000000", "show flows 1x", "show flows  1"};
    struct console_request request;
    (void)state;
    assert_null(console_request_parse("show flows 999999", 17, &request));
    assert_int_equal(request.verb, CONSOLE_SHOW_FLOWS);
    assert_int_equal(request.limit, 999999);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_non_null(console_request_parse(bad[i], strlen(bad[i]), &request));
        assert_int_equal(request.verb, CONSOLE_NOTHING);
    }
}

static void an_answer_that_nobody_asked_for_is_refused(void **state)
{
    (void)state;
    memset(&asked, 0, sizeof(asked));
    prepare(VIEW_FLOWS, 0, 0);
    assert_int_equal(console_take_view(&console, &view), -EPROTO);
    int fd = client("show flows\n");
    prepare(VIEW_FLOWS, 0, 0);
    view.ticket++;
    assert_int_equal(console_take_view(&console, &view), -EPROTO);
    prepare(VIEW_WORKSTATIONS, 0, 0);
    assert_int_equal(console_take_view(&console, &view), -EPROTO);
    prepare(VIEW_FLOWS, 0, 40);
    assert_int_equal(console_take_view(&console, &view), 0);
    turn();
    /* One that leads round in a circle. */
    prepare(VIEW_FLOWS, 0, 40);
    assert_int_equal(console_take_view(&console, &view), -EPROTO);
    close(fd);
}

static void an_answer_to_somebody_who_left_is_dropped_and_the_next_one_asks(void **state)
{
    (void)state;
    int first = client("show flows\n");
    int second = client("show workstations\n");
    assert_int_equal(asks, 1);
    close(first);
    prepare(VIEW_FLOWS, 3, 0);
    assert_int_equal(console_take_view(&console, &view), 0);
    assert_int_equal(asks, 2);
    assert_int_equal(asked.kind, VIEW_WORKSTATIONS);
    prepare(VIEW_WORKSTATIONS, 2, 0);
    assert_int_equal(console_take_view(&console, &view), 0);
    turn();
    assert_int_equal(lines_of(second), 3);
    close(second);
}

static void an_answer_that_comes_too_late_is_dropped_once(void **state)
{
    (void)state;
    int first = client("show flows\n");
    const struct view_ask before = asked;
    loop.time += 11000; /* nobody wants to wait for it */
    console.sweep.timer_cb(&console.sweep);
    assert_int_equal(lines_of(first), 1);
    assert_non_null(strstr(answer, "the gateway does not answer"));
    close(first);
    turn();
    int second = client("show flows\n");
    assert_int_equal(asks, 2);
    const struct view_ask after = asked;
    asked = before;
    prepare(VIEW_FLOWS, 1, 0);
    assert_int_equal(console_take_view(&console, &view), 0);
    assert_int_equal(lines_of(second), 0);
    assert_int_equal(console_take_view(&console, &view), -EPROTO);
    asked = after;
    prepare(VIEW_FLOWS, 1, 0);
    assert_int_equal(console_take_view(&console, &view), 0);
    turn();
    assert_int_equal(lines_of(second), 2);
    close(second);
}

static void who_is_to_see_relays_waits_for_their_countries_and_nobody_else(void **state)
{
    (void)state;
    learning = true;
    int flows = client("show flows\n"), circuits = client("show circuits\n");
    assert_int_equal(learns, 2);
    assert_int_equal(asks, 0);
    assert_int_equal(lines_of(circuits), 0);
    int stations = client("show workstations\n");
    assert_int_equal(learns, 2);
    assert_int_equal(asks, 1);
    prepare(VIEW_WORKSTATIONS, 1, 0);
    assert_int_equal(console_take_view(&console, &view), 0);
    turn();
    assert_int_equal(lines_of(stations), 2);
    console_learnt(&console);
    assert_int_equal(asks, 2);
    assert_int_equal(asked.kind, VIEW_FLOWS);
    prepare(VIEW_FLOWS, 1, 0);
    assert_int_equal(console_take_view(&console, &view), 0);
    turn();
    assert_int_equal(lines_of(flows), 2);
    assert_int_equal(lines_of(circuits), 1);
    console_learnt(&console); /* to nobody */
    assert_int_equal(asks, 2);
    close(flows);
    close(circuits);
    close(stations);
}

static void nobody_waits_long_for_countries(void **state)
{
    (void)state;
    learning = true;
    int fd = client("show flows\n");
    assert_int_equal(asks, 0);
    loop.time += 250;
    console.patience.timer_cb(&console.patience); /* nobody wants to wait for it */
    assert_int_equal(asks, 1);
    close(fd);
    prepare(VIEW_FLOWS, 0, 0);
    assert_int_equal(console_take_view(&console, &view), 0);
}

static void nothing_that_a_workstation_chose_reaches_a_terminal_as_it_is(void **state)
{
    (void)state;
    int fd = client("show flows\nshow status\n");
    prepare(VIEW_FLOWS, VIEW_FLOWS_MAX, 0);
    for (unsigned i = 0; i < VIEW_FLOWS_MAX; i++) {
        struct view_flow *flow = &view.flows[i];
        memset(flow, 0xff, sizeof(*flow));
        flow->tcp_state = flow->stream_state = flow->way = 0;
        flow->onion = VIEW_ONIONS_MAX;
        flow->identities = 1;
        memset(flow->name, 0x9b, sizeof(flow->name) - 1); /* CSI of eight bits */
        memcpy(flow->name, "\x1b]0;x\x07\"\\\n", 9);
        flow->name[sizeof(flow->name) - 1] = '\0';
    }
    assert_true(view_is_valid(&view));
    assert_int_equal(console_take_view(&console, &view), 0);
    turn();
    assert_int_equal(lines_of(fd), VIEW_FLOWS_MAX + 1);
    assert_non_null(strstr(answer, "\\u001b]0;x\\u0007\\\"\\\\\\u000a\\u009b"));
    prepare(VIEW_STATUS, 1, 0);
    memset(&view.status, 0xff, sizeof(view.status));
    assert_int_equal(console_take_view(&console, &view), 0);
    turn();
    assert_int_equal(lines_of(fd), 2);
    close(fd);
}

static void a_view_with_numbers_out_of_range_is_not_valid(void **state)
{
    (void)state;
    prepare(VIEW_FLOWS, 1, 0);
    assert_true(view_is_valid(&view));
    view.flows[0].tcp_state = 10;
    assert_false(view_is_valid(&view));
    view.flows[0].tcp_state = 9;
    view.flows[0].stream_state = 5;
    assert_false(view_is_valid(&view));
    view.flows[0].stream_state = 4;
    view.flows[0].way = VIEW_WAY_END;
    assert_false(view_is_valid(&view));
    view.flows[0].way = 0;
    view.flows[0].onion = VIEW_ONIONS_MAX + 1;
    assert_false(view_is_valid(&view));
    view.flows[0].onion = VIEW_ONIONS_MAX;
    view.flows[0].identities = 2;
    assert_false(view_is_valid(&view));
    view.flows[0].identities = 1;
    memset(view.flows[0].name, 'x', sizeof(view.flows[0].name));
    assert_false(view_is_valid(&view));
    view.flows[0].name[VIEW_NAME_MAX - 1] = '\0';
    assert_true(view_is_valid(&view));
    view.next = VIEW_CURSOR_MAX + 1;
    assert_false(view_is_valid(&view));
    prepare(VIEW_FLOWS, VIEW_FLOWS_MAX + 1, 0);
    assert_false(view_is_valid(&view));
    prepare(VIEW_WORKSTATIONS, VIEW_WORKSTATIONS_MAX + 1, 0);
    assert_false(view_is_valid(&view));
    prepare(VIEW_STATUS, 0, 0);
    assert_false(view_is_valid(&view));
    prepare(VIEW_KIND_END, 0, 0);
    assert_false(view_is_valid(&view));
}

static const char *line_of(const struct console_facts *facts, const struct view_flow *flow)
{
    struct json json;
    json_init(&json, answer, sizeof(answer) - 1);
    console_answer_flow(&json, facts, flow);
    answer[json.len] = '\0';
    return answer;
}

static void a_flow_says_where_its_client_asked_to_go_and_at_which_port(void **state)
{
    struct console_facts facts = {.version = "1", .identities = true};
    struct view_flow flow = {.identities = 1, .dst_port = 443, .gate = 9150, .name = "www.example.com"};
    (void)state;
    assert_non_null(
        strstr(line_of(&facts, &flow), "\"destination\":\"www.example.com:443\",\"gateway_port\":9150,"));
    flow.dst_port = 0; /* RESOLVE */
    assert_non_null(strstr(line_of(&facts, &flow), "\"destination\":\"www.example.com\",\"gateway_port\":9150,"));
    flow = (struct view_flow){.identities = 1, .dst = {{0x20, 1, 0xd, 0xb8}}, .dst_port = 80};
    assert_non_null(strstr(line_of(&facts, &flow), "\"destination\":\"[2001:db8::]:80\",\"gateway_port\":null,"));
    flow = (struct view_flow){.identities = 0};
    assert_non_null(strstr(line_of(&facts, &flow), "\"destination\":null,\"gateway_port\":null,"));
    /* That it is not to be said does not depend on the gateway's word. */
    flow = (struct view_flow){.identities = 1, .dst_port = 443, .gate = 9150, .name = "www.example.com"};
    facts.identities = false;
    assert_non_null(strstr(line_of(&facts, &flow), "\"destination\":null,\"gateway_port\":null,"));
}

static void a_visitor_is_shown_with_the_name_of_the_service(void **state)
{
    static const struct config_onions onions = {.count = 2, .onion = {{.name = "blog"}, {.name = "mail"}}};
    struct console_facts facts = {.version = "1", .onions = &onions};
    struct view_flow flow = {.way = VIEW_WAY_ONION, .onion = 2};
    (void)state;
    assert_non_null(
        strstr(line_of(&facts, &flow), "\"way\":\"onion\",\"onion\":\"mail\",\"identity\":null,\"tor\":null,"));
    facts.listeners = 2; /* services are the first one's */
    assert_non_null(strstr(line_of(&facts, &flow), "\"tor\":1,"));
    flow.onion = 3; /* the gateway knows of more than there are */
    assert_non_null(strstr(line_of(&facts, &flow), "\"onion\":null,"));
    facts.onions = NULL;
    flow.onion = 1;
    assert_non_null(strstr(line_of(&facts, &flow), "\"onion\":null,"));
}

static void the_tor_of_a_flow_is_told_where_there_are_several(void **state)
{
    struct console_facts facts = {.version = "1", .listeners = 1};
    struct view_flow flow = {.key = UINT64_C(0xffffffff00000000)};
    (void)state;
    assert_non_null(strstr(line_of(&facts, &flow), "\"identity\":\"ffffffff\",\"tor\":null,\"circuit\":null,"));
    facts.listeners = 4;
    assert_non_null(strstr(line_of(&facts, &flow), "\"tor\":4,"));
    flow.key = UINT64_C(0x3fffffff00000000);
    assert_non_null(strstr(line_of(&facts, &flow), "\"tor\":1,"));
    flow.key = UINT64_C(0x4000000000000000);
    assert_non_null(strstr(line_of(&facts, &flow), "\"tor\":2,"));
    flow.key = 0;
    assert_non_null(strstr(line_of(&facts, &flow), "\"tor\":null,"));
}

/* Two Tors count their circuits alike: a flow's is the one of its own Tor. */
static void circuits_of_several_tors_are_not_mistaken_for_one_another(void **state)
{
    static struct circuits circuits[2];
    struct console_facts facts = {
        .version = "1", .listeners = 2, .tors = 2, .circuits = {&circuits[0], &circuits[1]}};
    const struct view_flow flow = {.key = UINT64_C(0x8000000000000001)};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        char built[] = "CIRC 7 BUILT PURPOSE=GENERAL",
             sent[] = "STREAM 1 SENTCONNECT 7 192.0.2.1:80 SOCKS_USERNAME=\"<torS0X>0\" "
                      "SOCKS_PASSWORD=\"80000000000000010000000000000000\"";
        struct control_event event;
        assert_int_equal(circuits_init(&circuits[i]), 0);
        assert_int_equal(control_event_parse(built, &event), 0);
        circuits_take_circuit(&circuits[i], &event.circuit, 0);
        assert_int_equal(control_event_parse(sent, &event), 0);
        if (i == 1)
            circuits_take_stream(&circuits[i], &event.stream);
    }
    assert_non_null(strstr(line_of(&facts, &flow), "\"tor\":2,\"circuit\":7,"));
    struct json json;
    uint32_t cursor = 0;
    json_init(&json, answer, sizeof(answer) - 1);
    console_answer_circuit(&json, &facts, 1, circuits_next(&circuits[1], &cursor), 0);
    answer[json.len] = '\0';
    assert_non_null(strstr(answer, "\"kind\":\"circuit\",\"tor\":2,\"id\":7,"));
    circuits_fini(&circuits[0]);
    circuits_fini(&circuits[1]);
}

static void the_largest_numbers_fit_the_metrics(void **state)
{
    static char text[METRICS_MAX];
    struct view_status status;
    const struct console_facts facts = {.version = "1.2.3",
                                        .embedded = true,
                                        .uptime_s = UINT64_MAX,
                                        .bootstrap = 100,
                                        .guards = UINT32_MAX,
                                        .flows_max = UINT32_MAX};
    (void)state;
    memset(&status, 0xff, sizeof(status));
    size_t n = metrics_write(text, sizeof(text), &facts, &status);
    assert_true(n > 0);
    for (size_t size = 1; size <= n; size += 97)
        assert_int_equal(metrics_write(text, size, &facts, &status), 0);
}

static void a_socket_in_use_is_not_taken_away_and_one_left_behind_is(void **state)
{
    char other[96];
    struct stat st;
    (void)state;
    assert_int_equal(console_socket_listen(path, 0), -EADDRINUSE);
    snprintf(other, sizeof(other), "%s/x", directory);
    int fd = console_socket_listen(other, 0);
    assert_true(fd >= 0);
    assert_int_equal(stat(other, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    close(fd);
    assert_int_equal(console_socket_connect(other), -ECONNREFUSED);
    fd = console_socket_listen(other, 0);
    assert_true(fd >= 0);
    close(fd);
    unlink(other);
    FILE *file = fopen(other, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(console_socket_listen(other, 0), -EEXIST);
    unlink(other);
}

static void a_directory_that_stays_locked_is_refused_and_not_waited_for(void **state)
{
    char other[96];
    (void)state;
    snprintf(other, sizeof(other), "%s/x", directory);
    int lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(lock >= 0);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    assert_int_equal(console_socket_listen(other, 0), -EWOULDBLOCK);
    close(lock);
    int fd = console_socket_listen(other, 0);
    assert_true(fd >= 0);
    close(fd);
    unlink(other);
}

static void only_loopback_addresses_with_a_port_are_listened_on(void **state)
{
    static const char *const good[] = {"127.0.0.1:9100", "127.9.9.9:1", "[::1]:65535"};
    static const char *const bad[] = {"",
                                      ":",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:0",
                                      "127.0.0.1:65536",
                                      "0.0.0.0:9100",
                                      "10.152.152.10:9100",
                                      "::1:9100",
                                      "[::]:9100",
                                      "[::1]",
                                      "[]:1",
                                      "localhost:9100",
                                      "127.0.0.1:9100x",
                                      "[::1:1",
                                      "127.0.0.1:-1",
                                      "128.0.0.1:1"};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(console_socket_is_loopback(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(console_socket_is_loopback(bad[i]));
}

static void those_who_ask_over_http_leave_room_for_the_control_socket(void **state)
{
    int scraper[2 * CONSOLE_CLIENTS_MAX];
    const unsigned count = sizeof(scraper) / sizeof(scraper[0]);
    char byte;
    (void)state;
    for (unsigned i = 0; i < count; i++) {
        scraper[i] = console_socket_connect(metrics_path);
        assert_true(scraper[i] >= 0);
        turn();
        /* The first ones are listened to; the others are told, and are shown the door. */
        assert_int_equal(recv(scraper[i], &byte, 1, MSG_DONTWAIT) == 1, i >= CONSOLE_SCRAPERS_MAX);
    }
    int fd = client("show flows\n");
    assert_int_equal(asks, 1);
    close(fd);
    for (unsigned i = 0; i < count; i++)
        close(scraper[i]);
}

static void an_http_request_is_known_when_its_head_is_whole(void **state)
{
    static const char whole[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    (void)state;
    for (size_t n = 0; n < sizeof(whole) - 2; n++)
        assert_int_equal(console_http_parse(whole, n),
                         n < sizeof(whole) - 1 ? CONSOLE_HTTP_MORE : CONSOLE_HTTP_METRICS);
    assert_int_equal(console_http_parse(whole, sizeof(whole) - 1), CONSOLE_HTTP_METRICS);
    assert_int_equal(console_http_parse("GET /metrics\n\n", 14), CONSOLE_HTTP_OTHER);
    assert_int_equal(console_http_parse("GET /metrics?x HTTP/1.0\n\n", 25), CONSOLE_HTTP_METRICS);
    assert_int_equal(console_http_parse("GET /\n\n", 7), CONSOLE_HTTP_OTHER);
    assert_int_equal(console_http_parse("GOT", 3), CONSOLE_HTTP_BAD);
    assert_int_equal(console_http_parse("PUT /metrics HTTP/1.1", 21), CONSOLE_HTTP_BAD);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_list_comes_in_pieces_and_each_is_asked_for_when_the_last_was_read),
        TEST(who_asks_for_some_flows_gets_no_more_and_the_gateway_is_not_asked_on),
        cmocka_unit_test(a_limit_is_a_number),
        TEST(an_answer_that_nobody_asked_for_is_refused),
        TEST(an_answer_to_somebody_who_left_is_dropped_and_the_next_one_asks),
        TEST(an_answer_that_comes_too_late_is_dropped_once),
        TEST(who_is_to_see_relays_waits_for_their_countries_and_nobody_else),
        TEST(nobody_waits_long_for_countries),
        TEST(nothing_that_a_workstation_chose_reaches_a_terminal_as_it_is),
        cmocka_unit_test(a_view_with_numbers_out_of_range_is_not_valid),
        cmocka_unit_test(a_flow_says_where_its_client_asked_to_go_and_at_which_port),
        cmocka_unit_test(a_visitor_is_shown_with_the_name_of_the_service),
        cmocka_unit_test(the_tor_of_a_flow_is_told_where_there_are_several),
        cmocka_unit_test(circuits_of_several_tors_are_not_mistaken_for_one_another),
        cmocka_unit_test(the_largest_numbers_fit_the_metrics),
        TEST(a_socket_in_use_is_not_taken_away_and_one_left_behind_is),
        TEST(a_directory_that_stays_locked_is_refused_and_not_waited_for),
        cmocka_unit_test(only_loopback_addresses_with_a_port_are_listened_on),
        cmocka_unit_test_setup_teardown(those_who_ask_over_http_leave_room_for_the_control_socket, set_up,
                                        tear_down),
        cmocka_unit_test(an_http_request_is_known_when_its_head_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
